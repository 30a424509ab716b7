package agent

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// bootTime is how long an emulated guest may take to come up.
const bootTime = 10 * time.Minute

// diskImages are images that are the disk of one test guest.
type diskImages struct{ guest hypervisortest.Guest }

func (diskImages) Has(dormer.ImageID) bool                            { return true }
func (diskImages) Fetch(context.Context, dormer.ImageID, Fetch) error { return nil }
func (diskImages) Verify(context.Context, dormer.ImageID) error       { return nil }
func (diskImages) Collect(context.Context, []dormer.ImageID) error    { return nil }
func (diskImages) Size() (int64, error)                               { return 0, nil }

func (i diskImages) Describe(context.Context, dormer.ImageID, *imageformat.RepositoryKey, string) (Hardware, error) {
	raw := func(path string) hypervisor.DiskSource {
		return hypervisor.DiskSource{File: path, Format: hypervisor.FormatRaw}
	}
	return Hardware{
		Base: []hypervisor.DiskSource{raw(i.guest.Disk)}, Firmware: hypervisor.FirmwareBIOS,
		Boot: &hypervisor.Boot{Kernel: raw(i.guest.Kernel), Initrd: raw(i.guest.Initrd), Append: i.guest.Append},
		Data: &imageformat.DataConvention{Label: i.guest.Label, MountPoint: i.guest.MountPoint},
	}, nil
}

// aRealWorkspace is aWorkspace whose machine boots.
func aRealWorkspace(t *testing.T, spec string) *desk {
	t.Helper()
	guest := hypervisortest.FindGuest(t, "tiny")
	driver := qemu.New(qemu.Config{
		ProbeFile: filepath.Join(t.TempDir(), "probe.json"), Accelerator: "tcg",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	return aWorkspace(t, spec, "", func(d *desk) {
		d.images, d.patience = diskImages{guest}, bootTime
		d.house.terms = func(l *lease.Lease) { l.Image, l.ImageName = imageOne, "office/1" }
		d.deps = func(deps *Deps) { deps.Driver = driver }
		// Nothing runs on when the test is over.
		t.Cleanup(func() {
			d.agent.mu.Lock()
			m := d.agent.machines[annesMachine]
			d.agent.mu.Unlock()
			if m == nil {
				return
			}
			if vm := m.machineNow(); vm != nil {
				if err := vm.Kill(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}
		})
	})
}

// inGuest runs a script as the guest's administrator and returns what it prints.
func (d *desk) inGuest(script string) string {
	d.t.Helper()
	vm := d.machine().machineNow()
	if vm == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	r, err := vm.Exec(ctx, guestwire.ExecRequest{Args: []string{"/bin/sh", "-c", script}, User: "root"})
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(r.Stdout))
}

func (d *desk) inGuestBecomes(what, script, want string) {
	d.t.Helper()
	got := ""
	d.eventually(what, func() bool {
		got = d.inGuest(script)
		return got == want
	})
}

// A persistent machine takes a version beside the one that it has, with the
// user's data, and goes back.
func TestUpdateOfARealGuest(t *testing.T) {
	hypervisortest.SkipUnlessBooting(t)
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.machine.updates.mode", "spec.machine.keepOldVersions", "spec.machine.dataDisk.size")
	d := aRealWorkspace(t, "machine: {revertible: false, dataDisk: {size: 64MiB}, updates: {mode: force}}, performance: {memory: [{host: 0GiB, guest: 256MiB}]}")
	system, data := "/base/user/mark", hypervisortest.FindGuest(t, "tiny").MountPoint+"/mark"
	d.startUp()
	d.inGuestBecomes("marks", "echo system >"+system+" && echo data >"+data+" && sync && cat "+system+" "+data, "system\ndata")
	d.version(imageTwo, "office/2")
	d.await("taken at the next start", func(w agentapi.Workspace) bool { return w.UpdateAtNextStart == "office/2" })
	again := func() {
		d.act(agentapi.CommandStop)
		d.awaitState("ready")
		d.startUp()
	}
	again()
	d.inGuestBecomes("a fresh system with the user's data", "ls "+system+" 2>/dev/null; cat "+data, "data")
	if err := d.update(agentapi.UpdateRequest{Back: true}); err != nil {
		t.Fatal(err)
	}
	again()
	d.inGuestBecomes("the old system again", "cat "+system+" "+data, "system\ndata")
}

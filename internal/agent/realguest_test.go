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
	"github.com/dormer-project/dormer/internal/event"
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
func aRealWorkspace(t *testing.T, version, spec, grant string) *desk {
	t.Helper()
	guest := hypervisortest.FindGuest(t, version)
	driver := qemu.New(qemu.Config{
		ProbeFile: filepath.Join(t.TempDir(), "probe.json"), Accelerator: "tcg",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	return aWorkspace(t, spec, grant, func(d *desk) {
		d.images, d.patience = diskImages{guest}, bootTime
		d.house.terms = func(l *lease.Lease) { l.Image, l.ImageName = imageOne, "office/1" }
		d.deps = func(deps *Deps) {
			deps.Driver = driver
			deps.Zone = func() string { return "Asia/Tokyo" }
		}
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

// What the policy says of a running machine is so in a real guest, and it goes on
// from saved memory.
func TestLifeOfARealGuest(t *testing.T) {
	hypervisortest.SkipUnlessBooting(t)
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.machine.onStop", "spec.machine.timeZone", "spec.network.dns.mode", "spec.network.dns.servers",
		"spec.network.suffixes.list", "spec.applications.published[].startWithWorkspace", "spec.machine.revertible")
	spec := "machine: {revertible: false, onStop: save-state, timeZone: host}, performance: {memory: [{host: 0GiB, guest: 512MiB}]}" +
		", network: {dns: {mode: servers, servers: [192.0.2.53]}, suffixes: {list: [corp.example.test]}}" +
		`, applications: {published: [{name: Mark, command: '/bin/sh -c "echo started >> /tmp/started"', startWithWorkspace: true}]}`
	d := aRealWorkspace(t, "desk", spec, "")
	d.startUp()
	d.inGuestBecomes("the time zone is the host's", "readlink /etc/localtime | sed 's|.*zoneinfo/||'", "Asia/Tokyo")
	d.inGuestBecomes("the name servers are those given", "grep -c '^nameserver 192.0.2.53$' /etc/resolv.conf", "1")
	d.inGuestBecomes("the suffixes are those given", "grep -c '^search.*corp.example.test' /etc/resolv.conf", "1")
	d.inGuestBecomes("the application has started", "cat /tmp/started", "started")
	d.inGuestBecomes("memory that nothing else keeps", "mkdir -p /run/kept && echo here > /run/kept/note && cat /run/kept/note", "here")
	if got := d.inGuest("cat /sys/class/virtio-ports/*/name | grep -c files"); got != "0" {
		t.Errorf("ports for files without a grant: %s", got)
	}
	d.changePolicy(2, spec, "fileTransfer: {direction: both}")
	d.inGuestBecomes("the port for files is plugged in", "cat /sys/class/virtio-ports/*/name | grep -c org.dormer.files.0", "1")

	d.act(agentapi.CommandStop)
	d.awaitState("saved")
	d.startUp()
	d.mustTell(event.WorkspaceResumed, 1)
	d.inGuestBecomes("it goes on where it was", "cat /run/kept/note", "here")
	d.inGuestBecomes("the application has not started twice", "cat /tmp/started", "started")
	if got := d.inGuest("date +%Y"); got != d.now().Format("2006") {
		t.Errorf("the guest's year is %s", got)
	}
	d.act(agentapi.CommandKill)
	d.awaitState("ready")
}

// A persistent machine takes a version beside the one that it has, with the
// user's data, and goes back.
func TestUpdateOfARealGuest(t *testing.T) {
	hypervisortest.SkipUnlessBooting(t)
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.machine.updates.mode", "spec.machine.keepOldVersions", "spec.machine.dataDisk.size")
	d := aRealWorkspace(t, "v1", "machine: {revertible: false, dataDisk: {size: 64MiB}, updates: {mode: force}}, performance: {memory: [{host: 0GiB, guest: 256MiB}]}", "")
	data := hypervisortest.FindGuest(t, "v1").MountPoint
	d.startUp()
	d.inGuestBecomes("marks", "echo system > /etc/mark && echo data > "+data+"/mark && sync && cat /etc/mark "+data+"/mark", "system\ndata")
	d.version(imageTwo, "office/2")
	d.await("taken at the next start", func(w agentapi.Workspace) bool { return w.UpdateAtNextStart == "office/2" })
	again := func() {
		d.act(agentapi.CommandStop)
		d.awaitState("ready")
		d.startUp()
	}
	again()
	d.inGuestBecomes("a fresh system with the user's data", "ls /etc/mark 2>/dev/null; cat "+data+"/mark", "data")
	if err := d.update(agentapi.UpdateRequest{Back: true}); err != nil {
		t.Fatal(err)
	}
	again()
	d.inGuestBecomes("the old system again", "cat /etc/mark "+data+"/mark", "system\ndata")
}

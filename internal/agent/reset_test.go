package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
)

// kept is what of a machine is asked after: its record.
func (d *desk) kept() record {
	d.t.Helper()
	m := d.machine()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record
}

// file writes a file of the machine's disks, as if the hypervisor had.
func (d *desk) file(name string) string {
	d.t.Helper()
	path := filepath.Join(d.disks(), name)
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestOrderToReset(t *testing.T) {
	tenMinutes, none := int64(600), int64(0)
	// begun is a machine that was started, with files of its layer and its data.
	begun := func(t *testing.T) (d *desk, layer, data string) {
		t.Helper()
		d = aWorkspace(t, "machine: {revertible: false}", "atLimit: {grace: 30m}")
		d.startUp()
		layer = d.file(hypervisor.FileLayer(hypervisor.OverlayKeep, d.machine().layer(), 0))
		return d, layer, d.file(hypervisor.FileData)
	}
	reset := func(d *desk, before record) {
		d.t.Helper()
		d.eventually("it has another layer", func() bool {
			r := d.kept()
			return r.Resetting == "" && r.Layer != before.Layer && r.Base == before.Base && len(r.Layers) == 0 && len(r.Dropped) == 0
		})
		d.awaitState("ready")
		d.mustTell(event.OrderRun, 1)
	}
	t.Run("of one that runs, after its grace", func(t *testing.T) {
		t.Parallel()
		d, layer, data := begun(t)
		before := d.kept()
		d.order("o1", lease.OrderReset, &tenMinutes)
		d.mustTell(event.WorkspaceWarned, 1)
		w := d.await("warned", func(w agentapi.Workspace) bool { return len(w.Warnings) > 0 })
		if !strings.Contains(w.Warnings[0], "goes back to its image at") {
			t.Errorf("the user is told %q", w.Warnings)
		}
		d.never("it is reset within its grace", func() bool { return d.running() != 1 || !there(layer) })
		d.pass(11 * 60e9)
		reset(d, before)
		if there(layer) || !there(data) {
			t.Errorf("layer is there: %t, data is there: %t", there(layer), there(data))
		}
		d.startUp()
		d.poll()
		d.never("it is reset again", func() bool { return d.running() != 1 || d.kept().Made != before.Made+1 })
	})
	t.Run("with the policy's grace, and the agent restarted in it", func(t *testing.T) {
		t.Parallel()
		d, layer, _ := begun(t)
		before := d.kept()
		d.order("o1", lease.OrderReset, nil)
		d.mustTell(event.WorkspaceWarned, 1)
		d.restart()
		d.never("a restart ends its grace", func() bool { return d.running() != 1 })
		d.pass(31 * 60e9)
		reset(d, before)
		if there(layer) {
			t.Error("the layer is still there")
		}
	})
	t.Run("of one whose memory is saved", func(t *testing.T) {
		t.Parallel()
		d, layer, _ := begun(t)
		d.act(agentapi.CommandStop)
		d.awaitState("ready")
		m := d.machine()
		saved := []string{d.file(hypervisor.FileSaved), d.file(hypervisor.FileSavedState)}
		m.mu.Lock()
		m.record.Saved = true
		m.mu.Unlock()
		before := d.kept()
		d.order("o1", lease.OrderReset, nil)
		reset(d, before)
		if there(layer) || slices.ContainsFunc(saved, there) || d.kept().Saved {
			t.Errorf("what was saved is still there: %+v", d.kept())
		}
	})
	t.Run("killed between its steps", func(t *testing.T) {
		t.Parallel()
		for name, spoil := range map[string]func(m *machine, layer string){
			"marked": func(m *machine, _ string) { m.record.Resetting = "o1" },
			"files still there": func(m *machine, layer string) {
				m.record.Dropped = []string{layer}
				m.record.Made++
				m.record.Layer = layerOf(m.record.Base, m.record.Made)
			},
		} {
			t.Run(name, func(t *testing.T) {
				d, layer, data := begun(t)
				d.act(agentapi.CommandStop)
				d.awaitState("ready")
				before, m := d.kept(), d.machine()
				m.mu.Lock()
				spoil(m, m.layer())
				err := m.save()
				m.mu.Unlock()
				if err != nil {
					t.Fatal(err)
				}
				d.restart()
				d.pass(1e9)
				d.eventually("the old layer goes", func() bool { return !there(layer) && len(d.kept().Dropped) == 0 })
				if r := d.kept(); r.Resetting != "" || r.Made != before.Made+1 || !there(data) {
					t.Errorf("record is %+v", r)
				}
			})
		}
	})
	t.Run("started by its user meanwhile", func(t *testing.T) {
		t.Parallel()
		d, layer, _ := begun(t)
		before := d.kept()
		d.order("o1", lease.OrderReset, &none)
		d.eventually("it is reset", func() bool { return d.kept().Made == before.Made+1 })
		d.startUp()
		if d.kept().Layer == before.Layer || there(layer) {
			t.Error("it runs on its old layer")
		}
	})
	t.Run("of one that has never started", func(t *testing.T) {
		t.Parallel()
		d := aWorkspace(t, "", "")
		d.order("o1", lease.OrderReset, nil)
		d.mustTell(event.OrderRun, 1)
		d.startUp()
	})
}

package hypervisortest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// power checks that a machine can be held, and that a saved one goes on with
// what it had in memory, once.
func (h Harness) power(t *testing.T) {
	t.Parallel()
	d := h.Open(t)
	secrets := Secrets()
	spec := h.Spec(t, Dir(t))
	spec.Resume = true

	m := h.Start(t, d, spec, secrets)
	h.Ready(t, m)
	if st, err := m.Status(h.context(t)); err != nil || st.Resumed || st.Notice != "" {
		t.Errorf("a fresh start: %+v, %v", st, err)
	}
	h.Output(t, m, h.Write(h.MemoryPath, "in memory"))
	h.Output(t, m, h.Write(h.DataPath, "on disk"))
	h.held(t, m)
	h.save(t, m, spec.Dir)

	if _, err := d.Start(h.context(t), spec, Secrets()); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("start with another key: got %v, want ErrCorrupt", err)
	}
	m = h.Start(t, d, spec, secrets)
	h.notSaved(t, spec.Dir)
	if st := h.Ready(t, m); !st.Resumed || st.Notice != "" {
		t.Errorf("status after going on: %+v", st)
	}
	if got := h.Output(t, m, h.Read(h.MemoryPath)); got != "in memory" {
		t.Errorf("after going on memory has %q", got)
	}
	if got := h.Output(t, m, h.Read(h.DataPath)); got != "on disk" {
		t.Errorf("after going on the data disk has %q", got)
	}

	// Another machine does not go on from it, and says why.
	h.save(t, m, spec.Dir)
	spec.Memory += 16
	m = h.Start(t, d, spec, secrets)
	h.notSaved(t, spec.Dir)
	if st, err := m.Status(h.context(t)); err != nil || st.Resumed || st.Notice == "" {
		t.Errorf("status after other memory: %+v, %v", st, err)
	}
	h.Ready(t, m)
	h.fails(t, m, h.Read(h.MemoryPath))
	if got := h.Output(t, m, h.Read(h.DataPath)); got != "on disk" {
		t.Errorf("after a fresh start the data disk has %q", got)
	}

	// Nor does one that is not asked to.
	h.save(t, m, spec.Dir)
	spec.Resume = false
	m = h.Start(t, d, spec, secrets)
	h.notSaved(t, spec.Dir)
	if st, err := m.Status(h.context(t)); err != nil || st.Resumed {
		t.Errorf("status without Resume: %+v, %v", st, err)
	}
	if err := m.Kill(h.context(t)); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"suspend": func() error { return m.Suspend(h.context(t)) },
		"resume":  func() error { return m.Resume(h.context(t)) },
		"save":    func() error { return m.Save(h.context(t)) },
	} {
		if err := do(); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("%s after the end: got %v, want ErrUnavailable", what, err)
		}
	}

	spec.Overlay = hypervisor.OverlayDiscard
	m = h.Start(t, d, spec, secrets)
	if err := m.Save(h.context(t)); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("save a machine without a kept layer: got %v, want ErrInvalid", err)
	}
	if st, err := m.Status(h.context(t)); err != nil || st.State != hypervisor.StateRunning {
		t.Errorf("after a refused save: %+v, %v", st, err)
	}
}

// held suspends a machine and lets it go on, each twice.
func (h Harness) held(t *testing.T, m hypervisor.Machine) {
	t.Helper()
	for range 2 {
		if err := m.Suspend(h.context(t)); err != nil {
			t.Fatal(err)
		}
		st, err := m.Status(h.context(t))
		if err != nil || st.State != hypervisor.StatePaused || st.Reason != hypervisor.ReasonSuspended {
			t.Errorf("status while suspended: %+v, %v", st, err)
		}
	}
	for range 2 {
		if err := m.Resume(h.context(t)); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.Output(t, m, h.Echo("on")); got != "on\n" {
		t.Errorf("after resume the guest says %q", got)
	}
	if st, err := m.Status(h.context(t)); err != nil || st.State != hypervisor.StateRunning || st.Reason != "" {
		t.Errorf("status after resume: %+v, %v", st, err)
	}
}

func (h Harness) save(t *testing.T, m hypervisor.Machine, dir string) {
	t.Helper()
	if err := m.Save(h.context(t)); err != nil {
		t.Fatalf("save: %v%s", err, Logs(dir))
	}
	h.Ended(t, m, hypervisor.ReasonSaved)
	for _, name := range []string{hypervisor.FileSaved, hypervisor.FileSavedState} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

// notSaved checks that there is no saved state beside a machine that runs.
func (h Harness) notSaved(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "saved.*")); err != nil || len(left) > 0 {
		t.Errorf("beside a running machine: %v, %v", left, err)
	}
}

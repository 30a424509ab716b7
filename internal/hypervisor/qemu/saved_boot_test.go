package qemu_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
)

// count starts a program in the guest that counts in its memory.
func count(t *testing.T, h harness, m hypervisor.Machine) {
	t.Helper()
	_, err := m.Exec(t.Context(), guestwire.ExecRequest{
		Args: []string{"sh", "-c", "i=0; while :; do i=$((i+1)); echo $$ $i >/run/count.new && mv /run/count.new /run/count; usleep 50000; done"},
		User: "root", Detach: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	counted(t, h, m)
}

// counted returns the program's number and how far it has counted.
func counted(t *testing.T, h harness, m hypervisor.Machine) (string, int) {
	t.Helper()
	pid, n, ok := strings.Cut(strings.TrimSpace(root(t, h, m, "while ! cat /run/count; do usleep 50000; done 2>/dev/null")), " ")
	i, err := strconv.Atoi(n)
	if !ok || err != nil {
		t.Fatalf("count: %q %q: %v", pid, n, err)
	}
	return pid, i
}

// A saved machine goes on where it was: what is in memory counts on, and what
// was written before is there.
func TestSaveAndGoOn(t *testing.T) {
	t.Parallel()
	d := driver(t)
	h := hypervisortest.TinyHarness(t, func(*testing.T) hypervisor.Driver { return d }, false, nil)
	dir, secrets := hypervisortest.Dir(t), hypervisortest.Secrets()
	spec := h.Spec(t, dir)
	spec.Resume = true
	clicked := time.Now()
	m := h.Start(t, d, spec, secrets)
	h.Ready(t, m)
	t.Logf("a fresh start takes %s until the guest is ready", time.Since(clicked).Round(10*time.Millisecond))
	root(t, h, m, "dd if=/dev/urandom of=/data/big bs=1M count=8 && sha256sum /data/big >/data/sum")
	count(t, h, m)

	// Held, it does not count.
	pid, before := counted(t, h, m)
	if err := m.Suspend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st, err := m.Status(t.Context()); err != nil || st.State != hypervisor.StatePaused || st.Reason != hypervisor.ReasonSuspended {
		t.Errorf("suspended: %+v, %v", st, err)
	}
	select {
	case <-time.After(3 * time.Second): // longer than what else is paused is looked at
	case <-m.Done():
	}
	if st, err := m.Status(t.Context()); err != nil || st.State != hypervisor.StatePaused {
		t.Errorf("suspended for a while: %+v, %v", st, err)
	}
	if err := errors.Join(m.Suspend(t.Context()), m.Resume(t.Context()), m.Resume(t.Context())); err != nil {
		t.Fatal(err)
	}
	h.WaitStatus(t, m, "running", func(st hypervisor.Status) bool { return st.State == hypervisor.StateRunning })
	if again, _ := counted(t, h, m); again != pid {
		t.Errorf("another program counts: %s, was %s", again, pid)
	}

	started := time.Now()
	if err := m.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Ended(t, m, hypervisor.ReasonSaved)
	info, err := os.Stat(filepath.Join(dir, hypervisor.FileSaved))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("saved %d MiB in %s", info.Size()>>20, time.Since(started).Round(10*time.Millisecond))

	if _, err := d.Start(t.Context(), spec, hypervisortest.Secrets()); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("start with another key: %v", err)
	}
	clicked = time.Now()
	m = h.Start(t, d, spec, secrets)
	t.Logf("saved state runs after %s", time.Since(clicked).Round(10*time.Millisecond))
	st := h.Ready(t, m)
	t.Logf("its guest is ready after %s", time.Since(clicked).Round(10*time.Millisecond))
	if !st.Resumed || st.Notice != "" {
		t.Errorf("status after going on: %+v", st)
	}
	if entries, err := filepath.Glob(filepath.Join(dir, "saved.*")); err != nil || len(entries) > 0 {
		t.Errorf("beside a running machine: %v, %v", entries, err)
	}
	again, after := counted(t, h, m)
	if again != pid || after <= before {
		t.Errorf("counter %s at %d, was %s at %d", again, after, pid, before)
	}
	if out := root(t, h, m, "echo 3 >/proc/sys/vm/drop_caches; sha256sum -c /data/sum"); out != "/data/big: OK\n" {
		t.Errorf("data after going on: %q", out)
	}
	// Saved again, and from a machine that is held.
	if err := errors.Join(m.Suspend(t.Context()), m.Save(t.Context())); err != nil {
		t.Fatal(err)
	}
	m = h.Start(t, d, spec, secrets)
	if again, last := counted(t, h, m); again != pid || last < after {
		t.Errorf("counter %s at %d, was %s at %d", again, last, pid, after)
	}
	h.Ready(t, m)
	h.Shutdown(t, m)
}

// What does not fit is thrown away, and the machine starts anew.
func TestSavedStateThatDoesNotFit(t *testing.T) {
	t.Parallel()
	d := driver(t)
	h := hypervisortest.TinyHarness(t, func(*testing.T) hypervisor.Driver { return d }, false, nil)
	dir, secrets := hypervisortest.Dir(t), hypervisortest.Secrets()
	spec := h.Spec(t, dir)
	spec.Resume = true
	m := h.Start(t, d, spec, secrets)
	h.Ready(t, m)
	root(t, h, m, "echo here >/run/note")
	if err := m.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	saved, description := filepath.Join(dir, hypervisor.FileSaved), filepath.Join(dir, hypervisor.FileSavedState)
	whole, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(description)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(s *hypervisor.Spec, saved, text []byte) ([]byte, []byte)
		notice string
	}{
		{"a flipped bit", func(_ *hypervisor.Spec, saved, text []byte) ([]byte, []byte) {
			saved[len(saved)/2] ^= 1
			return saved, text
		}, "damaged"},
		{"cut", func(_ *hypervisor.Spec, saved, text []byte) ([]byte, []byte) {
			return saved[:len(saved)-1000], text
		}, "damaged"},
		{"another description", func(_ *hypervisor.Spec, saved, text []byte) ([]byte, []byte) {
			return saved, append(text, '\n')
		}, "damaged"},
		{"other memory", func(s *hypervisor.Spec, saved, text []byte) ([]byte, []byte) {
			s.Memory += 32
			return saved, text
		}, "memory"},
		{"other network", func(s *hypervisor.Spec, saved, text []byte) ([]byte, []byte) {
			s.Display = true
			return saved, text
		}, "devices"},
	}
	for _, tt := range tests {
		spec := spec
		a, b := tt.change(&spec, append([]byte{}, whole...), append([]byte{}, text...))
		if err := errors.Join(os.WriteFile(saved, a, 0o600), os.WriteFile(description, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		m, err := d.Start(t.Context(), spec, secrets)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		st, err := m.Status(t.Context())
		if err != nil || st.Resumed || !strings.Contains(st.Notice, tt.notice) {
			t.Errorf("%s: %+v, %v", tt.name, st, err)
		}
		if entries, err := filepath.Glob(filepath.Join(dir, "saved.*")); err != nil || len(entries) > 0 {
			t.Errorf("%s: left %v, %v", tt.name, entries, err)
		}
		if err := m.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

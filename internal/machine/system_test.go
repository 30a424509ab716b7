package machine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
)

// The Debian guest runs its published application as its user, and its second
// version finds the user's data. It shuts down in good order both times.
func TestSystemGuest(t *testing.T) {
	t.Parallel()
	d := driver(t)
	h := hypervisortest.Harness{Patience: 5 * time.Minute}
	dir, keys := hypervisortest.Dir(t), secrets()
	start := func(version string) hypervisor.Machine {
		spec := hypervisortest.FindGuest(t, version).Spec(t, dir)
		spec.Layer, spec.ComputerName, spec.Processors, spec.Network = version, "desk-17", 2, hypervisor.NetworkNAT
		spec.Data.Size = 256 << 20
		m := h.Start(t, d, spec, keys)
		st := h.Ready(t, m)
		t.Logf("%s: ready %s after its start", version, st.Guest.Since.Sub(st.Started).Round(100*time.Millisecond))
		if st.Guest.Hostname != "desk-17" || !strings.Contains(st.Guest.System, "Debian") {
			t.Errorf("guest: %+v", st.Guest)
		}
		return m
	}

	m := start("v1")
	if got := h.Output(t, m, []string{"dormer-hello"}); !strings.HasPrefix(got, "Hello from desk-17, version 1 of the test guest, as user\n") {
		t.Errorf("published application says %q", got)
	}
	h.Output(t, m, []string{"sh", "-c", "echo mine >/data/letter && pwd"})
	if got := h.Output(t, m, []string{"pwd"}); got != "/home/user\n" {
		t.Errorf("commands start in %q", got)
	}
	result, err := m.Exec(t.Context(), guestwire.ExecRequest{Args: []string{"sh", "-c", "echo x >/etc/written"}})
	if err != nil || result.ExitCode == 0 {
		t.Errorf("the guest's user must not write to /etc: %+v, %v", result, err)
	}
	h.Shutdown(t, m)

	m = start("v2")
	if got := h.Output(t, m, []string{"dormer-hello"}); !strings.Contains(got, "version 2") {
		t.Errorf("published application says %q", got)
	}
	if got := h.Output(t, m, []string{"cat", "/data/letter"}); got != "mine\n" {
		t.Errorf("the data disk has %q", got)
	}
	h.Shutdown(t, m)
}

// Package hypervisortest is the conformance suite of hypervisor.Driver. Tests
// of each driver run it; nothing else imports it.
package hypervisortest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Harness is what the suite must know of a driver and its guest.
type Harness struct {
	// Open returns a driver. Calls stand for restarts of the driver's program:
	// the drivers they return share a computer.
	Open func(t *testing.T) hypervisor.Driver
	// Survives says that machines outlive the driver that started them.
	Survives bool
	// Spec returns what to start in dir, with a data disk.
	Spec func(t *testing.T, dir string) hypervisor.Spec
	// Echo, Write, Read and Sleep are commands of the guest: print a text,
	// replace a file, print a file (failing when there is none), take a minute.
	Echo  func(text string) []string
	Write func(path, text string) []string
	Read  func(path string) []string
	Sleep []string
	// SystemPath and DataPath are files on the system disk and the data disk
	// that the guest's user may write.
	SystemPath, DataPath string
	// MemoryPath is a file in the guest's memory that its user may write.
	MemoryPath string
	// Two looks at two machines that run at once; nil for no look.
	Two func(t *testing.T, one, two Running)
	// Patience is how long a guest may take to come up or to go down.
	Patience time.Duration
}

// Running is a machine that runs.
type Running struct {
	Machine hypervisor.Machine
	Spec    hypervisor.Spec
	Secrets hypervisor.Secrets
}

// Run runs the suite. Machines take long to boot, so that there are few of them,
// and no more than two at once.
func (h Harness) Run(t *testing.T) {
	h.RunWithoutMachines(t)
	t.Run("Two", h.two)
	t.Run("Life", h.life)
	t.Run("Disks", h.disks)
	t.Run("Devices", h.devices)
	t.Run("Power", h.power)
}

// RunWithoutMachines runs what boots no guest.
func (h Harness) RunWithoutMachines(t *testing.T) {
	t.Run("Probe", h.probe)
	t.Run("Refusals", h.refusals)
}

// Dir returns a machine's directory, removed at the end of the test.
func Dir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// MachineID returns a new identity.
func MachineID(t *testing.T) dormer.MachineID {
	t.Helper()
	id, err := dormer.NewID(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return dormer.MachineID(id)
}

// Secrets returns new keys.
func Secrets() hypervisor.Secrets {
	key := make([]byte, 32)
	rand.Read(key)
	return hypervisor.Secrets{DiskKey: key}
}

func (h Harness) context(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), h.Patience)
	t.Cleanup(cancel)
	return ctx
}

// Start starts a machine that the test kills at its end.
func (h Harness) Start(t *testing.T, d hypervisor.Driver, spec hypervisor.Spec, secrets hypervisor.Secrets) hypervisor.Machine {
	t.Helper()
	m, err := d.Start(h.context(t), spec, secrets)
	if err != nil {
		t.Fatalf("start: %v%s", err, Logs(spec.Dir))
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("machine %s:%s", spec.Machine, Logs(spec.Dir))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.Kill(ctx); err != nil {
			t.Errorf("kill at the end of the test: %v", err)
		}
	})
	return m
}

// Ready waits until the guest can start applications.
func (h Harness) Ready(t *testing.T, m hypervisor.Machine) hypervisor.Status {
	t.Helper()
	return h.WaitStatus(t, m, "ready", func(st hypervisor.Status) bool { return st.Guest.Ready })
}

// WaitStatus waits until the status of a machine is as wanted.
func (h Harness) WaitStatus(t *testing.T, m hypervisor.Machine, what string, want func(hypervisor.Status) bool) hypervisor.Status {
	t.Helper()
	ctx := h.context(t)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := m.Status(ctx)
		if err != nil {
			t.Fatalf("wait until machine is %s: %v", what, err)
		}
		if want(st) {
			return st
		}
		if st.State == hypervisor.StateStopped {
			t.Fatalf("machine ended while waiting until it is %s: %+v", what, st)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("machine is not %s: %+v", what, st)
		case <-tick.C:
		}
	}
}

// Output runs a command that must succeed and returns what it printed.
func (h Harness) Output(t *testing.T, m hypervisor.Machine, args []string) string {
	t.Helper()
	result, err := m.Exec(h.context(t), guestwire.ExecRequest{Args: args})
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if result.ExitCode != 0 {
		t.Fatalf("%q: exit status %d: %s", args, result.ExitCode, result.Stderr)
	}
	return string(result.Stdout)
}

func (h Harness) fails(t *testing.T, m hypervisor.Machine, args []string) {
	t.Helper()
	result, err := m.Exec(h.context(t), guestwire.ExecRequest{Args: args})
	if err != nil || result.ExitCode == 0 {
		t.Errorf("%q must fail: %+v, %v", args, result, err)
	}
}

// Shutdown shuts a machine down and checks that it has ended.
func (h Harness) Shutdown(t *testing.T, m hypervisor.Machine) {
	t.Helper()
	if err := m.Shutdown(h.context(t)); err != nil {
		t.Fatalf("shut down: %v", err)
	}
	h.Ended(t, m, hypervisor.ReasonShutdown)
}

// Ended waits until a machine has ended and checks why.
func (h Harness) Ended(t *testing.T, m hypervisor.Machine, want hypervisor.Reason) {
	t.Helper()
	select {
	case <-m.Done():
	case <-h.context(t).Done():
		t.Fatal("machine does not end")
	}
	st, err := m.Status(h.context(t))
	if err != nil || st.State != hypervisor.StateStopped || st.Reason != want {
		t.Fatalf("status of ended machine: %+v, %v; want %s", st, err, want)
	}
}

// Logs returns the ends of the logs in a machine's directory.
func Logs(dir string) string {
	var b strings.Builder
	for _, name := range []string{hypervisor.FileLog, hypervisor.FileConsole} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		if len(text) > 6000 {
			text = text[len(text)-6000:]
		}
		b.WriteString("\n--- " + name + "\n")
		b.Write(bytes.ToValidUTF8(text, []byte("?")))
	}
	return b.String()
}

func (h Harness) probe(t *testing.T) {
	caps, err := h.Open(t).Probe(h.context(t))
	if err != nil {
		t.Fatal(err)
	}
	if caps.Hypervisor == "" || caps.Accelerator == "" || caps.CPU == "" || len(caps.MachineTypes) == 0 || len(caps.Networks) == 0 {
		t.Errorf("incomplete: %+v", caps)
	}
}

func (h Harness) refusals(t *testing.T) {
	d := h.Open(t)
	dir := Dir(t)
	tests := []struct {
		name   string
		change func(*hypervisor.Spec, *hypervisor.Secrets)
		want   error
	}{
		{"no memory", func(s *hypervisor.Spec, _ *hypervisor.Secrets) { s.Memory = 0 }, dormer.ErrInvalid},
		{"no base", func(s *hypervisor.Spec, _ *hypervisor.Secrets) { s.Base = nil }, dormer.ErrInvalid},
		{"short key", func(_ *hypervisor.Spec, k *hypervisor.Secrets) { k.DiskKey = k.DiskKey[:3] }, dormer.ErrInvalid},
		{"disk bus", func(s *hypervisor.Spec, _ *hypervisor.Secrets) { s.DiskBus = "nvme" }, dormer.ErrUnsupported},
		{"TPM", func(s *hypervisor.Spec, _ *hypervisor.Secrets) { s.TPM = true }, dormer.ErrUnsupported},
		{"base is missing", func(s *hypervisor.Spec, _ *hypervisor.Secrets) {
			s.Base = []hypervisor.DiskSource{{File: filepath.Join(dir, "missing"), Format: hypervisor.FormatRaw}}
		}, dormer.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec, secrets := h.Spec(t, dir), Secrets()
			tt.change(&spec, &secrets)
			m, err := d.Start(h.context(t), spec, secrets)
			if m != nil || !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if _, err := d.Adopt(h.context(t), dir); !errors.Is(err, dormer.ErrNotFound) {
				t.Errorf("after a refused start, adopt gives %v", err)
			}
		})
	}
}

// life takes a machine from its start to its end in good order, with commands
// in between.
func (h Harness) life(t *testing.T) {
	t.Parallel()
	d := h.Open(t)
	dir := Dir(t)
	if _, err := d.Adopt(h.context(t), dir); !errors.Is(err, dormer.ErrNotFound) {
		t.Fatalf("adopt before the start: %v", err)
	}
	spec, secrets := h.Spec(t, dir), Secrets()
	spec.ComputerName = "desk-17"
	m := h.Start(t, d, spec, secrets)
	if _, err := d.Start(h.context(t), spec, secrets); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("second start: got %v, want ErrExists", err)
	}
	// No waiting here: Exec itself waits for the guest.
	if got := h.Output(t, m, h.Echo("a 'b' $c ;d")); got != "a 'b' $c ;d\n" {
		t.Errorf("got %q: arguments must arrive as they are", got)
	}
	st := h.Ready(t, m)
	if st.State != hypervisor.StateRunning || st.Started.IsZero() || st.Guest.Hostname != "desk-17" || st.Guest.System == "" || st.Hardware.Hypervisor == "" {
		t.Errorf("status of running machine: %+v", st)
	}
	again, err := d.Adopt(h.context(t), dir)
	if err != nil {
		t.Fatalf("adopt: %v", err)
	}
	if h.Survives {
		if again, err = h.Open(t).Adopt(h.context(t), dir); err != nil {
			t.Fatalf("adopt by a new driver: %v", err)
		}
	}
	h.commands(t, again)
	h.Shutdown(t, m)
	h.Ended(t, again, hypervisor.ReasonShutdown)
	ctx := h.context(t)
	if err := again.Shutdown(ctx); err != nil {
		t.Errorf("shut down twice: %v", err)
	}
	if err := again.Kill(ctx); err != nil {
		t.Errorf("kill after the end: %v", err)
	}
	if _, err := m.Exec(ctx, guestwire.ExecRequest{Args: h.Echo("x")}); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("command after the end: got %v, want ErrUnavailable", err)
	}
	if _, err := d.Adopt(ctx, dir); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("adopt after the end: got %v, want ErrNotFound", err)
	}
}

func (h Harness) commands(t *testing.T, m hypervisor.Machine) {
	t.Helper()
	if got := h.Output(t, m, h.Echo("here")); got != "here\n" {
		t.Errorf("adopted machine says %q", got)
	}
	h.fails(t, m, h.Read(h.SystemPath+".missing"))
	ctx := h.context(t)
	if _, err := m.Exec(ctx, guestwire.ExecRequest{}); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("empty command: got %v, want ErrInvalid", err)
	}
	if _, err := m.Exec(ctx, guestwire.ExecRequest{Args: []string{"no-such-program-anywhere"}}); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("unknown program: got %v, want ErrNotFound", err)
	}
	started := time.Now()
	result, err := m.Exec(ctx, guestwire.ExecRequest{Args: h.Sleep, Timeout: 300 * time.Millisecond})
	if err != nil || !result.TimedOut || result.ExitCode != -1 {
		t.Errorf("command over its time: %+v, %v", result, err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := m.Exec(short, guestwire.ExecRequest{Args: h.Sleep}); err == nil {
		t.Error("a command must end with its context")
	}
	if result, err = m.Exec(ctx, guestwire.ExecRequest{Args: h.Sleep, Detach: true}); err != nil || result.PID == 0 {
		t.Errorf("detached command: %+v, %v", result, err)
	}
	if took := time.Since(started); took > 45*time.Second {
		t.Errorf("three ended commands took %s", took)
	}
}

// disks checks that a kept layer keeps, that a throw-away one has nothing of it
// and changes nothing in it, and that the data disk outlives both.
func (h Harness) disks(t *testing.T) {
	t.Parallel()
	d := h.Open(t)
	secrets := Secrets()
	spec := h.Spec(t, Dir(t))

	spec.Overlay = hypervisor.OverlayKeep
	m := h.Start(t, d, spec, secrets)
	h.Ready(t, m)
	h.Output(t, m, h.Write(h.SystemPath, "one"))
	h.Output(t, m, h.Write(h.DataPath, "mine"))
	h.Shutdown(t, m)

	if _, err := d.Start(h.context(t), spec, Secrets()); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("start with another key: got %v, want ErrCorrupt", err)
	}

	spec.Overlay = hypervisor.OverlayDiscard
	m = h.Start(t, d, spec, secrets)
	h.Ready(t, m)
	h.fails(t, m, h.Read(h.SystemPath))
	if got := h.Output(t, m, h.Read(h.DataPath)); got != "mine" {
		t.Errorf("under a throw-away layer the data disk has %q", got)
	}
	h.Output(t, m, h.Write(h.SystemPath, "gone"))
	h.Shutdown(t, m)

	spec.Overlay = hypervisor.OverlayKeep
	m = h.Start(t, d, spec, secrets)
	h.Ready(t, m)
	if got := h.Output(t, m, h.Read(h.SystemPath)); got != "one" {
		t.Errorf("kept layer has %q", got)
	}
	h.Shutdown(t, m)
}

// two runs two machines at once; killing one leaves the other alone.
func (h Harness) two(t *testing.T) {
	d := h.Open(t)
	run := func() Running {
		r := Running{Spec: h.Spec(t, Dir(t)), Secrets: Secrets()}
		r.Machine = h.Start(t, d, r.Spec, r.Secrets)
		return r
	}
	a, b := run(), run()
	h.Output(t, a.Machine, h.Write(h.SystemPath, "a"))
	h.fails(t, b.Machine, h.Read(h.SystemPath))
	if h.Two != nil {
		h.Two(t, a, b)
	}
	if err := a.Machine.Kill(h.context(t)); err != nil {
		t.Fatal(err)
	}
	h.Ended(t, a.Machine, hypervisor.ReasonKilled)
	entries, err := os.ReadDir(a.Spec.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if hypervisor.Leftover(e.Name()) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
	if got := h.Output(t, b.Machine, h.Echo("still here")); got != "still here\n" {
		t.Errorf("got %q", got)
	}
}

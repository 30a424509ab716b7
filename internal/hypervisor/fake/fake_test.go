package fake_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
)

func spec(t *testing.T, dir string) hypervisor.Spec {
	return hypervisor.Spec{
		Machine: hypervisortest.MachineID(t), Dir: dir, Memory: 64, Processors: 1,
		Base:    []hypervisor.DiskSource{{Image: &hypervisor.ImageDisk{Store: "/store", Image: "sha256:0"}}},
		Layer:   "v1",
		Overlay: hypervisor.OverlayKeep,
		Data:    &hypervisor.DataDisk{Size: 1 << 20, Label: "data", MountPoint: "/data"},
		Network: hypervisor.NetworkNone,
	}
}

func TestConformance(t *testing.T) {
	host := fake.NewHost(time.Now)
	host.SetBootTime(10 * time.Millisecond)
	hypervisortest.Harness{
		Open:     func(*testing.T) hypervisor.Driver { return host.Driver() },
		Survives: true,
		Spec:     spec,
		Echo:     func(text string) []string { return []string{"echo", text} },
		Write:    func(path, text string) []string { return []string{"write", path, text} },
		Read:     func(path string) []string { return []string{"cat", path} },
		Sleep:    []string{"sleep", "60"}, SystemPath: "/etc/x", DataPath: "/data/x", MemoryPath: "/run/x",
		Patience: 10 * time.Second,
	}.Run(t)
}

func TestScriptedAnswers(t *testing.T) {
	host := fake.NewHost(time.Now)
	host.SetAnswer(func(_ context.Context, _ hypervisor.Spec, r guestwire.ExecRequest) (guestwire.ExecResult, error, bool) {
		return guestwire.ExecResult{Stdout: []byte("scripted")}, nil, r.Args[0] == "office"
	})
	m, err := host.Driver().Start(t.Context(), spec(t, hypervisortest.Dir(t)), hypervisortest.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]string{"office": "scripted", "whoami": "user\n"} {
		got, err := m.Exec(t.Context(), guestwire.ExecRequest{Args: []string{command}})
		if err != nil || string(got.Stdout) != want {
			t.Errorf("%s: %q, %v", command, got.Stdout, err)
		}
	}
}

func TestControls(t *testing.T) {
	host := fake.NewHost(time.Now)
	dir := hypervisortest.Dir(t)
	s := spec(t, dir)
	m, err := host.Driver().Start(t.Context(), s, hypervisortest.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	if got := host.Running(); len(got) != 1 || got[0].Machine != s.Machine {
		t.Errorf("running: %+v", got)
	}
	if err := host.Pause(dir, hypervisor.ReasonNoSpace); err != nil {
		t.Fatal(err)
	}
	if st, err := m.Status(t.Context()); err != nil || st.State != hypervisor.StatePaused || st.Reason != hypervisor.ReasonNoSpace {
		t.Errorf("paused: %+v, %v", st, err)
	}
	host.IgnoreShutdown(true)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := m.Shutdown(short); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("shutdown of a guest that ignores it: %v", err)
	}
	host.PowerCut()
	<-m.Done()
	if st, err := m.Status(t.Context()); err != nil || st.Reason != hypervisor.ReasonCrashed {
		t.Errorf("after a power cut: %+v, %v", st, err)
	}
	if err := host.End(dir, hypervisor.ReasonRestart); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("end of no machine: %v", err)
	}
	if len(host.Running()) != 0 || host.Starts() != 1 {
		t.Error("nothing must run")
	}
}

package process_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/hypervisor/process"
)

// The suite runs where the machine process is: internal/machine.

func spec(t *testing.T, dir string) hypervisor.Spec {
	t.Helper()
	return hypervisor.Spec{
		Machine: hypervisortest.MachineID(t), Dir: dir, Memory: 64, Processors: 1, Layer: "v1",
		Base:    []hypervisor.DiskSource{{Socket: "/s"}},
		Overlay: hypervisor.OverlayKeep, Network: hypervisor.NetworkNone,
	}
}

func TestMachineProcessThatFails(t *testing.T) {
	for name, script := range map[string]string{
		"ends at once": "exit 3", "says nothing": "cat >/dev/null", "talks nonsense": "cat >/dev/null; echo nonsense >&3",
	} {
		t.Run(name, func(t *testing.T) {
			dir := hypervisortest.Dir(t)
			d := process.New(process.Config{Command: []string{"/bin/sh", "-c", script}})
			if _, err := d.Start(t.Context(), spec(t, dir), hypervisortest.Secrets()); !errors.Is(err, dormer.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if _, err := d.Adopt(t.Context(), dir); !errors.Is(err, dormer.ErrNotFound) {
				t.Errorf("adopt: %v", err)
			}
		})
	}
}

func TestMachineProcessThatHangs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	d := process.New(process.Config{Command: []string{"/bin/sh", "-c", "exec sleep 60"}})
	started := time.Now()
	if _, err := d.Start(ctx, spec(t, hypervisortest.Dir(t)), hypervisortest.Secrets()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

// A pid file of an earlier boot, or of a process that is another one by now,
// names no machine.
func TestAdoptOfTheDead(t *testing.T) {
	dir := hypervisortest.Dir(t)
	files := map[string]string{
		hypervisor.FileOwner: `{"pid":1,"start":5,"boot":"another"}`, hypervisor.FileControl: "",
		hypervisor.FileLayer(hypervisor.OverlayDiscard, "v1", 0): "x", hypervisor.FileData: "keep",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := process.New(process.Config{}).Adopt(t.Context(), dir); !errors.Is(err, dormer.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	for name := range files {
		_, err := os.Stat(filepath.Join(dir, name))
		if left := err == nil; left != (name == hypervisor.FileData) {
			t.Errorf("%s is there: %t", name, left)
		}
	}
	if _, err := process.New(process.Config{}).Adopt(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("no directory: %v", err)
	}
}

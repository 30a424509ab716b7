//go:build linux

package hypervisor_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/hypervisor"
)

// A QEMU whose owner was killed before it wrote down the process is waited for
// too: its disks are locked until it has gone.
func TestEndLeftBehindWaitsForWhoHasTheLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := hypervisor.EndLeftBehind(dir); err != nil {
		t.Fatalf("where nothing ran: %v", err)
	}
	lock, err := hypervisor.LockForQEMU(dir)
	if err != nil {
		t.Fatal(err)
	}
	running := exec.CommandContext(t.Context(), "cat")
	running.ExtraFiles = []*os.File{lock}
	input, err := running.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- hypervisor.EndLeftBehind(dir) }()
	early := time.NewTimer(50 * time.Millisecond)
	defer early.Stop()
	select {
	case err := <-ended:
		t.Errorf("it did not wait: %v", err)
	case <-early.C:
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := running.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

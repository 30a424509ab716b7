package qemu_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
)

// A full disk pauses the machine, and room lets it go on, with nothing lost.
func TestFullDiskPauses(t *testing.T) {
	t.Parallel()
	d := driver(t)
	h := hypervisortest.TinyHarness(t, func(*testing.T) hypervisor.Driver { return d }, false, nil)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=56m"); err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatalf("a small disk: %v", err)
		}
		t.Skipf("needs root, to make a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(disk, "m")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	spec := h.Spec(t, dir)
	spec.Data.Size = 256 << 20
	m := h.Start(t, d, spec, hypervisortest.Secrets())
	h.Ready(t, m)
	_, err := m.Exec(t.Context(), guestwire.ExecRequest{
		Args: []string{"sh", "-c", "dd if=/dev/urandom of=/data/big bs=1M count=100 && sync && sha256sum /data/big >/data/sum && echo done >/data/done"}, Detach: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	st := h.WaitStatus(t, m, "paused", func(st hypervisor.Status) bool { return st.State == hypervisor.StatePaused })
	if st.Reason != hypervisor.ReasonNoSpace {
		t.Errorf("paused for %q", st.Reason)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=400m"); err != nil {
		t.Fatal(err)
	}
	h.WaitStatus(t, m, "running again", func(st hypervisor.Status) bool { return st.State == hypervisor.StateRunning })
	out := h.Output(t, m, []string{"sh", "-c", "while ! [ -f /data/done ]; do usleep 200000; done; sync; echo 3 >/proc/sys/vm/drop_caches 2>/dev/null; sha256sum -c /data/sum"})
	if out != "/data/big: OK\n" {
		t.Errorf("what was written before and after the pause: %q", out)
	}
	h.Shutdown(t, m)
}

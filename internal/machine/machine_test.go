package machine_test

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/hypervisor/process"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
	"github.com/dormer-project/dormer/internal/machine"
	"github.com/dormer-project/dormer/internal/nbd"
)

// TestMain makes the test binary the machine process too, as the agent's
// program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "machine" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := machine.Main(ctx, machine.Config{
			Secrets: os.Stdin, Ready: os.NewFile(3, "ready"), OpenBase: openBase, Now: time.Now,
			QEMU: qemu.Config{Accelerator: os.Getenv("TEST_ACCELERATOR")},
			Log:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}, os.Args[2:])
		stop()
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "dormer-machine-")
	if err != nil {
		panic(err)
	}
	probeFile = filepath.Join(dir, "probe.json")
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// fileBase serves a file as the disk of an image: the tests' image store is a
// folder with one file for each stream.
type fileBase struct {
	*os.File
	size int64
}

func openBase(_ context.Context, disk hypervisor.ImageDisk, key []byte) (machine.Base, error) {
	if string(key) != "repository key" {
		return nil, errors.Join(errors.New("wrong repository key"), dormer.ErrCorrupt)
	}
	f, err := os.Open(filepath.Join(disk.Store, strings.Repeat("s", disk.Index+1)))
	if err != nil {
		return nil, errors.Join(err, dormer.ErrNotFound)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &fileBase{f, st.Size()}, nil
}

func (b *fileBase) Size() int64 { return b.size }

func (b *fileBase) Extents(_, n int64) ([]nbd.Extent, error) { return []nbd.Extent{{Length: n}}, nil }

// imageSpec is the tiny guest as an image in a store.
func imageSpec(t *testing.T) func(*hypervisor.Spec) {
	t.Helper()
	store := t.TempDir()
	var once sync.Once
	return func(s *hypervisor.Spec) {
		if s.Base[0].File == "" {
			return
		}
		once.Do(func() {
			for i, from := range []string{s.Base[0].File, s.Boot.Kernel.File, s.Boot.Initrd.File} {
				if err := os.Symlink(from, filepath.Join(store, strings.Repeat("s", i+1))); err != nil {
					t.Fatal(err)
				}
			}
		})
		image := func(i int) hypervisor.DiskSource {
			return hypervisor.DiskSource{Image: &hypervisor.ImageDisk{Store: store, Image: "sha256:0", Index: i}}
		}
		s.Base[0], s.Boot.Kernel, s.Boot.Initrd = image(0), image(1), image(2)
	}
}

func driver(t *testing.T) *process.Driver {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return process.New(process.Config{
		Command: []string{exe, "machine"}, Env: []string{"TEST_ACCELERATOR=tcg"}, ProbeFile: probeFile,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
}

// probeFile remembers the probe for all tests; TestMain sets and removes it.
var probeFile string

// harness boots the tiny guest in machine processes.
func harness(t *testing.T, change func(*hypervisor.Spec)) hypervisortest.Harness {
	t.Helper()
	return hypervisortest.TinyHarness(t, func(t *testing.T) hypervisor.Driver { return driver(t) }, true, change)
}

func TestConformance(t *testing.T) {
	h := harness(t, func(s *hypervisor.Spec) { s.Display = true })
	h.Two = ownUsers
	h.Run(t)
}

func secrets() hypervisor.Secrets {
	s := hypervisortest.Secrets()
	s.RepositoryKey = []byte("repository key")
	return s
}

// An image's disk comes over the network block device server, its boot files
// as copies; the machine process outlives its starter; killed, it takes QEMU
// with it and the machine starts again.
func TestImageAndKill(t *testing.T) {
	t.Parallel()
	h := harness(t, imageSpec(t))
	dir := hypervisortest.Dir(t)
	spec, keys := h.Spec(t, dir), secrets()
	spec.Network = hypervisor.NetworkNAT

	wrong := keys
	wrong.RepositoryKey = nil
	if _, err := driver(t).Start(t.Context(), spec, wrong); !errors.Is(err, dormer.ErrCorrupt) {
		t.Fatalf("start without the repository key: %v", err)
	}

	m := h.Start(t, driver(t), spec, keys)
	st := h.Ready(t, m)
	h.Output(t, m, h.Write(h.SystemPath, "kept"))
	h.Output(t, m, h.Write(h.DataPath, "mine"))
	if len(st.PIDs) != 2 {
		t.Fatalf("processes: %v", st.PIDs)
	}
	for _, pid := range st.PIDs {
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join("/proc", itoa(pid), file))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), hexOf(keys.DiskKey)) || strings.Contains(string(text), string(keys.DiskKey)) {
				t.Errorf("the disk key is in %s of process %d", file, pid)
			}
		}
	}

	uid := uint32(0)
	if os.Geteuid() == 0 {
		uid = machineUser(t, st.PIDs[0], st.PIDs[1])
	}
	started := children(t, st.PIDs[0])
	if len(started) < 2 {
		t.Errorf("the machine process has started %v, want QEMU and passt", started)
	}
	if err := syscall.Kill(st.PIDs[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.Ended(t, m, hypervisor.ReasonCrashed)
	gone(t, started)
	if id, err := hypervisor.IdentifyProcess(st.PIDs[1]); err == nil {
		t.Errorf("QEMU has outlived its owner: %+v", id)
	}
	if _, err := driver(t).Adopt(t.Context(), dir); !errors.Is(err, dormer.ErrNotFound) {
		t.Fatalf("adopt after the kill: %v", err)
	}
	noLeftovers(t, dir)

	m = h.Start(t, driver(t), spec, keys)
	st = h.Ready(t, m)
	if uid != 0 && machineUser(t, st.PIDs[0], st.PIDs[1]) != uid {
		t.Errorf("after the kill the machine is not user %d any more", uid)
	}
	if got := h.Output(t, m, h.Read(h.SystemPath)); got != "kept" {
		t.Errorf("after the kill the layer has %q", got)
	}
	if got := h.Output(t, m, h.Read(h.DataPath)); got != "mine" {
		t.Errorf("after the kill the data disk has %q", got)
	}
	if err := syscall.Kill(st.PIDs[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.Ended(t, m, hypervisor.ReasonCrashed)
	end, ok := hypervisor.LastEnd(dir)
	if !ok || end.Reason != hypervisor.ReasonCrashed {
		t.Errorf("recorded end: %+v, %v", end, ok)
	}
	noLeftovers(t, dir)
}

// The computer that shuts down ends machine processes by SIGTERM.
func TestTerminate(t *testing.T) {
	t.Parallel()
	h := harness(t, nil)
	dir := hypervisortest.Dir(t)
	m := h.Start(t, driver(t), h.Spec(t, dir), secrets())
	st := h.Ready(t, m)
	if err := syscall.Kill(st.PIDs[0], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.Ended(t, m, hypervisor.ReasonShutdown)
	noLeftovers(t, dir)
}

// A machine process that hangs is killed, and QEMU with it.
func TestHungProcess(t *testing.T) {
	t.Parallel()
	h := harness(t, nil)
	dir := hypervisortest.Dir(t)
	m := h.Start(t, driver(t), h.Spec(t, dir), secrets())
	st := h.Ready(t, m)
	started := children(t, st.PIDs[0])
	if err := syscall.Kill(st.PIDs[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := m.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Ended(t, m, hypervisor.ReasonCrashed)
	gone(t, started)
	noLeftovers(t, dir)
}

// A guest that restarts itself ends its machine and says so.
func TestGuestRestarts(t *testing.T) {
	t.Parallel()
	h := harness(t, nil)
	m := h.Start(t, driver(t), h.Spec(t, hypervisortest.Dir(t)), secrets())
	h.Ready(t, m)
	if _, err := m.Exec(t.Context(), guestwire.ExecRequest{Args: []string{"reboot", "-f"}, User: "root", Detach: true}); err != nil {
		t.Fatal(err)
	}
	h.Ended(t, m, hypervisor.ReasonRestart)
}

// children are the processes that a process has started.
func children(t *testing.T, pid int) []hypervisor.ProcessID {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join("/proc", itoa(pid), "task", "*", "children"))
	if err != nil {
		t.Fatal(err)
	}
	var out []hypervisor.ProcessID
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		for field := range strings.FieldsSeq(string(text)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			if id, err := hypervisor.IdentifyProcess(n); err == nil {
				out = append(out, id)
			}
		}
	}
	return out
}

// gone waits until processes have ended.
func gone(t *testing.T, ids []hypervisor.ProcessID) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, id := range ids {
		for id.Alive() {
			select {
			case <-tick.C:
			case <-deadline:
				t.Errorf("process %d goes on", id.PID)
				return
			}
		}
	}
}

func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	left := slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !hypervisor.Leftover(e.Name()) })
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func hexOf(b []byte) string { return hex.EncodeToString(b) }

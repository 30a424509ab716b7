package machine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// guestRoot runs a script as the guest's administrator.
func guestRoot(t *testing.T, m hypervisor.Machine, script string) string {
	t.Helper()
	result, err := m.Exec(t.Context(), guestwire.ExecRequest{Args: []string{"sh", "-c", script}, User: "root", Timeout: time.Minute})
	if err != nil || result.ExitCode != 0 {
		t.Fatalf("%s: %+v, %v", script, result, err)
	}
	return string(result.Stdout)
}

// Whenever the processes of a machine are killed while it is saved or goes on,
// the next start finds a whole saved state or none, and whole disks.
func TestKilledWhileSaving(t *testing.T) {
	t.Parallel()
	d := driver(t)
	h := hypervisortest.TinyHarness(t, func(t *testing.T) hypervisor.Driver { return driver(t) }, true, imageSpec(t))
	spec, secrets := h.Spec(t, hypervisortest.Dir(t)), hypervisortest.Secrets()
	secrets.RepositoryKey = []byte("repository key")
	spec.Resume = true
	start := func() hypervisor.Machine {
		t.Helper()
		m, err := d.Start(t.Context(), spec, secrets)
		if err != nil {
			t.Fatalf("start: %v%s", err, hypervisortest.Logs(spec.Dir))
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := m.Kill(ctx); err != nil {
				t.Error(err)
			}
		})
		return m
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(spec.Dir, name))
		return err == nil
	}
	m := start()
	h.Ready(t, m)
	guestRoot(t, m, "dd if=/dev/urandom of=/data/big bs=1M count=4 && sha256sum /data/big >/data/sum && sync && head -c 20000000 /dev/urandom >/run/ballast && echo first >/run/note")
	wholes, nones := 0, 0
	for _, delay := range []time.Duration{0, 60 * time.Millisecond, 150 * time.Millisecond, 400 * time.Millisecond} {
		saved := make(chan error, 1)
		go func() { saved <- m.Save(t.Context()) }()
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
			if err := hypervisor.ReadProcess(spec.Dir, hypervisor.FileOwner).Kill(); err != nil {
				t.Fatal(err)
			}
		case <-m.Done():
		}
		timer.Stop()
		<-m.Done()
		err := <-saved
		whole := exists(hypervisor.FileSavedState)
		if err == nil && !whole {
			t.Errorf("after %s save says it has saved, and it has not", delay)
		}
		m = start()
		st, statusErr := m.Status(t.Context())
		if statusErr != nil || st.Resumed != whole || st.Notice != "" {
			t.Errorf("after %s, whole %t: %+v, %v", delay, whole, st, statusErr)
		}
		if left, err := filepath.Glob(filepath.Join(spec.Dir, "saved.*")); err != nil || len(left) > 0 {
			t.Errorf("after %s beside a running machine: %v, %v", delay, left, err)
		}
		h.Ready(t, m)
		if out := guestRoot(t, m, "sha256sum -c /data/sum"); out != "/data/big: OK\n" {
			t.Errorf("after %s the data disk: %q", delay, out)
		}
		if whole {
			wholes++
			if out := guestRoot(t, m, "cat /run/note"); out != "first\n" {
				t.Errorf("after %s memory has %q", delay, out)
			}
			continue
		}
		nones++
		guestRoot(t, m, "head -c 20000000 /dev/urandom >/run/ballast && echo first >/run/note")
	}
	t.Logf("%d were saved, %d were not", wholes, nones)

	// Killed while it goes on: there is either what was saved, or nothing.
	if err := m.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, delay := range []time.Duration{0, 40 * time.Millisecond, 80 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond} {
		if !exists(hypervisor.FileSavedState) {
			break
		}
		starting := make(chan struct{})
		go func() {
			defer close(starting)
			again, err := d.Start(t.Context(), spec, secrets)
			if err != nil && !errors.Is(err, dormer.ErrUnavailable) {
				t.Errorf("start that is killed: %v", err)
			}
			if err == nil {
				<-again.Done()
			}
		}()
		timer := time.NewTimer(delay)
		<-timer.C
		killed := time.NewTicker(5 * time.Millisecond)
		for ended := false; !ended && !hypervisor.ReadProcess(spec.Dir, hypervisor.FileOwner).Alive(); {
			select {
			case <-starting:
				ended = true
			case <-killed.C:
			}
		}
		killed.Stop()
		if err := hypervisor.ReadProcess(spec.Dir, hypervisor.FileOwner).Kill(); err != nil {
			t.Fatal(err)
		}
		<-starting
	}
	whole := exists(hypervisor.FileSavedState)
	m = start()
	st := h.Ready(t, m)
	if st.Resumed != whole {
		t.Errorf("whole %t: %+v", whole, st)
	}
	t.Logf("after it was killed while going on, there was saved state: %t", whole)
	if out := guestRoot(t, m, "sha256sum -c /data/sum"); out != "/data/big: OK\n" {
		t.Errorf("the data disk: %q", out)
	}
	h.Shutdown(t, m)
}

// A save that finds no room leaves the machine running and nothing behind.
func TestNoRoomToSave(t *testing.T) {
	t.Parallel()
	d := driver(t)
	h := hypervisortest.TinyHarness(t, func(t *testing.T) hypervisor.Driver { return driver(t) }, true, imageSpec(t))
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=90m,mode=711"); err != nil {
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
	spec, secrets := h.Spec(t, dir), hypervisortest.Secrets()
	secrets.RepositoryKey = []byte("repository key")
	m := h.Start(t, d, spec, secrets)
	h.Ready(t, m)
	guestRoot(t, m, "echo here >/run/note; head -c 20000000 /dev/urandom >/run/ballast")
	if err := m.Save(t.Context()); !errors.Is(err, dormer.ErrFull) {
		t.Errorf("save without room: %v", err)
	}
	st := h.WaitStatus(t, m, "running", func(st hypervisor.Status) bool { return st.State == hypervisor.StateRunning })
	if st.Guest.Ready && st.Reason != "" {
		t.Errorf("after a save without room: %+v", st)
	}
	if out := guestRoot(t, m, "cat /run/note"); out != "here\n" {
		t.Errorf("the guest says %q", out)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "saved.*")); err != nil || len(left) > 0 {
		t.Errorf("left: %s, %v", strings.Join(left, " "), err)
	}
	h.Shutdown(t, m)
}

// The Debian guest, with a network and what a policy may allow, goes on where
// it was: its programs, its network and its channels.
func TestSystemGuestSaved(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.machine.onStop")
	d := driver(t)
	h := hypervisortest.Harness{Patience: 5 * time.Minute}
	spec := hypervisortest.FindGuest(t, "v1").Spec(t, hypervisortest.Dir(t))
	spec.ComputerName, spec.Processors, spec.Network, spec.Resume = "desk-17", 2, hypervisor.NetworkNAT, true
	spec.Channels = []guestwire.Channel{guestwire.ChannelClipboard, guestwire.ChannelFiles}
	spec.Sound, spec.USB, spec.Display = hypervisor.SoundOutput, []hypervisor.USBClass{hypervisor.USBStorage}, true
	spec.Data.Size = 256 << 20
	keys := secrets()
	clicked := time.Now()
	m := h.Start(t, d, spec, keys)
	h.Ready(t, m)
	t.Logf("a fresh start takes %s until the guest is ready", time.Since(clicked).Round(10*time.Millisecond))
	guestRoot(t, m, `nohup sh -c 'i=0; while :; do i=$((i+1)); echo $i >/run/count.new; mv /run/count.new /run/count; sleep 0.1; done' >/dev/null 2>&1 & echo $! >/run/counter
head -c 5000000 /dev/urandom >/data/big && sha256sum /data/big >/data/sum`)
	open := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn, err := m.Open(ctx, guestwire.ChannelFiles)
		if err != nil {
			t.Errorf("open channel: %v", err)
			return
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	open()
	before := guestRoot(t, m, "while ! cat /run/count; do sleep 0.1; done 2>/dev/null; uptime -s")
	// Applied while it runs, a change is part of what is saved.
	spec.Channels = []guestwire.Channel{guestwire.ChannelFiles, guestwire.ChannelPrint}
	if waits, err := m.Apply(t.Context(), spec); err != nil {
		t.Errorf("apply: %v, %v", waits, err)
	}
	for range 2 {
		started := time.Now()
		if err := m.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		took := time.Since(started)
		info, err := os.Stat(filepath.Join(spec.Dir, hypervisor.FileSaved))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("saved %d MiB in %s", info.Size()>>20, took.Round(10*time.Millisecond))
		clicked = time.Now()
		m = h.Start(t, d, spec, keys)
		running := time.Since(clicked)
		st := h.Ready(t, m)
		t.Logf("saved state runs after %s, its guest is ready after %s", running.Round(10*time.Millisecond), time.Since(clicked).Round(10*time.Millisecond))
		if !st.Resumed || st.Notice != "" {
			t.Fatalf("after saving: %+v", st)
		}
		if out := guestRoot(t, m, "kill -0 $(cat /run/counter) && a=$(cat /run/count) && sleep 1 && [ $(cat /run/count) -gt $a ] && echo counts; sha256sum -c /data/sum; ip -4 addr show scope global | grep -c inet"); out != "counts\n/data/big: OK\n1\n" {
			t.Errorf("after saving: %q, before %q", out, before)
		}
		open()
	}
	h.Shutdown(t, m)
}

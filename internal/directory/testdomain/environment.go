package testdomain

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// missing skips the test, or fails it where everything must be tested.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("DORMER_TEST_ALL") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// require looks for programs.
func require(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		// Those for administrators are not on everybody's path.
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if _, err := os.Stat(filepath.Join("/usr/sbin", p)); err != nil {
			missing(t, p+" is not installed: run scripts/setup.sh")
		}
	}
}

// script is the path of a script of the checkout that the test is in.
func script(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "scripts", name)
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("the test does not run in a checkout")
		}
		dir = filepath.Dir(dir)
	}
}

// output runs a program and returns what it says, without the last newline.
func output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(cmd.Path), err, out, complaints.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// shortDir is a folder that goes with the test. Not below TMPDIR: a socket's
// path may have no more than 107 bytes.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dormer-dc-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// loopback is where servers of tests listen that nobody else needs to reach;
// reachable are addresses that virtual machines of this computer reach, too.
const (
	loopback  = "127.0.0."
	reachable = "10.53.0."
)

// takeAddress returns the address network+first or the next free one, in steps
// of ten, and the file whose lock holds it. One where something listens on port is
// not free, locked or not: what a test would talk to then is not what it started.
func takeAddress(t testing.TB, kind, network string, first int, port string) (string, *os.File) {
	t.Helper()
	dir := filepath.Join(output(t, exec.CommandContext(t.Context(), script(t, "cache.sh"))), kind)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for last := first; last < 250; last += 10 {
		address, lock := fmt.Sprint(network, last), fmt.Sprintf("address-%d.lock", last)
		if network != loopback {
			lock = "address-" + address + ".lock"
		}
		f, err := os.OpenFile(filepath.Join(dir, lock), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if tryLock(f) && haveAddress(t, network, address) && unused(t, net.JoinHostPort(address, port)) {
			t.Cleanup(func() { _ = f.Close() })
			return address, f
		}
		_ = f.Close()
	}
	t.Fatalf("all addresses of %s are taken", kind)
	return "", nil
}

// haveAddress gives this computer an address until the test ends, unless it is
// of the loopback network, where all are its own.
func haveAddress(t testing.TB, network, address string) bool {
	t.Helper()
	if network == loopback {
		return true
	}
	require(t, "ip")
	output(t, exec.CommandContext(t.Context(), "ip", "address", "replace", address+"/32", "dev", "lo"))
	t.Cleanup(func() {
		// The test's own context is over by now.
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "ip", "address", "delete", address+"/32", "dev", "lo").Run()
	})
	return true
}

// unused reports whether nothing listens at an address.
func unused(t testing.TB, address string) bool {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// tail is the end of a log.
func tail(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-3000):])
}

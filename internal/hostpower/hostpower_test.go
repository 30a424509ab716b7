package hostpower

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
)

// startBus starts a real bus with its socket in dir.
func startBus(t *testing.T, dir string) (address string, stop func()) {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		if os.Getenv("DORMER_TEST_ALL") != "" {
			t.Fatal("dbus-daemon is missing: install the Debian package dbus-daemon")
		}
		t.Skip("SKIPPED: dbus-daemon is missing (Debian package dbus-daemon)")
	}
	socket := filepath.Join(dir, "bus")
	config := filepath.Join(dir, "bus.conf")
	err := os.WriteFile(config, []byte(fmt.Sprintf(`<busconfig>
  <type>system</type><listen>unix:path=%s</listen>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>`, socket)), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--print-address=1")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), stop
}

// login stands in for the login service.
type login struct {
	t    *testing.T
	bus  *dbus.Conn
	held chan *inhibitor
}

// inhibitor is a pipe: who waits has a copy of its writing end, as this has.
type inhibitor struct{ read, write *os.File }

func (l *login) Inhibit(what, who, _, mode string) (dbus.UnixFD, *dbus.Error) {
	if what != "sleep" || who != "Dormer" || mode != "delay" {
		return 0, dbus.MakeFailedError(fmt.Errorf("inhibit %s by %s in mode %s", what, who, mode))
	}
	ends := make([]int, 2)
	if err := unix.Pipe2(ends, unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	l.held <- &inhibitor{os.NewFile(uintptr(ends[0]), "inhibitor"), os.NewFile(uintptr(ends[1]), "inhibitor")}
	return dbus.UnixFD(ends[1]), nil
}

func startLogin(t *testing.T, address string) *login {
	t.Helper()
	bus, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	l := &login{t: t, bus: bus, held: make(chan *inhibitor, 4)}
	if err := bus.Export(l, loginPath, loginManager); err != nil {
		t.Fatal(err)
	}
	if r, err := bus.RequestName(loginName, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(r, err)
	}
	return l
}

func (l *login) say(sleeping bool) {
	l.t.Helper()
	if err := l.bus.Emit(loginPath, loginManager+"."+sleepSignal, sleeping); err != nil {
		l.t.Fatal(err)
	}
}

// next is the next inhibitor; it fails when none comes.
func (l *login) next() *inhibitor {
	l.t.Helper()
	select {
	case i := <-l.held:
		l.t.Cleanup(func() { i.read.Close(); i.write.Close() })
		return i
	case <-time.After(10 * time.Second):
		l.t.Fatal("nobody asks the login service to wait")
		return nil
	}
}

// released waits until an inhibitor is released, at most for that long. Who has
// it must have received it.
func released(t *testing.T, i *inhibitor, within time.Duration) bool {
	t.Helper()
	i.write.Close()
	f := i.read
	if err := f.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	_, err := f.Read(make([]byte, 1))
	if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return errors.Is(err, io.EOF)
}

func watcher(address string) Watcher {
	return Watcher{Address: address, Logger: slog.New(slog.DiscardHandler)}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	address, stopBus := startBus(t, dir)
	l := startLogin(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	told, goOn := make(chan bool), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- watcher(address).Watch(ctx, func(sleeping bool) {
			told <- sleeping
			if sleeping {
				<-goOn
			}
		})
	}()
	held := l.next()
	l.say(true)
	if !<-told {
		t.Error("it is told that the computer has woken")
	}
	if released(t, held, 200*time.Millisecond) {
		t.Error("the computer sleeps before what must be done is done")
	}
	goOn <- struct{}{}
	if !released(t, held, 10*time.Second) {
		t.Error("the computer waits although all is done")
	}
	l.say(false)
	if <-told {
		t.Error("it is told that the computer sleeps")
	}
	held = l.next() // for the next time

	// Another login service is asked again.
	if _, err := l.bus.ReleaseName(loginName); err != nil {
		t.Fatal(err)
	}
	l2 := startLogin(t, address)
	held2 := l2.next()
	if !released(t, held, 10*time.Second) {
		t.Error("the old inhibitor is kept")
	}
	// Another bus, too.
	stopBus()
	address, _ = startBus(t, dir)
	l3 := startLogin(t, address)
	l3.next()
	if !released(t, held2, 10*time.Second) {
		t.Error("the inhibitor of the bus that is gone is kept")
	}
	l3.say(false)
	<-told
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNoBus(t *testing.T) {
	err := watcher("unix:path="+filepath.Join(t.TempDir(), "none")).Watch(t.Context(), func(bool) {})
	if !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("error is %v", err)
	}
}

// Package hostpower tells when the computer goes to sleep and when it has woken,
// as the service manager's login service (logind) says on the system bus. It is
// an edge; only the agent imports it.
package hostpower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/dormer-project/dormer"
)

// The login service, https://www.freedesktop.org/software/systemd/man/org.freedesktop.login1.html.
const (
	loginName    = "org.freedesktop.login1"
	loginPath    = "/org/freedesktop/login1"
	loginManager = loginName + ".Manager"
	sleepSignal  = "PrepareForSleep"
)

// Watcher watches the login service. Address is that of the system bus, empty:
// where it is always.
type Watcher struct {
	Address string
	Logger  *slog.Logger
}

// The pace of connecting again when the bus is lost.
const (
	firstRetry = time.Second
	maxRetry   = time.Minute
	// inhibitTime bounds one request to the login service.
	inhibitTime = 5 * time.Second
	// signals is how many signals may wait.
	signals = 16
)

// Watch calls told with true before the computer sleeps and with false after it
// has woken, one call at a time, until ctx ends. The computer sleeps only when a
// call with true has returned, or when the login service waits no longer (five
// seconds unless it is set otherwise): what must be done before is done in told.
// ErrUnsupported where there is no system bus; a bus or a login service that
// comes later, or again, is waited for.
func (w Watcher) Watch(ctx context.Context, told func(sleeping bool)) error {
	pause := firstRetry
	for {
		served, err := w.watch(ctx, told)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to end
		case errors.Is(err, dormer.ErrUnsupported):
			return err
		case served:
			pause = firstRetry
		}
		w.Logger.LogAttrs(ctx, slog.LevelDebug, "sleep of the computer cannot be watched now", slog.Any("error", err))
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
		pause = min(2*pause, maxRetry)
	}
}

// connect opens a connection of its own to the bus.
func (w Watcher) connect(ctx context.Context) (*dbus.Conn, error) {
	bus, err := func() (*dbus.Conn, error) {
		if w.Address == "" {
			return dbus.ConnectSystemBus(dbus.WithContext(ctx))
		}
		return dbus.Connect(w.Address, dbus.WithContext(ctx))
	}()
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("this computer has no system bus (%w): %w", err, dormer.ErrUnsupported)
	}
	return bus, err
}

// watch serves one connection to the bus. served says that it was one.
func (w Watcher) watch(ctx context.Context, told func(bool)) (served bool, err error) {
	bus, err := w.connect(ctx)
	if err != nil {
		return false, fmt.Errorf("connect to the system bus: %w", err)
	}
	defer bus.Close()
	heard := make(chan *dbus.Signal, signals)
	bus.Signal(heard)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(loginName), dbus.WithMatchObjectPath(loginPath), dbus.WithMatchInterface(loginManager), dbus.WithMatchMember(sleepSignal)},
		// The login service may come after the agent, or again: it forgets who waits.
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, loginName)},
	} {
		if err := bus.AddMatchSignalContext(ctx, match...); err != nil {
			return false, fmt.Errorf("watch for sleep: %w", err)
		}
	}
	lock := w.inhibit(ctx, bus)
	defer func() { lock.release() }()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case s, ok := <-heard:
			switch {
			case !ok:
				return true, errors.New("the system bus is gone")
			case s.Name == loginManager+"."+sleepSignal && len(s.Body) == 1:
				sleeping, is := s.Body[0].(bool)
				if !is {
					continue
				}
				told(sleeping)
				lock.release()
				if !sleeping {
					lock = w.inhibit(ctx, bus)
				}
			case len(s.Body) == 3 && s.Body[2] != "": // the login service has come
				lock.release()
				lock = w.inhibit(ctx, bus)
			}
		}
	}
}

// inhibition makes the login service wait before it lets the computer sleep,
// until it is released.
type inhibition struct{ f *os.File }

func (i inhibition) release() {
	if i.f != nil {
		_ = i.f.Close() // that is all there is to it; twice is harmless
	}
}

// inhibit asks the login service to wait for this watcher. Without it, the
// computer may sleep before what follows is done, and is told of all the same.
func (w Watcher) inhibit(ctx context.Context, bus *dbus.Conn) inhibition {
	short, cancel := context.WithTimeout(ctx, inhibitTime)
	defer cancel()
	var fd dbus.UnixFD
	err := bus.Object(loginName, loginPath).CallWithContext(short, loginManager+".Inhibit", 0,
		"sleep", "Dormer", "Workspaces are locked before the computer sleeps", "delay").Store(&fd)
	if err != nil {
		w.Logger.LogAttrs(ctx, slog.LevelInfo, "the computer does not wait for workspaces to lock before it sleeps", slog.Any("error", err))
		return inhibition{}
	}
	return inhibition{os.NewFile(uintptr(fd), "inhibition")}
}

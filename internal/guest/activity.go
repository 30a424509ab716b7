package guest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookForInput is how often new input devices are looked for.
const lookForInput = 30 * time.Second

// activity remembers when somebody last used the guest: a key or the mouse was
// moved, a terminal was used, or the host started something for the user.
type activity struct {
	now func() time.Time

	mu      sync.Mutex // guards the fields below
	last    time.Time
	devices map[string]bool // input devices that are read
}

func newActivity(now func() time.Time) *activity {
	return &activity{now: now, last: now(), devices: map[string]bool{}}
}

func (a *activity) touch() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = a.now()
}

// idle is the time since the last use. A clock that was set back counts as use.
func (a *activity) idle() time.Duration {
	a.mu.Lock()
	last := a.last
	a.mu.Unlock()
	if t := lastTerminalUse(); t.After(last) && !t.After(a.now()) {
		last = t
	}
	return max(a.now().Sub(last), 0)
}

// watch reads the input devices until ctx ends.
func (a *activity) watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(lookForInput)
	defer tick.Stop()
	for {
		for _, path := range inputDevices() {
			a.mu.Lock()
			known := a.devices[path]
			a.devices[path] = true
			a.mu.Unlock()
			if !known {
				go a.follow(ctx, path, log)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *activity) follow(ctx context.Context, path string, log *slog.Logger) {
	defer func() {
		a.mu.Lock()
		delete(a.devices, path)
		a.mu.Unlock()
	}()
	f, err := os.Open(path)
	if err != nil {
		log.Debug("input device cannot be read", slog.String("device", path), slog.Any("error", err))
		return
	}
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { _ = f.Close() }) // ends the read
	defer stop()
	buf := make([]byte, 4096)
	for {
		n, err := f.Read(buf)
		if n > 0 {
			a.touch()
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				log.Debug("input device has gone", slog.String("device", path), slog.Any("error", err))
			}
			return
		}
	}
}

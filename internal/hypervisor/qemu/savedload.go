package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// savedState is a saved state that a machine goes on from.
type savedState struct {
	description []byte
	key         []byte
}

// errNotLoaded says that a saved state is of no use. The machine has not run.
var errNotLoaded = errors.New("saved state cannot be loaded")

// savedNotice tells people why a machine did not go on from its saved state.
func savedNotice(why string) string {
	return "What was saved could not be used, and the machine has started anew: " + why + "."
}

// findSaved returns the saved state that a machine goes on from, or nil and,
// when there is one that does not fit, why.
func (p plan) findSaved(version string, key []byte) (*savedState, string, error) {
	if !p.spec.Resume {
		return nil, "", nil
	}
	was, description, err := hypervisor.ReadSavedState(p.spec.Dir)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return nil, "", nil
	case errors.Is(err, dormer.ErrCorrupt):
		return nil, savedNotice("it is damaged"), nil
	case err != nil:
		return nil, "", err
	}
	now, err := p.bound(version)
	if err != nil {
		return nil, "", err
	}
	if why := was.Differs(now); why != "" {
		return nil, savedNotice(why), nil
	}
	if p.spec.Overlay != hypervisor.OverlayKeep {
		return nil, savedNotice("the machine no longer keeps its layer"), nil
	}
	return &savedState{description: description, key: key}, "", nil
}

// startFrom starts a machine from its saved state if there is one that fits,
// else anew.
func (d *Driver) startFrom(ctx context.Context, p plan, version string, diskKey, layerKey []byte, lock *os.File) (*machine, error) {
	key, err := savedKey(diskKey)
	if err != nil {
		return nil, err
	}
	saved, notice, err := p.findSaved(version, key)
	if err != nil {
		return nil, err
	}
	var m *machine
	if saved != nil {
		p.saved = saved
		m, err = d.launch(ctx, p, version, hexKey(diskKey), layerKey, lock)
		p.saved = nil
		if errors.Is(err, errNotLoaded) {
			d.cfg.Log.Warn("saved state cannot be used", slog.String("machine", string(p.spec.Machine)), slog.Any("error", err))
			saved, notice = nil, savedNotice("QEMU cannot load it")
			if errors.Is(err, dormer.ErrCorrupt) {
				notice = savedNotice("it is damaged")
			}
			err = keepSockets(p.spec)
		}
		if err != nil {
			return nil, err
		}
	}
	if saved == nil {
		if err := hypervisor.RemoveSaved(p.spec.Dir); err != nil {
			return nil, err
		}
		if m, err = d.launch(ctx, p, version, hexKey(diskKey), layerKey, lock); err != nil {
			return nil, err
		}
	}
	m.holding.made, m.holding.version, m.holding.key = p, version, key
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Resumed, m.status.Notice = saved != nil, notice
	return m, nil
}

// incoming are the arguments of a machine that goes on from saved state. It
// does not run before it is told to.
func (p plan) incoming() []string {
	if p.saved == nil {
		return nil
	}
	return []string{"-S", "-incoming", "defer"}
}

// load gives a QEMU that waits for it the saved state, removes that, and lets
// the machine run: in this order, so that there never is a saved state beside
// disks that have moved on. errNotLoaded when it is of no use.
func (p plan) load(ctx context.Context, mon *monitor, log *slog.Logger) error {
	started := time.Now()
	f, err := os.Open(filepath.Join(p.spec.Dir, hypervisor.FileSaved))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: its file is missing", errNotLoaded)
	}
	if err != nil {
		return fmt.Errorf("open saved state: %w", err)
	}
	defer f.Close()
	opened, err := newSavedReader(f, p.saved.key, p.saved.description)
	if errors.Is(err, dormer.ErrCorrupt) {
		return fmt.Errorf("%w: %w", errNotLoaded, err)
	}
	if err != nil {
		return err
	}
	if err := p.pour(ctx, mon, opened); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("load saved state: %w", ctx.Err())
		}
		return fmt.Errorf("%w: %w", errNotLoaded, err)
	}
	if err := hypervisor.RemoveSaved(p.spec.Dir); err != nil {
		return err
	}
	if err := mon.execute(ctx, "cont", nil, nil); err != nil {
		return fmt.Errorf("go on from saved state: %w", err)
	}
	log.Info("machine goes on from saved state", slog.Duration("took", time.Since(started)))
	return nil
}

// pour sends what was saved to QEMU and waits until it has taken all of it.
func (p plan) pour(ctx context.Context, mon *monitor, saved io.Reader) error {
	r, w, err := pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	err = mon.getFile(ctx, fileLoad, r)
	_ = r.Close() // QEMU has its own
	if err != nil {
		return err
	}
	if err := mon.execute(ctx, "migrate-incoming", map[string]any{"uri": "fd:" + fileLoad}, nil); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = w.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{saved}, make([]byte, 256<<10))
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	state, err := settle(ctx, mon)
	if err == nil && state.Status != "completed" {
		err = fmt.Errorf("QEMU could not: %s %s", state.Status, state.Error)
	}
	return err
}

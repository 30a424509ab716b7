package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/workspace"
)

// A machine goes back to its image in three steps, each of which is on the disk
// before the next: it is marked; once it does not run, its record names a new,
// empty layer in place of the old ones; the files of the old ones are deleted.
// An agent that ends at any point goes on from there when it starts. The image
// is the version in use: whether a newer one is taken is another matter.

// reset lets the machine go back to its image as soon as it does not run, and
// stops it. by is the order.
func (m *machine) reset(by string) error {
	m.mu.Lock()
	was := m.record
	m.record.Resetting, m.record.Ending = by, nil
	err := m.save()
	if err != nil {
		m.record = was
	}
	m.mu.Unlock()
	if err == nil {
		m.goOnResetting()
	}
	return err
}

// goOnResetting does what can be done now of a reset that was begun.
func (m *machine) goOnResetting() {
	m.mu.Lock()
	resetting, dropped := m.record.Resetting != "", len(m.record.Dropped) > 0
	m.mu.Unlock()
	if resetting {
		took := m.rec.AtRest(func() { m.agent.logError(m.agent.ctx, "reset", m.takeBack()) })
		if s := m.rec.Snapshot(); !took && (s.State.Live() || s.State == workspace.Starting) {
			m.rec.Want(workspace.Stopped)
		}
		m.endWarning()
		dropped = dropped || took
	}
	if dropped {
		m.agent.logError(m.agent.ctx, "reset", m.deleteDropped())
	}
}

// takeBack gives a machine that does not run a new layer if a reset was begun.
// What was saved of its memory belongs to the old one, and goes first: it would
// be found again.
func (m *machine) takeBack() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &m.record
	if r.Resetting == "" {
		return nil
	}
	if err := m.forgetSaved(); err != nil {
		return err
	}
	was := *r
	if r.Base != "" && r.Overlay == hypervisor.OverlayKeep {
		dropped := append([]string{m.layer()}, r.Dropped...)
		for _, l := range r.Layers {
			dropped = append(dropped, l.Name)
		}
		r.Made++
		r.Layer, r.Layers, r.Dropped = layerOf(r.Base, r.Made), nil, dropped
	}
	r.Saved, r.Back, r.Take, r.Resetting = false, false, "", ""
	if err := m.save(); err != nil {
		*r = was
		return err
	}
	return nil
}

// forgetSaved deletes the memory that was saved, so that it is not there after a
// power cut either.
func (m *machine) forgetSaved() error {
	for _, f := range []string{hypervisor.FileSavedState, hypervisor.FileSaved} {
		if err := os.Remove(m.folder.path(DirDisks, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete saved memory: %w", err)
		}
	}
	if err := syncDir(m.disks()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete saved memory: %w", err)
	}
	return nil
}

// deleteDropped deletes the files of layers that a reset has left.
func (m *machine) deleteDropped() error {
	m.mu.Lock()
	dropped, inUse := m.record.Dropped, m.layer()
	m.mu.Unlock()
	for _, name := range dropped {
		if name == inUse {
			continue
		}
		if err := m.deleteLayer(name); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.record.Dropped) > len(dropped) {
		return nil // another reset came meanwhile
	}
	m.record.Dropped = nil
	return m.save()
}

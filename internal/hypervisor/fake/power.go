package fake

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// memoryPath begins the names of files that are in the guest's memory: they
// outlive saving, and not a fresh start.
const memoryPath = "/run/"

// savedMachine is a saved state.
type savedMachine struct {
	bound  hypervisor.SavedState
	memory map[string]string
	guest  *Guest
}

// SetSaveError makes Save return f's error unless it is nil, as a full disk
// does with ErrFull; the machine then goes on.
func (h *Host) SetSaveError(f func(hypervisor.Spec) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.saveErr = f
}

// Suspend implements hypervisor.Machine.
func (m *machine) Suspend(context.Context) error {
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	if m.status.State == hypervisor.StateStopped {
		return fmt.Errorf("suspend machine: it has ended: %w", dormer.ErrUnavailable)
	}
	m.status.State, m.status.Reason = hypervisor.StatePaused, hypervisor.ReasonSuspended
	return nil
}

// Resume implements hypervisor.Machine.
func (m *machine) Resume(context.Context) error {
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	if m.status.State == hypervisor.StateStopped {
		return fmt.Errorf("resume machine: it has ended: %w", dormer.ErrUnavailable)
	}
	if m.status.Reason == hypervisor.ReasonSuspended {
		m.status.State, m.status.Reason = hypervisor.StateRunning, ""
	}
	return nil
}

// Save implements hypervisor.Machine.
func (m *machine) Save(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("save machine: it was given up: %w", err)
	}
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	if m.status.State == hypervisor.StateStopped {
		return fmt.Errorf("save machine: it has ended: %w", dormer.ErrUnavailable)
	}
	if m.spec.Overlay != hypervisor.OverlayKeep {
		return fmt.Errorf("save machine: %w", dormer.Invalidf("overlay", "is thrown away: only a machine that keeps its layer can be saved"))
	}
	if m.host.saveErr != nil {
		if err := m.host.saveErr(m.spec); err != nil {
			return fmt.Errorf("save machine: %w", err)
		}
	}
	bound := m.boundLocked()
	text, err := bound.Encode()
	if err != nil {
		return fmt.Errorf("save machine: %w", err)
	}
	for name, content := range map[string][]byte{hypervisor.FileSaved: []byte("memory\n"), hypervisor.FileSavedState: text} {
		if err := os.WriteFile(filepath.Join(m.spec.Dir, name), content, 0o600); err != nil {
			return fmt.Errorf("save machine: %w", err)
		}
	}
	m.host.disks[m.spec.Dir].saved = &savedMachine{bound: bound, memory: maps.Clone(m.memory), guest: m.guest}
	m.endLocked(hypervisor.ReasonSaved)
	return nil
}

// boundLocked is what a saved state of this machine is bound to.
func (m *machine) boundLocked() hypervisor.SavedState {
	s := m.spec
	bound := hypervisor.SavedState{
		Hardware: m.status.Hardware, Memory: s.Memory, Processors: s.Processors, Layer: s.Layer,
		Devices: fmt.Sprint(s.Network, s.Bridges, s.Channels, s.Sound, s.USB, s.Optical != "", s.Data, s.Display),
	}
	for _, base := range s.Base {
		if base.Image != nil {
			bound.Base = append(bound.Base, base.Image.Image)
		}
	}
	return bound
}

// goOnLocked makes a machine that starts go on from the saved state, if that fits.
func (m *machine) goOnLocked(kept *disks) error {
	saved := kept.saved
	kept.saved = nil
	if _, err := os.Stat(filepath.Join(m.spec.Dir, hypervisor.FileSavedState)); err != nil {
		saved = nil
	}
	if err := hypervisor.RemoveSaved(m.spec.Dir); err != nil {
		return err
	}
	if saved == nil || !m.spec.Resume {
		return nil
	}
	if why := saved.bound.Differs(m.boundLocked()); why != "" {
		m.status.Notice = "What was saved could not be used, and the machine has started anew: " + why + "."
		return nil
	}
	m.status.Resumed = true
	m.memory, m.guest = saved.memory, saved.guest
	m.upAt = m.host.now()
	kept.guests[m.spec.Layer] = m.guest
	return nil
}

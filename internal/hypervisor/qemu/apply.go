package qemu

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Apply implements hypervisor.Machine. What is taken away goes first.
func (m *machine) Apply(ctx context.Context, spec hypervisor.Spec) ([]hypervisor.Part, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("change machine: %w", err)
	}
	m.holding.changing.Lock()
	defer m.holding.changing.Unlock()
	select {
	case <-m.done:
		return nil, fmt.Errorf("change machine: it has ended: %w", dormer.ErrUnavailable)
	default:
	}
	var errs []error
	for _, change := range []func(context.Context, hypervisor.Spec) error{
		m.applyChannels, m.applyUSB, m.applyOptical, m.applyNetwork,
	} {
		// What cannot be changed keeps nothing else from being taken away.
		errs = append(errs, change(ctx, spec))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("change machine: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted.Differs(spec), nil
}

func (m *machine) applyChannels(ctx context.Context, spec hypervisor.Spec) error {
	m.mu.Lock()
	now := m.spec.Channels
	m.mu.Unlock()
	for _, c := range now {
		if !slices.Contains(spec.Channels, c) {
			if err := m.detachChannel(ctx, c); err != nil {
				return err
			}
		}
	}
	for _, c := range spec.Channels {
		if !slices.Contains(now, c) {
			if err := m.attachChannel(ctx, c); err != nil {
				return err
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted.Channels = slices.Clone(spec.Channels)
	return nil
}

// applyUSB ends the redirection of devices when the classes change: whoever
// redirects them begins again, with the new filter. The controller comes and
// goes with the first and the last class; a guest that does not let go of it
// keeps it, without devices, until the next start.
func (m *machine) applyUSB(ctx context.Context, spec hypervisor.Spec) error {
	m.mu.Lock()
	now := m.spec.USB
	m.mu.Unlock()
	if slices.Equal(slices.Sorted(slices.Values(now)), slices.Sorted(slices.Values(spec.USB))) && !m.noUSB {
		return nil
	}
	if err := m.dropSlots(ctx); err != nil {
		return err
	}
	there, err := m.plugged(ctx, busUSB)
	if err != nil {
		return err
	}
	switch {
	case len(spec.USB) == 0:
		m.noUSB = true
		err := m.unplug(ctx, busUSB, guestUnplugTime)
		if errors.Is(err, dormer.ErrUnavailable) && ctx.Err() == nil {
			return nil
		}
		if err != nil {
			return err
		}
	case !there:
		if err := m.monitor.execute(ctx, "device_add", usbController(), nil); err != nil {
			return err
		}
		m.noUSB = false
	default:
		m.noUSB = false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spec.USB = slices.Clone(spec.USB)
	m.wanted.USB = m.spec.USB
	return nil
}

// applyOptical changes what is in the drive. A drive itself comes with the next
// start only, and goes with it; until then it is empty.
func (m *machine) applyOptical(ctx context.Context, spec hypervisor.Spec) error {
	m.mu.Lock()
	now := m.spec.Optical
	m.mu.Unlock()
	if now == "" || now == spec.Optical || now == opticalEmpty && spec.Optical == "" {
		return nil
	}
	if err := m.insert(ctx, spec.Optical); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spec.Optical = spec.Optical
	if spec.Optical == "" {
		m.spec.Optical = opticalEmpty
	}
	m.wanted.Optical = m.spec.Optical
	return nil
}

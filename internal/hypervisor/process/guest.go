package process

import (
	"context"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Apply implements hypervisor.Machine.
func (m *machine) Apply(ctx context.Context, spec hypervisor.Spec) ([]hypervisor.Part, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("change machine: %w", err)
	}
	if err := m.runs("change machine"); err != nil {
		return nil, err
	}
	return m.client.Apply(ctx, spec)
}

// Devices implements hypervisor.Machine.
func (m *machine) Devices(ctx context.Context) ([]hypervisor.Device, error) {
	if err := m.runs("list devices"); err != nil {
		return nil, err
	}
	return m.client.Devices(ctx)
}

// Ask implements hypervisor.Machine.
func (m *machine) Ask(ctx context.Context, need guestwire.Capability, method guestwire.Method, request, answer any) error {
	if err := m.runs("ask guest for " + string(method)); err != nil {
		return err
	}
	return m.client.Ask(ctx, need, method, request, answer)
}

// Open implements hypervisor.Machine.
func (m *machine) Open(ctx context.Context, channel guestwire.Channel) (io.ReadWriteCloser, error) {
	if err := m.runs("open channel " + string(channel)); err != nil {
		return nil, err
	}
	return m.client.Open(ctx, channel)
}

// runs refuses what cannot be done with a machine that has ended.
func (m *machine) runs(doing string) error {
	if m.ended() {
		return fmt.Errorf("%s: it has ended: %w", doing, dormer.ErrUnavailable)
	}
	return nil
}

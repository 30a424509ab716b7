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
func (m *machine) Apply(context.Context, hypervisor.Spec) ([]hypervisor.Part, error) {
	return nil, fmt.Errorf("change machine: %w", dormer.ErrUnsupported)
}

// Devices implements hypervisor.Machine.
func (m *machine) Devices(context.Context) ([]hypervisor.Device, error) {
	return nil, fmt.Errorf("list devices: %w", dormer.ErrUnsupported)
}

// Suspend implements hypervisor.Machine.
func (m *machine) Suspend(context.Context) error {
	return fmt.Errorf("suspend machine: %w", dormer.ErrUnsupported)
}

// Resume implements hypervisor.Machine.
func (m *machine) Resume(context.Context) error {
	return fmt.Errorf("resume machine: %w", dormer.ErrUnsupported)
}

// Save implements hypervisor.Machine.
func (m *machine) Save(context.Context) error {
	return fmt.Errorf("save machine: %w", dormer.ErrUnsupported)
}

// Ask implements hypervisor.Machine.
func (m *machine) Ask(_ context.Context, _ guestwire.Capability, method guestwire.Method, _, _ any) error {
	return fmt.Errorf("ask guest for %s: %w", method, dormer.ErrUnsupported)
}

// Open implements hypervisor.Machine.
func (m *machine) Open(_ context.Context, channel guestwire.Channel) (io.ReadWriteCloser, error) {
	return nil, fmt.Errorf("open channel %s: %w", channel, dormer.ErrNotFound)
}

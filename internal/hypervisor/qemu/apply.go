package qemu

import (
	"context"
	"fmt"

	"github.com/dormer-project/dormer"
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

package fake

import (
	"context"
	"fmt"

	"github.com/dormer-project/dormer"
)

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

package qemu

import (
	"context"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Ask implements hypervisor.Machine.
func (m *machine) Ask(ctx context.Context, need guestwire.Capability, method guestwire.Method, request, answer any) error {
	if err := m.port.WaitUp(ctx); err != nil {
		return fmt.Errorf("ask guest for %s: %w", method, err)
	}
	return m.port.Call(ctx, need, method, request, answer)
}

// Open implements hypervisor.Machine.
func (m *machine) Open(_ context.Context, channel guestwire.Channel) (io.ReadWriteCloser, error) {
	return nil, fmt.Errorf("open channel %s: %w", channel, dormer.ErrNotFound)
}

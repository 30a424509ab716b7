package process

import (
	"context"
	"errors"
	"fmt"

	"github.com/dormer-project/dormer"
)

// Suspend implements hypervisor.Machine.
func (m *machine) Suspend(ctx context.Context) error {
	return m.power(ctx, "suspend machine", m.client.Suspend)
}

// Resume implements hypervisor.Machine.
func (m *machine) Resume(ctx context.Context) error {
	return m.power(ctx, "resume machine", m.client.Resume)
}

func (m *machine) power(ctx context.Context, doing string, ask func(context.Context) error) error {
	if m.ended() {
		return fmt.Errorf("%s: it has ended: %w", doing, dormer.ErrUnavailable)
	}
	return ask(ctx)
}

// Save implements hypervisor.Machine.
func (m *machine) Save(ctx context.Context) error {
	if err := m.power(ctx, "save machine", m.client.Save); err != nil {
		if m.owner.Alive() || !errors.Is(err, dormer.ErrUnavailable) {
			return err
		}
		// The answer was lost with the process that ended; what it left says how.
		<-m.done
		if !m.savedAtEnd() {
			return err
		}
	}
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("save machine: its process goes on: %w", dormer.ErrUnavailable)
	}
}

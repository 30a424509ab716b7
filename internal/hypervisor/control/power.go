package control

import (
	"context"

	"github.com/dormer-project/dormer/internal/hypervisor"
)

// The methods of hypervisor.Power that end nothing, or only after saving.
const (
	MethodSuspend Method = "suspend"
	MethodResume  Method = "resume"
	MethodSave    Method = "save"
)

// Suspend holds the machine.
func (c *Client) Suspend(ctx context.Context) error {
	_, err := c.ask(ctx, request{Method: MethodSuspend})
	return err
}

// Resume lets it go on.
func (c *Client) Resume(ctx context.Context) error {
	_, err := c.ask(ctx, request{Method: MethodResume})
	return err
}

// Save saves the machine and ends it. Who goes away meanwhile gives it up: then
// the machine goes on.
func (c *Client) Save(ctx context.Context) error {
	_, err := c.ask(ctx, request{Method: MethodSave})
	return err
}

// power carries a method out; false when it is none of power.
func power(ctx context.Context, machine hypervisor.Machine, method Method) (bool, error) {
	switch method {
	case MethodSuspend:
		return true, machine.Suspend(ctx)
	case MethodResume:
		return true, machine.Resume(ctx)
	case MethodSave:
		return true, machine.Save(ctx)
	default:
		return false, nil
	}
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// usbSlots are the places for redirected USB devices that are taken. The zero
// value is ready.
type usbSlots struct {
	mu    sync.Mutex // guards the field below
	taken map[hypervisor.Machine]*[hypervisor.USBSlots]bool
}

// take returns a free place.
func (u *usbSlots) take(vm hypervisor.Machine) (int, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.taken == nil {
		u.taken = map[hypervisor.Machine]*[hypervisor.USBSlots]bool{}
	}
	places := u.taken[vm]
	if places == nil {
		places = new([hypervisor.USBSlots]bool)
		u.taken[vm] = places
	}
	for i, taken := range places {
		if !taken {
			places[i] = true
			return i, true
		}
	}
	return 0, false
}

func (u *usbSlots) free(vm hypervisor.Machine, place int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.taken[vm][place] = false
	if *u.taken[vm] == [hypervisor.USBSlots]bool{} {
		delete(u.taken, vm)
	}
}

// redirection is a USB device that is redirected.
type redirection struct {
	io.ReadWriteCloser
	free func()
}

// Close implements io.Closer.
func (r redirection) Close() error {
	err := r.ReadWriteCloser.Close()
	r.free()
	return err
}

// OpenUSB implements agentapi.Devices. Which devices the guest takes is up to the
// hypervisor, which knows the classes that the policy allows.
func (a *Agent) OpenUSB(ctx context.Context, peer agentapi.Peer, which string) (io.ReadWriteCloser, error) {
	m, err := a.machineOf(peer, which)
	if err != nil {
		return nil, err
	}
	p, err := m.policyNow()
	if err != nil {
		return nil, err
	}
	if len(p.Deployment.USB) == 0 {
		return nil, fmt.Errorf("the policy lets no USB device into the workspace: %w", dormer.ErrDenied)
	}
	vm, err := m.running(ctx)
	if err != nil {
		return nil, err
	}
	place, ok := a.usb.take(vm)
	if !ok {
		return nil, fmt.Errorf("%d USB devices are redirected to the workspace, and there is no room for another: %w", hypervisor.USBSlots, dormer.ErrConflict)
	}
	free := sync.OnceFunc(func() { a.usb.free(vm, place) })
	stream, err := vm.Open(ctx, hypervisor.USBSlot(place))
	if errors.Is(err, dormer.ErrNotFound) {
		err = fmt.Errorf("the workspace has no USB yet; restart it when its policy was changed: %w", dormer.ErrUnavailable)
	}
	if err != nil {
		free()
		return nil, err
	}
	return redirection{stream, free}, nil
}

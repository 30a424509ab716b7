package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
)

// unplugTime is how long a device that asks nobody may take to go. One that
// the guest has to let go of is given up earlier, see guestUnplugTime.
const (
	unplugTime      = 30 * time.Second
	guestUnplugTime = 10 * time.Second
)

// addSocket makes a character device and returns its other end.
func (m *machine) addSocket(ctx context.Context, id string) (net.Conn, error) {
	conn, theirs, err := socketPair(id)
	if err != nil {
		return nil, err
	}
	err = m.monitor.getFile(ctx, id, theirs)
	_ = theirs.Close() // QEMU has its own
	if err == nil {
		err = m.monitor.execute(ctx, "chardev-add", map[string]any{"id": id, "backend": map[string]any{
			"type": "socket", "data": map[string]any{
				"addr": map[string]any{"type": "fd", "data": map[string]any{"str": id}}, "server": false,
			},
		}}, nil)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// dropSocket removes a character device that no device uses any more.
func (m *machine) dropSocket(ctx context.Context, id string) error {
	return m.monitor.execute(ctx, "chardev-remove", map[string]any{"id": id}, nil)
}

// plugged reports whether a device is there.
func (m *machine) plugged(ctx context.Context, id string) (bool, error) {
	list, err := m.peripherals(ctx)
	return slices.ContainsFunc(list, func(o object) bool { return o.Name == id }), err
}

// unplug takes a device away and waits until it is gone, ErrUnavailable when
// that takes longer than within. It is harmless for a device that is not there.
func (m *machine) unplug(ctx context.Context, id string, within time.Duration) error {
	there, err := m.plugged(ctx, id)
	if err != nil || !there {
		return err
	}
	gone := make(chan struct{})
	m.mu.Lock()
	m.unplugging[id] = gone
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.unplugging, id)
	}()
	if err := m.monitor.execute(ctx, "device_del", map[string]any{"id": id}, nil); err != nil {
		// A guest that was asked before may let go of it meanwhile.
		if there, listErr := m.plugged(ctx, id); listErr == nil && !there {
			return nil
		}
		return err
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-gone:
		return nil
	case <-m.process.done:
		return fmt.Errorf("unplug %s: the machine has ended: %w", id, dormer.ErrUnavailable)
	case <-timer.C:
	case <-ctx.Done():
	}
	if there, err := m.plugged(ctx, id); err == nil && !there {
		return nil
	}
	return fmt.Errorf("unplug %s: the guest does not let go of it: %w", id, dormer.ErrUnavailable)
}

// takeDeleted tells who waits that a device is gone. m.mu is held.
func (m *machine) takeDeleted(data json.RawMessage) {
	var d struct {
		Device string `json:"device"`
	}
	if json.Unmarshal(data, &d) != nil {
		return
	}
	if gone, ok := m.unplugging[d.Device]; ok {
		close(gone)
		delete(m.unplugging, d.Device)
	}
}

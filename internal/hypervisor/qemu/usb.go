package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// slot is a redirected USB device: the user's computer speaks for it.
type slot struct {
	net.Conn
	m      *machine
	number int
	once   sync.Once
}

// openUSB begins to redirect a device. Its slot is plugged in for the
// connection, with the filter of the classes that are allowed; QEMU refuses
// what does not pass it.
func (m *machine) openUSB(ctx context.Context, number int) (*slot, error) {
	m.holding.changing.Lock()
	defer m.holding.changing.Unlock()
	m.mu.Lock()
	classes, before := m.spec.USB, m.slots[number]
	m.mu.Unlock()
	if len(classes) == 0 || m.noUSB {
		return nil, fmt.Errorf("the machine has no USB: %w", dormer.ErrNotFound)
	}
	if before != nil {
		if err := m.dropSlot(ctx, before); err != nil {
			return nil, err
		}
	}
	id := hypervisor.DeviceUSBSlot(number)
	conn, err := m.addSocket(ctx, charPrefix+id)
	if err != nil {
		return nil, err
	}
	err = m.monitor.execute(ctx, "device_add", device{
		"driver": "usb-redir", "id": id, "bus": busUSB + ".0", "chardev": charPrefix + id, "filter": usbFilter(classes), "debug": 1,
	}, nil)
	if err != nil {
		return nil, errors.Join(err, m.dropSocket(ctx, charPrefix+id), conn.Close())
	}
	s := &slot{Conn: conn, m: m, number: number}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slots[number] = s
	return s, nil
}

// Close implements io.Closer. The guest sees the device unplugged.
func (s *slot) Close() error {
	s.once.Do(func() {
		_ = s.Conn.Close() // QEMU may have closed its end already
		s.m.holding.changing.Lock()
		defer s.m.holding.changing.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), unplugTime)
		defer cancel()
		if err := s.m.dropSlot(ctx, s); err != nil {
			s.m.log.Info("end of a redirected device", slog.Int("slot", s.number), slog.Any("error", err))
		}
	})
	return nil
}

// dropSlot unplugs a slot unless another has taken its place. m.holding.changing
// is held.
func (m *machine) dropSlot(ctx context.Context, s *slot) error {
	m.mu.Lock()
	ours := m.slots[s.number] == s
	if ours {
		delete(m.slots, s.number)
	}
	m.mu.Unlock()
	if !ours {
		return nil
	}
	_ = s.Conn.Close() // ends who reads from it; QEMU may have closed its end already
	// Its character device goes with it.
	return m.unplug(ctx, hypervisor.DeviceUSBSlot(s.number), unplugTime)
}

// dropSlots ends all redirections. m.holding.changing is held.
func (m *machine) dropSlots(ctx context.Context) error {
	m.mu.Lock()
	slots := make([]*slot, 0, len(m.slots))
	for _, s := range m.slots {
		slots = append(slots, s)
	}
	m.mu.Unlock()
	var errs []error
	for _, s := range slots {
		errs = append(errs, m.dropSlot(ctx, s))
	}
	return errors.Join(errs...)
}

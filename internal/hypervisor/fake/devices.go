package fake

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// ChannelFunc is the guest's end of a channel: it gets each connection when the
// handshake is over and owns it. The machine is named by its spec.
type ChannelFunc func(spec hypervisor.Spec, conn io.ReadWriteCloser)

// SetChannel serves a channel in the guests, or a place for USB devices; nil makes guests that do not
// answer on it, as they do without a call.
func (h *Host) SetChannel(channel guestwire.Channel, serve ChannelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.channels[channel] = serve
}

// FailApply makes every change of a running machine fail for which f returns an
// error; nil ends that. f is called with locks held.
func (h *Host) FailApply(f func(hypervisor.Spec) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.applyErr = f
}

// Open implements hypervisor.Machine.
func (m *machine) Open(ctx context.Context, channel guestwire.Channel) (io.ReadWriteCloser, error) {
	if err := m.waitUp(ctx); err != nil {
		return nil, fmt.Errorf("open channel %s: %w", channel, err)
	}
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	if m.status.State == hypervisor.StateStopped {
		return nil, fmt.Errorf("open channel %s: the machine has ended: %w", channel, dormer.ErrUnavailable)
	}
	_, usb := hypervisor.USBSlotNumber(channel)
	if usb && len(m.spec.USB) == 0 || !usb && !slices.Contains(m.spec.Channels, channel) {
		return nil, fmt.Errorf("open channel %s: the machine has none: %w", channel, dormer.ErrNotFound)
	}
	serve := m.host.channels[channel]
	if serve == nil {
		return nil, fmt.Errorf("open channel %s: the guest does not answer: %w", channel, dormer.ErrUnavailable)
	}
	m.closeLocked(channel)
	ours, theirs := net.Pipe()
	m.open[channel] = ours
	go serve(m.spec, theirs)
	return ours, nil
}

// closeLocked ends the connection of a channel.
func (m *machine) closeLocked(channel guestwire.Channel) {
	if before := m.open[channel]; before != nil {
		_ = before.Close() // a pipe's end
		delete(m.open, channel)
	}
}

// Apply implements hypervisor.Machine. Channels, USB, the optical drive's medium
// and the network change at once.
func (m *machine) Apply(ctx context.Context, spec hypervisor.Spec) ([]hypervisor.Part, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("change machine: %w", err)
	}
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	if m.status.State == hypervisor.StateStopped || ctx.Err() != nil {
		return nil, fmt.Errorf("change machine: it has ended: %w", dormer.ErrUnavailable)
	}
	if m.host.applyErr != nil {
		if err := m.host.applyErr(spec); err != nil {
			return nil, fmt.Errorf("change machine: %w", err)
		}
	}
	for _, c := range m.spec.Channels {
		if !slices.Contains(spec.Channels, c) {
			m.closeLocked(c)
		}
	}
	for c := range m.open {
		if _, usb := hypervisor.USBSlotNumber(c); usb && len(m.spec.USB) > 0 && !slices.Equal(m.spec.USB, spec.USB) {
			m.closeLocked(c)
		}
	}
	m.spec.Channels = slices.Clone(spec.Channels)
	m.spec.USB = slices.Clone(spec.USB)
	if m.spec.Optical != "" && spec.Optical != "" {
		m.spec.Optical = spec.Optical
	}
	if m.spec.Network == spec.Network {
		m.spec.Bridges = slices.Clone(spec.Bridges)
	}
	return m.spec.Differs(spec), nil
}

// Devices implements hypervisor.Machine.
func (m *machine) Devices(context.Context) ([]hypervisor.Device, error) {
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	if m.status.State == hypervisor.StateStopped {
		return nil, fmt.Errorf("list devices: the machine has ended: %w", dormer.ErrUnavailable)
	}
	s := m.spec
	var list []hypervisor.Device
	add := func(id, kind, detail string) {
		list = append(list, hypervisor.Device{ID: id, Type: "fake-" + kind, Detail: detail})
	}
	for i := range s.Base {
		add(hypervisor.DeviceDisk(i), "disk", "")
	}
	if s.Data != nil {
		add(hypervisor.DeviceData, "disk", s.Data.MountPoint)
	}
	add(hypervisor.DeviceGuestPort, "port", guestwire.PortName)
	for _, c := range s.Channels {
		add(hypervisor.DeviceChannel(c), "port", c.PortName())
	}
	switch s.Network {
	case hypervisor.NetworkNAT:
		add(hypervisor.DeviceNetwork(0), "network", string(hypervisor.NetworkNAT))
	case hypervisor.NetworkBridged:
		for i, b := range s.Bridges {
			add(hypervisor.DeviceNetwork(i), "network", b)
		}
	}
	if s.Sound != hypervisor.SoundNone {
		add(hypervisor.DeviceSound, "sound", string(s.Sound))
	}
	if len(s.USB) > 0 {
		classes := make([]string, len(s.USB))
		for i, c := range s.USB {
			classes[i] = string(c)
		}
		add(hypervisor.DeviceUSB, "usb", strings.Join(classes, ","))
	}
	if s.Optical != "" {
		add(hypervisor.DeviceOptical, "optical", s.Optical)
	}
	if s.Display {
		add(hypervisor.DeviceDisplay, "display", "")
		add(hypervisor.DevicePointer, "tablet", "")
	}
	return list, nil
}

package qemu

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hostlink"
)

// nic is a network adapter of the guest that is bridged to one of the host's.
type nic struct {
	adapter string
	port    int // of those for hot-plugging
	fd      int // that QEMU inherits, 0 when it came while the machine ran
	link    *hostlink.Link
	// cut says that the guest may have it no longer and has not let go of it.
	cut bool
}

// The names of what belongs to it.
func (n nic) device() string { return hypervisor.DeviceNetwork(n.port) }
func (n nic) netdev() string { return "link-" + n.device() }

// options are the device as the monitor's device_add takes it.
func (n nic) options(machine dormer.MachineID) device {
	return device{
		"driver": "virtio-net-pci", "id": n.device(), "bus": hotplugPort(n.port), "netdev": n.netdev(),
		"romfile": "", "mac": bridgeMAC(machine, n.adapter).String(),
	}
}

// bridgeMAC is the address of the adapter that is bridged to one of the host's:
// the same at each start, whatever other adapters there are.
func bridgeMAC(machine dormer.MachineID, adapter string) net.HardwareAddr {
	h := sha256.Sum256([]byte("dormer machine mac " + string(machine) + " " + adapter))
	return net.HardwareAddr{0x52, 0x54, 0x00, h[0], h[1], h[2]}
}

// planBridges chooses which of the host's adapters the guest is bridged to.
func (d *Driver) planBridges(p *plan) error {
	if p.spec.Network != hypervisor.NetworkBridged {
		return nil
	}
	if len(p.spec.Bridges) == 0 {
		return p.lack("The computer has no network adapter that the workspace may be bridged to.")
	}
	for _, adapter := range p.spec.Bridges {
		if why := d.refuseBridge(adapter); why != "" {
			if err := p.lack(why); err != nil {
				return err
			}
			continue
		}
		p.nics = append(p.nics, nic{adapter: adapter, port: len(p.nics)})
	}
	return nil
}

// refuseBridge says why machines cannot be bridged to an adapter; empty when
// they can.
func (d *Driver) refuseBridge(adapter string) string {
	if !hostlink.Allowed(adapter, d.cfg.Bridges) {
		return fmt.Sprintf("This computer does not allow machines on its network adapter %s (setting bridges of the agent).", adapter)
	}
	err := hostlink.Check(adapter)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, dormer.ErrNotFound):
		return fmt.Sprintf("The computer has no network adapter %s.", adapter)
	case errors.Is(err, dormer.ErrDenied):
		return fmt.Sprintf("The machine is not bridged to %s: only an agent that is run by root can do that.", adapter)
	default:
		return fmt.Sprintf("The machine is not bridged: %s.", strings.TrimSuffix(err.Error(), ": "+dormer.ErrUnsupported.Error()))
	}
}

// bridgeable lists the adapters of the host that machines may be bridged to.
func (d *Driver) bridgeable() []string {
	adapters, err := hostlink.Adapters()
	if err != nil {
		d.cfg.Log.Warn("cannot look at network adapters", slog.Any("error", err))
	}
	return slices.DeleteFunc(adapters, func(adapter string) bool { return d.refuseBridge(adapter) != "" })
}

// lack records that the host cannot give something, or refuses the start.
func (p *plan) lack(what string) error {
	if p.spec.Strict {
		return fmt.Errorf("%s: %w", strings.TrimSuffix(what, "."), dormer.ErrUnsupported)
	}
	p.unbridged = append(p.unbridged, what)
	return nil
}

// openLinks connects the guest's adapters to the host's.
func (p *plan) openLinks(inherit *inherited) error {
	var open []nic
	for _, n := range p.nics {
		link, err := hostlink.Open(p.spec.Dir, p.spec.Machine, n.adapter, bridgeMAC(p.spec.Machine, n.adapter))
		if err != nil {
			if err := p.lack(fmt.Sprintf("The machine is not bridged to %s: %v.", n.adapter, err)); err != nil {
				return errors.Join(err, closeLinks(open))
			}
			continue
		}
		n.link, n.fd = link, inherit.add(link.File)
		open = append(open, n)
	}
	p.nics = open
	return nil
}

func closeLinks(nics []nic) error {
	var errs []error
	for _, n := range nics {
		if n.link != nil {
			errs = append(errs, n.link.Close())
		}
	}
	return errors.Join(errs...)
}

// bridged are the arguments of a bridged network.
func (p plan) bridged() []string {
	var args []string
	for _, n := range p.nics {
		args = append(args,
			"-netdev", fmt.Sprintf("tap,id=%s,fd=%d,vhost=off", n.netdev(), n.fd),
			"-device", n.options(p.spec.Machine).option(),
		)
	}
	return args
}

// applyNetwork makes the network of a running machine what spec says, as far as
// that is possible. What it may no longer reach is cut off when it returns: the
// cable of the adapter behind NAT is pulled, and the adapter stays until the
// next start; bridged adapters come and go.
func (m *machine) applyNetwork(ctx context.Context, spec hypervisor.Spec) error {
	switch m.holding.made.spec.Network {
	case hypervisor.NetworkNAT:
		up := spec.Network == hypervisor.NetworkNAT
		m.network.cut(!up)
		return m.setLink(ctx, natNetdev, up)
	case hypervisor.NetworkBridged:
	default:
		return nil
	}
	var want []string
	if spec.Network == hypervisor.NetworkBridged {
		want = spec.Bridges
	}
	var unbridged []string
	var errs []error
	for _, n := range m.nicsNow() {
		if !slices.Contains(want, n.adapter) || !n.link.Alive() {
			errs = append(errs, m.unplugNIC(ctx, n))
		}
	}
	for _, adapter := range want {
		why, err := m.plugNIC(ctx, adapter)
		errs = append(errs, err)
		if why != "" {
			unbridged = append(unbridged, why)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Missing = slices.Concat(m.holding.made.missing, unbridged)
	if !slices.ContainsFunc(m.nics, func(n nic) bool { return n.cut }) {
		m.wanted.Bridges = slices.Clone(spec.Bridges)
	}
	return errors.Join(errs...)
}

func (m *machine) setLink(ctx context.Context, name string, up bool) error {
	return m.monitor.execute(ctx, "set_link", map[string]any{"name": name, "up": up}, nil)
}

// nicsNow are the bridged adapters of the machine.
func (m *machine) nicsNow() []nic {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.nics)
}

// setNIC replaces what is known of the adapter at n's port.
func (m *machine) setNIC(n nic, there bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nics = slices.DeleteFunc(slices.Clone(m.nics), func(o nic) bool { return o.port == n.port })
	if there {
		m.nics = append(m.nics, n)
	}
}

// plugNIC adds an adapter to the running machine unless it has it, or says why
// it cannot.
func (m *machine) plugNIC(ctx context.Context, adapter string) (why string, err error) {
	if why := m.refuseBridge(adapter); why != "" {
		return why, nil
	}
	nics := m.nicsNow()
	n := nic{adapter: adapter}
	for _, o := range nics {
		if o.adapter != adapter {
			continue
		}
		if !o.cut {
			return "", nil
		}
		there, err := m.plugged(ctx, o.device())
		if err != nil {
			return "", fmt.Errorf("bridge to %s: %w", adapter, err)
		}
		if there && o.link.Alive() {
			// The guest has kept it.
			if err := m.setLink(ctx, o.netdev(), true); err != nil {
				return "", fmt.Errorf("bridge to %s: %w", adapter, err)
			}
			o.cut = false
			m.setNIC(o, true)
			return "", nil
		}
		if there {
			return fmt.Sprintf("The guest has not let go of its adapter on %s, which was taken away.", adapter), nil
		}
		if err := m.dropNIC(ctx, o); err != nil {
			return "", err
		}
		nics = m.nicsNow()
	}
	for slices.ContainsFunc(nics, func(o nic) bool { return o.port == n.port }) {
		n.port++
	}
	if n.port >= hypervisor.MaxBridges {
		return fmt.Sprintf("The machine is not bridged to %s: the guest has not let go of other adapters.", adapter), nil
	}
	n.link, err = hostlink.Open(m.spec.Dir, m.spec.Machine, adapter, bridgeMAC(m.spec.Machine, adapter))
	if err != nil {
		return fmt.Sprintf("The machine is not bridged to %s: %v.", adapter, err), nil
	}
	err = m.monitor.getFile(ctx, n.netdev(), n.link.File)
	if err == nil {
		err = m.monitor.execute(ctx, "netdev_add", map[string]any{"type": "tap", "id": n.netdev(), "fd": n.netdev(), "vhost": false}, nil)
	}
	if err == nil {
		if err = m.monitor.execute(ctx, "device_add", n.options(m.spec.Machine), nil); err != nil {
			err = errors.Join(err, m.monitor.execute(ctx, "netdev_del", map[string]any{"id": n.netdev()}, nil))
		}
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("bridge to %s: %w", adapter, err), n.link.Close())
	}
	m.setNIC(n, true)
	m.log.Info("machine is bridged", slog.String("adapter", adapter))
	return "", nil
}

// unplugNIC takes an adapter away. It is cut off at once; a guest that does not
// let go of it keeps it, without a network, until the next start.
func (m *machine) unplugNIC(ctx context.Context, n nic) error {
	if err := m.setLink(ctx, n.netdev(), false); err != nil {
		return fmt.Errorf("cut off from %s: %w", n.adapter, err)
	}
	n.cut = true
	m.setNIC(n, true)
	err := m.unplug(ctx, n.device(), guestUnplugTime)
	if errors.Is(err, dormer.ErrUnavailable) && ctx.Err() == nil {
		m.log.Warn("guest does not let go of its network adapter", slog.String("adapter", n.adapter), slog.Any("error", err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("take adapter %s away: %w", n.adapter, err)
	}
	m.log.Info("machine is no longer bridged", slog.String("adapter", n.adapter))
	return m.dropNIC(ctx, n)
}

// dropNIC ends the link of an adapter that the guest has no longer.
func (m *machine) dropNIC(ctx context.Context, n nic) error {
	if err := m.monitor.execute(ctx, "netdev_del", map[string]any{"id": n.netdev()}, nil); err != nil {
		return fmt.Errorf("take adapter %s away: %w", n.adapter, err)
	}
	m.setNIC(n, false)
	return n.link.Close()
}

package qemu

import (
	"context"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// object is an entry of QEMU's tree of objects.
type object struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// The folders of that tree in which devices are: with a name and without.
const (
	treeNamed   = "/machine/peripheral"
	treeUnnamed = "/machine/peripheral-anon"
)

// peripherals are the devices that have names.
func (m *machine) peripherals(ctx context.Context) ([]object, error) {
	return m.children(ctx, treeNamed)
}

func (m *machine) children(ctx context.Context, folder string) ([]object, error) {
	var all []object
	if err := m.monitor.execute(ctx, "qom-list", map[string]any{"path": folder}, &all); err != nil {
		return nil, err
	}
	var list []object
	for _, o := range all {
		if kind, ok := strings.CutPrefix(o.Type, "child<"); ok {
			list = append(list, object{Name: o.Name, Type: strings.TrimSuffix(kind, ">")})
		}
	}
	return list, nil
}

// details are the properties that say what a device is for, by its type.
var details = map[string]string{
	"virtserialport":    "name",
	"usb-redir":         "filter",
	"virtio-net-pci":    "netdev",
	"virtio-blk-pci":    "serial",
	"hda-output":        "audiodev",
	"hda-duplex":        "audiodev",
	"hda-micro":         "audiodev",
	"virtio-serial-pci": "max_ports",
}

// discs says what is in the drives that can be opened, by the device's name.
func (m *machine) discs(ctx context.Context) (map[string]string, error) {
	var blocks []struct {
		Device   string `json:"qdev"`
		Inserted *struct {
			Node string `json:"node-name"`
		} `json:"inserted"`
		Removable bool `json:"removable"`
	}
	if err := m.monitor.execute(ctx, "query-block", nil, &blocks); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	discs := map[string]string{}
	for _, b := range blocks {
		if b.Removable && b.Inserted != nil && b.Inserted.Node == m.medium {
			discs[b.Device] = m.spec.Optical
		}
	}
	return discs, nil
}

// Devices implements hypervisor.Machine. Ports for hot-plugging are left out:
// the guest has nothing of them.
func (m *machine) Devices(ctx context.Context) ([]hypervisor.Device, error) {
	select {
	case <-m.done:
		return nil, fmt.Errorf("list devices: the machine has ended: %w", dormer.ErrUnavailable)
	default:
	}
	discs, err := m.discs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	var list []hypervisor.Device
	for _, folder := range []string{treeNamed, treeUnnamed} {
		objects, err := m.children(ctx, folder)
		if err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		for _, o := range objects {
			if o.Type == "pcie-root-port" {
				continue
			}
			d := hypervisor.Device{ID: o.Name, Type: o.Type, Detail: discs[o.Name]}
			if property := details[o.Type]; property != "" {
				var value any
				if err := m.monitor.execute(ctx, "qom-get", map[string]any{"path": folder + "/" + o.Name, "property": property}, &value); err != nil {
					return nil, fmt.Errorf("list devices: %w", err)
				}
				d.Detail = fmt.Sprint(value)
			}
			list = append(list, d)
		}
	}
	return list, nil
}

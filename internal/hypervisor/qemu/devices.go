package qemu

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// The names of buses and controllers that other devices are attached to.
const (
	busSerial  = "serial"   // of virtio-serial ports
	busUSB     = "usb"      // the USB controller, which is the device that people see
	busOptical = "ide.0"    // the machine type's own
	portPrefix = "hotplug-" // root ports, each for one device that may come and go
	audioID    = "audio"    // where sound goes
	mediumID   = "medium"   // what is in the optical drive, with a number
	charPrefix = "char-"    // character devices of channels and USB slots
	portUSB    = hotplugPorts - 1
)

// hotplugPorts is how many devices may be plugged in while the machine runs:
// network adapters from the first on, the USB controller in the last.
const hotplugPorts = 8

// HotplugPort is the bus of one of the ports for hot-plugging, from 0.
func hotplugPort(number int) string { return fmt.Sprintf("%s%d", portPrefix, number) }

// devices are what a policy may allow beside disks and network: channels,
// sound, USB and the optical drive.
func (p plan) devices() []string {
	var args []string
	for _, c := range p.channels() {
		args = append(args,
			"-chardev", fmt.Sprintf("socket,id=%s,fd=%d", charPrefix+string(c), p.fds.channels[c]),
			"-device", channelDevice(c).option(),
		)
	}
	args = append(args, p.sound()...)
	if len(p.spec.USB) > 0 {
		args = append(args, "-device", usbController().option())
	}
	return append(args, p.optical()...)
}

// ports are where devices may be plugged in. They have their places, so that a
// machine that goes on from saved state has them there too.
func (p plan) ports() []string {
	var args []string
	for i := range hotplugPorts {
		d := device{"driver": "pcie-root-port", "id": hotplugPort(i), "bus": "pcie.0", "chassis": i + 1, "addr": fmt.Sprintf("0x10.%d", i)}
		if i == 0 {
			d["multifunction"] = true
		}
		args = append(args, "-device", d.option())
	}
	return args
}

// channels are the channels of the machine in the order of their ports.
func (p plan) channels() []guestwire.Channel {
	return slices.DeleteFunc(slices.Clone(guestwire.Channels), func(c guestwire.Channel) bool { return !slices.Contains(p.spec.Channels, c) })
}

// device is a device as the monitor's device_add takes it.
type device map[string]any

// option is the device as -device takes it: nothing in it is a name of a file.
func (d device) option() string { return node(d).text() }

// channelDevice is a channel's port. It has its own number, whenever it is
// plugged in.
func channelDevice(c guestwire.Channel) device {
	return device{
		"driver": "virtserialport", "id": hypervisor.DeviceChannel(c), "bus": busSerial + ".0",
		"nr": 2 + slices.Index(guestwire.Channels, c), "chardev": charPrefix + string(c), "name": c.PortName(),
	}
}

func usbController() device {
	return device{"driver": "qemu-xhci", "id": busUSB, "bus": hotplugPort(portUSB)}
}

// soundCodecs are the codecs by what the guest gets. There is none that only
// records.
var soundCodecs = map[hypervisor.Sound]string{
	hypervisor.SoundOutput: "hda-output",
	hypervisor.SoundDuplex: "hda-duplex",
	hypervisor.SoundInput:  "hda-micro",
}

// sound is the sound card. What the guest plays goes to whoever looks at its
// display; a guest that may not play is heard by nobody.
func (p plan) sound() []string {
	codec, ok := soundCodecs[p.spec.Sound]
	if !ok {
		return nil
	}
	return []string{
		"-audiodev", "none,id=" + audioID,
		"-device", device{"driver": "ich9-intel-hda", "id": hypervisor.DeviceSound, "bus": "pcie.0", "addr": "0x11"}.option(),
		"-device", device{"driver": codec, "id": "sound-codec", "bus": hypervisor.DeviceSound + ".0", "audiodev": audioID}.option(),
	}
}

// heard reports whether what the guest plays can be heard with its display.
func (p plan) heard() bool {
	return p.spec.Display && (p.spec.Sound == hypervisor.SoundOutput || p.spec.Sound == hypervisor.SoundDuplex)
}

// usbCodes are the codes of USB classes, as devices and their interfaces have them.
var usbCodes = map[hypervisor.USBClass][]int{
	hypervisor.USBAudio:     {0x01},
	hypervisor.USBPhone:     {0x02, 0x0a},
	hypervisor.USBInput:     {0x03},
	hypervisor.USBImaging:   {0x06},
	hypervisor.USBPrinter:   {0x07},
	hypervisor.USBStorage:   {0x08},
	hypervisor.USBSmartCard: {0x0b},
	hypervisor.USBVideo:     {0x0e},
}

// usbOrder lists the classes with codes in the order of these.
var usbOrder = []hypervisor.USBClass{
	hypervisor.USBAudio, hypervisor.USBPhone, hypervisor.USBInput, hypervisor.USBImaging,
	hypervisor.USBPrinter, hypervisor.USBStorage, hypervisor.USBSmartCard, hypervisor.USBVideo,
}

// usbFilter is the filter of redirected devices: rules CLASS:VENDOR:PRODUCT:VERSION:ALLOW,
// of which the first that fits counts, for the device and each of its
// interfaces. It ends with a rule for everything else, so that no default counts.
func usbFilter(classes []hypervisor.USBClass) string {
	var rules []string
	for _, class := range usbOrder {
		allow := 0
		if slices.Contains(classes, class) {
			allow = 1
		}
		for _, code := range usbCodes[class] {
			rules = append(rules, fmt.Sprintf("0x%02x:-1:-1:-1:%d", code, allow))
		}
	}
	rest := 0
	if slices.Contains(classes, hypervisor.USBOther) {
		rest = 1
	}
	return strings.Join(append(rules, fmt.Sprintf("-1:-1:-1:-1:%d", rest)), "|")
}

// optical is the drive, with what is in it. It reads only.
func (p plan) optical() []string {
	if p.spec.Optical == "" {
		return nil
	}
	drive := device{"driver": "ide-cd", "id": hypervisor.DeviceOptical, "bus": busOptical}
	if p.spec.Optical == opticalEmpty {
		return []string{"-device", drive.option()}
	}
	drive["drive"] = mediumID
	return []string{"-blockdev", mediumNode(mediumID, p.spec.Optical, p.open(p.spec.Optical)).text(), "-device", drive.option()}
}

// opticalEmpty stands for a drive without a medium, as after an Apply that took
// it away.
const opticalEmpty = "none"

// mediumNode is what is in the optical drive: path as it is on the host, opened
// under the name file.
func mediumNode(name, path, file string) node {
	driver := "file"
	if isDrive(path) {
		driver = "host_cdrom"
	}
	return node{"node-name": name, "read-only": true, "driver": "raw", "file": node{"driver": driver, "read-only": true, "filename": file}}
}

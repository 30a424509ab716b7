package hypervisor

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer/internal/guestwire"
)

// Sound says what the guest gets of the host's sound.
type Sound string

// The sounds.
const (
	SoundNone   Sound = ""
	SoundOutput Sound = "output" // it plays
	SoundDuplex Sound = "duplex" // it plays, and hears the microphone
	SoundInput  Sound = "input"  // it hears the microphone and does not play
)

// USBClass is a class of USB devices.
type USBClass string

// The classes.
const (
	USBStorage   USBClass = "storage"
	USBPrinter   USBClass = "printer"
	USBSmartCard USBClass = "smart-card"
	USBInput     USBClass = "input"
	USBImaging   USBClass = "imaging"
	USBVideo     USBClass = "video"
	USBAudio     USBClass = "audio"
	USBPhone     USBClass = "phone"
	USBOther     USBClass = "other"
)

// USBClasses lists all classes.
var USBClasses = []USBClass{
	USBStorage, USBPrinter, USBSmartCard, USBInput, USBImaging, USBVideo, USBAudio, USBPhone, USBOther,
}

// Part names what Apply could not change while the machine runs.
type Part string

// The parts of a Spec.
const (
	PartMemory     Part = "memory"
	PartProcessors Part = "processors"
	PartNetwork    Part = "network"
	PartBridges    Part = "bridges"
	PartChannels   Part = "channels"
	PartSound      Part = "sound"
	PartUSB        Part = "usb"
	PartOptical    Part = "optical"
	PartDisks      Part = "disks" // image, layer, data disk
)

// Device is something that is attached to a machine.
type Device struct {
	// ID is Dormer's name for it, Type the hypervisor's: "virtio-net-pci".
	ID   string `json:"id"`
	Type string `json:"type"`
	// Detail is for people: the port's name, the host's adapter, the medium.
	Detail string `json:"detail,omitempty"`
}

// The names of devices (Device.ID) that are there once.
const (
	DeviceData      = "data"
	DeviceGuestPort = "dormer-guest"
	DeviceSound     = "sound"
	DeviceUSB       = "usb"
	DeviceOptical   = "optical"
	DeviceDisplay   = "display"
	DevicePointer   = "pointer" // comes with the display
)

// DeviceDisk is the name of a disk of the image with its layer, from 0.
func DeviceDisk(number int) string { return fmt.Sprintf("disk-%d", number) }

// DeviceNetwork is the name of a network adapter, from 0.
func DeviceNetwork(number int) string { return fmt.Sprintf("net-%d", number) }

// DeviceChannel is the name of a channel's port.
func DeviceChannel(c guestwire.Channel) string { return "channel-" + string(c) }

// USBSlots is how many USB devices can be redirected to a machine at once.
const USBSlots = 4

// USBSlot is the channel by which a USB device is redirected, from 0. Its bytes
// are those of usbredir, and whoever opens it is the host of the device; there is
// no handshake. ErrNotFound of Open means that no USB is allowed.
func USBSlot(number int) guestwire.Channel { return guestwire.Channel(DeviceUSBSlot(number)) }

// USBSlotNumber is the number of such a channel; false for another one.
func USBSlotNumber(c guestwire.Channel) (int, bool) {
	for i := range USBSlots {
		if c == USBSlot(i) {
			return i, true
		}
	}
	return 0, false
}

// DeviceUSBSlot is the name of one of the places for redirected devices, from 0.
func DeviceUSBSlot(number int) string { return fmt.Sprintf("usb-%d", number) }

// Differs lists the parts in which two machines differ, in the order above.
func (s Spec) Differs(other Spec) []Part {
	sameDisks := s.Layer == other.Layer && s.Overlay == other.Overlay && slices.EqualFunc(s.Base, other.Base, DiskSource.equal) &&
		(s.Data == other.Data || s.Data != nil && other.Data != nil && *s.Data == *other.Data)
	var parts []Part
	for _, c := range []struct {
		part Part
		same bool
	}{
		{PartMemory, s.Memory == other.Memory},
		{PartProcessors, s.Processors == other.Processors},
		{PartNetwork, s.Network == other.Network},
		{PartBridges, slices.Equal(s.Bridges, other.Bridges)},
		{PartChannels, sameSet(s.Channels, other.Channels)},
		{PartSound, s.Sound == other.Sound},
		{PartUSB, sameSet(s.USB, other.USB)},
		{PartOptical, s.Optical == other.Optical},
		{PartDisks, sameDisks},
	} {
		if !c.same {
			parts = append(parts, c.part)
		}
	}
	return parts
}

func (d DiskSource) equal(other DiskSource) bool {
	if d.Image != nil && other.Image != nil {
		return *d.Image == *other.Image
	}
	return d == other
}

// sameSet compares lists whose order means nothing.
func sameSet[T cmp.Ordered](a, b []T) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

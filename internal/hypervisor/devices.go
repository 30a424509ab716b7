package hypervisor

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

package hypervisor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Network is how a machine reaches the network.
type Network string

// The networks.
const (
	// NetworkNone attaches no network adapter.
	NetworkNone Network = "none"
	// NetworkNAT lets the guest open connections to the outside through the
	// host's. It cannot reach the host's loopback, nor be reached.
	NetworkNAT Network = "nat"
	// NetworkBridged puts the guest into the host's network, with one adapter
	// for each of Spec.Bridges.
	NetworkBridged Network = "bridged"
)

// Firmware is what starts the guest.
type Firmware string

// The firmwares.
const (
	FirmwareBIOS Firmware = "bios"
	FirmwareUEFI Firmware = "uefi"
)

// DiskBusVirtio is the disk bus that every driver has.
const DiskBusVirtio = "virtio"

// Overlay says what happens to what the guest writes to its system disk.
type Overlay string

// The overlays.
const (
	// OverlayKeep keeps the machine layer: a persistent workspace.
	OverlayKeep Overlay = "keep"
	// OverlayDiscard makes a new layer with a key of its own at each start and
	// deletes it at the end: a revertible workspace.
	OverlayDiscard Overlay = "discard"
)

// The serial numbers under which a guest finds its disks.
const (
	SerialSystem = "dormer-system"
	SerialData   = "dormer-data"
)

// Spec is everything that a machine is made of. It holds no secrets and is
// stored beside the machine.
type Spec struct {
	// Machine is the identity of the machine.
	Machine dormer.MachineID `json:"machine"`
	// Dir is the machine's own directory, absolute, existing, mode 0700. Below
	// root, QEMU is a user of its own and reaches nothing in it by name.
	Dir string `json:"dir"`
	// Name is for people: the name of the workspace.
	Name string `json:"name,omitempty"`
	// ComputerName is the guest's host name; empty leaves the image's own.
	ComputerName string `json:"computer_name,omitempty"`

	// Memory is in MiB.
	Memory     int `json:"memory"`
	Processors int `json:"processors"`

	// MachineType is a versioned type as pc-q35-7.2; empty takes the driver's
	// default. Firmware empty is FirmwareBIOS.
	MachineType string   `json:"machine_type,omitempty"`
	Firmware    Firmware `json:"firmware,omitempty"`

	// Base are the disks of the image, in order, all read-only; the first is
	// the system disk.
	Base []DiskSource `json:"base"`
	// Layer names the machine layer over the base disks, one for each image
	// version: a new name starts a fresh layer beside the others. Lower-case
	// letters, digits and hyphens, at most 32; the caller keeps the binding of
	// layer to image.
	Layer string `json:"layer"`
	// Overlay says whether the layer is kept.
	Overlay Overlay `json:"overlay"`
	// Data is the user's disk, nil for none. It does not depend on the image.
	Data *DataDisk `json:"data,omitempty"`

	Network Network `json:"network"`
	// Bridges are the host's adapters that the guest is bridged to, in order.
	Bridges []string `json:"bridges,omitempty"`
	// Channels are the ports that the guest gets beside that of its agent.
	Channels []guestwire.Channel `json:"channels,omitempty"`
	// Sound says whether the guest plays sound, and whether it hears the
	// microphone too.
	Sound Sound `json:"sound,omitempty"`
	// USB are the classes of devices that may be redirected to the guest; empty
	// attaches no controller.
	USB []USBClass `json:"usb,omitempty"`
	// Optical is the host's drive, or a file with the image of a disc, that the
	// guest gets read-only; empty attaches none.
	Optical string `json:"optical,omitempty"`
	// Strict refuses the start with ErrUnsupported when the host lacks any of
	// Network, Sound, USB, Optical or Memory. Else the machine starts without it,
	// and Status.Missing says so.
	Strict bool `json:"strict,omitempty"`
	// Resume goes on from the saved state if there is one that fits. One that does
	// not is thrown away, and Status.Notice says why.
	Resume bool `json:"resume,omitempty"`
	// DiskBus is how the image wants its disks attached: virtio, sata, nvme, scsi
	// or ide; empty is virtio. TPM says that it wants a TPM 2.0.
	DiskBus string `json:"disk_bus,omitempty"`
	TPM     bool   `json:"tpm,omitempty"`
	// Boot starts a kernel directly instead of through the firmware.
	Boot *Boot `json:"boot,omitempty"`
	// Display attaches a screen, served by VNC on the Unix socket FileDisplay.
	Display bool `json:"display,omitempty"`
}

// DiskSource says where a read-only disk comes from: exactly one of Image, File and
// Socket is set.
type DiskSource struct {
	Image *ImageDisk `json:"image,omitempty"`
	// File is the absolute path of a local file, of the given Format.
	File   string     `json:"file,omitempty"`
	Format DiskFormat `json:"format,omitempty"`
	// Of is the image that File or Socket serves a disk of, empty for none: a saved
	// state is bound to it.
	Of dormer.ImageID `json:"of,omitempty"`
	// Socket is the Unix socket of an NBD server that serves the disk as its
	// default export. Below root it must be in the machine's directory, or
	// open to the machine's user.
	Socket string `json:"socket,omitempty"`
}

// ImageDisk is a disk of an image in a local image store.
type ImageDisk struct {
	// Store is the directory of the store, absolute.
	Store string         `json:"store"`
	Image dormer.ImageID `json:"image"`
	// Index is the number of the disk in the manifest, from 0.
	Index int `json:"index"`
}

// DiskFormat is the format of a local file.
type DiskFormat string

// The formats.
const (
	FormatRaw   DiskFormat = "raw"
	FormatQcow2 DiskFormat = "qcow2"
)

// DataDisk is the disk that holds the user's data.
type DataDisk struct {
	// Size is in bytes; it is used when the disk is made.
	Size int64 `json:"size"`
	// Label and MountPoint are the image's data convention: the guest mounts
	// the file system of that label there, and makes it on a blank disk.
	Label      string `json:"label"`
	MountPoint string `json:"mount_point"`
}

// Boot is a kernel to be started directly.
type Boot struct {
	Kernel DiskSource `json:"kernel"`
	// Initrd may be the zero DiskSource.
	Initrd DiskSource `json:"initrd,omitzero"`
	Append string     `json:"append,omitempty"`
}

// Limits of a machine.
const (
	MinMemory     = 32      // MiB
	MaxMemory     = 1 << 20 // MiB
	MaxProcessors = 255
	MaxBase       = 8
	MaxBridges    = 6
	MinData       = 1 << 20  // bytes
	MaxData       = 16 << 40 // bytes
)

// maxAdapterName is the longest name of an adapter of the host, in bytes.
const maxAdapterName = 15

var (
	layerPattern        = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	machineTypePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	computerNamePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	labelPattern        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$`)
)

// Validate checks everything that can be checked without looking at the host.
func (s Spec) Validate() error {
	var errs dormer.InvalidError
	bad := func(path, message string) {
		errs.Fields = append(errs.Fields, dormer.FieldError{Path: path, Message: message})
	}
	if !dormer.ValidID(string(s.Machine)) {
		bad("machine", "is not an identity")
	}
	if !cleanAbsolute(s.Dir) {
		bad("dir", "must be an absolute path")
	}
	if s.Memory < MinMemory || s.Memory > MaxMemory {
		bad("memory", "must be 32 to 1048576 MiB")
	}
	if s.Processors < 1 || s.Processors > MaxProcessors {
		bad("processors", "must be 1 to 255")
	}
	if s.ComputerName != "" && !computerNamePattern.MatchString(s.ComputerName) {
		bad("computer_name", "must be letters, digits and hyphens, at most 63")
	}
	if s.MachineType != "" && !machineTypePattern.MatchString(s.MachineType) {
		bad("machine_type", "must be a versioned machine type, as pc-q35-7.2")
	}
	switch s.Firmware {
	case "", FirmwareBIOS, FirmwareUEFI:
	default:
		bad("firmware", "must be bios or uefi")
	}
	switch s.DiskBus {
	case "", DiskBusVirtio, "sata", "nvme", "scsi", "ide":
	default:
		bad("disk_bus", "must be virtio, sata, nvme, scsi or ide")
	}
	switch s.Overlay {
	case OverlayKeep, OverlayDiscard:
	default:
		bad("overlay", "must be keep or discard")
	}
	switch s.Network {
	case NetworkNone, NetworkNAT:
		if len(s.Bridges) > 0 {
			bad("bridges", "are for a bridged network only")
		}
	case NetworkBridged:
	default:
		bad("network", "must be nat, bridged or none")
	}
	s.checkDevices(bad)
	if !layerPattern.MatchString(s.Layer) {
		bad("layer", "must be lower-case letters, digits and hyphens, at most 32")
	}
	if len(s.Base) == 0 || len(s.Base) > MaxBase {
		bad("base", "must be 1 to 8 disks")
	}
	for _, d := range s.Base {
		checkSource(d, "base", bad)
	}
	if d := s.Data; d != nil {
		if d.Size < MinData || d.Size > MaxData || d.Size%4096 != 0 {
			bad("data.size", "must be 1 MiB to 16 TiB and a multiple of 4096")
		}
		if !labelPattern.MatchString(d.Label) {
			bad("data.label", "must be letters, digits, hyphens and underscores, at most 16")
		}
		if !strings.HasPrefix(d.MountPoint, "/") && !isDriveLetter(d.MountPoint) {
			bad("data.mount_point", "must be an absolute path or a drive letter")
		}
	}
	if b := s.Boot; b != nil {
		checkSource(b.Kernel, "boot.kernel", bad)
		if b.Initrd != (DiskSource{}) {
			checkSource(b.Initrd, "boot.initrd", bad)
		}
		if len(b.Append) > 2048 || strings.ContainsAny(b.Append, "\x00\n") {
			bad("boot.append", "must be one line of at most 2048 bytes")
		}
	}
	if len(errs.Fields) > 0 {
		return &errs
	}
	return nil
}

// checkDevices checks what a policy may allow beside disks and network.
func (s Spec) checkDevices(bad func(path, message string)) {
	for i, b := range s.Bridges {
		if b == "" || len(b) > maxAdapterName || strings.ContainsAny(b, "/\x00\n ") || slices.Contains(s.Bridges[:i], b) {
			bad("bridges", "must be names of adapters of the host, each once")
		}
	}
	if len(s.Bridges) > MaxBridges {
		bad("bridges", "must be at most 6")
	}
	for i, c := range s.Channels {
		if !slices.Contains(guestwire.Channels, c) || slices.Contains(s.Channels[:i], c) {
			bad("channels", "must be known channels, each once")
		}
	}
	switch s.Sound {
	case SoundNone, SoundOutput, SoundDuplex, SoundInput:
	default:
		bad("sound", "must be output, duplex, input or nothing")
	}
	for i, c := range s.USB {
		if !slices.Contains(USBClasses, c) || slices.Contains(s.USB[:i], c) {
			bad("usb", "must be known classes, each once")
		}
	}
	if s.Optical != "" && !cleanAbsolute(s.Optical) {
		bad("optical", "must be an absolute path")
	}
}

// Supported refuses what no driver can give yet: ErrUnsupported, naming it.
func (s Spec) Supported() error {
	if s.DiskBus != "" && s.DiskBus != DiskBusVirtio {
		return fmt.Errorf("the image wants its disks attached by %s, and only virtio can be given: %w", s.DiskBus, dormer.ErrUnsupported)
	}
	if s.TPM {
		return fmt.Errorf("the image wants a TPM, which cannot be given: %w", dormer.ErrUnsupported)
	}
	return nil
}

func checkSource(d DiskSource, path string, bad func(path, message string)) {
	set := 0
	if d.Image != nil {
		set++
		if !cleanAbsolute(d.Image.Store) || d.Image.Image == "" || d.Image.Index < 0 {
			bad(path+".image", "must name a store, an image and a disk")
		}
	}
	if d.File != "" {
		set++
		if !cleanAbsolute(d.File) {
			bad(path+".file", "must be an absolute path")
		}
		switch d.Format {
		case FormatRaw, FormatQcow2:
		default:
			bad(path+".format", "must be raw or qcow2")
		}
	}
	if d.Socket != "" {
		set++
		if !cleanAbsolute(d.Socket) {
			bad(path+".socket", "must be an absolute path")
		}
	}
	if set != 1 {
		bad(path, "must be exactly one of image, file and socket")
	}
}

func cleanAbsolute(p string) bool {
	return filepath.IsAbs(p) && filepath.Clean(p) == p && !strings.ContainsAny(p, "\x00\n")
}

func isDriveLetter(p string) bool {
	return len(p) == 2 && p[1] == ':' && p[0] >= 'A' && p[0] <= 'Z'
}

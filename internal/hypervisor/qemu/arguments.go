package qemu

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/account"
)

// The arguments of QEMU are built from small lists, one for each part of the
// machine. No shell sees them and no secret is in them: keys come through
// inherited pipes, sockets are inherited too. What is not listed is not there,
// because of -nodefaults.

// descriptors are the numbers of what QEMU inherits; 0 is absent.
type descriptors struct {
	monitor, guest, console, network int
	dataKey, layerKey                int
	channels                         map[guestwire.Channel]int
}

// plan is everything that goes into the arguments.
type plan struct {
	spec        hypervisor.Spec
	wanted      hypervisor.Spec // as it was asked for
	missing     []string        // what of that the host cannot give
	accelerator accelerator
	machineType string
	firmware    string // file of a UEFI firmware, empty for the built-in BIOS
	uuid        string
	mac         string
	layers      []string // file names in the machine's directory, one for each base disk
	fds         descriptors
	account     *account.Account // whom QEMU runs as, nil for the calling process's user
	opened      []openedFile     // what QEMU may not open itself
	nics        []nic            // the adapters of a bridged network
	unbridged   []string         // why it has not others, a sentence each
	saved       *savedState      // what the machine goes on from, nil for a fresh start
}

// openedFile is a file that QEMU gets open, under the number fd.
type openedFile struct {
	name string // as in the machine's directory, or absolute
	fd   int
}

// open is the name under which QEMU opens a file.
func (p plan) open(name string) string {
	for i, f := range p.opened {
		if f.name == name {
			return fmt.Sprintf("/dev/fdset/%d", i)
		}
	}
	return name
}

func (p plan) openedFiles() []string {
	var args []string
	for i, f := range p.opened {
		args = append(args, "-add-fd", fmt.Sprintf("fd=%d,set=%d", f.fd, i))
	}
	return args
}

// arguments are all arguments of QEMU, without the program's name.
func (p plan) arguments() []string {
	var args []string
	for _, part := range [][]string{
		p.platform(), p.monitor(), p.keys(), p.openedFiles(), p.ports(), p.disks(), p.dataDisk(),
		p.guestPort(), p.console(), p.network(), p.devices(), p.boot(), p.display(), p.incoming(),
	} {
		args = append(args, part...)
	}
	return args
}

func (p plan) platform() []string {
	args := []string{
		"-nodefaults", "-no-user-config",
		"-name", "guest=" + string(p.spec.Machine), "-uuid", p.uuid,
		"-machine", p.machineType + ",usb=off,vmport=off,dump-guest-core=off",
		"-accel", p.accelerator.option, "-cpu", p.accelerator.cpu,
		"-m", strconv.Itoa(p.spec.Memory) + "M", "-smp", strconv.Itoa(p.spec.Processors),
		"-rtc", "base=utc",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		// Whoever owns the machine starts it again: a throw-away layer has to go first.
		"-action", "reboot=shutdown,panic=shutdown",
		"-msg", "timestamp=on",
		"-device", "virtio-rng-pci,id=rng",
	}
	if p.firmware != "" {
		args = append(args, "-bios", p.firmware)
	}
	return args
}

func (p plan) monitor() []string {
	return []string{"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", p.fds.monitor), "-mon", "chardev=monitor,mode=control"}
}

// Names of the secret objects.
const (
	secretData  = "key-data"
	secretLayer = "key-layer"
)

func (p plan) keys() []string {
	var args []string
	if p.fds.dataKey != 0 {
		args = append(args, "-object", secretFrom(secretData, p.fds.dataKey))
	}
	return append(args, "-object", secretFrom(secretLayer, p.fds.layerKey))
}

// secretFrom is a secret object whose content comes through a pipe.
func secretFrom(id string, fd int) string {
	return fmt.Sprintf("secret,id=%s,format=raw,file=/dev/fd/%d", id, fd)
}

func (p plan) disks() []string {
	var args []string
	for i, source := range p.spec.Base {
		base, layer := fmt.Sprintf("base%d", i), fmt.Sprintf("layer%d", i)
		cache := node{"no-flush": p.spec.Overlay == hypervisor.OverlayDiscard}
		device := diskDevice(hypervisor.DeviceDisk(i), layer, serial(i))
		if p.spec.Boot == nil {
			device += fmt.Sprintf(",bootindex=%d", i)
		}
		source.File = p.open(source.File)
		args = append(args,
			"-blockdev", baseNode(base, source).text(),
			"-blockdev", encryptedNode(layer, p.open(p.layers[i]), secretLayer).with("backing", base).with("cache", cache).text(),
			"-device", device,
		)
	}
	return args
}

func serial(disk int) string {
	if disk == 0 {
		return hypervisor.SerialSystem
	}
	return fmt.Sprintf("%s-%d", hypervisor.SerialSystem, disk)
}

func (p plan) dataDisk() []string {
	if p.spec.Data == nil {
		return nil
	}
	return []string{
		"-blockdev", encryptedNode("data", p.open(hypervisor.FileData), secretData).text(),
		"-device", diskDevice(hypervisor.DeviceData, "data", hypervisor.SerialData),
	}
}

// diskDevice stops the machine when a disk fails, so that it can go on when
// the cause has gone.
func diskDevice(id, drive, serial string) string {
	return fmt.Sprintf("virtio-blk-pci,id=%s,drive=%s,serial=%s,rerror=stop,werror=stop", id, drive, serial)
}

func (p plan) guestPort() []string {
	return []string{
		"-device", "virtio-serial-pci,id=" + busSerial,
		"-chardev", fmt.Sprintf("socket,id=guest,fd=%d", p.fds.guest),
		"-device", "virtserialport,id=" + guestPortID + ",bus=" + busSerial + ".0,nr=1,chardev=guest,name=" + guestwire.PortName,
	}
}

func (p plan) console() []string {
	return []string{"-chardev", fmt.Sprintf("socket,id=console,fd=%d", p.fds.console), "-device", "isa-serial,id=console,chardev=console"}
}

func (p plan) network() []string {
	switch p.spec.Network {
	case hypervisor.NetworkNAT:
		return []string{
			"-netdev", fmt.Sprintf("stream,id=%s,server=off,addr.type=fd,addr.str=%d", natNetdev, p.fds.network),
			"-device", "virtio-net-pci,id=" + hypervisor.DeviceNetwork(0) + ",netdev=" + natNetdev + ",romfile=,mac=" + p.mac,
		}
	case hypervisor.NetworkBridged:
		return p.bridged()
	default:
		return nil
	}
}

func (p plan) boot() []string {
	b := p.spec.Boot
	if b == nil {
		return nil
	}
	args := []string{"-kernel", b.Kernel.File}
	if b.Initrd.File != "" {
		args = append(args, "-initrd", b.Initrd.File)
	}
	if b.Append != "" {
		args = append(args, "-append", b.Append)
	}
	return args
}

func (p plan) display() []string {
	if !p.spec.Display {
		return []string{"-display", "none", "-vga", "none"}
	}
	screen := "unix:" + hypervisor.FileDisplay
	if p.heard() {
		screen += ",audiodev=" + audioID
	}
	return []string{
		"-display", "none", "-vnc", screen, "-device", "VGA,id=" + hypervisor.DeviceDisplay,
		// Its pointer is where the mouse of whoever looks is. A guest that has no
		// driver for it gets the movements of the mouse that the platform has.
		"-device", "virtio-tablet-pci,id=" + hypervisor.DevicePointer,
	}
}

// node is a block device node, written as JSON so that no character of a path
// means anything.
type node map[string]any

func (n node) with(key string, value any) node {
	n[key] = value
	return n
}

func (n node) text() string {
	b, err := json.Marshal(n)
	if err != nil {
		// Strings, numbers and maps of them always encode.
		panic(err)
	}
	return string(b)
}

// baseNode reads a base disk.
func baseNode(name string, source hypervisor.DiskSource) node {
	n := node{"node-name": name, "read-only": true, "driver": "raw"}
	if source.Socket != "" {
		// A server that was started again within the delay is found again: the
		// guest only waits. Without the delay it would see a broken disk.
		return n.with("file", node{
			"driver": "nbd", "read-only": true, "reconnect-delay": reconnectDelay,
			"server": node{"type": "unix", "path": source.Socket},
		})
	}
	n.with("file", node{"driver": "file", "read-only": true, "filename": source.File})
	if source.Format == hypervisor.FormatQcow2 {
		// What a file says its backing file is must not be opened.
		n.with("driver", "qcow2").with("backing", nil)
	}
	return n
}

// reconnectDelay is how long reads wait for a server of a base disk, in seconds.
const reconnectDelay = 60

func encryptedNode(name, file, secret string) node {
	return node{
		"node-name": name, "driver": "qcow2", "discard": "unmap",
		"file":    node{"driver": "file", "filename": file, "discard": "unmap"},
		"encrypt": node{"format": "luks", "key-secret": secret},
	}
}

// createArguments are qemu-img's for an empty encrypted disk. Extended L2
// entries spare the overlay from reading the base when the guest writes less
// than a cluster; the key is random, so that iterating over it buys nothing.
func createArguments(file string, size int64, keyFD int) []string {
	return []string{
		"create", "-q", "-f", "qcow2", "--object", secretFrom("key", keyFD),
		"-o", "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10,extended_l2=on,cluster_size=128k,lazy_refcounts=off",
		filepath.Clean(file), strconv.FormatInt(size, 10),
	}
}

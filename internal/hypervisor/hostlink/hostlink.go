// Package hostlink connects machines to adapters of the host: by a tap on a
// bridge, or by a macvtap on any other wired adapter. Drivers of hypervisors
// import it. Only root can.
//
// A tap is gone when the last process has closed it. A macvtap stays, so that
// it is written down in the machine's directory before it is made; CleanUp
// removes what a killed process has left.
package hostlink

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
)

// FileLinks names the macvtaps of a machine, a line each.
const FileLinks = "links"

// maxLinks is the longest FileLinks, in bytes.
const maxLinks = 4 << 10

// queueLength is how many frames wait in a macvtap for the machine.
const queueLength = 1000

// linkPattern is what our own links are called. Nothing else is ever removed.
var linkPattern = regexp.MustCompile(`^dm[tv][0-9a-f]{10}$`)

// Link is a machine's end of a link. Whoever opens it closes it.
type Link struct {
	// File is what the hypervisor reads and writes frames from and to.
	File *os.File
	// Adapter is the host's adapter, Name our link beside it.
	Adapter, Name string

	remove bool
	lower  int // index of what it is connected to
}

// Allowed reports whether an adapter matches one of the patterns ("eth0",
// "br*"), which are those of path.Match.
func Allowed(adapter string, patterns []string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, adapter); err == nil && ok {
			return true
		}
	}
	return false
}

// Check says whether machines can be connected to an adapter: ErrNotFound when
// the host has none of that name, ErrUnsupported when it is of the wrong kind,
// ErrDenied when this process may not.
func Check(adapter string) error {
	_, _, err := find(adapter)
	return err
}

// Adapters lists the adapters that machines can be connected to.
func Adapters() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list adapters: %w", err)
	}
	var names []string
	for _, l := range links {
		if suitable(l) == nil {
			names = append(names, l.Attrs().Name)
		}
	}
	return names, nil
}

// find returns an adapter and the bridge that it is or is a port of, nil for none.
func find(adapter string) (link, bridge netlink.Link, err error) {
	if os.Geteuid() != 0 {
		return nil, nil, fmt.Errorf("connect to adapter %s: only root can: %w", adapter, dormer.ErrDenied)
	}
	link, err = netlink.LinkByName(adapter)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil, nil, fmt.Errorf("adapter %s: %w", adapter, dormer.ErrNotFound)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("adapter %s: %w", adapter, err)
	}
	if err := suitable(link); err != nil {
		return nil, nil, err
	}
	if link.Type() == "bridge" {
		return link, link, nil
	}
	if index := link.Attrs().MasterIndex; index != 0 {
		master, err := netlink.LinkByIndex(index)
		if err != nil {
			return nil, nil, fmt.Errorf("bridge of adapter %s: %w", adapter, err)
		}
		if master.Type() == "bridge" {
			return link, master, nil
		}
	}
	return link, nil, nil
}

// suitable refuses what carries no Ethernet frames of others.
func suitable(link netlink.Link) error {
	a := link.Attrs()
	switch {
	case a.Flags&net.FlagLoopback != 0, a.EncapType != "ether":
		return fmt.Errorf("adapter %s is no Ethernet: %w", a.Name, dormer.ErrUnsupported)
	case wireless(a.Name):
		return fmt.Errorf("adapter %s is wireless, and access points refuse other computers' addresses: %w", a.Name, dormer.ErrUnsupported)
	}
	switch link.Type() {
	case "bridge", "device", "veth", "bond", "vlan", "team":
		return nil
	default:
		return fmt.Errorf("adapter %s is of kind %s: %w", a.Name, link.Type(), dormer.ErrUnsupported)
	}
}

func wireless(name string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", name, "phy80211"))
	return err == nil
}

// linkName is the name of the link of a machine to an adapter.
func linkName(kind string, machine dormer.MachineID, adapter string) string {
	h := sha256.Sum256([]byte("dormer link " + string(machine) + " " + adapter))
	return fmt.Sprintf("dm%s%x", kind, h[:5])
}

// Open connects a machine, which lives in dir and shows the address mac, to an
// adapter of the host. Errors are those of Check.
func Open(dir string, machine dormer.MachineID, adapter string, mac net.HardwareAddr) (*Link, error) {
	link, bridge, err := find(adapter)
	if err != nil {
		return nil, err
	}
	if bridge != nil {
		return openTap(linkName("t", machine, adapter), adapter, bridge, mac)
	}
	return openMacvtap(dir, linkName("v", machine, adapter), link, mac)
}

// openTap makes a tap that is a port of a bridge.
func openTap(name, adapter string, bridge netlink.Link, mac net.HardwareAddr) (_ *Link, err error) {
	// The bridge takes the lowest address of its ports for its own: the host's
	// end of the tap must not have it.
	host := append(net.HardwareAddr{0xfe}, mac[1:]...)
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: name},
		Mode:      netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR, NonPersist: true, Queues: 1,
	}
	if err := netlink.LinkAdd(tap); err != nil {
		return nil, fmt.Errorf("make tap on %s: %w", adapter, err)
	}
	defer func() {
		if err != nil {
			for _, f := range tap.Fds {
				_ = f.Close() // it is gone with it
			}
		}
	}()
	if len(tap.Fds) != 1 {
		return nil, fmt.Errorf("make tap on %s: %w", adapter, dormer.ErrUnsupported)
	}
	// The host itself has no business on the tap.
	_ = os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", name, "disable_ipv6"), []byte("1"), 0o644)
	for _, step := range []func() error{
		func() error { return netlink.LinkSetHardwareAddr(tap, host) },
		func() error { return netlink.LinkSetMTU(tap, bridge.Attrs().MTU) },
		func() error { return netlink.LinkSetMaster(tap, bridge) },
		func() error { return netlink.LinkSetUp(tap) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("put tap on %s: %w", adapter, err)
		}
	}
	return &Link{File: tap.Fds[0], Adapter: adapter, Name: name, lower: bridge.Attrs().Index}, nil
}

// openMacvtap makes a macvtap beside an adapter: the network sees the machine
// as a computer of its own, and only the host does not.
func openMacvtap(dir, name string, parent netlink.Link, mac net.HardwareAddr) (_ *Link, err error) {
	if err := remember(dir, name); err != nil {
		return nil, err
	}
	if err := remove(name); err != nil {
		return nil, err
	}
	adapter := parent.Attrs().Name
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr, attrs.MTU = name, parent.Attrs().Index, mac, parent.Attrs().MTU
	attrs.TxQLen = queueLength
	macvtap := &netlink.Macvtap{Macvlan: netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}}
	if err := netlink.LinkAdd(macvtap); err != nil {
		return nil, fmt.Errorf("make macvtap on %s: %w", adapter, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, remove(name))
		}
	}()
	made, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(made)
	}
	if err != nil {
		return nil, fmt.Errorf("make macvtap on %s: %w", adapter, err)
	}
	f, err := openDevice(dir, name, made.Attrs().Index)
	if err != nil {
		return nil, fmt.Errorf("open macvtap on %s: %w", adapter, err)
	}
	return &Link{File: f, Adapter: adapter, Name: name, remove: true, lower: parent.Attrs().Index}, nil
}

// openDevice opens the device of a macvtap. Where nothing makes devices, it is
// made for a moment in the machine's directory.
func openDevice(dir, name string, index int) (*os.File, error) {
	device := fmt.Sprintf("/dev/tap%d", index)
	text, err := os.ReadFile(fmt.Sprintf("/sys/class/net/%s/tap%d/dev", name, index))
	if errors.Is(err, fs.ErrNotExist) {
		// Without a sysfs of its network the number is all there is to go by.
		return os.OpenFile(device, os.O_RDWR, 0)
	}
	if err != nil {
		return nil, err
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err != nil {
		return nil, fmt.Errorf("number of device: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err == nil && st.Rdev == unix.Mkdev(major, minor) {
		return os.OpenFile(device, os.O_RDWR, 0)
	}
	own := filepath.Join(dir, name+".new")
	if err := unix.Mknod(own, unix.S_IFCHR|0o600, int(unix.Mkdev(major, minor))); err != nil {
		return nil, fmt.Errorf("make device: %w", err)
	}
	f, err := os.OpenFile(own, os.O_RDWR, 0)
	return f, errors.Join(err, os.Remove(own))
}

// Alive reports whether the link still leads to its adapter: an adapter that
// was pulled out takes it with it, and is another when it comes back.
func (l *Link) Alive() bool {
	link, err := netlink.LinkByName(l.Name)
	if err != nil {
		return false
	}
	a := link.Attrs()
	if l.remove {
		return a.ParentIndex == l.lower
	}
	return a.MasterIndex == l.lower
}

// Close ends our part in the link; who was given File has it still. A macvtap
// is gone with it.
func (l *Link) Close() error {
	err := l.File.Close()
	if errors.Is(err, fs.ErrClosed) {
		err = nil
	}
	if l.remove {
		err = errors.Join(err, remove(l.Name))
	}
	return err
}

// remember writes down a link that outlives its process.
func remember(dir, name string) error {
	f, err := os.OpenFile(filepath.Join(dir, FileLinks), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write down link: %w", err)
	}
	_, err = f.WriteString(name + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write down link: %w", err)
	}
	return nil
}

// remove removes a link of ours, if it is there.
func remove(name string) error {
	link, err := netlink.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove link %s: %w", name, err)
	}
	return nil
}

// CleanUp removes the links that the machine in dir, which no longer runs, has
// left behind.
func CleanUp(dir string) error {
	file := filepath.Join(dir, FileLinks)
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Size() > maxLinks {
		return fmt.Errorf("look for links: %w", errors.Join(err, dormer.ErrCorrupt))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("look for links: %w", err)
	}
	for name := range strings.Lines(string(text)) {
		if name = strings.TrimSpace(name); linkPattern.MatchString(name) {
			if err := remove(name); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("forget links: %w", err)
	}
	return nil
}

package hostlink

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/dormer-project/dormer"
)

func TestAllowed(t *testing.T) {
	tests := []struct {
		adapter  string
		patterns []string
		want     bool
	}{
		{"eth0", []string{"eth0"}, true},
		{"eth0", []string{"br*", "eth?"}, true},
		{"eth10", []string{"eth?"}, false},
		{"eth0", []string{"*"}, true},
		{"eth0", nil, false},
		{"eth0", []string{"[", "eth1"}, false},
	}
	for _, tt := range tests {
		if got := Allowed(tt.adapter, tt.patterns); got != tt.want {
			t.Errorf("%s, %q: %t", tt.adapter, tt.patterns, got)
		}
	}
}

// inside says that the test runs in a network of its own.
const inside = "DORMER_TEST_INSIDE"

func TestLinks(t *testing.T) {
	if os.Getenv(inside) != "" {
		linksInside(t)
		return
	}
	if os.Geteuid() != 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("needs root, for a network of its own")
		}
		t.Skip("needs root, for a network of its own")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLinks$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func linksInside(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(syscall.Mount("sysfs", "/sys", "sysfs", 0, ""))
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(netlink.LinkAdd(bridge))
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wire0"}, PeerName: "wire1"}))
	wire1, err := netlink.LinkByName("wire1")
	must(err)
	must(netlink.LinkSetMaster(wire1, bridge))
	mac := net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}
	dir := t.TempDir()

	if got, err := Adapters(); err != nil || !slices.Contains(got, "br0") || !slices.Contains(got, "wire0") || slices.Contains(got, "lo") {
		t.Errorf("adapters: %q, %v", got, err)
	}
	for adapter, want := range map[string]error{"none0": dormer.ErrNotFound, "lo": dormer.ErrUnsupported} {
		if err := Check(adapter); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", adapter, err, want)
		}
		if _, err := Open(dir, "machine", adapter, mac); !errors.Is(err, want) {
			t.Errorf("open %s: %v, want %v", adapter, err, want)
		}
	}
	exists := func(name string) bool {
		_, err := netlink.LinkByName(name)
		return err == nil
	}
	for adapter, kind := range map[string]string{"br0": "tuntap", "wire1": "tuntap", "wire0": "macvtap"} {
		l, err := Open(dir, "machine", adapter, mac)
		must(err)
		link, err := netlink.LinkByName(l.Name)
		if err != nil || link.Type() != kind || !l.Alive() {
			t.Errorf("link to %s: %v, %v", adapter, link, err)
		}
		if kind == "tuntap" && link.Attrs().MasterIndex != bridge.Index {
			t.Errorf("link to %s is not on the bridge", adapter)
		}
		must(l.Close())
		if exists(l.Name) {
			t.Errorf("link to %s outlives its end", adapter)
		}
	}
	// A process that is killed closes files and removes nothing.
	l, err := Open(dir, "machine", "wire0", mac)
	must(err)
	must(l.File.Close())
	if !exists(l.Name) {
		t.Fatal("there is nothing to clean up")
	}
	text, err := os.ReadFile(filepath.Join(dir, FileLinks))
	must(err)
	must(os.WriteFile(filepath.Join(dir, FileLinks), append(text, "wire1\n../x\n"...), 0o600))
	must(CleanUp(dir))
	must(CleanUp(dir))
	if exists(l.Name) || !exists("wire1") {
		t.Errorf("after cleaning up, link %t, adapter %t", exists(l.Name), exists("wire1"))
	}
	// It can be opened although one was left.
	l, err = Open(dir, "machine", "wire0", mac)
	must(err)
	must(l.File.Close())
	l, err = Open(dir, "machine", "wire0", mac)
	must(err)
	// It dies with its adapter, and is not that of the next one of that name.
	must(netlink.LinkDel(wire1))
	if l.Alive() {
		t.Error("a link without its adapter lives")
	}
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wire0"}, PeerName: "wire1"}))
	if l.Alive() {
		t.Error("a link lives with another adapter")
	}
	must(l.Close())
}

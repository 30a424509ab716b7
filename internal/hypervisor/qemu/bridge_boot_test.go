package qemu_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// inside says that the test runs in a network of its own.
const inside = "DORMER_TEST_INSIDE"

// TestBridged boots a guest that is bridged to a bridge and to another
// adapter, in a network of its own, in which the test is run again.
func TestBridged(t *testing.T) {
	hypervisortest.SkipUnlessBooting(t)
	if os.Getenv(inside) != "" {
		bridgedInside(t)
		return
	}
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("needs root, for a network of its own")
		}
		t.Skip("needs root, for a network of its own")
	}
	hypervisortest.FindGuest(t, "tiny") // made outside, where there is a network
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBridged$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// wires makes the host's network: a bridge br0, and an adapter wire0 that leads
// to a network in which wire1 is.
func wires(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(syscall.Mount("sysfs", "/sys", "sysfs", 0, ""))
	up := func(l netlink.Link, address string) {
		t.Helper()
		if address != "" {
			a, err := netlink.ParseAddr(address)
			must(err)
			must(netlink.AddrAdd(l, a))
		}
		must(netlink.LinkSetUp(l))
	}
	lo, err := netlink.LinkByName("lo")
	must(err)
	up(lo, "")
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(netlink.LinkAdd(bridge))
	up(bridge, "192.168.77.1/24")
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wire0"}, PeerName: "wire1"}))
	wire0, err := netlink.LinkByName("wire0")
	must(err)
	wire1, err := netlink.LinkByName("wire1")
	must(err)
	up(wire0, "")
	up(wire1, "192.168.78.1/24")
}

// ownLinks are the links that the driver has made.
func ownLinks(t *testing.T) []string {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, "dm") {
			names = append(names, l.Attrs().Name)
		}
	}
	return names
}

func bridgedInside(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.network.mode", "spec.network.adapters", "spec.network.newAdapters")
	wires(t)
	d := qemu.New(qemu.Config{ProbeFile: filepath.Join(t.TempDir(), "probe.json"), Accelerator: "tcg", Bridges: []string{"br*", "wire0", "late0"}})
	h := hypervisortest.TinyHarness(t, func(*testing.T) hypervisor.Driver { return d }, false, nil)
	caps, err := d.Probe(t.Context())
	if err != nil || !slices.Equal(caps.Bridges, []string{"br0", "wire0"}) || !slices.Contains(caps.Networks, hypervisor.NetworkBridged) {
		t.Errorf("capabilities: %+v, %v", caps, err)
	}
	spec, secrets := h.Spec(t, hypervisortest.Dir(t)), hypervisortest.Secrets()
	spec.Data, spec.Network, spec.Bridges, spec.Resume = nil, hypervisor.NetworkBridged, []string{"br0", "late0", "wire1"}, true

	spec.Strict = true
	if _, err := d.Start(t.Context(), spec, secrets); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("strict start without an adapter: %v", err)
	}
	spec.Strict = false
	m := h.Start(t, d, spec, secrets)
	st := h.Ready(t, m)
	if len(st.Missing) != 2 || !strings.Contains(st.Missing[0], "no network adapter late0") || !strings.Contains(st.Missing[1], "does not allow machines on its network adapter wire1") {
		t.Errorf("missing: %q", st.Missing)
	}

	visible, _ := listen(t, "192.168.77.1:0")
	beyond, _ := listen(t, "192.168.78.1:0")
	hidden, reached := listen(t, "127.0.0.1:0")
	// address gives the guest's adapter on a network of the host an address.
	address := func(adapter, address string) {
		t.Helper()
		mac := qemu.BridgeMAC(spec.Machine, adapter)
		root(t, h, m, fmt.Sprintf(`i=0
while :; do for a in /sys/class/net/*; do [ "$(cat $a/address)" = %s ] && break 2; done; i=$((i+1)); [ $i -gt 200 ] && exit 1; usleep 100000; done
ip link set ${a##*/} up && ip addr add %s dev ${a##*/}`, mac, address))
	}
	says := func(host string, port int) string {
		t.Helper()
		return root(t, h, m, fmt.Sprintf("sleep 3 | timeout 20 nc -w 5 %s %d || true", host, port))
	}
	address("br0", "192.168.77.2/24")
	if got := says("192.168.77.1", visible); got != "hello\n" {
		t.Errorf("a server on the bridge says %q", got)
	}
	root(t, h, m, "ip route add default via 192.168.77.1; true")
	says("127.0.0.1", hidden)
	select {
	case from := <-reached:
		t.Errorf("the host's loopback was reached by %s", from)
	default:
	}

	// One comes while the guest runs, one that is no bridge.
	apply := func(bridges ...string) {
		t.Helper()
		spec.Bridges = bridges
		if waits, err := m.Apply(t.Context(), spec); err != nil || len(waits) > 0 {
			t.Fatalf("apply %q: waits for %v, %v", bridges, waits, err)
		}
	}
	apply("br0", "wire0")
	if st, err := m.Status(t.Context()); err != nil || len(st.Missing) > 0 {
		t.Errorf("after a change: %q, %v", st.Missing, err)
	}
	address("wire0", "192.168.78.2/24")
	if got := says("192.168.78.1", beyond); got != "hello\n" {
		t.Errorf("a server beyond the other adapter says %q", got)
	}
	if links := ownLinks(t); len(links) != 2 {
		t.Errorf("links of two adapters: %q", links)
	}
	// Saved and gone on, it has the same adapters and goes on speaking.
	if err := m.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if links := ownLinks(t); len(links) > 0 {
		t.Errorf("links of a saved machine: %q", links)
	}
	m = h.Start(t, d, spec, secrets)
	if st := h.Ready(t, m); !st.Resumed {
		t.Errorf("after saving: %+v", st)
	}
	if got := says("192.168.78.1", beyond); got != "hello\n" {
		t.Errorf("after saving a server beyond the other adapter says %q", got)
	}
	// And goes again.
	apply("wire0")
	if got := root(t, h, m, "ls /sys/class/net | grep -c eth"); strings.TrimSpace(got) != "1" {
		t.Errorf("adapters of the guest: %s", got)
	}
	if got := says("192.168.77.1", visible); got != "" {
		t.Errorf("without the adapter a server on the bridge says %q", got)
	}
	apply("wire0", "br0")
	address("br0", "192.168.77.2/24")
	if got := says("192.168.77.1", visible); got != "hello\n" {
		t.Errorf("with the adapter again a server on the bridge says %q", got)
	}
	if err := m.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if links := ownLinks(t); len(links) > 0 {
		t.Errorf("links of an ended machine: %q", links)
	}
	if _, err := net.InterfaceByName("wire0"); err != nil {
		t.Error(err)
	}
}

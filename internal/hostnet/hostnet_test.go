package hostnet

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

func TestResolver(t *testing.T) {
	tests := []struct {
		name     string
		resolver string
		upstream string
		want     DNS
	}{
		{
			"plain", "# made by hand\nnameserver 192.0.2.1\nnameserver 2001:db8::1 ; second\nsearch corp.example.test example.com.\n", "",
			DNS{Servers: []string{"192.0.2.1", "2001:db8::1"}, Suffixes: []string{"corp.example.test", "example.com"}},
		},
		{
			"stub with upstream", "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n", "nameserver 192.0.2.9\nsearch corp.example.test\n",
			DNS{Servers: []string{"192.0.2.9"}, Suffixes: []string{"corp.example.test"}},
		},
		{"stub without upstream", "nameserver 127.0.0.1\nnameserver ::1\n", "", DNS{Local: true}},
		{"stub of a stub", "nameserver 127.0.0.53\n", "nameserver 127.0.0.1\n", DNS{Local: true}},
		{"both", "nameserver 127.0.0.1\nnameserver 192.0.2.1\nnameserver 192.0.2.1\n", "nameserver 192.0.2.9\n", DNS{Servers: []string{"192.0.2.1"}}},
		{"what others cannot ask", "nameserver fe80::1%eth0\nnameserver 0.0.0.0\nnameserver 169.254.1.1\n", "", DNS{Local: true}},
		{"mapped loopback", "nameserver ::ffff:127.0.0.1\n", "", DNS{Local: true}},
		{"the last search counts", "domain one.example.test\nsearch two.example.test\n", "", DNS{Suffixes: []string{"two.example.test"}}},
		{"nonsense", "nameserver\nnameserver x\nsearch a..b -$ (x\nfoo bar\n", "", DNS{}},
		{"missing", "", "", DNS{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := Source{Resolver: filepath.Join(dir, "resolv.conf"), Upstream: []string{filepath.Join(dir, "none"), filepath.Join(dir, "upstream")}}
			for file, text := range map[string]string{s.Resolver: tt.resolver, s.Upstream[1]: tt.upstream} {
				if text == "" {
					continue
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, s.dns()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzResolver(f *testing.F) {
	f.Add("nameserver 192.0.2.1\nsearch example.com\n")
	f.Add("nameserver ::1%x\ndomain \x00\n")
	f.Fuzz(func(t *testing.T, text string) {
		servers, suffixes, _ := parseResolver(text)
		if len(servers) > maxServers || len(suffixes) > maxSuffixes {
			t.Errorf("%d servers, %d suffixes", len(servers), len(suffixes))
		}
		for _, s := range servers {
			if ip := net.ParseIP(s); ip == nil || ip.IsLoopback() {
				t.Errorf("server %q", s)
			}
		}
		for _, s := range suffixes {
			if strings.ContainsAny(s, " \n\x00/;") {
				t.Errorf("suffix %q", s)
			}
		}
	})
}

// inside says that the test runs in a network of its own.
const inside = "DORMER_TEST_INSIDE"

// TestWatch changes a network of its own, in which it is run again.
func TestWatch(t *testing.T) {
	if os.Getenv(inside) != "" {
		watchInside(t)
		return
	}
	if os.Geteuid() != 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("needs root, for a network of its own")
		}
		t.Skip("needs root, for a network of its own")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWatch$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func watchInside(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()
	s := Source{Resolver: filepath.Join(dir, "resolv.conf"), Sys: dir, Tick: 50 * time.Millisecond}
	states := make(chan State, 64)
	watched := make(chan error, 1)
	go func() { watched <- s.Watch(ctx, func(st State) { states <- st }) }()
	until := func(what string, want func(State) bool) State {
		t.Helper()
		for {
			select {
			case st := <-states:
				if want(st) {
					return st
				}
			case <-ctx.Done():
				t.Fatalf("the state does not become: %s", what)
			}
		}
	}
	adapter := func(st State, name string) Adapter {
		for _, a := range st.Adapters {
			if a.Name == name {
				return a
			}
		}
		return Adapter{}
	}
	if st := until("empty", func(State) bool { return true }); len(st.Adapters) != 0 || len(st.DNS.Servers) != 0 {
		t.Errorf("at first: %+v", st)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wire0"}, PeerName: "wire1"}
	must(netlink.LinkAdd(veth))
	st := until("an adapter", func(st State) bool { return adapter(st, "wire0").Kind == KindWired })
	if a := adapter(st, "wire0"); a.Up || a.Default {
		t.Errorf("an adapter that is down: %+v", a)
	}
	peer, err := netlink.LinkByName("wire1")
	must(err)
	must(netlink.LinkSetUp(veth))
	must(netlink.LinkSetUp(peer))
	until("connected", func(st State) bool { return adapter(st, "wire0").Up })
	must(netlink.AddrAdd(veth, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 2), Mask: net.CIDRMask(24, 32)}}))
	must(netlink.RouteAdd(&netlink.Route{LinkIndex: veth.Index, Gw: net.IPv4(192, 0, 2, 1)}))
	until("default", func(st State) bool { return adapter(st, "wire0").Default && !adapter(st, "wire1").Default })
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(netlink.LinkAdd(bridge))
	must(netlink.LinkSetMaster(peer, bridge))
	st = until("port of a bridge", func(st State) bool { return adapter(st, "wire1").Bridge == "br0" })
	if a := adapter(st, "br0"); a.Kind != KindBridge {
		t.Errorf("bridge: %+v", a)
	}
	if got := st.Bridgeable(); !slices.Equal(got, []string{"br0", "wire0", "wire1"}) {
		t.Errorf("bridgeable: %q", got)
	}
	must(os.WriteFile(s.Resolver, []byte("nameserver 192.0.2.1\n"), 0o600))
	until("a name server", func(st State) bool { return slices.Equal(st.DNS.Servers, []string{"192.0.2.1"}) })
	must(netlink.LinkDel(veth))
	until("without the adapter", func(st State) bool { return adapter(st, "wire0").Name == "" })
	cancel()
	if err := <-watched; err != nil {
		t.Error(err)
	}
}

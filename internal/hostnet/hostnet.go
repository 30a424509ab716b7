// Package hostnet looks at the host's network and watches it: which adapters
// there are, and where names are looked up. It is an edge: the agent imports it.
package hostnet

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kind is what an adapter is.
type Kind string

// The kinds.
const (
	KindWired    Kind = "wired"
	KindWireless Kind = "wireless"
	KindBridge   Kind = "bridge"
	KindOther    Kind = "other" // tunnels, links of other virtual machines
)

// State is the host's network at one moment.
type State struct {
	Adapters []Adapter // ordered by name
	DNS      DNS
}

// Adapter is a network adapter of the host. The loopback and Dormer's own links
// are none.
type Adapter struct {
	Name string
	Kind Kind
	// Up says that it is connected.
	Up bool
	// Default says that a default route goes through it.
	Default bool
	// Bridge is the bridge that it is a port of, empty for none.
	Bridge string
}

// DNS is where the host looks names up.
type DNS struct {
	// Servers are those that others than the host can ask too.
	Servers []string
	// Suffixes are tried behind short names, in order.
	Suffixes []string
	// Local says that the host asks a resolver of its own on the loopback whose
	// servers are not known.
	Local bool
}

// Bridgeable lists the adapters that a machine can be bridged to, if the
// computer's administrator allows it.
func (s State) Bridgeable() []string {
	var names []string
	for _, a := range s.Adapters {
		if a.Kind == KindWired || a.Kind == KindBridge {
			names = append(names, a.Name)
		}
	}
	return names
}

// Source is where the state comes from. Default is the host itself; tests have
// files of their own.
type Source struct {
	// Resolver is the host's resolv.conf. Upstream are files with the servers of
	// resolvers on the loopback, the first that has some counts.
	Resolver string
	Upstream []string
	// Sys is the folder of sysfs.
	Sys string
	// Tick is how often files are looked at: nobody tells when they change.
	Tick time.Duration
}

// Default is the host.
func Default() Source {
	return Source{
		Resolver: "/etc/resolv.conf",
		Upstream: []string{"/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"},
		Sys:      "/sys", Tick: 5 * time.Second,
	}
}

// quiet is how long after a change the next ones are waited for: a cable that
// is plugged in makes many.
const quiet = 200 * time.Millisecond

// Watch is Default().Watch.
func Watch(ctx context.Context, changed func(State)) error { return Default().Watch(ctx, changed) }

// Watch calls changed with the present state and whenever it has become
// another, one call after the other, until ctx ends. The error is nil then.
func (s Source) Watch(ctx context.Context, changed func(State)) error {
	done := make(chan struct{})
	defer close(done)
	news := make(chan struct{}, 1)
	if err := subscribe(done, news); err != nil {
		return fmt.Errorf("watch network: %w", err)
	}
	state, err := s.Look()
	if err != nil {
		return err
	}
	changed(state)
	tick := time.NewTicker(s.Tick)
	defer tick.Stop()
	for {
		now := state
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now.DNS = s.dns()
		case <-news:
			timer := time.NewTimer(quiet)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			if now, err = s.Look(); err != nil {
				// An adapter may go while it is looked at; the kernel tells of it.
				now = state
			}
		}
		if !reflect.DeepEqual(now, state) {
			state = now
			changed(state)
		}
	}
}

// subscribe puts something into news when the kernel tells of a change.
func subscribe(done <-chan struct{}, news chan<- struct{}) error {
	tell := func() {
		select {
		case news <- struct{}{}:
		default:
		}
	}
	links, routes := make(chan netlink.LinkUpdate), make(chan netlink.RouteUpdate)
	if err := netlink.LinkSubscribe(links, done); err != nil {
		return err
	}
	if err := netlink.RouteSubscribe(routes, done); err != nil {
		return err
	}
	go func() {
		for range links {
			tell()
		}
	}()
	go func() {
		for range routes {
			tell()
		}
	}()
	return nil
}

// Look returns the present state.
func (s Source) Look() (State, error) {
	adapters, err := s.adapters()
	if err != nil {
		return State{}, fmt.Errorf("look at network: %w", err)
	}
	return State{Adapters: adapters, DNS: s.dns()}, nil
}

func (s Source) adapters() ([]Adapter, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	defaults := map[int]bool{}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			if r.Dst != nil {
				if ones, _ := r.Dst.Mask.Size(); ones != 0 {
					continue
				}
			}
			if r.Type == unix.RTN_UNICAST {
				defaults[r.LinkIndex] = true
				for _, hop := range r.MultiPath {
					defaults[hop.LinkIndex] = true
				}
			}
		}
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	var adapters []Adapter
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback != 0 || own(l) {
			continue
		}
		adapter := Adapter{
			Name: a.Name, Kind: s.kind(l), Default: defaults[a.Index],
			Up: a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown && a.Flags&net.FlagUp != 0,
		}
		if a.MasterIndex != 0 {
			adapter.Bridge = names[a.MasterIndex]
		}
		adapters = append(adapters, adapter)
	}
	slices.SortFunc(adapters, func(a, b Adapter) int { return cmp.Compare(a.Name, b.Name) })
	return adapters, nil
}

// own reports whether a link is one that Dormer has made for a machine.
func own(l netlink.Link) bool {
	return strings.HasPrefix(l.Attrs().Name, "dm") && (l.Type() == "tuntap" || l.Type() == "macvtap")
}

func (s Source) kind(l netlink.Link) Kind {
	if _, err := os.Stat(filepath.Join(s.Sys, "class/net", l.Attrs().Name, "phy80211")); err == nil {
		return KindWireless
	}
	switch l.Type() {
	case "bridge":
		return KindBridge
	case "device", "veth", "bond", "vlan", "team":
		if l.Attrs().EncapType == "ether" {
			return KindWired
		}
	}
	return KindOther
}

// dns reads the files. One that is missing or cannot be read names no servers.
func (s Source) dns() DNS {
	servers, suffixes, loopback := readResolver(s.Resolver)
	if len(servers) == 0 && loopback {
		for _, file := range s.Upstream {
			upstream, more, _ := readResolver(file)
			if len(upstream) == 0 {
				continue
			}
			if len(suffixes) == 0 {
				suffixes = more
			}
			return DNS{Servers: upstream, Suffixes: suffixes}
		}
	}
	return DNS{Servers: servers, Suffixes: suffixes, Local: loopback && len(servers) == 0}
}

// Bounds of a resolv.conf.
const (
	maxResolver = 64 << 10 // bytes
	maxServers  = 8
	maxSuffixes = 32
)

func readResolver(file string) (servers, suffixes []string, loopback bool) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxResolver))
	if err != nil {
		return nil, nil, false
	}
	return parseResolver(string(b))
}

// parseResolver takes servers and suffixes from a resolv.conf. Servers that
// only the host reaches are left out; loopback says that there was such a one.
func parseResolver(text string) (servers, suffixes []string, loopback bool) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line, _, _ = strings.Cut(line, ";")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			a, err := netip.ParseAddr(fields[1])
			if err != nil {
				continue
			}
			a = a.Unmap()
			switch {
			case a.IsLoopback() || a.IsUnspecified():
				loopback = true
			case a.Zone() != "" || a.IsMulticast() || a.IsLinkLocalUnicast():
				// Means something on one of the host's adapters only.
			case len(servers) < maxServers && !slices.Contains(servers, a.String()):
				servers = append(servers, a.String())
			}
		case "search", "domain":
			// The last of these lines counts.
			suffixes = nil
			for _, s := range fields[1:] {
				s = strings.TrimSuffix(s, ".")
				if validSuffix(s) && len(suffixes) < maxSuffixes {
					suffixes = append(suffixes, s)
				}
			}
		}
	}
	return servers, suffixes, loopback
}

// validSuffix reports whether s is a domain's name.
func validSuffix(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

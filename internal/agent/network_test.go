package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/hostnet"
)

func TestGuestNetwork(t *testing.T) {
	state := hostnet.State{
		Adapters: []hostnet.Adapter{
			{Name: "br0", Kind: hostnet.KindBridge, Up: true},
			{Name: "eth0", Kind: hostnet.KindWired},
			{Name: "port0", Kind: hostnet.KindWired, Up: true, Bridge: "br0"},
			{Name: "eth1", Kind: hostnet.KindWired, Up: true},
			{Name: "tun0", Kind: hostnet.KindOther, Up: true},
			{Name: "wlan0", Kind: hostnet.KindWireless, Up: true},
		},
		DNS: hostnet.DNS{Servers: []string{"192.0.2.1"}, Suffixes: []string{"corp.example.test"}},
	}
	for _, tt := range []struct {
		patterns []string
		want     []string
	}{
		{[]string{"*"}, []string{"br0", "eth0", "eth1"}},
		{[]string{"port*"}, []string{"port0"}},
		{[]string{"br*", "eth1"}, []string{"br0", "eth1"}},
		{nil, []string{}},
	} {
		want := HostNetwork{Adapters: tt.want, Servers: []string{"192.0.2.1"}, Suffixes: []string{"corp.example.test"}}
		if diff := cmp.Diff(want, guestNetwork(state, tt.patterns)); diff != "" {
			t.Errorf("%q: %s", tt.patterns, diff)
		}
	}
}

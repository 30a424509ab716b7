package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// What a policy says becomes what a machine is made of, and nothing else.
func TestSpec(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.Product, "spec.performance.memory[].guest", "spec.performance.processors[].guest", "spec.network.mode",
		"spec.network.adapters", "spec.network.newAdapters", "spec.machine.onMissing", "grants[].clipboard", "grants[].fileTransfer.direction",
		"grants[].printing", "grants[].sharedFolders[].path", "grants[].opticalDrive", "grants[].usb", "grants[].audio", "grants[].microphone")
	d := aWorkspace(t, "machine: {revertible: false}", "")
	d.startUp()
	m := d.machine()
	plain := hypervisor.Spec{Network: hypervisor.NetworkNAT, Memory: 2048, Processors: 1}
	d.agent.networkChanged(HostNetwork{Adapters: []string{"eth0", "eth1", "br0"}})
	for _, c := range []struct {
		name, spec, grant string
		want              func(*hypervisor.Spec)
	}{
		{"nothing", "", "", func(*hypervisor.Spec) {}},
		{"clipboard", "", "clipboard: host-to-guest", func(s *hypervisor.Spec) { s.Channels = []guestwire.Channel{guestwire.ChannelClipboard} }},
		{"files", "", "fileTransfer: {direction: guest-to-host}", func(s *hypervisor.Spec) { s.Channels = []guestwire.Channel{guestwire.ChannelFiles} }},
		{"folders and printing", "", "printing: true, sharedFolders: [{name: Docs, path: /srv/docs, access: read-only}]", func(s *hypervisor.Spec) {
			s.Channels = []guestwire.Channel{guestwire.ChannelFolders, guestwire.ChannelPrint}
		}},
		{"sound", "", "audio: true", func(s *hypervisor.Spec) { s.Sound = hypervisor.SoundOutput }},
		{"microphone", "", "microphone: true", func(s *hypervisor.Spec) { s.Sound = hypervisor.SoundInput }},
		{"both", "", "audio: true, microphone: true", func(s *hypervisor.Spec) { s.Sound = hypervisor.SoundDuplex }},
		{"usb", "", "usb: [storage, smart-card]", func(s *hypervisor.Spec) {
			s.USB = []hypervisor.USBClass{hypervisor.USBSmartCard, hypervisor.USBStorage}
		}},
		{"optical", "", "opticalDrive: true", func(s *hypervisor.Spec) { s.Optical = "/dev/sr0" }},
		{"strict", "machine: {revertible: false, onMissing: refuse}", "", func(s *hypervisor.Spec) { s.Strict = true }},
		{"no network", "network: {mode: none}", "", func(s *hypervisor.Spec) { s.Network = hypervisor.NetworkNone }},
		{"all adapters", "general: {unmanagedClients: refuse}, network: {mode: bridged}", "", func(s *hypervisor.Spec) {
			s.Network, s.Bridges = hypervisor.NetworkBridged, []string{"eth0", "eth1", "br0"}
		}},
		{"some adapters, and one that is missing", "general: {unmanagedClients: refuse}, network: {mode: bridged, adapters: [eth*, wan0]}", "", func(s *hypervisor.Spec) {
			s.Network, s.Bridges = hypervisor.NetworkBridged, []string{"eth0", "eth1", "wan0"}
		}},
		{"memory and processors", "performance: {memory: [{host: 0GiB, guest: 1GiB}, {host: 4GiB, guest: 3GiB}], processors: [{host: 0, guest: 1}, {host: 2, guest: 2}]}", "", func(s *hypervisor.Spec) {
			s.Memory, s.Processors = 3072, 2
		}},
	} {
		p := policyOfText(t, c.spec, c.grant)
		m.mu.Lock()
		l := m.lease
		m.mu.Unlock()
		got := m.spec(l, &p, Hardware{})
		want := plain
		c.want(&want)
		got = hypervisor.Spec{
			Network: got.Network, Bridges: got.Bridges, Memory: got.Memory, Processors: got.Processors, Channels: got.Channels, Sound: got.Sound,
			USB: got.USB, Optical: got.Optical, Strict: got.Strict,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

// Adapters that appear after the first start are bridged only where the policy
// says so.
func TestNewAdapters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value string
		want  []string
	}{{"true", []string{"eth0", "usb0"}}, {"false", []string{"eth0"}}} {
		d := aWorkspace(t, "machine: {revertible: false}, general: {unmanagedClients: refuse}, network: {mode: bridged, newAdapters: "+c.value+"}", "", func(d *desk) {
			d.deps = func(deps *Deps) {
				deps.WatchNetwork = aNetwork(&d.network, HostNetwork{Adapters: []string{"eth0"}})
			}
		})
		d.startUp()
		d.network(HostNetwork{Adapters: []string{"eth0", "usb0"}})
		d.eventually("what is bridged follows", func() bool {
			return cmp.Equal(c.want, d.host.Running()[0].Bridges)
		})
	}
}

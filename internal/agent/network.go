package agent

import (
	"context"
	"slices"

	"github.com/dormer-project/dormer/internal/hostnet"
	"github.com/dormer-project/dormer/internal/hypervisor/hostlink"
)

// watchNetwork follows the host's network: its name servers, and the adapters
// that match one of the patterns.
func watchNetwork(bridges []string) func(context.Context, func(HostNetwork)) error {
	return func(ctx context.Context, changed func(HostNetwork)) error {
		return hostnet.Watch(ctx, func(s hostnet.State) { changed(guestNetwork(s, bridges)) })
	}
}

// guestNetwork is what guests get of the host's network. Adapters that are not
// connected are among them: their cable may be plugged in. Ports of a bridge are
// not, if the bridge is: both are the same network.
func guestNetwork(s hostnet.State, bridges []string) HostNetwork {
	allowed := slices.DeleteFunc(s.Bridgeable(), func(name string) bool { return !hostlink.Allowed(name, bridges) })
	adapters := slices.DeleteFunc(slices.Clone(allowed), func(name string) bool {
		return slices.ContainsFunc(s.Adapters, func(a hostnet.Adapter) bool { return a.Name == name && slices.Contains(allowed, a.Bridge) })
	})
	return HostNetwork{Adapters: adapters, Servers: s.DNS.Servers, Suffixes: s.DNS.Suffixes}
}

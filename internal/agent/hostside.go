package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// HostNetwork is what guests get of the host's network.
type HostNetwork struct {
	// Adapters are those that a guest may be bridged to.
	Adapters []string
	// Servers are the host's name servers that a guest can reach, Suffixes its
	// DNS suffixes.
	Servers, Suffixes []string
}

func (n HostNetwork) equal(o HostNetwork) bool {
	return slices.Equal(n.Adapters, o.Adapters) && slices.Equal(n.Servers, o.Servers) && slices.Equal(n.Suffixes, o.Suffixes)
}

// networkNow is what is known of the host's network.
func (a *Agent) networkNow() HostNetwork {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.network
}

// adapters are those of the host that guests may be bridged to.
func (a *Agent) adapters() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.network.Adapters != nil {
		return a.network.Adapters
	}
	return a.able.Bridges
}

// networkChanged takes what is now of the host's network: guests that run follow
// it.
func (a *Agent) networkChanged(n HostNetwork) {
	a.mu.Lock()
	was := a.network
	a.network = n
	a.mu.Unlock()
	if was.equal(n) {
		return
	}
	_, all := a.all()
	for _, m := range all {
		vm := m.machineNow()
		if vm == nil || a.ctx.Err() != nil {
			continue
		}
		if !slices.Equal(was.Adapters, n.Adapters) {
			a.running.Go(func() { m.keepApplying(a.ctx, vm, m.applyPolicy(a.ctx, vm)) })
		}
		m.rearrange()
	}
}

// followHost looks at what of the host guests follow and nothing announces.
func (a *Agent) followHost() {
	zone := a.zone()
	a.mu.Lock()
	changed := zone != a.hostZone
	a.hostZone = zone
	a.mu.Unlock()
	if changed {
		a.rearrangeAll()
	}
}

func (a *Agent) rearrangeAll() {
	_, all := a.all()
	for _, m := range all {
		m.rearrange()
	}
}

// hostSleepsOrWakes is told before the computer sleeps, and after.
func (a *Agent) hostSleepsOrWakes(sleeping bool) {
	if sleeping {
		a.hostSleeps()
		return
	}
	a.hostWoke()
}

// The files that say which time zone a computer is in.
const (
	fileLocaltime = "/etc/localtime"
	fileTimezone  = "/etc/timezone"
)

// HostZone returns the name of this computer's time zone, "" when nothing says
// it.
func HostZone() string {
	if to, err := filepath.EvalSymlinks(fileLocaltime); err == nil {
		if _, zone, ok := strings.Cut(to, "/zoneinfo/"); ok && knownZone(zone) {
			return zone
		}
	}
	b, err := os.ReadFile(fileTimezone)
	if zone := strings.TrimSpace(string(b)); err == nil && knownZone(zone) {
		return zone
	}
	return ""
}

// knownZone reports whether a name from outside is of the time zone database.
func knownZone(zone string) bool {
	if zone == "" || zone == "Local" {
		return false
	}
	_, err := time.LoadLocation(zone)
	return err == nil
}

// serverZone is the zone of the instance, as the last answer said.
func (a *Agent) serverZone() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.poll.zone
}

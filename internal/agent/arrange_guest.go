package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
)

// arrangeClock sets a clock that stood still while the machine was held, or that
// started from a wrong one. It is the host's time, as far as that can be trusted.
func arrangeClock(ctx context.Context, g guest) error {
	if !g.first && !g.resumed {
		return nil
	}
	err := g.vm.Ask(ctx, guestwire.CapClock, guestwire.MethodClock, guestwire.ClockRequest{Time: g.m.agent.now()}, nil)
	if errors.Is(err, dormer.ErrUnsupported) && !g.resumed {
		return nil // it has the hardware's clock
	}
	return err
}

// arrangeTimeZone makes the guest follow the zone that the policy names: with
// server-then-host the server's for the first run of a layer, the host's later.
func arrangeTimeZone(ctx context.Context, g guest) error {
	a, m := g.m.agent, g.m
	zone := ""
	switch g.p.Machine.TimeZone {
	case policy.TimeZoneUnchanged:
		return nil
	case policy.TimeZoneHost:
		zone = a.zone()
	case policy.TimeZoneServerThenHost:
		zone = a.zone()
		server := a.serverZone()
		m.mu.Lock()
		given, started := m.record.ZoneGiven, m.status.Started
		if given.Layer != m.layer() && knownZone(server) {
			given = zoneGiven{Layer: m.layer(), Start: started}
			m.record.ZoneGiven = given
			a.logError(ctx, "record", m.save())
		}
		if given.Start.Equal(started) && knownZone(server) {
			zone = server
		}
		m.mu.Unlock()
	}
	if zone == "" {
		return fmt.Errorf("the host does not say in which time zone it is: %w", dormer.ErrNotFound)
	}
	return g.vm.Ask(ctx, guestwire.CapTimeZone, guestwire.MethodTimeZone, guestwire.TimeZoneRequest{Name: zone}, nil)
}

// natResolver is the name server that a guest behind NAT finds: it asks the
// host's own, also one that the guest could not reach.
const natResolver = "10.0.2.3"

// dnsOf is what the policy wants of the guest's name service; false when it
// leaves that to the guest.
func dnsOf(p *policy.Effective, host HostNetwork) (guestwire.DNSRequest, bool) {
	n := &p.Network
	if n.DNS.Mode == policy.DNSUnchanged && len(n.Suffixes.List) == 0 && !n.Suffixes.WithHost {
		return guestwire.DNSRequest{}, false
	}
	var r guestwire.DNSRequest
	if n.DNS.Mode == policy.DNSServers {
		r.Servers = append(r.Servers, n.DNS.Servers...)
	}
	if n.DNS.Mode == policy.DNSHost || n.DNS.Mode == policy.DNSServers && n.DNS.ThenHost {
		servers := host.Servers
		if n.Mode == policy.NetworkNAT && len(servers) == 0 {
			servers = []string{natResolver}
		}
		r.Servers = append(r.Servers, servers...)
	}
	r.Suffixes = append(r.Suffixes, n.Suffixes.List...)
	if n.Suffixes.WithHost {
		r.Suffixes = append(r.Suffixes, host.Suffixes...)
	}
	r.Servers, r.Suffixes = unique(r.Servers), unique(r.Suffixes)
	return r, true
}

// arrangeDNS gives the guest its name servers and suffixes, or back its own when
// the policy leaves them to it since.
func arrangeDNS(ctx context.Context, g guest) error {
	m := g.m
	r, set := dnsOf(g.p, m.agent.networkNow())
	m.mu.Lock()
	given := m.record.DNSGiven
	m.mu.Unlock()
	if !set && !given {
		return nil
	}
	if err := m.note(func(r *record) { r.DNSGiven = true }); err != nil {
		return err
	}
	if err := g.vm.Ask(ctx, guestwire.CapDNS, guestwire.MethodDNS, r, nil); err != nil {
		return err
	}
	if !set {
		return m.note(func(r *record) { r.DNSGiven = false })
	}
	return nil
}

// note keeps a change to the record.
func (m *machine) note(change func(*record)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.record
	change(&m.record)
	err := m.save()
	if err != nil {
		m.record = was
	}
	return err
}

// arrangeDrives maps the network drives of a revertible machine, and unmaps what
// the policy has no more. A drive that is not mapped is told; the others are.
func arrangeDrives(ctx context.Context, g guest) error {
	m := g.m
	drives := g.p.Applications.NetworkDrives
	m.mu.Lock()
	mapped, keeps := m.arranged.drives, m.record.Overlay == hypervisor.OverlayKeep
	m.mu.Unlock()
	if keeps || len(drives) == 0 && !mapped {
		return nil
	}
	r, err := m.driveAccount()
	if err != nil && len(drives) > 0 {
		return err
	}
	for _, d := range drives {
		r.Drives = append(r.Drives, guestwire.Drive{Letter: d.Letter, Path: d.Path, Label: d.Label})
	}
	m.mu.Lock()
	m.arranged.drives = true
	m.mu.Unlock()
	var result guestwire.DrivesResult
	if err := g.vm.Ask(ctx, guestwire.CapDrives, guestwire.MethodDrives, r, &result); err != nil {
		return err
	}
	var problems []string
	for _, d := range result.Drives {
		if d.Problem != "" {
			problems = append(problems, d.Letter+": "+d.Problem)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s: %w", strings.Join(problems, "; "), dormer.ErrUnavailable)
	}
	return nil
}

// driveAccount is whose the network drives are, and what proves it to the server.
func (m *machine) driveAccount() (guestwire.DrivesRequest, error) {
	m.mu.Lock()
	user := m.record.User
	m.mu.Unlock()
	account, err := m.account()
	if err != nil {
		return guestwire.DrivesRequest{}, err
	}
	r := guestwire.DrivesRequest{Account: account, User: user.Name, Domain: m.agent.domainOf(user).NetBIOSName}
	r.Password, _ = m.agent.password(user.ID()) // with a Kerberos ticket it is not needed
	return r, nil
}

// arrangeApplications runs what starts with the workspace, once for each start of
// the machine: what goes on from saved memory has it running already.
func arrangeApplications(ctx context.Context, g guest) error {
	m := g.m
	if !g.first {
		return nil
	}
	var errs []error
	for _, app := range g.p.Applications.Published {
		m.mu.Lock()
		opened := m.arranged.opened[app.Name]
		m.mu.Unlock()
		if !app.StartWithWorkspace || opened {
			continue
		}
		_, err := m.execute(ctx, g.vm, app, true)
		if err != nil && errors.Is(err, dormer.ErrNotFound) {
			// The guest has no such program: that does not change by waiting.
			m.agent.tell(event.New(event.ApplicationFailed, m.agent.now(), app.Name+": "+dormer.Plain(err)), m)
			err = nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", app.Name, err))
			continue
		}
		m.mu.Lock()
		if m.arranged.opened == nil {
			m.arranged.opened = map[string]bool{}
		}
		m.arranged.opened[app.Name] = true
		m.mu.Unlock()
	}
	return errors.Join(errs...)
}

// execute runs a published application in the guest, as whom its policy says.
func (m *machine) execute(ctx context.Context, vm hypervisor.Machine, app policy.EffectiveApplication, detach bool) (guestwire.ExecResult, error) {
	args, err := policy.SplitCommand(app.Command)
	if err != nil || len(args) == 0 {
		return guestwire.ExecResult{}, fmt.Errorf("the command of application %s is empty or not as it must be: %w", app.Name, dormer.ErrInvalid)
	}
	r := guestwire.ExecRequest{Args: args, Dir: app.StartIn, Detach: detach, Application: detach, Interactive: true}
	if app.UserCredentials {
		if r.User, err = m.account(); err != nil {
			return guestwire.ExecResult{}, fmt.Errorf("application %s runs with the user's credentials: %w", app.Name, err)
		}
	}
	return vm.Exec(ctx, r)
}

package fake

import (
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Guest is the state of a guest: what it was told and what came of it.
type Guest struct {
	// Kept with the machine layer:

	Hostname string
	TimeZone string
	DNS      guestwire.DNSRequest
	Regional guestwire.RegionalRequest
	// Accounts are those that MethodSignOn has made; Joined is the domain, nil
	// before; AutoSignOn is true until it was taken away.
	Accounts   []string
	Joined     *guestwire.JoinRequest
	AutoSignOn bool
	// Once are the commands that are never begun a second time.
	Once []string

	// Of this run:

	Clock time.Time // what it was set to last
	Notes []guestwire.NotifyRequest
	// Locks counts the requests to lock; Locked says that it is. Whoever tests
	// unlocks with Host.ChangeGuest.
	Locks  int
	Locked bool
	// SignedOn is who is signed on, nil for nobody.
	SignedOn *guestwire.SignOnRequest
	Drives   guestwire.DrivesRequest
	Folders  guestwire.FoldersRequest
	Printers []guestwire.Printer
	Connects []guestwire.ConnectRequest
	Reopened []guestwire.Channel
	Mounted  []string
	// Applications are the detached commands that count as applications and run.
	Applications []guestwire.ExecRequest
	// Asked are the requests that it has answered, in order.
	Asked []guestwire.Method
	// Findings are what MethodCheck answers.
	Findings []guestwire.Finding
}

// newGuest returns the guest of a machine that starts; before is its state of
// the run before, nil for none.
func newGuest(spec hypervisor.Spec, before *Guest) *Guest {
	g := &Guest{Hostname: "fake", TimeZone: "Etc/UTC", AutoSignOn: true}
	if before != nil {
		g = &Guest{
			Hostname: before.Hostname, TimeZone: before.TimeZone, DNS: before.DNS, Regional: before.Regional,
			Accounts: before.Accounts, Joined: before.Joined, AutoSignOn: before.AutoSignOn, Once: before.Once,
		}
	}
	if spec.ComputerName != "" {
		g.Hostname = spec.ComputerName
	}
	if spec.Data != nil {
		g.Mounted = []string{spec.Data.MountPoint}
	}
	g.Findings = []guestwire.Finding{{ID: "agent", Good: true, Text: "The agent runs."}}
	return g
}

// clone returns a copy that nobody else changes.
func (g *Guest) clone() Guest {
	c := *g
	c.Once = slices.Clone(g.Once)
	c.Accounts, c.Notes, c.Printers = slices.Clone(g.Accounts), slices.Clone(g.Notes), slices.Clone(g.Printers)
	c.Connects, c.Reopened, c.Mounted = slices.Clone(g.Connects), slices.Clone(g.Reopened), slices.Clone(g.Mounted)
	c.Applications, c.Asked, c.Findings = slices.Clone(g.Applications), slices.Clone(g.Asked), slices.Clone(g.Findings)
	if g.Joined != nil {
		joined := *g.Joined
		c.Joined = &joined
	}
	if g.SignedOn != nil {
		signedOn := *g.SignedOn
		c.SignedOn = &signedOn
	}
	return c
}

// status is what it says of itself. Host.mu is held.
func (g *Guest) status(m *machine, now time.Time) guestwire.Status {
	st := guestwire.Status{
		Hostname: g.Hostname, System: "fake", Uptime: now.Sub(m.status.Started), Idle: now.Sub(m.used),
		DefaultUser: "user", Mounted: slices.Clone(g.Mounted), Applications: len(g.Applications),
	}
	if g.SignedOn != nil {
		st.SignedOn = g.SignedOn.User
		st.Users = []string{g.SignedOn.User}
	}
	return st
}

// Guest returns the state of the guest of the machine that runs in dir.
func (h *Host) Guest(dir string) (Guest, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[dir]
	if !ok {
		return Guest{}, fmt.Errorf("state of guest: %w", dormer.ErrNotFound)
	}
	return m.guest.clone(), nil
}

// ChangeGuest changes it from the inside, as its user does: unlocks, ends
// applications, signs off. change must not call the host.
func (h *Host) ChangeGuest(dir string, change func(*Guest)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[dir]
	if !ok {
		return fmt.Errorf("change guest: %w", dormer.ErrNotFound)
	}
	change(m.guest)
	return nil
}

// RestartGuestAgent starts the guest's agent anew: GuestStatus.Session changes,
// and connections of channels end.
func (h *Host) RestartGuestAgent(dir string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[dir]
	if !ok {
		return fmt.Errorf("restart agent of guest: %w", dormer.ErrNotFound)
	}
	m.session++
	for _, c := range m.open {
		_ = c.Close() // a pipe's end
	}
	clear(m.open)
	return nil
}

func (m *machine) sessionName() string {
	return fmt.Sprintf("%s-%d-%d", m.spec.Machine, m.status.Started.UnixNano(), m.session)
}

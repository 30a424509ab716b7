package lease

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// Entitlement is what a user gets from one workspace: the terms of a lease.
// It is shared by all who have the same and never changed once it was made.
type Entitlement struct {
	Workspace     dormer.WorkspaceID
	WorkspaceName string
	Revision      dormer.Revision
	PolicyHash    string
	Image         dormer.ImageID
	ImageName     string // NAME/NUMBER
	// RepositoryKey is the identity of the key that the image's objects are
	// encrypted under; "" when they are not.
	RepositoryKey string
	// ValidUntil is nil when there is no end.
	ValidUntil *time.Time
	// Offline limits work without the server. Nil: unrestricted; 0: none
	// allowed, which is three poll intervals.
	Offline  *time.Duration
	Requires []string
	// NamePattern is the pattern of the guest's computer name
	// (policy.ExpandComputerName); "" for none.
	NamePattern string
	// RefusesUnmanaged keeps the workspace off agents that belong to a user.
	RefusesUnmanaged bool
	// Refused is why there is no lease now, for the user; "" when there is one.
	Refused string
	// DeleteWhen are the limits at which a client deletes the machine by itself.
	DeleteWhen []Verdict
	// Delete is why the machine is to be deleted now, for the user; "" when it is
	// kept. Nobody has an entitlement for no other reason than to be deleted: who
	// is in no grant has none, and keeps the machine.
	Delete string
}

// sameTerms reports whether a lease of a would say the same as one of b.
func sameTerms(a, b *Entitlement) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return a.Workspace == b.Workspace && a.WorkspaceName == b.WorkspaceName && a.Revision == b.Revision &&
		a.PolicyHash == b.PolicyHash && a.Image == b.Image && a.ImageName == b.ImageName && a.RepositoryKey == b.RepositoryKey &&
		equalPtr(a.ValidUntil, b.ValidUntil, time.Time.Equal) &&
		equalPtr(a.Offline, b.Offline, func(x, y time.Duration) bool { return x == y }) &&
		slices.Equal(a.Requires, b.Requires) && slices.Equal(a.DeleteWhen, b.DeleteWhen)
}

func equalPtr[T any](a, b *T, equal func(T, T) bool) bool {
	if a == nil || b == nil {
		return a == b
	}
	return equal(*a, *b)
}

// Claim is one user who is signed in on the client, and what the user gets.
type Claim struct {
	User         dormer.Principal
	Entitlements []*Entitlement
	// Unknown says that the user's directory does not answer and nothing is
	// remembered: the user's machines keep what they have.
	Unknown bool
}

// Poll is what the issuer needs to know of one poll.
type Poll struct {
	Client  dormer.ClientID
	Managed bool
	Host    string
	// Public returns the client's key; called only when something is sealed.
	Public   func() (seal.ClientPublic, error)
	Claims   []Claim
	Machines []wire.MachineState
	KeysTag  string
}

// Decision is what changed for a client.
type Decision struct {
	Leases    []seal.Envelope
	Withdrawn []wire.Withdrawal
	Orders    []seal.Envelope
	Keys      *wire.SealedKeys
	// Deletions are those by policy that were ordered or halted at this poll, for
	// the audit log.
	Deletions []Deletion
}

// IssuerConfig says what an Issuer works with.
type IssuerConfig struct {
	Instance dormer.InstanceID
	Epoch    dormer.Epoch
	// Signer signs leases and orders.
	Signer *seal.SigningKey
	// Escrow is the key under which disk keys are stored: 32 bytes, AES-256-GCM.
	Escrow []byte
	// RepositoryKeys are the keys that encrypt image objects, by identity.
	RepositoryKeys map[string][]byte
	Machines       MachineStore
	Orders         OrderStore
	Deletions      DeletionStore
	// Interval is the instance's poll interval.
	Interval time.Duration
	Now      func() time.Time
	// Random is read by several goroutines at once.
	Random io.Reader
}

// NoOfflineIntervals is how many poll intervals a machine may miss that is not
// allowed to work off-line. No limit is shorter.
const NoOfflineIntervals = 3

// RenewAt is the part of the off-line budget after whose use a lease is renewed.
const RenewAt = 20 // 1/20 = 5 %

// Issuer decides for each machine whether its lease is issued, renewed or
// withdrawn, and signs. What it needs for a poll in which nothing changed is
// in memory. After a restart it does not remember which leases are out and
// issues them again. Its methods may be called from several goroutines.
type Issuer struct {
	cfg    IssuerConfig
	escrow escrow
	orders orderBook

	mu sync.RWMutex
	// guards the fields below
	clients  map[dormer.ClientID]*clientRecord
	machines map[dormer.MachineID]dormer.ClientID
	names    map[string]dormer.MachineID // computer names in use, as far as this server knows

	reportsMu sync.Mutex
	// guards the field below
	reports map[dormer.MachineID]Report
}

// clientRecord is one client's machines. There are 100,000 of them.
type clientRecord struct {
	mu sync.Mutex
	// guards the fields below
	machines []*machineRecord
	sealed   *wire.SealedKeys // the last that were made, for a repeat
}

type machineRecord struct {
	Machine
	serial    uint64       // of the lease that is out; 0 when none is known
	issued    time.Time    // when it was issued
	terms     *Entitlement // what it says
	user      string       // the display name that it says
	lastState reportDigest
	lastTime  time.Time
}

func (c *clientRecord) find(id dormer.MachineID) *machineRecord {
	for _, m := range c.machines {
		if m.ID == id {
			return m
		}
	}
	return nil
}

func (c *clientRecord) findFor(user dormer.UserID, w dormer.WorkspaceID) *machineRecord {
	for _, m := range c.machines {
		if m.Workspace == w && m.User.ID() == user {
			return m
		}
	}
	return nil
}

// NewIssuer returns an Issuer that has loaded machines and pending orders.
func NewIssuer(ctx context.Context, cfg IssuerConfig) (*Issuer, error) {
	if cfg.Interval <= 0 {
		return nil, dormer.Invalidf("interval", "must be positive")
	}
	e, err := newEscrow(cfg.Instance, cfg.Escrow, cfg.Random)
	if err != nil {
		return nil, err
	}
	i := &Issuer{
		cfg: cfg, escrow: e, clients: make(map[dormer.ClientID]*clientRecord),
		machines: make(map[dormer.MachineID]dormer.ClientID), names: make(map[string]dormer.MachineID),
		reports: make(map[dormer.MachineID]Report),
		orders:  orderBook{pending: make(map[dormer.ClientID][]pendingOrder), deletions: make(map[dormer.MachineID]Deletion)},
	}
	all, err := cfg.Machines.Machines(ctx)
	if err != nil {
		return nil, fmt.Errorf("load machines: %w", err)
	}
	for _, m := range all {
		c := i.client(m.Client)
		c.machines = append(c.machines, &machineRecord{Machine: m})
		i.index(m)
	}
	if err := i.Refresh(ctx); err != nil {
		return nil, err
	}
	return i, nil
}

func (i *Issuer) client(id dormer.ClientID) *clientRecord {
	i.mu.RLock()
	c := i.clients[id]
	i.mu.RUnlock()
	if c != nil {
		return c
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if c = i.clients[id]; c == nil {
		c = &clientRecord{}
		i.clients[id] = c
	}
	return c
}

func (i *Issuer) index(m Machine) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.machines[m.ID] = m.Client
	if m.ComputerName != "" {
		i.names[m.ComputerName] = m.ID
	}
}

// Decide works out what changed for a client. Its machines are those of the
// users who are signed in; the others that it names are withdrawn. With an
// error the decision holds all that could be decided: a client is not cut off
// from its other machines because one could not be recorded.
func (i *Issuer) Decide(ctx context.Context, p Poll) (Decision, error) {
	now := i.cfg.Now().UTC().Truncate(time.Microsecond)
	c := i.client(p.Client)
	c.mu.Lock()
	defer c.mu.Unlock()

	var d Decision
	var (
		keys keyList
		errs []error
	)
	entitled := make(map[dormer.MachineID]bool, len(p.Machines))
	for _, claim := range p.Claims {
		if claim.Unknown {
			for _, m := range c.machines {
				if m.User.ID() == claim.User.ID() {
					entitled[m.ID] = true
					keys.add(m, allKeys)
				}
			}
			continue
		}
		for _, e := range claim.Entitlements {
			if err := i.decideOne(ctx, c, p, claim.User, e, now, entitled, &keys, &d); err != nil {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, i.withdrawOthers(ctx, c, p, entitled, &d))
	d.Orders = i.orders.of(p.Client)
	if errors.Join(errs...) == nil {
		// An incomplete set of keys would take away those that are missing.
		errs = append(errs, i.sealKeys(c, p, keys, &d))
	}
	return d, errors.Join(errs...)
}

// decideOne handles one user's machine of one workspace.
func (i *Issuer) decideOne(ctx context.Context, c *clientRecord, p Poll, user dormer.Principal, e *Entitlement, now time.Time,
	entitled map[dormer.MachineID]bool, keys *keyList, d *Decision,
) error {
	m := c.findFor(user.ID(), e.Workspace)
	if m == nil {
		var err error
		if m, err = i.ensure(ctx, c, p, user, e, now); err != nil {
			return err
		}
	}
	entitled[m.ID] = true
	said := stateOf(p.Machines, m.ID)
	if err := i.nameLate(ctx, p, m, said, user, e); err != nil {
		return err
	}
	if e.Delete == "" {
		if err := i.keepMachine(ctx, m.ID); err != nil {
			return err
		}
	} else if said.State != "" { // the client has it
		if err := i.planDeletion(ctx, m, user, e, now, d); err != nil {
			return err
		}
	}
	if reason := i.refusal(m, said, p, e, now); reason != "" {
		// Said at every poll: the agent may have had no lease to lose.
		m.serial, m.terms = 0, nil
		d.Withdrawn = append(d.Withdrawn, wire.Withdrawal{Machine: m.ID, Reason: reason})
		return nil
	}
	keys.add(m, e.RepositoryKey)
	if !i.due(m, said, user, e, now) {
		return nil
	}
	l := i.lease(m, said, user, e, now)
	signed, err := l.Sign(i.cfg.Signer)
	if err != nil {
		return err
	}
	m.serial, m.issued, m.terms, m.user = l.Serial, l.IssuedAt, e, user.Name
	d.Leases = append(d.Leases, signed)
	return nil
}

// refusal is why m gets no lease, or "".
func (i *Issuer) refusal(m *machineRecord, said wire.MachineState, p Poll, e *Entitlement, now time.Time) string {
	switch {
	case e.Refused != "":
		return e.Refused
	case e.RefusesUnmanaged && !p.Managed:
		return fmt.Sprintf("workspace %s is not for agents that belong to a user: ask for the agent to be installed as a service", e.WorkspaceName)
	case e.RepositoryKey != "" && i.cfg.RepositoryKeys[e.RepositoryKey] == nil:
		return fmt.Sprintf("workspace %s: its image is encrypted under a key that the server does not have", e.WorkspaceName)
	case i.orders.deletes(m.Client, m.ID):
		return "the machine is being deleted"
	case unnamed(m, said, e):
		return fmt.Sprintf("workspace %s: its pattern of computer names (setup.computerName) gives no name that is free", e.WorkspaceName)
	case said.Serial == 0 && e.ValidUntil != nil && !now.Before(*e.ValidUntil):
		// A client that holds a lease is told the end by the lease: what
		// happens then is written in its policy.
		return fmt.Sprintf("the permission to use workspace %s ended at %s", e.WorkspaceName, e.ValidUntil.UTC().Format(time.RFC3339))
	}
	return ""
}

// due reports whether the machine needs a new lease.
func (i *Issuer) due(m *machineRecord, said wire.MachineState, user dormer.Principal, e *Entitlement, now time.Time) bool {
	if said.Serial == 0 || said.Serial != m.serial || user.Name != m.user || !sameTerms(m.terms, e) {
		return true
	}
	if isAhead(m.issued, now) {
		return true // the server's clock was ahead: no client starts anything by it now
	}
	m.terms = e // the same terms, perhaps prepared anew: the old ones may go
	budget := i.budget(e)
	if budget == nil || (e.ValidUntil != nil && !now.Before(*e.ValidUntil)) {
		return false
	}
	// *budget / RenewAt first: what a client says may be any number.
	return said.BudgetUsed >= max(*budget/RenewAt, 1)
}

func (i *Issuer) budget(e *Entitlement) *int64 {
	if e.Offline == nil {
		return nil
	}
	// A shorter limit would run out between two polls that are answered, and be
	// less than none allowed is.
	d := max(*e.Offline, NoOfflineIntervals*i.cfg.Interval)
	seconds := int64((d + time.Second - 1) / time.Second)
	return &seconds
}

// serialLead is how far a client's serial may be ahead of the clock and still
// be counted on: the server's clock may have been set back, but a client that
// invents numbers must not exhaust them.
const serialLead = uint64(365 * 24 * time.Hour / time.Microsecond)

func (i *Issuer) lease(m *machineRecord, said wire.MachineState, user dormer.Principal, e *Entitlement, now time.Time) Lease {
	serial := max(uint64(now.UnixMicro()), m.serial+1)
	if said.Serial >= serial && said.Serial-serial < serialLead {
		serial = said.Serial + 1
	}
	l := Lease{
		Version: Version, Instance: i.cfg.Instance, Epoch: i.cfg.Epoch, Serial: serial, Client: m.Client, Machine: m.ID,
		User: user, Workspace: e.Workspace, WorkspaceName: e.WorkspaceName, IssuedAt: now, ValidUntil: utc(e.ValidUntil),
		OfflineBudget: i.budget(e), PolicyHash: e.PolicyHash, PolicyRevision: e.Revision, Image: e.Image, ImageName: e.ImageName,
		Requires: e.Requires, Keys: []string{wire.DiskKeyName(m.ID)}, ComputerName: m.ComputerName,
	}
	if e.ValidUntil == nil || now.Before(*e.ValidUntil) {
		l.DeleteWhen = e.DeleteWhen
	}
	if e.RepositoryKey != "" {
		l.Keys = append(l.Keys, wire.RepositoryKeyName(e.RepositoryKey))
	}
	return l
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func stateOf(states []wire.MachineState, id dormer.MachineID) wire.MachineState {
	for _, s := range states {
		if s.Machine == id {
			return s
		}
	}
	return wire.MachineState{Machine: id}
}

// withdrawOthers withdraws the machines that the client holds leases of and
// that nobody who is signed in is entitled to.
func (i *Issuer) withdrawOthers(ctx context.Context, c *clientRecord, p Poll, entitled map[dormer.MachineID]bool, d *Decision) error {
	var errs []error
	for _, said := range p.Machines {
		m := c.find(said.Machine)
		signedIn := m != nil && slices.ContainsFunc(p.Claims, func(c Claim) bool { return c.User.ID() == m.User.ID() })
		// What has no lease is told of all the same once its user is here again:
		// else it would go on saying why it was withdrawn before.
		if entitled[said.Machine] || said.Serial == 0 && !signedIn {
			continue
		}
		reason := "this is not a machine of this client"
		if m == nil && slices.ContainsFunc(p.Claims, func(c Claim) bool { return c.Unknown }) {
			continue // another replica may know it as that user's
		}
		if m != nil {
			m.serial, m.terms = 0, nil
			reason = fmt.Sprintf("%s is not signed in on this client", m.User.Name)
			if signedIn {
				reason = fmt.Sprintf("no grant gives %s this workspace any more", m.User.Name)
				errs = append(errs, i.keepMachine(ctx, m.ID)) // absence stops, and deletes nothing
			}
		}
		d.Withdrawn = append(d.Withdrawn, wire.Withdrawal{Machine: said.Machine, Reason: reason})
	}
	return errors.Join(errs...)
}

// Machine returns the record of a client's machine. ErrNotFound when the client
// has no such machine.
func (i *Issuer) Machine(client dormer.ClientID, id dormer.MachineID) (Machine, error) {
	c := i.client(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.find(id); m != nil {
		return m.Machine, nil
	}
	return Machine{}, fmt.Errorf("client %s has no machine %s: %w", client, id, dormer.ErrNotFound)
}

// Forget drops what is remembered of leases that are out, so that each is
// issued again at its client's next poll.
func (i *Issuer) Forget(client dormer.ClientID) {
	c := i.client(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		m.serial, m.terms = 0, nil
	}
}

// drop removes a machine whose deletion the client has reported.
func (i *Issuer) drop(ctx context.Context, client dormer.ClientID, id dormer.MachineID) error {
	if err := i.cfg.Machines.DeleteMachine(ctx, id); err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return fmt.Errorf("remove machine %s: %w", id, err)
	}
	c := i.client(client)
	c.mu.Lock()
	c.machines = slices.DeleteFunc(c.machines, func(m *machineRecord) bool { return m.ID == id })
	c.mu.Unlock()
	i.orders.unplan(id)
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.machines, id)
	for name, owner := range i.names {
		if owner == id {
			delete(i.names, name)
		}
	}
	return nil
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/setup"
	"github.com/dormer-project/dormer/internal/workspace"
)

// record is what is kept of a machine, in its folder, replaced as a whole.
type record struct {
	Machine dormer.MachineID `json:"machine"`
	// UID and User are whose it is: of this computer, and of the instance.
	UID  uint32           `json:"uid"`
	User dormer.Principal `json:"user"`
	// Name is that of the workspace in the last lease.
	Name string `json:"name"`
	// Lease is the last that was accepted; nil once it was withdrawn.
	Lease *seal.Envelope `json:"lease,omitempty"`
	// Withdrawn is why there is none any more; WithdrawnAt is when a server
	// said so, zero when the machine must stop without grace.
	Withdrawn   string    `json:"withdrawn,omitempty"`
	WithdrawnAt time.Time `json:"withdrawn_at,omitzero"`
	// Earlier says that it is of an earlier enrolment: it is kept and gets no
	// leases any more.
	Earlier bool `json:"earlier,omitempty"`
	// Overlay is settled at the first start: whether changes are kept. Base is the
	// image in use from then on, BaseName its NAME/NUMBER; updates change them.
	Overlay  hypervisor.Overlay `json:"overlay,omitempty"`
	Base     dormer.ImageID     `json:"base,omitempty"`
	BaseName string             `json:"base_name,omitempty"`
	// Layer names the machine layer over Base, "" the first that a machine has;
	// Made is how many there were after it. Layers are earlier ones that are still
	// here, newest first.
	Layer  string  `json:"layer,omitempty"`
	Made   int     `json:"made,omitempty"`
	Layers []layer `json:"layers,omitempty"`
	// Take is the version that the user chose to take at the next start, Skip one
	// that they went back from; Back says that the next start goes back.
	Take dormer.ImageID `json:"take,omitempty"`
	Skip dormer.ImageID `json:"skip,omitempty"`
	Back bool           `json:"back,omitempty"`
	// Offered is the version that an event told of last.
	Offered dormer.ImageID `json:"offered,omitempty"`
	// Old are the images of earlier leases, newest first: a new version is
	// fetched with their help, and the policy says how many stay.
	Old []dormer.ImageID `json:"old,omitempty"`
	// Ending is how it is going to end, while its user is given time.
	Ending *ending `json:"ending,omitempty"`
	// Removing is the order, or the limit, that deletes it, and RemovingWhy the
	// reason; it is carried out even when the agent is killed meanwhile.
	Removing    string `json:"removing,omitempty"`
	RemovingWhy string `json:"removing_why,omitempty"`
	// Resetting is the order that takes it back to its image, from when it is
	// carried out until it is.
	Resetting string `json:"resetting,omitempty"`
	// Dropped are layers that are not used any more, and whose files are still here.
	Dropped []string `json:"dropped,omitempty"`
	// Lock is there while it is locked.
	Lock *lockState `json:"lock,omitempty"`
	// Saved says that its memory is kept for the next start.
	Saved bool `json:"saved,omitempty"`
	// Woken is when the window ends for which it was started; see guestUpdates.
	// LastWindow is when the last such window opened.
	Woken      time.Time `json:"woken,omitzero"`
	LastWindow time.Time `json:"last_window,omitzero"`
	// ZoneGiven is the first run of a layer, whose guest is given the server's time
	// zone; DNSGiven says that the guest was given name servers.
	ZoneGiven zoneGiven `json:"zone_given,omitzero"`
	DNSGiven  bool      `json:"dns_given,omitempty"`
	// Opened is the start of the hardware after which the applications that start
	// with the workspace were started.
	Opened time.Time `json:"opened,omitzero"`
	// Adapters are those of the host that it was bridged to at its first start.
	Adapters []string `json:"adapters,omitempty"`
	// NotEnforced is the revision whose fields without effect an event told of.
	NotEnforced dormer.Revision `json:"not_enforced,omitempty"`
}

// machine is one machine of this client. No method of rec is called while mu
// is held: rec asks the machine with its own lock held.
type machine struct {
	agent  *Agent
	folder folder
	id     dormer.MachineID
	uid    uint32 // whose it is
	rec    *workspace.Reconciler
	gone   bool // it was deleted; guarded by Agent.mu

	mu     sync.Mutex // guards the fields below
	record record
	lease  *lease.Lease      // nil when there is none
	policy *policy.Effective // of the lease
	judged lease.Judgement
	vm     hypervisor.Machine // nil when it does not run
	status hypervisor.Status
	told   workspace.State // the last that an event told of
	// fetchTold is what events told of the fetch of image fetchOf.
	fetchOf   dormer.ImageID
	fetchTold []event.Code
	mended    time.Time // when the image was last looked through, by the wall clock

	setup    *setup.Runner // of setup.go; nil until it is asked for
	warned   warning
	signedOn signedOn
	update   update
	fresh    bool          // the next start does not go on from saved memory
	held     bool          // vm is suspended
	holds    int           // how often that has changed
	used     time.Duration // when somebody used it last, by the boot clock
	windows  int           // published applications that ran at the last look
	empty    int           // looks in a row since the last of them has ended
	// applied is the Spec that vm was started with or changed to, as far as it took
	// it over; startedWith the policy of its start.
	applied     hypervisor.Spec
	startedWith *policy.Effective
	waiting     []string // fields of the policy that wait for the next start
	arranged    arranged
	arranger    chan struct{} // a token in it asks to arrange the guest again
	passed      chan struct{} // closed after the next pass of it; nil when nobody waits

	applying sync.Mutex // held while what is attached is changed; taken before mu
}

// zoneGiven is a layer and a start of its machine.
type zoneGiven struct {
	Layer string    `json:"layer,omitempty"`
	Start time.Time `json:"start,omitzero"`
}

// loadMachine reads a machine's folder. A lease that does not verify is
// dropped and told of; the machine is kept.
func (a *Agent) loadMachine(f folder, t *trust) (*machine, error) {
	m := &machine{agent: a, folder: f, arranger: make(chan struct{}, 1)}
	if err := f.readJSON(FileMachine, &m.record); err != nil {
		return nil, err
	}
	if m.record.Machine == "" {
		return nil, fmt.Errorf("folder %s has no record: %w", string(f), dormer.ErrNotFound)
	}
	m.id, m.uid = m.record.Machine, m.record.UID
	if m.record.Lease != nil {
		if err := m.loadLease(t); err != nil {
			a.log.LogAttrs(a.ctx, slog.LevelWarn, "a stored lease does not count",
				slog.String("machine", string(m.id)), slog.Any("error", err))
			a.tell(event.New(event.LeaseRefused, a.now(), "the stored one: "+dormer.Plain(err)), m)
			m.lease, m.policy, m.record.Lease = nil, nil, nil
		}
	}
	return m, nil
}

func (m *machine) loadLease(t *trust) error {
	if t == nil {
		return fmt.Errorf("the client is not enrolled: %w", dormer.ErrDenied)
	}
	h := t.holder()
	h.Epoch = 0 // it was accepted when its epoch was not over
	l, err := lease.Open(t.keys, h, *m.record.Lease)
	if err != nil {
		return err
	}
	if l.Machine != m.record.Machine {
		return fmt.Errorf("it is for another machine: %w", dormer.ErrDenied)
	}
	p, err := m.agent.storedPolicy(l.PolicyHash)
	if err != nil {
		return err
	}
	m.lease, m.policy = &l, p
	m.agent.clock.Witness(l.IssuedAt)
	return nil
}

// begin adopts the machine if it runs and gives it to a reconciler.
func (m *machine) begin(ctx context.Context) {
	desired, state, lost := workspace.Stopped, workspace.Absent, false
	vm, err := m.agent.driver.Adopt(ctx, m.disks())
	switch {
	case err == nil:
		desired, state = workspace.Run, workspace.Running
		if m.suspendedNow(ctx, vm) {
			desired, state = workspace.Held, workspace.Suspended
		}
		m.adopted(vm, state)
		m.agent.tell(event.New(event.MachineAdopted, m.agent.now(), ""), m)
	case errors.Is(err, dormer.ErrNotFound):
	default:
		m.agent.log.LogAttrs(ctx, slog.LevelError, "a machine cannot be looked for; it is tried again",
			slog.String("machine", string(m.id)), slog.Any("error", err))
		lost = true
	}
	if m.record.Removing != "" {
		desired = workspace.Removed
	}
	if state == workspace.Absent && m.Fetched() {
		state = workspace.Ready
		if m.findSaved(); m.Saved() {
			state = workspace.Saved
		}
	}
	m.rec = workspace.New(m, desired, state, m.changed)
	m.agent.running.Go(func() { m.rec.Run(ctx) })
	switch {
	case err == nil:
		m.agent.running.Go(func() { m.watch(ctx, vm) })
	case lost:
		m.agent.running.Go(func() { m.seek(ctx) })
	}
}

// seek looks again for a machine that did not answer, until it is found or has
// ended: its lease is enforced even if nobody starts it.
func (m *machine) seek(ctx context.Context) {
	t := time.NewTicker(m.agent.cfg.LookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if m.machineNow() != nil {
			return // a start has found it
		}
		vm, err := m.agent.driver.Adopt(ctx, m.disks())
		if errors.Is(err, dormer.ErrNotFound) {
			return
		}
		if err != nil || !m.rec.Found(func() { m.adopted(vm, workspace.Running) }) {
			continue
		}
		m.agent.tell(event.New(event.MachineAdopted, m.agent.now(), ""), m)
		m.watch(ctx, vm)
		return
	}
}

// adopted takes over a machine that runs; no event tells that it started.
func (m *machine) adopted(vm hypervisor.Machine, s workspace.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vm, m.told, m.held, m.used = vm, s, s == workspace.Suspended, m.agent.time.Boot()
}

// disks is the folder that belongs to the hypervisor.
func (m *machine) disks() string { return m.folder.path(DirDisks) }

// save keeps the record; the caller holds mu.
func (m *machine) save() error {
	err := m.folder.writeJSON(FileMachine, m.record)
	if m.record.Removing != "" && errors.Is(err, fs.ErrNotExist) {
		return nil // its removal took the folder away: there is nothing to keep
	}
	return err
}

// Fetched implements workspace.Body.
func (m *machine) Fetched() bool {
	m.mu.Lock()
	id := m.image()
	m.mu.Unlock()
	return id != "" && m.agent.images.Has(id)
}

// accept takes a verified lease with its policy.
func (m *machine) accept(e seal.Envelope, l lease.Lease, p *policy.Effective) error {
	now := m.agent.now()
	m.mu.Lock()
	// One of a server whose clock was far ahead gives way to any of now: its
	// serial is ahead too.
	older := m.lease != nil && l.Serial <= m.lease.Serial && (!m.lease.Ahead(now) || l.Ahead(now))
	if m.record.Removing != "" || older {
		m.mu.Unlock()
		return nil
	}
	before, was, revision, running := m.image(), m.record, dormer.Revision(0), m.policy
	if m.lease != nil {
		revision = m.lease.PolicyRevision
	}
	m.record.Lease, m.record.Name, m.record.User = &e, l.WorkspaceName, l.User
	m.record.Withdrawn, m.record.WithdrawnAt, m.record.Earlier = "", time.Time{}, false
	if m.lease != nil && m.lease.Image != l.Image {
		old := slices.DeleteFunc(slices.Clone(was.Old), func(i dormer.ImageID) bool { return i == l.Image || i == m.lease.Image })
		old = slices.Insert(old, 0, m.lease.Image)
		// One at least helps to fetch the new one.
		m.record.Old = old[:min(len(old), max(p.Machine.KeepOldVersions, 1))]
	}
	if err := m.save(); err != nil {
		m.record = was
		m.mu.Unlock()
		return err
	}
	m.lease, m.policy = &l, p
	after := m.image()
	m.mu.Unlock()
	if l.PolicyRevision != revision {
		m.agent.tell(event.New(event.PolicyReceived, m.agent.now(), fmt.Sprintf("revision %d", l.PolicyRevision)), m)
		m.tellNotEnforced()
	}
	if m.rec != nil && after != before {
		m.rec.Changed()
	}
	m.changeRunning(running)
	return nil
}

// withdraw drops the lease and keeps the machine. at is zero when it must stop
// without grace.
func (m *machine) withdraw(reason string, at time.Time) error {
	m.mu.Lock()
	if m.record.Withdrawn == reason && m.record.Lease == nil {
		m.mu.Unlock()
		return nil
	}
	was := m.record
	if m.record.Withdrawn == "" || at.IsZero() {
		m.record.WithdrawnAt = at
	}
	m.record.Lease, m.record.Withdrawn = nil, reason
	if err := m.save(); err != nil {
		m.record = was
		m.mu.Unlock()
		return err
	}
	m.mu.Unlock()
	m.agent.tell(event.New(event.LeaseWithdrawn, m.agent.now(), reason), m)
	return nil
}

// changed is called by the reconciler, with its lock held, after each change.
func (m *machine) changed(s workspace.Snapshot) {
	if s.State == workspace.Switching {
		return // what it is switching to tells
	}
	m.mu.Lock()
	from := m.told
	if s.State == from {
		m.mu.Unlock()
		return
	}
	m.told = s.State
	m.mu.Unlock()
	code, detail := event.Code(0), ""
	switch s.State {
	case workspace.Starting:
		code = event.WorkspaceStarting
	case workspace.Running:
		switch from {
		case workspace.Paused:
			code = event.DiskFullResumed
		case workspace.Suspended:
			code = event.WorkspaceResumed
		default:
			code = event.WorkspaceStarted
		}
	case workspace.Suspended:
		code, detail = event.WorkspaceSuspended, m.idleDetail()
	case workspace.Paused:
		code, detail = event.DiskFullPaused, s.Detail
	case workspace.Stopping:
		code = event.WorkspaceStopping
	case workspace.Saved:
		if from == workspace.Stopping || from.Live() {
			code = event.WorkspaceSaved
		}
	case workspace.Ready, workspace.Absent:
		if from == workspace.Stopping || from.Live() {
			code = event.WorkspaceStopped
		}
	case workspace.Failed:
		if from == workspace.Starting || from.Live() {
			code, detail = event.WorkspaceFailed, s.Detail
		}
	case workspace.Gone:
		code, detail = event.WorkspaceDeleted, m.removingWhy()
		m.agent.forget(m)
	case workspace.Downloading, workspace.Removing, workspace.Switching:
	}
	if code != 0 {
		m.agent.tell(event.New(code, m.agent.now(), detail), m)
	}
}

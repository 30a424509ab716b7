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
	// Overlay and Base are settled at the first start: whether changes are
	// kept, and over which image, as long as they are.
	Overlay hypervisor.Overlay `json:"overlay,omitempty"`
	Base    dormer.ImageID     `json:"base,omitempty"`
	// BaseName is the NAME/NUMBER of Base.
	BaseName string `json:"base_name,omitempty"`
	// Old are the images of earlier leases, newest first: a new version is
	// fetched with their help, and the policy says how many stay.
	Old []dormer.ImageID `json:"old,omitempty"`
	// Removing is the order that deletes it; it is carried out even when the
	// agent is killed meanwhile.
	Removing string `json:"removing,omitempty"`
}

// machine is one machine of this client. No method of rec is called while mu
// is held: rec asks the machine with its own lock held.
type machine struct {
	agent  *Agent
	folder folder
	id     dormer.MachineID
	uid    uint32 // whose it is
	rec    *workspace.Reconciler

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
}

// loadMachine reads a machine's folder. A lease that does not verify is
// dropped and told of; the machine is kept.
func (a *Agent) loadMachine(f folder, t *trust) (*machine, error) {
	m := &machine{agent: a, folder: f}
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
			a.tell(event.New(event.LeaseRefused, a.now(), "the stored one: "+err.Error()), m)
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
		m.adopted(vm)
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
		if err != nil || !m.rec.Found(func() { m.adopted(vm) }) {
			continue
		}
		m.agent.tell(event.New(event.MachineAdopted, m.agent.now(), ""), m)
		m.watch(ctx, vm)
		return
	}
}

// adopted takes over a machine that runs; no event tells that it started.
func (m *machine) adopted(vm hypervisor.Machine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vm, m.told = vm, workspace.Running
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

// image is the image that the next start uses; "" when it is not known, for
// want of a lease. The caller holds mu.
func (m *machine) image() dormer.ImageID {
	switch {
	case m.settled():
		return m.record.Base
	case m.lease == nil:
		return ""
	default:
		return m.lease.Image
	}
}

// imageName is the name of that image. The caller holds mu.
func (m *machine) imageName() string {
	switch {
	case m.settled() && m.record.BaseName != "":
		return m.record.BaseName
	case m.lease == nil:
		return ""
	default:
		return m.lease.ImageName
	}
}

// settled reports whether the machine keeps changes to an image, and so the
// image. The caller holds mu.
func (m *machine) settled() bool {
	return m.record.Overlay == hypervisor.OverlayKeep && m.record.Base != ""
}

// Fetched implements workspace.Body.
func (m *machine) Fetched() bool {
	m.mu.Lock()
	id := m.image()
	m.mu.Unlock()
	return id != "" && m.agent.images.Has(id)
}

// judge applies the lease to the clock.
func (m *machine) judge(t *trust, r lease.Reading) lease.Judgement {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := lease.Facts{Lease: m.lease, WithdrawnReason: m.record.Withdrawn, Enforces: enforces, Clock: r}
	if t != nil {
		f.Holder = t.holder()
	}
	m.judged = lease.Judge(f)
	if m.judged.Verdict == lease.Withdrawn && !m.record.WithdrawnAt.IsZero() {
		m.judged.Over = r.Now.Sub(m.record.WithdrawnAt)
	}
	return m.judged
}

// enforce stops a machine that may not run, and lets go of one that may again.
func (m *machine) enforce(t *trust, r lease.Reading) {
	j := m.judge(t, r)
	now := m.rec.Snapshot()
	switch {
	case now.Desired == workspace.Removed:
	case j.Verdict == lease.Allowed:
		if now.Desired == workspace.Halted {
			m.rec.Want(workspace.Stopped)
		}
	case now.Desired == workspace.Halted || now.State.Live() && m.grace(j):
	default:
		if now.State.Live() || now.State == workspace.Starting {
			m.tellLimit(j, r.Now)
		}
		m.rec.Want(workspace.Halted)
	}
}

// tellLimit tells why a machine is stopped. What was withdrawn was told when it
// was, but for machines of an earlier enrolment.
func (m *machine) tellLimit(j lease.Judgement, now time.Time) {
	m.mu.Lock()
	told := j.Verdict == lease.Withdrawn && !m.record.Earlier
	m.mu.Unlock()
	if told {
		return
	}
	detail := j.Detail
	if detail == "" {
		detail = j.String()
	}
	m.agent.tell(event.New(limitEvents[j.Verdict], now, detail), m)
}

// limitEvents say why a machine is stopped.
var limitEvents = map[lease.Verdict]event.Code{
	lease.NoLease: event.LeaseWithdrawn, lease.Withdrawn: event.LeaseWithdrawn, lease.WrongInstance: event.LeaseRefused,
	lease.WrongClient: event.LeaseRefused, lease.ClientTooOld: event.WorkspaceTooOld, lease.NotYet: event.WorkspaceRefused,
	lease.Expired: event.WorkspaceExpired, lease.OfflineTooLong: event.WorkspaceLimit,
}

// refusalEvents say why a start is refused.
var refusalEvents = map[lease.Verdict]event.Code{
	lease.NoLease: event.WorkspaceNotReady, lease.Withdrawn: event.WorkspaceRefused, lease.WrongInstance: event.WorkspaceRefused,
	lease.WrongClient: event.WorkspaceRefused, lease.ClientTooOld: event.WorkspaceTooOld, lease.NotYet: event.WorkspaceRefused,
	lease.Expired: event.WorkspaceExpired, lease.OfflineTooLong: event.WorkspaceOffline,
}

// grace reports whether a machine that runs may go on for now although the
// verdict is against it: what the policy says happens at the limit.
func (m *machine) grace(j lease.Judgement) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	left, endless := m.graceLeft(j)
	return endless || left > 0
}

// graceLeft is for how long a machine that runs may go on. The caller holds mu.
func (m *machine) graceLeft(j lease.Judgement) (left time.Duration, endless bool) {
	if m.policy == nil {
		return 0, false
	}
	switch j.Verdict {
	case lease.Withdrawn:
		if m.record.WithdrawnAt.IsZero() {
			return 0, false
		}
	case lease.Expired:
	case lease.OfflineTooLong:
		if m.policy.Deployment.Offline.Allow == policy.OfflineNone {
			return 0, false
		}
	case lease.Allowed, lease.NoLease, lease.WrongInstance, lease.WrongClient, lease.ClientTooOld, lease.NotYet:
		return 0, false
	}
	at := m.policy.Deployment.AtLimit
	switch at.Action {
	case policy.LimitRefuseStart:
		return 0, true
	case policy.LimitStop:
		return at.Grace.Duration() - j.Over, false
	case policy.LimitLock, policy.LimitDelete: // not enforced yet, so never allowed
	}
	return 0, false
}

// accept takes a verified lease with its policy.
func (m *machine) accept(e seal.Envelope, l lease.Lease, p *policy.Effective) error {
	m.mu.Lock()
	if m.record.Removing != "" || m.lease != nil && l.Serial <= m.lease.Serial {
		m.mu.Unlock()
		return nil
	}
	before, was, revision := m.image(), m.record, dormer.Revision(0)
	if m.lease != nil {
		revision = m.lease.PolicyRevision
	}
	m.record.Lease, m.record.Name, m.record.User = &e, l.WorkspaceName, l.User
	m.record.Withdrawn, m.record.WithdrawnAt, m.record.Earlier = "", time.Time{}, false
	if m.lease != nil && m.lease.Image != l.Image {
		old := slices.DeleteFunc(slices.Clone(was.Old), func(i dormer.ImageID) bool { return i == l.Image || i == m.lease.Image })
		old = slices.Insert(old, 0, m.lease.Image)
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
	}
	if m.rec != nil && after != before {
		m.rec.Changed()
	}
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
		code = event.WorkspaceStarted
		if from == workspace.Paused {
			code = event.DiskFullResumed
		}
	case workspace.Paused:
		code, detail = event.DiskFullPaused, s.Detail
	case workspace.Stopping:
		code = event.WorkspaceStopping
	case workspace.Ready, workspace.Absent:
		if from == workspace.Stopping || from.Live() {
			code = event.WorkspaceStopped
		}
	case workspace.Failed:
		if from == workspace.Starting || from.Live() {
			code, detail = event.WorkspaceFailed, s.Detail
		}
	case workspace.Gone:
		code = event.WorkspaceDeleted
	case workspace.Downloading, workspace.Removing:
	}
	if code != 0 {
		m.agent.tell(event.New(code, m.agent.now(), detail), m)
	}
}

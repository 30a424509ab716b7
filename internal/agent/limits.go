package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/workspace"
)

// consequence is what follows for a machine from its lease and the clock.
type consequence struct {
	// do is what happens to a machine that runs once left is over; "" when it
	// runs on.
	do policy.LimitAction
	// left is how long it may go on, endless that there is no end.
	left    time.Duration
	endless bool
	// deletes says that the limit deletes the machine, whether it runs or not;
	// alone that the client does so by itself, and leaves it to no server.
	deletes, alone bool
	// resets says that the machine goes back to its image then.
	resets bool
}

// consequenceOf says what follows from a judgement. sure is the judgement by
// the time that has certainly passed: what is gone does not come back when the
// clock is set right. alone is for how long the server was certainly away. The
// caller holds mu.
func (m *machine) consequenceOf(j, sure lease.Judgement, alone absence) consequence {
	if m.policy == nil {
		return consequence{do: policy.LimitStop}
	}
	at := m.policy.Deployment.AtLimit
	c := consequence{do: at.Action, left: at.Grace.Duration() - j.Over}
	switch j.Verdict {
	case lease.Withdrawn:
		if m.record.WithdrawnAt.IsZero() {
			return consequence{do: policy.LimitStop}
		}
	case lease.Expired, lease.OfflineTooLong:
		c.deletes = m.lease != nil && j.Verdict == sure.Verdict && slices.Contains(m.lease.DeleteWhen, j.Verdict)
		c.alone = c.deletes && alone.past(*m.lease, j.Verdict)
		if j.Verdict == lease.OfflineTooLong && m.policy.Deployment.Offline.Allow == policy.OfflineNone && !c.deletes {
			c.left = 0 // no work while the server is away
		}
	case lease.Allowed, lease.NoLease, lease.WrongInstance, lease.WrongClient, lease.ClientTooOld, lease.NotYet:
		return consequence{do: policy.LimitStop}
	}
	switch {
	case at.Action == policy.LimitRefuseStart, at.Action == policy.LimitLock && !c.deletes:
		c.left, c.endless = 0, true
	case c.deletes:
		c.do = policy.LimitDelete
	case at.Action == policy.LimitDelete:
		c.do = policy.LimitStop // neither an order nor the lease says more
	}
	return c
}

// consequence holds the machine's lease against the clock.
func (m *machine) consequence(j lease.Judgement) consequence {
	t, _ := m.agent.all()
	r := m.agent.clock.Sure()
	sure, alone := lease.Judge(m.facts(t, r)), m.agent.absence(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.consequenceOf(j, sure, alone)
}

// absence is how long the server was certainly away.
type absence struct {
	answer time.Time     // the last that was signed, by the server's clock
	since  time.Duration // from there to the last poll that failed
	enough time.Duration // what counts as away
}

// aloneIntervals is how many poll intervals a server is silent before it counts
// as away, and aloneTime what stands for them while the interval is not known.
const (
	aloneIntervals = 3
	aloneTime      = 3 * time.Minute
)

// absence says for how long the server was away, at r by the time that has
// certainly passed. A computer that has just woken has to ask first.
func (a *Agent) absence(r lease.Reading) absence {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := absence{answer: r.Answer, since: min(a.poll.alone, r.Elapsed), enough: aloneIntervals * a.poll.interval}
	if out.enough <= 0 {
		out.enough = aloneTime
	}
	return out
}

// past reports whether the limit was reached while the server was away. A server
// that has answered since knows of it, and orders what is to be deleted: it halts
// when a wrong date would delete too many. One that answers but does not renew
// the lease, since the user's directory is away, deletes nothing either.
func (a absence) past(l lease.Lease, v lease.Verdict) bool {
	at := a.answer.Add(a.since)
	switch {
	case a.since < a.enough:
		return false
	case v == lease.Expired:
		return l.ValidUntil != nil && a.answer.Before(*l.ValidUntil) && !at.Before(*l.ValidUntil)
	default:
		return l.OfflineBudget != nil && int64(a.since/time.Second) >= *l.OfflineBudget
	}
}

// facts are what a judgement of the machine rests on.
func (m *machine) facts(t *trust, r lease.Reading) lease.Facts {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := lease.Facts{Lease: m.lease, WithdrawnReason: m.record.Withdrawn, Enforces: enforces, Clock: r}
	if t != nil {
		f.Holder = t.holder()
	}
	return f
}

// judge applies the lease to the clock.
func (m *machine) judge(t *trust, r lease.Reading) lease.Judgement {
	j := lease.Judge(m.facts(t, r))
	m.mu.Lock()
	defer m.mu.Unlock()
	if j.Verdict == lease.Withdrawn && !m.record.WithdrawnAt.IsZero() {
		j.Over = r.Now.Sub(m.record.WithdrawnAt)
	}
	m.judged = j
	return j
}

// grace reports whether a machine that runs may go on for now although the
// verdict is against it.
func (m *machine) grace(j lease.Judgement) bool {
	c := m.consequence(j)
	return c.endless || c.left > 0
}

// enforce does what the lease says: it stops, locks or deletes a machine that may
// not run, and lets go of one that may again.
func (m *machine) enforce(t *trust, r lease.Reading) {
	j := m.judge(t, r)
	now := m.rec.Snapshot()
	if now.Desired == workspace.Removed || m.carryOut(r, now) {
		return
	}
	ending := m.isEnding()
	if j.Verdict == lease.Allowed {
		if !ending {
			m.endWarning()
		}
		if now.Desired == workspace.Halted {
			m.rec.Want(workspace.Stopped)
		}
		return
	}
	c := m.consequence(j)
	live := now.State.Live()
	if live && c.endless && c.do == policy.LimitLock {
		m.lockAtLimit(j)
	}
	switch {
	case c.alone && (!live || !c.endless && c.left <= 0):
		m.tellLimit(j, r.Now)
		m.agent.logError(m.agent.ctx, "limit", m.remove(string(j.Verdict), j.String()))
	case now.Desired == workspace.Halted:
	case live && c.endless:
	case live && c.left > 0:
		if !ending { // of which its user is warned already
			m.warn(c, j.String(), r.Now)
		}
	default:
		if live || now.State == workspace.Starting {
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

// warning is what the user of a running machine was told of its end.
type warning struct {
	key  string // of what; "" for nothing
	last bool   // told that little time is left
}

// warnAgain is how long before the end of a machine its user is warned a second
// time.
const warnAgain = 2 * time.Minute

// warn tells the user how long the machine goes on: at once, and again when
// little time is left.
func (m *machine) warn(c consequence, why string, now time.Time) {
	what := "will be stopped"
	if c.do == policy.LimitDelete {
		what = "will be stopped and deleted from this computer"
	}
	if c.resets {
		what = "will be stopped and goes back to its image, without what was installed in it,"
	}
	m.mu.Lock()
	key, soon := what+why, c.left <= warnAgain
	first := m.warned.key != key
	if !first && (!soon || m.warned.last) {
		m.mu.Unlock()
		return
	}
	m.warned = warning{key: key, last: soon}
	name := m.record.Name
	m.mu.Unlock()
	text := fmt.Sprintf("%s at %s: %s", what, clockText(now.Add(c.left), c.left), why)
	m.agent.tell(event.New(event.WorkspaceWarned, now, text), m)
	m.agent.notifyUser(m, name+" "+what, "The workspace "+text+". Save your work.")
}

func (m *machine) endWarning() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.warned = warning{}
}

// clockText is a time for people, with the day when it is far away.
func clockText(at time.Time, away time.Duration) string {
	if away >= 12*time.Hour {
		return at.Local().Format("2006-01-02 15:04")
	}
	return at.Local().Format("15:04")
}

// ending is the end that an order sets to a machine that runs.
type ending struct {
	Order  string `json:"order"`
	Delete bool   `json:"delete,omitempty"`
	Reset  bool   `json:"reset,omitempty"`
	Reason string `json:"reason"`
	// At is when it ends, by the agent's clock.
	At time.Time `json:"at"`
}

// end lets a machine end as an order says. One that does not run ends at once;
// one that does has its grace, which a restart of the agent does not renew.
func (m *machine) end(o lease.Order, now time.Time) error {
	deletes, resets := o.Kind == lease.OrderDelete, o.Kind == lease.OrderReset
	live := m.rec.Snapshot().State.Live()
	m.mu.Lock()
	grace := time.Duration(0)
	switch {
	case o.Grace != nil:
		grace = time.Duration(min(max(*o.Grace, 0), int64(lease.MaxGrace/time.Second))) * time.Second
	case (deletes || resets) && m.policy != nil:
		grace = m.policy.Deployment.AtLimit.Grace.Duration()
	}
	if m.record.Ending != nil && m.record.Ending.Order == o.ID || m.record.Resetting == o.ID {
		m.mu.Unlock()
		return nil
	}
	if !live || grace == 0 {
		m.mu.Unlock()
		switch {
		case deletes:
			return m.remove(o.ID, o.Reason)
		case resets:
			return m.reset(o.ID)
		}
		m.rec.Want(workspace.Stopped)
		return nil
	}
	was := m.record.Ending
	if was != nil && (was.Delete && !deletes || was.Reset && o.Kind == lease.OrderStop) {
		m.mu.Unlock()
		return nil // more than that is going to happen anyway
	}
	m.record.Ending = &ending{Order: o.ID, Delete: deletes, Reset: resets, Reason: o.Reason, At: now.Add(grace)}
	err := m.save()
	if err != nil {
		m.record.Ending = was
	}
	m.mu.Unlock()
	if err == nil {
		m.carryOut(m.agent.clock.Read(), m.rec.Snapshot())
	}
	return err
}

// carryOut goes on with the end that was set to the machine, and reports whether
// it is deleted by it.
func (m *machine) carryOut(r lease.Reading, now workspace.Snapshot) bool {
	m.goOnResetting()
	m.mu.Lock()
	e := m.record.Ending
	m.mu.Unlock()
	if e == nil {
		return false
	}
	left := e.At.Sub(r.Now)
	live := now.State.Live()
	if live && left > 0 {
		c := consequence{do: policy.LimitStop, left: left, resets: e.Reset}
		if e.Delete {
			c.do = policy.LimitDelete
		}
		m.warn(c, e.Reason, r.Now)
		return false
	}
	if now.State.Busy() && now.State != workspace.Downloading && left > 0 {
		return false // it is being stopped, or starts: what comes of it decides
	}
	if e.Delete {
		m.agent.logError(m.agent.ctx, "order", m.remove(e.Order, e.Reason))
		return true
	}
	if e.Reset {
		m.agent.logError(m.agent.ctx, "order", m.reset(e.Order))
		return false
	}
	m.mu.Lock()
	m.record.Ending = nil
	err := m.save()
	m.mu.Unlock()
	m.agent.logError(m.agent.ctx, "order", err)
	if live || now.State == workspace.Starting {
		m.rec.Want(workspace.Stopped)
	}
	m.endWarning()
	return false
}

// isEnding reports whether an order has set an end to the machine.
func (m *machine) isEnding() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.Ending != nil
}

// stoppedAsOrdered forgets the end that an order set to a machine that has
// stopped before it: the next start is another matter.
func (m *machine) stoppedAsOrdered() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.record.Ending; e != nil && !e.Delete && !e.Reset && m.vm == nil {
		m.record.Ending = nil
		m.agent.logError(m.agent.ctx, "order", m.save())
	}
}

// remove deletes the machine, after it is marked so that it is deleted even when
// the agent ends meanwhile. by is the order or the limit.
func (m *machine) remove(by, why string) error {
	m.mu.Lock()
	var err error
	if m.record.Removing == "" { // else it is being deleted, or is already
		m.record.Removing, m.record.RemovingWhy = by, why
		if err = m.save(); err != nil {
			m.record.Removing, m.record.RemovingWhy = "", ""
		}
	}
	m.mu.Unlock()
	if err == nil {
		m.rec.Want(workspace.Removed)
	}
	return err
}

func (m *machine) removingWhy() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.RemovingWhy
}

// forget lets go of a machine that is deleted.
func (a *Agent) forget(m *machine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m.gone = true
	if a.machines[m.id] == m {
		delete(a.machines, m.id)
	}
}

// canSave reports whether the machine's memory can be kept at all.
func (m *machine) canSave() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.Overlay == hypervisor.OverlayKeep
}

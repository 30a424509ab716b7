package sizing

import (
	"fmt"
	"time"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// unlimited is a time without a limit in the results.
const unlimited = -1

// way is a standby with what it leaves.
type way struct {
	kind         StandbyKind
	outage, loss figure.Figure
	name         string // for what is not enough
	text         string
}

// availability chooses the least standby with which nobody is kept from work
// and no more is lost than may be.
func (w *work) availability() {
	a := &w.out.Availability
	a.Workspaces, a.Reasons = []Tolerance{}, []string{}
	a.Tolerable = unlimited
	first := ""
	for _, o := range w.offers {
		t := w.tolerance(o)
		a.Workspaces = append(a.Workspaces, t)
		if t.Seconds != unlimited && (a.Tolerable == unlimited || t.Seconds < a.Tolerable) {
			a.Tolerable, first = t.Seconds, t.Workspace
		}
	}
	most, tolerable := w.tolerable(first)
	a.Figures = append(a.Figures, tolerable)
	ways := w.ways()
	chosen := len(ways) - 1
	for i, y := range ways {
		if (most == unlimited || y.outage.Value <= most) && y.loss.Value <= w.m.Service.Loss.Seconds() {
			chosen = i
			break
		}
	}
	for _, y := range ways[:chosen] {
		if most != unlimited && y.outage.Value > most {
			a.Reasons = append(a.Reasons, fmt.Sprintf("%s is not enough: an outage takes %s, and %s.", y.name, figure.Duration(y.outage.Value), w.within(first, most)))
			continue
		}
		a.Reasons = append(a.Reasons, fmt.Sprintf("%s is not enough: the changes of the last %s can be lost, and no more than %s may be.",
			y.name, figure.Duration(y.loss.Value), figure.Duration(w.m.Service.Loss.Seconds())))
	}
	best := ways[chosen]
	a.Standby, a.Outage, a.Loss = best.kind, best.outage.Value, best.loss.Value
	a.Figures = append(a.Figures, best.outage, best.loss)
	standbys := 1
	if best.kind == NoStandby {
		standbys = 0
	}
	a.Figures = append(a.Figures, figure.Work("availability.servers", "Servers of the instance with its standby", figure.Count, "1 + {standbys}", figure.N(standbys)))
	a.Reasons = append(a.Reasons, w.choice(best, first, most))
	w.journal(a)
}

func (w *work) tolerance(o served) Tolerance {
	t := Tolerance{Workspace: o.Name, Users: o.users}
	limit, limited := o.Offline.Limit()
	poll := w.m.Service.Poll
	switch {
	case !limited:
		t.Seconds = unlimited
		t.Text = "It may be used without the server for as long as people like: an outage stops nobody who has it already."
	case limit <= 0:
		t.Text = fmt.Sprintf("It may not be used without the server, so no outage is tolerable. Its lease lasts %d poll intervals, %s: within that another server must answer.",
			noneAllowed, figure.Duration((noneAllowed * poll).Seconds()))
	default:
		t.Seconds = limit.Seconds()
		t.Text = fmt.Sprintf("Everybody who was on-line goes on for at least %s of the %s: leases are renewed once a twentieth is used. Who was off-line before has what is left.",
			figure.Duration(renewed*limit.Seconds()), figure.Duration(limit.Seconds()))
	}
	return t
}

// tolerable is how long an outage may last at most, and its figure.
func (w *work) tolerable(first string) (float64, figure.Figure) {
	const name, title = "availability.tolerable", "Longest outage that stops nobody"
	seconds := w.out.Availability.Tolerable
	switch {
	case seconds == unlimited:
		f := figure.Given(name, title, figure.Seconds, unlimited).From(figure.Classic, classicSource)
		f.Formula, f.Numbers = "shortest off-line limit of the workspaces", "no workspace has a limit"
		return unlimited, f
	case seconds == 0:
		f := figure.Work(name, title, figure.Seconds, "{poll intervals of a lease without time off-line} x {poll interval}",
			figure.N(noneAllowed), figure.In(figure.Seconds, w.m.Service.Poll.Seconds())).From(figure.Derived, "leases where no time off-line is allowed, as in "+first)
		return f.Value, f
	default:
		f := figure.Work(name, title, figure.Seconds, "{shortest off-line limit} x {what is left of it at least}",
			figure.In(figure.Seconds, seconds), figure.In(figure.Share, renewed)).From(figure.Classic, classicSource+"; leases are renewed once a twentieth is used")
		return f.Value, f
	}
}

// within says what an outage must stay within.
func (w *work) within(first string, most float64) string {
	if w.out.Availability.Tolerable == 0 {
		return fmt.Sprintf("the leases of %s last %s without the server", first, figure.Duration(most))
	}
	return fmt.Sprintf("people of %s can do without the server for %s", first, figure.Duration(most))
}

// ways are the kinds of standby that there can be, the least first.
func (w *work) ways() []way {
	s := &w.m.Service
	outage := func(formula string, amounts ...figure.Amount) figure.Figure {
		return figure.Work("availability.outage", "Outage that is left", figure.Seconds, formula, amounts...)
	}
	lost := func(basis figure.Basis, source string, value time.Duration) figure.Figure {
		return figure.Given("availability.loss", "Changes that can be lost", figure.Seconds, value.Seconds()).From(basis, source)
	}
	seconds := func(d time.Duration) figure.Amount { return figure.In(figure.Seconds, d.Seconds()) }
	over, pause := figure.In(figure.Seconds, failover), seconds(longestPause)
	other := []figure.Amount{over, figure.N(findAgain), seconds(s.Poll)}
	const (
		found    = "{fail-over} + {poll intervals until all clients have found it} x {poll interval}"
		measured = "fail-over: 0.3 to 1.1 s, tests of the standby"
		paused   = "agents ask again after 5 minutes at the latest, and up to a quarter more"
	)
	list := []way{
		{
			NoStandby, outage("{time to restore} + {longest pause of a client}", seconds(s.Restore), pause).From(figure.Derived, "service.restore; "+paused),
			lost(figure.Derived, "service.backup", s.Backup), "A restore from a backup", "A server that burns is restored from a backup.",
		},
		{
			FollowerStandby, outage("{time until somebody has promoted it} + {fail-over} + {longest pause of a client}", seconds(onCall), over, pause).
				From(figure.Assumption, measured+"; that somebody is there within half an hour is assumed; "+paused),
			lost(figure.Measured, "standby.interval by default", shipped), "A follower that somebody promotes", "A follower is needed, which somebody promotes within half an hour.",
		},
	}
	if w.m.Events.Database == organization.SQLite {
		return append(list, way{
			FollowerStandby, outage(found, other...).From(figure.Measured, measured),
			lost(figure.Measured, "standby.interval by default", shipped), "A follower", "A follower is needed, which the software that watches both computers promotes without waiting for anybody.",
		})
	}
	return append(list, way{
		DatabaseStandby, outage(found, other...).From(figure.Measured, measured),
		lost(figure.Measured, "synchronous replication: what was acknowledged is on both", 0),
		"PostgreSQL's own replication",
		"PostgreSQL's own synchronous replication is needed, with software that watches it and fails over, and two or more servers of the instance.",
	})
}

// choice says why a standby is chosen, or what it does not do.
func (w *work) choice(y way, first string, most float64) string {
	loss := w.m.Service.Loss.Seconds()
	held := "At most the changes of the last " + figure.Duration(y.loss.Value) + " are lost"
	if y.loss.Value == 0 {
		held = "Nothing that was acknowledged is lost"
	}
	switch {
	case most != unlimited && y.outage.Value > most:
		return fmt.Sprintf("%s Even so an outage takes %s, and %s: allow more time off-line there, or let clients poll more often.",
			y.text, figure.Duration(y.outage.Value), w.within(first, most))
	case y.loss.Value > loss:
		return fmt.Sprintf("%s Even so the changes of the last %s can be lost, and none may be: only PostgreSQL that replicates itself synchronously loses none.", y.text, figure.Duration(y.loss.Value))
	case y.kind == NoStandby && most == unlimited:
		return fmt.Sprintf("No standby is needed: every workspace runs without the server for as long as people like, and it is back from a backup after %s. Nobody signs in for the first time, and nothing is changed, meanwhile.",
			figure.Duration(y.outage.Value))
	case y.kind == NoStandby:
		return fmt.Sprintf("No standby is needed: the server is back from a backup after %s, and %s.", figure.Duration(y.outage.Value), w.within(first, most))
	case most == unlimited:
		return fmt.Sprintf("%s %s, and %s may be.", y.text, held, figure.Duration(loss))
	default:
		return fmt.Sprintf("%s An outage takes %s, and %s. %s.", y.text, figure.Duration(y.outage.Value), w.within(first, most), held)
	}
}

// journal says how long clients keep events while there is no server, and how
// long what they kept takes to arrive.
func (w *work) journal(a *Availability) {
	e, room := &w.m.Events, float64(event.MaxJournalBytes)
	for _, t := range a.Workspaces {
		if t.Seconds != unlimited {
			room = min(room, float64(event.JournalFor(t.Seconds)))
		}
	}
	kept := figure.Work("availability.journal", "Outage for which clients keep all events", figure.Seconds,
		"{journal of a client} / ({events a day} x ({bytes an event} + {bytes of a record around it}) x (1 + {bursts})) x 86,400",
		figure.In(figure.Size, room), figure.N(e.PerDay), figure.In(figure.Size, e.Bytes), figure.In(figure.Size, event.RecordBytes), figure.In(figure.Share, e.Bursts)).
		From(figure.Derived, limitsSource+": a client's journal has 8 MiB, and 64 MiB where there is no off-line limit")
	backlog := figure.Work("availability.backlog", "Time to take in what clients kept during it", figure.Seconds,
		"{clients} x {events a day} x min(1, {outage} / ({busy hours} x 3,600)) x max(1, {outage} / 86,400) / {events a second}",
		figure.N(w.in.Active), figure.N(e.PerDay), figure.In(figure.Seconds, a.Outage), figure.N(e.Hours), figure.N(drained)).
		From(figure.Measured, eventsSource+": 48,000 events a second of backlogs")
	a.Figures = append(a.Figures, kept, backlog)
	if kept.Value < a.Outage {
		w.advise(fmt.Sprintf("Clients keep events for %s, and an outage can take %s: the oldest events of information would be dropped then.",
			figure.Duration(kept.Value), figure.Duration(a.Outage)))
	}
}

// eventsStandby says whether the events database needs a standby of its own,
// and what a follower needs.
func (w *work) eventsStandby() {
	a, s := &w.out.Availability, &w.m.Service
	backup := figure.Work("availability.backup", "A backup without images, at most", figure.Size, "{state database} + {events database}",
		figure.In(figure.Size, w.out.State.Bytes), figure.In(figure.Size, w.out.Events.Bytes)).From(figure.Derived, "docs/backup.md: a backup has both databases; it is compressed")
	a.Figures = append(a.Figures, backup)
	a.Reasons = append(a.Reasons, fmt.Sprintf("Backups, at most %s apart, are kept on another computer; each takes at most %s without images.", figure.Duration(s.Backup.Seconds()), figure.Bytes(backup.Value)))
	if a.Standby == FollowerStandby {
		w.target(a)
	}
	if a.Standby != NoStandby && w.in.Country != "" {
		a.Reasons = append(a.Reasons, fmt.Sprintf("The standby, its target and backups stay in %s as well.", w.in.Country))
	}
	away, how := s.Restore.Seconds(), "is restored from a backup"
	if a.Standby == FollowerStandby && w.out.Events.Kind == organization.SQLite {
		away, how = a.Outage, "comes back with the follower, which has both databases"
	}
	most := s.ReportOutage.Seconds()
	switch {
	case a.Standby == DatabaseStandby:
		a.DatabaseStandby = true
		a.Reasons = append(a.Reasons, "The events database is replicated like the other one: both are on the same PostgreSQL.")
	case away > most:
		a.DatabaseStandby = true
		a.Reasons = append(a.Reasons, fmt.Sprintf("The events database needs a standby of its own: it %s after %s, and reports may be away for %s.",
			how, figure.Duration(away), figure.Duration(most)))
	default:
		a.Reasons = append(a.Reasons, fmt.Sprintf("The events database needs no standby of its own: it %s after %s, and reports may be away for %s. Clients keep their events meanwhile.",
			how, figure.Duration(away), figure.Duration(most)))
	}
}

// target is the place to which a primary on SQLite ships its databases.
func (w *work) target(a *Availability) {
	events := int64(0)
	if w.out.Events.Kind == organization.SQLite {
		events = w.out.Events.Bytes
	}
	f := figure.Work("availability.target", "Disk of the standby's target, without images", figure.Size, "3 x ({state database} + {events database})",
		figure.In(figure.Size, w.out.State.Bytes), figure.In(figure.Size, events)).From(figure.Measured, "docs/standby.md: two to three times the size of the databases")
	a.Figures = append(a.Figures, f)
	a.Reasons = append(a.Reasons, fmt.Sprintf("The follower is a computer like the server. Both reach a target on a third one, which has %s free and room for the images once more.", figure.Bytes(f.Value)))
}

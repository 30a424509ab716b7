package sizing

import (
	"fmt"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// shareDatabase finds out where remote events databases stand, and which
// instances use one together.
func shareDatabase(m *organization.Model, works []*work) {
	var together []*work
	for _, w := range works {
		if !w.remote() || !w.place() || !m.Events.ShareOne {
			continue
		}
		if why := w.ownDatabase(); why != "" {
			w.refused = append(w.refused, why)
			continue
		}
		together = append(together, w)
	}
	if len(together) > 1 {
		useOne(m.Events.Site, together)
	}
	for _, w := range works {
		if w.database == w.in.Site && len(w.sharers) == 0 && !w.apart() {
			w.database = -1
		}
	}
}

// useOne puts the database of several instances where the file says, or at the
// server with the most clients. Who may not use it there keeps its own.
func useOne(site int, together []*work) {
	if site < 0 {
		largest := together[0]
		for _, w := range together {
			if w.in.Active > largest.in.Active {
				largest = w
			}
		}
		site = largest.in.Site
	}
	var reach []*work
	for _, w := range together {
		if w.may(site) {
			reach = append(reach, w)
		}
	}
	if len(reach) < 2 {
		return
	}
	for _, w := range reach {
		w.database, w.sharers = site, reach
	}
}

// remote reports whether the events database is on another computer than the
// server.
func (w *work) remote() bool {
	e := &w.m.Events
	switch {
	case e.Database == organization.SQLite:
		return false
	case e.Place != organization.PlaceAuto:
		return e.Place == organization.PlaceRemote
	default:
		return e.ShareOne || e.Site >= 0 && e.Site != w.in.Site || w.out.Availability.Standby == DatabaseStandby
	}
}

// apart reports whether the events database is on another computer even where
// that is at the server's site and nobody shares it.
func (w *work) apart() bool {
	return w.m.Events.Place == organization.PlaceRemote || w.out.Availability.Standby == DatabaseStandby
}

// place puts a remote database where the file says, or beside the server if it
// may not be there. It reports whether it is where the file says.
func (w *work) place() bool {
	w.database = w.in.Site
	if w.m.Events.Site < 0 {
		return true
	}
	if !w.may(w.m.Events.Site) {
		return false
	}
	w.database = w.m.Events.Site
	return true
}

// may reports whether a database of this instance may stand at a site, and
// notes why not.
func (w *work) may(site int) bool {
	s := &w.m.Sites[site]
	switch {
	case site == w.in.Site:
		return true
	case w.in.Country != "" && s.Country != w.in.Country:
		w.refused = append(w.refused, fmt.Sprintf("The events database at %s is not used: data of this instance may not leave %s.", s.Name, w.in.Country))
	case w.in.Network != organization.Connected:
		w.refused = append(w.refused, fmt.Sprintf("The events database at %s is not used: nothing outside reaches the network %s.", s.Name, w.in.NetworkName))
	case !w.m.Route(w.in.Site, site).OK || !w.m.Route(site, w.in.Site).OK:
		w.refused = append(w.refused, fmt.Sprintf("The events database at %s is not used: no links lead there.", s.Name))
	default:
		return true
	}
	return false
}

// ownDatabase says why this instance shares its database with no other, or
// nothing.
func (w *work) ownDatabase() string {
	if w.in.Network != organization.Connected {
		return "It has an events database of its own: nothing outside reaches the network " + w.in.NetworkName + "."
	}
	for _, d := range w.m.Demands {
		if d.Alone && d.Kind != organization.Management && w.concerns(d.Groups) {
			return fmt.Sprintf("It has an events database of its own: %s keeps its data apart.", d.Name)
		}
	}
	return ""
}

// concerns reports whether people of one of the groups are served here.
func (w *work) concerns(groups []int) bool {
	for _, p := range w.in.Parts {
		if _, ok := slices.BinarySearch(groups, p.Group); ok {
			return true
		}
	}
	return false
}

// kind chooses the database of events and says why.
func (w *work) kind(stored float64) (organization.Database, string) {
	e := &w.m.Events
	remote := w.database >= 0
	switch {
	case e.Database == organization.SQLite:
		return organization.SQLite, "SQLite was asked for."
	case e.Database == organization.PostgreSQL:
		return organization.PostgreSQL, "PostgreSQL was asked for."
	case len(w.sharers) > 0:
		return organization.PostgreSQL, "PostgreSQL: several instances share it."
	case w.out.Availability.Standby == DatabaseStandby:
		return organization.PostgreSQL, "PostgreSQL: the standby is its own replication."
	case remote:
		return organization.PostgreSQL, "PostgreSQL: it is on another computer than the server."
	case stored > sqliteMost:
		return organization.PostgreSQL, fmt.Sprintf("PostgreSQL: %s events will be stored, and SQLite is for %s at most.", figure.Number(stored), figure.Number(sqliteMost))
	default:
		return organization.SQLite, fmt.Sprintf("SQLite: %s events will be stored, fewer than the %s from which PostgreSQL is better, and there is nothing to set up.",
			figure.Number(stored), figure.Number(sqliteMost))
	}
}

// events sizes the events database and says where it is.
func (w *work) events() {
	e, d := &w.m.Events, &w.out.Events
	clients, perDay := figure.N(w.in.Active), figure.N(e.PerDay)
	days := figure.N(e.Keep.Hours() / 24)
	rows := figure.Work("events.rows", "Rows of events", figure.Size, "{clients} x {events a day} x {bytes an event} x {days kept}",
		clients, perDay, figure.In(figure.Size, e.Bytes), days).From(figure.Classic, classicSource)
	bursts := figure.Work("events.bursts", "Safety factor for bursts of errors", figure.Size, "{rows} x {bursts}",
		figure.In(figure.Size, rows.Value), figure.In(figure.Share, e.Bursts)).From(figure.Classic, classicSource+"; the share is the file's")
	overhead := figure.Work("events.overhead", "Safety factor for what tables need beside rows", figure.Size, "({rows} + {bursts}) x {overhead}",
		figure.In(figure.Size, rows.Value), figure.In(figure.Size, bursts.Value), figure.In(figure.Share, e.Overhead)).From(figure.Classic, classicSource+"; the share is the file's")
	all := figure.Work("events.bytes", "Events database", figure.Size, "{rows} x (1 + {bursts}) x (1 + {overhead})",
		figure.In(figure.Size, rows.Value), figure.In(figure.Share, e.Bursts), figure.In(figure.Share, e.Overhead)).From(figure.Classic, classicSource)
	stored := figure.Work("events.stored", "Events that are stored", figure.Count, "{clients} x {events a day} x {days kept}", clients, perDay, days)

	kind, why := w.kind(stored.Value)
	d.Kind, d.Reasons = kind, append([]string{why}, w.refused...)
	d.Bytes = ceiling(all.Value)
	row, source := rowSQLite, "91 bytes a row and 54 of its indexes on SQLite"
	if kind == organization.PostgreSQL {
		row, source = rowPostgres, "147 bytes a row and 48 of its indexes on PostgreSQL"
	}
	measured := figure.Work("events.measured", "What Dormer's own rows take, for comparison", figure.Size, "{clients} x {events a day} x {bytes of a row with its indexes} x {days kept} x (1 + {bursts})",
		clients, perDay, figure.In(figure.Size, row), days, figure.In(figure.Share, e.Bursts)).From(figure.Measured, eventsSource+": "+source)
	d.Figures = append(d.Figures, rows, bursts, overhead, all, stored, measured)
	d.Figures = append(d.Figures, w.writes()...)
	d.Figures = append(d.Figures, w.reports(figure.Find(d.Figures, "events.writes.peak"))...)
	w.locate(d, kind)
	if d.Place == organization.PlaceRemote {
		w.link(d)
	}
	if measured.Value > all.Value {
		w.advise(fmt.Sprintf("Dormer's rows take %s with the factor for bursts, more than the %s that the formula gives: plan for the larger.",
			figure.Bytes(measured.Value), figure.Bytes(all.Value)))
	}
}

// locate says where the events database is.
func (w *work) locate(d *Database, kind organization.Database) {
	d.Place, d.Site = organization.PlaceServer, w.in.SiteName
	if kind == organization.SQLite || w.database < 0 {
		why := "It is on the server: nothing asks for another computer."
		switch {
		case len(w.refused) > 0:
			why = "It is on the server."
		case kind != organization.SQLite && w.m.Events.Place == organization.PlaceServer:
			why = "It is on the server: so it was asked for."
		}
		d.Reasons = append(d.Reasons, why)
		return
	}
	d.Place, d.Site = organization.PlaceRemote, w.site(w.database)
	for _, o := range w.sharers {
		if o != w {
			d.Shared = append(d.Shared, o.in.Name)
		}
	}
	replicated := w.out.Availability.Standby == DatabaseStandby
	switch e := &w.m.Events; {
	case len(d.Shared) > 0:
		where := "a computer of its own"
		if replicated {
			where = "computers of its own, primary and replica,"
		}
		d.Reasons = append(d.Reasons, fmt.Sprintf("It is on %s and shared with %s, for reports over all of them. Each instance has a role that reaches its own rows alone.", where, figure.List(d.Shared, 6)))
	case e.Place == organization.PlaceRemote:
		d.Reasons = append(d.Reasons, "It is on another computer: so it was asked for.")
	case replicated:
		d.Reasons = append(d.Reasons, "It is on computers of its own, primary and replica, which all replicas of the server reach.")
	default:
		d.Reasons = append(d.Reasons, "It is on another computer, at the site that the file names.")
	}
}

// writes are the operations a second on the events database.
func (w *work) writes() []figure.Figure {
	e := &w.m.Events
	clients, perDay := figure.N(w.in.Active), figure.N(e.PerDay)
	average := figure.Work("events.writes.average", "Events written a second, on average", figure.PerSec, "{clients} x {events a day} / 86,400", clients, perDay).
		From(figure.Classic, classicSource)
	peak := figure.Work("events.writes.peak", "Events written a second, at peak", figure.PerSec, "{clients} x {events a day} x (1 + {bursts}) / ({busy hours} x 3,600)",
		clients, perDay, figure.In(figure.Share, e.Bursts), figure.N(e.Hours)).From(figure.Derived, "events.hours and events.bursts of the file")
	commits := figure.Work("events.commits.peak", "Transactions a second that hold them, at most", figure.PerSec, "min({events at peak}, {clients} / {poll interval})",
		figure.N(peak.Value), clients, figure.N(w.m.Service.Poll.Seconds())).From(figure.Derived, "one transaction holds the events of all polls that wait; this is the worst case, in which none wait together")
	return []figure.Figure{average, peak, commits}
}

// reports are the load of operators on the events database.
func (w *work) reports(peak figure.Figure) []figure.Figure {
	hour := 0
	for _, c := range w.desks {
		hour += c.Operators * c.Reports
	}
	rate := figure.Work("events.reports", "Reports a second", figure.PerSec, "{operators x reports an hour} / 3,600", figure.N(hour)).
		From(figure.Derived, "consoles of the file")
	one := figure.Work("events.reports.time", "Time of a status report over all clients", figure.Seconds, "{time of one over 5,000 clients} x max(1, {clients} / 5,000)",
		figure.In(figure.Seconds, reportSeconds), figure.N(w.in.Active)).From(figure.Measured, eventsSource+", 30 million events on PostgreSQL")
	rows := figure.Work("events.reports.rows", "Rows that reports read a second", figure.PerSec, "{reports a second} x {clients}",
		figure.N(rate.Value), figure.N(w.in.Active)).From(figure.Derived, "a status report has a row for each client")
	buffer := figure.Work("events.operations", "Operations a second at peak, reports included", figure.PerSec, "{events at peak} + {rows that reports read}",
		figure.N(peak.Value), figure.N(rows.Value))
	if limit := w.m.Service.Report.Seconds(); one.Value > limit {
		w.advise(fmt.Sprintf("A status report over all clients takes %s, and %s were expected: narrow it to a site or a group, or save it and let it run at night.",
			figure.Duration(one.Value), figure.Duration(limit)))
	}
	return []figure.Figure{rate, one, rows, buffer}
}

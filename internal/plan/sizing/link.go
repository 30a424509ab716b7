package sizing

import (
	"fmt"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// link is what the way to a remote database costs, and whether it is good
// enough.
func (w *work) link(d *Database) {
	to, back := w.m.Route(w.in.Site, w.database), w.m.Route(w.database, w.in.Site)
	latency, source := to.Latency.Seconds(), "links of the file"
	basis := figure.Derived
	if w.database == w.in.Site {
		latency, basis, source = withinSite, figure.Assumption, "half a millisecond within a site is assumed"
	}
	e := &w.m.Events
	peak := figure.Find(d.Figures, "events.writes.peak").Value
	rate := figure.Find(d.Figures, "events.reports").Value
	trip := figure.In(figure.Seconds, latency)
	commit := figure.Work("events.link.commit", "A transaction with events over the link", figure.Seconds, "{round trips} x {latency} + {time until it is durable}",
		figure.N(commitTrips), trip, figure.In(figure.Seconds, commitDisk)).From(basis, "round trips: "+planSource+", 4.2 and one for a connection that was idle; 5 ms until it is durable are assumed; latency: "+source)
	commits := figure.Work("events.link.commits", "Transactions a second that are possible", figure.PerSec, "1 / {time of one}", figure.In(figure.Seconds, commit.Value))
	possible := figure.Work("events.link.events", "Events a second that are possible", figure.PerSec, "min({transactions a second} x {events that one holds at most}, {durable events a second})",
		figure.N(commits.Value), figure.N(event.DefaultIngestLimits().CommitEvents), figure.N(eventsPostgres)).From(figure.Measured, eventsSource+"; "+limitsSource)
	there := figure.Work("events.link.bandwidth", "Bandwidth that events take, at peak", figure.BitsASec, "{events at peak} x {bytes an event} x {bytes on the wire for each of them} x 8",
		figure.N(peak), figure.In(figure.Size, e.Bytes), figure.N(onTheWire)).From(figure.Assumption, "as much again for protocol, watermarks and encryption")
	reports := figure.Work("events.link.reports", "Bandwidth that reports take", figure.BitsASec, "{reports a second} x {clients} x {bytes of a row} x 8",
		figure.N(rate), figure.N(w.in.Active), figure.In(figure.Size, reportRow)).From(figure.Assumption, "a row of 200 bytes for each client")
	usable := float64(back.Usable)
	report := figure.Work("events.link.report", "Time of a status report over the link", figure.Seconds, "{time of the report} + {round trips} x {latency} + {clients} x {bytes of a row} x 8 / {usable bandwidth}",
		figure.In(figure.Seconds, figure.Find(d.Figures, "events.reports.time").Value), figure.N(reportTrips), trip, figure.N(w.in.Active), figure.In(figure.Size, reportRow), figure.In(figure.BitsASec, usable))
	d.Figures = append(d.Figures, commit, commits, possible, there, reports, report)

	var against []string
	if commit.Value > slowCommit {
		against = append(against, fmt.Sprintf("each transaction with events takes %s (%s), so that at most %s a second are possible and every poll with events waits as long",
			figure.Duration(commit.Value), commit.Numbers, figure.Number(commits.Value)))
	}
	if possible.Value < peak {
		against = append(against, fmt.Sprintf("%s events a second are possible and %s come at peak", figure.Number(possible.Value), figure.Number(peak)))
	}
	if there.Value > float64(to.Usable) {
		against = append(against, fmt.Sprintf("events need %s and %s may be used", figure.Rate(there.Value), figure.Rate(float64(to.Usable))))
	}
	if reports.Value > usable {
		against = append(against, fmt.Sprintf("reports need %s and %s may be used", figure.Rate(reports.Value), figure.Rate(usable)))
	}
	if limit := w.m.Service.Report.Seconds(); report.Value > limit && figure.Find(d.Figures, "events.reports.time").Value <= limit {
		against = append(against, fmt.Sprintf("a status report takes %s, and %s were expected", figure.Duration(report.Value), figure.Duration(limit)))
	}
	if len(against) > 0 {
		w.advise(fmt.Sprintf("The events database at %s is too far from the server at %s: %s. Put it at the server's site.", d.Site, w.in.SiteName, figure.List(against, 6)))
		return
	}
	way := "The link"
	if w.database == w.in.Site {
		way = "The network of the site"
	}
	d.Reasons = append(d.Reasons, fmt.Sprintf("%s carries it: a transaction takes %s, %s events a second are possible and %s come at peak. While it is down clients keep their events.",
		way, figure.Duration(commit.Value), figure.Number(possible.Value), figure.Number(peak)))
}

// computer is the one of a remote database, with all who share it.
func computer(works []*work) {
	done := map[*work]bool{}
	for _, w := range works {
		if w.out.Events.Place != organization.PlaceRemote || done[w] {
			continue
		}
		all := w.sharers
		if len(all) == 0 {
			all = []*work{w}
		}
		var bytes, state int64
		peak := 0.0
		for _, o := range all {
			bytes += o.out.Events.Bytes
			peak += figure.Find(o.out.Events.Figures, "events.writes.peak").Value
			if o.out.State.Place == organization.PlaceRemote {
				state += o.out.State.Bytes
			}
		}
		cores := figure.Work("events.computer.cores", "Cores of the database's computer", figure.Cores, "max({cores}, ceil({events at peak} x {processor time of one} / {share that is planned for}))",
			figure.N(databaseCores), figure.N(peak), figure.In(figure.Seconds, eventDatabase), figure.In(figure.Share, busy)).From(figure.Measured, eventsSource+"; at least two cores are assumed")
		memory := figure.Given("events.computer.memory", "Memory of the database's computer", figure.Memory, remoteMemory).From(figure.Assumption, "half a gigabyte of buffers, as measured with 30 million events, connections, and files that are read again")
		disk := figure.Work("events.computer.disk", "Disk of the database's computer", figure.Size, "({operating system} + {events databases} + {state databases}) / {share that may be full}",
			figure.In(figure.Size, systemDisk), figure.In(figure.Size, bytes), figure.In(figure.Size, state), figure.In(figure.Share, filled)).From(figure.Derived, "events.bytes and state.bytes of all instances that use it")
		for _, o := range all {
			done[o] = true
			o.out.Events.Figures = append(o.out.Events.Figures, cores, memory, disk)
		}
	}
}

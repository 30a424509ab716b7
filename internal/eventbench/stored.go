package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	pageRows   = 100 // of an error log on a screen
	deepPage   = 100
	exportRows = 1_000_000
	besideRate = 4 // clients that send at once beside reports
)

// stored measures reports, exports and clearing with many events stored.
func (b *bench) stored(ctx context.Context, s *site) error {
	end, err := s.fill(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(s.open(ctx), s.serve(ctx)); err != nil {
		return err
	}
	c, err := s.server.Operator(ctx)
	if err != nil {
		return err
	}
	i, err := c.Instance(ctx)
	c.Close()
	if err != nil {
		return err
	}
	// The first start has made the instance; the next finds it with its events.
	if err := errors.Join(s.server.Stop(), s.people(ctx), s.adopt(ctx, i.ID), s.sizes(ctx), s.serve(ctx)); err != nil {
		return err
	}
	if c, err = s.server.Operator(ctx); err != nil {
		return err
	}
	defer c.Close()
	since := end.Add(-filledDays * day)
	if err := s.reports(ctx, c, since, ""); err != nil {
		return err
	}
	if err := s.beside(ctx, c, since); err != nil {
		return err
	}
	if err := s.exports(ctx, c, end); err != nil {
		return err
	}
	return s.clear(ctx, i.ID, since)
}

// sizes prints what an event takes on the disk.
func (s *site) sizes(ctx context.Context) error {
	var text string
	var err error
	if s.database != nil {
		// Of partitions only those at the end have rows.
		text, err = s.database.SQL(ctx, "events", `SELECT
			sum(pg_table_size(oid)) FILTER (WHERE relname LIKE 'events%'), sum(pg_indexes_size(oid)) FILTER (WHERE relname LIKE 'events%'),
			sum(pg_total_relation_size(oid)) FILTER (WHERE relname NOT LIKE 'events%')
			FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`)
	} else {
		s.bench.say("measuring pages")
		// Pages are counted: their sizes are summed up in 32 bits there.
		text, err = s.sqlite(ctx, `SELECT
			size * sum(pageno) FILTER (WHERE name = 'events'), size * sum(pageno) FILTER (WHERE name LIKE 'events_%'),
			size * sum(pageno) FILTER (WHERE name NOT LIKE 'events%')
			FROM dbstat, (SELECT page_size AS size FROM pragma_page_size) WHERE aggregate = TRUE`)
	}
	if err != nil {
		return err
	}
	fields := strings.Split(text, "|")
	if len(fields) != 3 {
		return fmt.Errorf("sizes %q: %w", text, dormer.ErrCorrupt)
	}
	var all float64
	for i, name := range []string{"rows", "indexes", "rest"} {
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return fmt.Errorf("sizes %q: %w", text, dormer.ErrCorrupt)
		}
		all += n
		s.row("stored."+name, n/float64(s.bench.events), "bytes/event")
	}
	s.row("stored.bytes", all/float64(s.bench.events), "bytes/event")
	s.row("stored.disk", all/(1<<30), "GiB")
	b, err := json.Marshal(batchOf(s.bench, filledInstance, 0, 1, 100, time.Now()).Events)
	if err != nil {
		return fmt.Errorf("encode events: %w", err)
	}
	s.row("stored.sent", float64(len(b))/100, "bytes/event")
	return nil
}

// reports measures what operators look at; what was asked first is colder than
// the rest.
func (s *site) reports(ctx context.Context, c *apiclient.Client, since time.Time, suffix string) error {
	from := since.Format(time.RFC3339)
	errorPage := rest.ReportQuery{Since: from, Limit: pageRows}
	deep := errorPage
	for range deepPage - 1 {
		p, err := c.Report(ctx, report.Errors, deep)
		if err != nil {
			return err
		}
		if p.Next == "" {
			break // there are not so many
		}
		deep.After = p.Next
	}
	user := errorPage
	user.User = load.UserOf(s.bench.clients / 3)
	for _, q := range []struct {
		name  string
		kind  report.Kind
		query rest.ReportQuery
	}{
		{"status", report.Status, rest.ReportQuery{Limit: s.bench.clients}},
		{"errors_page", report.Errors, errorPage},
		{fmt.Sprintf("errors_page_%d", deepPage), report.Errors, deep},
		{"errors_of_user", report.Errors, user},
		{"activity_page", report.Activity, rest.ReportQuery{Since: from, Limit: pageRows}},
		{"activity_of_user", report.Activity, rest.ReportQuery{Since: from, Limit: pageRows, User: user.User}},
		{"activity_of_host", report.Activity, rest.ReportQuery{Since: from, Limit: pageRows, Host: load.HostOf(7).Name}},
		{"errors_by_code", report.Errors, rest.ReportQuery{Since: from, Group: []string{"code"}, Limit: pageRows}},
	} {
		rows := 0
		if err := s.timed("report."+q.name+suffix, func() error {
			p, err := c.Report(ctx, q.kind, q.query)
			rows = len(p.Items)
			return err
		}); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		s.bench.say("%s%s: %d rows", q.name, suffix, rows)
	}
	return s.timed("report.trends"+suffix, func() error {
		_, err := c.Trends(ctx, filledDays, "Europe/Berlin")
		return err
	})
}

// timed prints how long f takes: the first time and the median of five, and the
// processor time of server and database for each.
func (s *site) timed(name string, f func() error) error {
	const times = 5
	var took []time.Duration
	before, err := s.processors()
	if err != nil {
		return err
	}
	for range times {
		at := time.Now()
		if err := f(); err != nil {
			return err
		}
		took = append(took, time.Since(at))
	}
	after, err := s.processors()
	if err != nil {
		return err
	}
	s.row(name+".first", took[0].Seconds()*1000, "ms")
	slices.Sort(took)
	s.row(name, took[times/2].Seconds()*1000, "ms")
	s.row(name+".cpu", (after-before).Seconds()*1000/times, "ms")
	return nil
}

// processors is the processor time of server and database so far.
func (s *site) processors() (time.Duration, error) {
	total, err := load.CPU(s.server.PID())
	if err != nil || s.database == nil {
		return total, err
	}
	own, err := load.CPU(s.database.PID())
	return total + own, err
}

// beside measures both at once: clients that send, and an operator who reads.
func (s *site) beside(ctx context.Context, c *apiclient.Client, since time.Time) error {
	clients, err := s.enrol(ctx, 50)
	if err != nil {
		return err
	}
	sending, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	var r sent
	go func() {
		var err error
		r, err = s.send(sending, clients, besideRate, pollEvents, time.Hour)
		done <- err
	}()
	err = s.reports(ctx, c, since, "_beside_load")
	cancel()
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	s.print("beside_reports", r)
	return nil
}

// exports writes a million events, and looks at the memory of a server that has
// just been started. The operator has signed in before.
func (s *site) exports(ctx context.Context, c *apiclient.Client, end time.Time) error {
	part := min(1, exportRows/float64(s.bench.events))
	from := end.Add(-time.Duration(part * float64(filledDays*day)))
	s.bench.say("exporting what was received since %v", from)
	for _, f := range []export.Format{export.CSV, export.JSON, export.XLSX} {
		if err := errors.Join(s.server.Stop(), s.serve(ctx)); err != nil {
			return err
		}
		if err := s.export(ctx, c, f, rest.ReportQuery{Since: from.Format(time.RFC3339), Until: end.Format(time.RFC3339)}); err != nil {
			return fmt.Errorf("export as %s: %w", f, err)
		}
	}
	return nil
}

func (s *site) export(ctx context.Context, c *apiclient.Client, f export.Format, q rest.ReportQuery) error {
	// Starting took more memory for a moment.
	if err := load.ForgetPeak(s.server.PID()); err != nil {
		return err
	}
	before, err := load.Memory(s.server.PID())
	if err != nil {
		return err
	}
	busy, err := s.processors()
	if err != nil {
		return err
	}
	at := time.Now()
	var n counter
	if err := c.ExportReport(ctx, report.Activity, q, f, &n); err != nil {
		return err
	}
	took := time.Since(at)
	peak, err := load.PeakMemory(s.server.PID())
	if err != nil {
		return err
	}
	after, err := s.processors()
	if err != nil {
		return err
	}
	if f == export.CSV {
		s.row("export.rows", float64(n.lines-1), "rows")
	}
	name := "export." + string(f)
	s.row(name, took.Seconds(), "s")
	s.row(name+".cpu", (after - busy).Seconds(), "s")
	s.row(name+".size", float64(n.bytes)/(1<<20), "MiB")
	s.row(name+".memory", float64(peak)/(1<<20), "MiB")
	s.row(name+".memory_added", float64(peak-before)/(1<<20), "MiB")
	return nil
}

// counter counts what is written to it.
type counter struct{ bytes, lines int64 }

var _ io.Writer = (*counter)(nil)

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	c.lines += int64(strings.Count(string(p), "\n"))
	return len(p), nil
}

// clear removes the oldest whole day while the server runs.
func (s *site) clear(ctx context.Context, i dormer.InstanceID, since time.Time) (err error) {
	events, err := store.OpenEvents(ctx, s.dsn, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	first := since.Truncate(day).Add(day)
	// What is of the day in which the events begin goes first: it is not whole.
	if _, err := events.DeleteEventsBefore(ctx, i, first); err != nil {
		return err
	}
	at := time.Now()
	n, err := events.DeleteEventsBefore(ctx, i, first.Add(day))
	if err != nil {
		return err
	}
	s.row("clear_day", time.Since(at).Seconds(), "s")
	s.row("clear_day.events", float64(n), "events")
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/eventbench/load"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// deepRows is how far down lists are turned over.
const deepRows = 1000

// console measures what the pages of the console ask, and with --browser the
// pages, of an instance with many clients, images and events.
func (b *bench) console(ctx context.Context, s *site) error {
	end, err := s.fill(ctx)
	if err != nil {
		return err
	}
	// Nobody polls here: whoever is on-line stays so while this is measured.
	s.settings = "[clients]\npoll_interval = \"1h\"\n"
	if err := errors.Join(s.open(ctx), s.openState(ctx), s.serve(ctx)); err != nil {
		return err
	}
	c, err := s.server.Operator(ctx)
	if err != nil {
		return err
	}
	i, err := c.Instance(ctx)
	var p populace
	if err == nil {
		p, err = s.images(ctx, c)
	}
	c.Close()
	if err != nil {
		return err
	}
	if err := errors.Join(s.server.Stop(), s.populate(ctx, p), s.adopt(ctx, i.ID), s.serve(ctx)); err != nil {
		return err
	}
	if c, err = s.server.Operator(ctx); err != nil {
		return err
	}
	defer c.Close()
	return errors.Join(s.asked(ctx, c, p, end.Add(-filledDays*day)), s.browse(ctx, p))
}

// openState makes the state database where it is no file of the server's.
func (s *site) openState(ctx context.Context) error {
	if s.database == nil {
		return nil
	}
	s.state = s.database.DSN("state")
	s.settings += fmt.Sprintf("[state]\ndsn = %q\n", s.state)
	_, err := s.database.SQL(ctx, "postgres", "CREATE DATABASE state")
	return err
}

// question is one request of a page.
type question struct {
	name, path string
	query      url.Values
}

// ask makes a question of a name, a path and pairs of parameters.
func ask(name, path string, pairs ...string) question {
	q := question{name: name, path: path, query: url.Values{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.query.Add(pairs[i], pairs[i+1])
	}
	return q
}

// asked measures each of the requests that the pages make.
func (s *site) asked(ctx context.Context, c *apiclient.Client, p populace, since time.Time) error {
	client, image := identityOf("client", s.bench.clients/3), url.PathEscape(p.image)
	from := since.Format(time.RFC3339)
	week := since.AddDate(0, 0, 7).Format(time.RFC3339)
	list := func(name string, pairs ...string) question {
		return ask("clients."+name, "/clients", append([]string{"limit", "50"}, pairs...)...)
	}
	report := func(name, kind string, pairs ...string) question {
		return ask("reports."+name, "/reports/"+kind, append([]string{"limit", "100"}, pairs...)...)
	}
	questions := []question{
		ask("overview.figures", "/client-figures"),
		ask("overview.health", "/health"),
		ask("overview.alerts", "/alerts"),
		report("errors_of_a_day", "errors", "days", "1", "group", "category"),
		ask("overview.changes", "/audit", "limit", "10"),
		ask("workspaces", "/workspaces"),
		ask("workspaces.figures", "/workspaces", "figures", "true"),
		ask("audit", "/audit", "limit", "100"),
		ask("audit.filtered", "/audit", "limit", "100", "who", "nobody"),
		list("active", "state", "active"),
		list("deep", "state", "active", "offset", fmt.Sprint(s.bench.clients*9/10)),
		list("versions", "state", "active", "version", versionOf(1)),
		list("host", "state", "active", "search", load.HostOf(s.bench.clients/3).Name),
		list("user", "state", "active", "search", fmt.Sprintf("user-%05d", s.bench.clients/3)),
		list("search_many", "state", "active", "search", "7"),
		list("search_none", "state", "active", "search", "nobody is called so"),
		ask("client", "/clients/"+client),
		ask("client.machines", "/machines", "client", client),
		ask("client.status", "/reports/status", "client", client, "limit", "1000"),
		ask("client.orders", "/orders", "client", client, "limit", "500"),
		ask("client.events", "/reports/activity", "client", client, "days", "7", "sort", "-time", "limit", "200"),
		ask("client.diagnostics", "/diagnostics", "client", client),
		ask("images", "/images"),
		ask("image", "/images/"+image),
		ask("image.deletion", "/images/"+image+"/deletion"),
		ask("image.machines", "/machines", "image", string(p.most), "limit", "50"),
		report("status", "status"),
		report("status_by_host", "status", "sort", "host"),
		report("status_of_user", "status", "user", "user-00007"),
		report("status_group", "status", "group", "image"),
		report("activity", "activity", "since", from),
		report("activity_of_host", "activity", "since", from, "host", load.HostOf(7).Name),
		report("activity_of_many", "activity", "since", from, "user", "user-0"),
		report("activity_of_week", "activity", "since", from, "until", week, "sort", "host"),
		report("activity_by_user", "activity", "since", from, "sort", "user"),
		report("activity_by_code", "activity", "since", from, "group", "code"),
		report("activity_by_severity_category", "activity", "since", from, "group", "severity,category"),
		report("activity_per_host", "activity", "since", from, "group", "host"),
		report("activity_per_image_code", "activity", "since", from, "group", "image,code"),
		report("errors", "errors", "since", from),
		report("errors_by_code", "errors", "since", from, "group", "code"),
		report("errors_per_user", "errors", "since", from, "group", "user"),
		report("errors_by_host", "errors", "since", from, "sort", "host"),
		report("setup", "setup", "since", from),
		ask("trends", "/reports/trends", "days", fmt.Sprint(filledDays), "tz", "Europe/Berlin"),
	}
	for _, state := range []string{"online", "offline", "beyond-limit", "running", "never-seen", "copied", "clock-wrong", "revoked"} {
		questions = append(questions, list(strings.ReplaceAll(state, "-", "_"), "state", state))
	}
	for _, sort := range []string{"last-seen", "version", "enrolled", "disk-free"} {
		questions = append(questions, list("by_"+strings.ReplaceAll(sort, "-", "_"), "state", "active", "sort", sort, "descending", "true"))
	}
	var failed error
	for _, q := range questions {
		var size int64
		if err := s.timed("console."+q.name, func() error {
			var err error
			size, err = s.get(ctx, c, q)
			return err
		}); err != nil {
			// The others are of interest all the same.
			s.bench.say("%s: %v", q.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", q.name, err))
			continue
		}
		if size > 1<<20 {
			s.row("console."+q.name+".size", float64(size)/(1<<20), "MiB")
		}
	}
	return errors.Join(failed, s.deep(ctx, c, from))
}

// get asks once and returns how many bytes were answered.
func (s *site) get(ctx context.Context, c *apiclient.Client, q question) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL()+rest.Prefix+q.path+"?"+q.query.Encode(), nil)
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	if err := c.Authorize(r); err != nil {
		return 0, err
	}
	resp, err := c.HTTP().Do(r)
	if err != nil {
		return 0, fmt.Errorf("ask: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // what there is of it
		return 0, fmt.Errorf("status %d: %s: %w", resp.StatusCode, b, dormer.ErrUnavailable)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	return n, nil
}

// deep turns the pages of reports, and measures one far down.
func (s *site) deep(ctx context.Context, c *apiclient.Client, from string) error {
	for _, q := range []struct {
		name string
		rest.ReportQuery
	}{
		{"activity", rest.ReportQuery{Since: from, Limit: deepRows}},
		{"activity_per_host", rest.ReportQuery{Since: from, Limit: deepRows, Group: []string{"host"}}},
	} {
		query := q.ReportQuery
		for range deepPage - 1 {
			page, err := c.Report(ctx, "activity", query)
			if err != nil {
				return err
			}
			if page.Next == "" || len(query.Group) > 0 && query.After != "" {
				break // groups are counted anew for each page: a second one tells
			}
			query.After = page.Next
		}
		if err := s.timed("console.reports."+q.name+".deep", func() error {
			_, err := c.Report(ctx, "activity", query)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// browse runs the command that looks at the pages in a browser. Its rows go
// where the others do.
func (s *site) browse(ctx context.Context, p populace) error {
	if s.bench.browser == "" {
		return nil
	}
	s.bench.say("looking at it in a browser")
	c := exec.CommandContext(ctx, "sh", "-c", s.bench.browser)
	c.Env = append(
		os.Environ(), "DORMER_SIZE_URL="+s.server.URL(), "DORMER_SIZE_IMAGE="+p.image, "DORMER_SIZE_CLIENT="+identityOf("client", s.bench.clients/3),
		"DORMER_SIZE_PREFIX=events."+s.engine+".dormer.console.browser.",
	)
	c.Stdout, c.Stderr = s.bench.out, s.bench.progress
	if err := c.Run(); err != nil {
		return fmt.Errorf("look at it in a browser: %w", err)
	}
	return nil
}

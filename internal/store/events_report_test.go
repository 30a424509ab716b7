package store_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

var reportNow = time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)

// empty is the state of an instance that has no clients.
type empty struct{}

func (empty) MachinesOf(context.Context, dormer.ClientID) ([]lease.Machine, error) { return nil, nil }

func (empty) StatesSince(context.Context, dormer.ClientID) (map[dormer.MachineID]time.Time, error) {
	return nil, nil
}

func (empty) ClientsOf(context.Context, dormer.ClientID) ([]enroll.Client, error) { return nil, nil }

func (empty) Workspaces(context.Context) ([]catalog.Revision, error) { return nil, nil }

const (
	instanceA = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	instanceB = "bbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// reported are events of two instances: 100 clients with few events each, of
// some users, in all severities, some received at the same moment, and some
// that stand for many. It returns those of an instance, oldest first.
func reported(t *testing.T, s *store.Events, i dormer.InstanceID) []dormer.Event {
	t.Helper()
	var all []dormer.Event
	var batches []event.Batch
	severities := []dormer.Severity{dormer.Information, dormer.Warning, dormer.Error, dormer.Information}
	for n := range 600 {
		received := reportNow.Add(-time.Duration(600-n/3*3) * 13 * time.Minute)
		e := dormer.Event{
			Code: 500 + n%7, Severity: severities[n%4], Category: []string{"workspace", "image"}[n%2], Description: fmt.Sprintf("%s %d", i[:1], n),
			Host: fmt.Sprintf("PC-%02d%%", n%100), User: []string{"Anna", "bert", "ÖRS", "d_a"}[n%100%4], Workspace: "w", WorkspaceName: []string{"Office", "Lab"}[n%100%2],
			Time: received.Add(-time.Second * time.Duration(n%5)), ClientVersion: "1.0", PolicyRevision: dormer.Revision(n % 3), Image: "office/3",
		}
		if n%50 == 0 {
			e.Count = 10
		}
		if n%100 == 0 {
			e.Code = int(event.SetupFinished)
		}
		batches = append(batches, event.Batch{
			Instance: i, Client: dormer.ClientID(fmt.Sprintf("client-%02d", n%100)), Journal: "j", Received: received,
			Events: []wire.NumberedEvent{{Sequence: uint64(n + 1), Event: e}},
		})
		e.Received = received
		all = append(all, e)
	}
	if _, err := s.AppendEvents(t.Context(), batches); err != nil {
		t.Fatal(err)
	}
	return all
}

// descriptions are what a page shows of its events.
func descriptions(t *testing.T, r *report.Reporter, kind report.Kind, q report.Query) []string {
	t.Helper()
	var list []string
	for {
		p, err := r.Page(t.Context(), kind, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		at := slices.IndexFunc(p.Columns, func(c report.Column) bool { return c.Name == "description" })
		for _, row := range p.Rows {
			text, _ := row[at].(string)
			list = append(list, text)
		}
		if q.After = p.Next; q.After == "" {
			return list
		}
	}
}

// TestReports compares reports on both engines with what follows from the
// events themselves.
func TestReports(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			s := openEvents(t, e.dsn(t))
			own, others := reported(t, s, instanceA), reported(t, s, instanceB)
			r := report.New(report.Config{
				Instance: instanceA, State: empty{}, Events: s.Reports(), Others: s.Reports(), Now: func() time.Time { return reportNow },
			})
			for _, test := range []struct {
				name string
				kind report.Kind
				q    report.Query
				of   []dormer.Event
				fits func(dormer.Event) bool
			}{
				{"everything", report.Activity, report.Query{Days: 100}, own, func(dormer.Event) bool { return true }},
				{"both", report.Activity, report.Query{Days: 100, Instances: []string{"all"}}, slices.Concat(own, others), func(dormer.Event) bool { return true }},
				{"the other", report.Activity, report.Query{Days: 100, Instances: []string{instanceB}}, others, func(dormer.Event) bool { return true }},
				{"two days", report.Activity, report.Query{Days: 2}, own, func(e dormer.Event) bool { return !e.Received.Before(reportNow.AddDate(0, 0, -2)) }},
				{"until", report.Activity, report.Query{Days: 3, Until: "2026-05-08"}, own, func(e dormer.Event) bool {
					return e.Received.Before(time.Date(2026, 5, 9, 0, 0, 0, 0, time.UTC)) && !e.Received.Before(time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC))
				}},
				{"errors", report.Errors, report.Query{Days: 100}, own, func(e dormer.Event) bool { return e.Severity == dormer.Error }},
				{"warnings and errors", report.Activity, report.Query{Days: 100, Severities: []string{"warning", "error"}}, own, func(e dormer.Event) bool { return e.Severity != dormer.Information }},
				{"a user", report.Activity, report.Query{Days: 100, User: "örs"}, own, func(e dormer.Event) bool { return e.User == "ÖRS" }},
				{"a user's errors", report.Errors, report.Query{Days: 100, User: "ann"}, own, func(e dormer.Event) bool { return e.Severity == dormer.Error && e.User == "Anna" }},
				{"_", report.Activity, report.Query{Days: 100, User: "_"}, own, func(e dormer.Event) bool { return e.User == "d_a" }},
				{"many contexts", report.Activity, report.Query{Days: 100, Host: "pc-"}, own, func(dormer.Event) bool { return true }},
				{"many contexts of both", report.Errors, report.Query{Days: 100, Host: "%", Instances: []string{"all"}}, slices.Concat(own, others), func(e dormer.Event) bool { return e.Severity == dormer.Error }},
				{"few contexts", report.Activity, report.Query{Days: 100, Host: "PC-07"}, own, func(e dormer.Event) bool { return e.Host == "PC-07%" }},
				{"few contexts of both", report.Activity, report.Query{Days: 100, Host: "PC-07", Instances: []string{"all"}}, slices.Concat(own, others), func(e dormer.Event) bool { return e.Host == "PC-07%" }},
				{"a client", report.Activity, report.Query{Days: 100, Client: "client-07"}, own, func(e dormer.Event) bool { return e.Host == "PC-07%" }},
				{"nobody", report.Activity, report.Query{Days: 100, User: "nobody"}, own, func(dormer.Event) bool { return false }},
				{"a workspace", report.Activity, report.Query{Days: 100, Workspace: "Lab"}, own, func(e dormer.Event) bool { return e.WorkspaceName == "Lab" }},
				{"codes", report.Activity, report.Query{Days: 100, Codes: []int{501, 502}}, own, func(e dormer.Event) bool { return e.Code == 501 || e.Code == 502 }},
				{"setups", report.Activity, report.Query{Days: 100, Codes: []int{641}}, own, func(e dormer.Event) bool { return e.Code == 641 }},
				{"a category", report.Activity, report.Query{Days: 100, Categories: []string{"image"}, User: "bert"}, own, func(e dormer.Event) bool { return e.Category == "image" && e.User == "bert" }},
				{"exactly a user", report.Activity, report.Query{Days: 100, Equal: map[string]string{"user": "Anna"}}, own, func(e dormer.Event) bool { return e.User == "Anna" }},
				{"exactly another", report.Activity, report.Query{Days: 100, Equal: map[string]string{"user": "anna"}}, own, func(dormer.Event) bool { return false }},
				{"exactly a host's errors", report.Errors, report.Query{Days: 100, Equal: map[string]string{"host": "PC-07%", "severity": "error"}}, own, func(e dormer.Event) bool { return e.Host == "PC-07%" && e.Severity == dormer.Error }},
				{"a description", report.Activity, report.Query{Days: 100, Equal: map[string]string{"description": own[7].Description}}, own, func(e dormer.Event) bool { return e.Description == own[7].Description }},
				{"a moment", report.Activity, report.Query{Days: 100, Equal: map[string]string{"received": own[7].Received.Format(time.RFC3339Nano), "code": strconv.Itoa(own[7].Code)}}, own, func(e dormer.Event) bool {
					return e.Received.Equal(own[7].Received) && e.Code == own[7].Code
				}},
				{"without a guest", report.Activity, report.Query{Days: 100, Equal: map[string]string{"guest": "", "category": "image"}}, own, func(e dormer.Event) bool { return e.Category == "image" }},
				{"without a policy", report.Activity, report.Query{Days: 100, Equal: map[string]string{"policy_revision": ""}}, own, func(e dormer.Event) bool { return e.PolicyRevision == 0 }},
				{"an instance", report.Activity, report.Query{Days: 100, Instances: []string{"all"}, Equal: map[string]string{"instance": instanceB}}, others, func(dormer.Event) bool { return true }},
			} {
				var want []string
				for _, v := range test.of {
					if test.fits(v) {
						want = append(want, v.Description)
					}
				}
				received := map[string]time.Time{}
				for _, v := range test.of {
					received[v.Description] = v.Received
				}
				slices.Sort(want)
				for _, sort := range []string{"", "received", "-user", "host", "time", "-code", "severity", "description", "-count", "policy_revision", "client", "instance"} {
					test.q.Sort, test.q.Limit = sort, 97
					got := descriptions(t, r, test.kind, test.q)
					if sort == "" && !slices.IsSortedFunc(got, func(a, b string) int { return received[b].Compare(received[a]) }) {
						t.Errorf("%s: not newest first: %v", test.name, got)
					}
					if diff := gocmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
						t.Errorf("%s by %q: (-want +got):\n%s", test.name, sort, diff)
					}
				}
			}
			checkOrder(t, r)
			checkGroups(t, r, own)
		})
	}
}

// checkOrder looks that rows are in the order of their columns, both ways.
func checkOrder(t *testing.T, r *report.Reporter) {
	t.Helper()
	for _, c := range report.Activity.Columns() {
		for _, sign := range []string{"", "-"} {
			p, err := r.Page(t.Context(), report.Activity, report.Query{Days: 100, Sort: sign + c.Name})
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(p.Columns, func(o report.Column) bool { return o.Name == c.Name })
			compare := func(a, b []any) int {
				x, y := a[at], b[at]
				n := 0
				switch v := x.(type) {
				case string:
					w, _ := y.(string)
					if c.Name == "severity" {
						rank := []string{"information", "warning", "error"}
						n = cmp.Compare(slices.Index(rank, v), slices.Index(rank, w))
						break
					}
					n = cmp.Compare(v, w)
					if c.Stored.Folded != "" {
						n = cmp.Compare(name.Fold(v), name.Fold(w))
					}
				case int64:
					w, _ := y.(int64)
					n = cmp.Compare(v, w)
				case time.Time:
					w, _ := y.(time.Time)
					n = v.Compare(w)
				case nil:
					if y != nil {
						n = -1
					}
				}
				if sign == "-" {
					return -n
				}
				return n
			}
			if len(p.Rows) != 600 || !slices.IsSortedFunc(p.Rows, compare) {
				t.Errorf("%d rows by %s%s are not in order", len(p.Rows), sign, c.Name)
			}
		}
	}
}

// checkGroups compares groups with counts of the events.
func checkGroups(t *testing.T, r *report.Reporter, own []dormer.Event) {
	t.Helper()
	for _, test := range []struct {
		group []string
		of    func(dormer.Event) string
	}{
		{[]string{"user"}, func(e dormer.Event) string { return e.User }},
		{[]string{"severity"}, func(e dormer.Event) string { return string(e.Severity) }},
		{[]string{"code", "user"}, func(e dormer.Event) string { return fmt.Sprintf("%d %s", e.Code, e.User) }},
		{[]string{"workspace_name", "category", "severity"}, func(e dormer.Event) string {
			return e.WorkspaceName + " " + e.Category + " " + string(e.Severity)
		}},
	} {
		want := map[string]int64{}
		for _, e := range own {
			want[test.of(e)] += int64(max(e.Count, 1))
		}
		for _, sort := range []string{"", "count", "last", "-first", test.group[0]} {
			got := map[string]int64{}
			q := report.Query{Days: 100, Group: test.group, Sort: sort, Limit: 3}
			for {
				p, err := r.Page(t.Context(), report.Activity, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range p.Rows {
					var key []string
					for _, v := range row[:len(test.group)] {
						key = append(key, fmt.Sprint(v))
					}
					n, _ := row[len(test.group)].(int64)
					got[strings.Join(key, " ")] += n
				}
				if q.After = p.Next; q.After == "" {
					break
				}
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("by %v, sorted by %q: (-want +got):\n%s", test.group, sort, diff)
			}
		}
	}
}

// TestTrends: events are counted once, whether the quarter that they are of is
// over or not, and whoever counts; of samples of an hour the highest stays.
func TestTrends(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx := t.Context()
			s := openEvents(t, e.dsn(t))
			all := reported(t, s, instanceA)
			reported(t, s, instanceB)
			count := func(since time.Time) map[dormer.Severity]int64 {
				t.Helper()
				list, err := s.Reports().Counts(ctx, instanceA, since)
				if err != nil {
					t.Fatal(err)
				}
				sums := map[dormer.Severity]int64{}
				for _, c := range list {
					if c.Time.Before(since) || c.Time.Truncate(report.Quarter) != c.Time {
						t.Errorf("a count of %v", c.Time)
					}
					sums[c.Severity] += c.Events
				}
				return sums
			}
			want := func(since time.Time) map[dormer.Severity]int64 {
				sums := map[dormer.Severity]int64{}
				for _, v := range all {
					if !v.Received.Before(since) {
						sums[v.Severity] += int64(max(v.Count, 1))
					}
				}
				return sums
			}
			check := func(what string) {
				t.Helper()
				for _, since := range []time.Time{reportNow.AddDate(0, 0, -100), reportNow.AddDate(0, 0, -2), reportNow.Add(-30 * time.Minute)} {
					if diff := gocmp.Diff(want(since), count(since)); diff != "" {
						t.Errorf("%s, since %v: (-want +got):\n%s", what, since, diff)
					}
				}
			}
			check("not counted yet")
			for _, now := range []time.Time{reportNow.AddDate(0, 0, -3), reportNow, reportNow} {
				if err := s.CountEvents(ctx, instanceA, now); err != nil {
					t.Fatal(err)
				}
				check(fmt.Sprint("counted at ", now))
			}
			if err := s.CountEvents(ctx, "nobody", reportNow); err != nil {
				t.Errorf("of an instance that stored nothing: %v", err)
			}
			hour := reportNow.Truncate(time.Hour)
			for _, v := range []int64{3, 7, 5} {
				if err := s.AddSamples(ctx, instanceA, []report.Sample{{Time: hour, Name: "image", Label: "office/1", Value: v}, {Time: hour, Name: "other", Value: v}}); err != nil {
					t.Fatal(err)
				}
			}
			samples := func() []report.Sample {
				t.Helper()
				list, err := s.Reports().Samples(ctx, instanceA, "image", reportNow.AddDate(0, 0, -1))
				if err != nil {
					t.Fatal(err)
				}
				return list
			}
			if diff := gocmp.Diff([]report.Sample{{Time: hour, Name: "image", Label: "office/1", Value: 7}}, samples()); diff != "" {
				t.Errorf("samples (-want +got):\n%s", diff)
			}
			if err := s.DeleteTrendsBefore(ctx, instanceA, reportNow.AddDate(0, 0, 1)); err != nil {
				t.Fatal(err)
			}
			if left := samples(); len(left) != 0 {
				t.Errorf("samples that are left: %v", left)
			}
		})
	}
}

// TestOpenReports reads what another opened, and refuses what no server made.
func TestOpenReports(t *testing.T) {
	dsn := postgresDSN(t)
	if _, err := store.OpenReports(t.Context(), dsn, store.Options{}); err == nil {
		t.Error("an empty database is opened")
	}
	s := openEvents(t, dsn)
	reported(t, s, instanceA)
	reported(t, s, instanceB)
	others, err := store.OpenReports(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close()
	r := report.New(report.Config{Instance: instanceA, State: empty{}, Events: s.Reports(), Others: others, Now: func() time.Time { return reportNow }})
	p, err := r.Page(t.Context(), report.Activity, report.Query{Days: 100, Instances: []string{"all"}, Group: []string{"instance"}})
	if err != nil || len(p.Rows) != 2 {
		t.Errorf("over all instances: %v, %v", p.Rows, err)
	}
	if _, err := store.OpenReports(t.Context(), "sqlite:x", store.Options{}); err == nil {
		t.Error("a file is opened")
	}
}

// TestSavedReports keeps definitions by names without case.
func TestSavedReports(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx := t.Context()
			s := openState(t, e.dsn(t))
			d := report.Definition{
				Name: "Büro", Report: report.Errors, Description: "x", ChangedBy: "admin", Changed: reportNow,
				Query: report.Query{Days: 3, Group: []string{"host"}, Codes: []int{7}},
			}
			check := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			check(s.SaveReport(ctx, "1", d, 2))
			got, err := s.SavedReport(ctx, "BU\u0308RO")
			if diff := gocmp.Diff(d, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			d.Query.Days = 4
			check(s.SaveReport(ctx, "2", d, 1))
			other := d
			other.Name = "another"
			check(s.SaveReport(ctx, "3", other, 2))
			other.Name = "third"
			if err := s.SaveReport(ctx, "4", other, 2); err == nil {
				t.Error("one too many is saved")
			}
			list, err := s.SavedReports(ctx)
			if err != nil || len(list) != 2 || list[0].Name != "another" || list[1].Query.Days != 4 {
				t.Errorf("all: %+v, %v", list, err)
			}
			check(s.DeleteReport(ctx, "büro"))
			if err := s.DeleteReport(ctx, "büro"); err == nil {
				t.Error("what is gone is deleted again")
			}
		})
	}
}

package httpapi_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// store30 stores 30 events of a client, a third of them errors.
func store30(t *testing.T, h *harness) {
	t.Helper()
	var about rest.Instance
	h.must("GET", "/instance", "", nil, &about)
	s, err := store.OpenEvents(t.Context(), "sqlite:"+filepath.Join(h.data, "events.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := event.Batch{Instance: about.ID, Client: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Journal: "j", Received: time.Now()}
	for i := range 30 {
		e := event.New(event.AgentStarted, time.Now(), "=1+1")
		e.Host, e.User = "pc1", fmt.Sprintf("user %d", i%3)
		if i%3 == 0 {
			e.Severity = dormer.Error
		}
		b.Events = append(b.Events, wire.NumberedEvent{Sequence: uint64(i + 1), Event: e})
	}
	if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); err != nil {
		t.Fatal(err)
	}
}

// TestReportColumns holds that the types of the document and of Go clients have
// the columns of the reports, and nothing else.
func TestReportColumns(t *testing.T) {
	for kind, row := range map[report.Kind]any{
		report.Status: rest.StatusRow{}, report.Activity: rest.EventRow{}, report.Errors: rest.EventRow{}, report.Setup: rest.SetupRow{},
	} {
		want := []string{"count", "first", "last"}
		for _, c := range kind.Columns() {
			want = append(want, c.Name)
		}
		var got []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(row)) {
			if !f.Anonymous {
				called, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				got = append(got, called)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
			t.Errorf("%s: (-columns +fields):\n%s", kind, diff)
		}
	}
}

func TestReportsOverHTTP(t *testing.T) {
	h := newHarness(t)
	enrol(t, h)
	store30(t, h)
	var page rest.ReportPage[rest.EventRow]
	h.must("GET", "/reports/errors?limit=4&tz=Asia/Kathmandu", h.reader, nil, &page)
	if _, offset := page.Items[0].Received.Zone(); len(page.Items) != 4 || page.Next == "" || offset != 5*3600+45*60 {
		t.Errorf("a page: %+v", page)
	}
	seen := len(page.Items)
	for page.Next != "" {
		next := page.Next
		page = rest.ReportPage[rest.EventRow]{}
		h.must("GET", "/reports/errors?limit=4&tz=Asia/Kathmandu&after="+next, h.reader, nil, &page)
		seen += len(page.Items)
	}
	if seen != 10 {
		t.Errorf("pages hold %d of 10 errors", seen)
	}
	var groups rest.ReportPage[map[string]any]
	h.must("GET", "/reports/activity?group=user,severity&sort=user", h.reader, nil, &groups)
	if len(groups.Items) != 3 || groups.Items[0]["user"] != "user 0" || groups.Items[0]["severity"] != "error" || groups.Items[0]["count"] != 10.0 || groups.Columns[2].Name != "count" {
		t.Errorf("groups: %+v", groups)
	}
	var status rest.ReportPage[rest.StatusRow]
	h.must("GET", "/reports/status?columns=host,user", h.reader, nil, &status)
	if len(status.Items) != 1 || status.Items[0].User != "SYSTEM" || status.Items[0].Host != "pc1" || !status.Items[0].Time.IsZero() || len(status.Columns) != 2 {
		t.Errorf("status: %+v", status)
	}
	for path, field := range map[string]string{
		"activity?before=7": "before", "activity?days=x": "days", "activity?code=1,x": "code", "status?sort=x": "sort", "setup?instances=all": "instances",
		"activity/export": "format", "activity/export?format=pdf": "format", "activity/export?format=csv&after=x": "after", "trends?tz=x": "tz", "trends?days=9999": "days",
		"delivery?tz=x": "tz", "delivery?days=9999": "days", "delivery?days=x": "days", "delivery?image=office/1": "image", "delivery?image=sha256:0": "image",
	} {
		a := h.ask("GET", rest.Prefix+"/reports/"+path, h.reader, nil)
		if p := a.problem(t); a.status != http.StatusBadRequest || len(p.Fields) != 1 || p.Fields[0].Path != field {
			t.Errorf("%s: status %d: %s", path, a.status, a.body)
		}
	}
	var trends rest.Trends
	h.must("GET", "/reports/trends?days=3&tz=UTC", h.reader, nil, &trends)
	if len(trends.Days) != 3 || trends.Days[2].Error+trends.Days[1].Error != 10 {
		t.Errorf("trends: %+v", trends)
	}
}

func TestExports(t *testing.T) {
	h := newHarness(t)
	store30(t, h)
	for _, test := range []struct {
		query, accept, media string
		rows                 func([]byte) int
	}{
		{"?format=csv", "", "text/csv; charset=utf-8", func(b []byte) int {
			rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
			if err != nil || !strings.Contains(rows[1][8], "=1+1") || strings.HasPrefix(rows[1][8], "=") {
				t.Errorf("CSV: %v, %q", err, rows[1])
			}
			return len(rows) - 1
		}},
		{"", "text/html, application/json;q=0.9", "application/json", func(b []byte) int {
			var rows []rest.EventRow
			if err := json.Unmarshal(b, &rows); err != nil {
				t.Error(err)
			}
			return len(rows)
		}},
		{"?format=ndjson", "", "application/x-ndjson", func(b []byte) int { return bytes.Count(b, []byte("\n")) }},
		{"?format=xlsx&tz=Europe/Berlin", "", export.XLSX.MediaType(), func(b []byte) int {
			f, err := excelize.OpenReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			rows, err := f.GetRows("Activity")
			if err != nil || rows[0][0] != "Received (Europe/Berlin)" {
				t.Errorf("spreadsheet: %v, %q", err, rows)
			}
			return len(rows) - 1
		}},
	} {
		a := h.must("GET", "/reports/activity/export"+test.query, h.reader, nil, nil, "Accept", test.accept)
		if got := a.header.Get("Content-Type"); got != test.media || !strings.Contains(a.header.Get("Content-Disposition"), "filename=\"activity.") {
			t.Errorf("%s: %v", test.query, a.header)
		}
		if n := test.rows(a.body); n != 30 {
			t.Errorf("%s: %d rows", test.query, n)
		}
		// Who takes what is recorded.
		var records rest.List[rest.AuditRecord]
		h.must("GET", "/audit?limit=1", h.admin, nil, &records)
		if r := records.Items[0]; r.Action != "report.export" || r.Who != "reader" || !strings.HasPrefix(r.Object, "activity.") {
			t.Errorf("%s left the record %+v", test.query, r)
		}
	}
	for _, kind := range report.Kinds() {
		h.must("GET", "/reports/"+string(kind)+"/export?format=json", h.reader, nil, nil)
	}
}

func TestSavedReports(t *testing.T) {
	h := newHarness(t)
	for name, s := range map[string]rest.SaveReport{
		"sort":        {Report: "errors", Query: rest.ReportQuery{Sort: "nothing"}},
		"report":      {Report: "everything"},
		"query.after": {Report: "errors", Query: rest.ReportQuery{After: "x"}},
	} {
		a := h.ask("PUT", rest.Prefix+"/reports/saved/x", h.admin, s)
		if p := a.problem(t); a.status != http.StatusBadRequest || p.Fields[0].Path != name {
			t.Errorf("%+v: status %d: %s", s, a.status, a.body)
		}
	}
	if a := h.ask("PUT", rest.Prefix+"/reports/saved/x", h.admin, `{"report":"errors","query":{"dayz":3}}`); a.status != http.StatusBadRequest {
		t.Errorf("an unknown field: status %d: %s", a.status, a.body)
	}
	want := rest.SaveReport{Report: "errors", Description: "by host", Query: rest.ReportQuery{Days: 3, Group: []string{"host"}}}
	h.must("PUT", "/reports/saved/Of%20hosts", h.admin, want, nil)
	var got rest.SavedReport
	h.must("GET", "/reports/saved/of%20HOSTS", h.reader, nil, &got)
	if diff := cmp.Diff(want, rest.SaveReport{Report: got.Report, Description: got.Description, Query: got.Query}); diff != "" || got.Name != "Of hosts" || got.ChangedBy != "admin" {
		t.Errorf("saved as %+v (-want +got):\n%s", got, diff)
	}
	if a := h.ask("DELETE", rest.Prefix+"/reports/saved/nothing", h.admin, nil); a.status != http.StatusNotFound {
		t.Errorf("what is not there: status %d", a.status)
	}
	h.must("DELETE", "/reports/saved/of%20hosts", h.admin, nil, nil)
	var all rest.List[rest.SavedReport]
	h.must("GET", "/reports/saved", h.reader, nil, &all)
	if len(all.Items) != 0 {
		t.Errorf("left: %+v", all)
	}
}

func TestAuditIsFound(t *testing.T) {
	h := newHarness(t)
	for query, want := range map[string][]string{
		"action=user.create&object=READER":  {"user.create"},
		"action=operator.&who=adm":          {"operator.set"},
		"since=2020-01-01&until=2020-01-02": {},
		"who=%25":                           {},
	} {
		var l rest.List[rest.AuditRecord]
		h.must("GET", "/audit?"+query, h.reader, nil, &l)
		got := make([]string, len(l.Items))
		for i, r := range l.Items {
			got[i] = r.Action
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", query, diff)
		}
	}
	a := h.must("GET", "/audit/export?format=json&action=session.", h.reader, nil, nil)
	var all []rest.AuditRecord
	if err := json.Unmarshal(a.body, &all); err != nil || len(all) == 0 || !strings.HasPrefix(all[0].Action, "session.") {
		t.Errorf("export: %+v, %v", all, err)
	}
	if a := h.ask("GET", rest.Prefix+"/audit?since=x", h.reader, nil); a.status != http.StatusBadRequest {
		t.Errorf("a wrong time: status %d", a.status)
	}
}

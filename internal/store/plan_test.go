package store

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/report"
)

// TestPlans looks at how SQLite finds the events of reports: by an index, in
// its order where a report is over all clients. Problems are counted from their
// index alone.
func TestPlans(t *testing.T) {
	s, err := OpenEvents(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "events.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.makeInstance(t.Context(), "i"); err != nil {
		t.Fatal(err)
	}
	few := []storedContext{{id: 1, instance: 1}}
	many := make([]storedContext, fewContexts+1)
	problems := []dormer.Severity{dormer.Error}
	group := func(name string) []report.Column {
		i := slices.IndexFunc(report.Activity.Columns(), func(c report.Column) bool { return c.Name == name })
		return report.Activity.Columns()[i : i+1]
	}
	for _, test := range []struct {
		name     string
		q        report.Selection
		contexts []storedContext
		index    string
		sorted   bool
		by       string // what rows are sorted by, if that is not their receipt
	}{
		{"activity", report.Selection{}, nil, "events_by_received", true, ""},
		{"activity of many", report.Selection{User: "x"}, many, "events_by_received", true, ""},
		{"errors", report.Selection{Severities: problems}, nil, "events_problems", true, ""},
		{"errors of many", report.Selection{Severities: problems, Host: "x"}, many, "events_problems", true, ""},
		{"older errors", report.Selection{Severities: problems, After: []any{int64(7), int64(7)}}, nil, "events_problems", true, ""},
		{"activity of few", report.Selection{User: "x"}, few, "events_by_context", false, ""},
		{"errors of few", report.Selection{Severities: problems, Host: "x"}, few, "events_problems_by_context", false, ""},
		{"errors by code", report.Selection{Severities: problems, Group: group("code")}, nil, "events_problems", false, ""},
		{"errors by category", report.Selection{Severities: problems, Group: group("category")}, nil, "events_problems", false, ""},
		{"errors by user", report.Selection{Severities: problems, Group: group("user")}, nil, "events_problems", false, ""},
		{"activity of few by time", report.Selection{Client: "x"}, few, "events_by_context", false, "time"},
		{"errors of few by user", report.Selection{Severities: problems, Client: "x"}, few, "events_problems_by_context", false, "user"},
		{"activity of few by code", report.Selection{Client: "x", Group: group("code")}, few, "events_by_context", false, ""},
	} {
		test.q.Since, test.q.Limit, test.q.Descending = time.Unix(1, 0), 100, true
		test.q.Columns = report.Activity.Columns()
		test.q.Order = test.q.Columns[0]
		b := builder{q: test.q, instances: []int64{1}, contexts: test.contexts}
		query, search := b.newest(), "SEARCH e USING INDEX "
		switch {
		case len(test.q.Group) > 0:
			b = builder{q: test.q, instances: []int64{1}, contexts: test.contexts}
			b.q.Order = test.q.Group[0]
			query = b.groups()
			if test.contexts == nil {
				search = "SEARCH e USING COVERING INDEX "
			}
		case test.by != "":
			b = builder{q: test.q, instances: []int64{1}, contexts: test.contexts}
			b.q.Order = group(test.by)[0]
			query = b.sorted()
		}
		plan := explained(t, s.db, query, b.args...)
		if !strings.Contains(plan, search+test.index+" ") {
			t.Errorf("%s does not use %s:\n%s", test.name, test.index, plan)
		}
		if test.sorted && strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s sorts:\n%s", test.name, plan)
		}
	}
}

// explained is how SQLite runs a query, a line for each step.
func explained(t *testing.T, e *engine, query string, args ...any) string {
	t.Helper()
	lines, err := all(t.Context(), e.read, "explain", func(r scanner) (string, error) {
		var line string
		var skip any
		err := r.Scan(&skip, &skip, &skip, &line)
		return line, err
	}, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// TestStatePlans: a new machine's name is looked up, what takes time is worked out for the clients of a page alone,
// one client is not looked for among all, and no filter looks through the
// machines for each client.
func TestStatePlans(t *testing.T) {
	s, err := OpenState(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "state.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if plan := explained(t, s.db, machinesNamed, "PC1"); !strings.Contains(plan, "INDEX machines_by_computer_name ") {
		t.Errorf("a computer name is looked for in all machines:\n%s", plan)
	}
	if plan := explained(t, s.db, allClients); plan != "SCAN clients" {
		t.Errorf("all clients are not read from end to end:\n%s", plan)
	}
	const byID = "SEARCH clients USING INDEX sqlite_autoindex_clients_1 (id=?)"
	filters := []enroll.Filter{{}, {Search: "x"}, {ID: "c"}, {Version: "1"}}
	for _, state := range enroll.States {
		filters = append(filters, enroll.Filter{State: state})
	}
	for _, f := range filters {
		f.Now, f.OnlineSince, f.Limit, f.Order = time.Unix(2, 0), time.Unix(1, 0), 50, enroll.BySeen
		condition, args := clientCondition(f)
		plan := explained(t, s.db, "SELECT count(*)"+condition, args...)
		// Of those that are off-line few are asked how long they may be.
		if f.State != enroll.StateBeyond && strings.Contains(plan, "CORRELATED") {
			t.Errorf("%+v looks through machines for each client:\n%s", f, plan)
		}
		if f.ID != "" && !strings.Contains(plan, "SEARCH clients ") {
			t.Errorf("one client is looked for among all:\n%s", plan)
		}
		query, args := findClients(f, condition, args, 1000)
		first, _, _ := strings.Cut(explained(t, s.db, query, args...), "\n")
		if first != byID {
			t.Errorf("%+v: more is worked out than for the page: %s", f, first)
		}
	}
}

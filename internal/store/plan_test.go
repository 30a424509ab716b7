package store

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
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
	}{
		{"activity", report.Selection{}, nil, "events_by_received", true},
		{"activity of many", report.Selection{User: "x"}, many, "events_by_received", true},
		{"errors", report.Selection{Severities: problems}, nil, "events_problems", true},
		{"errors of many", report.Selection{Severities: problems, Host: "x"}, many, "events_problems", true},
		{"older errors", report.Selection{Severities: problems, After: []any{int64(7), int64(7)}}, nil, "events_problems", true},
		{"activity of few", report.Selection{User: "x"}, few, "events_by_context", false},
		{"errors of few", report.Selection{Severities: problems, Host: "x"}, few, "events_problems_by_context", false},
		{"errors by code", report.Selection{Severities: problems, Group: group("code")}, nil, "events_problems", false},
		{"errors by category", report.Selection{Severities: problems, Group: group("category")}, nil, "events_problems", false},
		{"errors by user", report.Selection{Severities: problems, Group: group("user")}, nil, "events_problems", false},
	} {
		test.q.Since, test.q.Limit, test.q.Descending = time.Unix(1, 0), 100, true
		test.q.Columns = report.Activity.Columns()
		test.q.Order = test.q.Columns[0]
		b := builder{q: test.q, instances: []int64{1}, contexts: test.contexts}
		query, search := b.newest(), "SEARCH e USING INDEX "
		if len(test.q.Group) > 0 {
			b = builder{q: test.q, instances: []int64{1}}
			b.q.Order = test.q.Group[0]
			query, search = b.groups(), "SEARCH e USING COVERING INDEX "
		}
		lines, err := all(t.Context(), s.db.read, "explain", func(r scanner) (string, error) {
			var line string
			var skip any
			err := r.Scan(&skip, &skip, &skip, &line)
			return line, err
		}, "EXPLAIN QUERY PLAN "+query, b.args...)
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, search+test.index+" ") {
			t.Errorf("%s does not use %s:\n%s", test.name, test.index, plan)
		}
		if test.sorted && strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s sorts:\n%s", test.name, plan)
		}
	}
}

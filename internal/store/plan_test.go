package store

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/report"
)

// TestPlans looks at how SQLite finds the events of reports: by an index, in
// its order where a report is over all clients.
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
	} {
		test.q.Since, test.q.Limit, test.q.Descending = time.Unix(1, 0), 100, true
		test.q.Columns = report.Activity.Columns()
		test.q.Order = test.q.Columns[0]
		b := builder{q: test.q, instances: []int64{1}, contexts: test.contexts}
		query := b.newest()
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
		if !strings.Contains(plan, "SEARCH e USING INDEX "+test.index) {
			t.Errorf("%s does not use %s:\n%s", test.name, test.index, plan)
		}
		if test.sorted && strings.Contains(plan, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s sorts:\n%s", test.name, plan)
		}
	}
}

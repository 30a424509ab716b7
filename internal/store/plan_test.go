package store

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// TestPlans looks at how SQLite finds the events of reports: by an index, in
// its order where a report is over all clients.
func TestPlans(t *testing.T) {
	s, err := OpenEvents(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "events.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	since := time.Unix(1, 0)
	if err := s.makeInstance(t.Context(), "i"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		f      event.Filter
		index  string
		sorted bool
	}{
		{"activity", event.Filter{Since: since}, "events_by_received", true},
		{"a user's activity", event.Filter{Since: since, UserContains: "x"}, "events_by_received", true},
		{"errors", event.Filter{Since: since, MinSeverity: dormer.Error}, "events_problems", true},
		{"a host's errors", event.Filter{Since: since, MinSeverity: dormer.Error, HostContains: "x"}, "events_problems", true},
		{"older errors", event.Filter{Since: since, MinSeverity: dormer.Error, Before: 7}, "events_problems", true},
		{"a client", event.Filter{Since: since, Client: "c"}, "events_by_context", false},
		{"a client's errors", event.Filter{Since: since, Client: "c", MinSeverity: dormer.Error}, "events_problems_by_context", false},
	} {
		test.f.Instance, test.f.Limit = "i", 100
		query, args, err := s.eventsQuery(t.Context(), test.f)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := all(t.Context(), s.db.read, "explain", func(r scanner) (string, error) {
			var line string
			var skip any
			err := r.Scan(&skip, &skip, &skip, &line)
			return line, err
		}, "EXPLAIN QUERY PLAN "+query, args...)
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

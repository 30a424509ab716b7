package audit_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/audit"
)

// kept is a log in memory.
type kept struct{ records []audit.Record }

func (k *kept) Append(_ context.Context, r audit.Record) error {
	k.records = append(k.records, r)
	return nil
}

func (k *kept) Records(context.Context, int64, int) ([]audit.Record, error) { return k.records, nil }

func (k *kept) Find(context.Context, audit.Filter) ([]audit.Record, error) { return k.records, nil }

func TestThin(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	var k kept
	log := audit.Thin(&k, func() time.Time { return now })
	attempt := func(action, from string) {
		t.Helper()
		if err := log.Append(t.Context(), audit.Record{Action: action, Remote: from, Detail: "wrong"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		attempt("session.refuse", "192.0.2.1")
	}
	if n := len(k.records); n != 100 {
		t.Errorf("%d attempts of one address are recorded", n)
	}
	// Others, and changes, are recorded all the same; what was left out is told.
	attempt("session.refuse", "192.0.2.2")
	if d := k.records[len(k.records)-1].Detail; d != "wrong (900 refused attempts before it were left out)" {
		t.Errorf("the next one says %q", d)
	}
	attempt("session.refuse", "192.0.2.2")
	attempt("workspace.commit", "192.0.2.1")
	if last := k.records[len(k.records)-1]; len(k.records) != 103 || last.Action != "workspace.commit" || last.Detail != "wrong" {
		t.Errorf("%d records, the last %+v", len(k.records), last)
	}
	// From everywhere at once.
	for i := range 10_000 {
		attempt("client.refuse", fmt.Sprintf("198.51.%d.%d", i/250, i%250))
	}
	if n := len(k.records); n > 2200 {
		t.Errorf("%d are recorded of attempts from everywhere", n)
	}
	// In time they are recorded again.
	before := len(k.records)
	now = now.Add(time.Minute)
	attempt("session.refuse", "192.0.2.1")
	if len(k.records) != before+1 || !strings.Contains(k.records[before].Detail, "left out") {
		t.Errorf("after a while: %+v", k.records[before:])
	}
}

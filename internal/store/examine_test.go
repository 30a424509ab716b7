package store_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestExamine: a database is looked at as it is, and neither made nor migrated.
func TestExamine(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx, dsn := t.Context(), e.dsn(t)
			file, isFile := strings.CutPrefix(dsn, "sqlite:")
			x, err := store.ExamineState(ctx, dsn)
			switch {
			case isFile && !errors.Is(err, dormer.ErrNotFound):
				t.Errorf("no file yet: %+v, %v", x, err)
			case !isFile && (err != nil || x.Schema != 0):
				t.Errorf("nothing yet: %+v, %v", x, err)
			}
			if _, err := os.Stat(file); isFile && err == nil {
				t.Error("the file was made")
			}
			if err := store.MigrateTo(ctx, dsn, 1); err != nil {
				t.Fatal(err)
			}
			if x, err = store.ExamineState(ctx, dsn); err != nil || x.Schema != 1 || x.Newest < 5 || len(x.Wrong) > 0 || x.Bytes < 4096 || x.Commit <= 0 {
				t.Errorf("of an earlier version: %+v, %v", x, err)
			}
			openState(t, dsn)
			if x, err = store.ExamineState(ctx, dsn); err != nil || x.Schema != x.Newest || len(x.Wrong) > 0 {
				t.Errorf("while it is used: %+v, %v", x, err)
			}
			if isFile {
				if err := os.Chmod(file, 0o644); err != nil {
					t.Fatal(err)
				}
				if x, err = store.ExamineState(ctx, dsn); err != nil || len(x.Wrong) != 1 || !strings.Contains(x.Wrong[0], "chmod 600") {
					t.Errorf("open to others: %+v, %v", x, err)
				}
				return
			}
			if x.Clock.Abs() > time.Minute || !strings.HasPrefix(x.Engine, "PostgreSQL 1") {
				t.Errorf("%+v", x)
			}
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			q.Set("search_path", "no_such_schema")
			u.RawQuery = q.Encode()
			if x, err = store.ExamineState(ctx, u.String()); err != nil || len(x.Wrong) != 1 || !strings.Contains(x.Wrong[0], "search_path") {
				t.Errorf("no schema: %+v, %v", x, err)
			}
			q.Del("search_path")
			q.Set("default_transaction_read_only", "on")
			q.Set("search_path", strings.TrimPrefix(dsn[strings.Index(dsn, "search_path="):], "search_path="))
			u.RawQuery = q.Encode()
			if x, err = store.ExamineState(ctx, u.String()); err != nil || len(x.Wrong) != 1 || !strings.Contains(x.Wrong[0], "nothing can be stored") {
				t.Errorf("read-only: %+v, %v", x, err)
			}
		})
	}
	if _, err := store.ExamineEvents(t.Context(), "postgres://dormer@127.0.0.1:1/dormer"); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("nobody answers: %v", err)
	}
	notDatabase := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(notDatabase, []byte(strings.Repeat("this is no database\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.ExamineState(t.Context(), "sqlite:"+notDatabase); err == nil {
		t.Error("a text file passes for a database")
	}
}

// TestKeeps: what an instance has of events, beside another one.
func TestKeeps(t *testing.T) {
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			s := openEvents(t, e.dsn(t))
			if k, err := s.Keeps(t.Context(), "here", now, 710); err != nil || !k.Oldest.IsZero() || k.Day != 0 || len(k.Last) != 0 {
				t.Errorf("nothing: %+v, %v", k, err)
			}
			for i, one := range []struct {
				instance dormer.InstanceID
				client   dormer.ClientID
				code     int
				age      time.Duration
			}{
				{"here", "", 710, 50 * time.Hour},
				{"here", "", 710, 26 * time.Hour},
				{"here", "", 711, time.Hour},
				{"here", "client", 710, time.Minute}, // a client's word counts for nothing
				{"there", "", 710, 500 * time.Hour},
				{"there", "", 710, time.Minute},
			} {
				at := now.Add(-one.age)
				ev := dormer.Event{Time: at, Code: one.code, Severity: dormer.Information, Category: "server"}
				if _, err := s.AppendEvents(t.Context(), []event.Batch{{
					Instance: one.instance, Client: one.client, Journal: dormer.JournalID(rune('a' + i)), Received: at,
					Events: []wire.NumberedEvent{{Sequence: 1, Event: ev}},
				}}); err != nil {
					t.Fatal(err)
				}
			}
			k, err := s.Keeps(t.Context(), "here", now, 710, 711, 712)
			if err != nil || !k.Oldest.Equal(now.Add(-50*time.Hour)) || k.Day != 2 {
				t.Errorf("%+v, %v", k, err)
			}
			if len(k.Last) != 2 || !k.Last[710].Equal(now.Add(-26*time.Hour)) || !k.Last[711].Equal(now.Add(-time.Hour)) {
				t.Errorf("last: %v", k.Last)
			}
		})
	}
}

package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/dump"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/storetest"
)

const dumpRows = 3

// madeUp returns a dump of a version of a track, with rows in every table.
func madeUp(t *testing.T, track string, version int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := dump.NewWriter(&b, dump.Header{Track: track, Schema: version, Instance: "i"})
	if err != nil {
		t.Fatal(err)
	}
	tables := store.TablesOf(t, track, version)
	for _, table := range tables {
		if err := w.Table(table.Table); err != nil {
			t.Fatal(err)
		}
		if table.Name == "numbers_given" {
			for _, numbered := range tables {
				if numbered.Numbered {
					if err := w.Row([]any{numbered.Name, int64(dumpRows + 4)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			continue
		}
		for n := range dumpRows {
			row := make([]any, len(table.Columns))
			for i, c := range table.Columns {
				switch {
				case table.Name == "group_members" && c.Name == "group_id":
					row[i] = fmt.Sprintf("directory_groups id %d", n)
				case c.Name == "kind" && (table.Name == "group_members" || table.Name == "operators"):
					row[i] = "user"
				case table.Name == "events" && c.Name == "received":
					row[i] = time.Date(2026, 1, 1+n/2, 1, n, 0, 0, time.UTC).UnixMicro()
				case table.Name == "instance" && c.Name == "id":
					row[i] = "i"
				case c.Type == dump.Integer:
					row[i] = int64(n + 1)
				case c.Type == dump.Text:
					row[i] = fmt.Sprintf("%s %s %d", table.Name, c.Name, n)
				default:
					row[i] = []byte{0, 0xff, byte(n)}
				}
			}
			if err := w.Row(row); err != nil {
				t.Fatal(err)
			}
			if table.Name == "instance" {
				break
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tracks is what both stores have in common.
var tracks = []struct {
	name  string
	first int
	load  func(t *testing.T, dsn string, b []byte) error
	dump  func(t *testing.T, dsn string) []byte
}{
	{"state", 1, func(t *testing.T, dsn string, b []byte) error {
		return store.LoadState(t.Context(), dsn, bytes.NewReader(b), nil)
	}, func(t *testing.T, dsn string) []byte {
		var b bytes.Buffer
		if err := openState(t, dsn).Dump(t.Context(), &b, nil); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}},
	{"events", store.FirstDumped, func(t *testing.T, dsn string, b []byte) error {
		return store.LoadEvents(t.Context(), dsn, bytes.NewReader(b), nil)
	}, func(t *testing.T, dsn string) []byte { return dumpEvents(t, dsn, "i") }},
}

func dumpEvents(t *testing.T, dsn string, i dormer.InstanceID) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := openEvents(t, dsn).Dump(t.Context(), i, &b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verify(t *testing.T, b []byte) dump.Summary {
	t.Helper()
	s, err := dump.Verify(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDumpTravels: from SQLite to PostgreSQL and back a database is the same.
func TestDumpTravels(t *testing.T) {
	for _, track := range tracks {
		t.Run(track.name, func(t *testing.T) {
			first := madeUp(t, track.name, store.Newest(track.name))
			for _, engine := range []int{0, 1, 0} {
				dsn := engines[engine].dsn(t)
				if err := track.load(t, dsn, first); err != nil {
					t.Fatalf("%s: %v", engines[engine].name, err)
				}
				if got := track.dump(t, dsn); !bytes.Equal(got, first) {
					t.Fatalf("%s has another dump:\n%s", engines[engine].name, cmp.Diff(verify(t, first), verify(t, got)))
				}
			}
		})
	}
}

// TestDumpsOfEarlierSchemas loads dumps of every earlier schema: all rows are
// there under the newest, the same on both engines.
func TestDumpsOfEarlierSchemas(t *testing.T) {
	for _, track := range tracks {
		for version := track.first; version < store.Newest(track.name); version++ {
			t.Run(fmt.Sprint(track.name, " ", version), func(t *testing.T) {
				old := madeUp(t, track.name, version)
				var first []byte
				for _, e := range engines {
					for _, there := range []bool{false, true} {
						dsn := e.dsn(t)
						if there { // the newest schema is, without rows
							track.dump(t, dsn)
						}
						if err := track.load(t, dsn, old); err != nil {
							t.Fatalf("%s: %v", e.name, err)
						}
						got := track.dump(t, dsn)
						if first == nil {
							first = got
						}
						if !bytes.Equal(got, first) {
							t.Errorf("%s has another dump:\n%s", e.name, cmp.Diff(verify(t, first), verify(t, got)))
						}
					}
				}
				if got := verify(t, first); got.Rows() < verify(t, old).Rows() {
					t.Errorf("%d rows of %d are there", got.Rows(), verify(t, old).Rows())
				}
			})
		}
	}
}

// TestLoadRefuses: what cannot be loaded whole changes nothing.
func TestLoadRefuses(t *testing.T) {
	for _, e := range engines {
		for i, track := range tracks {
			t.Run(e.name+"/"+track.name, func(t *testing.T) {
				dsn := e.dsn(t)
				whole := madeUp(t, track.name, store.Newest(track.name))
				other := madeUp(t, tracks[1-i].name, store.Newest(tracks[1-i].name))
				if err := track.load(t, dsn, other); !errors.Is(err, dormer.ErrInvalid) {
					t.Errorf("a dump of the other track: %v", err)
				}
				for _, cut := range []int{0, 10, len(whole) / 2, len(whole) - 1} {
					if err := track.load(t, dsn, whole[:cut]); !errors.Is(err, dormer.ErrCorrupt) {
						t.Errorf("a dump cut at %d of %d: %v", cut, len(whole), err)
					}
				}
				var newer bytes.Buffer
				w, err := dump.NewWriter(&newer, dump.Header{Track: track.name, Schema: store.Newest(track.name) + 1})
				if err = errors.Join(err, w.Close()); err != nil {
					t.Fatal(err)
				}
				if err := track.load(t, dsn, newer.Bytes()); !errors.Is(err, dormer.ErrUnsupported) || !strings.Contains(err.Error(), "newer dormerd") {
					t.Errorf("a newer dump: %v", err)
				}
				if err := track.load(t, dsn, whole); err != nil {
					t.Fatalf("after all that was refused: %v", err)
				}
				if err := track.load(t, dsn, whole); !errors.Is(err, dormer.ErrExists) {
					t.Errorf("a second time: %v", err)
				}
			})
		}
	}
}

// TestEventsOfSeveralInstances moves one of them into a database with another,
// while that one stores events.
func TestEventsOfSeveralInstances(t *testing.T) {
	for _, from := range engines {
		for _, to := range engines {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				source, target := from.dsn(t), to.dsn(t)
				s, other := openEvents(t, source), openEvents(t, target)
				for n := range 3 {
					storetest.AppendSome(t, s, "i", "c", uint64(n*10+1), 10)
					storetest.AppendSome(t, s, "not moved", "c", uint64(n*10+1), 10)
					storetest.AppendSome(t, other, "other", "c", uint64(n*10+1), 10)
				}
				before := storetest.Rows(t, s, "i")
				b := dumpEvents(t, source, "i")
				if err := store.LoadEvents(t.Context(), target, bytes.NewReader(b), nil); err != nil {
					t.Fatal(err)
				}
				for _, i := range []dormer.InstanceID{"i", "other"} {
					storetest.AppendSome(t, other, i, "c", 25, 10) // six are repeats
				}
				after := storetest.Rows(t, other, "i")
				if len(before) != 30 || len(after) != 34 {
					t.Fatalf("%d events before and %d after, want 30 and 34", len(before), len(after))
				}
				for n := range before {
					before[n].ID, after[n].ID = 0, 0
				}
				if diff := cmp.Diff(before, after[:30]); diff != "" {
					t.Error(diff)
				}
				if rows := storetest.Rows(t, other, "other"); len(rows) != 34 {
					t.Errorf("the other instance has %d events, want 34", len(rows))
				}
				if rows := storetest.Rows(t, other, "not moved"); len(rows) != 0 {
					t.Errorf("%d events came along", len(rows))
				}
				if w, err := other.Watermark(t.Context(), "i", "c", "j-c"); err != nil || w != 34 {
					t.Errorf("the watermark is %d (%v), want 34", w, err)
				}
			})
		}
	}
}

// TestMove moves both databases to the other engine, a second time when that was
// done already, and not onto others' rows.
func TestMove(t *testing.T) {
	for n, from := range engines {
		to := engines[1-n]
		t.Run(from.name+" to "+to.name, func(t *testing.T) {
			source, target, ctx := from.dsn(t), to.dsn(t), t.Context()
			if err := store.LoadState(ctx, source, bytes.NewReader(madeUp(t, "state", store.Newest("state"))), nil); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				var told int64
				s, err := store.MoveState(ctx, source, target, func(_ string, rows int64) { told += rows })
				if err != nil || s.Rows() < 30 {
					t.Fatalf("%d rows moved (%d told of): %v", s.Rows(), told, err)
				}
			}
			if err := openState(t, target).RaiseEpoch(ctx, 77); err != nil {
				t.Fatal(err)
			}
			if _, err := store.MoveState(ctx, source, target, nil); !errors.Is(err, dormer.ErrExists) {
				t.Errorf("onto another state: %v, want dormer.ErrExists", err)
			}

			source, target = from.dsn(t), to.dsn(t)
			s, other := openEvents(t, source), openEvents(t, target)
			for n := range 3 {
				storetest.AppendSome(t, s, "gone before", "c", uint64(n*10+1), 10)
				storetest.AppendSome(t, s, "i", "c", uint64(n*10+1), 10)
				storetest.AppendSome(t, other, "other", "c", uint64(n*10+1), 10)
			}
			for range 2 {
				summary, err := store.MoveEvents(ctx, "i", source, target, nil)
				if err != nil || summary.Rows() < 32 {
					t.Fatalf("%d rows moved: %v", summary.Rows(), err)
				}
			}
			storetest.AppendSome(t, other, "i", "c", 40, 1)
			if _, err := store.MoveEvents(ctx, "i", source, target, nil); !errors.Is(err, dormer.ErrExists) {
				t.Errorf("onto other events: %v, want dormer.ErrExists", err)
			}
			if n := len(storetest.Rows(t, s, "i")); n != 30 {
				t.Errorf("the source has %d events after the move, want 30", n)
			}
		})
	}
}

package event_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestRefusedAlone sends batches in which one event is wrong: it is named, those
// around it are stored, one that tells of it stands in its place, and the
// watermark passes it.
func TestRefusedAlone(t *testing.T) {
	tests := map[string]func(e *wire.NumberedEvent){
		"severity":        func(e *wire.NumberedEvent) { e.Event.Severity = "mild" },
		"code":            func(e *wire.NumberedEvent) { e.Event.Code = -1 },
		"policy_revision": func(e *wire.NumberedEvent) { e.Event.PolicyRevision = -1 },
		"count":           func(e *wire.NumberedEvent) { e.Event.Count = -1 },
		"time":            func(e *wire.NumberedEvent) { e.Event.Time = time.Time{} },
		"description":     func(e *wire.NumberedEvent) { e.Event.Description = strings.Repeat("ä", 501) },
		"host":            func(e *wire.NumberedEvent) { e.Event.Host = strings.Repeat("h", 256) },
		"workspace":       func(e *wire.NumberedEvent) { e.Event.Workspace = dormer.WorkspaceID(strings.Repeat("w", 256)) },
	}
	for field, spoil := range tests {
		t.Run(field, func(t *testing.T) {
			s := &memStore{}
			ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
				b := batchOf(1, 5, 6, 7)
				b.Host = "pc1"
				spoil(&b.Events[1])
				marks, err := g.Submit(t.Context(), b)
				if err != nil || marks.Received != 7 || len(marks.Refused) != 1 || marks.Refused[0].Sequence != 6 ||
					marks.Refused[0].Field != field || marks.Refused[0].Reason == "" {
					t.Fatalf("%+v, %v; want that event 6 is refused for its %s", marks, err, field)
				}
				if n := g.Stats().Refused; n != 1 {
					t.Errorf("%d events are counted as refused, want 1", n)
				}
			})
			got := s.stored[0].Events
			if len(got) != 3 || got[1].Sequence != 6 || event.Code(got[1].Event.Code) != event.EventRefused ||
				got[1].Event.Host != "pc1" || !strings.Contains(got[1].Event.Description, "number 6 of its journal: "+field) || got[2].Event.Code != 501 {
				t.Errorf("stored %+v", got)
			}
		})
	}
}

// TestRefusedLast refuses the last event of a journal: it is not sent again
// for ever.
func TestRefusedLast(t *testing.T) {
	s := &memStore{}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		b := batchOf(1, 1, 2)
		b.Events[1].Event = dormer.Event{}
		b.Malformed = []wire.RefusedEvent{{Sequence: 2, Field: "code", Reason: "is not of the type that it must have"}}
		marks, err := g.Submit(t.Context(), b)
		want := event.Marks{Received: 2, Safe: 2, Refused: b.Malformed}
		if diff := cmp.Diff(want, marks); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

func TestSubmitTidies(t *testing.T) {
	s := &memStore{}
	ingesting(t, s, event.IngestLimits{}, func(t *testing.T, g *event.Ingester) {
		b := batchOf(1, 1)
		b.Events[0].Event.User = "a\x00b\xff"
		before := b.Events[0]
		if _, err := g.Submit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, b.Events[0]); diff != "" {
			t.Errorf("the caller's batch was changed:\n%s", diff)
		}
	})
	e := s.stored[0].Events[0].Event
	if e.User != "a?b?" || e.Time.Year() != 2099 || !e.Received.Equal(s.stored[0].Received) {
		t.Errorf("stored %+v", e)
	}
}

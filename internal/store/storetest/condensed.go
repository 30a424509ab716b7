package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// testCondensed stores what stands for several: once, and only above the
// watermark that it was counted for.
func testCondensed(t *testing.T, s Events) {
	ctx := t.Context()
	condensed := func(above, sequence uint64, count int) event.Batch {
		b := batch("c", time.Second, sequence)
		b.Condensed, b.Above, b.Events[0].Event.Count = true, above, count
		return b
	}
	must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("c", 0, 1, 2, 3)}))
	for _, above := range []uint64{0, 2, 4} {
		if _, err := s.AppendEvents(ctx, []event.Batch{batch("d", 0, 1), condensed(above, 50, 47)}); !errors.Is(err, dormer.ErrConflict) {
			t.Errorf("counted above %d: %v, want dormer.ErrConflict", above, err)
		}
	}
	equal(t, must[uint64](t)(s.Watermark(ctx, "i", "d", "j-d")), uint64(0))
	equal(t, must[[]uint64](t)(s.AppendEvents(ctx, []event.Batch{batch("d", 0, 1), condensed(3, 50, 47)})), []uint64{1, 50})
	if _, err := s.AppendEvents(ctx, []event.Batch{condensed(3, 50, 47)}); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("repeated: %v, want dormer.ErrConflict", err)
	}
	rows := slices.DeleteFunc(Rows(t, s, "i"), func(r event.Row) bool { return r.Client != "c" })
	slices.Reverse(rows)
	if len(rows) != 4 || rows[0].Count != 47 || rows[1].Count != 0 {
		t.Errorf("stored %+v, want the newest to stand for 47", rows)
	}
}

package httpapi

import (
	"runtime/debug"
	"testing"
)

// TestThrift: exports that overlap in any order leave the collection of garbage
// as it was, also one that is stricter.
func TestThrift(t *testing.T) {
	was := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(was)
	for _, test := range []struct{ before, during int }{{100, exportGarbage}, {400, exportGarbage}, {5, 5}, {-1, -1}} {
		debug.SetGCPercent(test.before)
		now := func(want int) {
			t.Helper()
			got := debug.SetGCPercent(test.before)
			debug.SetGCPercent(got)
			if got != want {
				t.Errorf("from %d: it is %d, want %d", test.before, got, want)
			}
		}
		var w thrift
		w.begin()
		now(test.during)
		w.begin()
		w.end()
		now(test.during)
		w.end()
		now(test.before)
	}
}

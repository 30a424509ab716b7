package httpapi

import (
	"runtime/debug"
	"sync"
)

// exportGarbage is how much garbage may wait to be collected while an export is
// written, in hundredths of what is in use.
const exportGarbage = 10

// thrift keeps the process small while exports are written: they make garbage
// as fast as they write, for minutes.
type thrift struct {
	mu      sync.Mutex // guards the fields below
	exports int
	before  int // the setting while there is none
}

// exporting is of the process, as what it sets.
var exporting thrift

// begin is called when an export begins. What others used for a moment, as
// sign-ins do for passwords, is not to be held beside what an export needs.
func (t *thrift) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exports++; t.exports == 1 {
		if t.before = debug.SetGCPercent(exportGarbage); t.before < exportGarbage {
			debug.SetGCPercent(t.before) // it is stricter, or collection is off
		}
	}
	debug.FreeOSMemory()
}

// end is called when an export has ended.
func (t *thrift) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exports--; t.exports == 0 {
		debug.SetGCPercent(t.before)
	}
}

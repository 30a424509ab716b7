package kerberos

import (
	"encoding/binary"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/credentials"

	"github.com/dormer-project/dormer"
)

var errCache = fmt.Errorf("they are malformed: run kinit: %w", dormer.ErrCorrupt)

// parseCache reads a ticket cache of version 3 or 4. Its errors say nothing of
// what is in it.
func parseCache(b []byte) (c *credentials.CCache, err error) {
	defer func() {
		if recover() != nil {
			c, err = nil, errCache
		}
	}()
	if !wellFormed(b) {
		return nil, errCache
	}
	c = new(credentials.CCache)
	if c.Unmarshal(b) != nil {
		return nil, errCache
	}
	return c, nil
}

// wellFormed walks over a ticket cache: the library believes the counts in it
// and allocates accordingly.
func wellFormed(b []byte) bool {
	const magic = 5
	w := walker{rest: b, good: true}
	if w.number(1) != magic {
		return false
	}
	version := w.number(1)
	switch version {
	case 3:
	case 4:
		// The header has fields of one kind, and the library loses count of others.
		const field = 12
		header := w.number(2)
		if header%field != 0 {
			return false
		}
		w.skip(header)
	default:
		return false
	}
	w.principal()
	for w.good && len(w.rest) > 0 {
		w.principal()
		w.principal()
		w.skip(2) // type of the key
		if version == 3 {
			w.skip(2)
		}
		w.data()
		w.skip(4*4 + 1 + 4) // times, kind, flags
		w.typed()           // addresses
		w.typed()           // authorization data
		w.data()
		w.data()
	}
	return w.good
}

// walker reads what is in rest as long as it is good.
type walker struct {
	rest []byte
	good bool
}

func (w *walker) skip(n int) []byte {
	if w.good = w.good && n <= len(w.rest); !w.good {
		return nil
	}
	skipped := w.rest[:n]
	w.rest = w.rest[n:]
	return skipped
}

func (w *walker) number(size int) int {
	var b [8]byte
	copy(b[len(b)-size:], w.skip(size))
	return int(binary.BigEndian.Uint64(b[:]))
}

func (w *walker) data() { w.skip(w.number(4)) }

func (w *walker) principal() {
	w.skip(4) // type
	n := w.number(4)
	w.data() // realm
	for ; w.good && n > 0; n-- {
		w.data()
	}
}

func (w *walker) typed() {
	for n := w.number(4); w.good && n > 0; n-- {
		w.skip(2)
		w.data()
	}
}

package imageformat

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
)

// decoder reads the binary forms. After the first mistake it returns zeros, and
// finish tells what was wrong.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %w", what, dormer.ErrCorrupt)
	}
	d.b = nil
}

func (d *decoder) magic(want string) {
	rest, ok := strings.CutPrefix(string(d.b[:min(len(want), len(d.b))]), want)
	if !ok || rest != "" {
		d.fail("does not begin as it must")
		return
	}
	d.b = d.b[len(want):]
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("ends too early")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("ends too early")
		return 0
	}
	d.b = d.b[n:]
	const limit = 1 << 40
	if v > limit || v < -limit {
		d.fail("a number is too large")
		return 0
	}
	return v
}

// bounded reads a number of at most limit.
func (d *decoder) bounded(limit int) int {
	v := d.uvarint()
	if v > uint64(limit) {
		d.fail("a number is too large")
		return 0
	}
	return int(v)
}

// count reads how many entries of at least size bytes follow, at most limit and
// at most what the input has left.
func (d *decoder) count(size, limit int) int {
	n := d.bounded(limit)
	if n > len(d.b)/size {
		d.fail("promises more than it holds")
		return 0
	}
	return n
}

func (d *decoder) hash() Hash {
	var h Hash
	if len(d.b) < len(h) {
		d.fail("ends too early")
		return h
	}
	d.b = d.b[copy(h[:], d.b):]
	return h
}

func (d *decoder) finish(what string) error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("has something after its end")
	}
	if d.err != nil {
		return fmt.Errorf("%s %w", what, d.err)
	}
	return nil
}

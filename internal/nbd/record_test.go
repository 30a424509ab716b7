package nbd_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/nbd"
)

// whole is a disk of which everything is data.
type whole struct{ *bytes.Reader }

func (w whole) Extents(_, length int64) ([]nbd.Extent, error) {
	return []nbd.Extent{{Length: length}}, nil
}

func TestRecorder(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 200*4096/16)
	var got []nbd.Run
	r := nbd.NewRecorder(whole{bytes.NewReader(content)}, func(run nbd.Run) { got = append(got, run) })
	read := func(off, length int64) {
		t.Helper()
		b := make([]byte, length)
		if _, err := r.ReadAt(b, off); err != nil || !bytes.Equal(b, content[off:off+length]) {
			t.Fatalf("read %d at %d: %v", length, off, err)
		}
	}
	read(100*4096, 2*4096)
	read(4095, 2)          // the ends of two blocks
	read(98*4096, 5*4096)  // around what was read
	read(98*4096, 5*4096)  // again
	read(60*4096, 10*4096) // over the end of a word of bits
	r.Stop()
	read(0, 4096)
	want := []nbd.Run{{Block: 100, Blocks: 2}, {Block: 0, Blocks: 2}, {Block: 98, Blocks: 2}, {Block: 102, Blocks: 1}, {Block: 60, Blocks: 10}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

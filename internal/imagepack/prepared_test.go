package imagepack_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/preparation"
)

// Of the records on a disk the newest counts, wherever it lies; a damaged one
// does not.
func TestPreparationIsFound(t *testing.T) {
	publisher, _, key := packtest.Keys(t, "")
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	record := func(sequence uint64) preparation.Record {
		return preparation.Record{
			State: preparation.StatePrepared, Sequence: sequence, Prepared: at, Changed: at, Boot: "b",
			Findings: []guestwire.Finding{{ID: "history", Text: "root has a history"}},
		}
	}
	disk := packtest.NewDisk(5, 6<<20)
	put := func(block int, r preparation.Record) []byte {
		b, err := preparation.Encode(r, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		copy(disk[block*imageformat.BlockSize:], b)
		return disk[block*imageformat.BlockSize:]
	}
	if p := packtest.Pack(t, disk, imagepack.Options{Signer: publisher, Key: key}); p.Preparation != nil {
		t.Errorf("a disk without a record: %+v", p.Preparation)
	}
	put(900, record(2))
	put(1000, record(7))
	put(1100, record(3))
	put(1200, record(9))[100] ^= 1 // damaged
	p := packtest.Pack(t, disk, imagepack.Options{Signer: publisher, Key: key})
	want := record(7)
	if diff := cmp.Diff(&want, p.Preparation); diff != "" {
		t.Error(diff)
	}
	opened, err := imagepack.OpenPacked(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, opened.Preparation); diff != "" {
		t.Errorf("opened later: %s", diff)
	}
}

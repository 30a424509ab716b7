package imagerepo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imagerepo"
)

// TestHoldings: what an image takes, what its versions share, and what goes
// when several of them are deleted together.
func TestHoldings(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 3)
	for _, p := range packed {
		push(t, w.repo(), "Office", p)
	}
	push(t, w.repo(), "copy", packed[2])
	push(t, w.repos[there], "theirs", packed[0])

	all, err := w.repo().Holdings(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "Office" || all[1].Name != "copy" {
		t.Fatalf("Holdings = %+v, %v", all, err)
	}
	sizes := map[string]int64{}
	shared := map[string]int{}
	sum := int64(0)
	for _, p := range packed {
		for _, o := range p.Manifest.Objects {
			sizes[o.Name] = o.Size
			shared[o.Name]++
			sum += o.Size
		}
	}
	stored, middle := int64(0), int64(0)
	for _, size := range sizes {
		stored += size
	}
	for _, o := range packed[1].Manifest.Objects {
		if shared[o.Name] == 1 {
			middle += o.Size
		}
	}
	office := all[0]
	if office.Stored != stored || office.Saved != sum-stored || office.Saved <= 0 {
		t.Errorf("Office takes %d and saves %d, want %d and %d", office.Stored, office.Saved, stored, sum-stored)
	}
	// The copy needs the third version and another instance the first, so that
	// what the second alone has is all that goes.
	if office.Unique != middle || middle <= 0 {
		t.Errorf("deleting Office would free %d, want %d", office.Unique, middle)
	}
	if v := office.Versions[1]; v.Number != 2 || v.Unique != middle || v.Publisher == "" {
		t.Errorf("the second version is %+v", v)
	}
	for _, c := range []struct {
		image    string
		numbers  []int
		bytes    int64
		versions []int
	}{
		{"office", nil, middle, []int{1, 2, 3}},
		{"OFFICE", []int{3, 2}, middle, []int{2, 3}},
		{"office", []int{1}, 0, []int{1}},
		{"copy", nil, 0, []int{1}},
	} {
		bytes, versions, err := w.repo().Frees(t.Context(), c.image, c.numbers...)
		if err != nil || bytes != c.bytes {
			t.Errorf("deleting %s %v would free %d (%v), want %d", c.image, c.numbers, bytes, err, c.bytes)
		}
		if d := cmp.Diff(c.versions, numbersOf(versions)); d != "" {
			t.Errorf("versions of %s %v (-want +got):\n%s", c.image, c.numbers, d)
		}
	}
	_, _, err = w.repo().Frees(t.Context(), "office", 9)
	wantErr(t, "unknown version", err, dormer.ErrNotFound)
	_, _, err = w.repo().Frees(t.Context(), "nothing")
	wantErr(t, "unknown image", err, dormer.ErrNotFound)

	// Without the other users, what only versions share that go together is
	// freed with them: more than their parts.
	if _, err := w.repo().DeleteAll(t.Context(), "copy", "bob"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.repos[there].DeleteAll(t.Context(), "theirs", "bob"); err != nil {
		t.Fatal(err)
	}
	all, err = w.repo().Holdings(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("Holdings after deletion = %+v, %v", all, err)
	}
	parts := int64(0)
	for _, v := range all[0].Versions {
		parts += v.Unique
	}
	if all[0].Unique != stored || parts >= stored {
		t.Errorf("deleting all would free %d of %d, its versions one by one %d", all[0].Unique, stored, parts)
	}
}

func numbersOf(versions []imagerepo.Version) []int {
	var out []int
	for _, v := range versions {
		out = append(out, v.Number)
	}
	return out
}

// TestHoldingsAgain: what was read and verified is not again, until other keys are
// trusted.
func TestHoldingsAgain(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 2)
	const versions = 40
	for i := range versions {
		push(t, w.repo(), "office", packed[i%2])
	}
	holdings := func() error {
		all, err := w.repo().Holdings(t.Context())
		if err == nil && (len(all) != 1 || len(all[0].Versions) != versions) {
			t.Errorf("holdings are %+v", all)
		}
		return err
	}
	if err := holdings(); err != nil {
		t.Fatal(err)
	}
	// Decoding and verifying a record takes more than all the rest.
	if n := testing.AllocsPerRun(5, func() { _ = holdings() }) / versions; n > 10 {
		t.Errorf("listing a version again allocates %.0f times", n)
	}
	keys := w.trust.Keys
	w.trust.Keys = nil
	wantErr(t, "names that nobody who is trusted has signed", holdings(), dormer.ErrDenied)
	w.trust.Keys = keys
	if err := holdings(); err != nil {
		t.Error(err)
	}
}

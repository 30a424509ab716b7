package imagerepo_test

import (
	"strings"
	"testing"
)

// TestSurvey finds what is damaged in what it reads and what is missing in all,
// counts what nothing refers to, and changes nothing.
func TestSurvey(t *testing.T) {
	w := newWorld(t)
	packed, _ := w.versions(t, 2)
	for _, p := range packed {
		push(t, w.repo(), "office", p)
	}
	before := len(w.objects(t))
	first := func(int) int { return 0 }
	s, err := w.repo().Survey(t.Context(), 1<<40, first)
	if err != nil || s.Versions != 2 || s.Objects == 0 || s.Checked != s.Objects || s.CheckedBytes != s.Bytes || s.Orphans != 0 || len(s.Problems) != 0 {
		t.Errorf("all of it: %+v, %v", s, err)
	}
	if s, err = w.repo().Survey(t.Context(), 1, first); err != nil || s.Checked != 1 {
		t.Errorf("a sample: %+v, %v", s, err)
	}
	if err := w.repo().Delete(t.Context(), "office", 2, "bob"); err != nil {
		t.Fatal(err)
	}
	if s, err = w.repo().Survey(t.Context(), 1<<40, first); err != nil || s.Versions != 1 || s.Orphans == 0 || s.OrphanBytes == 0 || len(s.Problems) != 0 {
		t.Errorf("after a version was deleted: %+v, %v", s, err)
	}
	if after := len(w.objects(t)); after != before {
		t.Errorf("%d objects became %d", before, after)
	}
	objects := packed[0].Manifest.Objects
	if err := w.blobs.Corrupt(objects[0].Name, 5); err != nil {
		t.Fatal(err)
	}
	if err := w.blobs.Delete(t.Context(), objects[1].Name); err != nil {
		t.Fatal(err)
	}
	s, err = w.repo().Survey(t.Context(), 1<<40, first)
	if err != nil || len(s.Problems) != 2 {
		t.Fatalf("%+v, %v, want two problems", s, err)
	}
	for _, p := range s.Problems {
		if p.Object == objects[1].Name != strings.Contains(p.Message, "missing") {
			t.Errorf("%+v", p)
		}
	}
}

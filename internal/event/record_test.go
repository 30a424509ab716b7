package event

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

// FuzzDecodeJournal opens arbitrary bytes: whatever is decoded can be read
// again, in ascending order, within the file.
func FuzzDecodeJournal(f *testing.F) {
	header := appendRecord(nil, headerMagic, 1, []byte(`{"version":1,"journal":"abc"}`))
	body, err := encodeEvent(dormer.Event{Code: 1, Severity: dormer.Warning, Description: "DJe1 in a text"})
	if err != nil {
		f.Fatal(err)
	}
	whole := appendRecord(appendRecord(header, recordMagic, 1, body), recordMagic, 2, body)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(append([]byte("garbage"), whole...))
	f.Add([]byte(recordMagic + "\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decodeJournal(b)
		var last uint64
		var end int64
		for _, r := range d.events {
			if r.sequence <= last || r.offset < end || r.offset+int64(r.size) > int64(len(b)) || r.class < 0 || r.class >= classes {
				t.Fatalf("record %+v after sequence %d and offset %d in %d bytes", r, last, end, len(b))
			}
			last, end = r.sequence, r.offset+int64(r.size)
			e, err := decodeEvent(b[r.offset:end])
			if err != nil || e.Sequence != r.sequence {
				t.Fatalf("record %+v cannot be read again: %v, %v", r, e, err)
			}
		}
		if d.torn < 0 || d.torn > len(b) {
			t.Fatalf("%d torn bytes of %d", d.torn, len(b))
		}
	})
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		s     string
		limit int
		want  string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"aä", 2, "a"},
		{"ääää", 5, "ää"},
		{"a\x00\xffb", 9, "a??b"},
		{"€€", 4, "€"},
		{"", 0, ""},
	} {
		if got := cut(test.s, test.limit); got != test.want {
			t.Errorf("cut(%q, %d) = %q, want %q", test.s, test.limit, got, test.want)
		}
	}
}

func TestRecentMarks(t *testing.T) {
	m := recentMarks{limit: 2}
	key := func(c string) journalKey { return journalKey{client: dormer.ClientID(c)} }
	got := []uint64{m.raise(key("a"), 3), m.raise(key("a"), 2), m.raise(key("b"), 1), m.raise(key("c"), 1), m.raise(key("a"), 1)}
	if diff := cmp.Diff([]uint64{3, 3, 1, 1, 3}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range []string{"d", "e", "f", "g"} {
		m.raise(key(c), 1)
	}
	if _, ok := m.get(key("b")); ok {
		t.Error("what was not used is still remembered")
	}
	if n := len(m.recent) + len(m.old); n > 4 {
		t.Errorf("%d are remembered with a limit of 2", n)
	}
}

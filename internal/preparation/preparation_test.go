package preparation

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

func sample() Record {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	return Record{
		State: StatePrepared, Sequence: 3, Prepared: at, Changed: at, Boot: "b", System: "Debian", Software: "dormer-guest 1",
		Findings: []guestwire.Finding{{ID: "machine-id", Good: true, Text: "is empty"}, {ID: "history", Text: "root has a history"}},
	}
}

func TestRoundTrip(t *testing.T) {
	block, err := Encode(sample(), rand.Reader)
	if err != nil || len(block) != Size || !Is(block) {
		t.Fatalf("%d bytes, %v", len(block), err)
	}
	got, err := Decode(block)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
	// Every single changed bit is noticed.
	for i := range block {
		changed := bytes.Clone(block)
		changed[i] ^= 1
		if _, err := Decode(changed); !errors.Is(err, dormer.ErrCorrupt) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
}

// A record that is too long loses words, not findings.
func TestLongRecord(t *testing.T) {
	r := sample()
	for range 40 {
		r.Findings = append(r.Findings, guestwire.Finding{ID: "history", Text: strings.Repeat("ä", 500)})
	}
	block, err := Encode(r, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(block)
	if err != nil || len(got.Findings) != len(r.Findings) {
		t.Errorf("%d findings, %v", len(got.Findings), err)
	}
	r.Findings = make([]guestwire.Finding, maxFindings+1)
	if _, err := Encode(r, rand.Reader); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("too many findings: %v", err)
	}
}

func TestNewer(t *testing.T) {
	a, b := sample(), sample()
	b.Sequence++
	if !b.Newer(a) || a.Newer(b) || a.Newer(sample()) {
		t.Error("the higher sequence counts")
	}
	c := sample()
	c.Changed = c.Changed.Add(time.Second)
	if !c.Newer(a) || a.Newer(c) {
		t.Error("of two alike the later one counts")
	}
}

func TestWarnings(t *testing.T) {
	if got := Warnings(nil); len(got) != 1 || !strings.Contains(got[0], "no preparation record") {
		t.Errorf("without a record: %q", got)
	}
	r := sample()
	if diff := cmp.Diff([]string{"history: root has a history"}, Warnings(&r)); diff != "" {
		t.Error(diff)
	}
	r.State, r.Findings = StateUsed, nil
	if got := Warnings(&r); len(got) != 1 || !strings.Contains(got[0], "started again") {
		t.Errorf("used: %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	block, err := Encode(sample(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(block)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		if _, err := Encode(r, rand.Reader); err != nil && !errors.Is(err, dormer.ErrTooLarge) {
			t.Errorf("what was decoded cannot be encoded: %v", err)
		}
	})
}

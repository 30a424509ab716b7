package event

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
)

// TestJournalWriteFails lets a write fail: nothing of it is stored, what was
// stored before stays, and it goes on when writing works again.
func TestJournalWriteFails(t *testing.T) {
	dir := t.TempDir()
	j, err := OpenJournal(dir, JournalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(New(AgentStarted, time.Now(), "one")); err != nil {
		t.Fatal(err)
	}
	good := j.file
	readOnly, err := os.Open(filepath.Join(dir, JournalFile))
	if err != nil {
		t.Fatal(err)
	}
	j.file = readOnly
	if _, err := j.Append(New(AgentStarted, time.Now(), "lost")); err == nil {
		t.Fatal("appending to a file that cannot be written went well")
	}
	if j.Len() != 1 || j.Last() != 1 {
		t.Errorf("%d events up to %d after a failed write, want 1 up to 1", j.Len(), j.Last())
	}
	j.file = good
	last, err := j.Append(New(AgentStarted, time.Now(), "two"))
	if err != nil || last != 3 {
		t.Errorf("sequence %d, %v; want 3: that of the failed write is not used again", last, err)
	}
	if err := readOnly.Close(); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if j, err = OpenJournal(dir, JournalOptions{}); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, list, err := j.Next(0, 10); err != nil || len(list) != 2 || list[1].Sequence != 3 {
		t.Errorf("after reopening: %v, %v; want events 1 and 3", list, err)
	}
}

// TestJournalReplaceFails cannot write the file anew: the old one stays.
func TestJournalReplaceFails(t *testing.T) {
	dir := t.TempDir()
	j, err := OpenJournal(dir, JournalOptions{MaxBytes: MinJournalBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	// A folder stands where the new file is to be written.
	if err := os.Mkdir(filepath.Join(dir, journalTemp), 0o700); err != nil {
		t.Fatal(err)
	}
	e := dormer.Event{Severity: dormer.Information, Description: string(make([]byte, 900))}
	n := 0
	for n < 10_000 {
		if _, err = j.Append(e); err != nil {
			break
		}
		n++
	}
	if err == nil || n == 0 {
		t.Fatalf("%d events went into a journal that cannot make room", n)
	}
	if _, list, err := j.Next(0, 100_000); err != nil || len(list) != n {
		t.Errorf("%d events, %v; want %d", len(list), err, n)
	}
	if err := os.Remove(filepath.Join(dir, journalTemp)); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(e); err != nil {
		t.Errorf("after the obstacle went away: %v", err)
	}
}

// TestJournalOfAnotherVersion opens what a later agent has written.
func TestJournalOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	later := appendRecord(nil, headerMagic, 7, []byte(`{"version":2,"journal":"later"}`))
	if err := os.WriteFile(filepath.Join(dir, JournalFile), later, 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(dir, JournalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	id, list, err := j.Next(0, 10)
	if err != nil || id == "later" || len(list) != 1 || Code(list[0].Event.Code) != JournalRebuilt {
		t.Errorf("journal %s with %v, %v; want a new one that tells", id, list, err)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, journalUnreadable)); err != nil || string(kept) != string(later) {
		t.Errorf("the old file was not kept: %v", err)
	}
}

package event_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

func happening(user, what string) dormer.Event {
	e := event.New(event.FileRefused, time.Now(), what)
	e.User = user
	return e
}

// TestRepeats lets one event come again and again while others come in
// between: the first are there at once, the count of all is exact, and what is
// different is not merged.
func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, t.TempDir(), 0)
		r := event.NewRepeats(j, time.Now)
		put := func(e dormer.Event) {
			t.Helper()
			if err := r.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		var begin, end time.Time
		for i := range 1000 {
			put(happening("anna", "no"))
			if i%100 == 0 {
				put(happening("bert", fmt.Sprint("file ", i)))
			}
			if end = time.Now(); i == 0 {
				begin = end
			}
			<-time.After(10 * time.Millisecond)
		}
		if n, held := j.Len(), r.Len(); n != 3+10 || held != 1 {
			t.Errorf("%d events are there at once and %d are held, want 3 of the loop and all 10 others, and one", n, held)
		}
		if err := r.Flush(false); err != nil || j.Len() != 13 {
			t.Errorf("%v: %d events before the minute is over, want 13", err, j.Len())
		}
		<-time.After(event.RepeatPause) // the minute is not over
		if err := r.Flush(false); err != nil {
			t.Fatal(err)
		}
		count := 0
		var last dormer.Event
		for _, e := range next(t, j, 0) {
			if e.Event.User == "anna" {
				count += max(1, e.Event.Count)
				last = e.Event
			}
		}
		if count != 1000 || j.Len() != 14 || last.Count != 997 || !last.Time.Equal(end.UTC().Truncate(time.Microsecond)) || !last.Time.After(begin) {
			t.Errorf("%d are counted in %d events, the last %+v; want 1000 in 14, the last of them with its own time", count, j.Len(), last)
		}

		// To the end of the minute it goes on being counted; the next begins anew.
		for range 150 {
			put(happening("anna", "no"))
			if err := r.Flush(false); err != nil {
				t.Fatal(err)
			}
			<-time.After(300 * time.Millisecond)
		}
		if n := j.Len(); n != 14+1+3 {
			t.Errorf("%d events, want one more for the rest of the minute and three of the next", n)
		}

		// At the end nothing is kept back.
		if err := r.Flush(true); err != nil || r.Len() != 0 {
			t.Fatalf("%v, %d held", err, r.Len())
		}
		was := j.Len()
		for range 5 {
			put(happening("anna", "no"))
		}
		if n := j.Len(); n != was+3 {
			t.Errorf("%d events, want 3 more", n)
		}
		if err := r.Flush(true); err != nil || j.Len() != was+4 {
			t.Errorf("%v: %d events, want one more for the other two", err, j.Len())
		}
		count = 0
		for _, e := range next(t, j, 0) {
			count += max(1, e.Event.Count)
		}
		if want := 1000 + 10 + 150 + 5; count != want {
			t.Errorf("%d are counted in all, want %d", count, want)
		}
	})
}

// TestRepeatsOfInformation writes what people did as it happens, however often.
func TestRepeatsOfInformation(t *testing.T) {
	j := openJournal(t, t.TempDir(), 0)
	r := event.NewRepeats(j, time.Now)
	for range 20 {
		if err := r.Append(event.New(event.ApplicationRun, time.Now(), "the same")); err != nil {
			t.Fatal(err)
		}
	}
	if j.Len() != 20 || r.Len() != 0 {
		t.Errorf("%d events are there and %d are held, want 20 and none", j.Len(), r.Len())
	}
}

// TestRepeatsOfClosedJournal keeps counting what cannot be written.
func TestRepeatsOfClosedJournal(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, 0)
	r := event.NewRepeats(j, time.Now)
	for range 10 {
		if err := r.Append(happening("anna", "no")); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Flush(true); err == nil {
			t.Fatal("written to a closed journal")
		}
	}
}

// TestJournalGrows raises the bound: nothing gives way that would have before,
// also when the journal is opened again with the lower bound.
func TestJournalGrows(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, event.MinJournalBytes)
	j.Grow(4 * event.MinJournalBytes)
	j.Grow(event.MinJournalBytes) // changes nothing
	e := dormer.Event{Severity: dormer.Information, Description: strings.Repeat("x", 900)}
	const n = 3 * event.MinJournalBytes / 1000
	for range n {
		appendEvents(t, j, e)
	}
	if j.Len() != n {
		t.Errorf("%d events are left, want all %d", j.Len(), n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir, event.MinJournalBytes)
	j.Grow(4 * event.MinJournalBytes)
	appendEvents(t, j, e)
	if j.Len() != n+1 {
		t.Errorf("%d events are left after it was opened again, want all %d", j.Len(), n+1)
	}
}

// TestGapTells says how many events gave way, counting what those stand for,
// and of which time they were.
func TestGapTells(t *testing.T) {
	j := openJournal(t, t.TempDir(), event.MinJournalBytes)
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	kept := dormer.Event{Severity: dormer.Error, Description: strings.Repeat("e", 900), Time: at}
	// Each look reads all that wait.
	for i := 0; i%20 != 0 || gapOf(t, j) == ""; i++ {
		appendEvents(t, j, dormer.Event{
			Severity: dormer.Information, Description: strings.Repeat("x", 900), Time: at.Add(time.Duration(i) * time.Minute), Count: 5,
		}, kept)
	}
	var n, information, warnings, failures int
	var from, to string
	text := gapOf(t, j)
	_, err := fmt.Sscanf(text[strings.Index(text, ": ")+2:], "%d events were dropped unsent (%d of information, %d warnings, %d errors), from %s to %s",
		&n, &information, &warnings, &failures, &from, &to)
	first := at.Format(time.RFC3339) + ","
	last := at.Add(time.Duration(n/5-1) * time.Minute).Format(time.RFC3339)
	if err != nil || n == 0 || n%5 != 0 || n != information || warnings+failures != 0 || from != strings.TrimSuffix(first, ",") || to != last {
		t.Errorf("%v: %q, want that the oldest of information gave way, from %s to %s", err, text, first, last)
	}
}

func gapOf(t *testing.T, j *event.Journal) string {
	t.Helper()
	for _, e := range next(t, j, 0) {
		if event.Code(e.Event.Code) == event.JournalGap {
			return e.Event.Description
		}
	}
	return ""
}

package event_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

func openJournal(t testing.TB, dir string, maxBytes int64) *event.Journal {
	t.Helper()
	j, err := event.OpenJournal(dir, event.JournalOptions{MaxBytes: maxBytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func plainEvent(n int, s dormer.Severity) dormer.Event {
	return dormer.Event{Code: 501, Severity: s, Category: "workspace", Description: strconv.Itoa(n), Time: time.Unix(int64(n), 0).UTC()}
}

func appendEvents(t testing.TB, j *event.Journal, events ...dormer.Event) uint64 {
	t.Helper()
	last, err := j.Append(events...)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func next(t testing.TB, j *event.Journal, above uint64) []wire.NumberedEvent {
	t.Helper()
	_, list, err := j.Next(above, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range list {
		if e.Sequence <= above || i > 0 && e.Sequence <= list[i-1].Sequence {
			t.Fatalf("sequences above %d do not ascend: %d at %d", above, e.Sequence, i)
		}
	}
	return list
}

func descriptions(list []wire.NumberedEvent) (texts []string) {
	for _, e := range list {
		texts = append(texts, e.Event.Description)
	}
	return texts
}

func TestJournalKeeps(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, 0)
	id := j.ID()
	if !dormer.ValidID(string(id)) {
		t.Errorf("identity is %q", id)
	}
	if last := appendEvents(t, j, plainEvent(1, dormer.Information), plainEvent(2, dormer.Error)); last != 2 || j.Last() != 2 {
		t.Errorf("last sequence is %d, want 2", last)
	}
	appendEvents(t, j, plainEvent(3, dormer.Warning))
	all := next(t, j, 0)
	want := []wire.NumberedEvent{
		{Sequence: 1, Event: plainEvent(1, dormer.Information)},
		{Sequence: 2, Event: plainEvent(2, dormer.Error)},
		{Sequence: 3, Event: plainEvent(3, dormer.Warning)},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if got, list, err := j.Next(1, 1); err != nil || got != id || len(list) != 1 || list[0].Sequence != 2 {
		t.Errorf("one event above 1: %s %v, %v", got, list, err)
	}
	if err := j.Trim(id, 2); err != nil {
		t.Fatal(err)
	}
	if got := descriptions(next(t, j, 0)); !slices.Equal(got, []string{"3"}) || j.Len() != 1 {
		t.Errorf("after trimming: %v", got)
	}
	if err := j.Trim("another", 3); err != nil || j.Len() != 1 {
		t.Errorf("trimming under another identity: %v, %d left", err, j.Len())
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(plainEvent(4, dormer.Error)); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("appending to a closed journal: %v", err)
	}

	// Reopened: nothing is lost; what was trimmed may come again.
	k := openJournal(t, dir, 0)
	if k.ID() != id {
		t.Errorf("identity changed from %s to %s", id, k.ID())
	}
	if diff := cmp.Diff(want, next(t, k, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last := appendEvents(t, k, plainEvent(4, dormer.Error)); last != 4 {
		t.Errorf("sequence after reopening is %d, want 4", last)
	}
	if info, err := os.Stat(filepath.Join(dir, event.JournalFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v", info, err)
	}
}

func TestJournalTrimShrinks(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, 0)
	big := strings.Repeat("x", 1000)
	var last uint64
	for range 300 {
		last = appendEvents(t, j, dormer.Event{Severity: dormer.Error, Description: big})
	}
	if err := j.Trim(j.ID(), last); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, event.JournalFile)); err != nil || info.Size() > 1000 {
		t.Errorf("the file has %d bytes after everything was trimmed", info.Size())
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, dir, 0)
	if got := appendEvents(t, j, plainEvent(1, dormer.Error)); got != last+1 {
		t.Errorf("sequence is %d, want %d: they are never used twice", got, last+1)
	}
}

func TestJournalAtOnce(t *testing.T) {
	j := openJournal(t, t.TempDir(), 0)
	const writers, each = 16, 25
	var wg sync.WaitGroup
	sequences := make([][]uint64, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				last, err := j.Append(plainEvent(w*1000+i, dormer.Information))
				if err != nil {
					t.Error(err)
				}
				sequences[w] = append(sequences[w], last)
			}
		})
	}
	wg.Wait()
	byNumber := make(map[uint64]string)
	for _, e := range next(t, j, 0) {
		byNumber[e.Sequence] = e.Event.Description
	}
	if len(byNumber) != writers*each {
		t.Errorf("%d events, want %d", len(byNumber), writers*each)
	}
	for w, list := range sequences {
		for i, n := range list {
			if byNumber[n] != strconv.Itoa(w*1000+i) {
				t.Fatalf("sequence %d is %q, its writer was told that it is %d", n, byNumber[n], w*1000+i)
			}
		}
	}
}

// TestJournalFull fills the journal: information gives way first, then
// warnings, errors last, and the gaps add up.
func TestJournalFull(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, event.MinJournalBytes)
	id := j.ID()
	text := strings.Repeat("x", 900)
	severities := []dormer.Severity{dormer.Information, dormer.Information, dormer.Warning, dormer.Error}
	const n = 400
	for i := range n {
		e := plainEvent(i, severities[i%4])
		e.Description += " " + text
		appendEvents(t, j, e)
		if info, err := os.Stat(filepath.Join(dir, event.JournalFile)); err != nil || info.Size() > event.MinJournalBytes {
			t.Fatalf("after %d events the file has %d bytes, %v", i, info.Size(), err)
		}
	}
	left := map[dormer.Severity][]int{}
	dropped := 0
	for _, e := range next(t, j, 0) {
		if e.Event.Code == int(event.JournalGap) {
			var d int
			text := e.Event.Description[strings.Index(e.Event.Description, ": ")+2:]
			if _, err := fmt.Sscanf(text, "%d events", &d); err != nil {
				t.Fatalf("gap says %q", e.Event.Description)
			}
			dropped += d
			continue
		}
		i, err := strconv.Atoi(strings.Fields(e.Event.Description)[0])
		if err != nil {
			t.Fatal(err)
		}
		left[e.Event.Severity] = append(left[e.Event.Severity], i)
	}
	info, warnings, errs := len(left[dormer.Information]), len(left[dormer.Warning]), len(left[dormer.Error])
	if dropped == 0 || info+warnings+errs+dropped != n {
		t.Errorf("%d left and %d told as dropped, want %d together", info+warnings+errs, dropped, n)
	}
	if errs != n/4 {
		t.Errorf("%d of %d errors left while there is other to drop", errs, n/4)
	}
	if warnings == 0 || info > 50 {
		t.Errorf("%d warnings and %d of information left", warnings, info)
	}
	if w := left[dormer.Warning]; w[len(w)-1] != n-2 {
		t.Errorf("the newest warning left is %d, want the last", w[len(w)-1])
	}
	// More errors than fit: the oldest go.
	for i := range n {
		e := plainEvent(n+i, dormer.Error)
		e.Description += " " + text
		appendEvents(t, j, e)
	}
	list := next(t, j, 0)
	if last := list[len(list)-1].Event.Description; !strings.HasPrefix(last, strconv.Itoa(2*n-1)+" ") {
		t.Errorf("last is %.20q", last)
	}
	if j.ID() != id {
		t.Error("the identity changed")
	}
}

func TestJournalTooManyAtOnce(t *testing.T) {
	j := openJournal(t, t.TempDir(), event.MinJournalBytes)
	many := make([]dormer.Event, 1000)
	for i := range many {
		many[i] = plainEvent(i, dormer.Error)
	}
	if _, err := j.Append(many...); !errors.Is(err, dormer.ErrTooLarge) || j.Len() != 0 {
		t.Errorf("error is %v with %d stored, want dormer.ErrTooLarge and none", err, j.Len())
	}
}

// TestJournalTorn cuts the file at every byte: what is whole before the cut
// stays, and no sequence is used twice.
func TestJournalTorn(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, 0)
	id := j.ID()
	var ends []int64
	path := filepath.Join(dir, event.JournalFile)
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	begin := size()
	for i := range 2 {
		appendEvents(t, j, plainEvent(i+1, dormer.Error))
		ends = append(ends, size())
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range int64(len(whole)) {
		torn := t.TempDir()
		// A page of zeros, as a crash of the host leaves it, comes after.
		tail := make([]byte, 100*(cut%2))
		if err := os.WriteFile(filepath.Join(torn, event.JournalFile), append(slices.Clone(whole[:cut]), tail...), 0o600); err != nil {
			t.Fatal(err)
		}
		k := openJournal(t, torn, 0)
		list := next(t, k, 0)
		if cut < begin {
			if k.ID() == id || len(list) != 1 || list[0].Event.Code != int(event.JournalRebuilt) {
				t.Fatalf("cut at %d within the header: identity %s, %v", cut, k.ID(), list)
			}
			continue
		}
		want := 0
		for want < len(ends) && ends[want] <= cut {
			want++
		}
		if k.ID() != id || len(list) != want {
			t.Fatalf("cut at %d: identity %s, %d events, want %d", cut, k.ID(), len(list), want)
		}
		if last := appendEvents(t, k, plainEvent(9, dormer.Error)); last <= uint64(want) {
			t.Fatalf("cut at %d: sequence %d is used again", cut, last)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		if again := next(t, openJournal(t, torn, 0), 0); len(again) != want+1 {
			t.Fatalf("cut at %d: %d events after appending and reopening, want %d", cut, len(again), want+1)
		}
	}
}

// TestJournalFlipped changes every byte: at most the event it belongs to is
// lost, and that is told.
func TestJournalFlipped(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, 0)
	id := j.ID()
	path := filepath.Join(dir, event.JournalFile)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	begin := info.Size()
	for i := range 3 {
		appendEvents(t, j, plainEvent(i+1, dormer.Error))
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := len(whole) - int(int64(len(whole))-begin)/3 // where the last record begins
	for at := 0; at < len(whole); at += 2 {
		flipped := t.TempDir()
		b := slices.Clone(whole)
		b[at] ^= 0x10
		if err := os.WriteFile(filepath.Join(flipped, event.JournalFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		k := openJournal(t, flipped, 0)
		list := next(t, k, 0)
		var own, kept int
		for _, e := range list {
			if e.Event.Category == "agent" {
				own++
			} else {
				kept++
			}
		}
		switch {
		case int64(at) < begin:
			if k.ID() == id || kept != 3 || own != 1 {
				t.Fatalf("header flipped at %d: identity %s, %d kept, %d told", at, k.ID(), kept, own)
			}
		case at < last:
			if k.ID() != id || kept != 2 || own != 1 {
				t.Fatalf("record flipped at %d: identity %s, %d kept, %d told", at, k.ID(), kept, own)
			}
		default: // not to be told from a torn end
			if k.ID() != id || kept != 2 {
				t.Fatalf("last record flipped at %d: identity %s, %d kept", at, k.ID(), kept)
			}
		}
		if n := appendEvents(t, k, plainEvent(9, dormer.Error)); k.ID() == id && n <= 3 {
			t.Fatalf("flipped at %d: sequence %d is used again", at, n)
		}
	}
}

// TestJournalDamagedWhileOpen changes a byte under an open journal.
func TestJournalDamagedWhileOpen(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, 0)
	appendEvents(t, j, plainEvent(1, dormer.Error), plainEvent(2, dormer.Error))
	path := filepath.Join(dir, event.JournalFile)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("!"), info.Size()-2); err != nil {
		t.Fatal(err)
	}
	if got := descriptions(next(t, j, 0)); !slices.Equal(got, []string{"1"}) {
		t.Errorf("readable events are %v, want the first", got)
	}
	if last := appendEvents(t, j, plainEvent(3, dormer.Error)); last != 3 {
		t.Errorf("sequence is %d, want 3", last)
	}
	list := next(t, j, 0)
	if len(list) != 3 || list[1].Sequence != 3 || list[2].Event.Code != int(event.JournalDamaged) {
		t.Errorf("events are %v, want that the damage is told", list)
	}
}

// TestJournalOldCopy puts an old copy of the journal back.
func TestJournalOldCopy(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, 0)
	id := j.ID()
	appendEvents(t, j, plainEvent(1, dormer.Error))
	if err := j.Trim(id, 10); err != nil { // the server has received 10
		t.Fatal(err)
	}
	list := next(t, j, 0)
	if j.ID() == id || len(list) != 2 || list[0].Event.Description != "1" || list[1].Event.Code != int(event.JournalRebuilt) {
		t.Errorf("identity %s (was %s), events %v: want a new one and all events", j.ID(), id, list)
	}
}

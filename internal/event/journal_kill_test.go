package event_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

const journalChild = "DORMER_EVENT_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(journalChild); dir != "" {
		if err := appendForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForEver appends from several goroutines, trims at times, and writes
// "NUMBER SEQUENCE" on stdout for each event that is durable.
func appendForEver(dir string) error {
	j, err := event.OpenJournal(dir, event.JournalOptions{MaxBytes: event.MinJournalBytes})
	if err != nil {
		return err
	}
	errs := make(chan error)
	for w := range 4 {
		go func() {
			for {
				n := rand.IntN(1 << 30)
				last, err := j.Append(plainEvent(n, dormer.Error))
				if err == nil {
					_, err = fmt.Fprintf(os.Stdout, "%d %d\n", n, last)
				}
				if err == nil && w == 0 && last%50 == 0 && last > 2000 {
					err = j.Trim(j.ID(), last-500) // keeps the file being written anew
				}
				if err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	select {
	case err := <-errs:
		return err
	case <-time.After(time.Minute):
		return errors.New("nobody killed the child")
	}
}

// TestJournalKill kills a process that appends: every event that was durable
// and not trimmed is there exactly once.
func TestJournalKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 10 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), journalChild+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := make(map[uint64]string)
		var highest uint64
		after := 50 + rand.IntN(400)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			number, sequence, found := strings.Cut(lines.Text(), " ")
			s, err := strconv.ParseUint(sequence, 10, 64)
			if !found || err != nil {
				continue
			}
			acknowledged[s] = number
			highest = max(highest, s)
			if n == after {
				time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = child.Process.Kill() })
			}
		}
		if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("child: %v, want that it was killed", err)
		}
		j, err := event.OpenJournal(dir, event.JournalOptions{MaxBytes: event.MinJournalBytes})
		if err != nil {
			t.Fatal(err)
		}
		stored := make(map[uint64]string)
		for _, e := range next(t, j, 0) {
			stored[e.Sequence] = e.Event.Description
		}
		for s, number := range acknowledged {
			if s+500 > highest && stored[s] != number {
				t.Fatalf("round %d: event %d is %q, acknowledged as %q (highest %d, %d stored)", round, s, stored[s], number, highest, len(stored))
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

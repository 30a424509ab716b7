package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// childEnv makes the test binary do the work of a child process.
const childEnv = "DORMER_STORE_CHILD"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childEnv); dsn != "" {
		if err := appendForEver(dsn); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // the main of the child process
		}
	}
	os.Exit(m.Run()) //nolint:forbidigo // the main of the test binary
}

const crashClients = 3

// appendForEver stores events of three clients and writes "CLIENT WATERMARK"
// on stdout once they are durable. Every time it sends some that it sent
// before.
func appendForEver(dsn string) error {
	ctx, cancel := contextOfChild()
	defer cancel()
	s, err := store.OpenEvents(ctx, dsn, store.Options{})
	if err != nil {
		return err
	}
	var last [crashClients]uint64
	for c := range last {
		if last[c], err = s.Watermark(ctx, "i", crashClient(c), "j"); err != nil {
			return err
		}
	}
	for {
		batches := make([]event.Batch, crashClients)
		for c := range batches {
			batches[c] = event.Batch{Instance: "i", Client: crashClient(c), Journal: "j", Received: time.Now()}
			first := uint64(1)
			if last[c] > 5 {
				first = last[c] - 5
			}
			for n := first; n <= last[c]+uint64(10*c+1); n++ {
				batches[c].Events = append(batches[c].Events, wire.NumberedEvent{Sequence: n, Event: dormer.Event{
					Severity: dormer.Information, Description: strconv.FormatUint(n, 10), Time: time.Now(),
				}})
			}
		}
		marks, err := s.AppendEvents(ctx, batches)
		if err != nil {
			return err
		}
		for c, m := range marks {
			last[c] = m
			if _, err := fmt.Fprintln(os.Stdout, c, m); err != nil {
				return err
			}
		}
	}
}

func crashClient(c int) dormer.ClientID { return dormer.ClientID(fmt.Sprint("client-", c)) }

// TestKill kills a process that stores events at random moments: afterwards
// every event that was acknowledged is there exactly once.
func TestKill(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			var acknowledged [crashClients]uint64
			for round := range 8 {
				runAndKill(t, dsn, &acknowledged, 3+rand.IntN(40))
				s, err := store.OpenEvents(t.Context(), dsn, store.Options{})
				if err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				checkExactlyOnce(t, s, acknowledged)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// runAndKill kills a child after so many acknowledgements and a moment.
func runAndKill(t *testing.T, dsn string, acknowledged *[crashClients]uint64, after int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dsn)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		var (
			c    int
			mark uint64
		)
		if _, err := fmt.Sscan(lines.Text(), &c, &mark); err != nil {
			break // the last line may be cut
		}
		acknowledged[c] = mark
		if n == after {
			// Somewhere within the next transactions.
			time.AfterFunc(time.Duration(rand.IntN(4000))*time.Microsecond, func() { _ = child.Process.Kill() })
		}
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("child: %v, want that it was killed", err)
	}
}

func checkExactlyOnce(t *testing.T, s *store.Events, acknowledged [crashClients]uint64) {
	t.Helper()
	for c, mark := range acknowledged {
		rows, err := s.Events(t.Context(), event.Filter{Instance: "i", Client: crashClient(c), Limit: 1_000_000})
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]int)
		for _, r := range rows {
			seen[r.Description]++
		}
		for n := range mark {
			if got := seen[strconv.FormatUint(n+1, 10)]; got != 1 {
				t.Fatalf("client %d: acknowledged event %d is there %d times (acknowledged %d, stored %d)", c, n+1, got, mark, len(rows))
			}
		}
		stored, err := s.Watermark(t.Context(), "i", crashClient(c), "j")
		if err != nil {
			t.Fatal(err)
		}
		if uint64(len(rows)) != stored || len(seen) != len(rows) {
			t.Fatalf("client %d: %d rows, %d different, watermark %d", c, len(rows), len(seen), stored)
		}
	}
}

// TestDiskFull fills the database: nothing that was acknowledged is lost, and it
// goes on when there is room.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "full.db")
	s := openEvents(t, "sqlite:"+path)
	store.LimitPages(t, s, 60)
	var err error
	var stored uint64
	for n := uint64(1); err == nil && n < 100_000; n += 100 {
		b := event.Batch{Instance: "i", Client: "c", Journal: "j", Received: time.Now()}
		for i := range uint64(100) {
			b.Events = append(b.Events, wire.NumberedEvent{Sequence: n + i, Event: dormer.Event{
				Severity: dormer.Error, Description: strings.Repeat("x", 500), Time: time.Now(),
			}})
		}
		var marks []uint64
		if marks, err = s.AppendEvents(t.Context(), []event.Batch{b}); err == nil {
			stored = marks[0]
		}
	}
	if !isFull(err) {
		t.Fatalf("error is %v, want dormer.ErrFull", err)
	}
	if w, err := s.Watermark(t.Context(), "i", "c", "j"); err != nil || w != stored {
		t.Errorf("watermark is %d (%v) after a full disk, want %d", w, err, stored)
	}
	// Room again: it goes on.
	store.LimitPages(t, s, 100_000)
	b := event.Batch{Instance: "i", Client: "c", Journal: "j", Received: time.Now()}
	b.Events = []wire.NumberedEvent{{Sequence: stored + 1, Event: dormer.Event{Severity: dormer.Error, Time: time.Now()}}}
	if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); err != nil {
		t.Error(err)
	}
}

func isFull(err error) bool { return errors.Is(err, dormer.ErrFull) }

// contextOfChild ends with the child, which is killed, or after a minute if
// nobody does.
func contextOfChild() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

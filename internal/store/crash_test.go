package store_test

import (
	"bufio"
	"context"
	"database/sql"
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
	"github.com/dormer-project/dormer/internal/store/storetest"
	"github.com/dormer-project/dormer/internal/wire"
)

// These make the test binary do the work of a child process.
const (
	childEnv     = "DORMER_STORE_CHILD"
	migratingEnv = "DORMER_STORE_MIGRATING"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childEnv); dsn != "" {
		if err := appendForEver(dsn); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if dsn := os.Getenv(migratingEnv); dsn != "" {
		if err := migrateForEver(dsn); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
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
			for round := range 6 {
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
	of := make(map[dormer.ClientID][]event.Row)
	for _, r := range storetest.Rows(t, s, "i") {
		of[r.Client] = append(of[r.Client], r)
	}
	for c, mark := range acknowledged {
		rows := of[crashClient(c)]
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

// slowStep begins with changes and then takes longer than anybody waits.
const slowStep = `CREATE TABLE half_done (n bigint);
INSERT INTO half_done (n) VALUES (1);
DROP TABLE audit;
INSERT INTO half_done (n) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4000000000) SELECT max(n) FROM c;`

func migrateForEver(dsn string) error {
	ctx, cancel := contextOfChild()
	defer cancel()
	s, err := store.OpenState(ctx, dsn, store.Options{})
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "migrating")
	return store.MigrateFurther(ctx, dsn, slowStep)
}

// TestMigrationKilled kills a process within a migration: the database is as
// it was before.
func TestMigrationKilled(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			dsn := e.dsn(t)
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(), migratingEnv+"="+dsn)
			child.Stderr = os.Stderr
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			if !bufio.NewScanner(out).Scan() {
				t.Fatal("the child did not begin")
			}
			time.AfterFunc(400*time.Millisecond, func() { _ = child.Process.Kill() })
			if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("child: %v, want that it was killed", err)
			}
			// PostgreSQL notices that a client is gone when it next writes to it;
			// a lock of the killed migration would make this wait.
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if e.name == "postgres" {
				endOthers(t, dsn)
			}
			if err := store.MigrateFurther(ctx, dsn, "CREATE TABLE half_done (n bigint); SELECT count(*) FROM audit;"); err != nil {
				t.Errorf("the step that was killed cannot be run again: %v", err)
			}
		})
	}
}

// endOthers ends the statements that killed clients have left running.
func endOthers(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE query LIKE '%half_done%' AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
}

// TestPartitionsDroppedElsewhere stores into a day that another server has
// dropped meanwhile.
func TestPartitionsDroppedElsewhere(t *testing.T) {
	dsn := postgresDSN(t)
	one, other := openEvents(t, dsn), openEvents(t, dsn)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range uint64(2) {
		b := event.Batch{Instance: "i", Client: "c", Journal: "j", Received: at, Events: []wire.NumberedEvent{
			{Sequence: n + 1, Event: dormer.Event{Severity: dormer.Warning, Time: at}},
		}}
		if _, err := one.AppendEvents(t.Context(), []event.Batch{b}); err != nil {
			t.Fatalf("event %d: %v", n+1, err)
		}
		if deleted, err := other.DeleteEventsBefore(t.Context(), "i", at.AddDate(0, 0, 1)); err != nil || deleted != 1 {
			t.Fatalf("event %d: %d deleted (%v), want 1", n+1, deleted, err)
		}
	}
}

// TestPartitions looks at what PostgreSQL keeps events in.
func TestPartitions(t *testing.T) {
	s := openEvents(t, postgresDSN(t))
	day := time.Date(2026, 1, 1, 23, 59, 59, 999_999_000, time.UTC)
	for i, at := range []time.Time{day, day.Add(time.Microsecond), day.Add(time.Hour), time.Date(1969, 12, 31, 12, 0, 0, 0, time.UTC)} {
		for _, instance := range []dormer.InstanceID{"one", "two"} {
			b := event.Batch{Instance: instance, Client: "c", Journal: "j", Received: at, Events: []wire.NumberedEvent{
				{Sequence: uint64(i + 1), Event: dormer.Event{Severity: dormer.Warning, Time: at}},
			}}
			if _, err := s.AppendEvents(t.Context(), []event.Batch{b}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if list := store.PartitionsOf(t, s); len(list) != 6 {
		t.Errorf("partitions are %v, want three days of two instances", list)
	}
	if n, err := s.DeleteEventsBefore(t.Context(), "one", day.Add(time.Hour)); err != nil || n != 3 {
		t.Errorf("%d events deleted (%v), want 3", n, err)
	}
	if list := store.PartitionsOf(t, s); len(list) != 4 {
		t.Errorf("partitions are %v, want one day of one instance and three of the other", list)
	}
}

package standby

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/litestream"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// roundsVariable says how many failovers TestNothingSafeIsLost goes through on
// each target; unset: a few.
const roundsVariable = "DORMER_TEST_FAILOVERS"

// quickLevels compact so often that it happens beside each failover.
var quickLevels = litestream.CompactionLevels{
	{Level: 0},
	{Level: 1, Interval: 150 * time.Millisecond},
	{Level: 2, Interval: 500 * time.Millisecond},
}

// sender is a client: what it was told of its journal, which has the sequences
// from 1 without a gap.
type sender struct {
	name           dormer.ClientID
	received, safe uint64
}

func (c *sender) batch(events uint64) event.Batch {
	b := event.Batch{Instance: instance, Client: c.name, Journal: "journal", Received: time.Now(), Host: "pc", ClientVersion: "1.0"}
	for n := range events {
		b.Events = append(b.Events, wire.NumberedEvent{
			Sequence: c.received + 1 + n, Event: event.New(event.ApplicationRun, time.Now(), "something was run"),
		})
	}
	return b
}

// send submits events until the server takes no more.
func (c *sender) send(ctx context.Context, to *event.Ingester, random *rand.Rand) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		marks, err := to.Submit(ctx, c.batch(uint64(random.IntN(20))))
		if err != nil {
			return
		}
		c.received, c.safe = marks.Received, max(c.safe, marks.Safe)
		<-tick.C
	}
}

// eventServer is a server as far as events go.
type eventServer struct {
	t        *testing.T
	events   *store.Events
	ingester *event.Ingester
	shipper  *Shipper
	stopping []func()
}

func startEventServer(t *testing.T, dir, owner string, epoch dormer.Epoch, target *Target) *eventServer {
	t.Helper()
	path := filepath.Join(dir, "events.db")
	events, err := store.OpenEvents(t.Context(), "sqlite:"+path, store.Options{Readers: 1, KeepWAL: true})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "keys", "root.key"), "a root key")
	s := &eventServer{t: t, events: events}
	s.shipper = NewShipper(ShipConfig{
		Target: target, Lock: testLock(t), Instance: instance, Epoch: epoch, Owner: owner, Host: "primary",
		Databases: map[string]string{"events": path}, Keys: filepath.Join(dir, "keys"),
		Interval: 20 * time.Millisecond, Fenced: func(dormer.Epoch) {}, Now: time.Now, Logger: testLogger(t),
	})
	old := s.shipper.store
	s.shipper.store = litestream.NewStore(s.shipper.dbs, quickLevels)
	s.shipper.store.Logger = old.Logger
	s.shipper.store.SnapshotInterval, s.shipper.store.SnapshotRetention = time.Second, 2*time.Second
	s.shipper.store.L0Retention, s.shipper.store.L0RetentionCheckInterval = 300*time.Millisecond, 100*time.Millisecond
	for _, db := range s.shipper.dbs {
		db.SetLogger(old.Logger)
		db.ShutdownSyncTimeout, db.L0Retention = closeTime, s.shipper.store.L0Retention
	}
	if err := s.shipper.Rule(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	s.ingester = event.NewIngester(events, event.IngestConfig{
		Now: time.Now, Logger: testLogger(t), Replicate: s.shipper.Sync, Limits: event.IngestLimits{ClientBurst: -1},
	})
	s.run(s.ingester.Run)
	s.run(s.shipper.Run)
	return s
}

func (s *eventServer) run(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	s.stopping = append(s.stopping, func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// halt ends the server without shipping anything more. Its files stay open.
func (s *eventServer) halt() {
	s.shipper.mu.Lock()
	s.shipper.fenced = max(s.shipper.fenced, 1)
	s.shipper.mu.Unlock()
	for i := range s.stopping {
		s.stopping[len(s.stopping)-1-i]()
	}
}

func (s *eventServer) close() {
	if err := errors.Join(s.shipper.Close(), s.events.Close()); err != nil {
		s.t.Error(err)
	}
}

// again starts a server anew that was halted: as if the power had failed, or after
// its files were closed. Sometimes something is stored meanwhile that nobody ships, and
// the log is written back. It ran in dir; the folder in which it runs now is returned.
func (s *eventServer) again(random *rand.Rand, dir string, clients []*sender) (*eventServer, string) {
	s.t.Helper()
	next := dir
	if random.IntN(2) == 0 {
		next = s.t.TempDir()
		if err := os.CopyFS(next, os.DirFS(dir)); err != nil {
			s.t.Fatal(err)
		}
	}
	s.close()
	if random.IntN(2) == 0 {
		events, err := store.OpenEvents(s.t.Context(), "sqlite:"+filepath.Join(next, "events.db"), store.Options{})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, c := range clients {
			marks, err := events.AppendEvents(s.t.Context(), []event.Batch{c.batch(1 + uint64(random.IntN(20)))})
			if err != nil {
				s.t.Fatal(err)
			}
			if marks[0] <= c.received {
				s.t.Errorf("%s was told that %d are received; after a restart there are %d", c.name, c.received, marks[0])
			}
			c.received = marks[0]
		}
		if err := events.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	c := s.shipper.cfg
	return startEventServer(s.t, next, c.Owner, c.Epoch, c.Target), next
}

// TestNothingSafeIsLost fails over again and again, at any moment, with the
// primary gone or still on, and with a follower that was there before or not:
// what clients were told is safe is there each time, and each event once.
func TestNothingSafeIsLost(t *testing.T) {
	rounds := 2
	if s := os.Getenv(roundsVariable); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	everyTarget(t, func(t *testing.T, open func() *Target) {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		t.Logf("seed %d", seed)
		clients := []*sender{{name: "client-1"}, {name: "client-2"}, {name: "client-3"}}
		dir, owner, epoch := t.TempDir(), NewOwner(), dormer.Epoch(1)
		for n := range rounds {
			dir, owner, epoch = failOver(t, n, random, clients, open, dir, owner, epoch)
		}
		t.Logf("%d failovers, %d events of %s", rounds, clients[0].received, clients[0].name)
	})
}

func failOver(t *testing.T, round int, random *rand.Rand, clients []*sender, open func() *Target, dir, owner string, epoch dormer.Epoch) (nextDir, nextOwner string, next dormer.Epoch) {
	t.Helper()
	target := open()
	s := startEventServer(t, dir, owner, epoch, target)
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	send := func() {
		for _, c := range clients {
			own := rand.New(rand.NewPCG(random.Uint64(), 0))
			sending.Go(func() { c.send(ctx, s.ingester, own) })
		}
	}
	wait := func(most time.Duration) {
		moment := time.NewTimer(time.Duration(random.Int64N(int64(most))))
		<-moment.C
	}
	send()
	restarts := random.IntN(3)
	for range restarts {
		wait(300 * time.Millisecond)
		s.halt()
		sending.Wait()
		s, dir = s.again(random, dir, clients)
		send()
	}
	eventually(t, "the data of this epoch are whole", func() bool {
		r, err := target.ReadRecord(t.Context())
		return err == nil && r.Source == epoch
	})
	f, err := NewFollower(FollowConfig{
		Target: open(), Lock: testLock(t), Owner: NewOwner(), Host: "standby", Dir: filepath.Join(t.TempDir(), "following"),
		Databases: []string{"events"}, Interval: 20 * time.Millisecond, Now: time.Now, Logger: testLogger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	killed, followed := random.IntN(2) == 0, random.IntN(2) == 0
	following, leave := context.WithCancel(t.Context())
	var follower sync.WaitGroup
	if followed {
		follower.Go(func() {
			if err := f.Run(following); err != nil {
				t.Error(err)
			}
		})
	}
	wait(600 * time.Millisecond)
	if killed {
		s.halt()
		s.close()
	}
	leave()
	follower.Wait()
	if err := f.CatchUp(t.Context(), epoch); err != nil {
		t.Fatal(err)
	}
	r, err := f.cfg.Target.Claim(t.Context(), f.cfg.Owner, "standby", 0, false, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CatchUp(t.Context(), r.Source); err != nil {
		t.Fatal(err)
	}
	nextDir = t.TempDir()
	if err := os.Rename(f.Database("events"), filepath.Join(nextDir, "events.db")); err != nil {
		t.Fatal(err)
	}
	if !killed {
		s.halt()
		s.close()
	}
	cancel()
	sending.Wait()
	t.Logf("round %d: %d restarts, killed %v, followed %v", round, restarts, killed, followed)
	checkEvents(t, filepath.Join(nextDir, "events.db"), clients)
	return nextDir, f.cfg.Owner, r.Epoch
}

// checkEvents compares a database that was promoted with what clients know, and
// tells them how far it is.
func checkEvents(t *testing.T, path string, clients []*sender) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var ok string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		t.Fatalf("integrity: %s, %v", ok, err)
	}
	for _, c := range clients {
		var mark, all, different, highest uint64
		err := db.QueryRow(`SELECT j.watermark, count(e.id), count(DISTINCT e.sequence), coalesce(max(e.sequence), 0)
			FROM journals j LEFT JOIN events e ON e.journal = j.id WHERE j.client = ? GROUP BY j.id`, string(c.name)).Scan(&mark, &all, &different, &highest)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		if mark < c.safe || all != mark || different != mark || highest != mark {
			t.Errorf("%s was told that %d are received and %d safe; the watermark is %d, there are %d events, %d different, up to %d",
				c.name, c.received, c.safe, mark, all, different, highest)
		}
		c.received = mark
	}
}

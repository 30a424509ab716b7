package server

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Times and limits of observations.
const (
	observeAge    = 15 * time.Second // an observation counts so long
	observeTime   = 5 * time.Second  // a part that does not say how it is by then is away
	flushTime     = 10 * time.Second // signs of life are stored so often
	examineEvery  = 15 * time.Minute // directories are examined again
	maxBeyond     = 100              // clients that are named
	onlineWithout = 3                // polls that a client may miss and be on-line
)

// Observed is how a server and its instance are at one moment. Metrics, health
// and alerts read it and nothing else. Parts that could not be asked have the
// values that they had when they last answered.
type Observed struct {
	At     time.Time
	Fenced bool
	// Disks are those of the folders "data" and "repository".
	Disks []ObservedDisk
	// Databases are "state" and "events".
	Databases    []ObservedDatabase
	Certificates []ObservedCertificate
	Clients      ObservedClients
	// Machines are counted by the state that their clients last reported.
	Machines map[string]int
	Ingest   event.Stats
	Standby  ObservedStandby
	// Directories were examined at the start and every quarter of an hour since.
	Directories []ObservedDirectory
	Tasks       []taskState
}

// ObservedDisk is the file system of a folder. Sizes are in bytes.
type ObservedDisk struct {
	Name, Path  string
	Free, Total int64
	Problem     string
	system      unix.Fsid // folders on the same file system have the same
}

// ObservedDatabase is one of the databases.
type ObservedDatabase struct {
	Name string
	Up   bool
	// Since is when Up became what it is, as far as this server saw.
	Since time.Time
	// Problem is why it is not up. It may name hosts.
	Problem string
	Bytes   int64
	Pools   []store.Pool
}

// ObservedCertificate is a certificate that the server shows, or is issued by.
type ObservedCertificate struct {
	Name string
	// Ends is zero when there is none yet.
	Ends time.Time
}

// ObservedClients counts clients. At is when they were counted, zero: never.
type ObservedClients struct {
	At time.Time
	store.ClientCounts
}

// ObservedStandby is how the standby follows.
type ObservedStandby struct {
	Configured bool
	// Lag is how much older the target is than what is committed here.
	Lag time.Duration
	// Problem is why the target cannot be reached; empty: it can.
	Problem string
}

// ObservedDirectory is a directory or provider that is elsewhere.
type ObservedDirectory struct {
	Name string
	// At is when it was examined.
	At time.Time
	// Setting and Problem are of the first thing that is wrong with it; empty:
	// nothing is.
	Setting, Problem string
}

// watch is what a server knows of itself.
type watch struct {
	tasks taskBook
	// turn is held by who makes an observation.
	turn chan struct{}

	mu          sync.Mutex // guards the fields below
	last        Observed
	directories []ObservedDirectory
	parts       map[string]partState
}

func newWatch(now func() time.Time) *watch {
	return &watch{tasks: taskBook{now: now}, turn: make(chan struct{}, 1), parts: map[string]partState{}}
}

// fresh returns the last observation if it counts still.
func (w *watch) fresh(now time.Time) (Observed, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	age := now.Sub(w.last.At)
	return w.last, !w.last.At.IsZero() && age >= 0 && age < observeAge
}

// observe returns an observation that is at most observeAge old. It returns an
// error only when ctx ends.
func (s *Server) observe(ctx context.Context) (Observed, error) {
	if o, ok := s.watch.fresh(s.deps.Now()); ok {
		return o, nil
	}
	return s.observeNow(ctx)
}

// observeNow is observe for who asked for what changed a moment ago. Those who
// wait for the same observation share it.
func (s *Server) observeNow(ctx context.Context) (Observed, error) {
	asked := s.deps.Now()
	select {
	case s.watch.turn <- struct{}{}:
		defer func() { <-s.watch.turn }()
	case <-ctx.Done():
		return Observed{}, fmt.Errorf("observe the server: %w", context.Cause(ctx))
	}
	before, ok := s.watch.fresh(s.deps.Now())
	if ok && before.At.After(asked) {
		return before, nil
	}
	o := s.look(ctx, before)
	if ctx.Err() != nil { // then everything seems away
		return Observed{}, fmt.Errorf("observe the server: %w", context.Cause(ctx))
	}
	s.watch.mu.Lock()
	s.watch.last = o
	s.watch.mu.Unlock()
	return o, nil
}

// look makes an observation; before is the one that it follows.
func (s *Server) look(ctx context.Context, before Observed) Observed {
	limited, cancel := context.WithTimeout(ctx, observeTime)
	defer cancel()
	o := Observed{
		At: s.deps.Now(), Fenced: s.fenced.Load(), Ingest: s.ingester.Stats(), Tasks: s.watch.tasks.states(),
		Databases: make([]ObservedDatabase, 2), Clients: before.Clients, Machines: before.Machines,
	}
	var all sync.WaitGroup
	for i, d := range []struct {
		name string
		database
	}{{"state", s.state}, {"events", s.events}} {
		all.Go(func() {
			var last ObservedDatabase
			if i < len(before.Databases) {
				last = before.Databases[i]
			}
			o.Databases[i] = lookAtDatabase(limited, d.name, d.database, last, o.At)
		})
	}
	all.Go(func() {
		online := o.At.Add(-onlineWithout*time.Duration(s.cfg.Clients.PollInterval) - flushTime)
		counts, err := s.state.CountClients(limited, o.At, online, maxBeyond)
		if err != nil {
			return // the database says what is the matter
		}
		if machines, err := s.state.CountMachines(limited); err == nil {
			o.Machines, o.Clients = machines, ObservedClients{At: o.At, ClientCounts: counts}
		}
	})
	o.Disks = []ObservedDisk{lookAtDisk("data", s.cfg.Data), lookAtDisk("repository", s.cfg.repositoryFolder())}
	o.Certificates = s.lookAtCertificates()
	if s.standbyState != nil {
		o.Standby = s.standbyState()
	}
	s.watch.mu.Lock()
	o.Directories = s.watch.directories
	s.watch.mu.Unlock()
	all.Wait()
	return o
}

// database is what is looked at of a database.
type database interface {
	// Ping reports whether it answers.
	Ping(ctx context.Context) error
	// Size is in bytes.
	Size(ctx context.Context) (int64, error)
	// Pools are its connections.
	Pools() []store.Pool
}

func lookAtDatabase(ctx context.Context, name string, d database, last ObservedDatabase, now time.Time) ObservedDatabase {
	o := ObservedDatabase{Name: name, Up: true, Bytes: last.Bytes, Pools: d.Pools(), Since: last.Since}
	if err := d.Ping(ctx); err != nil {
		o.Up, o.Problem = false, err.Error()
	} else if bytes, err := d.Size(ctx); err == nil {
		o.Bytes = bytes
	}
	if o.Since.IsZero() || o.Up != last.Up {
		o.Since = now
	}
	return o
}

// lookAtDisk says how much of the disk is free for who is not root.
func lookAtDisk(name, path string) ObservedDisk {
	o := ObservedDisk{Name: name, Path: path}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		o.Problem = fmt.Sprintf("look at the disk of %s: %v", path, err)
		return o
	}
	o.Free, o.Total, o.system = int64(fs.Bavail)*fs.Bsize, int64(fs.Blocks)*fs.Bsize, fs.Fsid
	return o
}

// lookAtCertificates lists the certificates that the server depends on.
func (s *Server) lookAtCertificates() []ObservedCertificate {
	if s.certs == nil {
		return nil
	}
	if a := s.certs.acme; a != nil {
		return a.ends()
	}
	var list []ObservedCertificate
	if pair := s.certs.current.Load(); pair != nil {
		list = append(list, ObservedCertificate{Name: "server", Ends: pair.Leaf.NotAfter})
	}
	if s.authority != nil {
		list = append(list, ObservedCertificate{Name: "authority", Ends: s.authority.cert.NotAfter})
	}
	return list
}

// ends are the certificates that were issued so far, from the folder.
func (a *acmeCertificates) ends() []ObservedCertificate {
	list := make([]ObservedCertificate, len(a.names))
	for i, n := range a.names {
		list[i].Name = n
		// The folder is asked and not the manager, which might begin an order.
		if kept, err := a.manager.Cache.Get(context.Background(), n); err == nil {
			list[i].Ends = endOf(kept)
		}
	}
	return list
}

// examinePeople examines directories and providers when the server starts and
// now and then, and logs what is wrong. The server runs all the same: they may
// be back in a minute.
func (s *Server) examinePeople(ctx context.Context) error {
	tick := time.NewTicker(examineEvery)
	defer tick.Stop()
	for {
		var found []ObservedDirectory
		for _, t := range s.people.examined {
			findings, err := examine(ctx, t)
			if err != nil {
				return err // the server stops
			}
			o := ObservedDirectory{Name: t.Name, At: s.deps.Now()}
			for _, f := range findings {
				if f.Problem == "" {
					continue
				}
				if o.Problem == "" {
					o.Setting, o.Problem = f.Setting, strings.TrimSpace(f.What+": "+f.Problem)
				}
				s.deps.Logger.LogAttrs(ctx, slog.LevelError, "a directory or provider cannot be used as it is configured",
					slog.String("name", t.Name), slog.String("setting", f.Setting), slog.String("examined", f.What), slog.String("problem", f.Problem))
			}
			found = append(found, o)
		}
		s.watch.mu.Lock()
		s.watch.directories = found
		s.watch.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// keepWatch observes all the time, so that it is known since when something is
// as it is, and logs what changed.
func (s *Server) keepWatch(ctx context.Context) error {
	o, err := s.observe(ctx)
	if err != nil {
		return err
	}
	for _, c := range s.watch.note(s.judge(o), o.At) {
		if c.Status == rest.HealthOK {
			s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "a part of the server is well again", slog.String("part", c.Part), slog.String("found", c.Found))
			continue
		}
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "a part of the server needs attention", slog.String("part", c.Part),
			slog.String("status", string(c.Status)), slog.String("found", c.Found))
	}
	return nil
}

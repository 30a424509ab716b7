package standby

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Intervals of following, beside the one that is configured.
const (
	reportInterval = 15 * time.Second
	// stuckTime is how long a database may lag without any progress before it
	// is fetched anew.
	stuckTime = 30 * time.Second
	// followerForgotten is when a follower that tells nothing counts no more.
	followerForgotten = 14 * 24 * time.Hour
)

// maxFollowers bounds how many followers are read.
const maxFollowers = 64

// Names in a follower's folder.
const (
	fileSource  = "source"       // which epoch the databases are of
	dirKeys     = "keys"         // as the primary has them
	fileConfig  = "dormerd.toml" // the primary's configuration
	fileFetched = "fetched"      // the hash of the bundle that both are from
)

// FollowConfig is what a Follower needs to know. All fields are needed unless
// they say otherwise.
type FollowConfig struct {
	Target *Target
	Lock   *Lock
	// Owner is this follower: see NewOwner.
	Owner string
	Host  string
	// Dir is the folder of databases and keys while they follow.
	Dir string
	// Databases are the names of databases at the target.
	Databases []string
	// Repository is the folder of images; empty: it is not followed.
	Repository string
	// Near is a folder as Repository on the same file system, of which objects
	// are linked; may be empty.
	Near     string
	Interval time.Duration
	Now      func() time.Time
	Logger   *slog.Logger
}

// FollowerReport is what a follower tells at the target.
type FollowerReport struct {
	Owner string    `json:"owner"`
	Host  string    `json:"host"`
	Time  time.Time `json:"time"`
	// Behind is how old the newest change is that is not here yet, in
	// nanoseconds; 0: everything is here.
	Behind time.Duration `json:"behind_ns"`
	Source dormer.Epoch  `json:"source"`
}

// Follower keeps databases, keys and images up with a target.
type Follower struct {
	cfg FollowConfig

	mu     sync.Mutex // guards the fields below
	report FollowerReport
	err    string
}

// NewFollower returns a follower that works in cfg.Dir, which is made.
func NewFollower(cfg FollowConfig) (*Follower, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder: %w", durable.Kind(err))
	}
	return &Follower{cfg: cfg}, nil
}

// Database is the file of a database that follows.
func (f *Follower) Database(name string) string { return filepath.Join(f.cfg.Dir, name+".db") }

// Keys is the folder of keys that follow.
func (f *Follower) Keys() string { return filepath.Join(f.cfg.Dir, dirKeys) }

// Config is the file with the primary's configuration.
func (f *Follower) Config() string { return filepath.Join(f.cfg.Dir, fileConfig) }

// State is what the follower reported last, and what is wrong; empty: nothing.
func (f *Follower) State() (FollowerReport, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.report, f.err
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	var images string
	var reported time.Time
	tick := time.NewTicker(max(f.cfg.Interval, time.Second))
	defer tick.Stop()
	g := &generation{follower: f}
	defer func() { g.end() }()
	for {
		err := f.look(ctx, &g, &images)
		if ctx.Err() != nil {
			return nil
		}
		f.note(ctx, g, err)
		if now := f.cfg.Now(); err == nil && now.Sub(reported) >= reportInterval {
			if err := f.tell(ctx); err == nil {
				reported = now
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look follows the record to the epoch whose data are whole, and fetches keys
// and images when they changed.
func (f *Follower) look(ctx context.Context, g **generation, images *string) error {
	r, err := f.cfg.Target.ReadRecord(ctx)
	if err != nil {
		return err
	}
	if r.Source == 0 {
		return fmt.Errorf("the server on %s has not shipped everything to %s yet: %w", r.Host, f.cfg.Target, dormer.ErrNotFound)
	}
	if (*g).source != r.Source {
		(*g).end()
		if err := f.begin(r.Source); err != nil {
			return err
		}
		*g = f.generation(ctx, r.Source)
		*images = ""
	}
	if err := (*g).unstick(ctx); err != nil {
		return err
	}
	if err := f.cfg.Target.fetchSecrets(ctx, f.cfg.Lock, r.Source, f.cfg.Dir, f.Config()); err != nil {
		return err
	}
	if f.cfg.Repository == "" {
		return nil
	}
	note, err := f.cfg.Target.read(ctx, epochName(r.Source, nameImages), maxRecord)
	if errors.Is(err, dormer.ErrNotFound) {
		note, err = []byte("none yet"), nil
	}
	if err != nil {
		return err
	}
	if string(note) != *images {
		if err := f.cfg.Target.fetchImages(ctx, f.cfg.Repository, f.cfg.Near); err != nil {
			return err
		}
		*images = string(note)
	}
	return nil
}

// begin makes sure that what is in the folder is of epoch source.
func (f *Follower) begin(source dormer.Epoch) error {
	path, want := filepath.Join(f.cfg.Dir, fileSource), fmt.Sprintf("%d\n", source)
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read what is followed: %w", err)
	}
	if string(b) == want {
		return nil
	}
	for _, name := range f.cfg.Databases {
		if err := f.drop(name); err != nil {
			return err
		}
	}
	for _, path := range []string{filepath.Join(f.cfg.Dir, fileFetched), f.Keys()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove old keys: %w", err)
		}
	}
	return durable.WriteFile(path, []byte(want))
}

// drop removes a database, so that it is fetched anew.
func (f *Follower) drop(name string) error {
	for _, suffix := range []string{"-txid", "", "-wal", "-shm", "-journal", ".tmp"} {
		if err := os.Remove(f.Database(name) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an old database: %w", err)
		}
	}
	return nil
}

// generation follows the databases of one epoch.
type generation struct {
	follower *Follower
	source   dormer.Epoch
	ctx      context.Context // of its goroutines
	cancel   context.CancelFunc
	all      sync.WaitGroup
	lags     map[string]*lag
}

// lag is how one database does.
type lag struct {
	replica *litestream.Replica
	stop    func() // and waits until it has

	here    ltx.TXID  // what was applied last
	moved   time.Time // when it changed, or was what the target has
	waiting time.Time // since when a change at the target is not here; zero: none
}

func (f *Follower) generation(ctx context.Context, source dormer.Epoch) *generation {
	ctx, cancel := context.WithCancel(ctx)
	g := &generation{follower: f, source: source, ctx: ctx, cancel: cancel, lags: map[string]*lag{}}
	for _, name := range f.cfg.Databases {
		g.start(g.ctx, name)
	}
	return g
}

// fetched reads changes from files that are here as a whole: a connection that
// breaks, or the end of following, must not leave a database with half of one.
type fetched struct {
	litestream.ReplicaClient
	dir string
}

// OpenLTXFile is litestream's.
func (c fetched) OpenLTXFile(ctx context.Context, level int, minTXID, maxTXID ltx.TXID, offset, size int64) (io.ReadCloser, error) {
	r, err := c.ReplicaClient.OpenLTXFile(ctx, level, minTXID, maxTXID, offset, size)
	if err != nil || level == litestream.SnapshotLevel {
		return r, err // snapshots begin a new file, of which half is of no use
	}
	defer r.Close()
	f, err := os.CreateTemp(c.dir, ".fetching-*")
	if err != nil {
		return nil, durable.Kind(err)
	}
	err = os.Remove(f.Name()) // it goes with the last who reads it
	if err == nil {
		_, err = io.Copy(f, r)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fetch a change: %w", err), f.Close())
	}
	return f, nil
}

func (g *generation) end() {
	if g.cancel != nil {
		g.cancel()
		g.all.Wait()
	}
}

func (g *generation) start(ctx context.Context, name string) {
	f := g.follower
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	db := litestream.NewDB(f.Database(name)) // for its logger alone
	db.SetLogger(quietly(f.cfg.Logger))
	l := &lag{
		replica: litestream.NewReplicaWithClient(db, fetched{ReplicaClient: f.cfg.Target.replica(epochName(g.source, name)), dir: f.cfg.Dir}),
		stop: func() {
			cancel()
			<-ended
		},
		moved: f.cfg.Now(),
	}
	g.lags[name] = l
	g.all.Go(func() {
		defer close(ended)
		f.keep(ctx, name, l.replica)
	})
}

// keep applies to a database what comes, until ctx ends.
func (f *Follower) keep(ctx context.Context, name string, r *litestream.Replica) {
	tick := time.NewTicker(f.cfg.Interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := f.restore(ctx, name, r); err != nil && ctx.Err() == nil {
			f.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "a database is not followed yet", slog.String("database", name), slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (f *Follower) restore(ctx context.Context, name string, r *litestream.Replica) error {
	// A kill between the file and its mark leaves one that cannot be resumed.
	if at, err := litestream.ReadTXIDFile(f.Database(name)); err != nil || at == 0 {
		if err := f.drop(name); err != nil {
			return err
		}
	}
	o := litestream.NewRestoreOptions()
	o.OutputPath, o.Follow, o.FollowInterval = f.Database(name), true, f.cfg.Interval
	return r.Restore(ctx, o)
}

// unstick looks how far the databases are; one that lags and makes no progress
// is fetched anew: what it would need next may be gone from the target.
func (g *generation) unstick(ctx context.Context) error {
	f := g.follower
	for _, name := range f.cfg.Databases {
		l := g.lags[name]
		there, err := newestAt(ctx, l.replica)
		if err != nil {
			return err
		}
		here, err := litestream.ReadTXIDFile(f.Database(name))
		if err != nil {
			here = 0 // it is fetched anew
		}
		now := f.cfg.Now()
		switch {
		case there.MaxTXID == 0 || here >= there.MaxTXID:
			l.moved, l.waiting = now, time.Time{}
		case l.waiting.IsZero():
			l.waiting = now
			if !there.CreatedAt.IsZero() && there.CreatedAt.Before(now) {
				l.waiting = there.CreatedAt
			}
		}
		if here != l.here {
			l.here, l.moved = here, now
		}
		if here > 0 && now.Sub(l.moved) > stuckTime {
			f.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a database made no progress; it is fetched anew", slog.String("database", name))
			l.stop()
			if err := f.drop(name); err != nil {
				return err
			}
			g.start(g.ctx, name)
		}
	}
	return nil
}

// newestAt describes the newest change of a database at the target.
func newestAt(ctx context.Context, r *litestream.Replica) (ltx.FileInfo, error) {
	var newest ltx.FileInfo
	for _, level := range []int{0, 1, 2, litestream.SnapshotLevel} {
		i, err := r.MaxLTXFileInfo(ctx, level)
		if err != nil {
			return newest, away(fmt.Errorf("look what the target has: %w", err))
		}
		if i.MaxTXID > newest.MaxTXID {
			newest = i
		}
		if level == 0 && i.MaxTXID > 0 {
			break // what is compacted was there first
		}
	}
	return newest, nil
}

// CatchUp fetches everything that is at the target now, for the epoch source,
// and returns when it is here, with nothing running any more.
func (f *Follower) CatchUp(ctx context.Context, source dormer.Epoch) error {
	if err := f.begin(source); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := f.generation(ctx, source)
	defer g.end()
	wanted := map[string]ltx.TXID{}
	for name, l := range g.lags {
		i, err := newestAt(ctx, l.replica)
		if err != nil {
			return err
		}
		if i.MaxTXID == 0 {
			return fmt.Errorf("the target %s has no database %s of epoch %d: %w", f.cfg.Target, name, source, dormer.ErrNotFound)
		}
		wanted[name] = i.MaxTXID
	}
	if err := f.cfg.Target.fetchSecrets(ctx, f.cfg.Lock, source, f.cfg.Dir, f.Config()); err != nil {
		return err
	}
	if f.cfg.Repository != "" {
		if err := f.cfg.Target.fetchImages(ctx, f.cfg.Repository, f.cfg.Near); err != nil {
			return err
		}
	}
	tick := time.NewTicker(min(f.cfg.Interval, 50*time.Millisecond))
	defer tick.Stop()
	checked := f.cfg.Now()
	for {
		here := true
		for name, want := range wanted {
			at, err := litestream.ReadTXIDFile(f.Database(name))
			here = here && err == nil && at >= want
		}
		if here {
			return nil
		}
		if now := f.cfg.Now(); now.Sub(checked) > 5*time.Second {
			checked = now
			if err := g.unstick(ctx); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (f *Follower) note(ctx context.Context, g *generation, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.cfg.Now()
	f.report = FollowerReport{Owner: f.cfg.Owner, Host: f.cfg.Host, Time: now.UTC(), Source: g.source}
	for _, l := range g.lags {
		if !l.waiting.IsZero() {
			f.report.Behind = max(f.report.Behind, now.Sub(l.waiting))
		}
	}
	was := f.err
	f.err = ""
	if err != nil {
		f.err = err.Error()
	}
	if f.err != was && err != nil {
		f.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "not following; it is tried again", slog.String("error", f.err))
	}
	if f.err != was && err == nil {
		f.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "following again")
	}
}

func (f *Follower) tell(ctx context.Context) error {
	r, _ := f.State()
	return f.cfg.Target.putJSON(ctx, prefixFollowers+f.cfg.Owner, r)
}

// Followers are those that told something lately.
func (t *Target) Followers(ctx context.Context) ([]FollowerReport, error) {
	var names []string
	if err := t.List(ctx, prefixFollowers, func(name string, _ int64) error {
		if len(names) < maxFollowers {
			names = append(names, name)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var all []FollowerReport
	var newest time.Time
	for _, name := range names {
		b, err := t.read(ctx, name, maxRecord)
		if errors.Is(err, dormer.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var r FollowerReport
		if json.Unmarshal(b, &r) != nil || r.Owner != strings.TrimPrefix(name, prefixFollowers) {
			continue // another's file
		}
		all = append(all, r)
		if r.Time.After(newest) {
			newest = r.Time
		}
	}
	kept := all[:0]
	for _, r := range all {
		if newest.Sub(r.Time) < followerForgotten {
			kept = append(kept, r)
		}
	}
	return kept, nil
}

// Forget removes a follower's report: it is promoted, or follows no more.
func (t *Target) Forget(ctx context.Context, owner string) error {
	return t.Delete(ctx, prefixFollowers+owner)
}

// Alive is when the primary of epoch e told last that it lives; zero: never.
func (t *Target) Alive(ctx context.Context, e dormer.Epoch) (told, safe time.Time, err error) {
	b, err := t.read(ctx, epochName(e, nameAlive), maxRecord)
	if errors.Is(err, dormer.ErrNotFound) {
		return time.Time{}, time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	var a alive
	if err := json.Unmarshal(b, &a); err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("read the primary's sign of life: %w", dormer.ErrCorrupt)
	}
	return a.Time, a.Safe, nil
}

// Claim makes owner the one who rules, with an epoch above the one of the
// record and not below least; who has claimed it already keeps it. ErrConflict
// when another was first or is still about to take over, unless instead. What
// the one before has called safe by now is at the target once Claim returns.
func (t *Target) Claim(ctx context.Context, owner, host string, least dormer.Epoch, instead bool, now time.Time) (Record, error) {
	r, err := t.ReadRecord(ctx)
	switch {
	case err != nil:
		return Record{}, err
	case r.Owner == owner && r.Epoch > r.Source:
		return r, nil
	case r.Source == 0:
		return Record{}, fmt.Errorf("the server on %s has not shipped everything to %s yet: %w", r.Host, t, dormer.ErrConflict)
	case r.Epoch > r.Source && !instead:
		return Record{}, fmt.Errorf("the server on %s has taken over at %s and has not shipped anything since. If it never will, add --instead: %w",
			r.Host, r.Time.Format(time.RFC3339), dormer.ErrConflict)
	}
	next := r
	next.Owner, next.Host, next.Epoch, next.Time = owner, host, max(r.Epoch+1, least), now.UTC().Truncate(time.Second)
	return t.replace(ctx, r, next)
}

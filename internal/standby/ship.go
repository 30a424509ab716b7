package standby

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"

	"github.com/dormer-project/dormer"
)

// Intervals of shipping, beside the one that is configured.
const (
	secretsInterval   = 5 * time.Second
	imagesInterval    = 5 * time.Second
	relistInterval    = time.Hour // the repository at the target is listed anew
	aliveInterval     = 10 * time.Second
	followersInterval = 30 * time.Second
	closeTime         = 5 * time.Second // for the last changes, when the server stops
	// epochsKept is how long data of an epoch stay after another took over.
	epochsKept = 7 * 24 * time.Hour
)

// Levels of compaction, in litestream's terms, and for how long earlier states
// of a database are kept at the target beside the newest.
var levels = litestream.CompactionLevels{
	{Level: 0},
	{Level: 1, Interval: 30 * time.Second},
	{Level: 2, Interval: 10 * time.Minute},
}

const (
	snapshotInterval = 12 * time.Hour
	snapshotsKept    = 24 * time.Hour
)

// ShipConfig is what a Shipper needs to know. All fields are needed unless they
// say otherwise.
type ShipConfig struct {
	Target   *Target
	Lock     *Lock
	Instance dormer.InstanceID
	Epoch    dormer.Epoch
	// Owner is this copy of the data folder: see NewOwner.
	Owner string
	Host  string
	// Databases are the files of SQLite databases by their names at the target.
	Databases map[string]string
	// Keys is the folder of keys; Config is the configuration file, or empty.
	Keys, Config string
	// Repository is the folder of images; empty: it is not shipped.
	Repository string
	// Known says that this copy has shipped to the target before. Then one that
	// is empty is rather not mounted.
	Known bool
	// Interval is how often what changed in the databases is shipped.
	Interval time.Duration
	// Fenced is called once, when another server is found to rule.
	Fenced func(dormer.Epoch)
	Now    func() time.Time
	Logger *slog.Logger
}

// NewOwner makes the identity of a copy of an instance's data.
func NewOwner() string { return rand.Text() }

// Status is how shipping goes.
type Status struct {
	// Safe is when everything committed was at the target last; zero: not yet.
	Safe time.Time
	// Images is when the repository was last.
	Images time.Time
	// Error is what went wrong at the last attempt; empty after a success.
	Error string
	// FollowerBehind is how far the follower that is the furthest behind is;
	// Followers is how many there are.
	FollowerBehind time.Duration
	Followers      int
}

// Shipper keeps the target up with an instance that runs in this process.
type Shipper struct {
	cfg    ShipConfig
	store  *litestream.Store
	dbs    []*litestream.DB
	images images

	mu      sync.Mutex // guards the fields below
	record  Record
	opened  bool
	fenced  dormer.Epoch
	status  Status
	waiting []chan error
}

// NewShipper returns a shipper. Nothing is shipped before Rule and Run.
func NewShipper(cfg ShipConfig) *Shipper {
	s := &Shipper{cfg: cfg, images: images{dir: cfg.Repository}}
	quiet := quietly(cfg.Logger)
	for name, path := range cfg.Databases {
		db := litestream.NewDB(path)
		db.MonitorInterval = 0 // each round is one of ours
		db.Replica = litestream.NewReplicaWithClient(db, cfg.Target.replica(epochName(cfg.Epoch, name)))
		db.Replica.MonitorEnabled = false
		s.dbs = append(s.dbs, db)
	}
	s.store = litestream.NewStore(s.dbs, levels)
	s.store.SnapshotInterval, s.store.SnapshotRetention = snapshotInterval, snapshotsKept
	s.store.Logger = quiet
	for _, db := range s.dbs {
		db.SetLogger(quiet)
		db.ShutdownSyncTimeout = closeTime
	}
	return s
}

// Rule makes the record at the target the server's own, or says why it is not:
// *SupersededError when another server has a higher epoch, ErrConflict when the
// target is another instance's or another copy of this one uses it,
// ErrUnavailable when it does not answer, or is empty though Known, unless
// evenEmpty.
func (s *Shipper) Rule(ctx context.Context, evenEmpty bool) error {
	t := s.cfg.Target
	var there *Record
	r, err := t.ReadRecord(ctx)
	switch {
	case err == nil:
		there = &r
	case !errors.Is(err, dormer.ErrNotFound):
		return err
	}
	next := Record{
		Instance: s.cfg.Instance, Epoch: s.cfg.Epoch, Owner: s.cfg.Owner, Host: s.cfg.Host,
		Source: r.Source, Time: s.cfg.Now().UTC().Truncate(time.Second),
	}
	switch standingOf(there, s.cfg.Instance, s.cfg.Epoch, s.cfg.Owner) {
	case standingForeign:
		return fmt.Errorf("the target %s is used by another instance: %w", t, dormer.ErrConflict)
	case standingTwin:
		return fmt.Errorf("a copy of this server's data on %s uses the target %s with the same epoch; only one of them may run. Restore the copy from a backup, or give it another target: %w", r.Host, t, dormer.ErrConflict)
	case standingSuperseded:
		s.fence(r.Epoch)
		return &SupersededError{Epoch: r.Epoch, Own: s.cfg.Epoch, Host: r.Host}
	case standingNew:
		if s.cfg.Known && !evenEmpty {
			return fmt.Errorf("the target %s is empty, though this server has shipped to it before. Is it mounted? %w", t, dormer.ErrUnavailable)
		}
		if r, err = t.replace(ctx, Record{}, next); err != nil {
			return err
		}
	case standingHigher:
		if r, err = t.replace(ctx, r, next); err != nil {
			return err
		}
	case standingRules:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record = r
	return nil
}

// SupersededError is ErrFenced: the record at the target has a higher epoch.
type SupersededError struct {
	Epoch, Own dormer.Epoch
	Host       string
}

func (e *SupersededError) Error() string {
	return fmt.Sprintf("the server on %s has taken over with epoch %d, this one has %d", e.Host, e.Epoch, e.Own)
}

// Is makes a *SupersededError match dormer.ErrFenced.
func (*SupersededError) Is(target error) bool { return target == dormer.ErrFenced }

func (s *Shipper) fence(by dormer.Epoch) {
	s.mu.Lock()
	first := s.fenced == 0
	s.fenced = by
	s.mu.Unlock()
	if first {
		s.cfg.Fenced(by)
	}
}

// rules returns a *SupersededError when another server rules by now, and
// ErrUnavailable when the target has no record of this one: then it is not the
// target. It asks the target.
func (s *Shipper) rules(ctx context.Context) error {
	t, r := s.cfg.Target, s.ruling()
	newer, err := t.has(ctx, revisionName(r.revision+1))
	if err != nil {
		return err
	}
	own, err := t.has(ctx, revisionName(r.revision))
	if err != nil || own && !newer {
		return err
	}
	now, err := t.ReadRecord(ctx)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		return fmt.Errorf("the target %s has lost its record: %w", t, dormer.ErrUnavailable)
	case err != nil:
		return err
	case now.Epoch == s.cfg.Epoch && now.Owner == s.cfg.Owner:
		s.mu.Lock()
		s.record = now
		s.mu.Unlock()
		return nil
	}
	s.fence(now.Epoch)
	return &SupersededError{Epoch: now.Epoch, Own: s.cfg.Epoch, Host: now.Host}
}

// Sync returns nil once everything that was committed to the databases before
// the call is at the target, and this server still rules there.
func (s *Shipper) Sync(ctx context.Context) error {
	done := make(chan error, 1)
	s.mu.Lock()
	s.waiting = append(s.waiting, done)
	s.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Status tells how shipping goes.
func (s *Shipper) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run ships until ctx ends. Once another server rules nothing is shipped any
// more.
func (s *Shipper) Run(ctx context.Context) error {
	var files sync.WaitGroup
	defer files.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	files.Go(func() { s.shipFiles(ctx) })
	tick := time.NewTicker(s.cfg.Interval)
	defer tick.Stop()
	for {
		s.mu.Lock()
		waiting := s.waiting
		s.waiting = nil
		s.mu.Unlock()
		err := s.round(ctx)
		s.note(ctx, err)
		for _, w := range waiting {
			w <- err
		}
		// Waiting for the tick lets many commits go together.
		select {
		case <-ctx.Done():
			s.refuse(context.Cause(ctx))
			return nil
		case <-tick.C:
		}
	}
}

// refuse answers those who wait when no more rounds come.
func (s *Shipper) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.waiting {
		w <- err
	}
	s.waiting = nil
}

func (s *Shipper) note(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.status.Error
	switch {
	case err == nil:
		s.status.Safe, s.status.Error = s.cfg.Now(), ""
	case ctx.Err() == nil:
		s.status.Error = err.Error()
	}
	if s.status.Error != "" && was == "" {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "changes do not reach the standby's target; it is tried again", slog.String("error", s.status.Error))
	}
	if s.status.Error == "" && was != "" {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "changes reach the standby's target again")
	}
}

// round ships what is new in the databases.
func (s *Shipper) round(ctx context.Context) error {
	s.mu.Lock()
	fenced, ruled, opened := s.fenced, s.record.revision > 0, s.opened
	s.mu.Unlock()
	if fenced > 0 {
		return &SupersededError{Epoch: fenced, Own: s.cfg.Epoch, Host: "another computer"}
	}
	if !ruled {
		// It was started without its target.
		if err := s.Rule(ctx, false); err != nil {
			return err
		}
	}
	// A folder that is not mounted any more must not be filled in its place.
	there, err := s.cfg.Target.has(ctx, revisionName(s.ruling().revision))
	if err == nil && !there {
		err = s.rules(ctx)
	}
	if err != nil {
		return err
	}
	if !opened {
		if err := s.store.Open(ctx); err != nil {
			return away(fmt.Errorf("open databases for shipping: %w", err))
		}
		s.mu.Lock()
		s.opened = true
		s.mu.Unlock()
	}
	for _, db := range s.dbs {
		if err := db.Sync(ctx); err != nil {
			return s.began(ctx, db, fmt.Errorf("read changes of %s: %w", filepath.Base(db.Path()), err))
		}
	}
	for _, db := range s.dbs {
		if err := db.Replica.Sync(ctx); err != nil {
			return s.began(ctx, db, fmt.Errorf("ship changes of %s: %w", filepath.Base(db.Path()), err))
		}
	}
	if err := s.rules(ctx); err != nil {
		// What was written now may not be at the target: the next round looks how
		// far that is.
		for _, db := range s.dbs {
			db.Replica.SetPos(ltx.Pos{})
		}
		return err
	}
	return s.whole(ctx)
}

// began returns err; where what litestream keeps beside a database is gone or
// was cut short, it begins again with the whole database.
func (*Shipper) began(ctx context.Context, db *litestream.DB, err error) error {
	if e, ok := errors.AsType[*litestream.LTXError](err); ok && e.IsAutoRecoverable() {
		err = errors.Join(err, db.ResetLocalState(ctx))
	}
	return away(err)
}

func (s *Shipper) ruling() Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record
}

// whole makes the data of this epoch those that a follower takes, the first
// time that they are all there.
func (s *Shipper) whole(ctx context.Context) error {
	r := s.ruling()
	if r.Source == s.cfg.Epoch {
		return nil
	}
	if _, err := s.cfg.Target.shipSecrets(ctx, s.cfg.Lock, s.cfg.Epoch, s.cfg.Keys, s.cfg.Config, [32]byte{}); err != nil {
		return err
	}
	next := r
	next.Source, next.Time = s.cfg.Epoch, s.cfg.Now().UTC().Truncate(time.Second)
	r, err := s.cfg.Target.replace(ctx, r, next)
	if errors.Is(err, dormer.ErrConflict) {
		return errors.Join(err, s.rules(ctx))
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.record = r
	s.mu.Unlock()
	return nil
}

// shipFiles ships keys, configuration and images when they change, tells that
// the primary is alive, and looks how far followers are.
func (s *Shipper) shipFiles(ctx context.Context) {
	var secrets [32]byte
	var relisted time.Time
	next := map[string]time.Time{}
	jobs := []struct {
		name  string
		every time.Duration
		do    func() error
	}{
		{"keys", secretsInterval, func() (err error) {
			secrets, err = s.cfg.Target.shipSecrets(ctx, s.cfg.Lock, s.cfg.Epoch, s.cfg.Keys, s.cfg.Config, secrets)
			return err
		}},
		{"images", imagesInterval, func() error { return s.shipImages(ctx, &relisted) }},
		{"sign of life", aliveInterval, func() error { return s.shipAlive(ctx) }},
		{"followers", followersInterval, func() error { return s.lookAtFollowers(ctx) }},
		{"old epochs", time.Hour, func() error { return s.removeEpochs(ctx) }},
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		st := s.Status()
		if r := s.ruling(); r.Source == s.cfg.Epoch && s.cfg.Epoch == r.Epoch && st.Error == "" && !st.Safe.IsZero() {
			for _, j := range jobs {
				now := s.cfg.Now()
				if now.Before(next[j.name]) || ctx.Err() != nil {
					continue
				}
				next[j.name] = now.Add(j.every)
				if err := j.do(); err != nil && ctx.Err() == nil {
					next[j.name] = now.Add(max(j.every, time.Minute))
					s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "not shipped to the standby's target; it is tried again",
						slog.String("what", j.name), slog.String("error", err.Error()))
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Shipper) shipImages(ctx context.Context, relisted *time.Time) error {
	if s.cfg.Repository == "" {
		return nil
	}
	now := s.cfg.Now()
	if now.Sub(*relisted) > relistInterval {
		s.images.there, *relisted = nil, now
	}
	changed, err := s.images.ship(ctx, s.cfg.Target, s.rules)
	if changed {
		// Also after half of it: the follower looks what there is.
		if e := s.cfg.Target.putJSON(ctx, epochName(s.cfg.Epoch, nameImages), imagesNote{Changed: rand.Text()}); err == nil {
			err = e
		}
	}
	if err == nil {
		s.mu.Lock()
		s.status.Images = now
		s.mu.Unlock()
	}
	return err
}

// imagesNote is a new one whenever the repository at the target changed.
type imagesNote struct {
	Changed string `json:"changed"`
}

// alive is a sign of life of a primary.
type alive struct {
	Time time.Time `json:"time"`
	// Safe is when everything committed was at the target last.
	Safe time.Time `json:"safe"`
}

func (s *Shipper) shipAlive(ctx context.Context) error {
	return s.cfg.Target.putJSON(ctx, epochName(s.cfg.Epoch, nameAlive), alive{Time: s.cfg.Now().UTC(), Safe: s.Status().Safe.UTC()})
}

func (s *Shipper) lookAtFollowers(ctx context.Context) error {
	all, err := s.cfg.Target.Followers(ctx)
	if err != nil {
		return err
	}
	var behind time.Duration
	for _, f := range all {
		behind = max(behind, f.Behind, s.cfg.Now().Sub(f.Time)-2*reportInterval)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Followers, s.status.FollowerBehind = len(all), behind
	return nil
}

// removeEpochs removes what servers left that were superseded long ago.
func (s *Shipper) removeEpochs(ctx context.Context) error {
	r := s.ruling()
	if s.cfg.Now().Sub(r.Time) < epochsKept {
		return nil
	}
	for e := r.Epoch - 1; e > 0 && e+10 > r.Epoch; e-- {
		var names []string
		if err := s.cfg.Target.List(ctx, epochName(e, ""), func(name string, _ int64) error {
			names = append(names, name)
			return nil
		}); err != nil {
			return err
		}
		for _, name := range names {
			if err := s.cfg.Target.Delete(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ships what is left and lets go of the databases. Run must have
// returned.
func (s *Shipper) Close() error {
	s.mu.Lock()
	opened, fenced := s.opened, s.fenced > 0
	s.opened = false
	s.mu.Unlock()
	if !opened {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if fenced {
		cancel() // what is left is of no use to anybody
	}
	if err := s.store.Close(ctx); err != nil && !fenced {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "the last changes did not reach the standby's target; they are shipped after the next start",
			slog.String("error", err.Error()))
	}
	return nil
}

func (t *Target) putJSON(ctx context.Context, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return t.Put(ctx, name, bytes.NewReader(b), int64(len(b)))
}

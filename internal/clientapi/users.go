package clientapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/lease"
)

// What is known of a user is current for DirectoryAge, and is looked up again
// before that, when a poll comes, by workers beside the polls. So a poll does
// not wait for a directory, but for three: that of a user of whom nothing is
// known, of one whose client was away for longer than that, and the one after a
// sign-in or after DirectoryChanged; and then not for longer than lookupWait.
const (
	lookupWait = 2 * time.Second
	// lookupTime bounds one question to a directory.
	lookupTime = 30 * time.Second
	// lookupWorkers is how many questions are asked of one directory at once.
	lookupWorkers = 8
	// A directory that does not answer is asked again by one lookup alone, after
	// firstBackoff and each time twice as long, up to maxBackoff.
	firstBackoff = 2 * time.Second
	maxBackoff   = time.Minute
	// retryUser is how long a user is left alone whom the directory did not tell
	// of for a reason of the user's own, such as an account that is locked.
	retryUser = 20 * time.Second
	// maxUsers bounds how many users are remembered; beyond it some are looked
	// up again.
	maxUsers = 500_000
)

// grouper tells which groups a user is in: People.
type grouper interface {
	GroupsOf(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error)
}

// assigner tells what a user of some groups gets: catalog.Catalog.
type assigner interface {
	// Generation changes whenever what somebody gets may have changed.
	Generation() uint64
	Assignments(ctx context.Context, user dormer.Principal, groups []dormer.Principal, client dormer.ClientID) (catalog.Assignments, error)
}

// users is what is known of the users who are signed in: their groups and what
// they get. It is filled on demand.
type users struct {
	people  grouper
	catalog assigner
	age     time.Duration
	now     func() time.Time
	log     *slog.Logger
	seed    maphash.Seed

	ctx     context.Context //nolint:containedctx // lookups outlive the polls that ask for them
	stop    context.CancelFunc
	running sync.WaitGroup
	// embedded counts the changes of the embedded directory, from 1.
	embedded atomic.Uint64

	mu sync.RWMutex
	// guards the fields below
	byID        map[dormer.UserID]*user
	directories map[string]*asked
}

func newUsers(people grouper, c assigner, age time.Duration, now func() time.Time, log *slog.Logger) *users {
	u := &users{
		people: people, catalog: c, age: age, now: now, log: log, seed: maphash.MakeSeed(),
		byID: make(map[dormer.UserID]*user), directories: make(map[string]*asked),
	}
	u.ctx, u.stop = context.WithCancel(context.Background())
	u.embedded.Store(1)
	return u
}

// close ends the lookups.
func (u *users) close() {
	u.mu.Lock()
	u.stop()
	u.mu.Unlock()
	u.running.Wait()
}

// start runs f unless the lookups are at their end.
func (u *users) start(f func()) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.ctx.Err() == nil {
		u.running.Go(f)
	}
}

// user is what is known of one user.
type user struct {
	principal dormer.Principal

	mu sync.Mutex
	// guards the fields below
	looked     time.Time // when the directory was asked; zero: never
	generation uint64    // of the directory at that time; 0: to be looked up again
	retry      time.Time // not looked up before
	groups     []dormer.Principal
	gets       catalog.Assignments
	stale      bool          // gets was made from other groups
	ended      string        // why the directory refuses the user for good
	waiting    chan struct{} // closed when the lookup under way ends; nil: none is
	hurried    bool          // that lookup is urgent
	begun      bool          // and the directory is being asked
}

// generation returns the state of a user's directory, as far as this server
// changes it.
func (u *users) generation(p dormer.Principal) uint64 {
	if p.Directory == dormer.EmbeddedDirectory {
		return u.embedded.Load()
	}
	return 1
}

func (u *users) of(p dormer.Principal) *user {
	id := p.ID()
	u.mu.RLock()
	one := u.byID[id]
	u.mu.RUnlock()
	if one != nil {
		return one
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if one = u.byID[id]; one == nil {
		if len(u.byID) >= maxUsers {
			for k := range u.byID {
				delete(u.byID, k)
				break
			}
		}
		one = &user{principal: p, stale: true}
		u.byID[id] = one
	}
	return one
}

// forget drops what is known of a user, unless it is something else by now.
func (u *users) forget(one *user) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if id := one.principal.ID(); u.byID[id] == one {
		delete(u.byID, id)
	}
}

// renew looks a user up who has just signed in. What was known counts if the
// directory does not answer meanwhile; a lookup that began before does not.
func (u *users) renew(p dormer.Principal) {
	old := u.of(p)
	next := &user{principal: p, stale: true}
	old.mu.Lock()
	if old.ended == "" {
		next.looked, next.groups = old.looked, old.groups
	}
	old.mu.Unlock()
	u.mu.Lock()
	u.byID[p.ID()] = next
	u.mu.Unlock()
	next.mu.Lock()
	defer next.mu.Unlock()
	u.ask(next, true)
}

// endedError says why a user's session is over.
type endedError struct{ reason string }

func (e *endedError) Error() string { return e.reason }

// claim returns what a user gets, from memory while that is current. An
// *endedError when the directory refuses the user. While the directory does not
// answer what was known last counts; when nothing is known the claim is Unknown.
func (u *users) claim(ctx context.Context, p dormer.Principal, client dormer.ClientID) (lease.Claim, error) {
	one := u.of(p)
	now := u.now()
	one.mu.Lock()
	defer one.mu.Unlock()
	if age := now.Sub(one.looked); one.generation != u.generation(p) || age >= u.age {
		if wait := u.ask(one, true); wait != nil {
			one.mu.Unlock()
			await(ctx, wait)
			one.mu.Lock()
		}
	} else if age >= u.age/4*3 && age >= u.ahead(p) {
		u.ask(one, false)
	}
	switch {
	case one.ended != "":
		u.forget(one) // the next who comes asks the directory again
		return lease.Claim{}, &endedError{reason: one.ended}
	case one.looked.IsZero():
		return lease.Claim{User: p, Unknown: true}, nil
	}
	if one.stale || one.gets.Generation != u.catalog.Generation() || (!one.gets.Until.IsZero() && !now.Before(one.gets.Until)) {
		gets, err := u.catalog.Assignments(ctx, p, one.groups, client)
		if err != nil {
			return lease.Claim{User: p, Unknown: true}, err
		}
		one.gets, one.stale = gets, false
	}
	return lease.Claim{User: p, Entitlements: one.gets.Entitlements}, nil
}

// ahead is the age at which a user is looked up again: from 3/4 to 7/8 of
// DirectoryAge, so that users who came at once are spread.
func (u *users) ahead(p dormer.Principal) time.Duration {
	const spread = 1 << 10
	part := int64(maphash.String(u.seed, p.Key) % spread)
	return u.age/4*3 + time.Duration(int64(u.age)/8/spread*part)
}

// await waits for a lookup, within limits.
func await(ctx context.Context, lookup <-chan struct{}) {
	t := time.NewTimer(lookupWait)
	defer t.Stop()
	select {
	case <-lookup:
	case <-t.C:
	case <-ctx.Done():
	}
}

// ask has a user looked up, unless that is under way, and returns what is
// closed then; nil when the directory is not to be asked now, or does not answer
// and something is known. urgent goes before those who have time. The caller
// holds one.mu.
func (u *users) ask(one *user, urgent bool) <-chan struct{} {
	d := u.directory(one.principal.Directory)
	if one.waiting != nil {
		if urgent && !one.hurried {
			one.hurried = true
			d.hurry(one)
		}
		return one.patience(d)
	}
	now := u.now()
	if now.Before(one.retry) || u.ctx.Err() != nil {
		return nil
	}
	queued, worker := d.queue(one, urgent, now)
	if !queued {
		return nil
	}
	one.waiting, one.hurried = make(chan struct{}), urgent
	if worker {
		u.start(func() { u.work(d) })
	}
	return one.patience(d)
}

// patience returns what to wait for: a directory that does not answer is not
// waited for where something is known. The caller holds one.mu.
func (one *user) patience(d *asked) <-chan struct{} {
	if !one.looked.IsZero() && d.away() {
		return nil
	}
	return one.waiting
}

func (u *users) directory(name string) *asked {
	u.mu.RLock()
	d := u.directories[name]
	u.mu.RUnlock()
	if d != nil {
		return d
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if d = u.directories[name]; d == nil {
		d = &asked{}
		u.directories[name] = d
	}
	return d
}

// work looks users of one directory up until none is left.
func (u *users) work(d *asked) {
	for {
		one := d.next()
		if one == nil {
			return
		}
		u.lookup(d, one)
	}
}

// lookup asks the directory for one user and notes what it says.
func (u *users) lookup(d *asked, one *user) {
	one.mu.Lock()
	done := one.waiting
	if done == nil || one.begun {
		one.mu.Unlock()
		return // it was in the queue twice
	}
	one.begun = true
	one.mu.Unlock()

	began, generation := u.now(), u.generation(one.principal)
	var groups []dormer.Principal
	err := fmt.Errorf("directory %s: %w", one.principal.Directory, dormer.ErrUnavailable)
	if d.mayAsk(began) {
		ctx, cancel := context.WithTimeout(u.ctx, lookupTime)
		groups, err = u.people.GroupsOf(ctx, one.principal)
		cancel()
		u.note(d, one.principal.Directory, began, err)
	}

	one.mu.Lock()
	defer one.mu.Unlock()
	switch reason, passing := ending(err); {
	case err == nil:
		one.groups, one.looked, one.generation, one.ended, one.stale = groups, began, generation, "", true
	case reason != "":
		one.ended = reason
	case !away(err): // of a directory that is away the back-off holds
		one.retry = u.now().Add(retryUser)
		if passing {
			u.log.LogAttrs(u.ctx, slog.LevelError, "what a user gets cannot be looked up; what was known counts",
				slog.String("user", string(one.principal.ID())), slog.Any("error", err))
		}
	}
	one.waiting, one.hurried, one.begun = nil, false, false
	close(done)
}

// note keeps whether a directory answers, and says so when that changes.
func (u *users) note(d *asked, name string, began time.Time, err error) {
	switch changed := d.answered(began, u.now(), !away(err)); {
	case !changed || u.ctx.Err() != nil:
	case away(err):
		u.log.LogAttrs(u.ctx, slog.LevelWarn, "a directory does not answer; what was known of its users counts",
			slog.String("directory", name), slog.Any("error", err))
	default:
		u.log.LogAttrs(u.ctx, slog.LevelInfo, "a directory answers again", slog.String("directory", name))
	}
}

// away reports whether an error says that a directory does not answer, rather
// than something of one user.
func away(err error) bool {
	return errors.Is(err, dormer.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// endings are the reasons for which a directory ends sessions. An account that
// is locked, as any guesser can bring about, stops nobody who is signed in.
var endings = map[access.Reason]bool{
	access.ReasonDisabled: true, access.ReasonExpired: true, access.ReasonSignInAgain: true,
}

// ending says whether an error of a directory ends sessions, with the reason
// for the user, or whether it is one that passes.
func ending(err error) (reason string, passing bool) {
	if err == nil {
		return "", false
	}
	if gone, ok := errors.AsType[*access.NoDirectoryError](err); ok {
		return gone.Error(), false
	}
	if errors.Is(err, dormer.ErrNotFound) {
		return "the account was deleted", false
	}
	if r, ok := errors.AsType[*access.RefusedError](err); ok {
		if endings[r.Reason] {
			return string(r.Reason), false
		}
		return "", false
	}
	return "", true
}

// asked is a directory and who is to be looked up in it.
type asked struct {
	mu sync.Mutex
	// guards the fields below
	urgent, later []*user
	workers       int
	failures      int       // in a row
	until         time.Time // when it may be asked again after a failure
	failed        time.Time // when the last that counts was noted
	probing       bool      // one lookup tries whether it answers again
}

// queue takes a user in and reports whether it did, and whether another worker
// is needed. A directory that is left alone takes nobody.
func (d *asked) queue(one *user, urgent bool, now time.Time) (queued, worker bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failures > 0 && (d.probing || now.Before(d.until)) {
		return false, false
	}
	if urgent {
		d.urgent = append(d.urgent, one)
	} else {
		d.later = append(d.later, one)
	}
	if d.workers >= lookupWorkers {
		return true, false
	}
	d.workers++
	return true, true
}

// hurry puts a user who was to be looked up later before those who have time.
// The other place in the queue is passed over when it comes.
func (d *asked) hurry(one *user) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.urgent = append(d.urgent, one)
}

// away reports whether the last that is known is that it did not answer.
func (d *asked) away() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failures > 0
}

// next returns who is looked up next; nil ends the worker.
func (d *asked) next() *user {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range []*[]*user{&d.urgent, &d.later} {
		if len(*q) > 0 {
			one := (*q)[0]
			(*q)[0] = nil
			if *q = (*q)[1:]; len(*q) == 0 {
				*q = nil
			}
			return one
		}
	}
	d.workers--
	return nil
}

// mayAsk reports whether the directory may be asked now: of one that does not
// answer, one lookup finds out.
func (d *asked) mayAsk(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.failures == 0:
		return true
	case d.probing || now.Before(d.until):
		return false
	}
	d.probing = true
	return true
}

// answered notes whether the directory answered what it was asked at began, and
// reports whether that is news. Of lookups side by side one failure counts.
func (d *asked) answered(began, now time.Time, ok bool) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok {
		news = d.failures > 0
		d.failures, d.probing = 0, false
		return news
	}
	d.probing = false
	if d.failures > 0 && began.Before(d.failed) {
		return false
	}
	news = d.failures == 0
	d.until = now.Add(min(firstBackoff<<min(d.failures, 10), maxBackoff))
	d.failures++
	d.failed = now
	return news
}

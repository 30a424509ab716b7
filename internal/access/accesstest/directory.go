// Package accesstest has directories, Kerberos and OpenID providers in memory,
// for tests of what uses package access. They keep the contracts of the real
// ones; tests change them while they are used.
package accesstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
)

// User is a user of a Directory.
type User struct {
	Name, DisplayName, Password string
	// Refused is why the account may not be used, or empty.
	Refused access.Reason
}

// Directory is an access.Directory in memory whose groups may hold users and
// groups of others. It is safe for concurrent use.
type Directory struct {
	name string

	mu sync.Mutex
	// guards the fields below
	users   map[string]User   // by key
	groups  map[string]string // names by key
	members map[string][]dormer.Principal
	next    int
	down    error
	asked   int
}

var (
	_ access.Directory      = (*Directory)(nil)
	_ access.ForeignGrouper = (*Directory)(nil)
	_ access.Tester         = (*Directory)(nil)
)

// NewDirectory returns an empty directory.
func NewDirectory(name string) *Directory {
	return &Directory{name: name, users: map[string]User{}, groups: map[string]string{}, members: map[string][]dormer.Principal{}}
}

func (d *Directory) principal(kind dormer.PrincipalKind, key, called string) dormer.Principal {
	return dormer.Principal{Directory: d.name, Kind: kind, Key: key, Name: called}
}

func (d *Directory) key() string {
	d.next++
	return fmt.Sprintf("%s-key-%d", d.name, d.next)
}

// Add adds a user.
func (d *Directory) Add(u User) dormer.Principal {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := d.key()
	d.users[key] = u
	return d.principal(dormer.KindUser, key, u.Name)
}

// AddGroup adds a group with members, which may be of other directories.
func (d *Directory) AddGroup(called string, members ...dormer.Principal) dormer.Principal {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := d.key()
	d.groups[key], d.members[key] = called, members
	return d.principal(dormer.KindGroup, key, called)
}

// Change changes a user; it does nothing when there is none.
func (d *Directory) Change(p dormer.Principal, change func(*User)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if u, ok := d.users[p.Key]; ok {
		change(&u)
		d.users[p.Key] = u
	}
}

// Remove removes a user, a group or, of a group, its members.
func (d *Directory) Remove(p dormer.Principal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.users, p.Key)
	delete(d.groups, p.Key)
	delete(d.members, p.Key)
}

// SetMembers replaces the members of a group.
func (d *Directory) SetMembers(group dormer.Principal, members ...dormer.Principal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.members[group.Key] = members
}

// Down makes the directory not answer, or answer again.
func (d *Directory) Down(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = nil
	if down {
		d.down = fmt.Errorf("connect to directory %s: %w", d.name, dormer.ErrUnavailable)
	}
}

// Asked returns how often groups of a user were asked for.
func (d *Directory) Asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// enter locks d unless it does not answer or ctx has ended.
func (d *Directory) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	if d.down != nil {
		d.mu.Unlock()
		return d.down
	}
	return nil
}

// Name implements access.People.
func (d *Directory) Name() string { return d.name }

// find needs d.mu.
func (d *Directory) find(kind dormer.PrincipalKind, called string) (dormer.Principal, error) {
	if err := kind.Check(); err != nil {
		return dormer.Principal{}, err
	}
	// As far as a name goes by which this directory is asked whole.
	called, _, _ = strings.Cut(called, "@")
	for _, e := range d.entries() {
		if e.Principal.Kind == kind && name.Fold(e.Principal.Name) == name.Fold(called) {
			return e.Principal, nil
		}
	}
	return dormer.Principal{}, dormer.ErrNotFound
}

// entries needs d.mu.
func (d *Directory) entries() []access.Entry {
	var out []access.Entry
	for key, u := range d.users {
		out = append(out, access.Entry{Principal: d.principal(dormer.KindUser, key, u.Name), DisplayName: u.DisplayName, Detail: d.name + "/" + u.Name, State: u.Refused.State()})
	}
	for key, called := range d.groups {
		out = append(out, access.Entry{Principal: d.principal(dormer.KindGroup, key, called), Detail: d.name + "/" + called})
	}
	slices.SortFunc(out, access.CompareNames)
	return out
}

// Authenticate implements access.People.
func (d *Directory) Authenticate(ctx context.Context, called, password string) (dormer.Principal, error) {
	if err := d.enter(ctx); err != nil {
		return dormer.Principal{}, err
	}
	defer d.mu.Unlock()
	p, err := d.find(dormer.KindUser, called)
	u := d.users[p.Key]
	if u.Refused == access.ReasonGuarded && access.KnownPlace(ctx) {
		u.Refused = ""
	}
	guarded := u.Refused == access.ReasonLocked || u.Refused == access.ReasonGuarded
	switch {
	case err == nil && guarded:
		return dormer.Principal{}, &access.RefusedError{Reason: u.Refused}
	case err != nil || password == "" || password != u.Password:
		return dormer.Principal{}, fmt.Errorf("wrong name or password: %w", dormer.ErrUnauthenticated)
	case u.Refused != "":
		return dormer.Principal{}, &access.RefusedError{Reason: u.Refused}
	}
	return p, nil
}

// Groups implements access.People.
func (d *Directory) Groups(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	d.asked++
	u, ok := d.users[user.Key]
	switch {
	case !ok:
		return nil, dormer.ErrNotFound
	case u.Refused != "" && u.Refused != access.ReasonGuarded:
		return nil, &access.RefusedError{Reason: u.Refused}
	}
	return d.above([]dormer.Principal{user}), nil
}

// above returns the groups that one of the principals is in. It needs d.mu.
func (d *Directory) above(of []dormer.Principal) []dormer.Principal {
	in := map[dormer.UserID]bool{}
	for _, p := range of {
		in[p.ID()] = true
	}
	var out []dormer.Principal
	for grown := true; grown; {
		grown = false
		for key, called := range d.groups {
			g := d.principal(dormer.KindGroup, key, called)
			if !in[g.ID()] && slices.ContainsFunc(d.members[key], func(m dormer.Principal) bool { return in[m.ID()] }) {
				in[g.ID()], grown = true, true
				out = append(out, g)
			}
		}
	}
	slices.SortFunc(out, func(a, b dormer.Principal) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// Resolve implements access.Names.
func (d *Directory) Resolve(ctx context.Context, kind dormer.PrincipalKind, called string) (dormer.Principal, error) {
	if err := d.enter(ctx); err != nil {
		return dormer.Principal{}, err
	}
	defer d.mu.Unlock()
	return d.find(kind, called)
}

// Match implements access.Names.
func (d *Directory) Match(ctx context.Context, kind dormer.PrincipalKind, called string, limit int) ([]access.Entry, error) {
	called, _, _ = strings.Cut(called, "@")
	return d.search(ctx, limit, access.GoesBy(kind, called))
}

// Find implements access.Names.
func (d *Directory) Find(ctx context.Context, prefix string, limit int) ([]access.Entry, error) {
	return d.search(ctx, limit, access.BeginsWith(prefix))
}

func (d *Directory) search(ctx context.Context, limit int, fits func(access.Entry) bool) ([]access.Entry, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	found := slices.DeleteFunc(d.entries(), func(e access.Entry) bool { return !fits(e) })
	return found[:min(len(found), max(0, limit))], nil
}

// Lookup implements access.Names.
func (d *Directory) Lookup(ctx context.Context, p dormer.Principal) (dormer.Principal, error) {
	if err := d.enter(ctx); err != nil {
		return dormer.Principal{}, err
	}
	defer d.mu.Unlock()
	for _, e := range d.entries() {
		if e.Principal.Kind == p.Kind && e.Principal.Key == p.Key {
			return e.Principal, nil
		}
	}
	return dormer.Principal{}, dormer.ErrNotFound
}

// Chain implements access.Names.
func (d *Directory) Chain(ctx context.Context, user, group dormer.Principal) ([]dormer.Principal, error) {
	return d.ForeignChain(ctx, []dormer.Principal{user}, group)
}

// ForeignGroups implements access.ForeignGrouper.
func (d *Directory) ForeignGroups(ctx context.Context, of []dormer.Principal) ([]dormer.Principal, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	return d.above(of), nil
}

// ForeignChain implements access.ForeignGrouper.
func (d *Directory) ForeignChain(ctx context.Context, from []dormer.Principal, group dormer.Principal) ([]dormer.Principal, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	// Upwards, level by level: the first chain that arrives is the shortest.
	type link struct {
		at   dormer.Principal
		down *link
	}
	var level []*link
	seen := map[dormer.UserID]bool{}
	for _, p := range from {
		level, seen[p.ID()] = append(level, &link{at: p}), true
	}
	for len(level) > 0 {
		var above []*link
		for _, l := range level {
			for _, e := range d.entries() {
				g := e.Principal
				if g.Kind != dormer.KindGroup || seen[g.ID()] || !slices.ContainsFunc(d.members[g.Key], func(m dormer.Principal) bool { return m.ID() == l.at.ID() }) {
					continue
				}
				seen[g.ID()] = true
				up := &link{at: g, down: l}
				if g.Key == group.Key {
					var chain []dormer.Principal
					for ; up.down != nil; up = up.down {
						chain = append([]dormer.Principal{up.at}, chain...)
					}
					return chain, nil
				}
				above = append(above, up)
			}
		}
		level = above
	}
	return nil, fmt.Errorf("chain to %s: %w", group.Name, dormer.ErrNotFound)
}

// Test implements access.Tester.
func (d *Directory) Test(ctx context.Context) ([]access.Finding, error) {
	err := d.enter(ctx)
	if err == nil {
		d.mu.Unlock()
	}
	f := access.Finding{Setting: "servers[0]", What: d.name + ": connection", Took: time.Millisecond}
	switch {
	case errors.Is(err, dormer.ErrUnavailable):
		f.Problem = err.Error()
	case err != nil:
		return nil, err
	}
	return []access.Finding{f}, nil
}

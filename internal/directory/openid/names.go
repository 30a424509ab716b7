package openid

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
)

// namesFor is for how long names are kept that another replica may have added
// to.
const namesFor = 5 * time.Second

// names are the users who signed in, and the groups that they named or that
// the configuration lists.
type names struct {
	entries []access.Entry // in the order of their folded names
	read    time.Time
}

// all returns the names, read from the store when they are old.
func (d *directory) all(ctx context.Context) ([]access.Entry, error) {
	now := d.p.config.Now()
	d.mu.Lock()
	kept, wrote := d.names, d.wrote
	d.mu.Unlock()
	if kept != nil && now.Sub(kept.read) < namesFor && !now.Before(kept.read) {
		return kept.entries, nil
	}
	accounts, err := d.p.config.Store.FederatedAccounts(ctx, d.Name())
	if err != nil {
		return nil, fmt.Errorf("search users of %s: %w", d.Name(), err)
	}
	var entries []access.Entry
	groups := slices.Clone(d.p.config.KnownGroups)
	for _, a := range accounts {
		_, subject, _ := strings.Cut(a.Key, "|")
		entries = append(entries, access.Entry{Principal: d.user(a), DisplayName: a.DisplayName, Detail: subject, State: a.Refused.State()})
		groups = append(groups, a.Groups...)
	}
	slices.Sort(groups)
	for _, called := range slices.Compact(groups) {
		entries = append(entries, access.Entry{Principal: d.group(called)})
	}
	slices.SortStableFunc(entries, access.CompareNames)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wrote == wrote {
		d.names = &names{entries: entries, read: now}
	}
	return entries, nil
}

func (d *directory) search(ctx context.Context, limit int, fits func(access.Entry) bool) ([]access.Entry, error) {
	all, err := d.all(ctx)
	if err != nil {
		return nil, err
	}
	found := []access.Entry{}
	for _, e := range all {
		if len(found) >= limit {
			break
		}
		if fits(e) {
			found = append(found, e)
		}
	}
	return found, nil
}

// Resolve finds the principal of that kind and exact name. Of several whose
// names differ only in case, the one that is written like this; several of the
// same name are an *access.AmbiguousError.
func (d *directory) Resolve(ctx context.Context, kind dormer.PrincipalKind, who string) (dormer.Principal, error) {
	if err := kind.Check(); err != nil {
		return dormer.Principal{}, err
	}
	folded := name.Fold(who)
	const several = 100
	found, err := d.search(ctx, several, func(e access.Entry) bool { return e.Principal.Kind == kind && name.Fold(e.Principal.Name) == folded })
	if err != nil {
		return dormer.Principal{}, err
	}
	if len(found) > 1 {
		if exact := slices.DeleteFunc(slices.Clone(found), func(e access.Entry) bool { return e.Principal.Name != who }); len(exact) == 1 {
			found = exact
		}
	}
	switch len(found) {
	case 0:
		return dormer.Principal{}, fmt.Errorf("find the %s: %w", kind, dormer.ErrNotFound)
	case 1:
		return found[0].Principal, nil
	default:
		return dormer.Principal{}, &access.AmbiguousError{Candidates: found}
	}
}

// Match lists the principals of that kind whose name or display name this is.
func (d *directory) Match(ctx context.Context, kind dormer.PrincipalKind, who string, limit int) ([]access.Entry, error) {
	return d.search(ctx, limit, access.GoesBy(kind, who))
}

// Find lists principals one of whose names begins with prefix.
func (d *directory) Find(ctx context.Context, prefix string, limit int) ([]access.Entry, error) {
	return d.search(ctx, limit, access.BeginsWith(prefix))
}

// Lookup finds a principal by its key. A group is there as long as somebody's
// last ID token names it or the configuration does.
func (d *directory) Lookup(ctx context.Context, p dormer.Principal) (dormer.Principal, error) {
	if err := p.Kind.Check(); err != nil {
		return dormer.Principal{}, err
	}
	if p.Directory != d.Name() {
		return dormer.Principal{}, fmt.Errorf("find a principal of %s: %w", d.Name(), dormer.ErrNotFound)
	}
	if p.Kind == dormer.KindUser {
		a, err := d.p.config.Store.Federated(ctx, d.Name(), p.Key)
		if err != nil {
			return dormer.Principal{}, fmt.Errorf("find the user: %w", err)
		}
		return d.user(a), nil
	}
	found, err := d.search(ctx, 1, func(e access.Entry) bool { return e.Principal.Kind == p.Kind && e.Principal.Key == p.Key })
	if err != nil {
		return dormer.Principal{}, err
	}
	if len(found) == 0 {
		return dormer.Principal{}, fmt.Errorf("find the group: %w", dormer.ErrNotFound)
	}
	return found[0].Principal, nil
}

// Chain is the group itself: a user's claim names all groups, and says nothing
// of one being in another.
func (d *directory) Chain(ctx context.Context, user, group dormer.Principal) ([]dormer.Principal, error) {
	if user.Directory != d.Name() || user.Kind != dormer.KindUser || group.Directory != d.Name() || group.Kind != dormer.KindGroup {
		return nil, fmt.Errorf("find a user and a group of %s: %w", d.Name(), dormer.ErrNotFound)
	}
	a, err := d.p.config.Store.Federated(ctx, d.Name(), user.Key)
	if err != nil {
		return nil, fmt.Errorf("find the user: %w", err)
	}
	if !slices.Contains(a.Groups, group.Key) {
		return nil, fmt.Errorf("%s is not in %s: %w", a.Name, group.Key, dormer.ErrNotFound)
	}
	return []dormer.Principal{d.group(group.Key)}, nil
}

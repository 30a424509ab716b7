// Package directory holds the directories that users and groups come from,
// each an implementation of access.Directory. Programs import it; the
// conformance suite for all of them is directorytest.
package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
)

// Embedded is the directory in the server's own database. It implements
// access.Directory and access.PasswordChanger.
type Embedded struct {
	accounts *access.Accounts
}

var (
	_ access.Directory       = (*Embedded)(nil)
	_ access.PasswordChanger = (*Embedded)(nil)
)

// NewEmbedded returns the directory of accounts.
func NewEmbedded(accounts *access.Accounts) *Embedded { return &Embedded{accounts: accounts} }

// Name is dormer.EmbeddedDirectory.
func (d *Embedded) Name() string { return dormer.EmbeddedDirectory }

func userPrincipal(a access.Account) dormer.Principal {
	return dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: a.ID, Name: a.Name}
}

func groupPrincipal(g access.Group) dormer.Principal {
	return dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindGroup, Key: g.ID, Name: g.Name}
}

// Authenticate checks a password.
func (d *Embedded) Authenticate(ctx context.Context, user, password string) (dormer.Principal, error) {
	a, err := d.accounts.Authenticate(ctx, user, password)
	if err != nil {
		return dormer.Principal{}, err
	}
	return userPrincipal(a), nil
}

// ChangePassword sets a new password for a user who proves the old one.
func (d *Embedded) ChangePassword(ctx context.Context, user, old, replacement string) (dormer.Principal, error) {
	a, err := d.accounts.ChangePassword(ctx, user, old, replacement)
	if err != nil {
		return dormer.Principal{}, err
	}
	return userPrincipal(a), nil
}

// Groups returns the groups that user is in, nested ones too.
func (d *Embedded) Groups(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error) {
	if user.Kind != dormer.KindUser || user.Directory != d.Name() {
		return nil, fmt.Errorf("find groups of a user of %s: %w", d.Name(), dormer.ErrNotFound)
	}
	a, err := d.accounts.Get(ctx, user.Key)
	if err != nil {
		return nil, fmt.Errorf("find groups of user: %w", err)
	}
	if err := d.accounts.Usable(a); err != nil {
		return nil, err
	}
	groups, err := d.accounts.GroupsOf(ctx, a.ID)
	if err != nil {
		return nil, fmt.Errorf("find groups of user: %w", err)
	}
	principals := make([]dormer.Principal, len(groups))
	for i, g := range groups {
		principals[i] = groupPrincipal(g)
	}
	return principals, nil
}

// Resolve finds the principal of that kind and exact name.
func (d *Embedded) Resolve(ctx context.Context, kind dormer.PrincipalKind, who string) (dormer.Principal, error) {
	switch kind {
	case dormer.KindUser:
		a, err := d.accounts.ByName(ctx, who)
		if err != nil {
			return dormer.Principal{}, fmt.Errorf("find the user: %w", err)
		}
		return userPrincipal(a), nil
	case dormer.KindGroup:
		groups, err := d.accounts.Groups(ctx)
		if err != nil {
			return dormer.Principal{}, fmt.Errorf("find the group: %w", err)
		}
		folded := name.Fold(who)
		i := slices.IndexFunc(groups, func(g access.Group) bool { return name.Fold(g.Name) == folded })
		if i < 0 {
			return dormer.Principal{}, fmt.Errorf("find the group: %w", dormer.ErrNotFound)
		}
		return groupPrincipal(groups[i]), nil
	default:
		return dormer.Principal{}, kind.Check()
	}
}

// entries returns all users and groups.
func (d *Embedded) entries(ctx context.Context) ([]access.Entry, error) {
	accounts, err := d.accounts.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("search users: %w", err)
	}
	groups, err := d.accounts.Groups(ctx)
	if err != nil {
		return nil, fmt.Errorf("search groups: %w", err)
	}
	all := make([]access.Entry, 0, len(accounts)+len(groups))
	for _, a := range accounts {
		e := access.Entry{Principal: userPrincipal(a), DisplayName: a.DisplayName}
		if refused, ok := errors.AsType[*access.RefusedError](d.accounts.Usable(a)); ok {
			e.State = refused.Reason.State()
		}
		all = append(all, e)
	}
	for _, g := range groups {
		all = append(all, access.Entry{Principal: groupPrincipal(g)})
	}
	slices.SortStableFunc(all, access.CompareNames)
	return all, nil
}

// Match lists the principals of that kind whose name or display name this is.
func (d *Embedded) Match(ctx context.Context, kind dormer.PrincipalKind, who string, limit int) ([]access.Entry, error) {
	return d.search(ctx, limit, access.GoesBy(kind, who))
}

// Find lists principals one of whose names begins with prefix.
func (d *Embedded) Find(ctx context.Context, prefix string, limit int) ([]access.Entry, error) {
	return d.search(ctx, limit, access.BeginsWith(prefix))
}

func (d *Embedded) search(ctx context.Context, limit int, fits func(access.Entry) bool) ([]access.Entry, error) {
	all, err := d.entries(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e access.Entry) bool { return !fits(e) })
	return all[:min(len(all), max(0, limit))], nil
}

// Lookup finds a principal by its key.
func (d *Embedded) Lookup(ctx context.Context, p dormer.Principal) (dormer.Principal, error) {
	if p.Directory != d.Name() {
		return dormer.Principal{}, fmt.Errorf("find a principal of %s: %w", d.Name(), dormer.ErrNotFound)
	}
	switch p.Kind {
	case dormer.KindUser:
		a, err := d.accounts.Get(ctx, p.Key)
		if err != nil {
			return dormer.Principal{}, fmt.Errorf("find the user: %w", err)
		}
		return userPrincipal(a), nil
	case dormer.KindGroup:
		g, err := d.accounts.Group(ctx, p.Key)
		if err != nil {
			return dormer.Principal{}, fmt.Errorf("find the group: %w", err)
		}
		return groupPrincipal(g), nil
	default:
		return dormer.Principal{}, p.Kind.Check()
	}
}

// Chain says through which groups a user or a group is in group. It goes down
// from the group, level by level, until it meets the member.
func (d *Embedded) Chain(ctx context.Context, member, group dormer.Principal) ([]dormer.Principal, error) {
	top, err := d.Lookup(ctx, group)
	if err != nil {
		return nil, err
	}
	type link struct {
		group dormer.Principal
		up    *link
	}
	seen := map[string]bool{top.Key: true}
	for level := []*link{{group: top}}; len(level) > 0; {
		var below []*link
		for _, at := range level {
			members, err := d.accounts.Members(ctx, at.group.Key)
			if err != nil {
				return nil, fmt.Errorf("read a group: %w", err)
			}
			for _, m := range members {
				switch {
				case m.Kind == member.Kind && m.ID == member.Key:
					var chain []dormer.Principal
					for l := at; l != nil; l = l.up {
						chain = append(chain, l.group)
					}
					return chain, nil
				case m.Kind == dormer.KindGroup && !seen[m.ID]:
					seen[m.ID] = true
					g, err := d.accounts.Group(ctx, m.ID)
					if err != nil {
						return nil, fmt.Errorf("read a group: %w", err)
					}
					below = append(below, &link{group: groupPrincipal(g), up: at})
				}
			}
		}
		level = below
	}
	return nil, fmt.Errorf("%s is not in %s: %w", member.Name, top.Name, dormer.ErrNotFound)
}

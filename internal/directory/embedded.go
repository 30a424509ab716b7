// Package directory holds the directories that users and groups come from,
// each an implementation of access.Directory. Programs import it; the
// conformance suite for all of them is directorytest.
package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
		return dormer.Principal{}, dormer.Invalidf("kind", "is %q or %q", dormer.KindUser, dormer.KindGroup)
	}
}

// Find lists principals whose names begin with prefix, in the order of their
// names, at most limit.
func (d *Embedded) Find(ctx context.Context, prefix string, limit int) ([]dormer.Principal, error) {
	accounts, err := d.accounts.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("search users: %w", err)
	}
	groups, err := d.accounts.Groups(ctx)
	if err != nil {
		return nil, fmt.Errorf("search groups: %w", err)
	}
	folded := name.Fold(prefix)
	var found []dormer.Principal
	for _, a := range accounts {
		if strings.HasPrefix(name.Fold(a.Name), folded) {
			found = append(found, userPrincipal(a))
		}
	}
	for _, g := range groups {
		if strings.HasPrefix(name.Fold(g.Name), folded) {
			found = append(found, groupPrincipal(g))
		}
	}
	slices.SortStableFunc(found, func(x, y dormer.Principal) int {
		return strings.Compare(name.Fold(x.Name), name.Fold(y.Name))
	})
	return found[:min(len(found), max(0, limit))], nil
}

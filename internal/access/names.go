package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
)

// GroupsOf returns the groups that user is in, nested ones too, as the
// directories say now: the user's own, and those that trust it. ErrNotFound
// when the user is gone, *RefusedError when disabled or expired, and
// ErrUnavailable when any of the directories does not answer, so that nobody
// loses by mistake what a group of it gives.
func (a *Authenticator) GroupsOf(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error) {
	d, ok := a.mounts.of(user)
	if !ok {
		return nil, &NoDirectoryError{Directory: user.Directory}
	}
	groups, err := d.Groups(ctx, user)
	if err != nil {
		return nil, err
	}
	own := append([]dormer.Principal{user}, groups...)
	for _, t := range a.mounts.trusting(d.Name()) {
		foreign, err := t.Directory.(ForeignGrouper).ForeignGroups(ctx, own)
		if err != nil {
			return nil, fmt.Errorf("find groups of %s for users of %s: %w", t.Name(), d.Name(), notGone(err))
		}
		groups = append(groups, foreign...)
	}
	return groups, nil
}

// notGone makes of what another directory says about a user nothing that is
// taken for the user's own directory saying that the account may not be used.
func notGone(err error) error {
	if errors.Is(err, dormer.ErrNotFound) || errors.Is(err, dormer.ErrDenied) || errors.Is(err, dormer.ErrUnauthenticated) {
		return fmt.Errorf("%w: %s", dormer.ErrUnavailable, err.Error())
	}
	return err
}

// Resolve finds the principal of that kind and exact account name; the name
// may be PREFIX\name or name@suffix. ErrNotFound when there is none.
func (a *Authenticator) Resolve(ctx context.Context, kind dormer.PrincipalKind, who string) (dormer.Principal, error) {
	if len(who) > maxUser {
		return dormer.Principal{}, fmt.Errorf("%s %.200q: %w", kind, who, dormer.ErrNotFound)
	}
	to := a.mounts.route(who)
	if !to.known {
		return dormer.Principal{}, fmt.Errorf("%s %.200q: no directory goes by the name before the backslash: %w", kind, who, dormer.ErrNotFound)
	}
	p, err := to.Resolve(ctx, kind, to.name)
	if errors.Is(err, dormer.ErrNotFound) {
		return dormer.Principal{}, fmt.Errorf("%s %.200q of directory %s: %w", kind, to.name, to.Name(), dormer.ErrNotFound)
	}
	return p, err
}

// UnansweredError is an ErrUnavailable: some of the directories that were
// searched did not answer. What the others said stands beside it.
type UnansweredError struct {
	Directories []string
	// Err is what was wrong with them, or nil where that is not known.
	Err error
}

// Away names the directories.
func (e *UnansweredError) Away() string {
	if len(e.Directories) == 1 {
		return "directory " + e.Directories[0]
	}
	return "directories " + strings.Join(e.Directories, ", ")
}

func (e *UnansweredError) Error() string {
	said := "no answer from " + e.Away()
	if e.Err != nil {
		said += ": " + e.Err.Error()
	}
	return said
}

// Is makes an *UnansweredError match dormer.ErrUnavailable.
func (e *UnansweredError) Is(target error) bool { return target == dormer.ErrUnavailable }

func (e *UnansweredError) Unwrap() error { return e.Err }

// Match lists who goes by exactly that name in any directory, or in the one
// that PREFIX\ or @suffix names; at most limit, none when there is none. Where
// some directories do not answer, it returns whom the others have beside an
// *UnansweredError; an error names the directory that it is from.
func (a *Authenticator) Match(ctx context.Context, kind dormer.PrincipalKind, who string, limit int) ([]Entry, error) {
	if len(who) > maxUser {
		return nil, nil
	}
	return a.search(ctx, who, limit, func(d Directory, who string, limit int) ([]Entry, error) { return d.Match(ctx, kind, who, limit) })
}

// Find lists principals whose names begin with prefix, of all directories or
// the one that PREFIX\ names, at most limit. Directories that do not answer are
// as with Match.
func (a *Authenticator) Find(ctx context.Context, prefix string, limit int) ([]Entry, error) {
	if len(prefix) > maxUser {
		return nil, nil
	}
	return a.search(ctx, prefix, limit, func(d Directory, who string, limit int) ([]Entry, error) { return d.Find(ctx, who, limit) })
}

func (a *Authenticator) search(ctx context.Context, who string, limit int, ask func(d Directory, who string, limit int) ([]Entry, error)) ([]Entry, error) {
	asked := a.mounts.all
	to := a.mounts.route(who)
	switch {
	case to.named && !to.known:
		return nil, nil
	case to.named:
		asked = []Mount{to.Mount}
	}
	var found []Entry
	var away []string
	var errs []error
	answered := 0
	for _, d := range asked {
		if len(found) >= limit {
			break
		}
		some, err := ask(d.Directory, to.name, limit-len(found))
		switch {
		case err == nil:
			found = append(found, some...)
			answered++
			continue
		case ctx.Err() != nil || !errors.Is(err, dormer.ErrUnavailable):
			return nil, fmt.Errorf("search directory %s: %w", d.Name(), err)
		}
		away, errs = append(away, d.Name()), append(errs, fmt.Errorf("search directory %s: %w", d.Name(), err))
	}
	switch {
	case len(away) == 0:
		return found, nil
	case answered == 0:
		return nil, errors.Join(errs...)
	}
	return found, &UnansweredError{Directories: away, Err: errors.Join(errs...)}
}

// Lookup finds a principal by its key and returns it with the name that it has
// now. ErrNotFound when it, or its directory, is gone.
func (a *Authenticator) Lookup(ctx context.Context, p dormer.Principal) (dormer.Principal, error) {
	d, ok := a.mounts.of(p)
	if !ok {
		return dormer.Principal{}, &NoDirectoryError{Directory: p.Directory}
	}
	return d.Lookup(ctx, p)
}

// Chain says how a member, a user or itself a group, is in a group: the groups
// from the one that the member is in to group itself. Where group is of another
// directory, which trusts the member's, the chain goes from one to the other;
// from a group it does so only if that group is named there itself. ErrNotFound
// when the member is not in it.
func (a *Authenticator) Chain(ctx context.Context, member, group dormer.Principal) ([]dormer.Principal, error) {
	home, ok := a.mounts.of(member)
	there, found := a.mounts.of(group)
	if !ok || !found {
		return nil, fmt.Errorf("find the chain from %s to %s: a directory is not configured: %w", member.Name, group.Name, dormer.ErrNotFound)
	}
	if home.Name() == there.Name() {
		return home.Chain(ctx, member, group)
	}
	foreign, ok := there.Directory.(ForeignGrouper)
	if !ok || !there.trusts(home.Name()) {
		return nil, fmt.Errorf("%s does not trust %s: %w", there.Name(), home.Name(), dormer.ErrNotFound)
	}
	// Shortest first: the member alone.
	chain, err := foreign.ForeignChain(ctx, []dormer.Principal{member}, group)
	if !errors.Is(err, dormer.ErrNotFound) {
		return chain, err
	}
	own, err := home.Groups(ctx, member)
	if err != nil {
		return nil, err
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("%s is not in %s: %w", member.Name, group.Name, dormer.ErrNotFound)
	}
	beyond, err := foreign.ForeignChain(ctx, own, group)
	if err != nil {
		return nil, err
	}
	// Which of the member's groups is it that the chain begins at? By halves, so
	// that it takes few questions however many groups there are.
	for len(own) > 1 {
		half := own[:len(own)/2]
		part, err := foreign.ForeignChain(ctx, half, group)
		switch {
		case err == nil && len(part) <= len(beyond):
			own, beyond = half, part
		case err == nil || errors.Is(err, dormer.ErrNotFound):
			own = own[len(half):]
		default:
			return nil, err
		}
	}
	if beyond, err = foreign.ForeignChain(ctx, own, group); err != nil {
		return nil, err
	}
	before, err := home.Chain(ctx, member, own[0])
	if err != nil {
		return nil, err
	}
	return append(before, beyond...), nil
}

// DirectoryFindings is how one directory was found.
type DirectoryFindings struct {
	Directory string
	Findings  []Finding
}

// Examined is something that can be examined, by its name in the configuration.
type Examined struct {
	Name string
	Tester
}

// Test examines what Config.Examined names. It returns an error only when ctx
// ends.
func (a *Authenticator) Test(ctx context.Context) ([]DirectoryFindings, error) {
	out := []DirectoryFindings{}
	for _, one := range a.cfg.Examined {
		findings, err := one.Test(ctx)
		if err != nil {
			return nil, fmt.Errorf("examine %s: %w", one.Name, err)
		}
		out = append(out, DirectoryFindings{Directory: one.Name, Findings: findings})
	}
	return out, nil
}

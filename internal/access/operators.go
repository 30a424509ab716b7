package access

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
)

// Role returns the highest role that user has, by name or through a group.
// Groups may be as old as the Mount.Fresh of the user's directory. Errors as of
// GroupsOf.
func (a *Authenticator) Role(ctx context.Context, user dormer.Principal) (dormer.Role, error) {
	operators, err := a.cfg.Operators.Operators(ctx)
	if err != nil {
		return dormer.RoleNone, fmt.Errorf("read operators: %w", err)
	}
	d, _ := a.mounts.of(user)
	groups, err := a.recent.of(ctx, user.ID(), d.Fresh, func(ctx context.Context) ([]dormer.Principal, error) { return a.GroupsOf(ctx, user) })
	if err != nil {
		return dormer.RoleNone, err
	}
	// By kind too: where the keys of groups are texts, as an OpenID provider's
	// are, one may be called like the key of a user.
	type principal struct {
		kind dormer.PrincipalKind
		id   dormer.UserID
	}
	mine := map[principal]bool{{dormer.KindUser, user.ID()}: true}
	for _, g := range groups {
		mine[principal{dormer.KindGroup, g.ID()}] = true
	}
	role := dormer.RoleNone
	for _, o := range operators {
		if mine[principal{o.Principal.Kind, o.Principal.ID()}] && o.Role.Allows(role) {
			role = o.Role
		}
	}
	return role, nil
}

// Operators lists the operators.
func (a *Authenticator) Operators(ctx context.Context) ([]Operator, error) {
	return a.cfg.Operators.Operators(ctx)
}

// SetOperator gives the user or group of that name a role; RoleNone takes it
// away. ErrNotFound for an unknown name, ErrConflict when nobody would be left
// with RoleFull.
func (a *Authenticator) SetOperator(ctx context.Context, kind dormer.PrincipalKind, who string, role dormer.Role) (Operator, error) {
	switch role {
	case dormer.RoleNone, dormer.RoleReadOnly, dormer.RoleFull:
	default:
		return Operator{}, dormer.Invalidf("role", "is %q, %q or empty", dormer.RoleReadOnly, dormer.RoleFull)
	}
	p, err := a.operatorOf(ctx, kind, who, role)
	if err != nil {
		return Operator{}, fmt.Errorf("find the operator: %w", err)
	}
	o := Operator{Principal: p, Role: role}
	return o, a.setOperator(ctx, o)
}

// operatorOf finds who is to get a role. A role can be taken also from somebody
// whom the directory does not know any more, by the name that was known.
func (a *Authenticator) operatorOf(ctx context.Context, kind dormer.PrincipalKind, who string, role dormer.Role) (dormer.Principal, error) {
	p, err := a.Resolve(ctx, kind, who)
	if role != dormer.RoleNone || err == nil || !errors.Is(err, dormer.ErrNotFound) && !errors.Is(err, dormer.ErrUnavailable) {
		return p, err
	}
	operators, e := a.cfg.Operators.Operators(ctx)
	if e != nil {
		return dormer.Principal{}, fmt.Errorf("read operators: %w", e)
	}
	var found []Entry
	to := a.mounts.route(who)
	for _, o := range operators {
		plain := o.Principal.Kind == kind && name.Fold(o.Principal.Name) == name.Fold(to.name)
		full := o.Principal.Kind == kind && name.Fold(o.Principal.Directory+`\`+o.Principal.Name) == name.Fold(who)
		if full || plain && to.known && o.Principal.Directory == to.Name() {
			found = append(found, Entry{Principal: o.Principal})
		}
	}
	switch len(found) {
	case 0:
		return dormer.Principal{}, err
	case 1:
		return found[0].Principal, nil
	}
	return dormer.Principal{}, &AmbiguousError{Candidates: found}
}

// change holds a.changing while it runs do.
func (a *Authenticator) change(ctx context.Context, do func() error) error {
	select {
	case a.changing <- struct{}{}:
		defer func() { <-a.changing }()
	case <-ctx.Done():
		return fmt.Errorf("wait for another change: %w", ctx.Err())
	}
	return do()
}

func (a *Authenticator) setOperator(ctx context.Context, o Operator) error {
	return a.change(ctx, func() error {
		left, err := a.fullBeside(ctx, o.Principal.ID())
		if err != nil && o.Role != dormer.RoleFull {
			return err
		}
		return a.cfg.Operators.ChangeOperator(ctx, o, func(now []Operator) error {
			if o.Role == dormer.RoleFull || !hasFull(now, func(id dormer.UserID) bool { return id == o.Principal.ID() }) {
				return nil // nothing is taken away
			}
			// On other replicas operators may have been changed since: only those
			// count who still are.
			if !hasFull(now, func(id dormer.UserID) bool { return left[id] }) {
				return errLastFull
			}
			return nil
		})
	})
}

var errLastFull = fmt.Errorf("this is the last operator with the role %s who can sign in: %w", dormer.RoleFull, dormer.ErrConflict)

func hasFull(operators []Operator, is func(dormer.UserID) bool) bool {
	return slices.ContainsFunc(operators, func(o Operator) bool { return o.Role == dormer.RoleFull && is(o.Principal.ID()) })
}

// enoughFull is how many operators are asked for before it is believed that
// others are left.
const enoughFull = 8

// fullBeside returns operators with RoleFull beside one whom their directories
// know and who may be used: the change of that one leaves them. Of groups it is
// enough that the directory knows them. It returns none, and no error, when the
// one has not RoleFull itself; ErrConflict when there is nobody else, and
// ErrUnavailable when there may be somebody but a directory does not answer.
func (a *Authenticator) fullBeside(ctx context.Context, without dormer.UserID) (map[dormer.UserID]bool, error) {
	operators, err := a.cfg.Operators.Operators(ctx)
	if err != nil {
		return nil, fmt.Errorf("read operators: %w", err)
	}
	if !hasFull(operators, func(id dormer.UserID) bool { return id == without }) {
		return nil, nil
	}
	left := map[dormer.UserID]bool{}
	var unknown error
	for _, o := range operators {
		id := o.Principal.ID()
		if o.Role != dormer.RoleFull || id == without || len(left) >= enoughFull {
			continue
		}
		err := a.good(ctx, o.Principal)
		switch {
		case err == nil:
			left[id] = true
		case !errors.Is(err, dormer.ErrNotFound) && !errors.Is(err, dormer.ErrDenied):
			unknown = fmt.Errorf("whether operator %s can sign in: %w", o.Principal.Name, err)
		}
	}
	switch {
	case len(left) > 0:
		return left, nil
	case unknown != nil:
		return nil, unknown
	}
	return nil, errLastFull
}

// good returns nil for a user who may be used and for a group that is there.
func (a *Authenticator) good(ctx context.Context, p dormer.Principal) error {
	d, ok := a.mounts.of(p)
	if !ok {
		return dormer.ErrNotFound
	}
	var err error
	if p.Kind == dormer.KindUser {
		_, err = d.Groups(ctx, p)
	} else {
		_, err = d.Lookup(ctx, p)
	}
	return err
}

// CheckRemovable returns ErrConflict when nobody would be left with RoleFull
// without p. Between it and what is done then others may change operators:
// Removing leaves no such gap.
func (a *Authenticator) CheckRemovable(ctx context.Context, p dormer.Principal) error {
	_, err := a.fullBeside(ctx, p.ID())
	return err
}

// Removing runs do, which removes p from its directory or makes that it cannot
// sign in any more, unless nobody would be left with RoleFull: then it returns
// ErrConflict and runs nothing. No two run at once on one replica, so that two
// operators who disable each other leave one.
func (a *Authenticator) Removing(ctx context.Context, p dormer.Principal, do func() error) error {
	return a.change(ctx, func() error {
		if err := a.CheckRemovable(ctx, p); err != nil {
			return err
		}
		return do()
	})
}

// Ends reports whether a change of an account makes that its user cannot sign
// in: it is disabled, or expires at once. It goes through Removing then.
func (a *Authenticator) Ends(c AccountChange) bool {
	return c.Disabled != nil && *c.Disabled || c.Expires != nil && !c.Expires.IsZero() && !c.Expires.After(a.cfg.Now())
}

// Forget takes role and operator's sessions of a principal that is about to be
// removed from its directory; those on clients end when the directory says that
// it is gone. ErrConflict as CheckRemovable, and then nothing changed.
func (a *Authenticator) Forget(ctx context.Context, p dormer.Principal) error {
	if err := a.setOperator(ctx, Operator{Principal: p, Role: dormer.RoleNone}); err != nil {
		return fmt.Errorf("take the role: %w", err)
	}
	a.recent.drop(p.ID())
	return a.sessions.endKindOf(ctx, SessionOperator, p.ID())
}

package access

import (
	"context"
	"fmt"

	"github.com/dormer-project/dormer"
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
	mine := map[dormer.UserID]bool{user.ID(): true}
	for _, g := range groups {
		mine[g.ID()] = true
	}
	role := dormer.RoleNone
	for _, o := range operators {
		if mine[o.Principal.ID()] && o.Role.Allows(role) {
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
	p, err := a.Resolve(ctx, kind, who)
	if err != nil {
		return Operator{}, fmt.Errorf("find the operator: %w", err)
	}
	if role != dormer.RoleFull {
		if err := a.keepFull(ctx, p); err != nil {
			return Operator{}, err
		}
	}
	o := Operator{Principal: p, Role: role}
	return o, a.cfg.Operators.SetOperator(ctx, o)
}

// keepFull returns ErrConflict when no operator but without has RoleFull.
func (a *Authenticator) keepFull(ctx context.Context, without dormer.Principal) error {
	operators, err := a.cfg.Operators.Operators(ctx)
	if err != nil {
		return fmt.Errorf("read operators: %w", err)
	}
	for _, o := range operators {
		if o.Role == dormer.RoleFull && o.Principal.ID() != without.ID() {
			return nil
		}
	}
	return fmt.Errorf("this is the last operator with the role %s: %w", dormer.RoleFull, dormer.ErrConflict)
}

// CheckRemovable returns ErrConflict when nobody would be left with RoleFull
// without p.
func (a *Authenticator) CheckRemovable(ctx context.Context, p dormer.Principal) error {
	return a.keepFull(ctx, p)
}

// Forget takes role and operator's sessions of a principal that is about to be
// removed from its directory; those on clients end when the directory says that
// it is gone. ErrConflict as CheckRemovable, and then nothing changed.
func (a *Authenticator) Forget(ctx context.Context, p dormer.Principal) error {
	if err := a.keepFull(ctx, p); err != nil {
		return err
	}
	if err := a.cfg.Operators.SetOperator(ctx, Operator{Principal: p, Role: dormer.RoleNone}); err != nil {
		return fmt.Errorf("take the role: %w", err)
	}
	return a.sessions.endKindOf(ctx, SessionOperator, p.ID())
}

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
)

const accountColumns = "id, name, display_name, password_hash, must_change, disabled, expires, created"

func scanAccount(s scanner) (access.Account, error) {
	var (
		a       access.Account
		expires sql.NullInt64
		created int64
	)
	err := s.Scan(&a.ID, &a.Name, &a.DisplayName, &a.PasswordHash, &a.MustChange, &a.Disabled, &expires, &created)
	a.Expires, a.Created = momentOrNil(expires), moment(created)
	return a, err
}

// CreateAccount implements access.AccountStore.
func (s *State) CreateAccount(ctx context.Context, a access.Account) error {
	_, err := s.db.exec(ctx, "create account", `INSERT INTO accounts
		(id, name, name_folded, display_name, password_hash, must_change, disabled, expires, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		a.ID, a.Name, name.Fold(a.Name), a.DisplayName, a.PasswordHash, bit(a.MustChange), bit(a.Disabled), microsOrNull(a.Expires), micros(a.Created))
	return err
}

// AccountByName implements access.AccountStore.
func (s *State) AccountByName(ctx context.Context, n string) (access.Account, error) {
	return one(ctx, s.db.read, "find account", scanAccount,
		"SELECT "+accountColumns+" FROM accounts WHERE name_folded = $1", name.Fold(n))
}

// AccountByID implements access.AccountStore.
func (s *State) AccountByID(ctx context.Context, id string) (access.Account, error) {
	return accountByID(ctx, s.db.read, id)
}

func accountByID(ctx context.Context, q querier, id string) (access.Account, error) {
	return one(ctx, q, "find account", scanAccount, "SELECT "+accountColumns+" FROM accounts WHERE id = $1", id)
}

// UpdateAccount implements access.AccountStore.
func (s *State) UpdateAccount(ctx context.Context, id string, change func(*access.Account) error) error {
	var refused error
	err := s.db.update(ctx, "change account", func(tx *sql.Tx) error {
		a, err := accountByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if refused = change(&a); refused != nil {
			return refused
		}
		_, err = tx.ExecContext(ctx, `UPDATE accounts SET name = $2, name_folded = $3, display_name = $4, password_hash = $5,
			must_change = $6, disabled = $7, expires = $8 WHERE id = $1`,
			id, a.Name, name.Fold(a.Name), a.DisplayName, a.PasswordHash, bit(a.MustChange), bit(a.Disabled), microsOrNull(a.Expires))
		return err
	})
	if refused != nil {
		return refused
	}
	return err
}

// Accounts implements access.AccountStore; they come in the order of their names.
func (s *State) Accounts(ctx context.Context) ([]access.Account, error) {
	return all(ctx, s.db.read, "list accounts", scanAccount, "SELECT "+accountColumns+" FROM accounts ORDER BY name_folded")
}

// DeleteAccount implements access.AccountStore. Its memberships go with it.
func (s *State) DeleteAccount(ctx context.Context, id string) error {
	return s.db.update(ctx, "delete account", func(tx *sql.Tx) error {
		return deleteMember(ctx, tx, access.Member{Kind: dormer.KindUser, ID: id}, "DELETE FROM accounts WHERE id = $1")
	})
}

// deleteMember removes m from all groups and then deletes it.
func deleteMember(ctx context.Context, tx *sql.Tx, m access.Member, query string) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM group_members WHERE kind = $1 AND member = $2", string(m.Kind), m.ID); err != nil {
		return err
	}
	r, err := tx.ExecContext(ctx, query, m.ID)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		err = dormer.ErrNotFound
	}
	return err
}

func scanGroup(s scanner) (access.Group, error) {
	var g access.Group
	err := s.Scan(&g.ID, &g.Name)
	return g, err
}

// CreateGroup implements access.GroupStore.
func (s *State) CreateGroup(ctx context.Context, g access.Group) error {
	_, err := s.db.exec(ctx, "create group", "INSERT INTO directory_groups (id, name, name_folded) VALUES ($1, $2, $3)",
		g.ID, g.Name, name.Fold(g.Name))
	return err
}

// Groups implements access.GroupStore; they come in the order of their names.
func (s *State) Groups(ctx context.Context) ([]access.Group, error) {
	return all(ctx, s.db.read, "list groups", scanGroup, "SELECT id, name FROM directory_groups ORDER BY name_folded")
}

// DeleteGroup implements access.GroupStore. Its memberships and members go
// with it.
func (s *State) DeleteGroup(ctx context.Context, id string) error {
	return s.db.update(ctx, "delete group", func(tx *sql.Tx) error {
		return deleteMember(ctx, tx, access.Member{Kind: dormer.KindGroup, ID: id}, "DELETE FROM directory_groups WHERE id = $1")
	})
}

// SetMember implements access.GroupStore. ErrNotFound when the group, or what
// is to be added, is not there.
func (s *State) SetMember(ctx context.Context, group string, m access.Member, present bool) error {
	return s.db.update(ctx, "change group", func(tx *sql.Tx) error {
		if err := mustExist(ctx, tx, access.Member{Kind: dormer.KindGroup, ID: group}); err != nil {
			return err
		}
		if !present {
			_, err := tx.ExecContext(ctx, "DELETE FROM group_members WHERE group_id = $1 AND kind = $2 AND member = $3",
				group, string(m.Kind), m.ID)
			return err
		}
		if err := mustExist(ctx, tx, m); err != nil {
			return err
		}
		if m.Kind == dormer.KindGroup {
			if err := refuseCycle(ctx, tx, group, m.ID); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO group_members (group_id, kind, member) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			group, string(m.Kind), m.ID)
		return err
	})
}

func mustExist(ctx context.Context, tx *sql.Tx, m access.Member) error {
	var query string
	switch m.Kind {
	case dormer.KindUser:
		query = "SELECT 1 FROM accounts WHERE id = $1"
	case dormer.KindGroup:
		query = "SELECT 1 FROM directory_groups WHERE id = $1"
	default:
		return m.Kind.Check()
	}
	_, err := one(ctx, tx, "find "+string(m.Kind), value[int], query, m.ID)
	return err
}

// ancestors is the set of groups that a member ($1, $2) is in, nested ones too.
const ancestors = `WITH RECURSIVE ancestors (id) AS (
	SELECT group_id FROM group_members WHERE kind = $1 AND member = $2
	UNION
	SELECT m.group_id FROM group_members m JOIN ancestors a ON m.kind = 'group' AND m.member = a.id
) `

// refuseCycle returns ErrInvalid if member is group or contains it.
func refuseCycle(ctx context.Context, tx *sql.Tx, group, member string) error {
	cycle := group == member
	if !cycle {
		n, err := one(ctx, tx, "look for a cycle", value[int],
			ancestors+"SELECT count(*) FROM ancestors WHERE id = $3", string(dormer.KindGroup), group, member)
		if err != nil {
			return err
		}
		cycle = n > 0
	}
	if cycle {
		return dormer.Invalidf("member", "would make a group a member of itself")
	}
	return nil
}

// Members implements access.GroupStore.
func (s *State) Members(ctx context.Context, group string) ([]access.Member, error) {
	if _, err := one(ctx, s.db.read, "find group", value[int], "SELECT 1 FROM directory_groups WHERE id = $1", group); err != nil {
		return nil, err
	}
	return all(ctx, s.db.read, "list members", func(r scanner) (access.Member, error) {
		var m access.Member
		err := r.Scan(&m.Kind, &m.ID)
		return m, err
	}, "SELECT kind, member FROM group_members WHERE group_id = $1 ORDER BY kind, member", group)
}

// GroupsOf implements access.GroupStore.
func (s *State) GroupsOf(ctx context.Context, m access.Member) ([]access.Group, error) {
	return all(ctx, s.db.read, "find groups of member", scanGroup,
		ancestors+"SELECT g.id, g.name FROM directory_groups g JOIN ancestors a ON a.id = g.id ORDER BY g.name_folded",
		string(m.Kind), m.ID)
}

// Operators implements access.OperatorStore.
func (s *State) Operators(ctx context.Context) ([]access.Operator, error) {
	return operators(ctx, s.db.read)
}

func operators(ctx context.Context, q querier) ([]access.Operator, error) {
	return all(ctx, q, "list operators", func(r scanner) (access.Operator, error) {
		var o access.Operator
		err := r.Scan(&o.Principal.Directory, &o.Principal.Kind, &o.Principal.Key, &o.Principal.Name, &o.Role)
		return o, err
	}, "SELECT directory, kind, principal_key, name, role FROM operators ORDER BY name, directory, kind, principal_key")
}

// SetOperator implements access.OperatorStore.
func (s *State) SetOperator(ctx context.Context, o access.Operator) error {
	return s.ChangeOperator(ctx, o, func([]access.Operator) error { return nil })
}

// ChangeOperator implements access.OperatorStore.
func (s *State) ChangeOperator(ctx context.Context, o access.Operator, check func([]access.Operator) error) error {
	if o.Role != dormer.RoleNone && o.Role != dormer.RoleReadOnly && o.Role != dormer.RoleFull {
		return fmt.Errorf("set operator: %w", dormer.Invalidf("role", "must be %q or %q", dormer.RoleReadOnly, dormer.RoleFull))
	}
	var refused error
	err := s.db.update(ctx, "set operator", func(tx *sql.Tx) error {
		now, err := operators(ctx, tx)
		if err != nil {
			return err
		}
		if refused = check(now); refused != nil {
			return refused
		}
		p := o.Principal
		if o.Role == dormer.RoleNone {
			_, err = tx.ExecContext(ctx, "DELETE FROM operators WHERE directory = $1 AND kind = $2 AND principal_key = $3", p.Directory, string(p.Kind), p.Key)
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO operators (directory, kind, principal_key, name, role) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (directory, kind, principal_key) DO UPDATE SET name = excluded.name, role = excluded.role`,
			p.Directory, string(p.Kind), p.Key, p.Name, string(o.Role))
		return err
	})
	if refused != nil {
		return refused
	}
	return err
}

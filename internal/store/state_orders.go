package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
)

// CreateOrder implements lease.OrderStore.
func (s *State) CreateOrder(ctx context.Context, p lease.PendingOrder) error {
	return s.db.update(ctx, "create order", func(tx *sql.Tx) error { return insertOrder(ctx, tx, p) })
}

func insertOrder(ctx context.Context, tx *sql.Tx, p lease.PendingOrder) error {
	o := p.Order
	var grace any
	if o.Grace != nil {
		grace = *o.Grace
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO orders
		(id, version, instance, epoch, client, machine, kind, reason, issued_at, issued_by, done, error, grace)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		o.ID, int64(o.Version), string(o.Instance), int64(o.Epoch), string(o.Client), string(o.Machine), string(o.Kind), o.Reason,
		micros(o.IssuedAt), p.By, microsOrNull(p.Done), p.Error, grace)
	return err
}

// CreateDeletion implements lease.OrderStore.
func (s *State) CreateDeletion(ctx context.Context, p lease.PendingOrder, since time.Time, allow func(deleted, machines int) error) error {
	return s.db.update(ctx, "create order", func(tx *sql.Tx) error {
		deleted, machines, err := countDeletions(ctx, tx, since)
		if err != nil {
			return err
		}
		if err := allow(deleted, machines); err != nil {
			return err
		}
		return insertOrder(ctx, tx, p)
	})
}

// countDeletions returns how many orders to delete were given from since on, and
// how many machines there are.
func countDeletions(ctx context.Context, tx *sql.Tx, since time.Time) (deleted, machines int, err error) {
	deleted, err = one(ctx, tx, "count deletions", value[int],
		"SELECT count(*) FROM orders WHERE kind = $1 AND issued_at >= $2", string(lease.OrderDelete), micros(since))
	if err != nil {
		return 0, 0, err
	}
	machines, err = one(ctx, tx, "count machines", value[int], "SELECT count(*) FROM machines")
	return deleted, machines, err
}

const orderColumns = "id, version, instance, epoch, client, machine, kind, reason, issued_at, issued_by, done, error, grace, withdrawn"

func scanOrder(r scanner) (lease.PendingOrder, error) {
	var (
		p           lease.PendingOrder
		issued      int64
		done, grace sql.NullInt64
		withdrawn   int64
	)
	err := r.Scan(&p.Order.ID, &p.Order.Version, &p.Order.Instance, &p.Order.Epoch, &p.Order.Client, &p.Order.Machine, &p.Order.Kind,
		&p.Order.Reason, &issued, &p.By, &done, &p.Error, &grace, &withdrawn)
	p.Order.IssuedAt, p.Done, p.Withdrawn = moment(issued), momentOrNil(done), withdrawn != 0
	if grace.Valid {
		p.Order.Grace = &grace.Int64
	}
	return p, err
}

// PendingOrders implements lease.OrderStore.
func (s *State) PendingOrders(ctx context.Context) ([]lease.PendingOrder, error) {
	return all(ctx, s.db.read, "list orders", scanOrder, "SELECT "+orderColumns+" FROM orders WHERE done IS NULL ORDER BY issued_at, id")
}

// FindOrders implements lease.OrderStore.
func (s *State) FindOrders(ctx context.Context, f lease.OrderFilter) ([]lease.PendingOrder, error) {
	where, args := "1 = 1", []any{int64(f.Limit)}
	if f.Client != "" {
		args = append(args, string(f.Client))
		where = "client = $2"
	}
	if f.Waiting {
		where += " AND done IS NULL"
	}
	return all(ctx, s.db.read, "find orders", scanOrder, "SELECT "+orderColumns+" FROM orders WHERE "+where+" ORDER BY issued_at DESC, id DESC LIMIT $1", args...)
}

// WithdrawOrder implements lease.OrderStore.
func (s *State) WithdrawOrder(ctx context.Context, id string, at time.Time, by string) (lease.PendingOrder, error) {
	var o lease.PendingOrder
	err := s.db.update(ctx, "withdraw order", func(tx *sql.Tx) error {
		var err error
		if o, err = one(ctx, tx, "find order", scanOrder, "SELECT "+orderColumns+" FROM orders WHERE id = $1", id); err != nil {
			return err
		}
		if o.Done != nil {
			return fmt.Errorf("the order does not wait any more: %w", dormer.ErrConflict)
		}
		o.Done, o.Error, o.Withdrawn = &at, "withdrawn by "+clean(by), true
		_, err = tx.ExecContext(ctx, "UPDATE orders SET done = $2, error = $3, withdrawn = 1 WHERE id = $1", id, micros(at), o.Error)
		return err
	})
	return o, err
}

const deletionColumns = "machine, client, user_name, workspace, revision, reason, state, since, confirmed_by, order_id"

func scanDeletion(r scanner) (lease.Deletion, error) {
	var (
		d     lease.Deletion
		since int64
	)
	err := r.Scan(&d.Machine, &d.Client, &d.User, &d.Workspace, &d.Revision, &d.Reason, &d.State, &since, &d.ConfirmedBy, &d.Order)
	d.Since = moment(since)
	return d, err
}

// Deletions implements lease.DeletionStore.
func (s *State) Deletions(ctx context.Context) ([]lease.Deletion, error) {
	return all(ctx, s.db.read, "list deletions", scanDeletion, "SELECT "+deletionColumns+" FROM deletions ORDER BY since, machine")
}

// PlanDeletion implements lease.DeletionStore.
func (s *State) PlanDeletion(ctx context.Context, want lease.Deletion, order lease.PendingOrder, since time.Time,
	decide func(lease.DeletionFacts, lease.Deletion) (lease.DeletionState, bool),
) (lease.Deletion, error) {
	err := s.db.update(ctx, "plan deletion", func(tx *sql.Tx) error {
		facts, err := deletionFacts(ctx, tx, want, since)
		if err != nil {
			return err
		}
		state, give := decide(facts, want)
		if have := facts.Have; have != nil && have.Same(want) {
			want.Since, want.ConfirmedBy, want.Order = have.Since, have.ConfirmedBy, have.Order
		}
		want.State = state
		if give {
			want.Order = order.Order.ID
			if err := insertOrder(ctx, tx, order); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO deletions (`+deletionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (machine) DO UPDATE SET client = excluded.client, user_name = excluded.user_name, workspace = excluded.workspace,
			revision = excluded.revision, reason = excluded.reason, state = excluded.state, since = excluded.since,
			confirmed_by = excluded.confirmed_by, order_id = excluded.order_id`,
			string(want.Machine), string(want.Client), want.User, string(want.Workspace), int64(want.Revision), want.Reason, string(want.State),
			micros(want.Since), want.ConfirmedBy, want.Order)
		return err
	})
	return want, err
}

// deletionFacts gathers what a deletion is decided by.
func deletionFacts(ctx context.Context, tx *sql.Tx, want lease.Deletion, since time.Time) (lease.DeletionFacts, error) {
	var facts lease.DeletionFacts
	have, err := one(ctx, tx, "find deletion", scanDeletion, "SELECT "+deletionColumns+" FROM deletions WHERE machine = $1", string(want.Machine))
	switch {
	case err == nil:
		facts.Have = &have
	case !errors.Is(err, dormer.ErrNotFound):
		return facts, err
	}
	n, err := one(ctx, tx, "count orders", value[int],
		"SELECT count(*) FROM orders WHERE machine = $1 AND kind = $2 AND done IS NULL", string(want.Machine), string(lease.OrderDelete))
	if err != nil {
		return facts, err
	}
	facts.Pending = n > 0
	n, err = one(ctx, tx, "count deletions", value[int], "SELECT count(*) FROM deletions WHERE workspace = $1 AND state = $2 AND machine <> $3",
		string(want.Workspace), string(lease.DeletionHalted), string(want.Machine))
	if err != nil {
		return facts, err
	}
	facts.Halted = n > 0
	facts.Deleted, facts.Machines, err = countDeletions(ctx, tx, since)
	return facts, err
}

// ForgetDeletion implements lease.DeletionStore.
func (s *State) ForgetDeletion(ctx context.Context, id dormer.MachineID) error {
	_, err := s.db.exec(ctx, "forget deletion", "DELETE FROM deletions WHERE machine = $1", string(id))
	return err
}

// ConfirmDeletions implements lease.DeletionStore.
func (s *State) ConfirmDeletions(ctx context.Context, by string, check func(waiting int) error) error {
	return s.db.update(ctx, "confirm deletions", func(tx *sql.Tx) error {
		n, err := one(ctx, tx, "count deletions", value[int], "SELECT count(*) FROM deletions WHERE state = $1", string(lease.DeletionHalted))
		if err != nil {
			return err
		}
		if err := check(n); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE deletions SET state = $1, confirmed_by = $2 WHERE state = $3",
			string(lease.DeletionConfirmed), by, string(lease.DeletionHalted))
		return err
	})
}

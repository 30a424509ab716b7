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

const machineColumns = `id, client, user_directory, user_kind, user_key, user_name, workspace, disk_key, computer_name, created,
	state, detail, image, guest, reported`

func scanMachine(s scanner) (lease.Machine, error) {
	var (
		m        lease.Machine
		created  int64
		reported sql.NullInt64
	)
	err := s.Scan(&m.ID, &m.Client, &m.User.Directory, &m.User.Kind, &m.User.Key, &m.User.Name, &m.Workspace, &m.DiskKey, &m.ComputerName, &created,
		&m.State, &m.Detail, &m.Image, &m.Guest, &reported)
	m.Created, m.Reported = moment(created), momentOrNil(reported)
	return m, err
}

func findMachine(ctx context.Context, q querier, m lease.Machine) (lease.Machine, error) {
	return one(ctx, q, "find machine", scanMachine,
		"SELECT "+machineColumns+" FROM machines WHERE client = $1 AND user_id = $2 AND workspace = $3",
		string(m.Client), string(m.User.ID()), string(m.Workspace))
}

// EnsureMachine implements lease.MachineStore.
func (s *State) EnsureMachine(ctx context.Context, m lease.Machine) (lease.Machine, error) {
	if found, err := findMachine(ctx, s.db.read, m); !errors.Is(err, dormer.ErrNotFound) {
		return found, err
	}
	var stored lease.Machine
	err := s.db.update(ctx, "store machine", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO machines (id, client, user_id, user_directory, user_kind, user_key, user_name,
			workspace, disk_key, computer_name, created, state, detail, image, guest, reported, state_since)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16)
			ON CONFLICT (client, user_id, workspace) DO NOTHING`,
			string(m.ID), string(m.Client), string(m.User.ID()), m.User.Directory, string(m.User.Kind), m.User.Key, m.User.Name,
			string(m.Workspace), bytesOf(m.DiskKey), m.ComputerName, micros(m.Created),
			m.State, m.Detail, string(m.Image), m.Guest, microsOrNull(m.Reported)); err != nil {
			return err
		}
		var err error
		stored, err = findMachine(ctx, tx, m)
		return err
	})
	return stored, err
}

// Machines implements lease.MachineStore.
func (s *State) Machines(ctx context.Context) ([]lease.Machine, error) {
	return all(ctx, s.db.read, "list machines", scanMachine, "SELECT "+machineColumns+" FROM machines ORDER BY created, id")
}

// StatesSince returns, for each machine that reported, since when its state is
// what it is.
func (s *State) StatesSince(ctx context.Context) (map[dormer.MachineID]time.Time, error) {
	type since struct {
		machine dormer.MachineID
		at      int64
	}
	list, err := all(ctx, s.db.read, "list states of machines", func(r scanner) (since, error) {
		var v since
		err := r.Scan(&v.machine, &v.at)
		return v, err
	}, "SELECT id, state_since FROM machines WHERE state_since IS NOT NULL")
	if err != nil {
		return nil, err
	}
	m := make(map[dormer.MachineID]time.Time, len(list))
	for _, v := range list {
		m[v.machine] = moment(v.at)
	}
	return m, nil
}

// FlushReports implements lease.MachineStore.
func (s *State) FlushReports(ctx context.Context, reports []lease.Report) error {
	reports = newest(reports, func(r lease.Report) dormer.MachineID { return r.Machine }, func(r lease.Report) time.Time { return r.Time })
	rows := make([][]any, len(reports))
	for i, r := range reports {
		rows[i] = []any{clean(string(r.Machine)), clean(r.State), clean(r.Detail), clean(string(r.Image)), clean(r.Guest), micros(r.Time)}
	}
	if len(rows) == 0 {
		return nil
	}
	return s.db.update(ctx, "record reports of machines", func(tx *sql.Tx) error {
		return s.db.bulk(ctx, tx, `UPDATE machines SET
			state_since = CASE WHEN machines.state = v.column2 AND machines.state_since IS NOT NULL THEN machines.state_since ELSE v.column6 END,
			state = v.column2, detail = v.column3, image = v.column4, guest = v.column5, reported = v.column6 FROM (VALUES `,
			[]string{"text", "text", "text", "text", "text", "bigint"},
			`) AS v WHERE machines.id = v.column1 AND (machines.reported IS NULL OR machines.reported <= v.column6)`, rows, nil)
	})
}

// DeleteMachine implements lease.MachineStore.
func (s *State) DeleteMachine(ctx context.Context, id dormer.MachineID) error {
	const what = "delete machine"
	n, err := s.db.exec(ctx, what, "DELETE FROM machines WHERE id = $1", string(id))
	return mustChange(what, n, err)
}

// CreateOrder implements lease.OrderStore.
func (s *State) CreateOrder(ctx context.Context, p lease.PendingOrder) error {
	o := p.Order
	_, err := s.db.exec(ctx, "create order", `INSERT INTO orders
		(id, version, instance, epoch, client, machine, kind, reason, issued_at, issued_by, done, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		o.ID, int64(o.Version), string(o.Instance), int64(o.Epoch), string(o.Client), string(o.Machine), string(o.Kind), o.Reason,
		micros(o.IssuedAt), p.By, microsOrNull(p.Done), p.Error)
	return err
}

// PendingOrders implements lease.OrderStore.
func (s *State) PendingOrders(ctx context.Context) ([]lease.PendingOrder, error) {
	return all(ctx, s.db.read, "list orders", func(r scanner) (lease.PendingOrder, error) {
		var (
			p      lease.PendingOrder
			issued int64
		)
		err := r.Scan(&p.Order.ID, &p.Order.Version, &p.Order.Instance, &p.Order.Epoch, &p.Order.Client, &p.Order.Machine, &p.Order.Kind,
			&p.Order.Reason, &issued, &p.By, &p.Error)
		p.Order.IssuedAt = moment(issued)
		return p, err
	}, `SELECT id, version, instance, epoch, client, machine, kind, reason, issued_at, issued_by, error
		FROM orders WHERE done IS NULL ORDER BY issued_at, id`)
}

// DeletionsSince implements lease.OrderStore.
func (s *State) DeletionsSince(ctx context.Context, since time.Time) ([]time.Time, error) {
	list, err := all(ctx, s.db.read, "list deletions", value[int64],
		"SELECT issued_at FROM orders WHERE kind = $1 AND issued_at >= $2 ORDER BY issued_at", string(lease.OrderDelete), micros(since))
	if err != nil {
		return nil, err
	}
	times := make([]time.Time, len(list))
	for i, at := range list {
		times[i] = moment(at)
	}
	return times, nil
}

// CompleteOrder implements lease.OrderStore. The first result counts;
// ErrNotFound for an order that never was.
func (s *State) CompleteOrder(ctx context.Context, id string, at time.Time, errorText string) error {
	const what = "complete order"
	n, err := s.db.exec(ctx, what, `UPDATE orders SET error = CASE WHEN done IS NULL THEN $3 ELSE error END, done = coalesce(done, $2)
		WHERE id = $1`, id, micros(at), clean(errorText))
	return mustChange(what, n, err)
}

// Instance implements lease.EpochStore.
func (s *State) Instance(ctx context.Context, id dormer.InstanceID) (dormer.InstanceID, dormer.Epoch, error) {
	var epoch dormer.Epoch
	err := s.db.update(ctx, "identify instance", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO instance (one, id, epoch) VALUES (1, $1, 1) ON CONFLICT DO NOTHING", string(id)); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT id, epoch FROM instance").Scan(&id, &epoch)
	})
	return id, epoch, err
}

// RaiseEpoch implements lease.EpochStore. ErrNotFound before Instance was called.
func (s *State) RaiseEpoch(ctx context.Context, to dormer.Epoch) error {
	return s.db.update(ctx, "raise epoch", func(tx *sql.Tx) error {
		at, err := one(ctx, tx, "find epoch", value[dormer.Epoch], "SELECT epoch FROM instance")
		if err != nil {
			return err
		}
		if to <= at {
			return fmt.Errorf("the epoch is %d already: %w", at, dormer.ErrConflict)
		}
		_, err = tx.ExecContext(ctx, "UPDATE instance SET epoch = $1", int64(to))
		return err
	})
}

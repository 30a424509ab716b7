package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
)

const machineColumns = `id, client, user_directory, user_kind, user_key, user_name, workspace, disk_key, computer_name, created,
	state, detail, image, guest, reported, policy_revision, locked, at_next_start, not_enforced, offline_budget`

func scanMachine(s scanner) (lease.Machine, error) {
	var (
		m        lease.Machine
		created  int64
		reported sql.NullInt64
		budget   sql.NullInt64

		locked       int64
		later, never string
	)
	err := s.Scan(&m.ID, &m.Client, &m.User.Directory, &m.User.Kind, &m.User.Key, &m.User.Name, &m.Workspace, &m.DiskKey, &m.ComputerName, &created,
		&m.State, &m.Detail, &m.Image, &m.Guest, &reported, &m.Follows.Revision, &locked, &later, &never, &budget)
	if err != nil {
		return m, err
	}
	m.Created, m.Reported, m.Follows.Locked = moment(created), momentOrNil(reported), locked != 0
	if budget.Valid {
		m.OfflineBudget = &budget.Int64
	}
	if m.Follows.AtNextStart, err = fields(later); err != nil {
		return m, err
	}
	m.Follows.NotEnforced, err = fields(never)
	return m, err
}

// fields reads a JSON array of texts; none is nil.
func fields(text string) ([]string, error) {
	if text == "[]" {
		return nil, nil // as nearly always
	}
	var list []string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("stored list of fields: %w", dormer.ErrCorrupt)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list, nil
}

// fieldsText is the opposite of fields.
func fieldsText(list []string) (string, error) {
	if len(list) == 0 {
		return "[]", nil
	}
	kept := make([]string, len(list))
	for i, f := range list {
		kept[i] = clean(f)
	}
	b, err := json.Marshal(kept)
	return string(b), err
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
		var err error
		if stored, err = findMachine(ctx, tx, m); !errors.Is(err, dormer.ErrNotFound) {
			return err
		}
		if err := checkName(ctx, tx, m.ComputerName); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO machines (id, client, user_id, user_directory, user_kind, user_key, user_name,
			workspace, disk_key, computer_name, created, state, detail, image, guest, reported, state_since, user_folded)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17)`,
			string(m.ID), string(m.Client), string(m.User.ID()), m.User.Directory, string(m.User.Kind), m.User.Key, m.User.Name,
			string(m.Workspace), bytesOf(m.DiskKey), m.ComputerName, micros(m.Created),
			m.State, m.Detail, string(m.Image), m.Guest, microsOrNull(m.Reported), folded(m.User.Name)); err != nil {
			return err
		}
		stored, err = findMachine(ctx, tx, m)
		return err
	})
	return stored, err
}

// machinesNamed counts the machines of a computer name. That it is not empty is
// what the index says too, which is not used otherwise.
const machinesNamed = "SELECT count(*) FROM machines WHERE computer_name = $1 AND computer_name <> ''"

// checkName refuses a computer name that a machine has. The index on it holds
// also where nobody asks.
func checkName(ctx context.Context, tx *sql.Tx, computerName string) error {
	if computerName == "" {
		return nil
	}
	n, err := one(ctx, tx, "look for computer name", value[int], machinesNamed, computerName)
	if err == nil && n > 0 {
		err = lease.ErrNameTaken
	}
	return err
}

// NameMachine implements lease.MachineStore.
func (s *State) NameMachine(ctx context.Context, id dormer.MachineID, computerName string) (string, error) {
	has := ""
	err := s.db.update(ctx, "name machine", func(tx *sql.Tx) error {
		var err error
		has, err = one(ctx, tx, "find machine", value[string], "SELECT computer_name FROM machines WHERE id = $1", string(id))
		if err != nil || has != "" {
			return err
		}
		if err := checkName(ctx, tx, computerName); err != nil {
			return err
		}
		has = computerName
		_, err = tx.ExecContext(ctx, "UPDATE machines SET computer_name = $2 WHERE id = $1", string(id), computerName)
		return err
	})
	return has, err
}

// Machines implements lease.MachineStore.
func (s *State) Machines(ctx context.Context) ([]lease.Machine, error) {
	return s.MachinesOf(ctx, "")
}

// FlushReports implements lease.MachineStore.
func (s *State) FlushReports(ctx context.Context, reports []lease.Report) error {
	reports = newest(reports, func(r lease.Report) dormer.MachineID { return r.Machine }, func(r lease.Report) time.Time { return r.Time })
	rows := make([][]any, len(reports))
	for i, r := range reports {
		later, err := fieldsText(r.Follows.AtNextStart)
		if err != nil {
			return err
		}
		never, err := fieldsText(r.Follows.NotEnforced)
		if err != nil {
			return err
		}
		rows[i] = []any{
			clean(string(r.Machine)), clean(r.State), clean(r.Detail), clean(string(r.Image)), clean(r.Guest), micros(r.Time),
			int64(r.Follows.Revision), bit(r.Follows.Locked), later, never, r.OfflineBudget,
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return s.db.update(ctx, "record reports of machines", func(tx *sql.Tx) error {
		return s.db.bulk(ctx, tx, `UPDATE machines SET
			state_since = CASE WHEN machines.state = v.column2 AND machines.state_since IS NOT NULL THEN machines.state_since ELSE v.column6 END,
			state = v.column2, detail = v.column3, image = v.column4, guest = v.column5, reported = v.column6,
			policy_revision = v.column7, locked = v.column8, at_next_start = v.column9, not_enforced = v.column10, offline_budget = v.column11 FROM (VALUES `,
			[]string{"text", "text", "text", "text", "text", "bigint", "bigint", "bigint", "text", "text", "bigint"},
			`) AS v WHERE machines.id = v.column1 AND (machines.reported IS NULL OR machines.reported <= v.column6)`, rows, nil)
	})
}

// DeleteMachine implements lease.MachineStore.
func (s *State) DeleteMachine(ctx context.Context, id dormer.MachineID) error {
	return s.db.update(ctx, "delete machine", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM deletions WHERE machine = $1", string(id)); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, "DELETE FROM machines WHERE id = $1", string(id))
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		return mustChange("machine", n, err)
	})
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

package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
)

const diagnosticsColumns = "id, client, order_id, received, size"

func scanDiagnostics(r scanner) (lease.Diagnostics, error) {
	var (
		d        lease.Diagnostics
		received int64
	)
	err := r.Scan(&d.ID, &d.Client, &d.Order, &received, &d.Size)
	d.Received = moment(received)
	return d, err
}

// KeepDiagnostics stores an archive, and deletes those that are beyond the limits
// then: the oldest. One that the same order has brought before is ErrExists.
func (s *State) KeepDiagnostics(ctx context.Context, d lease.Diagnostics, archive []byte) error {
	return s.db.update(ctx, "store diagnostics", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO diagnostics ("+diagnosticsColumns+", archive) VALUES ($1, $2, $3, $4, $5, $6)",
			d.ID, string(d.Client), d.Order, micros(d.Received), int64(len(archive)), archive); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM diagnostics WHERE client = $1 AND id NOT IN
			(SELECT id FROM diagnostics WHERE client = $1 ORDER BY received DESC, id DESC LIMIT $2)`,
			string(d.Client), int64(lease.DiagnosticsOfClient)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM diagnostics WHERE id NOT IN (SELECT id FROM diagnostics ORDER BY received DESC, id DESC LIMIT $1)",
			int64(lease.DiagnosticsInAll))
		return err
	})
}

// ExpireDiagnostics deletes the archives that came before a moment.
func (s *State) ExpireDiagnostics(ctx context.Context, before time.Time) error {
	_, err := s.db.exec(ctx, "delete old diagnostics", "DELETE FROM diagnostics WHERE received < $1", micros(before))
	return err
}

// Diagnostics lists the archives of a client, or of all when it is empty, newest
// first.
func (s *State) Diagnostics(ctx context.Context, of dormer.ClientID) ([]lease.Diagnostics, error) {
	if of == "" {
		return all(ctx, s.db.read, "list diagnostics", scanDiagnostics, "SELECT "+diagnosticsColumns+" FROM diagnostics ORDER BY received DESC, id DESC")
	}
	return all(ctx, s.db.read, "list diagnostics", scanDiagnostics,
		"SELECT "+diagnosticsColumns+" FROM diagnostics WHERE client = $1 ORDER BY received DESC, id DESC", string(of))
}

// DiagnosticsArchive returns one archive with what is known of it.
func (s *State) DiagnosticsArchive(ctx context.Context, id string) (d lease.Diagnostics, archive []byte, err error) {
	d, err = one(ctx, s.db.read, "find diagnostics", func(r scanner) (lease.Diagnostics, error) {
		return scanDiagnostics(beyond{r, []any{&archive}})
	}, "SELECT "+diagnosticsColumns+", archive FROM diagnostics WHERE id = $1", id)
	return d, archive, err
}

// DeleteDiagnostics deletes an archive and returns what was known of it.
func (s *State) DeleteDiagnostics(ctx context.Context, id string) (lease.Diagnostics, error) {
	var d lease.Diagnostics
	err := s.db.update(ctx, "delete diagnostics", func(tx *sql.Tx) error {
		var err error
		if d, err = one(ctx, tx, "find diagnostics", scanDiagnostics, "SELECT "+diagnosticsColumns+" FROM diagnostics WHERE id = $1", id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM diagnostics WHERE id = $1", id)
		return err
	})
	return d, err
}

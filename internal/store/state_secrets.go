package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/vault"
)

// PutSecret implements vault.Store.
func (s *State) PutSecret(ctx context.Context, about vault.Secret, sealed []byte, most int) error {
	return s.db.update(ctx, "store secret", func(tx *sql.Tx) error {
		n, err := one(ctx, tx, "count secrets", value[int], "SELECT count(*) FROM secrets WHERE name <> $1", about.Name)
		if err != nil {
			return err
		}
		if n >= most {
			return fmt.Errorf("there are %d secrets already: %w", n, dormer.ErrTooLarge)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO secrets (name, sealed, set_at, set_by) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at, set_by = excluded.set_by`,
			about.Name, bytesOf(sealed), micros(about.Set), about.By)
		return err
	})
}

// Secrets implements vault.Store.
func (s *State) Secrets(ctx context.Context) ([]vault.Secret, error) {
	return all(ctx, s.db.read, "list secrets", func(r scanner) (vault.Secret, error) {
		var (
			v  vault.Secret
			at int64
		)
		err := r.Scan(&v.Name, &at, &v.By)
		v.Set = moment(at)
		return v, err
	}, "SELECT name, set_at, set_by FROM secrets ORDER BY name")
}

// SealedSecret implements vault.Store.
func (s *State) SealedSecret(ctx context.Context, name string) ([]byte, error) {
	return one(ctx, s.db.read, "find secret", value[[]byte], "SELECT sealed FROM secrets WHERE name = $1", name)
}

// DeleteSecret implements vault.Store.
func (s *State) DeleteSecret(ctx context.Context, name string) error {
	const what = "delete secret"
	n, err := s.db.exec(ctx, what, "DELETE FROM secrets WHERE name = $1", name)
	return mustChange(what, n, err)
}

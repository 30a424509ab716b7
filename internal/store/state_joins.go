package store

import (
	"context"
	"time"

	"github.com/dormer-project/dormer/internal/domainjoin"
)

const joinColumns = "machine, directory, computer, account, secret, made, key_version, expires, due"

// PutJoin implements domainjoin.Store.
func (s *State) PutJoin(ctx context.Context, p domainjoin.Pending) error {
	_, err := s.db.exec(ctx, "store prepared computer", `INSERT INTO pending_joins (`+joinColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (machine) DO UPDATE SET directory = excluded.directory, computer = excluded.computer, account = excluded.account,
		secret = excluded.secret, made = excluded.made, key_version = excluded.key_version, expires = excluded.expires, due = excluded.due`,
		string(p.Machine), p.Directory, p.Computer, p.Account, p.Secret, bit(p.Made), p.KeyVersion, micros(p.Expires), micros(p.Due))
	return err
}

// DueJoins implements domainjoin.Store.
func (s *State) DueJoins(ctx context.Context, now time.Time) ([]domainjoin.Pending, error) {
	return all(ctx, s.db.read, "list prepared computers", func(r scanner) (domainjoin.Pending, error) {
		var (
			p                  domainjoin.Pending
			made, expires, due int64
		)
		err := r.Scan(&p.Machine, &p.Directory, &p.Computer, &p.Account, &p.Secret, &made, &p.KeyVersion, &expires, &due)
		p.Made, p.Expires, p.Due = made != 0, moment(expires), moment(due)
		return p, err
	}, "SELECT "+joinColumns+" FROM pending_joins WHERE due <= $1 ORDER BY due, machine", micros(now))
}

// TakeJoin implements domainjoin.Store.
func (s *State) TakeJoin(ctx context.Context, p domainjoin.Pending, until time.Time) (bool, error) {
	n, err := s.db.exec(ctx, "take prepared computer", "UPDATE pending_joins SET due = $1 WHERE machine = $2 AND due = $3 AND expires = $4",
		micros(until), string(p.Machine), micros(p.Due), micros(p.Expires))
	return n > 0, err
}

// DeleteJoin implements domainjoin.Store.
func (s *State) DeleteJoin(ctx context.Context, p domainjoin.Pending) error {
	_, err := s.db.exec(ctx, "forget prepared computer", "DELETE FROM pending_joins WHERE machine = $1 AND expires = $2",
		string(p.Machine), micros(p.Expires))
	return err
}

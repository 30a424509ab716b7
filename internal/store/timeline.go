package store

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dormer-project/dormer"
)

// refuseSuperseded makes connections pass over a server of PostgreSQL that has
// an older timeline than one that was connected to before: another was promoted
// in its place, and it came back without knowing. It can be written and its
// data goes nowhere. Only addresses with several hosts have that choice.
func refuseSuperseded(cfg *pgx.ConnConfig) {
	if len(cfg.Fallbacks) == 0 {
		return
	}
	var newest atomic.Int64
	before := cfg.ValidateConnect
	cfg.ValidateConnect = func(ctx context.Context, c *pgconn.PgConn) error {
		if before != nil {
			if err := before(ctx, c); err != nil {
				return err
			}
		}
		at, err := timeline(ctx, c)
		if err != nil || at == 0 {
			return err
		}
		for {
			seen := newest.Load()
			if at < seen {
				return fmt.Errorf("the server has timeline %d, one of timeline %d has taken over: %w", at, seen, dormer.ErrFenced)
			}
			if newest.CompareAndSwap(seen, at) {
				return nil
			}
		}
	}
}

// timeline returns the timeline that a server writes on; 0 for one that only
// reads.
func timeline(ctx context.Context, c *pgconn.PgConn) (int64, error) {
	results, err := c.Exec(ctx, "SELECT CASE WHEN pg_is_in_recovery() THEN '0' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END").ReadAll()
	if err != nil {
		return 0, fmt.Errorf("ask for the timeline: %w", err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return 0, fmt.Errorf("ask for the timeline: %w", dormer.ErrCorrupt)
	}
	at, err := strconv.ParseInt(string(results[0].Rows[0][0]), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("ask for the timeline: %w", dormer.ErrCorrupt)
	}
	return at, nil
}

package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/report"
)

// KeepDeliveries stores deliveries to a client, and deletes those that are beyond
// the limit then: the oldest. One that is there already is left as it is.
func (s *State) KeepDeliveries(ctx context.Context, client dormer.ClientID, list []report.Delivery) error {
	rows := make([][]any, len(list))
	for i, d := range list {
		rows[i] = []any{string(client), clean(string(d.Image)), micros(d.Finished), micros(d.Received), d.Size, d.Fetched}
	}
	return s.db.transact(ctx, "store deliveries", func(tx *sql.Tx) error {
		err := s.db.bulk(ctx, tx, "INSERT INTO deliveries (client, image, finished, received, size, fetched) VALUES ", make([]string, 6),
			" ON CONFLICT (client, image, finished) DO NOTHING", rows, nil)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM deliveries WHERE client = $1 AND (image, finished) NOT IN
			(SELECT image, finished FROM deliveries WHERE client = $1 ORDER BY received DESC, finished DESC, image LIMIT $2)`,
			string(client), int64(report.MaxDeliveries))
		return err
	})
}

// DeleteDeliveriesBefore removes the deliveries that were received before t.
func (s *State) DeleteDeliveriesBefore(ctx context.Context, t time.Time) error {
	_, err := s.db.exec(ctx, "delete old deliveries", "DELETE FROM deliveries WHERE received < $1", micros(t))
	return err
}

// Deliveries implements report.Deliveries.
func (s *State) Deliveries(ctx context.Context, since time.Time, of dormer.ImageID) ([]report.DeliveryCount, error) {
	where, args := deliveredSince(since, of)
	return all(ctx, s.db.read, "count deliveries", func(r scanner) (report.DeliveryCount, error) {
		var (
			c  report.DeliveryCount
			at int64
		)
		err := r.Scan(&at, &c.Image, &c.Count, &c.Size, &c.Fetched)
		c.Time = moment(at)
		return c, err
	}, "SELECT received / 900000000 * 900000000, image, count(*), CAST(sum(size) AS bigint), CAST(sum(fetched) AS bigint) FROM deliveries"+where+
		" GROUP BY received / 900000000, image ORDER BY 1, 2", args...)
}

// Receivers implements report.Deliveries.
func (s *State) Receivers(ctx context.Context, since time.Time, of dormer.ImageID) (map[dormer.ImageID]int64, error) {
	where, args := deliveredSince(since, of)
	by := map[dormer.ImageID]int64{}
	return by, s.each(ctx, "count clients with deliveries", func(r scanner) error {
		var (
			image   dormer.ImageID
			clients int64
		)
		err := r.Scan(&image, &clients)
		by[image] = clients
		return err
	}, "SELECT image, count(DISTINCT client) FROM deliveries"+where+" GROUP BY image", args...)
}

// deliveredSince selects deliveries.
func deliveredSince(since time.Time, of dormer.ImageID) (where string, args []any) {
	where, args = " WHERE received >= $1", []any{micros(since)}
	if of != "" {
		where, args = where+" AND image = $2", append(args, clean(string(of)))
	}
	return where, args
}

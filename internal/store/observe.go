package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/dormer-project/dormer"
)

// Pool is how busy the connections of a database are.
type Pool struct {
	// Name is "write" or "read".
	Name        string
	Open, InUse int
	// Waits counts how often somebody waited for a connection, Waited is how long
	// altogether.
	Waits  int64
	Waited time.Duration
}

// Pools are the connections of the state database.
func (s *State) Pools() []Pool { return s.db.pools() }

// Pools are the connections of the events database.
func (s *Events) Pools() []Pool { return s.db.pools() }

func (e *engine) pools() []Pool {
	of := func(name string, db *sql.DB) Pool {
		v := db.Stats()
		return Pool{Name: name, Open: v.OpenConnections, InUse: v.InUse, Waits: v.WaitCount, Waited: v.WaitDuration}
	}
	return []Pool{of("write", e.write), of("read", e.read)}
}

// Size is how many bytes the state database takes, all of it on PostgreSQL,
// whoever else uses it.
func (s *State) Size(ctx context.Context) (int64, error) { return s.db.size(ctx) }

// Size is how many bytes the events database takes, as that of State.
func (s *Events) Size(ctx context.Context) (int64, error) { return s.db.size(ctx) }

func (e *engine) size(ctx context.Context) (int64, error) {
	what := fmt.Sprintf("size of the %s database", e.track)
	if e.postgres {
		return one(ctx, e.read, what, value[int64], "SELECT pg_database_size(current_database())")
	}
	file, err := one(ctx, e.read, what, value[string], "SELECT file FROM pragma_database_list WHERE name = 'main'")
	if err != nil {
		return 0, err
	}
	var all int64
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(file + suffix)
		switch {
		case err == nil:
			all += info.Size()
		case suffix == "" || !errors.Is(err, fs.ErrNotExist):
			return 0, fmt.Errorf("%s: %w", what, err)
		}
	}
	return all, nil
}

// ClientCounts counts clients by how they are connected. Revoked ones are in
// Revoked alone, those beyond their limit in Offline too.
type ClientCounts struct {
	Online, Offline, BeyondLimit, Revoked int
	// Beyond are some of those that are beyond their limit, the longest away
	// first.
	Beyond []AwayClient
}

// AwayClient is a client that was not heard of for longer than one of its
// machines may run without the server.
type AwayClient struct {
	ID       dormer.ClientID
	Host     string
	LastSeen time.Time
	// Limit is the shortest of its machines.
	Limit time.Duration
}

// CountClients counts the clients at a moment. Those that were last seen since
// onlineSince are on-line. Beyond has at most most of them.
func (s *State) CountClients(ctx context.Context, now, onlineSince time.Time, most int) (ClientCounts, error) {
	c, err := one(ctx, s.db.read, "count clients", func(r scanner) (ClientCounts, error) {
		var c ClientCounts
		err := r.Scan(&c.Online, &c.Offline, &c.Revoked)
		return c, err
	}, `SELECT count(*) FILTER (WHERE revoked IS NULL AND last_seen >= $1),
		count(*) FILTER (WHERE revoked IS NULL AND (last_seen IS NULL OR last_seen < $1)),
		count(*) FILTER (WHERE revoked IS NOT NULL) FROM clients`, micros(onlineSince))
	if err != nil {
		return c, err
	}
	const beyond = `FROM clients c JOIN (SELECT client, min(offline_budget) AS budget FROM machines WHERE offline_budget IS NOT NULL GROUP BY client) m
		ON m.client = c.id WHERE c.revoked IS NULL AND c.last_seen < $1 AND ($2 - c.last_seen) / 1000000 >= m.budget`
	c.BeyondLimit, err = one(ctx, s.db.read, "count clients beyond their limit", value[int], "SELECT count(*) "+beyond, micros(onlineSince), micros(now))
	if err != nil || c.BeyondLimit == 0 {
		return c, err
	}
	c.Beyond, err = all(ctx, s.db.read, "list clients beyond their limit", func(r scanner) (AwayClient, error) {
		var (
			a            AwayClient
			seen, budget int64
		)
		err := r.Scan(&a.ID, &a.Host, &seen, &budget)
		a.LastSeen, a.Limit = moment(seen), time.Duration(min(budget, int64(1<<62/time.Second)))*time.Second
		return a, err
	}, "SELECT c.id, c.host_name, c.last_seen, m.budget "+beyond+" ORDER BY c.last_seen, c.id LIMIT $3", micros(onlineSince), micros(now), int64(most))
	return c, err
}

// CountMachines counts the machines by the state that was last reported; ""
// is that of those that were not reported yet.
func (s *State) CountMachines(ctx context.Context) (map[string]int, error) {
	type count struct {
		state string
		n     int
	}
	list, err := all(ctx, s.db.read, "count machines", func(r scanner) (count, error) {
		var c count
		err := r.Scan(&c.state, &c.n)
		return c, err
	}, "SELECT state, count(*) FROM machines GROUP BY state")
	if err != nil {
		return nil, err
	}
	by := make(map[string]int, len(list))
	for _, c := range list {
		by[c.state] = c.n
	}
	return by, nil
}

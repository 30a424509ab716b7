package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/name"
	states "github.com/dormer-project/dormer/internal/workspace"
)

// offlineLimit is the shortest time that one of a client's machines may run
// without the server, in seconds; live counts its machines that run, and runs
// says whether there are any: all that run are gathered once for it.
const (
	offlineLimit = "(SELECT min(m.offline_budget) FROM machines m WHERE m.client = clients.id)"
	liveStates   = "('" + string(states.Running) + "', '" + string(states.Paused) + "', '" + string(states.Suspended) + "')"
	live         = "(SELECT count(*) FROM machines m WHERE m.client = clients.id AND m.state IN " + liveStates + ")"
	runs         = "id IN (SELECT m.client FROM machines m WHERE m.state IN " + liveStates + ")"
)

// clientStates says of each state what selects the clients that are in it. $1 is
// now, $2 since when those are on-line that were seen, $3 by how much clocks may
// be off.
var clientStates = map[enroll.State]string{
	enroll.StateActive:  "revoked IS NULL",
	enroll.StateOnline:  "revoked IS NULL AND last_seen >= $2",
	enroll.StateOffline: "revoked IS NULL AND (last_seen IS NULL OR last_seen < $2)",
	enroll.StateBeyond:  "revoked IS NULL AND last_seen < $2 AND ($1 - last_seen) / 1000000 >= " + offlineLimit,
	enroll.StateRunning: "revoked IS NULL AND last_seen >= $2 AND " + runs,
	enroll.StateNever:   "revoked IS NULL AND last_seen IS NULL",
	enroll.StateCopied:  "revoked IS NULL AND copied_at IS NOT NULL",
	enroll.StateClock:   "revoked IS NULL AND abs(clock_ahead) > $3",
	enroll.StateRevoked: "revoked IS NOT NULL",
}

// clientOrders are the columns that lists of clients are sorted by. The text of
// each is one that both engines sort alike.
var clientOrders = map[enroll.Order]string{
	"":                "host_name",
	enroll.ByHost:     "host_name",
	enroll.BySeen:     "coalesce(last_seen, 0)",
	enroll.ByVersion:  "agent_version",
	enroll.ByEnrolled: "enrolled",
	enroll.ByFree:     "coalesce(disk_free, -1)",
}

// FindClients implements enroll.Finder.
func (s *State) FindClients(ctx context.Context, f enroll.Filter) ([]enroll.Found, int, error) {
	condition, args := clientCondition(f)
	total, err := one(ctx, s.db.read, "count clients", value[int], "SELECT count(*)"+condition, args...)
	if err != nil || total == 0 {
		return nil, 0, err
	}
	query, args := findClients(f, condition, args, total)
	found, err := all(ctx, s.db.read, "find clients", func(r scanner) (enroll.Found, error) {
		var (
			found enroll.Found
			limit sql.NullInt64
			err   error
		)
		found.Client, err = scanClient(beyond{r, []any{&found.Machines, &found.Running, &limit}})
		if limit.Valid {
			d := time.Duration(min(limit.Int64, int64(1<<62/time.Second))) * time.Second
			found.OfflineLimit = &d
		}
		return found, err
	}, query, args...)
	return found, total, err
}

// HostNames implements enroll.Finder.
func (s *State) HostNames(ctx context.Context, ids []dormer.ClientID) (map[dormer.ClientID]string, error) {
	names := make(map[dormer.ClientID]string, len(ids))
	for part := range slices.Chunk(ids, maxArguments) {
		b := builder{}
		found, err := all(ctx, s.db.read, "find hosts", func(r scanner) (named [2]string, err error) {
			return named, r.Scan(&named[0], &named[1])
		}, "SELECT id, host_name FROM clients WHERE id IN ("+b.texts(textsOf(part))+")", b.args...)
		if err != nil {
			return nil, err
		}
		for _, n := range found {
			names[dormer.ClientID(n[0])] = n[1]
		}
	}
	return names, nil
}

// maxArguments is how many a list in a statement has at most; SQLite takes 32,766.
const maxArguments = 10_000

// textsOf returns identities as texts.
func textsOf[T ~string](ids []T) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return texts
}

// clientCondition selects the clients of a filter.
func clientCondition(f enroll.Filter) (condition string, args []any) {
	// The first conditions hold always; they give the parameters their types.
	where := []string{"CAST($1 AS bigint) > 0", "$2 <= $1", "CAST($3 AS bigint) > 0"}
	args = []any{micros(f.Now), micros(f.OnlineSince), enroll.ClockWrong.Microseconds()}
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if f.ID != "" {
		where = append(where, "id = "+arg(clean(string(f.ID))))
	}
	if f.State != "" {
		where = append(where, clientStates[f.State])
	}
	if f.Version != "" {
		where = append(where, "agent_version = "+arg(clean(f.Version)))
	}
	if f.Search != "" {
		pattern, whole := arg(literally(name.Fold(f.Search))), arg(clean(f.Search))
		// The machines are looked through once, not for each client.
		where = append(where, "(coalesce(host_folded, host_name) LIKE "+pattern+` ESCAPE '\' OR id = `+whole+
			" OR id IN (SELECT m.client FROM machines m WHERE coalesce(m.user_folded, m.user_name) LIKE "+pattern+` ESCAPE '\'))`)
	}
	return " FROM clients WHERE " + strings.Join(where, " AND "), args
}

// findClients is the statement for the clients of a filter: first those that
// are wanted, in their order, and then of them alone what takes time.
func findClients(f enroll.Filter, condition string, args []any, total int) (string, []any) {
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	direction := ""
	if f.Down {
		direction = " DESC"
	}
	order := " ORDER BY " + clientOrders[f.Order] + direction + ", host_name" + direction + ", id" + direction
	wanted := "SELECT id" + condition + order
	if f.Limit > 0 || f.Offset > 0 {
		limit := int64(f.Limit)
		if limit == 0 {
			limit = int64(total)
		}
		wanted += " LIMIT " + arg(limit) + " OFFSET " + arg(int64(f.Offset))
	}
	return "SELECT " + clientColumns + ", (SELECT count(*) FROM machines m WHERE m.client = clients.id), " + live + ", " + offlineLimit +
		" FROM clients WHERE id IN (" + wanted + ")" + order, args
}

// beyond scans more columns than whoever scans the row knows of.
type beyond struct {
	scanner
	more []any
}

func (b beyond) Scan(dest ...any) error { return b.scanner.Scan(append(dest, b.more...)...) }

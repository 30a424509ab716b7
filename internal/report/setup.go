package report

import (
	"context"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// maxSetups is how many machines a report of setups has at most.
const maxSetups = 200_000

// setup makes the rows of the report of first-time setups: for each user's
// workspace on each client its latest result.
func (r *Reporter) setup(ctx context.Context, from Events, s *Selection) ([]made, error) {
	names := []string{
		"time", "user", "host", "workspace_name", "code", "description", "guest", "image", "policy_revision", "received", "client", "instance", "workspace",
	}
	const at, user, host, workspace, code, description, client, instance, workspaceID = 0, 1, 2, 3, 4, 5, 10, 11, 12
	query := *s
	query.Kind, query.After, query.Limit, query.Group, query.Descending = Activity, nil, 0, nil, true
	query.Equal = nil // of the latest results, once they are known
	query.Order, _ = find(eventColumns, "received")
	query.Columns = nil
	for _, n := range names {
		c, _ := find(eventColumns, n)
		query.Columns = append(query.Columns, c)
	}
	seen := map[string]bool{}
	var rows []made
	err := from.Select(ctx, query, func(_, v []any) error {
		parts := make([]string, 0, 4)
		for _, i := range []int{instance, client, workspaceID, user} {
			part, _ := v[i].(string)
			parts = append(parts, part)
		}
		id := strings.Join(parts, "\n")
		if seen[id] {
			return nil // the newest comes first
		}
		if len(rows) == maxSetups {
			return dormer.Invalidf("days", "asks for the setups of more than %d machines: narrow it", maxSetups)
		}
		seen[id] = true
		number, _ := v[code].(int64)
		text, _ := v[description].(string)
		rows = append(rows, made{id: id, values: []any{
			v[at], v[user], v[host], v[workspace], results[number], step(number, text), v[6], v[7], v[8], v[9], v[client], v[instance],
		}})
		return nil
	})
	return rows, err
}

// step is what the description of an event says beyond the text of the
// catalogue.
func step(code int64, description string) any {
	if kind, ok := event.KindOf(event.Code(code)); ok {
		if detail, ok := strings.CutPrefix(description, kind.Text); ok {
			return textOrNil(strings.TrimPrefix(detail, ": "))
		}
	}
	return textOrNil(description)
}

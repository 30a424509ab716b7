package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/name"
)

const eventColumns = `e.id, c.client, e.received, e.time, e.code, e.severity, e.category, e.description, c.host, c.user_name,
	c.workspace, c.workspace_name, c.guest, c.client_version, c.policy_revision, c.image, e.count`

func scanEvent(s scanner) (event.Row, error) {
	var (
		r                    event.Row
		received, at, ranked int64
	)
	err := s.Scan(&r.ID, &r.Client, &received, &at, &r.Code, &ranked, &r.Category, &r.Description, &r.Host, &r.User,
		&r.Workspace, &r.WorkspaceName, &r.Guest, &r.ClientVersion, &r.PolicyRevision, &r.Image, &r.Count)
	if r.Count == 1 {
		r.Count = 0 // as it was sent
	}
	r.Received, r.Time, r.Severity = moment(received), moment(at), severities[ranked]
	return r, err
}

// Events implements event.Reader. Rows received at the same moment come in the
// opposite order of their identities, which is that of the sequences. Filters
// on users and hosts do not regard case.
func (s *Events) Events(ctx context.Context, f event.Filter) ([]event.Row, error) {
	query, args, err := s.eventsQuery(ctx, f)
	if errors.Is(err, dormer.ErrNotFound) {
		return nil, nil // nothing was stored yet
	}
	if err != nil {
		return nil, err
	}
	return all(ctx, s.db.read, "read events", scanEvent, query, args...)
}

// eventsQuery returns the statement for a filter.
func (s *Events) eventsQuery(ctx context.Context, f event.Filter) (query string, args []any, err error) {
	if f.Limit < 1 {
		return "", nil, dormer.Invalidf("limit", "must be at least 1")
	}
	instance, err := s.instanceID(ctx, s.db.read, f.Instance)
	if err != nil {
		return "", nil, err
	}
	w := where{}
	if f.Client == "" || s.db.postgres {
		// Beside a client SQLite would choose the wrong index for it. PostgreSQL
		// needs it to find the partitions.
		w.add("e.instance = %s", instance)
	}
	if !f.Since.IsZero() {
		w.add("e.received >= %s", micros(f.Since))
	}
	switch f.MinSeverity {
	case "", dormer.Information:
	case dormer.Warning:
		w.add("e.severity >= 2") // literally what the partial index says
	case dormer.Error:
		w.add("e.severity >= 2")
		w.add("e.severity >= 3")
	default:
		return "", nil, dormer.Invalidf("severity", "must be %q, %q or %q", dormer.Information, dormer.Warning, dormer.Error)
	}
	if f.Client != "" {
		w.add("e.context IN (SELECT id FROM contexts WHERE instance = %s AND client = %s)", instance, string(f.Client))
	}
	if f.UserContains != "" {
		w.add(`coalesce(c.user_folded, c.user_name) LIKE %s ESCAPE '\'`, containing(f.UserContains))
	}
	if f.HostContains != "" {
		w.add(`coalesce(c.host_folded, c.host) LIKE %s ESCAPE '\'`, containing(f.HostContains))
	}
	if f.Before > 0 {
		if err := s.older(ctx, instance, f, &w); err != nil {
			return "", nil, err
		}
	}
	// A cross join keeps SQLite from reading the contexts first.
	query = "SELECT " + eventColumns + " FROM events e CROSS JOIN contexts c WHERE c.id = e.context AND " + w.String() +
		" ORDER BY e.received DESC, e.id DESC LIMIT " + w.arg(int64(f.Limit))
	return query, w.args, nil
}

// older narrows w to rows that come after the row f.Before in the report. If
// that row was deleted meanwhile its identity has to do.
func (s *Events) older(ctx context.Context, instance int64, f event.Filter, w *where) error {
	at, err := one(ctx, s.db.read, "find event", value[int64],
		"SELECT received FROM events WHERE id = $1 AND instance = $2", f.Before, instance)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		w.add("e.id < %s", f.Before)
	case err != nil:
		return err
	default:
		w.add("e.received <= %s", at) // for the index and the partitions
		w.add("(e.received, e.id) < (%s, %s)", at, f.Before)
	}
	return nil
}

// containing is the LIKE pattern for what contains s, folded.
func containing(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(name.Fold(clean(s))) + "%"
}

// where collects conditions and their arguments.
type where struct {
	conditions []string
	args       []any
}

// add adds a condition whose verbs %s become parameters.
func (w *where) add(condition string, args ...any) {
	params := make([]any, len(args))
	for i, a := range args {
		params[i] = w.arg(a)
	}
	w.conditions = append(w.conditions, fmt.Sprintf(condition, params...))
}

// arg adds an argument and returns its parameter.
func (w *where) arg(a any) string {
	w.args = append(w.args, a)
	return fmt.Sprintf("$%d", len(w.args))
}

func (w *where) String() string { return strings.Join(w.conditions, " AND ") }

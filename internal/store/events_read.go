package store

import (
	"fmt"
	"strings"

	"github.com/dormer-project/dormer/internal/event"
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

// Package audit holds the record of every change and who made it. Domain
// services and the REST API write it, operators read it.
package audit

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/export"
)

// Record is one change, or one refused attempt at one.
type Record struct {
	// ID orders records; the store assigns it.
	ID   int64     `json:"id"`
	Time time.Time `json:"time"`
	// Who is the name of the operator, user or client; Principal its identity.
	Who       string `json:"who"`
	Principal string `json:"principal,omitempty"`
	// Action is OBJECT.VERB, as workspace.commit or session.refuse.
	Action string `json:"action"`
	// Object is what was changed: the name, with its identity where it has one.
	Object string `json:"object,omitempty"`
	// Detail says more; never a secret.
	Detail  string `json:"detail,omitempty"`
	Request string `json:"request,omitempty"` // request identifier
	Remote  string `json:"remote,omitempty"`  // address it came from
}

// Log keeps records.
type Log interface {
	// Append is durable when it returns.
	Append(ctx context.Context, r Record) error
	// Records returns the newest records before the given one (0: the newest of
	// all), newest first.
	Records(ctx context.Context, before int64, limit int) ([]Record, error)
	// Find returns the newest records that a filter leaves, newest first.
	Find(ctx context.Context, f Filter) ([]Record, error)
}

// Filter selects records. The zero value but for Limit selects all.
type Filter struct {
	// Since is included, Until is not; zero: no bound.
	Since, Until time.Time
	// Who, Action and Object must be contained, without regard to the case of
	// ASCII letters.
	Who, Action, Object string
	Before              int64 // identity of a record: only older ones; 0: from the newest
	Limit               int   // at least 1
}

// maxText is how many bytes a text of a filter has at most.
const maxText = 256

// Check says whether a filter can be used: ErrInvalid names the field that is
// wrong.
func (f Filter) Check() error {
	for name, text := range map[string]string{"who": f.Who, "action": f.Action, "object": f.Object} {
		if len(text) > maxText || !utf8.ValidString(text) {
			return dormer.Invalidf(name, "must be text of at most %d bytes", maxText)
		}
	}
	switch {
	case f.Limit < 1:
		return dormer.Invalidf("limit", "must be at least 1")
	case !f.Until.IsZero() && !f.Since.Before(f.Until):
		return dormer.Invalidf("until", "must be after since")
	}
	return nil
}

// Columns are those of records as a table.
func Columns() []export.Column {
	return []export.Column{
		{Name: "id", Title: "Number", Type: export.Number},
		{Name: "time", Title: "Time", Type: export.Time},
		{Name: "who", Title: "Who", Type: export.Text},
		{Name: "principal", Title: "Principal", Type: export.Text},
		{Name: "action", Title: "Action", Type: export.Text},
		{Name: "object", Title: "Object", Type: export.Text},
		{Name: "detail", Title: "Detail", Type: export.Text},
		{Name: "request", Title: "Request", Type: export.Text},
		{Name: "remote", Title: "From", Type: export.Text},
	}
}

// Values are those of Columns.
func (r Record) Values() []any {
	return []any{r.ID, r.Time, r.Who, r.Principal, r.Action, r.Object, r.Detail, r.Request, r.Remote}
}

// exportPiece is how many records are read at once for an export.
const exportPiece = 5000

// All calls each with every record that a filter leaves, whatever its limit
// says, newest first.
func All(ctx context.Context, log Log, f Filter, each func(Record) error) error {
	f.Limit = exportPiece
	for {
		list, err := log.Find(ctx, f)
		if err != nil {
			return err
		}
		for _, r := range list {
			if err := each(r); err != nil {
				return err
			}
			f.Before = r.ID
		}
		if len(list) < f.Limit {
			return nil
		}
	}
}

// Package audit holds the record of every change and who made it. Domain
// services and the REST API write it, operators read it.
package audit

import (
	"context"
	"time"
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

// Log keeps records for good.
type Log interface {
	// Append is durable when it returns.
	Append(ctx context.Context, r Record) error
	// Records returns the newest records before the given one (0: the newest of
	// all), newest first.
	Records(ctx context.Context, before int64, limit int) ([]Record, error)
}

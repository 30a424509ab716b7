// Package notice tells operators at once what others change and who looks at
// what. Changes come from the audit log, which every server of an instance
// writes; so does presence, from the store that they share. Edges import it.
//
// A Board follows both while somebody listens. Each listener has a Stream: it
// is never waited for, and one that takes too little is ended.
package notice

import (
	"context"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
)

// Times of following; see docs/limits.md.
const (
	// followInterval is how often the store is asked what other servers of the
	// instance changed, while somebody listens.
	followInterval = time.Second
	// PresenceInterval is how often a presence has to be renewed, PresenceTime how
	// long it counts after it was not.
	PresenceInterval = 20 * time.Second
	PresenceTime     = time.Minute
	// gapTime is how long a record may come after one with a higher number: those
	// who write at once commit in any order.
	gapTime = 10 * time.Second
)

// Limits; see docs/limits.md.
const (
	MaxStreams            = 1000 // of one server
	MaxStreamsOfPrincipal = 20   // of one operator at one server
	// maxWaiting is how many changes may wait for one listener.
	maxWaiting = 1000
	// maxMissed is how many changes a listener who was away is told.
	maxMissed = 500
	// maxPresences is how many presences are told.
	maxPresences = 1000
	maxGaps      = 1000
	pieceRecords = 500
)

// Change is a change that somebody made.
type Change struct {
	ID        int64 // of the record in the audit log
	Time      time.Time
	Who       string
	Principal string
	Action    string
	Kind      string // of what was changed: the part of the action before the dot
	Object    string // identity of what was changed, where it has one
	Name      string // of what was changed
	Detail    string
	Request   string
}

// Console is one console of an operator.
type Console struct {
	Principal dormer.UserID
	Name      string // what it calls itself; empty: others do not see it
}

// Presence is somebody whose console shows a page.
type Presence struct {
	Console Console
	Who     string
	Where   string // path of the page
	Editing bool   // something was entered there that is not committed
	Since   time.Time
	Seen    time.Time
}

// Store is what all servers of an instance share.
type Store interface {
	Records
	Presences
}

// Records are those of the audit log.
type Records interface {
	// RecordsAfter returns records with higher numbers, the lowest first.
	RecordsAfter(ctx context.Context, after int64, limit int) ([]audit.Record, error)
	// NewestRecord returns the highest number, 0 when there is no record.
	NewestRecord(ctx context.Context) (int64, error)
}

// Presences are who is where, one for each console.
type Presences interface {
	// Presences returns those that were seen after a time, by page.
	Presences(ctx context.Context, since time.Time, limit int) ([]Presence, error)
	// SetPresence adds or replaces one. Since stays while the page does.
	SetPresence(ctx context.Context, p Presence) error
	// RenewPresence sets when a console was seen, if there is a presence of it.
	RenewPresence(ctx context.Context, c Console, seen time.Time) error
	// EndPresence removes that of a console, if there is one.
	EndPresence(ctx context.Context, c Console) error
	// DeletePresencesBefore removes those that were last seen then or before.
	DeletePresencesBefore(ctx context.Context, t time.Time) error
}

// changeOf returns the change that a record tells of; false: it tells of none
// that others have to know.
func changeOf(r audit.Record) (Change, bool) {
	kind, verb, _ := strings.Cut(r.Action, ".")
	if kind == "session" || verb == "refuse" || verb == "export" || verb == "read" {
		return Change{}, false
	}
	c := Change{
		ID: r.ID, Time: r.Time, Who: r.Who, Principal: r.Principal, Action: r.Action, Kind: kind,
		Detail: r.Detail, Request: r.Request,
	}
	c.Name, c.Object = parts(kind, r.Object)
	return c, true
}

// identified are the kinds of things that have identities beside their names.
var identified = map[string]bool{
	"workspace": true, "client": true, "join-token": true, "api-token": true, "operator": true, "user": true, "group": true, "publisher": true,
}

// worded are what the log says before the names of some kinds of things.
var worded = map[string]string{"alert-rule": "rule ", "secret": "secret "}

// parts takes the object of a record apart, NAME (IDENTITY) where things of its
// kind have one. What has none may be called "Weekly (all)".
func parts(kind, object string) (name, id string) {
	if word := worded[kind]; word != "" {
		return strings.TrimPrefix(object, word), ""
	}
	if i := strings.LastIndex(object, " ("); i >= 0 && strings.HasSuffix(object, ")") && identified[kind] {
		return object[:i], object[i+2 : len(object)-1]
	}
	if dormer.ValidID(object) {
		return "", object
	}
	return object, ""
}

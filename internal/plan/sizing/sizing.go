// Package sizing says what each instance needs: processors, memory and disk of
// its server, its databases, consoles, and how it stays available.
//
// It is a domain package and does no input or output.
package sizing

import (
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// Instance is what one instance needs.
type Instance struct {
	Name         string       `json:"name"` // as in the placement
	Server       Server       `json:"server"`
	State        Database     `json:"state"`
	Events       Database     `json:"events"`
	Consoles     []Console    `json:"consoles"`
	Availability Availability `json:"availability"`
	// Advice are sentences about what the numbers mean together.
	Advice []string `json:"advice,omitzero"`
}

// Server is the computer that dormerd runs on.
type Server struct {
	Cores  int   `json:"cores"`
	Memory int64 `json:"memory"` // bytes
	Disk   int64 `json:"disk"`   // bytes, without a repository
	// Classic is the form factor of the classic guide, for comparison.
	Classic string `json:"classic"`
	// Virtual: it may be a virtual machine of the same resources; Kind says so, or why not.
	Virtual bool            `json:"virtual"`
	Kind    string          `json:"kind"`
	Figures []figure.Figure `json:"figures"`
}

// Database is one of the two databases of an instance.
type Database struct {
	Kind  organization.Database      `json:"kind"`  // sqlite or postgresql
	Place organization.DatabasePlace `json:"place"` // server or remote
	Site  string                     `json:"site"`
	// Shared names what it is shared with; empty for a database of one's own.
	Shared  []string        `json:"shared,omitzero"`
	Bytes   int64           `json:"bytes"` // with all safety factors
	Reasons []string        `json:"reasons"`
	Figures []figure.Figure `json:"figures"`
}

// Console is a place of operators.
type Console struct {
	Site       string   `json:"site"`
	Operators  int      `json:"operators"`
	FormFactor string   `json:"form_factor"`
	Reasons    []string `json:"reasons"`
}

// Availability is what an outage costs.
type Availability struct {
	Workspaces []Tolerance `json:"workspaces"`
	// Tolerable is the shortest of them in seconds; -1 is without limit.
	Tolerable float64 `json:"tolerable"`
	// Standby that is needed: none, follower (SQLite, passive), or database
	// (PostgreSQL's own replication; then several replicas of the server).
	Standby StandbyKind `json:"standby"`
	// Outage and Loss are what is left with it, in seconds.
	Outage float64 `json:"outage"`
	Loss   float64 `json:"loss"`
	// DatabaseStandby says whether the events database needs one of its own.
	DatabaseStandby bool            `json:"database_standby"`
	Reasons         []string        `json:"reasons"`
	Figures         []figure.Figure `json:"figures"`
}

// Tolerance is how long people of one workspace go on without the server.
type Tolerance struct {
	Workspace string  `json:"workspace"`
	Users     int     `json:"users"`
	Seconds   float64 `json:"seconds"` // -1 is without limit
	Text      string  `json:"text"`
}

// StandbyKind is a kind of standby.
type StandbyKind string

// The kinds of standby.
const (
	NoStandby       StandbyKind = "none"
	FollowerStandby StandbyKind = "follower"
	DatabaseStandby StandbyKind = "database"
)

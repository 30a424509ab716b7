// Package rest holds the types of the REST API, between dormerd and the
// console or the command line. It is a leaf: httpapi answers with them,
// apiclient asks with them, and the OpenAPI document is made from them.
package rest

import (
	"time"

	"github.com/dormer-project/dormer"
)

// Prefix is the path below which the API lives.
const Prefix = "/api/v1"

// Version is the version of the API.
const Version = 1

// Headers of the API.
const (
	// HeaderMessage carries the message of a revision.
	HeaderMessage = "Dormer-Message"
	// HeaderRevision carries the number of the revision that is answered.
	HeaderRevision = "Dormer-Revision"
	// HeaderSession says how a new session is kept: SessionCookie, or by whoever
	// signs in when it is absent.
	HeaderSession = "Dormer-Session"
	// SessionCookie asks for a cookie that scripts cannot read, in place of the
	// token in the answer.
	SessionCookie = "cookie"
)

// None is the body of requests and answers that have none.
type None struct{}

// List is an answer with many things.
type List[T any] struct {
	Items []T `json:"items"`
	// Next, where an answer has it, is the value of the parameter `before` that
	// gives the items after these.
	Next int64 `json:"next,omitempty"`
}

// Instance describes the server.
type Instance struct {
	ID      dormer.InstanceID `json:"id"`
	Epoch   dormer.Epoch      `json:"epoch"`
	Version string            `json:"version" doc:"version of the program"`
	API     int               `json:"api" doc:"version of this API"`
}

// SignIn opens a session.
type SignIn struct {
	User        string `json:"user" doc:"name, DIRECTORY\\name or name@domain"`
	Password    string `json:"password"`
	NewPassword string `json:"new_password,omitempty" doc:"changes the password; needed once it must be changed"`
}

// SignedIn is a new session.
type SignedIn struct {
	Token     string           `json:"token,omitempty" doc:"for the header Authorization: Bearer TOKEN; absent where a cookie holds it"`
	Expires   time.Time        `json:"expires"`
	Principal dormer.Principal `json:"principal"`
	Role      dormer.Role      `json:"role"`
}

// Session is the session of the request, or the API token in its place.
type Session struct {
	Principal dormer.Principal `json:"principal"`
	Role      dormer.Role      `json:"role"`
	Created   time.Time        `json:"created"`
	Expires   time.Time        `json:"expires"`
	APIToken  *APIToken        `json:"api_token,omitempty" doc:"absent for sessions"`
}

// Operator is somebody who may use this API.
type Operator struct {
	Principal dormer.Principal `json:"principal" doc:"as the role was given"`
	Role      dormer.Role      `json:"role"`
	State     string           `json:"state,omitempty" doc:"in the list: found, renamed, gone, or unknown while the directory does not answer"`
	Name      string           `json:"name,omitempty" doc:"the name now, where it is another"`
}

// SetOperator gives a role to a user or a group.
type SetOperator struct {
	Kind dormer.PrincipalKind `json:"kind"`
	Name string               `json:"name" doc:"name, DIRECTORY\\name or name@domain"`
	Role dormer.Role          `json:"role" doc:"read-only, full, or empty to take it away"`
}

// AuditRecord is one change and who made it.
type AuditRecord struct {
	ID        int64     `json:"id"`
	Time      time.Time `json:"time"`
	Who       string    `json:"who"`
	Principal string    `json:"principal,omitempty"`
	Action    string    `json:"action"`
	Object    string    `json:"object,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	Request   string    `json:"request,omitempty"`
	Remote    string    `json:"remote,omitempty"`
}

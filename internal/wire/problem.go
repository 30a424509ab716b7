package wire

import "github.com/dormer-project/dormer"

// ProblemType is the media type of Problem.
const ProblemType = "application/problem+json"

// Problem is an error document (RFC 9457) of the client protocol and the REST
// API. It never repeats values of the request.
type Problem struct {
	Type   string `json:"type,omitempty"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Kind is the error kind in one word: "invalid", "conflict", ...
	Kind string `json:"kind,omitempty"`
	// Fields are the wrong fields.
	Fields []dormer.FieldError `json:"fields,omitempty"`
	// RetryAfter is in seconds, beside the header of that name.
	RetryAfter int `json:"retry_after,omitempty"`
	// Request is the identity of the request, under which the server logged it.
	Request string `json:"request,omitempty"`
	// By, At and Current describe a conflict.
	By      string `json:"by,omitempty"`
	At      string `json:"at,omitempty"`
	Current string `json:"current,omitempty"`
	// Candidates are those whom an ambiguous name may mean.
	Candidates []Candidate `json:"candidates,omitempty"`
}

// Candidate is a principal as people tell it from others of a like name.
type Candidate struct {
	Principal   dormer.Principal `json:"principal"`
	DisplayName string           `json:"display_name,omitempty"`
	Detail      string           `json:"detail,omitempty"`
	State       string           `json:"state,omitempty"`
}

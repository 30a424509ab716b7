package rest

import (
	"time"

	"github.com/dormer-project/dormer"
)

// Workspace is one revision of a workspace without its document.
type Workspace struct {
	ID       dormer.WorkspaceID `json:"id"`
	Name     string             `json:"name"`
	Revision dormer.Revision    `json:"revision"`
	ETag     string             `json:"etag" doc:"for If-Match, there in quotes"`
	Author   string             `json:"author"`
	Time     time.Time          `json:"time"`
	Message  string             `json:"message,omitempty"`
}

// Committed is a workspace after a change.
type Committed struct {
	Workspace
	Warnings []dormer.FieldError `json:"warnings,omitempty" doc:"what is valid and perhaps not meant"`
}

// Validated says that a document is valid.
type Validated struct {
	Warnings []dormer.FieldError `json:"warnings"`
}

// Rename gives a workspace another name.
type Rename struct {
	Name string `json:"name"`
}

// Clone copies a workspace.
type Clone struct {
	Name string `json:"name,omitempty" doc:"of the copy; by default the first free of NAME - 2, NAME - 3, ..."`
}

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
	Figures  *WorkspaceFigures  `json:"figures,omitempty" doc:"where they are asked for; absent, too, of a workspace that cannot be read"`
}

// WorkspaceFigures is what a workspace comes to now.
type WorkspaceFigures struct {
	Description  string `json:"description,omitempty"`
	Image        string `json:"image,omitempty"`
	ImageVersion int    `json:"image_version,omitempty" doc:"that its machines get now"`
	ImageProblem string `json:"image_problem,omitempty" doc:"why they get none"`
	Grants       int    `json:"grants"`
	Disabled     int    `json:"disabled" doc:"grants that are not enabled"`
	Expired      int    `json:"expired" doc:"grants whose last day is over"`
	Machines     int    `json:"machines"`
	Running      int    `json:"running" doc:"machines that ran when their clients last reported"`
	Clients      int    `json:"clients" doc:"that have machines of it"`
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

// NamePreview asks which computer names a pattern gives. Values that are absent
// are those of an example.
type NamePreview struct {
	Pattern   string `json:"pattern"`
	User      string `json:"user,omitempty"`
	Domain    string `json:"domain,omitempty"`
	Host      string `json:"host,omitempty"`
	Workspace string `json:"workspace,omitempty"`
}

// PreviewedNames are names that machines would get.
type PreviewedNames struct {
	Names []string `json:"names"`
	// Warning is what is allowed in the pattern but probably not meant.
	Warning string `json:"warning,omitempty"`
}

// Rename gives a workspace another name.
type Rename struct {
	Name string `json:"name"`
}

// Clone copies a workspace.
type Clone struct {
	Name string `json:"name,omitempty" doc:"of the copy; by default the first free of NAME - 2, NAME - 3, ..."`
}

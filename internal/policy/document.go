// Package policy is the workspace document: what an administrator writes
// about one workspace and its grants, as one file in YAML or JSON.
//
// It is a domain package: it decodes, validates, compares and combines, and
// does no input or output. Servers, agents and programs may import it; it
// imports the root package alone.
//
// Its words: a Document is the whole file, its Spec is the policy and its
// Grants say who gets it. What the author did not set stays absent in these
// types; the defaults belong to the apiVersion and appear only in the
// Effective policy, which Combine makes for one user from the Spec and that
// user's grants and which a client receives.
//
// The struct tags are the one description of every field: json names it, doc
// says what it means, default is what holds when it is absent, when says when
// a change takes effect, enforced="yes" marks what an agent enforces now, and
// combine says, for fields of grants, which of two values wins. The JSON Schema,
// docs/policy.md and docs/combining.md are generated from them.
package policy

import "github.com/dormer-project/dormer"

const (
	// APIVersion is the version of the document that this package reads.
	APIVersion = "dormer/v1"
	// Kind is the only kind of document.
	Kind = "Workspace"
	// MaxDocument is the largest document in bytes, checked before anything is
	// read from it, and again of what is stored and exported: there escapes and
	// the identities of principals may make it longer.
	MaxDocument = 1 << 20
	// MaxEffective is the largest effective policy in bytes: a document with all
	// defaults written out.
	MaxEffective = 4 << 20
)

// Document is one workspace as its author wrote it.
type Document struct {
	APIVersion string   `json:"apiVersion" required:"yes" const:"dormer/v1" doc:"Version of this document; it decides the defaults."`
	Kind       string   `json:"kind" required:"yes" const:"Workspace" doc:"What the document describes."`
	Metadata   Metadata `json:"metadata" required:"yes" doc:"What the workspace is called."`
	Spec       Spec     `json:"spec" required:"yes" doc:"The policy of the workspace."`
	Grants     []Grant  `json:"grants,omitzero" doc:"Who gets the workspace, and what each of them may do with it."`
}

// Metadata names a workspace.
type Metadata struct {
	ID          dormer.WorkspaceID `json:"id,omitzero" doc:"Identity made by the server; never changed. With it a document is matched by identity and a new name is a rename; without it, by name." when:"at once" enforced:"yes"`
	Name        string             `json:"name" required:"yes" doc:"Name shown to users. Unique in the instance without regard to case; at most 200 characters." when:"at once" enforced:"yes"`
	Description string             `json:"description,omitzero" doc:"For administrators; users do not see it." when:"at once" enforced:"yes"`
}

// Spec is the policy of a workspace, one field for each tab of the console.
type Spec struct {
	General      General      `json:"general,omitzero" doc:"How the workspace shows itself and what runs before it."`
	Machine      Machine      `json:"machine" required:"yes" doc:"The virtual machine."`
	Applications Applications `json:"applications,omitzero" doc:"Applications and menus of the guest that users see on the host."`
	Web          Web          `json:"web,omitzero" doc:"Where addresses are opened: in the guest or in the host."`
	Setup        Setup        `json:"setup,omitzero" doc:"Name of the computer and the first-time setup of a machine."`
	Network      Network      `json:"network,omitzero" doc:"Network of the virtual machine."`
	Performance  Performance  `json:"performance,omitzero" doc:"Memory and processors by the size of the host."`
}

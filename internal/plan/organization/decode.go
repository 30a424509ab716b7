package organization

import (
	_ "embed"
	"reflect"

	"github.com/dormer-project/dormer/internal/document"
)

// Bounds of the text of an organization, listed in docs/limits.md.
const (
	// MaxDocument is the largest organization in bytes, checked before anything
	// is read from it.
	MaxDocument = 2 << 20

	maxDepth    = 16
	maxFields   = 200_000 // fields and entries of lists
	maxSiblings = 500
	maxErrors   = 100
)

var documents = document.Reader{
	MaxBytes: MaxDocument, TooLarge: "the organization is larger than 2 MiB",
	MaxFields: maxFields, TooMany: "has more than 200,000 fields and entries up to here; put small sites that are alike together",
	MaxSiblings: maxSiblings, MaxDepth: maxDepth, MaxErrors: maxErrors, Complete: true,
	NoFields: "an organization is a set of fields that begins with apiVersion; dormer plan init writes an example",
}

// Decode reads an organization in YAML or JSON and checks it completely: what
// cannot be read and what Validate refuses come back together as one
// *dormer.InvalidError, each with its line and field path. Messages never
// repeat a value that is wrong; they do name what the file has. name is the
// file's name and is only looked at for its ending; it may be empty.
func Decode(raw []byte, name string) (*Organization, error) {
	var o Organization
	reading, err := documents.Read(raw, name, "", &o)
	if err != nil {
		return nil, err
	}
	if err := reading.Err(checked(&o)...); err != nil {
		return nil, err
	}
	return &o, nil
}

// YAML returns the organization as canonical YAML: fields in the order of the
// types, what the author did not set absent. Decode(o.YAML()) gives o again.
func (o *Organization) YAML() []byte { return document.YAML(o) }

// SchemaID is the address that the schema names itself by.
const SchemaID = "https://dormer-project.github.io/schema/organization.schema.json"

//go:embed schema/organization.schema.json
var committedSchema []byte

// Schema returns the JSON Schema (draft 2020-12) of an organization, for
// editors. It knows fields, types, closed lists and forms; what contradicts
// each other is known to Validate alone. The caller must not change it.
func Schema() []byte { return committedSchema }

// generateSchema makes the schema from the types and their tags.
func generateSchema() ([]byte, error) {
	return document.Schema(reflect.TypeFor[Organization](), SchemaID, "Organization for Dormer's planner")
}

//go:embed example.yaml
var example []byte

// Example returns an organization with every field explained, to begin a file
// of one's own with. The caller must not change it.
func Example() []byte { return example }

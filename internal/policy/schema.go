package policy

import (
	_ "embed"
	"reflect"

	"github.com/dormer-project/dormer/internal/document"
)

// SchemaID is the address that the schema names itself by.
const SchemaID = "https://dormer-project.github.io/schema/workspace.schema.json"

//go:embed schema/workspace.schema.json
var committedSchema []byte

// Schema returns the JSON Schema (draft 2020-12) of a document, for editors.
// It knows fields, types, closed lists and forms; contradictions between
// fields are known to Validate alone. The caller must not change it.
func Schema() []byte { return committedSchema }

// generateSchema makes the schema from the types and their tags.
func generateSchema() ([]byte, error) {
	return document.Schema(reflect.TypeFor[Document](), SchemaID, "Dormer workspace")
}

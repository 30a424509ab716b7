package desk

import (
	"flag"
	"testing"

	"github.com/dormer-project/dormer/internal/openapi/openapitest"
)

var update = flag.Bool("update", false, "write api/local.json anew")

// TestDocument holds the committed OpenAPI document against the route table.
func TestDocument(t *testing.T) {
	openapitest.Committed(t, "../../../api/local.json", Document, *update, "go test ./internal/workbench/desk -run TestDocument -update")
}

package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"testing"

	"github.com/dormer-project/dormer/internal/openapi/openapitest"
)

var update = flag.Bool("update", false, "write api/openapi.json anew")

// TestDocument holds the committed OpenAPI document against the route table.
func TestDocument(t *testing.T) {
	openapitest.Committed(t, "../../api/openapi.json", Document, *update, "go test ./internal/httpapi -run TestDocument -update")
}

// TestDocumentIsWhole: every reference leads somewhere and every route is there.
func TestDocumentIsWhole(t *testing.T) {
	raw, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI version %q", doc.OpenAPI)
	}
	ids := map[string]bool{}
	for _, r := range routes() {
		op, ok := doc.Paths[r.path][lower(r.method)].(map[string]any)
		if !ok {
			t.Errorf("%s %s is missing", r.method, r.path)
			continue
		}
		id, _ := op["operationId"].(string)
		if id == "" || ids[id] {
			t.Errorf("%s %s: operation %q is not unique", r.method, r.path, id)
		}
		ids[id] = true
		if op["x-dormer-role"] != string(r.need) || r.area != "" && op["x-dormer-area"] != string(r.area) {
			t.Errorf("%s %s does not say what it needs: %v", r.method, r.path, op)
		}
	}
	const prefix = `"$ref": "#/components/schemas/`
	for rest := raw; ; {
		i := bytes.Index(rest, []byte(prefix))
		if i < 0 {
			break
		}
		rest = rest[i+len(prefix):]
		name := string(rest[:bytes.IndexByte(rest, '"')])
		if doc.Components.Schemas[name] == nil {
			t.Errorf("schema %s is referred to and missing", name)
		}
	}
}

func lower(s string) string { return string(bytes.ToLower([]byte(s))) }

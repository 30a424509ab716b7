package openapi_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/openapi"
)

type thing struct {
	Parts []part `json:"parts"`
}

type part struct {
	Name string `json:"name" doc:"what it is called" pattern:"^a"`
}

func document(t *testing.T, api openapi.API) map[string]any {
	t.Helper()
	b, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at follows members of objects.
func at(t *testing.T, doc any, path ...string) any {
	t.Helper()
	for _, name := range path {
		object, ok := doc.(map[string]any)
		if !ok {
			t.Fatalf("%s of %v: not an object", name, doc)
		}
		doc = object[name]
	}
	return doc
}

func TestOperations(t *testing.T) {
	doc := document(t, openapi.API{
		Prefix:  "/v1",
		Schemes: map[string]openapi.Scheme{"session": {Scheme: "bearer"}},
		Operations: []openapi.Operation{{
			Method: "PUT", Path: "/things/{id}/name-tag/{rest...}", Status: 201, Scheme: "session", BodyOptional: true,
			Parameters: []openapi.Parameter{{In: openapi.InQuery, Name: "force", Flag: true}, {In: openapi.InHeader, Name: "If-Match", Required: true}, {In: openapi.InQuery, Name: "limit", Number: true}},
			Body:       openapi.Media{Type: reflect.TypeFor[[]byte](), Types: []string{"application/gzip"}},
			Answer:     openapi.Media{Type: reflect.TypeFor[thing]()},
		}},
	})
	op := at(t, doc, "paths", "/things/{id}/name-tag/{rest...}", "put")
	if got := at(t, op, "operationId"); got != "putThingsIdNameTagRest" {
		t.Errorf("operation is called %v", got)
	}
	type parameter struct {
		name, in, typ string
		required      bool
	}
	var got []parameter
	list, _ := at(t, op, "parameters").([]any)
	for _, p := range list {
		name, _ := at(t, p, "name").(string)
		in, _ := at(t, p, "in").(string)
		typ, _ := at(t, p, "schema", "type").(string)
		required, _ := at(t, p, "required").(bool)
		got = append(got, parameter{name, in, typ, required})
	}
	want := []parameter{
		{"id", "path", "string", true},
		{"rest", "path", "string", true},
		{"force", "query", "boolean", false},
		{"If-Match", "header", "string", true},
		{"limit", "query", "integer", false},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(parameter{})); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if got := at(t, op, "requestBody", "content", "application/gzip", "schema", "format"); got != "binary" {
		t.Errorf("bytes have the format %v", got)
	}
	if got, _ := at(t, op, "requestBody", "required").(bool); got {
		t.Error("the body may not be left out")
	}
	if got := at(t, op, "responses", "201", "content", "application/json", "schema", "$ref"); got != "#/components/schemas/Thing" {
		t.Errorf("the answer is %v", got)
	}
	if got := at(t, op, "responses", "default", "content", "application/problem+json", "schema", "$ref"); got != "#/components/schemas/Problem" {
		t.Errorf("errors are %v", got)
	}
}

func TestSchemas(t *testing.T) {
	api := openapi.API{
		Types: []reflect.Type{reflect.TypeFor[part]()},
		Name: func(typ reflect.Type, called string) string {
			if typ == reflect.TypeFor[part]() {
				return "Spare" + called
			}
			return called
		},
		Operations: []openapi.Operation{{Method: "GET", Path: "/things", Status: 200, Answer: openapi.Media{Type: reflect.TypeFor[thing]()}}},
	}
	properties := func() any { return at(t, document(t, api), "components", "schemas", "Thing", "properties", "parts") }
	if diff := cmp.Diff([]any{"array", "null"}, at(t, properties(), "type")); diff != "" {
		t.Errorf("a list that may be null (-want +got):\n%s", diff)
	}
	api.Lists = true
	if got := at(t, properties(), "type"); got != "array" {
		t.Errorf("a list that is never null is %v", got)
	}
	if got := at(t, properties(), "items", "$ref"); got != "#/components/schemas/SparePart" {
		t.Errorf("its items are %v", got)
	}
	name := at(t, document(t, api), "components", "schemas", "SparePart", "properties", "name")
	if got := at(t, name, "description"); got != "what it is called" {
		t.Errorf("described as %v", got)
	}
	if b, err := api.Document(); err != nil || strings.Contains(string(b), "pattern") {
		t.Errorf("a tag for somebody else is in the document (%v)", err)
	}
}

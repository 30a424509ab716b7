// Package documenttest is what tests of every kind of document need: that what
// is generated from its types is up to date, and what its schema accepts.
package documenttest

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/dormer-project/dormer/internal/document"
)

// UpToDate holds a generated file against what it should be, or writes it anew
// when update is set, which the flag -update of the test of a package is.
func UpToDate(t *testing.T, update bool, file string, want []byte) {
	t.Helper()
	if update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not up to date; run the tests of this package with -update", file)
	}
}

// Schema is a JSON Schema that documents can be held against.
type Schema struct{ compiled *jsonschema.Schema }

// Compiled is the schema that names itself id.
func Compiled(t *testing.T, raw []byte, id string) Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(id, parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(id)
	if err != nil {
		t.Fatal(err)
	}
	return Schema{s}
}

// Check returns what the schema says of a document in YAML or JSON.
func (s Schema) Check(t *testing.T, raw []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.compiled.Validate(v)
}

// EveryField calls visit for every field of a type and of what it divides into.
func EveryField(of reflect.Type, path string, visit func(path string, f document.Field)) {
	for _, f := range document.Fields(of) {
		at := document.Join(path, f.Name)
		visit(at, f)
		if inner := f.Inner(); inner != nil {
			EveryField(inner, at, visit)
		}
	}
}

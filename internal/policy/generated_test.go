package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/document/documenttest"
)

var update = flag.Bool("update", false, "write the generated files anew")

func TestSchemaIsUpToDate(t *testing.T) {
	want, err := generateSchema()
	if err != nil {
		t.Fatal(err)
	}
	documenttest.UpToDate(t, *update, "schema/workspace.schema.json", want)
	if !*update && !bytes.Equal(Schema(), want) {
		t.Error("Schema is not what is generated")
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	documenttest.UpToDate(t, *update, "../../docs/policy.md", Reference())
}

func TestCombiningIsUpToDate(t *testing.T) {
	text, err := Combining()
	if err != nil {
		t.Fatal(err)
	}
	documenttest.UpToDate(t, *update, "../../docs/combining.md", text)
}

// TestEveryFieldOfAGrantCombines: each has a rule and an example, and each
// example is of a field that there is.
func TestEveryFieldOfAGrantCombines(t *testing.T) {
	fields := map[string]bool{}
	for _, f := range combined() {
		fields[f.path] = true
		if f.tag.Get("combine") == "" {
			t.Errorf("grants[].%s has no tag combine, which says which of two values wins", f.path)
		}
		if _, ok := combinations[f.path]; !ok && f.path != "principal" {
			t.Errorf("grants[].%s has no example in combinations", f.path)
		}
		if f.tag.Get("default") == "" && f.tag.Get("required") == "" {
			t.Errorf("grants[].%s does not say what holds when it is not set", f.path)
		}
	}
	if len(fields) < 25 {
		t.Errorf("only %d fields were seen", len(fields))
	}
	for path := range combinations {
		if !fields[path] {
			t.Errorf("combinations has an example of %s, which is no field", path)
		}
	}
}

func TestSchemaAcceptsExamples(t *testing.T) {
	s := documenttest.Compiled(t, Schema(), SchemaID)
	files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t, raw); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestSchemaRefusesWhatDecodeRefuses(t *testing.T) {
	s := documenttest.Compiled(t, Schema(), SchemaID)
	for name, change := range map[string][2]string{
		"unknown field":      {"  name: Demo", "  name: Demo\n  nmae: x"},
		"letter case":        {"revertible: false", "Revertible: false"},
		"wrong type":         {"revertible: false", "revertible: 3"},
		"not in the list":    {"mode: nat", "mode: tunnel"},
		"form of a size":     {"size: 1GiB", "size: 1GB"},
		"form of a duration": {"limit: 8h", "limit: 8 hours"},
		"missing name":       {"  name: Demo\n", ""},
		"missing image":      {"      name: demo-guest\n", ""},
		"other version":      {"dormer/v1", "dormer/v9"},
		"kind of principal":  {"kind: user", "kind: person"},
		"out of range":       {"- host: 4", "- host: 99999"},
	} {
		raw, err := os.ReadFile(filepath.Join(examples, "demo.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		bad := strings.Replace(string(raw), change[0], change[1], 1)
		if bad == string(raw) {
			t.Fatalf("%s: the example does not contain %q", name, change[0])
		}
		if err := s.Check(t, []byte(bad)); err == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
		if _, err := Decode([]byte(bad), ""); err == nil {
			t.Errorf("%s: Decode accepts it", name)
		}
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	n := 0
	documenttest.EveryField(reflect.TypeFor[Document](), "", func(path string, f document.Field) {
		n++
		if f.Tag.Get("doc") == "" {
			t.Errorf("%s has no doc", path)
		}
		if f.Name == "" || strings.Contains(f.Name, "_") {
			t.Errorf("%s has no good name", path)
		}
		divides := f.Inner() != nil
		if !divides && f.Tag.Get("when") == "" && f.Tag.Get("const") == "" {
			t.Errorf("%s does not say when it takes effect", path)
		}
		if divides && f.Tag.Get("when")+f.Tag.Get("enforced") != "" {
			t.Errorf("%s divides into fields; they say when they take effect and whether they are enforced", path)
		}
		required := f.Tag.Get("required") != ""
		if omit := strings.HasSuffix(f.Tag.Get("json"), ",omitzero"); !omit && !required {
			t.Errorf("%s: required is %v, omitzero is %v", path, required, omit)
		}
	})
	if n < 100 {
		t.Errorf("only %d fields were seen", n)
	}
}

// TestDefaultsAgree holds the defaults that people read against those that
// Combine applies.
func TestDefaultsAgree(t *testing.T) {
	e := Combine(Spec{Machine: Machine{GuestUpdates: &MaintenanceTime{}}}, []Grant{{}})
	var resolved map[string]any
	if err := json.Unmarshal(e.CanonicalJSON(), &resolved); err != nil {
		t.Fatal(err)
	}
	compared := 0
	check := func(prefix string) func(string, document.Field) {
		return func(path string, f document.Field) {
			want := f.Default()
			if want == nil {
				return
			}
			var at any = resolved
			for part := range strings.SplitSeq(strings.TrimPrefix(prefix+path, "spec."), ".") {
				m, ok := at.(map[string]any)
				if !ok {
					return
				}
				if at, ok = m[part]; !ok {
					return
				}
			}
			if n, ok := want.(int); ok {
				want = float64(n)
			}
			compared++
			if at != want {
				t.Errorf("%s: the tag says %v, the effective policy %v", path, want, at)
			}
		}
	}
	documenttest.EveryField(reflect.TypeFor[Spec](), "", check(""))
	documenttest.EveryField(reflect.TypeFor[Grant](), "", check("deployment."))
	if compared < 45 {
		t.Errorf("only %d defaults were compared", compared)
	}
}

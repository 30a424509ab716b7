package organization

import (
	"bytes"
	"flag"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/document/documenttest"
)

var update = flag.Bool("update", false, "write the generated files anew")

func TestSchemaIsUpToDate(t *testing.T) {
	want, err := generateSchema()
	if err != nil {
		t.Fatal(err)
	}
	documenttest.UpToDate(t, *update, "schema/organization.schema.json", want)
	if !*update && !bytes.Equal(Schema(), want) {
		t.Error("Schema is not what is generated")
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	documenttest.UpToDate(t, *update, "../../../docs/planning-file.md", Reference())
}

// decoded reads an organization that must be right.
func decoded(t testing.TB, raw string) *Organization {
	t.Helper()
	o, err := Decode([]byte(raw), "")
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return o
}

func TestExampleIsValid(t *testing.T) {
	o := decoded(t, string(Example()))
	for _, w := range Warnings(o) {
		t.Errorf("warning: %s", w)
	}
	again := decoded(t, string(o.YAML()))
	if diff := cmp.Diff(o, again, cmp.AllowUnexported(Offline{})); diff != "" {
		t.Errorf("the canonical form is another organization (-want +got):\n%s", diff)
	}
	if !bytes.Equal(again.YAML(), o.YAML()) {
		t.Error("the canonical form is no fixed point")
	}
	inJSON := decoded(t, string(document.JSON(o)))
	if diff := cmp.Diff(o, inJSON, cmp.AllowUnexported(Offline{})); diff != "" {
		t.Errorf("as JSON it is another organization (-want +got):\n%s", diff)
	}
}

// TestExampleNamesEveryField: also what is left out stands there, in a comment
// of the section that it belongs to.
func TestExampleNamesEveryField(t *testing.T) {
	// Comments become fields; what the example sets comes first.
	sections := map[string]string{}
	section := ""
	for line := range strings.Lines(string(Example())) {
		if m := regexp.MustCompile(`^(  )?(# )?([a-z]+):`).FindStringSubmatch(line); m != nil {
			section = m[3]
		}
		sections[section] += line
	}
	n := 0
	documenttest.EveryField(reflect.TypeFor[Organization](), "", func(path string, _ document.Field) {
		n++
		parts := strings.Split(strings.TrimPrefix(path, "spec."), ".")
		text, name := sections[parts[0]], parts[len(parts)-1]
		if !strings.HasPrefix(path, "spec.") {
			text = string(Example())
		}
		if parts[0] == "workspaces" && len(parts) == 3 {
			text += sections["separations"] // whose selections are the same
		}
		if !regexp.MustCompile(`(?m)(^|[ {])` + name + `:`).MatchString(text) {
			t.Errorf("the example does not name %s", path)
		}
	})
	if n < 100 {
		t.Errorf("only %d fields were seen", n)
	}
}

// TestExampleComments: a setting that stands there as a comment is right, too.
func TestExampleComments(t *testing.T) {
	setting := regexp.MustCompile(`^( *)# ((  )?[a-z][A-Za-z]*:( [^ ].*)?)$`)
	lines := strings.Split(string(Example()), "\n")
	for i, line := range lines {
		m := setting.FindStringSubmatch(line)
		if m == nil || strings.HasSuffix(line, ": all") || strings.Contains(line, "that of the server") || strings.Contains(line, "observed:") {
			continue
		}
		with := append(append(append([]string{}, lines[:i]...), m[1]+m[2]), lines[i+1:]...)
		_, err := Decode([]byte(strings.Join(with, "\n")), "")
		if err != nil && !strings.HasPrefix(m[2], "  ") {
			t.Errorf("line %d, %q: %v", i+1, m[2], err)
		}
	}
	at := strings.Index(string(Example()), "  # observed:")
	o := decoded(t, string(Example())[:at]+strings.ReplaceAll(string(Example())[at:], "  # ", "  "))
	if o.Spec.Observed == nil || o.Spec.Observed.Peak != 7400 {
		t.Errorf("observed: %+v", o.Spec.Observed)
	}
}

func TestEveryFieldIsDocumented(t *testing.T) {
	documenttest.EveryField(reflect.TypeFor[Organization](), "", func(path string, f document.Field) {
		if f.Tag.Get("doc") == "" {
			t.Errorf("%s has no doc", path)
		}
		required := f.Tag.Get("required") != ""
		if omit := strings.HasSuffix(f.Tag.Get("json"), ",omitzero"); omit == required {
			t.Errorf("%s: required is %v, omitzero is %v", path, required, omit)
		}
		if f.Type.Kind() == reflect.Slice && f.Tag.Get("most") == "" {
			t.Errorf("%s is a list without a bound", path)
		}
		if f.Type.Kind() == reflect.Int && f.Tag.Get("max") == "" {
			t.Errorf("%s is a number without a bound", path)
		}
	})
}

func TestSchemaAgreesWithDecode(t *testing.T) {
	s := documenttest.Compiled(t, Schema(), SchemaID)
	// An empty section is one without fields; schemas do not know that.
	good := strings.ReplaceAll(string(Example()), "\n  capacity:\n", "\n  capacity: {}\n")
	if err := s.Check(t, []byte(good)); err != nil {
		t.Errorf("the example: %v", err)
	}
	for name, change := range map[string][2]string{
		"unknown field":        {"        - users: 2200\n", "        - users: 2200\n          userz: 1\n"},
		"letter case":          {"bandwidth: 200Mbit/s", "Bandwidth: 200Mbit/s"},
		"form of a bandwidth":  {"bandwidth: 200Mbit/s", "bandwidth: 200Mbps"},
		"form of a latency":    {"latency: 12ms", "latency: 12"},
		"form of a share":      {"usable: 30%", "usable: 0.3"},
		"form of a size":       {"packed: 9GiB", "packed: 9GB"},
		"form of off-line":     {"offline: 3d", "offline: never"},
		"country":              {"country: CH", "country: Switzerland"},
		"not in the list":      {"kind: law", "kind: legal"},
		"negative":             {"users: 2200", "users: -1"},
		"too many":             {"users: 2200", "users: 10000001"},
		"missing number":       {"        - users: 2200\n          active: 1700\n", "        - active: 1700\n"},
		"missing name":         {"    - name: Plant\n      country: DE\n", "    - country: DE\n"},
		"other version":        {"dormer/v1", "dormer/v2"},
		"hours of a day":       {"perDay: 20", "perDay: 20\n    hours: 25"},
		"zero that is not one": {"perDay: 20", "perDay: 0"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
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

func FuzzDecode(f *testing.F) {
	f.Add(Example())
	f.Add([]byte(small))
	f.Add([]byte(`{"apiVersion":"dormer/v1","kind":"Organization","metadata":{"name":"n"},"spec":{"sites":[{"name":"A","people":[{"users":1}]}],"images":[{"name":"i","packed":"1GiB"}],"workspaces":[{"name":"w","image":"i"}]}}`))
	for _, s := range []string{"", "{", "spec:\n  sites: [{}]", "spec: {domains: [{name: a, parent: a}]}", "spec: {links: [{from: a, to: a}]}", "a: *x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := Decode(raw, "")
		if err != nil {
			invalid, ok := err.(*dormer.InvalidError) //nolint:errorlint // the type itself is promised
			if !ok || len(invalid.Fields) == 0 {
				t.Fatalf("%T: %v is not a list of fields", err, err)
			}
			return
		}
		again, err := Decode(o.YAML(), "")
		if err != nil {
			t.Fatalf("the canonical form cannot be read: %v\n%s", err, o.YAML())
		}
		if diff := cmp.Diff(o, again, cmp.AllowUnexported(Offline{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the canonical form is another organization:\n%s", diff)
		}
		Warnings(o)
		m := Resolve(o)
		for i := range m.Sites {
			m.Route(0, i)
		}
		users, active := m.Grown(m.Growth.Years).Users()
		if users < 0 || active > users {
			t.Fatalf("%d active of %d", active, users)
		}
	})
}

package organization

import (
	"reflect"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
)

// Reference returns docs/planning-file.md: every field of the file, from the
// tags of the types.
func Reference() []byte {
	var out strings.Builder
	var table document.Table
	out.WriteString(referenceHead)
	out.WriteString("\n## The file\n\n" + table.Head())
	for _, f := range document.Fields(reflect.TypeFor[Organization]()) {
		if f.Name == "spec" {
			out.WriteString(table.Row(f.Name, f))
			continue
		}
		out.WriteString(table.Rows(f.Name, f))
	}
	for _, f := range document.Fields(reflect.TypeFor[Spec]()) {
		path := "spec." + f.Name
		if f.Type.Kind() == reflect.Slice {
			path += "[]"
		}
		otherwise := f.Tag.Get("default")
		switch {
		case f.Tag.Get("required") != "":
			otherwise = " Required."
		case otherwise != "":
			otherwise = " Default: " + otherwise + "."
		}
		out.WriteString("\n## " + path + "\n\n" + f.Tag.Get("doc") + otherwise + "\n\n")
		out.WriteString(table.Of(path, f.Inner()))
	}
	return []byte(out.String())
}

const referenceHead = `# The planning file

<!-- Generated from the types in internal/plan/organization by go test ./internal/plan/organization -update. Do not edit. -->

An organization is described in one file in YAML or JSON, from which the planner works out the infrastructure
([planning.md](planning.md)). ` + "`dormer plan init`" + ` writes an example with every field explained; the JSON Schema for editors is
` + "`internal/plan/organization/schema/organization.schema.json`" + `.

- Reading is strict: an unknown or repeated field, a field in another letter case, a value of another type, a number out of
  its range or a name that nothing in the file has is an error that names line and field. Anchors, aliases and tags of YAML
  are refused. A file holds one organization of at most 2 MiB.
- Names are compared without regard to letter case. Each is unique in its list.
- Lengths of time are written ` + "`30m`, `8h`, `3d`" + ` (a day is 24 hours); sizes ` + "`512MiB`, `4GiB`, `1TiB`" + `; bandwidths ` + "`512kbit/s`, `10Mbit/s`," + `
  ` + "`2.5Gbit/s`" + ` in decimal units; times of a round trip ` + "`40ms`" + `; shares ` + "`30%`" + `.
- What is not set is absent in what is written again; the default holds.
`

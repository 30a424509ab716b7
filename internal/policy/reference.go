package policy

import (
	"fmt"
	"reflect"
	"strings"
)

// Reference returns docs/policy.md: every field of a document, from the tags
// of the types.
func Reference() []byte {
	var out strings.Builder
	out.WriteString(referenceHead)
	t := reflect.TypeFor[Document]()
	section(&out, "The document", "", t, 1)
	spec := reflect.TypeFor[Spec]()
	for _, f := range fieldsOf(spec) {
		out.WriteString("\n## spec." + f.name + "\n\n" + f.tag.Get("doc") + "\n\n")
		rows(&out, "spec."+f.name, f.typ)
	}
	for _, f := range fieldsOf(t) {
		if f.name == "grants" {
			out.WriteString("\n## grants[]\n\n" + f.tag.Get("doc") + " " + grantsText + "\n\n")
			rows(&out, "grants[]", f.typ.Elem())
		}
	}
	out.WriteString("\n## How grants combine\n\n| Field | Which of two wins |\n|---|---|\n")
	for _, f := range combined() {
		fmt.Fprintf(&out, "| `%s` | %s |\n", f.path, f.tag.Get("combine"))
	}
	out.WriteString("\nWith an example for each, and what a grant counts for that is not enabled or has expired: [combining.md](combining.md).\n")
	return []byte(out.String())
}

const referenceHead = `# The workspace document

<!-- Generated from the types in internal/policy by go test ./internal/policy -update. Do not edit. -->

A workspace is one file in YAML or JSON: the policy (` + "`spec`" + `) and who gets it (` + "`grants`" + `). Examples are in
` + "`examples/workspaces`" + `; the JSON Schema for editors is ` + "`internal/policy/schema/workspace.schema.json`" + `.

- Reading is strict: an unknown or repeated field, a field in another letter case, or a value of another type is an
  error that names line and field. Anchors, aliases and tags of YAML are refused. A file holds one document of at most 1 MiB.
- What is not set is absent in what is stored and exported; the default holds. Defaults belong to the ` + "`apiVersion`" + ` and never
  change within one.
- Lengths of time are written ` + "`30m`, `8h`, `3d`" + ` (a day is 24 hours); sizes ` + "`512MiB`, `4GiB`, `1TiB`" + `; days ` + "`2027-03-31`" + `, with a time
  zone after it if it is not the instance's: ` + "`2027-03-31 Europe/Berlin`" + `. A day counts to its end.
- Command lines are split into words without a shell: ` + "`'...'`" + ` and ` + "`\"...\"`" + ` group words, within ` + "`\"...\"`" + ` only ` + "`\\\"`" + ` is special, and
  a backslash is otherwise itself.

*Takes effect* says when a change reaches a machine that runs. "At once" is within the poll interval, in the running guest; "next poll"
is the same for what the client itself does; what waits for the next start is named in the status of the workspace and in the
server's list of clients.

*Enforced* says where the clients of this release do what the field says. The agent of this release runs on Linux hosts; Linux and
Windows guests need ` + "`dormer-guest`" + `. What a particular host or guest cannot do is an event with the reason, and ` + "`spec.machine.onMissing`" + `
decides whether the workspace starts without it. A field that is not enforced is checked, stored, compared and delivered, and
the client reports that it does nothing for it; none of these protects anybody. A policy that needs what an older client
cannot enforce names a requirement, and that client refuses to start the workspace instead of running it unprotected.
`

const grantsText = `A user's several grants combine to the least restrictive value, field by field; a field that is not set takes part as its
default. A grant that is not enabled, or has expired, gives nothing while another one is in force. [combining.md](combining.md) has the rules.`

// section writes the fields that stand directly in the document.
func section(out *strings.Builder, title, path string, t reflect.Type, depth int) {
	out.WriteString("\n" + strings.Repeat("#", depth+1) + " " + title + "\n\n")
	out.WriteString(tableHead)
	for _, f := range fieldsOf(t) {
		if f.name == "spec" || f.name == "grants" {
			row(out, join(path, f.name), f)
			continue
		}
		fieldRows(out, join(path, f.name), f)
	}
}

const tableHead = "| Field | Meaning | Values | Default | Takes effect | Enforced |\n|---|---|---|---|---|---|\n"

func rows(out *strings.Builder, path string, t reflect.Type) {
	out.WriteString(tableHead)
	for _, f := range fieldsOf(t) {
		fieldRows(out, join(path, f.name), f)
	}
}

// fieldRows writes a field and everything within it.
func fieldRows(out *strings.Builder, path string, f field) {
	row(out, path, f)
	inner := f.typ
	if inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
		path, inner = path+"[]", inner.Elem()
	}
	if _, ok := reflect.New(inner).Elem().Interface().(written); ok || inner.Kind() != reflect.Struct {
		return
	}
	for _, g := range fieldsOf(inner) {
		fieldRows(out, join(path, g.name), g)
	}
}

func row(out *strings.Builder, path string, f field) {
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	otherwise := f.tag.Get("default")
	if f.tag.Get("required") != "" {
		otherwise = "(required)"
	}
	fmt.Fprintf(out, "| `%s` | %s | %s | %s | %s | %s |\n", path,
		cell(f.tag.Get("doc")), cell(valuesOf(f)), cell(otherwise), f.tag.Get("when"), enforcedText(f))
}

// enforcedText says where clients enforce a field or which of its values, and
// what else there is to know.
func enforcedText(f field) string {
	if f.tag.Get("when") == "" {
		return ""
	}
	e := enforcementOf("", f.tag)
	text := "no"
	if e.Enforced {
		var where []string
		if e.Hosts != "" {
			where = append(where, e.Hosts+" hosts")
		}
		if e.Guests != "" {
			where = append(where, e.Guests+" guests")
		}
		switch {
		case len(where) > 0:
			text = strings.Join(where, ", ")
		default:
			text = "everywhere"
		}
		if e.Only != nil {
			text = "only " + strings.Join(e.Only, ", ") + ": " + text
		}
	}
	if e.Note != "" {
		text += ". " + e.Note
	}
	return text
}

// valuesOf says in words what a field may hold.
func valuesOf(f field) string {
	if s := f.tag.Get("values"); s != "" {
		return s
	}
	if s := f.tag.Get("enum"); s != "" {
		return oneOf(strings.Split(s, ","))
	}
	if s := f.tag.Get("const"); s != "" {
		return s
	}
	t := f.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	list := ""
	if t.Kind() == reflect.Slice {
		t, list = t.Elem(), "a list: "
	}
	zero := reflect.New(t).Elem().Interface()
	if w, ok := zero.(written); ok {
		return list + w.form()
	}
	if e, ok := zero.(enumerated); ok {
		return list + oneOf(e.values())
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return numberText(f)
	case reflect.String:
		return list + "text"
	default:
		return strings.TrimSuffix(list, ": ")
	}
}

func numberText(f field) string {
	low, high := f.tag.Get("min"), f.tag.Get("max")
	switch {
	case low != "" && high != "":
		return "a number from " + low + " to " + high
	case low != "":
		return "a number from " + low
	default:
		return "a number"
	}
}

package policy

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
)

// Reference returns docs/policy.md: every field of a document, from the tags
// of the types.
func Reference() []byte {
	var out strings.Builder
	out.WriteString(referenceHead)
	t := reflect.TypeFor[Document]()
	out.WriteString("\n## The document\n\n" + table.Head())
	for _, f := range document.Fields(t) {
		if f.Name == "spec" || f.Name == "grants" {
			out.WriteString(table.Row(f.Name, f))
			continue
		}
		out.WriteString(table.Rows(f.Name, f))
	}
	spec := reflect.TypeFor[Spec]()
	for _, f := range document.Fields(spec) {
		out.WriteString("\n## spec." + f.Name + "\n\n" + f.Tag.Get("doc") + "\n\n")
		out.WriteString(table.Of("spec."+f.Name, f.Type))
	}
	for _, f := range document.Fields(t) {
		if f.Name == "grants" {
			out.WriteString("\n## grants[]\n\n" + f.Tag.Get("doc") + " " + grantsText + "\n\n")
			out.WriteString(table.Of("grants[]", f.Type.Elem()))
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

// table is the form of the reference's tables.
var table = document.Table{More: []document.Column{
	{Title: "Takes effect", Cell: func(f document.Field) string { return f.Tag.Get("when") }},
	{Title: "Enforced", Cell: enforcedText},
}}

// enforcedText says where clients enforce a field or which of its values, and
// what else there is to know.
func enforcedText(f document.Field) string {
	if f.Tag.Get("when") == "" {
		return ""
	}
	e := enforcementOf("", f.Tag)
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

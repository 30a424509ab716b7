package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
)

// Combining returns docs/combining.md: for every field of a grant, which of
// two values wins, from the tags of the types, with examples that are combined
// while the document is made.
func Combining() ([]byte, error) {
	var out strings.Builder
	out.WriteString(combiningHead)
	out.WriteString("\n| Field of a grant | When it is not set | Which of two wins | One grant | Another | Together |\n|---|---|---|---|---|---|\n")
	for _, f := range combined() {
		otherwise := f.tag.Get("default")
		if f.tag.Get("required") != "" {
			otherwise = "(required)"
		}
		cells := []string{f.path, otherwise, f.tag.Get("combine"), "", "", ""}
		if e, ok := combinations[f.path]; ok {
			together, err := e.together(f.path)
			if err != nil {
				return nil, fmt.Errorf("example of %s: %w", f.path, err)
			}
			cells[3], cells[4], cells[5] = code(e.a), code(e.b), together
		}
		fmt.Fprintf(&out, "| `%s` |", cells[0])
		for _, c := range cells[1:] {
			out.WriteString(strings.TrimRight(" "+strings.ReplaceAll(c, "|", `\|`), " ") + " |")
		}
		out.WriteString("\n")
	}
	out.WriteString("\n" + combiningTail)
	return []byte(out.String()), nil
}

func code(s string) string {
	if s == "" {
		return "(not set)"
	}
	return "`" + s + "`"
}

// combinedField is a field of a grant with the rule by which it combines.
type combinedField struct {
	path string
	tag  reflect.StructTag
}

// combined lists the fields of a grant down to those that have a rule.
func combined() []combinedField {
	var out []combinedField
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for _, f := range document.Fields(t) {
			at, inner := document.Join(path, f.Name), f.Type
			if inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			_, isWritten := reflect.New(inner).Interface().(document.Written)
			if f.Tag.Get("combine") == "" && inner.Kind() == reflect.Struct && !isWritten {
				if f.Type.Kind() == reflect.Slice {
					at += "[]"
				}
				walk(inner, at)
				continue
			}
			out = append(out, combinedField{at, f.Tag})
		}
	}
	walk(reflect.TypeFor[Grant](), "")
	return out
}

// combination is an example: two grants, without their principals.
type combination struct {
	a, b string // YAML
	// shows are the values of the effective policy that it is about; none: the
	// field itself.
	shows []string
}

// together says what the two grants come to.
func (e combination) together(field string) (string, error) {
	var grants []Grant
	for _, text := range []string{e.a, e.b} {
		var g Grant
		if text != "" {
			reading, err := grantDocuments.Read([]byte(text), "", "", &g)
			if err != nil {
				return "", err
			}
			if err := reading.Err(); err != nil {
				return "", err
			}
		}
		grants = append(grants, g)
	}
	shows := e.shows
	if shows == nil {
		shows = []string{field}
	}
	effective := Combine(Spec{}, grants)
	var texts []string
	for _, l := range leavesOf(&effective.Deployment) {
		if !slices.Contains(shows, l.path) {
			continue
		}
		text := strings.Join(l.values, ", ")
		if e.shows != nil {
			text = l.path + " " + text
		}
		texts = append(texts, text)
	}
	if len(texts) != len(shows) {
		return "", fmt.Errorf("the effective policy does not have all of %s", strings.Join(shows, ", "))
	}
	return strings.Join(texts, ", "), nil
}

// combinations are the examples by field.
var combinations = map[string]combination{
	"enabled":                             {a: "enabled: false", b: "printing: true", shows: []string{"enabled", "printing"}},
	"expires":                             {a: "expires: 2027-03-31", b: "expires: 2027-12-31"},
	"offline.allow":                       {a: "offline: {allow: unrestricted}", b: "offline: {allow: none}", shows: []string{"offline.allow", "offline.limit"}},
	"offline.limit":                       {a: "offline: {limit: 8h}", b: ""},
	"atLimit.action":                      {a: "atLimit: {action: delete}", b: "atLimit: {action: lock}"},
	"atLimit.grace":                       {a: "atLimit: {grace: 1h}", b: ""},
	"deleteWhen.disabled":                 {a: "deleteWhen: {disabled: true}", b: ""},
	"deleteWhen.expired":                  {a: "deleteWhen: {expired: true}", b: "deleteWhen: {expired: true}"},
	"deleteWhen.offline":                  {a: "deleteWhen: {offline: true}", b: ""},
	"savePassword":                        {a: "savePassword: true", b: ""},
	"clipboard":                           {a: "clipboard: host-to-guest", b: "clipboard: guest-to-host"},
	"fileTransfer.direction":              {a: "fileTransfer: {direction: host-to-guest}", b: "", shows: []string{"fileTransfer.hostToGuest.allowed", "fileTransfer.guestToHost.allowed"}},
	"fileTransfer.hostToGuest.extensions": {a: "fileTransfer: {direction: host-to-guest, hostToGuest: {extensions: [pdf]}}", b: "fileTransfer: {direction: both, hostToGuest: {extensions: [docx]}}"},
	"fileTransfer.hostToGuest.command":    {a: "fileTransfer: {direction: both, hostToGuest: {command: 'scan {file}'}}", b: "fileTransfer: {direction: both}", shows: []string{"fileTransfer.hostToGuest.commands"}},
	"fileTransfer.guestToHost.extensions": {a: "fileTransfer: {direction: both, guestToHost: {extensions: [pdf]}}", b: "fileTransfer: {direction: host-to-guest}"},
	"fileTransfer.guestToHost.command":    {a: "fileTransfer: {direction: both, guestToHost: {command: 'scan {file}'}}", b: "fileTransfer: {direction: guest-to-host, guestToHost: {command: 'check {file}'}}", shows: []string{"fileTransfer.guestToHost.commands"}},
	"fileTransfer.mayOverride":            {a: "fileTransfer: {direction: both, mayOverride: true}", b: ""},
	"printing":                            {a: "printing: true", b: "printing: false"},
	"opticalDrive":                        {a: "opticalDrive: true", b: ""},
	"usb":                                 {a: "usb: [storage, input]", b: "usb: [printer, storage]"},
	"audio":                               {a: "audio: true", b: ""},
	"microphone":                          {a: "microphone: true", b: ""},
	"sharedFolders[].name":                {a: "sharedFolders: [{name: docs, path: '{home}/docs'}]", b: "sharedFolders: [{name: team, path: /srv/team}]", shows: []string{"sharedFolders"}},
	"sharedFolders[].path":                {a: "sharedFolders: [{name: docs, path: '{home}/docs'}]", b: "sharedFolders: [{name: docs, path: /srv/docs}]", shows: []string{"sharedFolders"}},
	"sharedFolders[].access":              {a: "sharedFolders: [{name: docs, path: '{home}/docs'}]", b: "sharedFolders: [{name: docs, path: '{home}/docs', access: read-write}]", shows: []string{"sharedFolders"}},
}

const combiningHead = `# How grants combine

<!-- Generated from the types in internal/policy by go test ./internal/policy -update. Do not edit. -->

Somebody who has several grants of a workspace, as a user and through groups, gets the least restrictive value of each field. The
fields are combined one by one, each by the rule of this table; [policy.md](policy.md) says what they mean.
` + "`dormer workspace why WORKSPACE USER`" + ` shows what it comes to for one user, and from which grants.

- The order of the grants does not matter, and the same grant twice is the same as once.
- One more grant never takes anything away: it can only allow more, for longer, or keep a machine that would have been deleted.
- A field that a grant does not set takes part as its default. So a limit that is shorter than the default counts only where no other
  grant leaves it out.

A property test holds this for every field (` + "`internal/policy/combine_test.go`" + `).
`

const combiningTail = `## Grants that give nothing

A grant that is not enabled (` + "`enabled: false`" + `), and one that has expired while another one is in force, gives nothing; but its ` + "`atLimit`" + ` and
` + "`deleteWhen`" + ` still count, so that another grant never brings about that a machine is deleted which was to be kept.

| What there is | What it comes to |
|---|---|
| no grant of the user is enabled | the workspace is disabled for the user |
| every enabled one has expired | the workspace has expired for the user: it ends as their ` + "`atLimit`" + ` and ` + "`deleteWhen.expired`" + ` say |
| at least one is enabled and has not expired | the user has what these give together; the permission ends when the last of them does |

## What else to know

- Fields do not know of each other. When one grant allows ` + "`pdf`" + ` without examining it and another one allows all extensions with a command that
  examines them, both together allow all extensions without examining them. Who must never get more than one grant says
  must not have another one.
- When one of several grants expires, a client that is off-line goes on with what they gave together until its next poll.
- Two folders of one name and different paths are both given.
- A permission that the agent of a computer does not know is a requirement that it cannot meet: it reports "client too old" and does
  not start the workspace (see *Enforced* in [policy.md](policy.md)). That is the one way in which another grant can cost something, until
  the agent is upgraded.
`

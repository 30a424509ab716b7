package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
)

const head = `apiVersion: dormer/v1
kind: Workspace
metadata:
  name: Test
spec:
  machine:
    image:
      name: img
`

// problemsOf returns "line path" of everything that Decode refuses.
func problemsOf(t *testing.T, raw, name string) []string {
	t.Helper()
	_, err := Decode([]byte(raw), name)
	var invalid *dormer.InvalidError
	if !errors.As(err, &invalid) || !errors.Is(err, dormer.ErrInvalid) {
		t.Fatalf("%v is not a list of wrong fields", err)
	}
	var out []string
	for _, f := range invalid.Fields {
		out = append(out, fmt.Sprintf("%d %s", f.Line, f.Path))
	}
	return out
}

func TestDecodeNamesLineAndPath(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want []string
	}{
		"all errors together, structure and meaning": {
			head + "    Revertible: true\n    onStop: sleep\n    dataDisk: {size: 3}\n  performance:\n    memory:\n      - guest: 1GiB\n      - host: 8GiB\n        guest: 2GB\n      - host: 4GiB\n        guest: 1GiB\n  network:\n    dns:\n      mode: servers\ngrants:\n  - principal: {kind: user}\n",
			[]string{
				"9 spec.machine.Revertible", "10 spec.machine.onStop", "11 spec.machine.dataDisk.size", "16 spec.performance.memory[1].guest",
				"17 spec.performance.memory[2].host", "20 spec.network.dns.servers", "23 grants[0].principal.name",
			},
		},
		"a field given twice":          {head + "    revertible: true\n    revertible: false\n", []string{"10 spec.machine.revertible"}},
		"nothing where a value is due": {head + "    revertible:\n", []string{"9 spec.machine.revertible"}},
		"a number where text is due":   {strings.Replace(head, "img", "12", 1), []string{"8 spec.machine.image.name"}},
		"text where a number is due":   {head + "      version: newest\n", []string{"9 spec.machine.image.version"}},
		"a number of another notation": {head + "      version: 0x1f\n", []string{"9 spec.machine.image.version"}},
		"a fraction":                   {head + "      version: 1.5\n", []string{"9 spec.machine.image.version"}},
		"too large for a number":       {head + "      version: 99999999999999999999\n", []string{"9 spec.machine.image.version"}},
		"yes is no truth":              {head + "    revertible: yes\n", []string{"9 spec.machine.revertible"}},
		"True is no truth":             {head + "    revertible: True\n", []string{"9 spec.machine.revertible"}},
		"a list where fields are due":  {head + "    lock: [1]\n", []string{"9 spec.machine.lock"}},
		"fields where a list is due":   {head + "grants:\n  principal: x\n", []string{"9 grants"}},
		"text where a list is due":     {head + "  network:\n    dns: {mode: servers, servers: 192.0.2.1}\n", []string{"10 spec.network.dns.servers"}},
		"nothing in a list":            {head + "  network:\n    dns: {mode: servers, servers: [~]}\n", []string{"10 spec.network.dns.servers[0]"}},
		"a second document":            {head + "---\n" + head, []string{"10 "}},
		"an anchor":                    {head + "    lock: &a {}\n", []string{"9 "}},
		"an alias":                     {head + "    lock: *a\n", []string{"9 "}},
		"a merge key":                  {head + "    <<: {}\n", []string{"9 "}},
		"a tag":                        {head + "    lock: !!map {}\n", []string{"9 "}},
		"a complex key":                {head + "    ? lock\n", []string{"9 "}},
		"not YAML":                     {head + "    lock: \"x\n", []string{"9 "}},
		"wrong indentation":            {head + "   lock: x\n", []string{"9 "}},
		"empty":                        {"", []string{"0 "}},
		"only a comment":               {"# nothing\n", []string{"0 "}},
		"a list":                       {"- a\n", []string{"1 "}},
		"a text":                       {"hello\n", []string{"1 "}},
		"not UTF-8":                    {"a: \xff\n", []string{"0 "}},
		"too large":                    {head + strings.Repeat("# filler\n", MaxDocument/8), []string{"0 "}},
		"missing everything":           {"{}", []string{"0 apiVersion", "0 kind", "0 metadata.name", "0 spec.machine.image.name"}},
		"a null document":              {"~", []string{"1 "}},
		"JSON, twice":                  {"{\n\"kind\": \"Workspace\",\n\"kind\": 1, \"apiVersion\": \"dormer/v1\", \"metadata\": {\"name\": \"n\"}, \"spec\": {\"machine\": {\"image\": {\"name\": \"i\"}}}}", []string{"3 kind"}},
		"JSON, null":                   {"{\"kind\": \"Workspace\",\"apiVersion\": \"dormer/v1\",\"metadata\": {\"name\": \"n\"},\n\"spec\": {\"machine\": {\"revertible\": null, \"image\": {\"name\": \"i\"}}}}", []string{"2 spec.machine.revertible"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, problemsOf(t, c.raw, "")); diff != "" {
				_, err := Decode([]byte(c.raw), "")
				t.Errorf("(-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestDecodeJSONByName(t *testing.T) {
	for raw, want := range map[string]string{
		"{\n \"a\": 1,\n}": "3 ",
		"{}\n{}":           "2 ",
		"{\"a\": \"x\n\"}": "1 ",
		"a: b":             "1 ",
	} {
		if got := problemsOf(t, raw, "x.JSON"); len(got) != 1 || got[0] != want {
			t.Errorf("%q: %v, want %q", raw, got, want)
		}
	}
}

func TestDecodeSuggests(t *testing.T) {
	for add, want := range map[string]string{
		"    Revertible: true\n":  "it is written revertible",
		"    revertable: true\n":  "is revertible meant?",
		"    datadisk: {}\n":      "it is written dataDisk",
		"    onStop: save\n":      "is save-state meant?",
		"    onStop: Shut-Down\n": "is shut-down meant?",
		"    lock: {foo: 1}\n":    "there are onHostSleep, idle",
	} {
		if _, err := Decode([]byte(head+add), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", add, err, want)
		}
	}
}

func TestDecodeGrant(t *testing.T) {
	for _, raw := range []string{
		"principal: {kind: group, name: office}\noffline: {limit: 8h}\n",
		`{"principal":{"kind":"group","name":"office"},"offline":{"limit":"8h"}}`,
	} {
		g, err := DecodeGrant([]byte(raw), "", "with[0]")
		if err != nil || g.Principal.Name != "office" || *g.Offline.Limit != 8*hour {
			t.Errorf("%s: %+v, %v", raw, g, err)
		}
	}
	for raw, path := range map[string]string{
		"principal: {kind: group, name: office}\noffline: {limit: long}": "with[0].offline.limit",
		"principal: {kind: group, name: office}\nofline: {}":             "with[0].ofline",
		"principal: {kind: group, name: office}\noffline: {limit: 1m}":   "with[0].offline.limit",
		"offline: {limit: 8h}": "with[0].principal.kind",
		"- a":                  "with[0]",
	} {
		_, err := DecodeGrant([]byte(raw), "", "with[0]")
		invalid, ok := errors.AsType[*dormer.InvalidError](err)
		if !ok || invalid.Fields[0].Path != path {
			t.Errorf("%s: %v, want %s", raw, err, path)
		}
	}
}

func FuzzDecodeGrant(f *testing.F) {
	f.Add([]byte("principal: {kind: group, name: office}\noffline: {limit: 8h}\n"))
	f.Add([]byte(`{"principal":{"kind":"user","name":"a"},"expires":"2027-03-31 Europe/Berlin"}`))
	f.Add([]byte("sharedFolders: [{name: d, path: /d, access: read-write}]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		g, err := DecodeGrant(raw, "", "with[0]")
		if err != nil {
			return
		}
		again, err := DecodeGrant(document.JSON(g), "", "with[0]")
		if err != nil || !reflect.DeepEqual(g, again) {
			t.Errorf("%s: %+v again is %+v, %v", raw, g, again, err)
		}
	})
}

// TestMessagesNeverRepeatValues puts a secret everywhere a text can stand.
func TestMessagesNeverRepeatValues(t *testing.T) {
	const secret = "Hunter2:sEcret!"
	for _, file := range []string{"office.yaml", "demo.yaml"} {
		raw, err := os.ReadFile(filepath.Join(examples, file))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(raw), "\n")
		for i, line := range lines {
			if i%3 != 0 { // every third line keeps the test short
				continue
			}
			key, _, ok := strings.Cut(line, ": ")
			if !ok || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			for _, bad := range []string{key + ": \"" + secret + "\"", key + ": \"" + secret, key + ": {" + secret + "x: 1}", "\"" + secret + "\": 1", key + ": [" + secret + "]"} {
				changed := strings.Join(append(append(append([]string{}, lines[:i]...), bad), lines[i+1:]...), "\n")
				if _, err := Decode([]byte(changed), file); err != nil && strings.Contains(strings.ToLower(err.Error()), "hunter2") {
					t.Errorf("%s:%d: %s: the message repeats the value:\n%v", file, i+1, bad, err)
				}
			}
		}
	}
}

// TestDecodeIsBounded gives what makes parsers slow or deep.
func TestDecodeIsBounded(t *testing.T) {
	const size = MaxDocument / 8 // what is quadratic shows here already
	for name, raw := range map[string]string{
		"flow":      strings.Repeat("[", size),
		"flow maps": strings.Repeat("{a: ", size/4),
		"dashes":    strings.Repeat("- ", size/2),
		"keys":      strings.Repeat("a: b\n", size/5),
		"JSON":      strings.Repeat("[", size/2) + strings.Repeat("]", size/2),
		"JSON maps": strings.Repeat(`{"a":`, size/6) + "1" + strings.Repeat("}", size/6),
		"JSON keys": "{" + strings.Repeat(`"a":1,`, size/6-10) + `"a":1}`,
		"entries":   "grants:\n" + strings.Repeat("- {}\n", size/5-10),
		"quotes":    strings.Repeat("\"", size),
		"spaces":    strings.Repeat(" ", size),
		"colons":    strings.Repeat(":", size),
		"escapes":   "a: \"" + strings.Repeat(`\u0041`, size/6-2) + "\"",
		"block":     "a: |\n" + strings.Repeat("  x\n", size/4-2),
		"folded":    "a: >\n" + strings.Repeat("  x\n", size/4-2),
		"plain":     "a:\n" + strings.Repeat("  x\n", size/4-2),
		"comments":  strings.Repeat("#\n", size/2),
		"staircase": staircase(size),
		"laughs":    "a: &a [x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\n",
	} {
		start := time.Now()
		_, err := Decode([]byte(raw), "")
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %s", name, took)
		} else {
			t.Logf("%s: %s", name, took.Round(time.Millisecond))
		}
	}
}

// TestDecodeTakesTheLargestWorkspace has as many grants as are allowed, before
// and not below the rest, with the least indentation.
func TestDecodeTakesTheLargestWorkspace(t *testing.T) {
	var raw strings.Builder
	raw.WriteString("grants:\n")
	for i := range maxGrants {
		fmt.Fprintf(&raw, "- principal: {kind: user, name: u%d}\n  enabled: true\n  offline:\n    limit: 8h\n", i)
	}
	raw.WriteString(head)
	d, err := Decode([]byte(raw.String()), "")
	if err != nil || len(d.Grants) != maxGrants {
		t.Fatal(err)
	}
	for _, form := range [][]byte{d.YAML(), d.CanonicalJSON()} {
		if _, err := Decode(form, ""); err != nil {
			t.Error(err)
		}
	}
	if got := problemsOf(t, raw.String()+"grants:\n  - principal: {kind: user, name: one more}\n", ""); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// staircase nests a mapping on every line.
func staircase(size int) string {
	var out strings.Builder
	for i := 0; out.Len() < size-2000; i++ {
		out.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return out.String()
}

func TestDecodeStoredDoesNotValidate(t *testing.T) {
	raw := []byte(head + "    onStop: save-state\n")
	if _, err := Decode(raw, ""); err == nil {
		t.Error("Decode accepts save-state in a revertible workspace")
	}
	if d, err := DecodeStored(raw); err != nil || d.Spec.Machine.OnStop != StopSaveState {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := DecodeStored([]byte(head + "    unknown: 1\n")); err == nil {
		t.Error("an unknown field is accepted")
	}
}

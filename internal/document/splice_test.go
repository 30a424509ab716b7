package document

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

// TestSplice: what is not named stays as it is, to the byte.
func TestSplice(t *testing.T) {
	set := func(path string, v any) Edit { return Edit{Path: path, Value: v} }
	for name, c := range map[string]struct {
		in    string
		edits []Edit
		want  string
	}{
		"a value, with its comment": {
			"a: # top\n  b: 20   # twenty\n  c: x\n", []Edit{set("a.b", 7)}, "a: # top\n  b: 7   # twenty\n  c: x\n",
		},
		"texts, quoted or not, beside letters of several bytes": {
			"a: {ö: \"x\\\"y\", b: 'it''s', c: 4GiB}\n",
			[]Edit{set("a.ö", "30d"), set("a.b", "1GiB"), set("a.c", "https://x:1")},
			"a: {ö: 30d, b: 1GiB, c: \"https://x:1\"}\n",
		},
		"entries of lists": {
			"l:\n  - n: a # first\n    v: 1\n  - {n: b}\n  - n: c\n",
			[]Edit{set("l[0].v", 5), set("l[1].v", 6), set("l[2].v", 7)},
			"l:\n  - n: a # first\n    v: 5\n  - {n: b, v: 6}\n  - n: c\n    v: 7\n",
		},
		"a field that is missing, below the last value": {
			"e:\n  # how many\n  a: 1 # one\n  l:\n    - x\n# the end\nz: 1\n",
			[]Edit{set("e.b", 2)},
			"e:\n  # how many\n  a: 1 # one\n  b: 2\n  l:\n    - x\n# the end\nz: 1\n",
		},
		"fields that are missing, at the end of what has no values": {
			"s:\n  l:\n  - a: 1\n  # and more\n  - b: |\n      text\n\n# next\nz: 1\n",
			[]Edit{set("s.o.at", "2026-11-22"), set("s.o.n", 3), set("s.p", 4)},
			"s:\n  l:\n  - a: 1\n  # and more\n  - b: |\n      text\n  o:\n    at: \"2026-11-22\"\n    n: 3\n  p: 4\n\n# next\nz: 1\n",
		},
		"without a line end":   {"s:\n  l: [1]", []Edit{set("s.a", 4)}, "s:\n  l: [1]\n  a: 4\n"},
		"a field without any":  {"s:\n  e: # nothing set\n  f: 1\n", []Edit{set("s.e.a", 4)}, "s:\n  e: # nothing set\n    a: 4\n  f: 1\n"},
		"an empty pair":        {"s: {}\n", []Edit{set("s.a.b", 4)}, "s: {a: {b: 4}}\n"},
		"line ends of Windows": {"s:\r\n  a: 1\r\nz: 1\r\n", []Edit{set("s.a", 2), set("s.b", 3)}, "s:\r\n  a: 2\r\n  b: 3\r\nz: 1\r\n"},
		"JSON": {
			"{\"s\": {\"a\": \"1GiB\",\n  \"b\": 2\n}}\n",
			[]Edit{set("s.a", "2GiB"), set("s.c", "30d"), set("s.d.e", 1)},
			"{\"s\": {\"a\": \"2GiB\",\n  \"b\": 2, \"c\": \"30d\", \"d\": {\"e\": 1}\n}}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Splice([]byte(c.in), c.edits)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpliceRefuses(t *testing.T) {
	for name, c := range map[string]struct{ in, path string }{
		"a list's entry that is not there": {"l: [1]\n", "l[1]"},
		"a value of several lines":         {"a: |\n  b\n", "a"},
		"a field of a value":               {"a: 1\n", "a.b"},
		"a field of what is null":          {"a: null\n", "a.b"},
		"a set of fields":                  {"a:\n  b: 1\n", "a"},
		"a list that is missing":           {"a: 1\n", "l[0].b"},
		"no document":                      {"\n", "a"},
		"no YAML":                          {"a: [\n", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Splice([]byte(c.in), []Edit{{Path: c.path, Value: 1}})
			if !errors.Is(err, dormer.ErrInvalid) {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

// FuzzSplice: no text makes it panic or lose what it does not change.
func FuzzSplice(f *testing.F) {
	for _, s := range []string{"a: 1\nb:\n  c: 2\n", "a: {b: 1}\n", "{\"a\": 1}", "l:\n- a: x\n- b\n", "a:\n", "a: 'x'''\n", "a: \"\\\"\"\n", "\u00e4: 1\r\n", "\ufeffb: 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := Reader{MaxBytes: 1 << 12, MaxFields: 1000, MaxSiblings: 100, MaxDepth: 20, MaxErrors: 10}
		if _, err := r.Read([]byte(s), "", "", new(struct{})); err != nil {
			return
		}
		out, err := Splice([]byte(s), []Edit{{Path: "added.by", Value: 4711}})
		if err != nil || strings.Contains(s, "added") {
			return
		}
		at := 0
		for i := range len(out) {
			if at < len(s) && out[i] == s[at] {
				at++
			}
		}
		if at < len(s) {
			t.Errorf("%q became %q", s, out)
		}
	})
}

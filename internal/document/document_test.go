package document

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

// sample has a field of every kind.
type sample struct {
	Name    string   `json:"name" required:"yes" doc:"Its name."`
	Note    string   `json:"note,omitzero" text:"yes" doc:"What else | there is."`
	Kind    colour   `json:"kind,omitzero" default:"red" doc:"Its colour."`
	Code    string   `json:"code,omitzero" pattern:"^[A-Z]{2}$" values:"two capital letters" default:"none" doc:"Its code."`
	Place   string   `json:"place,omitzero" default:"local" literal:"yes" doc:"Where it is."`
	Count   int      `json:"count,omitzero" default:"3" min:"1" max:"9" doc:"How many."`
	Users   int      `json:"users" required:"yes" min:"0" max:"100" doc:"Who."`
	Maybe   *int     `json:"maybe,omitzero" default:"5" max:"9" doc:"How many, or none."`
	On      *bool    `json:"on,omitzero" default:"true" doc:"Whether."`
	Speed   Rate     `json:"speed" required:"yes" max:"1Gbit/s" doc:"How fast."`
	Delay   Latency  `json:"delay,omitzero" default:"10ms" doc:"How late."`
	Share   *Percent `json:"share,omitzero" default:"60%" max:"100%" doc:"How much."`
	Rise    Percent  `json:"rise,omitzero" default:"0%" doc:"How much more."`
	Keep    Duration `json:"keep,omitzero" default:"1d" min:"1h" max:"2d" doc:"How long."`
	Room    Size     `json:"room,omitzero" default:"three times users" doc:"How large."`
	Words   []string `json:"words,omitzero" most:"3" doc:"Some words."`
	Colours []colour `json:"colours,omitzero" doc:"Some colours."`
	Parts   []part   `json:"parts,omitzero" doc:"What it is made of."`
	Inner   inner    `json:"inner,omitzero" doc:"What is in it."`
	Far     *inner   `json:"far,omitzero" doc:"What is far."`
}

type part struct {
	Name  string `json:"name" required:"yes" doc:"Name of the part."`
	Inner inner  `json:"inner,omitzero" doc:"What is in the part."`
}

type inner struct {
	Words []string `json:"words,omitzero" doc:"Some words."`
	Size  *Size    `json:"size,omitzero" doc:"How large."`
}

type colour string

func (colour) Values() []string { return []string{"red", "green", "light-blue"} }

var samples = Reader{
	MaxBytes: 1 << 20, TooLarge: "the sample is larger than 1 MiB", MaxFields: 1000, TooMany: "has more than 1,000 fields", MaxSiblings: 50, MaxDepth: 8, MaxErrors: 10,
	NoFields: "a sample is a set of fields", Complete: true,
}

func read(raw, name string) (*sample, error) {
	var s sample
	reading, err := samples.Read([]byte(raw), name, "", &s)
	if err != nil {
		return nil, err
	}
	return &s, reading.Err(Check(&s, 10)...)
}

const least = "name: a\nusers: 0\nspeed: 1Mbit/s\n"

func TestRead(t *testing.T) {
	want := &sample{
		Name: "a", Note: "two\nlines\n", Kind: "green", Users: 7, Maybe: new(0), On: new(false), Speed: 2500 * Mbit / 10, Delay: Latency(1500 * time.Microsecond),
		Share: new(Percent), Keep: Duration(36 * time.Hour), Room: GiB, Words: []string{"x", "yes"}, Colours: []colour{"red", "light-blue"},
		Parts: []part{{Name: "p", Inner: inner{Words: []string{"w"}, Size: new(Size)}}, {Name: "q"}}, Far: &inner{},
	}
	for name, raw := range map[string]string{
		"YAML": "name: a\nnote: |\n  two\n  lines\nkind: green\nusers: 7\nmaybe: 0\non: false\nspeed: 250Mbit/s\ndelay: 1500us\nshare: 0%\nkeep: 1d12h\nroom: 1024MiB\n" +
			"words: [x, 'yes']\ncolours: [red, light-blue]\nparts:\n  - name: p\n    inner: {words: [w], size: 0MiB}\n  - name: q\ninner:\nfar: {}\n",
		"JSON": `{"name":"a","note":"two\nlines\n","kind":"green","users":7,"maybe":0,"on":false,"speed":"250Mbit/s","delay":"1500us","share":"0%","keep":"36h","room":"1GiB",
			"words":["x","yes"],"colours":["red","light-blue"],"parts":[{"name":"p","inner":{"words":["w"],"size":"0MiB"}},{"name":"q"}],"far":{}}`,
	} {
		got, err := read(raw, "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, form := range [][]byte{YAML(got), JSON(got)} {
			again, err := read(string(form), "")
			if err != nil {
				t.Fatalf("%v\n%s", err, form)
			}
			if diff := cmp.Diff(want, again); diff != "" {
				t.Errorf("%s (-want +got):\n%s", form, diff)
			}
		}
	}
	const canonical = "name: a\nnote: |\n  two\n  lines\nkind: green\nusers: 7\nmaybe: 0\non: false\nspeed: 250Mbit/s\ndelay: 1500us\nshare: 0%\nkeep: 36h\nroom: 1GiB\n" +
		"words:\n  - x\n  - \"yes\"\ncolours:\n  - red\n  - light-blue\nparts:\n  - name: p\n    inner:\n      words:\n        - w\n      size: 0MiB\n  - name: q\nfar: {}\n"
	if got := string(YAML(want)); got != canonical {
		t.Errorf("canonical YAML:\n%s\nwant:\n%s", got, canonical)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"missing fields":               {"note: x", "name: is required\nusers: is required\nspeed: is required"},
		"missing fields of a part":     {least + "parts:\n- inner: {}", "line 5: parts[0].name: is required"},
		"a misspelt required field":    {"nam: a\nusers: 0\nspeed: 1Mbit/s", "line 1: nam: there is no such field; is name meant?"},
		"zero for not set":             {least + "count: 0", "line 4: count: must be between 1 and 9"},
		"zero of a value for not set":  {least + "room: 0MiB", "line 4: room: must be more than 0"},
		"zero of a required value":     {"name: a\nusers: 0\nspeed: 0kbit/s", "line 3: speed: must be more than 0"},
		"zero below the least":         {least + "keep: 0s", "line 4: keep: must be between 1h and 2d"},
		"too long":                     {least + "keep: 3d", "line 4: keep: must be between 1h and 2d"},
		"too fast":                     {"name: a\nusers: 0\nspeed: 2Gbit/s", "line 3: speed: must be at most 1Gbit/s"},
		"too much":                     {least + "share: 101%", "line 4: share: must be at most 100%"},
		"negative":                     {least + "maybe: -1", "line 4: maybe: must not be negative"},
		"too many":                     {"name: a\nusers: 101\nspeed: 1Mbit/s", "line 2: users: must be between 0 and 100"},
		"too many entries":             {least + "words: [a, b, c, d]", "line 4: words: has more than 3 entries"},
		"no entries":                   {least + "words: []", "line 4: words: is empty; name at least one, or leave the field out"},
		"an empty entry":               {least + "words: ['']", "line 4: words[0]: is required"},
		"a value that is not":          {least + "colours: [blue]", "line 4: colours[0]: expected red, green or light-blue"},
		"a pattern":                    {least + "code: de", "line 4: code: expected two capital letters"},
		"several lines":                {"name: \"a\\nb\"\nusers: 0\nspeed: 1Mbit/s", "line 1: name: must be one line without control characters"},
		"a space":                      {"name: ' a'\nusers: 0\nspeed: 1Mbit/s", "line 1: name: must not begin or end with a space"},
		"a long line":                  {"name: " + strings.Repeat("é", MaxLine+1) + "\nusers: 0\nspeed: 1Mbit/s", "line 1: name: is longer than 200 characters"},
		"a long text":                  {least + "note: " + strings.Repeat("é", MaxText+1), "line 4: note: is longer than 4096 characters"},
		"a control character":          {least + "note: \"a\\u0001\"", "line 4: note: must not contain control characters other than line breaks and tabs"},
		"no set of fields":             {"- a", "line 1: a sample is a set of fields"},
		"no set of fields in a part":   {least + "inner: 5", "line 4: inner: expected a set of fields, found a number"},
		"a tab":                        {"inner:\n\tsize: 1MiB", "line 2: begins with a tab, which YAML does not allow; indent with spaces"},
		"a fraction":                   {"name: a\nusers: 1.5\nspeed: 1Mbit/s", "line 2: users: expected a whole number, written in digits alone"},
		"too deep":                     {"a: [[[[[[[[[[", "line 1: is nested too deeply"},
		"too deep, JSON":               {"{\"a\":" + strings.Repeat("[", 10) + strings.Repeat("]", 10) + "}", "line 1: is nested too deeply"},
		"too many fields":              {"words:\n" + strings.Repeat("- a\n", 1001), "line 1001: has more than 1,000 fields"},
		"too many fields, JSON":        {"{\"words\":[" + strings.Repeat("1,", 1001) + "1]}", "line 1: has more than 1,000 fields"},
		"too many at one level":        {strings.Repeat("a: 1\n", 51), "line 51: has too many fields at this level"},
		"too large":                    {strings.Repeat("# a\n", 1<<18+1), "the sample is larger than 1 MiB"},
		"number without its unit":      {least + "delay: 40", "line 4: delay: expected a time of a round trip such as 40ms"},
		"what is wrong inside is once": {least + "far: {words: 3, size: 1GB}", "line 4: far.words: expected a list, found a number\nline 4: far.size: expected a size such as 512MiB, 4GiB or 1TiB"},
	} {
		_, err := read(c.raw, "")
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, c.want)
		}
	}
	_, err := read(strings.Repeat("x: 1\n", 40), "")
	if invalid, ok := errors.AsType[*dormer.InvalidError](err); !ok || len(invalid.Fields) != samples.MaxErrors {
		t.Errorf("40 problems are reported as %v", err)
	}
}

// TestPath goes before the paths of a part of something larger.
func TestPath(t *testing.T) {
	var s sample
	reading, err := samples.Read([]byte("name: 3\nusers: 0\nspeed: 1Mbit/s\nfar:\n  words: [a]"), "", "with[2]", &s)
	if err != nil {
		t.Fatal(err)
	}
	if got := reading.Line("with[2].far.words[0].x"); got != 5 {
		t.Errorf("line %d", got)
	}
	err = reading.Err(
		dormer.FieldError{Path: "with[2].far", Message: "is far"}, dormer.FieldError{Path: "with[2].name", Message: "is known already"},
		dormer.FieldError{Path: "with[2].name.x", Message: "is within"}, dormer.FieldError{Message: "as a whole"},
	)
	const want = "as a whole\nline 1: with[2].name: expected text; put it in quotes\nline 4: with[2].far: is far"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := samples.Read([]byte("[]"), "", "with[2]", &s); err == nil || err.Error() != "with[2]: a sample is a set of fields" {
		t.Errorf("%v", err)
	}
}

// TestCheckOfWhatNobodyRead: what a program filled in is held to the same.
func TestCheckOfWhatNobodyRead(t *testing.T) {
	s := &sample{Kind: "blue", Words: []string{}, Users: -1, Far: &inner{Words: []string{"a\n"}}}
	var got []string
	for _, f := range Check(s, 100) {
		got = append(got, f.String())
	}
	want := []string{
		"name: is required", "kind: expected red, green or light-blue", "users: must be between 0 and 100", "speed: must be more than 0",
		"words: is empty; name at least one, or leave the field out", "far.words[0]: must not begin or end with a space",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Check(s, 2); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestTable(t *testing.T) {
	table := Table{More: []Column{{Title: "Bound", Cell: func(f Field) string { return f.Tag.Get("max") }}}}
	got := table.Of("s", reflect.TypeFor[sample]())
	for _, want := range []string{
		"| Field | Meaning | Values | Default | Bound |\n|---|---|---|---|---|\n",
		"| `s.name` | Its name. | text | (required) |  |\n",
		"| `s.note` | What else \\| there is. | text |  |  |\n",
		"| `s.kind` | Its colour. | red, green or light-blue | red |  |\n",
		"| `s.code` | Its code. | two capital letters | none |  |\n",
		"| `s.count` | How many. | a number from 1 to 9 | 3 | 9 |\n",
		"| `s.keep` | How long. | a length of time such as 30m, 8h or 3d, from 1h to 2d | 1d | 2d |\n",
		"| `s.colours` | Some colours. | a list: red, green or light-blue |  |  |\n",
		"| `s.parts` | What it is made of. | a list |  |  |\n| `s.parts[].name` | Name of the part. | text | (required) |  |\n| `s.parts[].inner` |",
		"| `s.parts[].inner.size` |", "| `s.far.words` |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table has no %q:\n%s", want, got)
		}
	}
}

func TestDefault(t *testing.T) {
	got := map[string]any{}
	for _, f := range Fields(reflect.TypeFor[sample]()) {
		if d := f.Default(); d != nil {
			got[f.Name] = d
		}
	}
	// none is no code, and three times users no size.
	want := map[string]any{"kind": "red", "place": "local", "count": 3, "maybe": 5, "on": true, "delay": "10ms", "share": "60%", "rise": "0%", "keep": "1d"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"Berlin", "Basel", "Bern", "Hamburg"}
	for s, want := range map[string]string{"berlin": "Berlin", "Berlni": "Berlin", "Ham": "Hamburg", "Basle": "Basel", "Oslo": "", "x": "", strings.Repeat("B", 100): ""} {
		if got := Nearest(s, known); got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
}

// words are texts that some reader of YAML or JSON takes for something else.
var words = []string{
	"office", "Two words", "yes", "No", "null", "~", "true", "12", "1e3", "0x1f", "010", "1_000", "2027-03-31", "02:30", ".inf", "-", "- x", "a: b", "a #b",
	"#b", "'", "\"", "\\", "{a}", "[x]", "&a", "*a", "!t", "%", "@", "`", "|", ">", "? x", "a,b", " lead", "trail ", "tab\there", "line\nbreak", "two\nlines\n",
	"\nfirst", "many\n\nlines\n", "end\n\n", "\r", "\x01", "é", "日本", "😀", "\u2028", "\u0085", "\ufeff", "x\ufffdy", "<&>", "=", "<<", "4GiB", "8h", "a:", ":a",
	"one\n  indented\n", "  indented\nless\n", "trail \nblank\n", "---", "...", "--- x\n...\ny\n", "key: |\n  x\n", "\u00a0", "e\u0301", "a\n\tb\n", "\ttab\nx\n", "# c\nx\n",
}

func TestEveryTextSurvives(t *testing.T) {
	for _, w := range words {
		s := &sample{Name: w, Note: w, Words: []string{w, w}, Parts: []part{{Name: w}}, Users: 1, Speed: Mbit}
		for _, raw := range [][]byte{YAML(s), JSON(s)} {
			var got sample
			reading, err := samples.Read(raw, "", "", &got)
			if err == nil {
				err = reading.Err()
			}
			if err != nil {
				t.Fatalf("%q: %v\n%s", w, err, raw)
			}
			if diff := cmp.Diff(s, &got); diff != "" {
				t.Errorf("%q: %s\n%s", w, diff, raw)
			}
		}
	}
}

// TestReadIsBounded gives what makes parsers slow or deep, in a text of half a MiB: what
// is quadratic shows there already.
func TestReadIsBounded(t *testing.T) {
	large := samples
	large.MaxFields, large.MaxSiblings = 200_000, 500
	const size = 1 << 19
	for name, raw := range map[string]string{
		"flow":      strings.Repeat("[", size),
		"dashes":    strings.Repeat("- ", size/2),
		"keys":      strings.Repeat("a: b\n", size/5),
		"JSON":      strings.Repeat("[", size/2) + strings.Repeat("]", size/2),
		"JSON keys": "{" + strings.Repeat(`"a":1,`, size/6-10) + `"a":1}`,
		"entries":   "parts:\n" + strings.Repeat("- {}\n", size/5-10),
		"few":       "parts:\n" + strings.Repeat("- {name: abcdefghijklmnopq}\n", size/29),
		"quotes":    strings.Repeat("\"", size),
		"escapes":   "a: \"" + strings.Repeat(`\u0041`, size/6-2) + "\"",
		"block":     "note: |\n" + strings.Repeat("  x\n", size/4-3),
		"plain":     "a:\n" + strings.Repeat("  x\n", size/4-2),
		"comments":  strings.Repeat("#\n", size/2),
		"colons":    strings.Repeat(":", size),
	} {
		start := time.Now()
		var s sample
		reading, err := large.Read([]byte(raw), "", "", &s)
		if err == nil {
			err = reading.Err()
		}
		if err == nil && name != "few" {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %s", name, took)
		} else {
			t.Logf("%s: %s, %.60s", name, took.Round(time.Millisecond), fmt.Sprint(err))
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(least), "")
	f.Add([]byte(least), "x.json")
	f.Add(YAML(&sample{Name: "a", Speed: Mbit, Words: words[:20], Parts: []part{{Name: "x", Inner: inner{Size: new(GiB)}}}}), "")
	f.Add(JSON(&sample{Name: "a", Speed: Mbit, Note: "two\nlines\n", Share: new(Percent)}), "x.json")
	for _, s := range []string{"", "{", "[", "a: &x b\nc: *x", "- - -", "? a", "---\n---\n", "a: |\n", "\"", "{\"a\":1}{", "a: !!str b", "<<: {}"} {
		f.Add([]byte(s), "")
	}
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		var s sample
		reading, err := samples.Read(raw, name, "", &s)
		if err == nil {
			err = reading.Err()
		}
		if err != nil {
			invalid, ok := err.(*dormer.InvalidError) //nolint:errorlint // the type itself is promised
			if !ok || len(invalid.Fields) == 0 || len(invalid.Fields) > samples.MaxErrors {
				t.Fatalf("%T: %v is not a list of fields", err, err)
			}
			return
		}
		Check(&s, 10)
		for _, form := range [][]byte{YAML(&s), JSON(&s)} {
			var again sample
			reading, err := samples.Read(form, "", "", &again)
			if err == nil {
				err = reading.Err()
			}
			if err != nil {
				t.Fatalf("what was written cannot be read: %v\n%s", err, form)
			}
			if string(JSON(&again)) != string(JSON(&s)) {
				t.Fatalf("what was written is something else:\n%s", form)
			}
		}
	})
}

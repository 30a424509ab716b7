package policy

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValues(t *testing.T) {
	for in, want := range map[string]bool{
		"2027-03-31": true, "2028-02-29": true, "2027-02-29": false, "2027-3-1": false, "2027-03-31 Europe/Berlin": true, "2027-03-31 UTC": true,
		"2027-03-31 Local": false, "2027-03-31  UTC": false, "2027-03-31 ../etc": false, "2027-03-31T00:00:00Z": false, "1969-12-31": false, "2027-03-31 Nowhere/City": false,
	} {
		d, err := ParseDate(in)
		if (err == nil) != want || err == nil && d.String() != in {
			t.Errorf("date %q: %v, %v", in, d, err)
		}
	}
	for in, want := range map[string]int{"00:00": 0, "02:30": 150, "23:59": 1439, "24:00": -1, "2:30": -1, "02:60": -1, "": -1} {
		var at TimeOfDay
		err := at.UnmarshalText([]byte(in))
		if (err == nil) != (want >= 0) || err == nil && (int(at) != want || at.String() != in) {
			t.Errorf("time %q: %v, %v", in, at, err)
		}
	}
}

func TestSplitCommand(t *testing.T) {
	for in, want := range map[string][]string{
		`/bin/sh -c 'echo Hello from $(hostname)'`: {"/bin/sh", "-c", "echo Hello from $(hostname)"},
		`"C:\Program Files\T\t.exe" /a:b`:          {`C:\Program Files\T\t.exe`, "/a:b"},
		`C:\dir\t.exe \\server\share`:              {`C:\dir\t.exe`, `\\server\share`},
		`a "say \"hi\"" b`:                         {"a", `say "hi"`, "b"},
		`a '' ""`:                                  {"a", "", ""},
		`a'b c'"d e"f`:                             {"ab cd ef"},
		"a\t b  ":                                  {"a", "b"},
		`rm -rf *; echo $HOME > x`:                 {"rm", "-rf", "*;", "echo", "$HOME", ">", "x"},
		`a "it's"`:                                 {"a", "it's"},
		``:                                         nil,
		`a 'b`:                                     nil, `a "b`: nil, `a "b\"`: nil, "a\nb": nil, "a \"b\nc\"": nil, "a\x00b": nil,
	} {
		got, err := SplitCommand(in)
		if (err == nil) != (want != nil || in == "") {
			t.Errorf("%q: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

func FuzzSplitCommand(f *testing.F) {
	for _, s := range []string{`a "b c" 'd'`, `"\"`, `'`, `\`, `"a\\"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		args, err := SplitCommand(s)
		if err == nil && len(strings.Join(args, "")) > len(s) {
			t.Fatalf("%q became longer: %q", s, args)
		}
	})
}

func TestCheckComputerName(t *testing.T) {
	for pattern, want := range map[string]string{
		"PC-####": "", "{user}-##": "", "{machine}": "", "{host}-VM": "", "{domain}{workspace}#": "", "###############": "",
		"OFFICE": "unique", "{user}-{domain}": "unique", "{workspace}": "unique", "ABCDEFGHIJKLMNO{host}": "unique",
		"################": "15", "{machine}{machine}{machine}": "15", "{Host}-#": "variable", "{x}#": "variable", "{host": "closed",
		"PC #": "letters", "PC.#": "letters", "büro#": "letters", "PC}#": "letters", "-PC#": "hyphen", "PC#-": "hyphen", "{host}": "host",
		strings.Repeat("A", 300) + "#": "longer", "": "unique",
	} {
		err := CheckComputerName(pattern)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
}

func TestExpandComputerName(t *testing.T) {
	vars := NameVars{User: "Müller.Anna", Domain: "corp", Host: "LAPTOP-0123456789", Workspace: "Büro 2", Machine: "abcdefghijklmnopqrstuvwxyz"}
	for pattern, want := range map[string]string{
		"pc-###":              "PC-ABC",
		"{user}-###":          "MULLERANNA-ABC",
		"{domain}-{user}-###": "CORP-MULLER-ABC",
		"{user}{machine}":     "MULLERANNABCDEF",
		"{workspace}#":        "BURO2A",
		"{host}-VM":           "LAPTOP-01234-VM",
		"ABCDEFGHIJKLMNOP##":  "ABCDEFGHIJKLMAB",
		"#{user}#{host}#":     "AMULLERANNABLAC",
	} {
		got, err := ExpandComputerName(pattern, vars, bytes.NewReader([]byte{0, 1, 2, 3, 4, 5}))
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", pattern, got, err, want)
		}
	}
	for pattern, r := range map[string][]byte{"A#": nil, "{y}#": {0}, "{workspace}-": {0}, "####": {30, 30, 30, 30}} {
		vars := NameVars{Workspace: "日本"}
		if got, err := ExpandComputerName(pattern, vars, bytes.NewReader(r)); err == nil {
			t.Errorf("%s: %q is accepted", pattern, got)
		}
	}
	if _, err := ExpandComputerName("#", vars, failing{}); !errors.Is(err, errForm) {
		t.Errorf("without randomness: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errForm }

package server

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsNameCommands: every dormerd that a document calls is a command
// that there is, with flags and arguments that it takes. Most documents are run
// from beginning to end by scripts of the command line; those that need several
// computers or a PostgreSQL are not.
func TestDocumentsNameCommands(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?:^\s*|sudo -u \S+ |[(|]\s*)dormerd ([^|;<>&)#]+)`)
	called := map[string]int{}
	for _, document := range documents {
		b, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		in := false
		for line := range strings.Lines(strings.ReplaceAll(string(b), "\\\n", " ")) {
			if mark := strings.TrimSpace(line); strings.HasPrefix(mark, "```") {
				in = mark == "```sh" || mark == "```text"
				continue
			}
			match := call.FindStringSubmatch(line)
			if !in || match == nil {
				continue
			}
			name := filepath.Base(document)
			called[name]++
			root := Command("1", strings.NewReader(""), io.Discard, io.Discard)
			c, rest, err := root.Find(strings.Fields(match[1]))
			if err != nil || !c.Runnable() {
				t.Errorf("%s: there is no such command: %s (%v)", name, line, err)
				continue
			}
			if err := c.ParseFlags(rest); err != nil {
				t.Errorf("%s: %s: %v", name, line, err)
				continue
			}
			if err := c.ValidateArgs(c.Flags().Args()); err != nil {
				t.Errorf("%s: %s: %v", name, line, err)
			}
		}
	}
	for _, name := range []string{"events-database.md", "standby.md", "standby-postgresql.md"} {
		if called[name] == 0 {
			t.Errorf("no command was found in %s", name)
		}
	}
}

package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// documents are those whose commands all run in a folder of testdata.
var documents = []string{"administrators.md", "users.md", "directories.md", "backup.md", "operations.md", "reports.md", "alerts.md", "planning.md"}

// document is `doc FILE SCRIPT [FROM=TO]...`: writes all shell blocks of a
// document behind the text of prelude.sh into a script, with other words for
// what a test has elsewhere. FROM=>TO is for words with = in them.
func document(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: doc FILE SCRIPT [FROM=TO]...")
	}
	// Scripts run in folders of their own: the document is found from here.
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", args[0]))
	ts.Check(err)
	var pairs []string
	for _, a := range args[2:] {
		from, to, ok := strings.Cut(a, "=>")
		if !ok {
			from, to, ok = strings.Cut(a, "=")
		}
		if !ok {
			ts.Fatalf("%s is not FROM=TO", a)
		}
		if !strings.Contains(string(text), from) {
			ts.Fatalf("%s does not stand in %s", from, args[0])
		}
		pairs = append(pairs, from, to)
	}
	blocks, err := shellBlocks(string(text))
	ts.Check(err)
	script := ts.ReadFile("prelude.sh") + "\nset -x\n" + strings.NewReplacer(pairs...).Replace(strings.Join(blocks, "\n"))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(script), 0o600))
}

// shellBlocks returns the blocks of a document that are marked sh.
func shellBlocks(text string) ([]string, error) {
	var blocks []string
	var block strings.Builder
	in := false
	for line := range strings.Lines(text) {
		switch mark := strings.TrimSpace(line); {
		case !in && mark == "```sh":
			in = true
		case in && mark == "```":
			in = false
			blocks = append(blocks, block.String())
			block.Reset()
		case in:
			block.WriteString(line)
		}
	}
	if in {
		return nil, os.ErrInvalid
	}
	return blocks, nil
}

// TestDocumentsRun holds that every document's commands are run by a script,
// and that there is no shell block under another name that would be passed over.
func TestDocumentsRun(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, d := range documents {
		run := false
		for _, s := range scripts {
			b, err := os.ReadFile(s)
			if err != nil {
				t.Fatal(err)
			}
			run = run || strings.Contains(string(b), "\ndoc "+d+" ")
		}
		if !run {
			t.Errorf("no script runs the commands of docs/%s", d)
		}
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", d))
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := shellBlocks(string(text))
		if err != nil || len(blocks) == 0 {
			t.Errorf("docs/%s: %d shell blocks, %v", d, len(blocks), err)
		}
		for _, other := range []string{"```bash", "```shell", "```console", "``` sh", "~~~"} {
			if strings.Contains(string(text), other) {
				t.Errorf("docs/%s has a block marked %s, whose commands no test runs; mark it sh", d, other)
			}
		}
	}
}

package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dormer-project/dormer"
)

func testRoot() *cobra.Command {
	a := &app{Streams: Streams{
		In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{},
		Env: func(string) string { return "" }, Now: time.Now, Rand: strings.NewReader(""), Version: "1.2.3",
	}}
	return a.root()
}

// leaves calls f with every command that does something.
func leaves(c *cobra.Command, f func(*cobra.Command)) {
	if !c.HasSubCommands() {
		f(c)
	}
	for _, sub := range c.Commands() {
		leaves(sub, f)
	}
}

// TestExamples holds that every command has an example and that each example
// is a command line that can be read.
func TestExamples(t *testing.T) {
	leaves(testRoot(), func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: has no example or no description", c.CommandPath())
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			_, line, ok := strings.Cut(line, "dormer ")
			if !ok {
				t.Errorf("%s: example without the program: %s", c.CommandPath(), line)
				continue
			}
			args := words(t, line)
			root := testRoot()
			found, rest, err := root.Find(args)
			if err != nil || found.CommandPath() != c.CommandPath() {
				t.Errorf("%s: its example is of %s (%v): %s", c.CommandPath(), found.CommandPath(), err, line)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %s: %v", c.CommandPath(), line, err)
				continue
			}
			if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%s: example %s: %v", c.CommandPath(), line, err)
			}
		}
	})
}

// words splits a command line as a shell does, without its redirections.
func words(t *testing.T, line string) []string {
	t.Helper()
	var out []string
	line, _, _ = strings.Cut(line, " <")
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if rest, ok := strings.CutPrefix(line, "'"); ok {
			word, after, closed := strings.Cut(rest, "'")
			if !closed {
				t.Errorf("no closing quote: %s", line)
			}
			out, line = append(out, word), after
			continue
		}
		word, after, _ := strings.Cut(line, " ")
		out, line = append(out, word), after
	}
	return out
}

// TestScriptsCoverCommands holds that every command is run by a script, and
// its --json too.
func TestScriptsCoverCommands(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range scripts {
		b, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	leaves(testRoot(), func(c *cobra.Command) {
		path := strings.TrimPrefix(c.CommandPath(), "dormer ")
		if !regexp.MustCompile(`(?m)^(exits \d+ )?dormer ` + path + `\b`).MatchString(all.String()) {
			t.Errorf("no script runs dormer %s", path)
		}
		if !regexp.MustCompile(`(?m)^(dormerjson \S+ `+path+`\b|exits \d+ dormer `+path+`\b.* --json)`).MatchString(all.String()) && c.Parent().Name() != "completion" {
			t.Errorf("no script runs dormer %s --json", path)
		}
	})
}

// TestNoSecretFlags holds that no secret can be given where other users of the
// computer see it.
func TestNoSecretFlags(t *testing.T) {
	leaves(testRoot(), func(c *cobra.Command) {
		if err := c.ParseFlags(nil); err != nil { // takes over the options of its parents
			t.Error(err)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			for _, word := range []string{"password", "secret", "token", "key"} {
				if strings.Contains(f.Name, word) && f.Value.Type() != "bool" && !strings.HasSuffix(f.Name, "-file") {
					t.Errorf("%s has the option --%s, whose value everybody sees in the list of processes", c.CommandPath(), f.Name)
				}
			}
		})
	})
}

// TestExitCodes holds that every kind of error has the code that
// docs/commands.md says.
func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{usageError{fmt.Errorf("usage")}, 2},
		{dormer.Invalidf("name", "is wrong"), 2},
		{dormer.ErrTooLarge, 2},
		{os.ErrNotExist, 2},
		{dormer.ErrUnauthenticated, 3},
		{dormer.ErrDenied, 4},
		{dormer.ErrNotFound, 5},
		{&dormer.ConflictError{}, 6},
		{dormer.ErrExists, 6},
		{dormer.ErrUnavailable, 7},
		{dormer.ErrFenced, 7},
		{dormer.ErrCorrupt, 8},
		{dormer.ErrFull, 9},
		{dormer.ErrUnsupported, 1},
		{fmt.Errorf("something else"), 1},
	} {
		if got := exitCode(fmt.Errorf("do it: %w", test.err)); got != test.want {
			t.Errorf("exit code of %v is %d, want %d", test.err, got, test.want)
		}
	}
}

// TestCommandsDocument holds docs/commands.md against the commands that there
// are; -update writes it anew.
func TestCommandsDocument(t *testing.T) {
	const path = "../../docs/commands.md"
	want := commandsDocument(testRoot())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/commands.md is out of date; run go test ./internal/cli -run TestCommandsDocument -update (-have +want):\n%s", diff)
	}
}

func commandsDocument(root *cobra.Command) string {
	var b strings.Builder
	text, err := os.ReadFile("testdata/commands.md.in")
	if err != nil {
		return err.Error()
	}
	before, after, _ := strings.Cut(string(text), "@commands@\n")
	b.WriteString(before)
	for _, g := range []struct{ id, title string }{{"admin", "For administrators"}, {"user", "For users of a computer"}, {"", "Beside these"}} {
		fmt.Fprintf(&b, "### %s\n\n| command | what it does |\n|---|---|\n", g.title)
		for _, c := range root.Commands() {
			if c.GroupID != g.id || c.Hidden || c.Name() == "help" {
				continue
			}
			leaves(c, func(c *cobra.Command) {
				if err := c.ParseFlags(nil); err != nil { // takes over the options of its parents
					b.WriteString(err.Error())
				}
				use := strings.TrimSuffix(c.UseLine(), " [flags]")
				var options []string
				c.Flags().VisitAll(func(f *pflag.Flag) {
					if f.Name != "help" && !f.Hidden && root.PersistentFlags().Lookup(f.Name) == nil {
						options = append(options, "`--"+f.Name+"`")
					}
				})
				with := ""
				if len(options) > 0 {
					with = " (" + strings.Join(options, ", ") + ")"
				}
				fmt.Fprintf(&b, "| `%s` | %s%s |\n", strings.ReplaceAll(use, "|", `\|`), strings.ReplaceAll(c.Short, "|", `\|`), with)
			})
		}
		b.WriteString("\n")
	}
	b.WriteString(after)
	return b.String()
}

package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/setup"
)

// What is said below the table stays short enough to be read, and what was cut is
// said.
func TestRemarks(t *testing.T) {
	got := strings.Join(remarks(agentapi.Workspace{
		Name: "Office", Support: "ask\nthe help desk", NotEnforced: []string{"a", "b", "c", "d", "e"}, AtNextStart: []string{"x", "y"},
		Missing: []string{"There is no drive.", "There is no sound."}, Unarranged: []string{"printers: none", "time zone: unknown"},
	}), "\n")
	want := `this computer does not have: There is no drive. There is no sound.
cannot be done inside: printers: none
cannot be done inside: time zone: unknown
changed, and counts from the next start: x, y
not done by this version of the agent: a, b, c and 2 more; --json has them all
support: ask the help desk`
	if got != want {
		t.Errorf("remarks are\n%s\nwant\n%s", got, want)
	}
}

func TestStatusShowsTheNewestMessages(t *testing.T) {
	var out, errs strings.Builder
	a := &app{Streams: Streams{Out: &out, Err: &errs}}
	s := agentapi.Status{Enrolled: true}
	for _, text := range []string{"one", "two", "three", "four", "five", "six", "seven"} {
		s.Notices = append(s.Notices, agentapi.Notice{Time: time.Unix(1, 0), Title: "Office", Text: text})
	}
	if err := a.printStatus(s); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "two") || !strings.Contains(got, "three") || !strings.Contains(got, "seven") || !strings.Contains(got, "2 earlier ones") {
		t.Errorf("status is\n%s", got)
	}
}

// The message of a setup is for as long as it runs.
func TestSetupText(t *testing.T) {
	s := agentapi.SetupStatus{State: string(setup.Running), Step: 1, Steps: 2, Title: "join", Message: "One moment.", MayPostpone: true, PostponesLeft: 1}
	if got := setupText("Office", s); !strings.Contains(got, "One moment.") || !strings.Contains(got, "postpone (once more)") {
		t.Errorf("of one that runs: %s", got)
	}
	s.State, s.Failure = string(setup.Failed), "It did not work."
	if got := setupText("Office", s); strings.Contains(got, "One moment.") || !strings.Contains(got, "It did not work.") {
		t.Errorf("of one that failed: %s", got)
	}
}

func TestExplainPermissionDenied(t *testing.T) {
	if got := explain(fmt.Errorf("workspace office may not run: %w", dormer.ErrDenied)); got != "workspace office may not run" {
		t.Errorf("explained as %q", got)
	}
}

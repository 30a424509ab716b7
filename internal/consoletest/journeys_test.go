package consoletest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/console"
)

const (
	web      = "../../web"
	chromium = "/usr/bin/chromium"
)

// suite is what Playwright's JSON reporter writes of one file, or of one block in it.
type suite struct {
	Title  string  `json:"title"`
	Suites []suite `json:"suites"`
	Specs  []struct {
		Title string `json:"title"`
		File  string `json:"file"`
		Tests []struct {
			Results []struct {
				Status   string  `json:"status"`
				Duration float64 `json:"duration"` // milliseconds
				Errors   []struct {
					Message string `json:"message"`
				} `json:"errors"`
			} `json:"results"`
		} `json:"tests"`
	} `json:"specs"`
}

type report struct {
	Suites []suite `json:"suites"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

// TestJourneys runs all journeys of web/tests, each a subtest of its own.
func TestJourneys(t *testing.T) {
	for what, path := range map[string]string{
		"Playwright (scripts/console.sh fetches it)": filepath.Join(web, "node_modules/@playwright/test/cli.js"),
		"Chromium (scripts/setup.sh installs it)":    chromium,
	} {
		if _, err := os.Stat(path); err != nil {
			skip(t, fmt.Sprintf("this test needs %s; %s is not there", what, path))
		}
	}
	if h, err := console.New(console.Options{}); err != nil || !h.Built() {
		skip(t, fmt.Sprintf("this test needs the console, which scripts/console.sh builds (%v)", err))
	}
	s, err := New(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	cmd := exec.CommandContext(t.Context(), "node", "node_modules/@playwright/test/cli.js", "test")
	var out, errOut bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = web, &out, &errOut
	cmd.Env = append(append(os.Environ(), "DORMER_STAGE_REPORT=1", "DORMER_CHROMIUM="+chromium), s.Environment()...)
	failed := cmd.Run()
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("Playwright: %v, %v\n%s%s", failed, err, out.String(), errOut.String())
	}
	for _, e := range r.Errors {
		t.Errorf("Playwright: %s", e.Message)
	}
	n := 0
	for _, f := range r.Suites {
		n += f.replay(t, strings.TrimSuffix(filepath.Base(f.Title), ".spec.ts"))
	}
	if n == 0 || failed != nil && !t.Failed() {
		t.Errorf("%d journeys, and Playwright ended with %v\n%s", n, failed, errOut.String())
	}
}

// replay turns each journey into a subtest and returns how many there are.
func (s suite) replay(t *testing.T, of string) int {
	t.Helper()
	n := 0
	for _, spec := range s.Specs {
		n++
		t.Run(of+": "+spec.Title, func(t *testing.T) {
			for _, test := range spec.Tests {
				for _, result := range test.Results {
					t.Logf("%s after %.1f s", result.Status, result.Duration/1000)
					for _, e := range result.Errors {
						t.Error(e.Message)
					}
					if result.Status != "passed" {
						t.Fail()
					}
				}
			}
		})
	}
	for _, inner := range s.Suites {
		n += inner.replay(t, of+": "+inner.Title)
	}
	return n
}

// skip skips loudly where something is missing, but not where all is to be tested.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("DORMER_TEST_ALL") == "1" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}

// Package playwright runs journeys of web/tests in Chromium, as subtests of a
// test in Go, which has what they go through: a server, a domain. Only tests
// import it.
package playwright

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/console"
)

const chromium = "/usr/bin/chromium"

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

// Need looks for Playwright, Chromium and the console, see Missing.
func Need(t *testing.T) {
	t.Helper()
	for what, path := range map[string]string{
		"Playwright (scripts/console.sh fetches it)": filepath.Join(web(t), "node_modules/@playwright/test/cli.js"),
		"Chromium (scripts/setup.sh installs it)":    chromium,
	} {
		if _, err := os.Stat(path); err != nil {
			Missing(t, fmt.Sprintf("this test needs %s; %s is not there", what, path))
		}
	}
	if h, err := console.New(console.Options{}); err != nil || !h.Built() {
		Missing(t, fmt.Sprintf("this test needs the console, which scripts/console.sh builds (%v)", err))
	}
}

// Missing skips a test that lacks something, loudly, and fails it where
// everything must be tested.
func Missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("DORMER_TEST_ALL") == "1" {
		t.Fatal(why)
	}
	t.Skip("SKIPPED: " + why)
}

// Run runs all journeys with the variables, given as NAME=VALUE, each as a
// subtest. DORMER_CONSOLE_RUN chooses others than the usual ones, see
// web/playwright.config.ts.
func Run(t *testing.T, variables ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "node_modules/@playwright/test/cli.js", "test")
	var out, errOut bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = web(t), &out, &errOut
	cmd.Env = append(append(os.Environ(), "DORMER_STAGE_REPORT=1", "DORMER_CHROMIUM="+chromium), variables...)
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
		name, _, _ := strings.Cut(filepath.Base(f.Title), ".")
		n += f.replay(t, name)
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

// web is the folder web of the checkout that the test is in.
func web(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "web")
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("the test does not run in a checkout")
		}
		dir = filepath.Dir(dir)
	}
}

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFollow(t *testing.T) {
	const start = `{"Action":"start","Package":"p"}` + "\n"
	tests := []struct {
		name                    string
		skipsCount              bool
		events                  string
		passed, failed, skipped int
		want                    string // in the output
	}{
		{
			name: "passes",
			events: start + `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":1.5}`,
			passed: 1, want: "ok    p ",
		},
		{
			name: "fails in a subtest, whose output is shown",
			events: start + `{"Action":"output","Package":"p","Test":"TestA/sub","Output":"wrong value\n"}
{"Action":"fail","Package":"p","Test":"TestA/sub"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p"}`,
			passed: 1, failed: 1, want: "wrong value",
		},
		{
			name: "panics outside a test",
			events: start + `{"Action":"output","Package":"p","Output":"panic: at start\n"}
{"Action":"fail","Package":"p"}`,
			failed: 1, want: "panic: at start",
		},
		{
			name: "does not build",
			events: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
` + start + `{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			failed: 1, want: "undefined: x",
		},
		{
			name: "skips",
			events: start + `{"Action":"output","Package":"p","Test":"TestA","Output":"no PostgreSQL\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			skipped: 1, want: "no PostgreSQL",
		},
		{
			name: "skips where none may", skipsCount: true,
			events: start + `{"Action":"skip","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			passed: 1, failed: 1, skipped: 1, want: "allows none: p TestA/sub",
		},
		{
			name: "has no tests", events: start + `{"Action":"skip","Package":"p"}`,
		},
		{
			name: "something that is not JSON", events: "go: no such tool\n", want: "go: no such tool",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			f := newFollower(&out, tt.skipsCount)
			if err := f.follow(strings.NewReader(tt.events)); err != nil {
				t.Fatal(err)
			}
			if f.passed != tt.passed || f.failed != tt.failed || f.skipped != tt.skipped {
				t.Errorf("passed, failed, skipped = %d, %d, %d; want %d, %d, %d", f.passed, f.failed, f.skipped, tt.passed, tt.failed, tt.skipped)
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("output lacks %q:\n%s", tt.want, out.String())
			}
		})
	}
}

func TestBusyWith(t *testing.T) {
	f := newFollower(&bytes.Buffer{}, false)
	now := time.Now()
	if got := f.busyWith(now); got != "building" {
		t.Errorf("nothing runs: %q", got)
	}
	f.running[test{pkg: "x/p"}] = now.Add(-time.Minute)
	if got := f.busyWith(now); got != "p 1m0s" {
		t.Errorf("a package runs: %q", got)
	}
	f.running[test{"x/p", "TestA"}] = now.Add(-30 * time.Second)
	f.running[test{"x/p", "TestA/sub"}] = now
	if got := f.busyWith(now); got != "p.TestA 30s" {
		t.Errorf("a test runs: %q", got)
	}
}

func TestRunAndReport(t *testing.T) {
	record := filepath.Join(t.TempDir(), "suites")
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-record", record, "-suite", "good", "-plain", "--", "true"}, &out); err != nil {
		t.Errorf("a command that succeeds: %v", err)
	}
	if err := run(t.Context(), []string{"-record", record, "-suite", "bad", "-plain", "--", "false"}, &out); err == nil {
		t.Error("a command that fails gives no error")
	}
	if err := run(t.Context(), []string{"-record", record, "-suite", "empty", "--", "true"}, &out); err == nil {
		t.Error("a suite in which no test ran gives no error")
	}
	out.Reset()
	if err := run(t.Context(), []string{"-record", record, "-report"}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "\n1 passed, 2 failed\n") {
		t.Errorf("report ends wrongly:\n%s", out.String())
	}
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// stillRunningEvery is how often a quiet run says what it is busy with.
const stillRunningEvery = 30 * time.Second

// testEvent is a line of go test -json (go doc test2json).
type testEvent struct {
	Action     string
	Package    string
	ImportPath string // of build-output
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// test names one test of one package; an empty name means the package.
type test struct{ pkg, name string }

// follower turns the events of go test into a few lines and counts.
type follower struct {
	out        io.Writer
	skipsCount bool // a skip is a failure

	mu                      sync.Mutex // guards the fields below
	output                  map[test][]string
	running                 map[test]time.Time
	testsFailed             map[string]bool // packages with a failed test
	passed, failed, skipped int
	lastLine                time.Time
}

func newFollower(out io.Writer, skipsCount bool) *follower {
	return &follower{
		out: out, skipsCount: skipsCount,
		output: map[test][]string{}, running: map[test]time.Time{}, testsFailed: map[string]bool{},
		lastLine: time.Now(),
	}
}

// follow reads events until the input ends.
func (f *follower) follow(in io.Reader) error {
	done := make(chan struct{})
	defer close(done)
	go f.sayStillRunning(done)

	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			f.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test output: %w", err)
		}
	}
}

func (f *follower) line(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var e testEvent
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		f.print("%s", line) // a message of the go command itself
		return
	}
	t := test{e.Package, e.Test}
	switch e.Action {
	case "start", "run":
		f.running[t] = time.Now()
	case "build-output":
		f.print("%s", e.Output)
	case "output":
		f.output[t] = append(f.output[t], e.Output)
	case "pass", "fail", "skip":
		f.ended(t, e)
		delete(f.running, t)
		delete(f.output, t)
	}
}

func (f *follower) ended(t test, e testEvent) {
	top := t.name != "" && !strings.Contains(t.name, "/")
	switch {
	case t.name == "" && e.Action == "pass":
		f.print("ok    %-60s %6.1fs\n", t.pkg, e.Elapsed)
	case t.name == "" && e.Action == "fail":
		if !f.testsFailed[t.pkg] { // did not build, panicked, or ran out of time
			f.failed++
			f.print("%s", strings.Join(f.output[t], ""))
		}
		f.print("FAIL  %-60s %6.1fs\n", t.pkg, e.Elapsed)
	case t.name == "": // no test files
	case e.Action == "skip":
		f.skipped++
		f.print("%s", strings.Join(f.output[t], ""))
		if f.skipsCount {
			f.failed++
			f.testsFailed[t.pkg] = true
			f.print("      skipped, and DORMER_TEST_ALL=1 allows none: %s %s\n", t.pkg, t.name)
		}
	case e.Action == "fail":
		f.testsFailed[t.pkg] = true
		f.print("%s", strings.Join(f.output[t], ""))
		if top {
			f.failed++
		}
	case top:
		f.passed++
	}
}

// sayStillRunning runs until done is closed.
func (f *follower) sayStillRunning(done <-chan struct{}) {
	ticker := time.NewTicker(stillRunningEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-ticker.C:
			f.mu.Lock()
			if now.Sub(f.lastLine) >= stillRunningEvery/2 {
				f.print("      still running: %s\n", f.busyWith(now))
			}
			f.mu.Unlock()
		}
	}
}

// busyWith names the tests that are running, or the packages if none is.
func (f *follower) busyWith(now time.Time) string {
	var tests, packages []string
	for t := range maps.Keys(f.running) {
		name := t.pkg[strings.LastIndex(t.pkg, "/")+1:]
		since := round(now.Sub(f.running[t])).String()
		switch {
		case t.name == "":
			packages = append(packages, name+" "+since)
		case !strings.Contains(t.name, "/"):
			tests = append(tests, name+"."+t.name+" "+since)
		}
	}
	if len(tests) == 0 {
		tests = packages
	}
	if len(tests) == 0 {
		return "building"
	}
	slices.Sort(tests)
	return strings.Join(tests, ", ")
}

func (f *follower) print(format string, args ...any) {
	fmt.Fprintf(f.out, format, args...)
	f.lastLine = time.Now()
}

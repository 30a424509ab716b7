package policymatrix

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
)

// fakeTest is a test that may fail without failing this one.
type fakeTest struct {
	testing.TB
	failed  bool
	cleanup []func()
}

func (f *fakeTest) Helper()               { f.TB.Helper() }
func (f *fakeTest) Errorf(string, ...any) { f.failed = true }
func (f *fakeTest) Failed() bool          { return f.failed }
func (f *fakeTest) Skipped() bool         { return false }
func (f *fakeTest) Name() string          { return "TestFake" }
func (f *fakeTest) Cleanup(c func())      { f.cleanup = append(f.cleanup, c) }
func (f *fakeTest) end() {
	for _, c := range f.cleanup {
		c()
	}
}

func TestExercised(t *testing.T) {
	file := filepath.Join(t.TempDir(), "records")
	t.Setenv(Variable, file)
	good := &fakeTest{TB: t}
	Exercised(good, Monitor, "spec.network.mode", "grants[].usb")
	good.end()
	bad := &fakeTest{TB: t}
	Exercised(bad, RealGuest, "spec.network.mode")
	bad.Errorf("broken")
	bad.end()
	for _, field := range []string{"spec.network", "spec.machine.onstop", "", "grants[].sharedFolders"} {
		wrong := &fakeTest{TB: t}
		if Exercised(wrong, Text, field); !wrong.failed {
			t.Errorf("%q is taken for a field", field)
		}
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := Read(f)
	if err != nil || len(records) != 3 {
		t.Fatalf("%+v, %v", records, err)
	}
	for _, r := range Rows(records) {
		switch r.Path {
		case "spec.network.mode":
			if r.How != RealGuest || r.Verdict() != Failed {
				t.Errorf("%+v: %s", r, r.Verdict())
			}
		case "grants[].usb":
			if r.How != Monitor || r.Verdict() != Passed {
				t.Errorf("%+v: %s", r, r.Verdict())
			}
		default:
			if r.Verdict() != Missing {
				t.Errorf("%+v: %s", r, r.Verdict())
			}
		}
	}
}

func TestPrint(t *testing.T) {
	var all []Record
	for _, f := range policy.Enforcements() {
		how := RealGuest
		if !f.Enforced {
			how = Text
		}
		all = append(all, Record{Field: f.Path, How: how, Test: "TestAll", Pass: true})
	}
	var out strings.Builder
	if good, err := Print(&out, Rows(all)); err != nil || !good || !strings.Contains(out.String(), ", 0 nothing\n") {
		t.Errorf("%v, %v\n%s", good, err, out.String())
	}
	for name, change := range map[string]func([]Record) []Record{
		"missing":  func(all []Record) []Record { return all[1:] },
		"failed":   func(all []Record) []Record { all[0].Pass = false; return all },
		"too weak": func(all []Record) []Record { all[0].How = Text; return all },
	} {
		out.Reset()
		good, err := Print(&out, Rows(change(append([]Record(nil), all...))))
		if err != nil || good || !strings.Contains(out.String(), "1 "+name) {
			t.Errorf("%s: %v, %v\n%s", name, good, err, out.String())
		}
	}
	if _, err := Read(strings.NewReader("{\"how\":\"by magic\"}\n")); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("a way that there is not: %v", err)
	}
}

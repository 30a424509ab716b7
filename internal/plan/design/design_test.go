package design

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is the plan of dormer plan init's example, as it was when the golden
// files were written: what is computed has tests of its own.
func example(t testing.TB) *plan.Plan {
	t.Helper()
	const file = "testdata/example.json"
	if *update {
		o, err := organization.Decode(organization.Example(), "example.yaml")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.MarshalIndent(computed(t, o), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run with -update to write it)", err)
	}
	var p plan.Plan
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return &p
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run with -update to write it)", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s is not what came out (-update writes it anew):\n%s", file, d)
	}
}

// clone is a plan as it is read again.
func clone(t *testing.T, p *plan.Plan) *plan.Plan {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var out plan.Plan
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestExampleIsComputed writes what dormer plan init's example comes to now.
func TestExampleIsComputed(t *testing.T) {
	o, err := organization.Decode(organization.Example(), "example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := computed(t, o)
	before := clone(t, p)
	checkPage(t, pageOf(t, p))
	if d := cmp.Diff(before, clone(t, p)); d != "" {
		t.Errorf("writing a plan changes it:\n%s", d)
	}
	if again := pageOf(t, computed(t, o)); !bytes.Equal(again, pageOf(t, p)) {
		t.Error("the same organization has another document the second time")
	}
}

func TestExample(t *testing.T) {
	p := example(t)
	for file, write := range map[string]func(*bytes.Buffer) error{
		"example.txt": func(b *bytes.Buffer) error { return Text(b, p, 100) },
		"example.md":  func(b *bytes.Buffer) error { return Markdown(b, p) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, file, b.Bytes())
	}
}

// TestReadmeShowsTheExample holds what the tour quotes against what is written.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, quoted, ok := strings.Cut(string(readme), "\n```\n* ")
	quoted, _, closed := strings.Cut(quoted, "\n```")
	if !ok || !closed {
		t.Fatal("README.md quotes no summary of a plan")
	}
	text, err := os.ReadFile("testdata/example.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n* "+quoted+"\n") {
		t.Errorf("README.md quotes what testdata/example.txt does not say:\n* %s", quoted)
	}
}

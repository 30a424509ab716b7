package policy

import (
	"os"
	"path/filepath"
	"testing"
)

const examples = "../../examples/workspaces"

func example(t *testing.T, name string) *Document {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Decode(raw, name)
	if err != nil {
		t.Fatalf("%s:\n%v", name, err)
	}
	return d
}

func TestExamplesAreValid(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, file := range files {
		d := example(t, filepath.Base(file))
		if err := Validate(d); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		again, err := Decode(d.YAML(), "")
		if err != nil {
			t.Fatalf("%s: canonical YAML: %v\n%s", file, err, d.YAML())
		}
		if string(again.CanonicalJSON()) != string(d.CanonicalJSON()) {
			t.Errorf("%s: YAML and JSON disagree", file)
		}
		if again, err = Decode(d.CanonicalJSON(), ""); err != nil || string(again.YAML()) != string(d.YAML()) {
			t.Errorf("%s: canonical JSON does not give the document again: %v", file, err)
		}
	}
}

func TestDemoNeedsNothingSpecial(t *testing.T) {
	d := example(t, "demo.yaml")
	e := Combine(d.Spec, d.Grants)
	if r := e.Requires(); len(r) != 0 {
		t.Errorf("the demo requires %v", r)
	}
	if e.Machine.Revertible || e.Machine.DataDisk.Size != GiB || e.Network.Mode != NetworkNAT || e.Deployment.Offline.Limit != 8*hour {
		t.Errorf("the demo resolved to %s", e.CanonicalJSON())
	}
	for _, name := range []string{"hello", "NOTES"} {
		app, ok := e.Application(name)
		if args, err := SplitCommand(app.Command); !ok || err != nil || len(args) < 3 {
			t.Errorf("application %s: %v, %q, %v", name, ok, args, err)
		}
	}
	if d := Warnings(d); len(d) != 0 {
		t.Errorf("warnings: %v", d)
	}
}

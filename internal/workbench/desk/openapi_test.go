package desk

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write api/local.json anew")

// TestDocument holds the committed OpenAPI document against the route table.
func TestDocument(t *testing.T) {
	const path = "../../../api/local.json"
	got, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the routes make; run: go test ./internal/workbench/desk -run TestDocument -update", path)
	}
}

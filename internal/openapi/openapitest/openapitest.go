// Package openapitest holds documents that are committed against what makes
// them. Tests import it.
package openapitest

import (
	"bytes"
	"os"
	"testing"
)

// Committed fails the test when the file at path is not the document, which is
// written there when write is set; anew says how.
func Committed(t *testing.T, path string, document func() ([]byte, error), write bool, anew string) {
	t.Helper()
	got, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if write {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the routes make; run: %s", path, anew)
	}
}

package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
)

const sizeHead = "apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: Large}\nspec:\n  machine: {image: {name: x}}\n  applications:\n    published:\n"

// TestStoredFormsAreBounded: what is taken can be read back from the store and
// from an export, also where those are longer than what the author wrote.
func TestStoredFormsAreBounded(t *testing.T) {
	var raw strings.Builder
	raw.WriteString(sizeHead)
	for i := range 250 {
		// Each backslash is one byte here and two in JSON.
		fmt.Fprintf(&raw, "      - {name: a%d, command: x, description: '%s'}\n", i, strings.Repeat(`\`, 4000))
	}
	if raw.Len() > MaxDocument {
		t.Fatalf("the document has %d bytes", raw.Len())
	}
	_, err := Decode([]byte(raw.String()), "large.yaml")
	if !errors.Is(err, dormer.ErrInvalid) || !strings.Contains(fmt.Sprint(err), "once it is stored") {
		t.Errorf("a document that grows over the limit: %.200v", err)
	}
}

// TestLargestDocuments that are taken survive being stored, exported and
// combined.
func TestLargestDocuments(t *testing.T) {
	var raw strings.Builder
	raw.WriteString(sizeHead)
	for i := range maxList {
		fmt.Fprintf(&raw, "      - name: a%d\n        command: x\n        description: %s\n", i, strings.Repeat("y", 945))
	}
	doc, err := Decode([]byte(raw.String()), "large.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeStored(doc.CanonicalJSON()); err != nil {
		t.Errorf("stored: %v", err)
	}
	if _, err := Decode(doc.YAML(), "export.yaml"); err != nil {
		t.Errorf("exported: %v", err)
	}
	effective := Combine(doc.Spec, nil)
	body := effective.CanonicalJSON()
	if len(body) <= MaxDocument {
		t.Fatalf("the effective policy has only %d bytes: the test does not test", len(body))
	}
	if _, err := DecodeEffective(body, HashOf(body)); err != nil {
		t.Errorf("the effective policy of %d bytes: %v", len(body), err)
	}
}

package policy

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/dormer-project/dormer/internal/document"
)

// CanonicalJSON returns the one form in which a document is stored and
// hashed: compact, fields in the order of the types, what the author did not
// set absent. Decode(d.CanonicalJSON()) gives d again.
func (d *Document) CanonicalJSON() []byte { return document.JSON(d) }

// YAML returns the document as canonical YAML: fields in the order of the
// types, what the author did not set absent, two spaces for each level.
// Decode(d.YAML()) gives d again, and the YAML of that is the same text.
func (d *Document) YAML() []byte { return document.YAML(d) }

// ETag returns the entity tag of a document's canonical JSON: its SHA-256 in
// hexadecimal, without the quotes that HTTP puts around it.
func ETag(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

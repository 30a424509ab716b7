package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// CanonicalJSON returns the one form in which a document is stored and
// hashed: compact, fields in the order of the types, what the author did not
// set absent. Decode(d.CanonicalJSON()) gives d again.
func (d *Document) CanonicalJSON() []byte { return canonicalJSON(d) }

// ETag returns the entity tag of a document's canonical JSON: its SHA-256 in
// hexadecimal, without the quotes that HTTP puts around it.
func ETag(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// canonicalJSON marshals types of this package, which cannot fail: they hold
// texts, numbers, switches and lists of them.
func canonicalJSON(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("policy: " + err.Error())
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

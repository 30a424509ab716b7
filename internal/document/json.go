package document

import (
	"bytes"
	"encoding/json"
)

// JSON returns v as canonical JSON: compact, fields in the order of the types,
// what the author did not set absent. It panics for types that cannot be
// written: those of documents hold texts, numbers, switches and lists of them.
func JSON(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("document: " + err.Error())
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

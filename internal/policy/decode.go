package policy

import "github.com/dormer-project/dormer/internal/document"

// Bounds of the text of a document, listed in docs/limits.md.
const (
	maxDepth    = 32
	maxFields   = 50_000 // fields and entries of lists
	maxSiblings = 500
	maxErrors   = 100
)

const tooMany = "has more than 50,000 fields and entries up to here; grant to groups, or split the workspace"

var (
	documents = document.Reader{
		MaxBytes: MaxDocument, TooLarge: "the document is larger than 1 MiB",
		MaxFields: maxFields, TooMany: tooMany, MaxSiblings: maxSiblings, MaxDepth: maxDepth, MaxErrors: maxErrors,
		NoFields: noDocument,
	}
	storedDocuments = document.Reader{
		MaxBytes: MaxEffective, TooLarge: "the stored document is larger than 4 MiB",
		MaxFields: maxFields, TooMany: tooMany, MaxSiblings: maxSiblings, MaxDepth: maxDepth, MaxErrors: maxErrors,
		NoFields: noDocument,
	}
	grantDocuments = document.Reader{
		MaxBytes: MaxDocument, TooLarge: "the grant is larger than 1 MiB",
		MaxFields: maxFields, TooMany: tooMany, MaxSiblings: maxSiblings, MaxDepth: maxDepth, MaxErrors: maxErrors,
		NoFields: "a grant is a set of fields that begins with principal",
	}
)

const noDocument = "a document is a set of fields that begins with apiVersion"

// Decode reads a document in YAML or JSON and checks it completely: what
// cannot be read and what Validate refuses come back together as one
// *dormer.InvalidError, each with its line and field path. Unknown and
// repeated fields, fields in another letter case and values of another type
// are errors; messages never repeat a value. name is the file's name and is
// only looked at for its ending; it may be empty.
func Decode(raw []byte, name string) (*Document, error) {
	var doc Document
	reading, err := documents.Read(raw, name, "", &doc)
	if err != nil {
		return nil, err
	}
	if err := reading.Err(checkDocument(&doc)...); err != nil {
		return nil, err
	}
	return &doc, nil
}

// DecodeGrant reads one grant by itself, as strictly and completely as Decode
// reads it in a document. path says where it stands and goes before the field
// paths of errors, as with[0]. name is as for Decode.
func DecodeGrant(raw []byte, name, path string) (*Grant, error) {
	var g Grant
	reading, err := grantDocuments.Read(raw, name, path, &g)
	if err != nil {
		return nil, err
	}
	var c checker
	c.principal(path+".principal", g.Principal)
	c.grant(path, &g)
	if err := reading.Err(c.fields...); err != nil {
		return nil, err
	}
	return &g, nil
}

// DecodeStored reads a document that was valid when it was stored. It is as
// strict about fields and types as Decode and does not validate: a rule that
// became stricter must not make what is stored unreadable.
func DecodeStored(raw []byte) (*Document, error) {
	var doc Document
	reading, err := storedDocuments.Read(raw, "", "", &doc)
	if err != nil {
		return nil, err
	}
	if err := reading.Err(); err != nil {
		return nil, err
	}
	return &doc, nil
}

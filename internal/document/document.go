// Package document is how this house writes what people describe in files: a
// set of fields in YAML or JSON that fills Go types by their struct tags, read
// strictly and written in one canonical form.
//
// It is of the formats layer: it knows fields, types and forms of values, not
// what any of them means. Packages that own a kind of document (policy, the
// planner's organization) give a Reader its limits, declare their types with
// tags, and add to a Reading what they find wrong in the meaning.
//
// Its words: a field is one field of a struct by the name that documents give
// it; a path is the place of a field, as sites[2].people[0].users; Enumerated
// values come from a closed list, and Written ones have a form of their own.
//
// The tags of a field are json (its name; omitzero leaves out what was not
// set), doc (what it means), required, const, enum, pattern, min and max,
// default (what holds when it is absent), literal (the default of a text is
// that text itself), and values (what it may hold, in words). The JSON Schema
// and the tables of the reference pages are made from them. Check holds values
// against them; it knows most (entries of a list) and text (several lines) too.
package document

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

// Enumerated is implemented by every type with a closed list of values.
type Enumerated interface{ Values() []string }

// Written is implemented by values that are written as text of a fixed form.
// They are encoding.TextMarshaler and, through their pointers,
// encoding.TextUnmarshaler.
type Written interface {
	// Form describes the form in words, for messages and the reference.
	Form() string
	// Pattern is a regular expression that every such text matches.
	Pattern() string
}

// Reader reads documents of one kind. Its bounds are checked before a text is
// turned into a tree: the parsers recurse.
type Reader struct {
	// MaxBytes is the largest text in bytes, TooLarge what is said of a larger
	// one.
	MaxBytes int
	TooLarge string
	// MaxFields is the largest number of fields and entries of lists, TooMany
	// what is said of more.
	MaxFields int
	TooMany   string
	// MaxSiblings is the largest number of fields in one part of a document in
	// YAML, far above those that any type has: the parser takes quadratic time
	// over them.
	MaxSiblings int
	// MaxDepth is how deeply parts may be nested.
	MaxDepth int
	// MaxErrors is how many problems are reported at most.
	MaxErrors int
	// NoFields is said of a text that is a list or a value instead of fields.
	NoFields string
	// Complete makes two more things problems, which are no longer to be seen in
	// the types: required fields that are missing, and zeros where zero stands
	// for not set.
	Complete bool
}

// Read fills into, a pointer to a struct, from YAML or JSON. Unknown and
// repeated fields, fields in another letter case and values of another type
// are problems of the Reading; messages never repeat a value. The error is a
// *dormer.InvalidError about a text that cannot be read at all.
//
// name is the file's name and is only looked at for its ending; it may be
// empty. path goes before the paths of fields where a text is a part of
// something larger, as with[0]; it is empty for a whole document.
func (r *Reader) Read(raw []byte, name, path string, into any) (*Reading, error) {
	if len(raw) > r.MaxBytes {
		return nil, dormer.Invalidf(path, "%s", r.TooLarge)
	}
	root, err := r.tree(raw, name)
	if err != nil {
		return nil, err
	}
	if root.kind != mapNode {
		if path != "" {
			return nil, dormer.Invalidf(path, "%s", r.NoFields)
		}
		return nil, syntax(root.line, r.NoFields)
	}
	d := &Reading{lines: map[string]int{}, most: r.MaxErrors, complete: r.Complete, meant: map[string]bool{}}
	d.into(root, reflect.ValueOf(into).Elem(), path)
	return d, nil
}

// tree turns YAML or JSON into a tree.
func (r *Reader) tree(raw []byte, name string) (*node, error) {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) {
		return nil, dormer.Invalidf("", "the document is not valid UTF-8")
	}
	tree := r.yamlTree
	trimmed := bytes.TrimSpace(raw)
	isJSON := strings.HasSuffix(strings.ToLower(name), ".json")
	if isJSON || len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(raw) {
		tree = r.jsonTree
	}
	if len(trimmed) == 0 {
		return nil, dormer.Invalidf("", "the document is empty")
	}
	return tree(raw)
}

// Reading is what came of reading one text: the line of each field, and what
// could not be read.
type Reading struct {
	lines map[string]int
	wrong []dormer.FieldError
	most  int
	// complete is that of the Reader; meant are fields that are there under
	// another name, which is a problem already.
	complete bool
	meant    map[string]bool
}

// Err returns what could not be read together with what else the caller found
// wrong, in the order of lines, as one *dormer.InvalidError; nil if nothing is.
// Of what was found, fields get their lines, and those that could not be read
// in the first place, contain such a field or are part of one are left out.
func (d *Reading) Err(found ...dormer.FieldError) error {
	unread := len(d.wrong)
	wrong := d.wrong[:unread:unread]
	for _, f := range found {
		if !d.unread(f.Path) && len(wrong) < d.most {
			wrong = append(wrong, dormer.FieldError{Path: f.Path, Line: d.Line(f.Path), Message: f.Message})
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	wrong = slices.Clone(wrong)
	slices.SortStableFunc(wrong, func(a, b dormer.FieldError) int { return a.Line - b.Line })
	return &dormer.InvalidError{Fields: wrong}
}

// Line returns the line of a field or of the nearest thing around it, from 1;
// 0 if there is none.
func (d *Reading) Line(path string) int {
	for path != "" {
		if line, ok := d.lines[path]; ok {
			return line
		}
		path = path[:max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['), 0)]
	}
	return 0
}

func (d *Reading) add(path string, line int, message string) {
	if len(d.wrong) < d.most {
		d.wrong = append(d.wrong, dormer.FieldError{Path: path, Line: line, Message: message})
	}
}

// unread says whether the field, what it is part of or a part of it could not
// be read.
func (d *Reading) unread(path string) bool {
	return d.complete && d.meant[path] || slices.ContainsFunc(d.wrong, func(f dormer.FieldError) bool {
		return f.Path == path || within(f.Path, path) || within(path, f.Path)
	})
}

func within(inner, outer string) bool {
	return outer != "" && len(inner) > len(outer) && strings.HasPrefix(inner, outer) && (inner[len(outer)] == '.' || inner[len(outer)] == '[')
}

// syntax is one error about the text as a whole.
func syntax(line int, message string) error {
	return &dormer.InvalidError{Fields: []dormer.FieldError{{Line: line, Message: message}}}
}

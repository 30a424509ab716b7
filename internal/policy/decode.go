package policy

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

// Decode reads a document in YAML or JSON and checks it completely: what
// cannot be read and what Validate refuses come back together as one
// *dormer.InvalidError, each with its line and field path. Unknown and
// repeated fields, fields in another letter case and values of another type
// are errors; messages never repeat a value. name is the file's name and is
// only looked at for its ending; it may be empty.
func Decode(raw []byte, name string) (*Document, error) {
	d := &decoder{lines: map[string]int{}}
	if len(raw) > MaxDocument {
		return nil, dormer.Invalidf("", "the document is larger than 1 MiB")
	}
	doc, err := d.document(raw, name)
	if err != nil {
		return nil, err
	}
	if err := d.checked(checkDocument(doc)); err != nil {
		return nil, err
	}
	return doc, nil
}

// checked returns what could not be read together with what else is wrong.
func (d *decoder) checked(wrong []dormer.FieldError) error {
	broken := len(d.fields)
	for _, f := range wrong {
		if !d.reported(f.Path, broken) {
			d.add(f.Path, d.lineOf(f.Path), f.Message)
		}
	}
	if len(d.fields) == 0 {
		return nil
	}
	slices.SortStableFunc(d.fields, func(a, b dormer.FieldError) int { return a.Line - b.Line })
	return &dormer.InvalidError{Fields: d.fields}
}

// DecodeGrant reads one grant by itself, as strictly and completely as Decode
// reads it in a document. path says where it stands and goes before the field
// paths of errors, as with[0]. name is as for Decode.
func DecodeGrant(raw []byte, name, path string) (*Grant, error) {
	d := &decoder{lines: map[string]int{}}
	if len(raw) > MaxDocument {
		return nil, dormer.Invalidf(path, "the grant is larger than 1 MiB")
	}
	root, err := parsed(raw, name)
	if err != nil {
		return nil, err
	}
	if root.kind != mapNode {
		return nil, dormer.Invalidf(path, "a grant is a set of fields that begins with principal")
	}
	var g Grant
	d.into(root, reflect.ValueOf(&g).Elem(), path)
	var c checker
	c.principal(path+".principal", g.Principal)
	c.grant(path, &g)
	if err := d.checked(c.fields); err != nil {
		return nil, err
	}
	return &g, nil
}

// DecodeStored reads a document that was valid when it was stored. It is as
// strict about fields and types as Decode and does not validate: a rule that
// became stricter must not make what is stored unreadable.
func DecodeStored(raw []byte) (*Document, error) {
	if len(raw) > MaxEffective {
		return nil, dormer.Invalidf("", "the stored document is larger than 4 MiB")
	}
	d := &decoder{lines: map[string]int{}}
	doc, err := d.document(raw, "")
	if err != nil {
		return nil, err
	}
	if len(d.fields) > 0 {
		return nil, &dormer.InvalidError{Fields: d.fields}
	}
	return doc, nil
}

// decoder fills types from a tree and remembers on which line each field is.
type decoder struct {
	problems
	lines map[string]int
}

func (d *decoder) document(raw []byte, name string) (*Document, error) {
	root, err := parsed(raw, name)
	if err != nil {
		return nil, err
	}
	if root.kind != mapNode {
		return nil, syntax(root.line, "a document is a set of fields that begins with apiVersion")
	}
	var doc Document
	d.into(root, reflect.ValueOf(&doc).Elem(), "")
	return &doc, nil
}

// parsed turns YAML or JSON into a tree.
func parsed(raw []byte, name string) (*node, error) {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) {
		return nil, dormer.Invalidf("", "the document is not valid UTF-8")
	}
	tree := yamlTree
	trimmed := bytes.TrimSpace(raw)
	isJSON := strings.HasSuffix(strings.ToLower(name), ".json")
	if isJSON || len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(raw) {
		tree = jsonTree
	}
	if len(trimmed) == 0 {
		return nil, dormer.Invalidf("", "the document is empty")
	}
	return tree(raw)
}

// reported says whether the field, what it is part of or a part of it is
// among the first n problems already.
func (d *decoder) reported(path string, n int) bool {
	for _, f := range d.fields[:min(n, len(d.fields))] {
		if f.Path == path || within(f.Path, path) || within(path, f.Path) {
			return true
		}
	}
	return false
}

func within(inner, outer string) bool {
	return outer != "" && len(inner) > len(outer) && strings.HasPrefix(inner, outer) && (inner[len(outer)] == '.' || inner[len(outer)] == '[')
}

// lineOf returns the line of the field or of the nearest thing around it.
func (d *decoder) lineOf(path string) int {
	for path != "" {
		if line, ok := d.lines[path]; ok {
			return line
		}
		path = path[:max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['), 0)]
	}
	return 0
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (d *decoder) into(n *node, v reflect.Value, path string) {
	if path != "" {
		if _, ok := d.lines[path]; !ok {
			d.lines[path] = n.line
		}
	}
	if v.Kind() == reflect.Pointer {
		fresh := reflect.New(v.Type().Elem())
		before := len(d.fields)
		d.into(n, fresh.Elem(), path)
		if len(d.fields) == before || v.Type().Elem().Kind() == reflect.Struct {
			v.Set(fresh)
		}
		return
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.intoWritten(n, text, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.intoStruct(n, v, path)
	case reflect.Slice:
		d.intoSlice(n, v, path)
	case reflect.String:
		if d.expect(n, textNode, path, "text") {
			d.intoText(n, v, path)
		}
	case reflect.Bool:
		if d.expect(n, boolNode, path, "true or false") {
			v.SetBool(n.truth)
		}
	case reflect.Int:
		if d.expect(n, intNode, path, "a whole number") {
			v.SetInt(n.num)
		}
	default:
		panic("policy: no decoding for " + v.Type().String())
	}
}

// expect reports a value of another kind than the field has.
func (d *decoder) expect(n *node, want nodeKind, path, what string) bool {
	line := n.line
	if at, ok := d.lines[path]; ok {
		line = at
	}
	switch {
	case n.kind == want:
		return true
	case n.kind == nullNode:
		d.add(path, line, "has no value; expected "+what+", or leave the field out")
	case want == textNode && (n.kind == intNode || n.kind == otherNode || n.kind == boolNode):
		d.add(path, line, "expected "+what+"; put it in quotes")
	default:
		d.add(path, line, "expected "+what+", found "+n.what())
	}
	return false
}

func (n *node) what() string {
	switch n.kind {
	case nullNode:
		return "nothing"
	case textNode:
		return "text"
	case intNode, otherNode:
		return "a number"
	case boolNode:
		return "true or false"
	case mapNode:
		return "a set of fields"
	default:
		return "a list"
	}
}

func (d *decoder) intoWritten(n *node, text encoding.TextUnmarshaler, v reflect.Value, path string) {
	form := "text"
	if w, ok := v.Interface().(written); ok {
		form = w.form()
	}
	if n.kind == intNode || n.kind == otherNode {
		d.add(path, n.line, "expected "+form)
		return
	}
	if d.expect(n, textNode, path, form) && text.UnmarshalText([]byte(n.text)) != nil {
		d.add(path, n.line, "expected "+form)
	}
}

func (d *decoder) intoText(n *node, v reflect.Value, path string) {
	if e, ok := v.Interface().(enumerated); ok && !slices.Contains(e.values(), n.text) {
		message := "expected " + oneOf(e.values())
		if near := nearest(n.text, e.values()); near != "" {
			message += fmt.Sprintf("; is %s meant?", near)
		}
		d.add(path, n.line, message)
		return
	}
	v.SetString(n.text)
}

// oneOf lists values in words.
func oneOf(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
}

func (d *decoder) intoSlice(n *node, v reflect.Value, path string) {
	if !d.expect(n, listNode, path, "a list") {
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.into(item, out.Index(i), index(path, i))
	}
	v.Set(out)
}

// field is one field of a struct as documents name it.
type field struct {
	name  string
	index int
	tag   reflect.StructTag
	typ   reflect.Type
}

// fieldsOf lists the fields of a struct type in the order of the document.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, field{name: name, index: i, tag: f.Tag, typ: f.Type})
	}
	return out
}

// decentKey is a field name that may be shown; anything else might be a value
// in the wrong place, a password most of all.
var decentKey = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,39}$`)

func (d *decoder) intoStruct(n *node, v reflect.Value, path string) {
	// A section whose fields are all commented out has no value: that is the
	// same as a section without fields.
	if n.kind == nullNode && path != "" {
		return
	}
	if !d.expect(n, mapNode, path, "a set of fields") {
		return
	}
	known := fieldsOf(v.Type())
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	first := map[string]int{}
	for _, k := range n.keys {
		i := slices.Index(names, k.name)
		if i < 0 {
			d.unknown(k, names, path)
			continue
		}
		at := join(path, k.name)
		if line, ok := first[k.name]; ok {
			d.add(at, k.line, fmt.Sprintf("is given twice; it stands on line %d already", line))
			continue
		}
		first[k.name] = k.line
		d.lines[at] = k.line
		d.into(k.value, v.Field(known[i].index), at)
	}
}

func (d *decoder) unknown(k key, names []string, path string) {
	shown := "?"
	if decentKey.MatchString(k.name) {
		shown = k.name
	}
	message := "there is no such field"
	switch near := nearest(k.name, names); {
	case near != "" && strings.EqualFold(near, k.name):
		message += "; it is written " + near
	case near != "":
		message += "; is " + near + " meant?"
	case len(names) == 0:
		message += "; nothing can be set here"
	case len(names) <= 12:
		message += " here; there are " + strings.Join(names, ", ")
	}
	d.add(join(path, shown), k.line, message)
}

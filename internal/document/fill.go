package document

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

func (d *Reading) into(n *node, v reflect.Value, path string) {
	if path != "" {
		if _, ok := d.lines[path]; !ok {
			d.lines[path] = n.line
		}
	}
	if v.Kind() == reflect.Pointer {
		fresh := reflect.New(v.Type().Elem())
		before := len(d.wrong)
		d.into(n, fresh.Elem(), path)
		if len(d.wrong) == before || v.Type().Elem().Kind() == reflect.Struct {
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
		panic("document: no decoding for " + v.Type().String())
	}
}

// expect reports a value of another kind than the field has.
func (d *Reading) expect(n *node, want nodeKind, path, what string) bool {
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
	case want == intNode && n.kind == otherNode:
		d.add(path, line, "expected "+what+", written in digits alone")
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

func (d *Reading) intoWritten(n *node, text encoding.TextUnmarshaler, v reflect.Value, path string) {
	form := "text"
	if w, ok := v.Interface().(Written); ok {
		form = w.Form()
	}
	if n.kind == intNode || n.kind == otherNode {
		d.add(path, n.line, "expected "+form)
		return
	}
	if d.expect(n, textNode, path, form) && text.UnmarshalText([]byte(n.text)) != nil {
		d.add(path, n.line, "expected "+form)
	}
}

func (d *Reading) intoText(n *node, v reflect.Value, path string) {
	if e, ok := v.Interface().(Enumerated); ok && !slices.Contains(e.Values(), n.text) {
		message := "expected " + OneOf(e.Values())
		if near := Nearest(n.text, e.Values()); near != "" {
			message += fmt.Sprintf("; is %s meant?", near)
		}
		d.add(path, n.line, message)
		return
	}
	v.SetString(n.text)
}

func (d *Reading) intoSlice(n *node, v reflect.Value, path string) {
	if !d.expect(n, listNode, path, "a list") {
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.into(item, out.Index(i), Index(path, i))
	}
	v.Set(out)
}

// decentKey is a field name that may be shown; anything else might be a value
// in the wrong place, a password most of all.
var decentKey = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,39}$`)

func (d *Reading) intoStruct(n *node, v reflect.Value, path string) {
	// A section whose fields are all commented out has no value: that is the
	// same as a section without fields.
	if n.kind == nullNode && path != "" {
		return
	}
	if !d.expect(n, mapNode, path, "a set of fields") {
		return
	}
	known := Fields(v.Type())
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.Name
	}
	first := map[string]int{}
	for _, k := range n.keys {
		i := slices.Index(names, k.name)
		if i < 0 {
			if near := d.unknown(k, names, path); near != "" {
				d.meant[Join(path, near)] = true
			}
			continue
		}
		at := Join(path, k.name)
		if line, ok := first[k.name]; ok {
			d.add(at, k.line, fmt.Sprintf("is given twice; it stands on line %d already", line))
			continue
		}
		first[k.name] = k.line
		d.lines[at] = k.line
		before := len(d.wrong)
		d.into(k.value, v.Field(known[i].Index), at)
		if d.complete && len(d.wrong) == before && taken(known[i], v.Field(known[i].Index)) {
			d.add(at, k.line, known[i].aboveZero())
		}
	}
	if !d.complete {
		return
	}
	for _, f := range known {
		at := Join(path, f.Name)
		if _, ok := first[f.Name]; !ok && !d.meant[at] && f.Tag.Get("required") != "" {
			d.add(at, d.Line(at), isRequired)
		}
	}
}

const isRequired = "is required"

// taken reports whether a number that was written would be taken for one that
// was not: it is zero, and that is neither the default nor within the bounds.
func taken(f Field, v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
	default:
		return false
	}
	if v.Int() != 0 {
		return false
	}
	if low, ok := f.amount("min"); ok && low <= 0 {
		return false
	}
	otherwise, ok := f.amount("default")
	return !ok || otherwise != 0
}

// unknown reports a field that there is not, and returns the one that was
// probably meant.
func (d *Reading) unknown(k key, names []string, path string) string {
	shown := "?"
	if decentKey.MatchString(k.name) {
		shown = k.name
	}
	message := "there is no such field"
	near := Nearest(k.name, names)
	switch {
	case near != "" && strings.EqualFold(near, k.name):
		message += "; it is written " + near
	case near != "":
		message += "; is " + near + " meant?"
	case len(names) == 0:
		message += "; nothing can be set here"
	case len(names) <= 12:
		message += " here; there are " + strings.Join(names, ", ")
	}
	d.add(Join(path, shown), k.line, message)
	return near
}

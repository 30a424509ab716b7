package httpapi

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// maxDepth bounds the nesting of a body.
const maxDepth = 32

// decodeStrict reads one JSON value into v, which points to a struct. Unknown
// fields, fields in other letter case, duplicates and anything after the value
// are errors with line and path. Messages never repeat a value, nor a name that
// is not a field's: it may be a secret in the wrong place.
func decodeStrict(b []byte, v any) error {
	s := strictScan{dec: json.NewDecoder(bytes.NewReader(b)), body: b}
	s.dec.UseNumber()
	err := s.value(reflect.TypeOf(v).Elem(), "", 0)
	if err == nil && len(s.wrong) == 0 {
		if _, more := s.dec.Token(); !errors.Is(more, io.EOF) {
			s.add("", "something stands after the document")
		}
	}
	if err != nil {
		s.add("", "is not valid JSON")
	}
	if len(s.wrong) > 0 {
		return &dormer.InvalidError{Fields: s.wrong}
	}
	if err := json.Unmarshal(b, v); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return &dormer.InvalidError{Fields: []dormer.FieldError{{
				Path: wrong.Field, Line: s.line(wrong.Offset), Message: "expected " + nounOf(wrong.Type),
			}}}
		}
		return dormer.Invalidf("", "a value does not have the form of its field")
	}
	return nil
}

// strictScan walks the tokens of a body beside the type that they should fill.
type strictScan struct {
	dec   *json.Decoder
	body  []byte
	wrong []dormer.FieldError
}

func (s *strictScan) line(offset int64) int {
	return 1 + bytes.Count(s.body[:min(int(offset), len(s.body))], []byte{'\n'})
}

// maxWrong is how many wrong fields of one body are named.
const maxWrong = 100

func (s *strictScan) add(path, message string) {
	if len(s.wrong) >= maxWrong {
		return // each costs a look at the whole body
	}
	s.wrong = append(s.wrong, dormer.FieldError{Path: path, Line: s.line(s.dec.InputOffset()), Message: message})
}

// value reads one value. t is nil where any value is taken.
func (s *strictScan) value(t reflect.Type, path string, depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	token, err := s.dec.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return s.object(t, path, depth)
		}
		return s.array(t, path, depth)
	case string:
		s.text(t, path, token)
	}
	return nil
}

// text looks whether a text has the form of its field: encoding/json would not
// say which field it was.
func (s *strictScan) text(t reflect.Type, path, text string) {
	if t = deref(t); t == nil {
		return
	}
	into := reflect.New(t)
	if _, own := into.Interface().(json.Unmarshaler); own && t != reflect.TypeFor[time.Time]() {
		return
	}
	if u, ok := into.Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			s.add(path, "expected "+nounOf(t))
		}
		return
	}
	if t == reflect.TypeFor[[]byte]() {
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			s.add(path, "expected "+nounOf(t))
		}
	}
}

func (s *strictScan) object(t reflect.Type, path string, depth int) error {
	fields, elem := fieldsOf(t)
	seen := map[string]bool{}
	for s.dec.More() {
		token, err := s.dec.Token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return errors.New("a key is not a string")
		}
		inner := elem
		at := path
		if fields != nil {
			if inner, ok = fields[key]; ok {
				at = strings.TrimPrefix(path+"."+key, ".")
			} else {
				s.add(path, "holds a field that is not known here; known are "+known(fields))
			}
		}
		if seen[key] {
			s.add(at, "is there twice")
		}
		seen[key] = true
		if err := s.value(inner, at, depth+1); err != nil {
			return err
		}
	}
	_, err := s.dec.Token()
	return err
}

func (s *strictScan) array(t reflect.Type, path string, depth int) error {
	var elem reflect.Type
	if t = deref(t); t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		elem = t.Elem()
	}
	for i := 0; s.dec.More(); i++ {
		if err := s.value(elem, path+"["+strconv.Itoa(i)+"]", depth+1); err != nil {
			return err
		}
	}
	_, err := s.dec.Token()
	return err
}

func deref(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fieldsOf returns the fields of a struct by their JSON names, or the type of
// a map's values, or neither where anything is taken.
func fieldsOf(t reflect.Type) (fields map[string]reflect.Type, elem reflect.Type) {
	t = deref(t)
	switch {
	case t == nil:
		return nil, nil
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()),
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return nil, nil
	case t.Kind() == reflect.Map:
		return nil, t.Elem()
	case t.Kind() != reflect.Struct:
		return nil, nil
	}
	fields = map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[name] = f.Type
	}
	return fields, nil
}

func known(fields map[string]reflect.Type) string {
	if len(fields) == 0 {
		return "none"
	}
	return strings.Join(sortedKeys(fields), ", ")
}

// nounOf says what a field takes, for people.
func nounOf(t reflect.Type) string {
	switch t = deref(t); t {
	case reflect.TypeFor[time.Time]():
		return "a time as 2027-03-31T18:00:00Z (RFC 3339)"
	case reflect.TypeFor[[]byte]():
		return "bytes in base64"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "text of the form that the field has"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint32, reflect.Int32:
		return "a whole number in its range"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return fmt.Sprintf("a value of kind %s", t.Kind())
}

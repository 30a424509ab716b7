package document

import (
	"encoding"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Field is one field of a struct as documents name it.
type Field struct {
	Name  string
	Index int // of the field in the struct
	Tag   reflect.StructTag
	Type  reflect.Type
}

// Fields lists the fields of a struct type in the order of the document.
func Fields(t reflect.Type) []Field {
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, Field{Name: name, Index: i, Tag: f.Tag, Type: f.Type})
	}
	return out
}

// Join returns the path of a field within path, which may be empty.
func Join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// Index returns the path of an entry of the list at path.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// Inner returns the struct that the field, or each entry of its list, consists
// of; nil for a field that does not divide.
func (f Field) Inner() reflect.Type {
	t := f.Type
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if _, ok := reflect.New(t).Elem().Interface().(Written); ok || t.Kind() != reflect.Struct || t.NumField() == 0 {
		return nil
	}
	return t
}

// Default returns the default of a field where it is a value of the
// field's type, and nil where it is said in words.
func (f Field) Default() any {
	text, ok := f.Tag.Lookup("default")
	if !ok {
		return nil
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	fresh := reflect.New(t)
	if w, ok := fresh.Interface().(encoding.TextUnmarshaler); ok {
		if w.UnmarshalText([]byte(text)) != nil {
			return nil
		}
		return text
	}
	if _, ok := fresh.Elem().Interface().(Enumerated); ok {
		return text
	}
	switch t.Kind() {
	case reflect.Bool:
		return text == "true"
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil
		}
		return n
	case reflect.String:
		if p := f.Tag.Get("pattern"); p != "" && regexp.MustCompile(p).MatchString(text) || f.Tag.Get("literal") != "" {
			return text
		}
	default:
	}
	return nil
}

// Allowed says in words what a field may hold.
func (f Field) Allowed() string {
	if s := f.Tag.Get("values"); s != "" {
		return s
	}
	if s := f.Tag.Get("enum"); s != "" {
		return OneOf(strings.Split(s, ","))
	}
	if s := f.Tag.Get("const"); s != "" {
		return s
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	list := ""
	if t.Kind() == reflect.Slice {
		t, list = t.Elem(), "a list: "
	}
	zero := reflect.New(t).Elem().Interface()
	if w, ok := zero.(Written); ok {
		text := list + w.Form()
		if low, high := f.Tag.Get("min"), f.Tag.Get("max"); low != "" && high != "" {
			text += ", from " + low + " to " + high
		} else if high != "" {
			text += ", at most " + high
		}
		return text
	}
	if e, ok := zero.(Enumerated); ok {
		return list + OneOf(e.Values())
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return f.number()
	case reflect.String:
		return list + "text"
	default:
		return strings.TrimSuffix(list, ": ")
	}
}

func (f Field) number() string {
	low, high := f.Tag.Get("min"), f.Tag.Get("max")
	switch {
	case low != "" && high != "":
		return "a number from " + low + " to " + high
	case low != "":
		return "a number from " + low
	default:
		return "a number"
	}
}

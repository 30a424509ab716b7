package document

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

// Bounds of texts, in characters.
const (
	// MaxLine is the longest text of one line.
	MaxLine = 200
	// MaxText is the longest text of several lines.
	MaxText = 4096
)

// Check holds v, a pointer to a struct, against the tags of its type: required,
// const, min and max, most, closed lists, and the length and form of texts. It
// reports no more than limit problems, and never repeats a value.
func Check(v any, limit int) []dormer.FieldError {
	c := tagChecker{limit: limit}
	c.fields(reflect.ValueOf(v).Elem(), "")
	return c.wrong
}

type tagChecker struct {
	wrong []dormer.FieldError
	limit int
}

func (c *tagChecker) add(path, message string) {
	if len(c.wrong) < c.limit {
		c.wrong = append(c.wrong, dormer.FieldError{Path: path, Message: message})
	}
}

func (c *tagChecker) fields(v reflect.Value, path string) {
	for _, f := range Fields(v.Type()) {
		c.field(f, v.Field(f.Index), Join(path, f.Name))
	}
}

func (c *tagChecker) field(f Field, v reflect.Value, path string) {
	pointer := v.Kind() == reflect.Pointer
	if pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		switch {
		case pointer || v.Int() != 0:
			c.number(f, v.Int(), path)
		case f.Tag.Get("required") != "" && taken(f, v):
			c.add(path, f.aboveZero())
		}
	case reflect.String:
		c.text(f, v, path)
	case reflect.Slice:
		c.list(f, v, path)
	case reflect.Struct:
		if f.Inner() != nil {
			c.fields(v, path)
		}
	default:
	}
}

func (c *tagChecker) number(f Field, n int64, path string) {
	low, hasLow := f.amount("min")
	high, hasHigh := f.amount("max")
	switch {
	case hasLow && hasHigh && (n < low || n > high):
		c.add(path, "must be between "+f.Tag.Get("min")+" and "+f.Tag.Get("max"))
	case hasLow && n < low:
		c.add(path, "must be at least "+f.Tag.Get("min"))
	case hasHigh && n > high:
		c.add(path, "must be at most "+f.Tag.Get("max"))
	case n < 0:
		c.add(path, "must not be negative")
	}
}

func (c *tagChecker) list(f Field, v reflect.Value, path string) {
	if most, err := strconv.Atoi(f.Tag.Get("most")); err == nil && v.Len() > most {
		c.add(path, fmt.Sprintf("has more than %d entries", most))
		return
	}
	switch {
	case v.Len() == 0 && f.Tag.Get("required") != "":
		c.add(path, "is required; give at least one")
	case v.Len() == 0 && !v.IsNil():
		c.add(path, "is empty; name at least one, or leave the field out")
	}
	for i := range v.Len() {
		at, entry := Index(path, i), v.Index(i)
		if entry.Kind() == reflect.Struct {
			c.fields(entry, at)
			continue
		}
		if entry.Kind() == reflect.String && entry.Len() == 0 {
			c.add(at, isRequired)
			continue
		}
		c.field(Field{Type: entry.Type()}, entry, at)
	}
}

func (c *tagChecker) text(f Field, v reflect.Value, path string) {
	s := v.String()
	if s == "" {
		if f.Tag.Get("required") != "" {
			c.add(path, isRequired)
		}
		return
	}
	if e, ok := v.Interface().(Enumerated); ok {
		if !slices.Contains(e.Values(), s) {
			c.add(path, "expected "+OneOf(e.Values()))
		}
		return
	}
	if want := f.Tag.Get("const"); want != "" {
		if s != want {
			c.add(path, "expected "+want)
		}
		return
	}
	if p := f.Tag.Get("pattern"); p != "" && !regexp.MustCompile(p).MatchString(s) {
		c.add(path, "expected "+f.Allowed())
		return
	}
	several, longest := f.Tag.Get("text") != "", MaxLine
	if several {
		longest = MaxText
	}
	switch {
	case !utf8.ValidString(s):
		c.add(path, "must be valid UTF-8")
	case utf8.RuneCountInString(s) > longest:
		c.add(path, fmt.Sprintf("is longer than %d characters", longest))
	case several:
		if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
			c.add(path, "must not contain control characters other than line breaks and tabs")
		}
	case strings.TrimSpace(s) != s:
		c.add(path, "must not begin or end with a space")
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		c.add(path, "must be one line without control characters")
	}
}

// amount is what a tag of a number says, in the form of the field; false if
// it says nothing, or something in words.
func (f Field) amount(tag string) (int64, bool) {
	text, ok := f.Tag.Lookup(tag)
	if !ok {
		return 0, false
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	fresh := reflect.New(t)
	if w, ok := fresh.Interface().(encoding.TextUnmarshaler); ok {
		if w.UnmarshalText([]byte(text)) != nil || !fresh.Elem().CanInt() {
			return 0, false
		}
		return fresh.Elem().Int(), true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// aboveZero is said of a zero that would be taken for not set.
func (f Field) aboveZero() string {
	low, high := f.Tag.Get("min"), f.Tag.Get("max")
	switch {
	case low != "" && high != "":
		return "must be between " + low + " and " + high
	case low != "":
		return "must be at least " + low
	default:
		return "must be more than 0"
	}
}

package document

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// YAML returns what d, a pointer to a struct, points to as canonical YAML:
// fields in the order of the types, what the author did not set absent, two
// spaces for each level. Reading it gives the same again, and the YAML of that
// is the same text.
func YAML(d any) []byte {
	var w yamlWriter
	w.fields(reflect.ValueOf(d).Elem(), 0)
	return w.out.Bytes()
}

// yamlWriter writes block style. It writes text plain only where every reader
// of YAML takes it for text; a library's idea of that would tie the stored
// form to the library's version.
type yamlWriter struct {
	out bytes.Buffer
}

// absent reports whether a field is left out, by the rule of omitzero.
func absent(v reflect.Value, tag reflect.StructTag) bool {
	return strings.HasSuffix(tag.Get("json"), ",omitzero") && v.IsZero()
}

func (w *yamlWriter) indent(depth int) { w.out.WriteString(strings.Repeat("  ", depth)) }

// fields writes the fields of a struct, the first one where the writer
// stands, and reports whether there were any.
func (w *yamlWriter) fields(v reflect.Value, depth int) bool {
	some := false
	for _, f := range Fields(v.Type()) {
		value := v.Field(f.Index)
		if absent(value, f.Tag) || value.Kind() == reflect.Pointer && value.IsNil() {
			continue
		}
		if some {
			w.indent(depth)
		}
		some = true
		w.out.WriteString(f.Name + ":")
		w.value(value, depth)
	}
	return some
}

// value writes what follows a field's colon, up to the end of the line.
func (w *yamlWriter) value(v reflect.Value, depth int) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if text, ok := Scalar(v); ok {
		w.out.WriteByte(' ')
		w.scalar(v, text, depth)
		return
	}
	if v.Kind() == reflect.Slice {
		if v.Len() == 0 {
			w.out.WriteString(" []\n")
			return
		}
		w.out.WriteByte('\n')
		for i := range v.Len() {
			w.indent(depth + 1)
			w.out.WriteString("- ")
			item := v.Index(i)
			if text, ok := Scalar(item); ok {
				w.scalar(item, text, depth+1)
			} else if !w.fields(item, depth+2) {
				w.out.WriteString("{}\n")
			}
		}
		return
	}
	// Whether a struct has fields to show is known only after trying.
	var inner yamlWriter
	inner.indent(depth + 1)
	if !inner.fields(v, depth+1) {
		w.out.WriteString(" {}\n")
		return
	}
	w.out.WriteByte('\n')
	w.out.Write(inner.out.Bytes())
}

// Scalar returns the text of a value that is neither struct nor list.
func Scalar(v reflect.Value) (string, bool) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			panic("document: " + err.Error())
		}
		return string(text), true
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10), true
	default:
		return "", false
	}
}

var (
	plainText   = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./ ()+-]*$`)
	plainAmount = regexp.MustCompile(`^[0-9]+(MiB|GiB|TiB|d|h|m|s)$`)
	// plainForm is plain for values of a form, which are never anything else.
	plainForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(kbit/s|Mbit/s|Gbit/s|ms|us|%)$`)
	// reservedText is read as something else than text by some reader of YAML.
	reservedText = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

func (w *yamlWriter) scalar(v reflect.Value, text string, depth int) {
	switch {
	case v.Kind() == reflect.Bool, v.Kind() == reflect.Int && !isText(v),
		plainAmount.MatchString(text), isText(v) && plainForm.MatchString(text),
		plainText.MatchString(text) && !reservedText.MatchString(text) && !strings.HasSuffix(text, " "):
		w.out.WriteString(text + "\n")
	case literalText(text):
		w.out.WriteString("|\n")
		for line := range strings.Lines(text) {
			if line != "\n" {
				w.indent(depth + 1)
			}
			w.out.WriteString(line)
		}
	default:
		w.out.WriteString(quote(text) + "\n")
	}
}

func isText(v reflect.Value) bool {
	_, ok := v.Interface().(encoding.TextMarshaler)
	return ok
}

// literalText reports whether text can be written as a block: several lines,
// the last one ended, none of which a reader could change.
func literalText(text string) bool {
	if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") || strings.Count(text, "\n") < 2 || text[0] == ' ' || text[0] == '\n' {
		return false
	}
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSuffix(line, "\n")
		if trimmed != strings.TrimSpace(trimmed) && strings.TrimRight(trimmed, " ") != trimmed || strings.TrimSpace(trimmed) == "" && trimmed != "" {
			return false
		}
		if strings.ContainsFunc(trimmed, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return false
		}
	}
	return true
}

// quote writes text in double quotes, with the escapes of YAML and JSON.
func quote(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			fmt.Fprintf(&out, `\U%08X`, r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

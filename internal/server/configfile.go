package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
)

// maxConfig is the largest configuration file, in bytes.
const maxConfig = 1 << 20

// LoadConfig reads the configuration file at path over the defaults. Errors
// are *dormer.InvalidError with lines.
func LoadConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("open configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	if len(b) > maxConfig {
		return Config{}, fmt.Errorf("configuration %s: %w (at most %d bytes)", path, dormer.ErrTooLarge, maxConfig)
	}
	c, err := ParseConfig(b)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return c, nil
}

// ParseConfig reads a configuration over the defaults and validates it. It
// never repeats a value: a database's address may hold a password.
func ParseConfig(b []byte) (Config, error) {
	c := Default()
	d := toml.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, explainDecode(err, b)
	}
	if err := c.Validate(); err != nil {
		return Config{}, withLines(err, b)
	}
	return c, nil
}

// explainDecode turns what the decoder says into field errors.
func explainDecode(err error, b []byte) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		invalid := &dormer.InvalidError{}
		for _, e := range strict.Errors {
			line, _ := e.Position()
			key := strings.Join(e.Key(), ".")
			message := "is not a setting"
			if near := nearest(key); near != "" {
				message += "; did you mean " + near + "?"
			}
			invalid.Fields = append(invalid.Fields, dormer.FieldError{Path: key, Line: line, Message: message})
		}
		return invalid
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		// The decoder's own message may quote the value.
		line, _ := e.Position()
		f := dormer.FieldError{Line: line, Message: "is not valid TOML"}
		var whole map[string]any
		valid := toml.Unmarshal(b, &whole) == nil // then a value is of another type than its setting
		for _, k := range keysOf(b) {
			for _, s := range settings() {
				if valid && k.line == line && withoutPlaces(k.path) == s.path {
					f.Path, f.Message = k.path, "expected "+s.noun()
				}
			}
		}
		return &dormer.InvalidError{Fields: []dormer.FieldError{f}}
	}
	return dormer.Invalidf("", "is not valid TOML")
}

// withLines adds the lines on which the wrong settings stand.
func withLines(err error, b []byte) error {
	invalid, ok := errors.AsType[*dormer.InvalidError](err)
	if !ok {
		return err
	}
	keys := keysOf(b)
	for i, f := range invalid.Fields {
		invalid.Fields[i].Line = lineOf(keys, f.Path)
	}
	return invalid
}

// lineOf finds the line that sets path, or, for a key that is missing in one
// of several tables, where the table begins; 0 when neither stands there in a
// plain way.
func lineOf(keys []keyLine, path string) int {
	// A place in a list stands with the list, unless it is a table's.
	for _, p := range []string{path, strings.TrimRight(path, "0123456789[]")} {
		for _, k := range keys {
			if k.path == p {
				return k.line
			}
		}
	}
	if i := strings.LastIndexByte(path, '.'); i > 0 && strings.Contains(path[:i], "[") {
		return lineOf(keys, path[:i])
	}
	return 0
}

// keyLine is where a key or one of several tables stands.
type keyLine struct {
	path string // with places: directories[0].name
	line int
}

// keysOf lists the keys that are set in a plain way.
func keysOf(b []byte) []keyLine {
	var keys []keyLine
	count := map[string]int{} // of tables by their names
	now := ""                 // what the current table's keys begin with
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "[["):
			name, _, _ := strings.Cut(line[2:], "]")
			name = strings.TrimSpace(name)
			table := fmt.Sprintf("%s[%d]", name, count[name])
			count[name]++
			keys = append(keys, keyLine{table, i + 1})
			now = table + "."
		case strings.HasPrefix(line, "["):
			name, _, _ := strings.Cut(line[1:], "]")
			name = strings.TrimSpace(name)
			if first, rest, ok := strings.Cut(name, "."); ok && count[first] > 0 {
				name = fmt.Sprintf("%s[%d].%s", first, count[first]-1, rest)
				keys = append(keys, keyLine{name, i + 1})
			}
			now = name + "."
		default:
			if left, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
				keys = append(keys, keyLine{now + strings.TrimSpace(left), i + 1})
			}
		}
	}
	return keys
}

// withoutPlaces makes directories[0].name directories.name.
func withoutPlaces(path string) string {
	var b strings.Builder
	for path != "" {
		before, rest, _ := strings.Cut(path, "[")
		b.WriteString(before)
		_, path, _ = strings.Cut(rest, "]")
	}
	return b.String()
}

// setting is one key of the configuration.
type setting struct {
	path, doc string
	value     reflect.Value // the default, or an example
	// table is what is said of the table that there may be several of, array how
	// that table is called.
	table, array string
}

func (s setting) noun() string {
	switch s.value.Interface().(type) {
	case Duration:
		return `a duration in quotes, such as "90s", "12h" or "30d"`
	case []string:
		return "a list of strings"
	case []int:
		return "a list of whole numbers"
	case int:
		return "a whole number"
	case bool:
		return "true or false"
	}
	return "a string in quotes"
}

// settings returns all keys with their defaults, in the order of the structs.
func settings() []setting {
	sample := Default()
	sample.Directories, sample.Providers = []DirectoryConfig{sampleDirectory()}, []ProviderConfig{sampleProvider()}
	sample.Forward = sampleForward()
	return settingsOf(reflect.ValueOf(sample), "", "", "")
}

func settingsOf(v reflect.Value, prefix, table, array string) []setting {
	var all []setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		path, doc := prefix+f.Tag.Get("toml"), f.Tag.Get("doc")
		switch {
		case f.Type.Kind() == reflect.Struct:
			all = append(all, settingsOf(v.Field(i), path+".", table, array)...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			all = append(all, settingsOf(v.Field(i).Index(0), path+".", doc, path)...)
		default:
			all = append(all, setting{path: path, doc: doc, value: v.Field(i), table: table, array: array})
		}
	}
	return all
}

// nearest returns the setting whose name is most like key, "" if none is.
func nearest(key string) string {
	best, least := "", 4
	for _, s := range settings() {
		candidates := []string{s.path}
		if i := strings.LastIndexByte(s.path, '.'); i >= 0 && !strings.Contains(key, ".") {
			candidates = append(candidates, s.path[i+1:])
		}
		for _, c := range candidates {
			if d := document.Distance(key, c); d < least {
				best, least = s.path, d
			}
		}
	}
	return best
}

// Explain writes a configuration file in which every setting is explained and
// has its default, commented out; tables of which there may be several are
// examples.
func Explain(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration of dormerd. What is not set has the default shown.\n")
	section := ""
	for _, s := range settings() {
		key := s.path
		if i := strings.LastIndexByte(s.path, '.'); i >= 0 {
			key = s.path[i+1:]
			if name := s.path[:i]; name != section {
				section = name
				b.WriteString("\n" + header(s, name))
			}
		}
		b.WriteString("\n" + wrap(s.doc, "# ") + "#" + key + " = " + literal(s.value) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// header begins the section of s.
func header(s setting, section string) string {
	switch {
	case s.table == "":
		return "[" + section + "]\n"
	case section != s.array:
		return "#[" + section + "]\n"
	}
	return wrap(s.table, "# ") + "#[[" + section + "]]\n"
}

// wrap breaks text into lines of at most 100 characters.
func wrap(text, prefix string) string {
	var b strings.Builder
	line := prefix
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > 100 {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = prefix
		}
		line += word + " "
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

// literal writes a default as TOML.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Duration:
		text, err := x.MarshalText()
		if err != nil {
			return `""`
		}
		return strconv.Quote(string(text))
	case []string:
		quoted := slices.Clone(x)
		for i := range quoted {
			quoted[i] = strconv.Quote(quoted[i])
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case []int:
		numbers := make([]string, len(x))
		for i, n := range x {
			numbers[i] = strconv.Itoa(n)
		}
		return "[" + strings.Join(numbers, ", ") + "]"
	case int:
		return strconv.Itoa(x)
	case bool:
		return strconv.FormatBool(x)
	}
	return strconv.Quote(v.String())
}

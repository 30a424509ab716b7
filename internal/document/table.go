package document

import (
	"reflect"
	"strings"
)

// Table is the form of the tables of a reference page in Markdown: a row for
// each field with its path, meaning, values and default.
type Table struct {
	// More are columns behind these.
	More []Column
}

// Column is one more column of a Table.
type Column struct {
	Title string
	// Cell returns what stands in it for a field, in Markdown.
	Cell func(Field) string
}

// Head returns the head of a table.
func (t *Table) Head() string {
	titles, lines := "| Field | Meaning | Values | Default |", "|---|---|---|---|"
	for _, c := range t.More {
		titles += " " + c.Title + " |"
		lines += "---|"
	}
	return titles + "\n" + lines + "\n"
}

// Row returns the row of one field.
func (t *Table) Row(path string, f Field) string {
	otherwise := f.Tag.Get("default")
	if f.Tag.Get("required") != "" {
		otherwise = "(required)"
	}
	row := "| `" + path + "` |"
	for _, s := range []string{f.Tag.Get("doc"), f.Allowed(), otherwise} {
		row += " " + strings.ReplaceAll(s, "|", `\|`) + " |"
	}
	for _, c := range t.More {
		row += " " + c.Cell(f) + " |"
	}
	return row + "\n"
}

// Rows returns the rows of a field and of everything within it.
func (t *Table) Rows(path string, f Field) string {
	out := t.Row(path, f)
	inner := f.Inner()
	if inner == nil {
		return out
	}
	if f.Type.Kind() == reflect.Slice {
		path += "[]"
	}
	for _, g := range Fields(inner) {
		out += t.Rows(Join(path, g.Name), g)
	}
	return out
}

// Of returns the table of all fields of a type, without what stands around it.
func (t *Table) Of(path string, of reflect.Type) string {
	out := t.Head()
	for _, f := range Fields(of) {
		out += t.Rows(Join(path, f.Name), f)
	}
	return out
}

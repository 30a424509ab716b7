package design

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/dormer-project/dormer/internal/plan/figure"
)

// document is what all writers write: plain text in chapters, without any
// markup. Writers escape it.
type document struct {
	Title    string
	Lead     string
	Chapters []chapter
}

// chapter is a numbered part of a document.
type chapter struct {
	ID     string // unique in the document
	Title  string
	Blocks []block
}

// block is one of the kinds below.
type block interface{ kind() string }

type (
	// paragraph is some sentences.
	paragraph string
	// points are a list, a sentence or two each.
	points []string
	// heading stands above the blocks that follow it.
	heading struct{ ID, Title string }
	// table has as many cells in each row as columns.
	table struct {
		Caption string
		Columns []column
		Rows    [][]string
		// Bare tables have no titles above their columns in text.
		Bare bool
	}
	// formulas are what figures come from, each formula once.
	formulas []*worked
	// chart is a picture where there can be one, and its table everywhere.
	chart struct {
		ID    string
		Title string
		// Text says in a sentence or two what is seen.
		Text  string
		Draw  func(id string) drawing
		Table table
	}
)

func (paragraph) kind() string { return "paragraph" }
func (points) kind() string    { return "points" }
func (heading) kind() string   { return "heading" }
func (table) kind() string     { return "table" }
func (formulas) kind() string  { return "formulas" }
func (chart) kind() string     { return "chart" }

// worked is a formula with the numbers of all places where it is used.
type worked struct {
	Title, Formula string
	From           string // where its constants come from
	Rows           []workedRow
	basis          string
}

// workedRow is the same numbers in one place or several.
type workedRow struct {
	Where          []string
	Numbers, Value string
	From           string // what is beside From of the formula
	sources        []string
}

// gather adds figures of one place. What stands behind a colon in their titles
// is of that place.
func (f *formulas) gather(where string, figures ...figure.Figure) {
	for _, one := range figures {
		numbers := one.Numbers
		if numbers == one.Formula {
			numbers = ""
		}
		title, _, _ := strings.Cut(one.Title, ": ")
		basis, source := basisText(one)
		at := slices.IndexFunc(*f, func(w *worked) bool { return w.Title == title && w.Formula == one.Formula && w.basis == basis })
		if at < 0 {
			at = len(*f)
			*f = append(*f, &worked{Title: title, Formula: one.Formula, basis: basis})
		}
		w, value := (*f)[at], one.Text()
		row := slices.IndexFunc(w.Rows, func(r workedRow) bool { return r.Numbers == numbers && r.Value == value && r.From == source })
		if row < 0 {
			w.Rows = append(w.Rows, workedRow{Numbers: numbers, Value: value, From: source, sources: strings.Split(source, "; ")})
			row = len(w.Rows) - 1
		}
		if !slices.Contains(w.Rows[row].Where, where) {
			w.Rows[row].Where = append(w.Rows[row].Where, where)
		}
	}
}

// settled says once for a formula what all its rows have as their sources.
func (f formulas) settled() formulas {
	for _, w := range f {
		var all []string
		for _, part := range w.Rows[0].sources {
			if !slices.ContainsFunc(w.Rows, func(r workedRow) bool { return !slices.Contains(r.sources, part) }) && part != "" {
				all = append(all, part)
			}
		}
		for i := range w.Rows {
			r := &w.Rows[i]
			r.From = strings.Join(slices.DeleteFunc(slices.Clone(r.sources), func(s string) bool { return s == "" || slices.Contains(all, s) }), "; ")
		}
		w.From = strings.Join(all, "; ")
		switch {
		case w.basis != "" && w.From != "":
			w.From = w.basis + ": " + w.From
		case w.basis != "":
			w.From = w.basis
		}
	}
	return f
}

// basisText says where a figure comes from.
func basisText(f figure.Figure) (basis, source string) {
	source = strings.TrimLeft(strings.TrimPrefix(f.Source, figure.Guide), ",;: ")
	return map[figure.Basis]string{figure.Classic: "classic guide", figure.Measured: "measured", figure.Assumption: "assumption"}[f.Basis], source
}

// column is a column of a table.
type column struct {
	Title string
	Right bool // numbers stand to the right
	// Rank is how soon a column is left out where there is no room: those with
	// the highest rank first, those of rank 0 never.
	Rank int
}

func left(title string) column  { return column{Title: title} }
func right(title string) column { return column{Title: title, Right: true} }

func (c column) rank(n int) column {
	c.Rank = n
	return c
}

// add appends a row; cells are texts or whole numbers.
func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case string:
			row[i] = c
		case int:
			row[i] = figure.Number(c)
		}
	}
	t.Rows = append(t.Rows, row)
}

// without drops columns that are empty in all rows.
func (t table) without() table {
	out := table{Caption: t.Caption, Bare: t.Bare, Rows: make([][]string, len(t.Rows))}
	for i, c := range t.Columns {
		empty := len(t.Rows) > 0
		for _, r := range t.Rows {
			empty = empty && r[i] == ""
		}
		if empty {
			continue
		}
		out.Columns = append(out.Columns, c)
		for j, r := range t.Rows {
			out.Rows[j] = append(out.Rows[j], r[i])
		}
	}
	return out
}

// add appends blocks to a chapter; tables and formulas without rows and lists
// without points are left out.
func (c *chapter) add(blocks ...block) {
	for _, b := range blocks {
		switch b := b.(type) {
		case paragraph:
			if b == "" {
				continue
			}
		case points:
			if len(b) == 0 {
				continue
			}
		case table:
			if len(b.Rows) == 0 {
				continue
			}
			c.Blocks = append(c.Blocks, b.without())
			continue
		case formulas:
			if len(b) == 0 {
				continue
			}
		case chart:
			b.Table = b.Table.without()
			c.Blocks = append(c.Blocks, b)
			continue
		}
		c.Blocks = append(c.Blocks, b)
	}
}

// head appends a heading with an identifier of its own.
func (c *chapter) head(title string) {
	n := 1
	for _, b := range c.Blocks {
		if _, ok := b.(heading); ok {
			n++
		}
	}
	c.Blocks = append(c.Blocks, heading{ID: c.ID + "-" + strconv.Itoa(n), Title: title})
}

// cleaned is the document without anything in its texts that is no character
// to read: control characters and those that turn the direction of what follows.
func (d *document) cleaned() *document {
	out := &document{Title: clean(d.Title), Lead: clean(d.Lead)}
	for _, c := range d.Chapters {
		cleaned := chapter{ID: c.ID, Title: clean(c.Title)}
		for _, b := range c.Blocks {
			switch b := b.(type) {
			case paragraph:
				cleaned.Blocks = append(cleaned.Blocks, paragraph(clean(string(b))))
			case points:
				cleaned.Blocks = append(cleaned.Blocks, points(cleanAll(b)))
			case heading:
				cleaned.Blocks = append(cleaned.Blocks, heading{b.ID, clean(b.Title)})
			case table:
				cleaned.Blocks = append(cleaned.Blocks, b.cleaned())
			case chart:
				b.Table = b.Table.cleaned()
				cleaned.Blocks = append(cleaned.Blocks, b)
			case formulas:
				cleaned.Blocks = append(cleaned.Blocks, b.cleaned())
			}
		}
		out.Chapters = append(out.Chapters, cleaned)
	}
	return out
}

func (t table) cleaned() table {
	t.Caption, t.Rows = clean(t.Caption), slices.Clone(t.Rows)
	for i, r := range t.Rows {
		t.Rows[i] = cleanAll(r)
	}
	return t
}

func (f formulas) cleaned() formulas {
	out := make(formulas, len(f))
	for i, one := range f {
		w := &worked{Title: clean(one.Title), Formula: clean(one.Formula), From: clean(one.From), Rows: slices.Clone(one.Rows)}
		for j := range w.Rows {
			r := &w.Rows[j]
			r.Where, r.Numbers, r.Value, r.From = cleanAll(r.Where), clean(r.Numbers), clean(r.Value), clean(r.From)
		}
		out[i] = w
	}
	return out
}

func cleanAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = clean(s)
	}
	return out
}

// clean keeps names from outside from steering a terminal or turning what
// stands beside them; what is no character to read becomes a replacement.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		default:
			return r
		}
	}, s)
}

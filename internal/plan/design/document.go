package design

import (
	"strconv"

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
	}
	// formulas are figures with what they come from.
	formulas struct {
		Caption string
		Figures []figure.Figure
	}
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
			row[i] = number(c)
		}
	}
	t.Rows = append(t.Rows, row)
}

// without drops columns that are empty in all rows.
func (t table) without() table {
	out := table{Caption: t.Caption, Rows: make([][]string, len(t.Rows))}
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
			if len(b.Figures) == 0 {
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

// Package design writes a plan as the design document that an architect hands
// over: as text for a terminal, as Markdown, and as one HTML file with charts.
//
// It is a domain package: it writes to what it is given and does no other input
// or output. A document is plain text in chapters, tables, formulas and charts;
// the three writers escape it, each in its way, so that no name in a plan can
// be anything but a name. Nothing here reads the clock: the same plan has the
// same document, to the byte.
package design

import (
	"io"

	"github.com/dormer-project/dormer/internal/plan"
)

// Width is how many columns a text has that no terminal shows.
const Width = 100

// Text writes the design document for a terminal of so many columns; tables
// are cut to a length that people read, and say so. With width 0 it is as wide
// as it has to be and complete.
func Text(w io.Writer, p *plan.Plan, width int) error {
	return writeText(w, planned(p, width > 0).cleaned(), width)
}

// Markdown writes the design document, complete.
func Markdown(w io.Writer, p *plan.Plan) error { return writeMarkdown(w, planned(p, false).cleaned()) }

// HTML writes the design document as one page with charts, complete. The page
// has no script and asks nobody for anything.
func HTML(w io.Writer, p *plan.Plan) error { return writeHTML(w, planned(p, false).cleaned()) }

// TextComparison writes what differs between two plans, as Text does.
func TextComparison(w io.Writer, c *plan.Comparison, width int) error {
	return writeText(w, compared(c).cleaned(), width)
}

// MarkdownComparison writes what differs between two plans, complete.
func MarkdownComparison(w io.Writer, c *plan.Comparison) error {
	return writeMarkdown(w, compared(c).cleaned())
}

// HTMLComparison writes what differs between two plans as one page.
func HTMLComparison(w io.Writer, c *plan.Comparison) error {
	return writeHTML(w, compared(c).cleaned())
}

package design

import (
	"io"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/dormer-project/dormer/internal/plan/figure"
)

const (
	// mostRows is how many rows of a table a terminal gets.
	mostRows = 30
	// mostNumbers is how many rows a formula gets.
	mostNumbers = 6
	// leastWidth is how narrow a page may become. Words up to longWord characters
	// are broken only where there is no room else, those of breakable ones even
	// before columns are left out.
	leastWidth = 60
	fullWidth  = 100 // of a complete text, but for its tables
	longWord   = 26
	breakable  = 14
	leastCell  = 8
	gap        = 2
)

// page writes a document for a terminal.
type page struct {
	strings.Builder
	width int
	// complete says that no row or column may be left out: tables are wider than
	// the page where they have to be.
	complete bool
}

func writeText(w io.Writer, d *document, columns int) error {
	p := &page{width: max(columns, leastWidth)}
	if columns <= 0 {
		p.width, p.complete = fullWidth, true
	}
	p.underlined(d.Title, "=")
	if d.Lead != "" {
		p.line("")
		p.wrapped(d.Lead, "", "")
	}
	for i, c := range d.Chapters {
		title := strconv.Itoa(i+1) + ". " + c.Title
		p.line("")
		p.underlined(title, "-")
		for _, b := range c.Blocks {
			p.line("")
			p.block(b)
		}
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) block(b block) {
	switch b := b.(type) {
	case paragraph:
		p.wrapped(string(b), "", "")
	case points:
		for _, s := range b {
			p.wrapped(s, "* ", "  ")
		}
	case heading:
		p.underlined(b.Title, "~")
	case table:
		p.table(b)
	case chart:
		b.Table.Caption = b.Title
		p.table(b.Table)
	case formulas:
		p.formulas(b)
	}
}

func (p *page) line(s string) {
	p.WriteString(strings.TrimRight(s, " "))
	p.WriteByte('\n')
}

// underlined writes a title.
func (p *page) underlined(title, with string) {
	longest := 0
	for _, l := range wrap(title, p.width) {
		p.line(l)
		longest = max(longest, cells(l))
	}
	p.line(strings.Repeat(with, longest))
}

// wrapped writes text in lines, the first after one indent and the others after
// the other.
func (p *page) wrapped(text, first, rest string) {
	room := p.width - max(cells(first), cells(rest))
	indent := first
	for _, l := range wrap(text, room) {
		p.line(indent + l)
		indent = rest
	}
}

// formulas writes each formula once, and below it the numbers of all places.
func (p *page) formulas(all formulas) {
	for i, f := range all {
		if i > 0 {
			p.line("")
		}
		title := f.Title
		if f.Formula != "" {
			title += " = " + f.Formula
		}
		p.wrapped(title, "", "    ")
		if f.From != "" {
			p.wrapped("("+f.From+")", "    ", "     ")
		}
		t := table{Bare: true, Columns: []column{right(""), left(""), left("")}}
		for _, r := range f.Rows {
			numbers := r.Numbers
			if numbers != "" {
				numbers = "= " + numbers
			}
			where := p.places(r.Where)
			if r.From != "" {
				where = strings.TrimPrefix(where+": "+r.From, ": ")
			}
			t.add(r.Value, numbers, where)
		}
		p.table(t.without())
	}
}

// places names where numbers are used; the first ones of many on a terminal.
func (p *page) places(where []string) string {
	if p.complete {
		return strings.Join(where, ", ")
	}
	return few(where)
}

// table writes a table that fits: texts are wrapped, and columns for which
// there is no room all the same are left out and named.
func (p *page) table(t table) {
	if t.Caption != "" {
		p.wrapped(t.Caption, "", "")
	}
	rows, more, most := t.Rows, 0, mostRows
	if t.Bare {
		most = mostNumbers
	}
	if !p.complete && len(rows) > most+most/6 {
		rows, more = rows[:most], len(rows)-most
	}
	shown, widths, gone := p.fit(t, rows)
	head := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = strings.ToUpper(c.Title)
	}
	if !t.Bare {
		p.row(t, head, shown, widths)
	}
	for _, r := range rows {
		p.row(t, r, shown, widths)
	}
	if more > 0 {
		p.wrapped("and "+figure.Number(more)+" more (--wide, Markdown, HTML and JSON have all of them)", "  ", "  ")
	}
	if len(gone) > 0 {
		p.wrapped("left out for want of room: "+strings.Join(gone, ", ")+" (--wide has all columns)", "  ", "  ")
	}
}

// row writes one row, in as many lines as its longest cell takes.
func (p *page) row(t table, row []string, shown, widths []int) {
	lines := make([][]string, len(shown))
	most := 1
	for i, at := range shown {
		text := row[at]
		if text == "" && !t.Bare {
			text = "-"
		}
		lines[i] = wrap(text, widths[at])
		most = max(most, len(lines[i]))
	}
	for n := range most {
		var b strings.Builder
		for i, at := range shown {
			text := ""
			if n < len(lines[i]) {
				text = lines[i][n]
			}
			pad := strings.Repeat(" ", max(widths[at]-cells(text), 0))
			if i > 0 {
				b.WriteString(strings.Repeat(" ", gap))
			}
			if t.Columns[at].Right {
				b.WriteString(pad + text)
			} else {
				b.WriteString(text + pad)
			}
		}
		p.line(b.String())
	}
}

// fit says which columns are shown and how wide, and the titles of the others.
func (p *page) fit(t table, rows [][]string) (shown, widths []int, gone []string) {
	natural, least := make([]int, len(t.Columns)), make([]int, len(t.Columns))
	for i, c := range t.Columns {
		natural[i] = cells(c.Title)
		least[i] = longestWord(c.Title)
		for _, r := range rows {
			text := r[i]
			natural[i] = max(natural[i], cells(text), 1)
			if c.Right {
				least[i] = max(least[i], cells(text))
			} else {
				least[i] = max(least[i], min(longestWord(text), longWord))
			}
		}
		shown = append(shown, i)
	}
	if !p.complete {
		least = narrowed(t, shown, least, p.width, breakable)
	}
	for {
		need, last := -gap, -1
		for at, i := range shown {
			need += least[i] + gap
			if t.Columns[i].Rank > 0 && (last < 0 || t.Columns[i].Rank >= t.Columns[shown[last]].Rank) {
				last = at
			}
		}
		switch {
		case p.complete:
			need = min(need, p.width)
		case last < 0:
			least = narrowed(t, shown, least, p.width, leastCell)
			need = min(need, p.width)
		}
		if need <= p.width {
			need = -gap
			for _, i := range shown {
				need += least[i] + gap
			}
			return shown, shared(shown, natural, least, p.width-need), gone
		}
		gone = append(gone, t.Columns[shown[last]].Title)
		shown = append(shown[:last:last], shown[last+1:]...)
	}
}

// narrowed are the least widths with words broken in the widest columns, as far
// as it takes to fit and no further than to so many characters.
func narrowed(t table, shown, least []int, width, floor int) []int {
	for {
		need, most := -gap, -1
		for _, i := range shown {
			need += least[i] + gap
			if !t.Columns[i].Right && least[i] > max(floor, longestWord(t.Columns[i].Title)) && (most < 0 || least[i] > least[most]) {
				most = i
			}
		}
		if need <= width || most < 0 {
			return least
		}
		least[most]--
	}
}

// shared gives the columns their least width and shares out what is left, one
// by one to the one that lacks most.
func shared(shown, natural, least []int, left int) []int {
	out := make([]int, len(natural))
	copy(out, least)
	for ; left > 0; left-- {
		most := -1
		for _, i := range shown {
			if out[i] < natural[i] && (most < 0 || natural[i]*out[most] > natural[most]*out[i]) {
				most = i
			}
		}
		if most < 0 {
			break
		}
		out[most]++
	}
	return out
}

func longestWord(s string) int {
	longest := 1
	for w := range strings.FieldsSeq(s) {
		longest = max(longest, cells(w))
	}
	return longest
}

// wrap breaks a text into lines of so many cells; 0: one line. Words that are
// longer are broken.
func wrap(s string, room int) []string {
	if room <= 0 || cells(s) <= room {
		return []string{s}
	}
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(s) {
		n := cells(word)
		if used > 0 && used+1+n > room {
			lines, line, used = append(lines, line), "", 0
		}
		for n > room {
			head := brokenAt(cut(word, room))
			lines, word = append(lines, head), word[len(head):]
			n = cells(word)
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// cut is the beginning of s that takes so many cells, one character at least.
func cut(s string, room int) string {
	used := 0
	for i, r := range s {
		used += runeCells(r)
		if used > room && i > 0 {
			return s[:i]
		}
	}
	return s
}

// brokenAt shortens the beginning of a word that must be broken so that it ends
// with a sign at which names fall apart, as the dots of a domain, unless little
// were left.
func brokenAt(head string) string {
	if at := strings.LastIndexAny(head, ".-/_"); at+1 > len(head)/3 {
		return head[:at+1]
	}
	return head
}

// cells is how many columns of a terminal a text takes.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
		return 0
	}
	if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		return 2
	}
	return 1
}

package design

import (
	"io"
	"strconv"
	"strings"
)

// writeMarkdown writes a document as GitHub reads it.
func writeMarkdown(w io.Writer, d *document) error {
	var b strings.Builder
	b.WriteString("# " + markdown(d.Title) + "\n")
	if d.Lead != "" {
		b.WriteString("\n" + markdown(d.Lead) + "\n")
	}
	for i, c := range d.Chapters {
		b.WriteString("\n## " + strconv.Itoa(i+1) + ". " + markdown(c.Title) + "\n")
		for _, block := range c.Blocks {
			b.WriteByte('\n')
			markdownBlock(&b, block)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownBlock(b *strings.Builder, of block) {
	switch of := of.(type) {
	case paragraph:
		b.WriteString(markdown(string(of)) + "\n")
	case points:
		for _, s := range of {
			b.WriteString("- " + markdown(s) + "\n")
		}
	case heading:
		b.WriteString("### " + markdown(of.Title) + "\n")
	case table:
		markdownTable(b, of)
	case chart:
		of.Table.Caption = of.Title
		markdownTable(b, of.Table)
	case formulas:
		markdownTable(b, of.table())
	}
}

// table is the formulas as a table.
func (f formulas) table() table {
	t := table{Columns: []column{left("Formula"), left("Where"), left("Numbers"), right("Value")}}
	for _, one := range f {
		title := one.Title
		if one.Formula != "" {
			title += " = " + one.Formula
		}
		if one.From != "" {
			title += " (" + one.From + ")"
		}
		for _, r := range one.Rows {
			where := strings.Join(r.Where, ", ")
			if r.From != "" {
				where = strings.TrimPrefix(where+": "+r.From, ": ")
			}
			t.add(title, where, r.Numbers, r.Value)
			title = ""
		}
	}
	return t
}

func markdownTable(b *strings.Builder, t table) {
	if t.Caption != "" {
		b.WriteString("**" + markdown(t.Caption) + "**\n\n")
	}
	for _, c := range t.Columns {
		b.WriteString("| " + markdown(c.Title) + " ")
	}
	b.WriteString("|\n")
	for _, c := range t.Columns {
		if c.Right {
			b.WriteString("|---:")
		} else {
			b.WriteString("|---")
		}
	}
	b.WriteString("|\n")
	for _, r := range t.Rows {
		for _, cell := range r {
			b.WriteString("| " + markdown(cell) + " ")
		}
		b.WriteString("|\n")
	}
}

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"|", `\|`, "~", `\~`, "$", `\$`, "://", `:\//`, "www.", `www\.`, "@", "&#64;",
)

// markdown writes a text so that it is read as it stands: no markup, no links,
// nobody notified.
func markdown(s string) string {
	s = markdownEscapes.Replace(s)
	switch {
	case s == "":
		return s
	case strings.ContainsRune("#+-=", rune(s[0])):
		return `\` + s
	}
	rest := strings.TrimLeft(s, "0123456789")
	if len(rest) < len(s) && (strings.HasPrefix(rest, ". ") || strings.HasPrefix(rest, ") ")) {
		return s[:len(s)-len(rest)] + `\` + rest
	}
	return s
}

package design

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strconv"
)

//go:embed page.css
var pageStyle string

//go:embed page.tmpl
var pageTemplate string

// pageHTML is one file that asks nobody for anything: no script, no font, no
// picture from elsewhere; the policy in its head forbids it to what is in it.
var pageHTML = template.Must(template.New("page").Funcs(template.FuncMap{
	"next": func(i int) int { return i + 1 },
	"kind": func(b block) string { return b.kind() },
	"figures": func(f formulas) []workedFigure {
		out := make([]workedFigure, len(f.Figures))
		for i, one := range f.Figures {
			out[i] = workedFigure{one.Title, one.Text(), one.Formula, one.Numbers, basisText(one)}
			if one.Numbers == one.Formula {
				out[i].Numbers = ""
			}
		}
		return out
	},
	"drawn": func(c chart) drawn { return drawn{c.ID, c.Title, c.Text, c.Draw(c.ID)} },
}).Parse(pageTemplate))

type (
	// workedFigure is a figure as the page shows it.
	workedFigure struct{ Title, Value, Formula, Numbers, From string }
	// drawn is a chart with its picture.
	drawn struct {
		ID, Title, Text string
		drawing
	}
)

func writeHTML(w io.Writer, d *document) error {
	hash := sha256.Sum256([]byte(pageStyle))
	return pageHTML.Execute(w, struct {
		*document
		Style  template.CSS
		Policy string
	}{d, template.CSS(pageStyle), "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"})
}

// chartID numbers the charts of a document.
func chartID(n int) string { return "chart-" + strconv.Itoa(n) }

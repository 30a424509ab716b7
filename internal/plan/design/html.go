package design

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"strconv"
	"strings"
)

//go:embed page.css
var pageStyle string

//go:embed page.tmpl
var pageTemplate string

// pageHTML is one file that asks nobody for anything: no script, no font, no
// picture from elsewhere; the policy in its head forbids it to what is in it.
var pageHTML = template.Must(template.New("page").Funcs(template.FuncMap{
	"next":  func(i int) int { return i + 1 },
	"clean": clean,
	"kind":  func(b block) string { return b.kind() },
	"join":  func(names []string) string { return strings.Join(names, ", ") },
	"drawn": func(c chart) drawn { return drawn{c.ID, c.Title, c.Text, c.Draw(c.ID)} },
}).Parse(pageTemplate))

// drawn is a chart with its picture.
type drawn struct {
	ID, Title, Text string
	drawing
}

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

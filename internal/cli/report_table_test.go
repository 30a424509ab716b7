package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// reportTable is a table of one row for every column of a report.
func reportTable(kind report.Kind, text string) textTable {
	var t textTable
	var row []string
	for _, c := range kind.Columns() {
		t.columns = append(t.columns, rest.ReportColumn{Name: c.Name, Title: c.Title, Type: string(c.Type), Rank: c.Rank})
		switch c.Type {
		case "time":
			row = append(row, "2026-11-22 12:00:00")
		case "number":
			row = append(row, "12")
		case "flag":
			row = append(row, "yes")
		default:
			row = append(row, text)
		}
	}
	t.rows = [][]string{row}
	return t
}

func (t textTable) width() int {
	all := -columnGap
	for i, c := range t.columns {
		w := utf8.RuneCountInString(c.Title)
		for _, r := range t.rows {
			w = max(w, utf8.RuneCountInString(r[i]))
		}
		all += w + columnGap
	}
	return all
}

// TestFit: every report fits on a terminal, and the columns that matter most
// are on it.
func TestFit(t *testing.T) {
	for _, kind := range report.Kinds() {
		for _, text := range []string{"x", "with some words", strings.Repeat("long ä", 50)} {
			table := reportTable(kind, text)
			for _, width := range []int{40, 80, 132, 200, 1000} {
				got, left := table.fit(width)
				if w := got.width(); w > width {
					t.Errorf("%s on %d columns is %d wide", kind, width, w)
				}
				first := func(c rest.ReportColumn) bool { return c.Rank == 1 }
				if len(got.columns) == 0 || !slices.ContainsFunc(got.columns, first) || len(got.columns)+len(left) != shown(table) {
					t.Errorf("%s on %d columns shows %d and leaves out %v", kind, width, len(got.columns), left)
				}
				if width >= 80 && len(got.columns) < 4 {
					t.Errorf("%s on %d columns shows %d only", kind, width, len(got.columns))
				}
			}
			if got, left := table.fit(0); len(left) > 0 || len(got.columns) != shown(table) {
				t.Errorf("%s without a terminal leaves out %v", kind, left)
			}
			table.chosen = true
			if got, _ := table.fit(0); len(got.columns) != len(table.columns) {
				t.Errorf("%s: chosen columns are left out", kind)
			}
		}
	}
}

func shown(t textTable) int {
	n := 0
	for _, c := range t.columns {
		if c.Rank > 0 {
			n++
		}
	}
	return n
}

func TestCells(t *testing.T) {
	rows, err := cells(rest.ReportPage[json.RawMessage]{
		Columns: []rest.ReportColumn{
			{Name: "t", Type: "time"}, {Name: "s", Type: "text"}, {Name: "n", Type: "number"}, {Name: "f", Type: "flag"}, {Name: "l", Type: "list"}, {Name: "x", Type: "text"},
		},
		Items: []json.RawMessage{[]byte(`{"t":"2026-11-22T12:00:00.5+01:00","s":"<a>","n":9007199254740993,"f":false,"l":["a","b"]}`)},
	})
	if got := strings.Join(rows[0], "|"); err != nil || got != "2026-11-22 12:00:00|<a>|9007199254740993|no|a, b|" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := cells(rest.ReportPage[json.RawMessage]{Items: []json.RawMessage{[]byte(`[]`)}}); err == nil {
		t.Error("a row that is no object is shown")
	}
}

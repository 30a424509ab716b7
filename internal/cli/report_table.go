package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// cells are the rows of a page as people read them.
func cells(page rest.ReportPage[json.RawMessage]) ([][]string, error) {
	rows := make([][]string, len(page.Items))
	for i, item := range page.Items {
		d := json.NewDecoder(bytes.NewReader(item))
		d.UseNumber()
		var values map[string]any
		if err := d.Decode(&values); err != nil {
			return nil, fmt.Errorf("the server's answer is not as expected: %w", dormer.ErrCorrupt)
		}
		rows[i] = make([]string, len(page.Columns))
		for j, c := range page.Columns {
			rows[i][j] = cell(c, values[c.Name])
		}
	}
	return rows, nil
}

func cell(c rest.ReportColumn, v any) string {
	switch v := v.(type) {
	case string:
		if c.Type == string(export.Time) {
			if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
				return t.Format(time.DateTime)
			}
		}
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case json.Number:
		return v.String()
	case []any:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = fmt.Sprint(p)
		}
		return strings.Join(parts, ", ")
	}
	return ""
}

// textTable is a report that is printed.
type textTable struct {
	columns []rest.ReportColumn
	rows    [][]string
	// chosen columns are shown whatever their rank is.
	chosen bool
}

// print prints the table as wide as the terminal is, or as it has to be with
// wide or where there is no terminal. It returns the names of what was left
// out for want of room.
func (t textTable) print(a *app, wide bool) ([]string, error) {
	width := 0
	if f, ok := a.Out.(interface{ Fd() uintptr }); ok && !wide && term.IsTerminal(int(f.Fd())) {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			width = w
		}
	}
	fitted, left := t.fit(width)
	headers := make([]string, len(fitted.columns))
	for i, c := range fitted.columns {
		headers[i] = strings.ToUpper(c.Title)
	}
	return left, a.print(nil, headers, fitted.rows)
}

const (
	columnGap = 2
	// leastWidth is how narrow a column of text may become.
	leastWidth = 12
)

// fit leaves out the columns of which there is no need, and where width is not
// 0 those for which there is no room, and cuts texts so that the others have
// some.
func (t textTable) fit(width int) (textTable, []string) {
	type place struct{ at, natural, least int }
	var places []place
	for i, c := range t.columns {
		if c.Rank == 0 && !t.chosen {
			continue
		}
		p := place{at: i, natural: utf8.RuneCountInString(c.Title)}
		for _, r := range t.rows {
			p.natural = max(p.natural, utf8.RuneCountInString(r[i]))
		}
		p.least = p.natural
		if c.Type == string(export.Text) || c.Type == string(export.List) {
			p.least = min(p.natural, max(leastWidth, utf8.RuneCountInString(c.Title)))
		}
		places = append(places, p)
	}
	var left []string
	widths := make([]int, len(t.columns))
	if width > 0 {
		byRank := slices.Clone(places)
		slices.SortStableFunc(byRank, func(a, b place) int { return t.columns[a.at].Rank - t.columns[b.at].Rank })
		room := width + columnGap
		kept := map[int]bool{}
		for _, p := range byRank {
			if p.least+columnGap > room && len(kept) > 0 {
				left = append(left, t.columns[p.at].Name)
				continue
			}
			kept[p.at] = true
			widths[p.at] = p.least
			room -= p.least + columnGap
		}
		for _, p := range byRank {
			if kept[p.at] {
				more := max(min(p.natural-p.least, room), 0)
				widths[p.at] += more
				room -= more
			}
		}
		places = slices.DeleteFunc(places, func(p place) bool { return !kept[p.at] })
	}
	out := textTable{rows: make([][]string, len(t.rows))}
	for _, p := range places {
		out.columns = append(out.columns, t.columns[p.at])
		for i, r := range t.rows {
			out.rows[i] = append(out.rows[i], narrowed(r[p.at], widths[p.at]))
		}
	}
	return out, left
}

// narrowed shortens a text to so many characters; 0: it stays.
func narrowed(s string, width int) string {
	if width == 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// localZone is the name of this computer's time zone, empty when it is not
// known by name.
func (a *app) localZone() string {
	name := strings.TrimPrefix(a.Env("TZ"), ":")
	if name == "" {
		target, err := filepath.EvalSymlinks("/etc/localtime")
		if err != nil {
			return ""
		}
		_, name, _ = strings.Cut(target, "zoneinfo/")
	}
	if _, err := time.LoadLocation(name); err != nil || strings.HasPrefix(name, "/") {
		return ""
	}
	return name
}

// writeTable writes a table to the file that the flags name. The file is there
// when all of it is.
func (a *app) writeTable(s shownAs, write func(export.Format, io.Writer) error) error {
	format := s.format
	if format == "" {
		format = strings.TrimPrefix(filepath.Ext(s.output), ".")
	}
	f, err := export.ParseFormat(format)
	if err != nil {
		return usageError{errors.New("the name of the file must end in .xlsx, .csv, .json or .ndjson, or name one of these with --format")}
	}
	if s.output == "-" || s.output == "" {
		return write(f, a.Out)
	}
	if err := durable.Write(s.output, func(w io.Writer) error { return write(f, w) }); err != nil {
		return err
	}
	info, err := os.Stat(s.output)
	if err != nil {
		return fmt.Errorf("look at what was written: %w", err)
	}
	return a.say(writtenFile{File: s.output, Bytes: info.Size()}, "Written to %s (%s).", s.output, size(info.Size()))
}

// writtenFile is what --json prints of a file.
type writtenFile struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

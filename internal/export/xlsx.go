package export

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// Limits of .xlsx files: the format's own, but for the first.
const (
	// sheetRows is how many rows a sheet has beside its header; more go on the
	// next sheet.
	sheetRows = excelize.TotalRows - 1
	// cellText is how many UTF-16 units a cell holds.
	cellText = excelize.TotalCellChars
	// sheetName is how long the name of a sheet may be.
	sheetName = 28 // and a number
)

// xlsxWriter writes sheets with a header that stays in view and filters.
type xlsxWriter struct {
	file    *excelize.File
	columns []Column
	options Options
	moment  int // style of times
	header  int
	sheets  int
	stream  *excelize.StreamWriter
	rows    int // on the sheet, without the header
	most    int
	cells   []any
}

func newXLSX(w io.Writer, columns []Column, o Options) (*xlsxWriter, error) {
	f := excelize.NewFile(excelize.Options{TmpDir: o.Folder})
	// The library would hold the packed file in memory, else.
	f.SetZipWriter(func(io.Writer) excelize.ZipWriter { return zip.NewWriter(w) })
	x := &xlsxWriter{file: f, columns: columns, options: o, most: sheetRows, cells: make([]any, len(columns))}
	layout := "yyyy-mm-dd hh:mm:ss"
	var err error
	if x.moment, err = f.NewStyle(&excelize.Style{CustomNumFmt: &layout}); err == nil {
		x.header, err = f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	}
	if err == nil {
		err = x.nextSheet()
	}
	if err != nil {
		x.Discard()
		return nil, wrap(err)
	}
	return x, nil
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("write .xlsx file: %w", err)
	}
	return nil
}

// nextSheet begins a sheet.
func (x *xlsxWriter) nextSheet() error {
	x.sheets++
	x.rows = 0
	title := tabName(x.options.Title)
	if x.sheets > 1 {
		title = fmt.Sprintf("%s %d", title, x.sheets)
		if _, err := x.file.NewSheet(title); err != nil {
			return err
		}
	} else if err := x.file.SetSheetName("Sheet1", title); err != nil {
		return err
	}
	var err error
	if x.stream, err = x.file.NewStreamWriter(title); err != nil {
		return err
	}
	for i, c := range x.columns {
		if err := x.stream.SetColWidth(i+1, i+1, columnWidth(c)); err != nil {
			return err
		}
	}
	if err := x.stream.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	for i, c := range x.columns {
		text := c.Title
		if c.Type == Time {
			text += " (" + x.options.Zone.String() + ")"
		}
		x.cells[i] = excelize.Cell{StyleID: x.header, Value: text}
	}
	return x.stream.SetRow("A1", x.cells)
}

// columnWidth is about how many characters a column shows.
func columnWidth(c Column) float64 {
	switch c.Type {
	case Time:
		return 24
	case Number, Flag:
		return 12
	default:
		return 28
	}
}

// tabName makes a title fit to name a sheet.
func tabName(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`:\/?*[]'`, r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if s = strings.TrimSpace(shorten(s, sheetName)); s == "" {
		return "Table"
	}
	return s
}

// shorten keeps a text within so many UTF-16 units.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	units := 0
	for i, r := range s {
		n := 1
		if r > 0xffff {
			n = 2
		}
		if units+n > most {
			return s[:i]
		}
		units += n
	}
	return s
}

// Row implements Writer.
func (x *xlsxWriter) Row(values []any) error {
	if x.rows == x.most {
		if err := errors.Join(x.endSheet(), x.nextSheet()); err != nil {
			return wrap(err)
		}
	}
	for i, c := range x.columns {
		cell, err := x.cell(c, values[i])
		if err != nil {
			return err
		}
		x.cells[i] = cell
	}
	x.rows++
	at, err := excelize.CoordinatesToCellName(1, x.rows+1)
	if err != nil {
		return wrap(err)
	}
	return wrap(x.stream.SetRow(at, x.cells))
}

func (x *xlsxWriter) cell(c Column, v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return written(v), nil
	case int64:
		return v, nil
	case bool:
		return v, nil
	case []string:
		return written(strings.Join(v, ", ")), nil
	case time.Time:
		if v.IsZero() {
			return nil, nil
		}
		// A spreadsheet knows no zones: what it shows is the local time.
		l := v.In(x.options.Zone)
		_, offset := l.Zone()
		return excelize.Cell{StyleID: x.moment, Value: l.Add(time.Duration(offset) * time.Second).UTC()}, nil
	default:
		return nil, mistyped(c, v)
	}
}

// written is a text as a cell holds it: XML knows no control characters, and
// there is a longest one.
func written(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == 0xfffe || r == 0xffff {
			return utf8.RuneError
		}
		return r
	}, s)
	return shorten(s, cellText)
}

// endSheet gives the sheet its filters.
func (x *xlsxWriter) endSheet() error {
	// A table has at least one row beside its header.
	end, err := excelize.CoordinatesToCellName(len(x.columns), max(x.rows, 1)+1)
	if err != nil {
		return err
	}
	shown := true
	table := &excelize.Table{Range: "A1:" + end, Name: fmt.Sprintf("Rows%d", x.sheets), ShowHeaderRow: &shown, StyleName: "TableStyleLight1"}
	return errors.Join(x.stream.AddTable(table), x.stream.Flush())
}

// Close implements Writer.
func (x *xlsxWriter) Close() error {
	err := x.endSheet()
	if err == nil {
		_, err = x.file.WriteTo(io.Discard)
	}
	return wrap(errors.Join(err, x.file.Close()))
}

// Discard implements Writer.
func (x *xlsxWriter) Discard() {
	// What cannot be removed of a file that is given up lies in the folder for
	// temporary files, which the system clears.
	_ = x.file.Close()
}

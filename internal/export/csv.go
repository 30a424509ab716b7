package export

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// csvWriter writes RFC 4180: lines end in CR LF, the first names the columns.
type csvWriter struct {
	buffer  *bufio.Writer
	w       *csv.Writer
	columns []Column
	zone    *time.Location
	cells   []string
}

func newCSV(w io.Writer, columns []Column, o Options) (*csvWriter, error) {
	b := bufio.NewWriterSize(w, 64<<10)
	c := &csvWriter{buffer: b, w: csv.NewWriter(b), columns: columns, zone: o.Zone, cells: make([]string, len(columns))}
	c.w.UseCRLF = true
	for i, column := range columns {
		c.cells[i] = column.Name
	}
	return c, c.write()
}

// Row implements Writer.
func (c *csvWriter) Row(values []any) error {
	for i, column := range c.columns {
		cell, err := c.cell(column, values[i])
		if err != nil {
			return err
		}
		c.cells[i] = cell
	}
	return c.write()
}

func (c *csvWriter) write() error {
	if err := c.w.Write(c.cells); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (c *csvWriter) cell(column Column, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return harmless(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case time.Time:
		return v.In(c.zone).Format(timeLayout), nil
	case bool:
		return strconv.FormatBool(v), nil
	case []string:
		return harmless(strings.Join(v, ", ")), nil
	default:
		return "", mistyped(column, v)
	}
}

// harmless keeps a text from being a formula where a spreadsheet opens the
// file: an apostrophe is put before what could begin one, as OWASP advises.
// Spaces before it do not make it harmless; neither do wide forms of the signs.
func harmless(s string) string {
	rest := strings.TrimLeft(s, " \u00a0\u3000\ufeff")
	if rest == "" || !strings.ContainsAny(rest[:1], "=+-@\t\r\n") && !strings.HasPrefix(rest, "＝") &&
		!strings.HasPrefix(rest, "＋") && !strings.HasPrefix(rest, "－") && !strings.HasPrefix(rest, "＠") {
		return s
	}
	return "'" + s
}

// Close implements Writer.
func (c *csvWriter) Close() error {
	c.w.Flush()
	if err := c.w.Error(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	if err := c.buffer.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// Discard implements Writer.
func (*csvWriter) Discard() {}

package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// jsonWriter writes an array with an object on each line, or the lines alone.
type jsonWriter struct {
	w       *bufio.Writer
	columns []Column
	zone    *time.Location
	lines   bool
	begun   bool
	object  bytes.Buffer
}

func newJSON(w io.Writer, columns []Column, o Options, lines bool) *jsonWriter {
	return &jsonWriter{w: bufio.NewWriterSize(w, 64<<10), columns: columns, zone: o.Zone, lines: lines}
}

// Row implements Writer.
func (j *jsonWriter) Row(values []any) error {
	j.object.Reset()
	switch {
	case j.lines:
	case j.begun:
		j.object.WriteString(",\n")
	default:
		j.object.WriteString("[\n")
	}
	j.begun = true
	if err := appendObject(&j.object, j.columns, values, j.zone); err != nil {
		return err
	}
	if j.lines {
		j.object.WriteByte('\n')
	}
	return j.written(j.w.Write(j.object.Bytes()))
}

func (*jsonWriter) written(_ int, err error) error {
	if err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// Close implements Writer.
func (j *jsonWriter) Close() error {
	end := "\n]\n"
	switch {
	case j.lines:
		end = ""
	case !j.begun:
		end = "[]\n"
	}
	if err := j.written(j.w.WriteString(end)); err != nil {
		return err
	}
	return j.written(0, j.w.Flush())
}

// Discard implements Writer.
func (*jsonWriter) Discard() {}

// Object is a row as a JSON object. Members are in the order of the columns; a
// value that is not there has none. Times are those of zone.
func Object(columns []Column, values []any, zone *time.Location) (json.RawMessage, error) {
	var b bytes.Buffer
	err := appendObject(&b, columns, values, zone)
	return b.Bytes(), err
}

func appendObject(b *bytes.Buffer, columns []Column, values []any, zone *time.Location) error {
	b.WriteByte('{')
	first := true
	for i, c := range columns {
		v := values[i]
		switch t := v.(type) {
		case nil:
			continue
		case time.Time:
			v = t.In(zone).Format(time.RFC3339Nano)
		case []string:
			if t == nil {
				continue
			}
		case string, int64, bool:
		default:
			return mistyped(c, v)
		}
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteByte('"')
		b.WriteString(c.Name)
		b.WriteString(`":`)
		b.Write(text)
	}
	b.WriteByte('}')
	return nil
}

// Package export writes tables as files that other programs read: .xlsx for
// spreadsheets, CSV, JSON and JSON by line. Rows pass through one at a time: a
// table of a million rows takes no more memory than one of a thousand. Reports
// and the audit log use it.
package export

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// Type is what the values of a column are.
type Type string

// The types of columns, with the Go type of their values. A value may be nil
// instead: nothing is there.
const (
	Text   Type = "text"   // string
	Number Type = "number" // int64
	Time   Type = "time"   // time.Time
	Flag   Type = "flag"   // bool
	List   Type = "list"   // []string
)

// Column is one column of a table.
type Column struct {
	// Name is how programs call it, Title how people do.
	Name, Title string
	Type        Type
}

// Format is a kind of file.
type Format string

// The formats.
const (
	XLSX   Format = "xlsx"
	CSV    Format = "csv"
	JSON   Format = "json"
	NDJSON Format = "ndjson"
)

// Formats are all formats.
func Formats() []Format { return []Format{XLSX, CSV, JSON, NDJSON} }

// mediaTypes are the types of the formats in HTTP.
var mediaTypes = map[Format]string{
	XLSX:   "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	CSV:    "text/csv; charset=utf-8",
	JSON:   "application/json",
	NDJSON: "application/x-ndjson",
}

// MediaType is how the format is called in HTTP.
func (f Format) MediaType() string { return mediaTypes[f] }

// ParseFormat reads the name of a format, or the media type of one. ErrInvalid
// for others.
func ParseFormat(s string) (Format, error) {
	for _, f := range Formats() {
		media, _, _ := strings.Cut(mediaTypes[f], ";")
		if strings.EqualFold(s, string(f)) || s == media {
			return f, nil
		}
	}
	return "", dormer.Invalidf("format", "must be xlsx, csv, json or ndjson")
}

// Options say how a table is written.
type Options struct {
	// Title names the sheets of an .xlsx file.
	Title string
	// Zone is where times are local; nil: UTC.
	Zone *time.Location
	// Folder takes the temporary files of an .xlsx file, which become as large
	// as its sheets are unpacked; empty: the system's.
	Folder string
}

// Writer writes a table. It is used by one goroutine.
type Writer interface {
	// Row writes the values of one row, one for each column.
	Row(values []any) error
	// Close writes what is still missing of the file and removes what was
	// temporary. What the table is written to stays open.
	Close() error
	// Discard removes what is temporary when the file is given up.
	Discard()
}

// New begins a table. Nothing is right until Close has returned nil.
func New(f Format, w io.Writer, columns []Column, o Options) (Writer, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	columns = slices.Clone(columns)
	switch f {
	case XLSX:
		return newXLSX(w, columns, o)
	case CSV:
		return newCSV(w, columns, o)
	case JSON, NDJSON:
		return newJSON(w, columns, o, f == NDJSON), nil
	default:
		return nil, dormer.Invalidf("format", "must be xlsx, csv, json or ndjson")
	}
}

// timeLayout has the offset: a local time alone is ambiguous for an hour each
// year.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// mistyped is the error of a value that is not of its column's type.
func mistyped(c Column, v any) error {
	return fmt.Errorf("column %s holds a %T: %w", c.Name, v, dormer.ErrInvalid)
}

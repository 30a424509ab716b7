package dump

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/dormer-project/dormer"
)

// Writer writes a dump. It is not safe for concurrent use.
type Writer struct {
	zstd       *zstd.Encoder
	all, table hash.Hash
	summary    Summary
	columns    []Column // of the table that is open; nil: none is
	record     []byte
	body       []byte
	err        error // ends everything
}

// NewWriter begins a dump in w. It sets Format.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	if _, err := io.WriteString(w, Magic); err != nil {
		return nil, fmt.Errorf("write dump: %w", err)
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	d := &Writer{zstd: z, all: sha256.New(), table: sha256.New()}
	h.Format = Format
	d.summary.Header = h
	body, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(body) > MaxHeader {
		return nil, fmt.Errorf("write dump: the header has %d bytes: %w", len(body), dormer.ErrTooLarge)
	}
	return d, d.write(letterHeader, body)
}

// write writes a record.
func (d *Writer) write(letter byte, body []byte) error {
	if d.err != nil {
		return d.err
	}
	d.record = append(d.record[:0], letter)
	d.record = binary.AppendUvarint(d.record, uint64(len(body)))
	d.record = append(d.record, body...)
	d.all.Write(d.record)
	if letter == letterTable || letter == letterRow {
		d.table.Write(d.record)
	}
	if _, err := d.zstd.Write(d.record); err != nil {
		d.err = fmt.Errorf("write dump: %w", err)
	}
	return d.err
}

// Table ends the rows of the table before and begins another.
func (d *Writer) Table(t Table) error {
	if err := t.check(); err != nil {
		return fmt.Errorf("write dump: %w", err)
	}
	if err := d.endTable(); err != nil {
		return err
	}
	if len(d.summary.Tables) == MaxTables {
		return fmt.Errorf("write dump: it has too many tables: %w", dormer.ErrTooLarge)
	}
	body, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if len(body) > MaxHeader {
		return fmt.Errorf("write dump: the description of table %s has %d bytes: %w", t.Name, len(body), dormer.ErrTooLarge)
	}
	d.columns = t.Columns
	d.summary.Tables = append(d.summary.Tables, TableSummary{Name: t.Name})
	d.table.Reset()
	return d.write(letterTable, body)
}

// Row writes a row of the table: for each column an int64, a string, a []byte
// or nil. The values are not kept.
func (d *Writer) Row(values []any) error {
	if d.err != nil {
		return d.err
	}
	if len(values) != len(d.columns) || len(values) == 0 {
		return fmt.Errorf("write dump: a row has %d values for %d columns: %w", len(values), len(d.columns), dormer.ErrInvalid)
	}
	t := &d.summary.Tables[len(d.summary.Tables)-1]
	b := d.body[:0]
	for i, v := range values {
		got := Type("")
		switch v := v.(type) {
		case nil:
			b, got = append(b, valueNull), d.columns[i].Type
		case int64:
			b, got = binary.AppendVarint(append(b, valueInteger), v), Integer
		case string:
			b, got = append(binary.AppendUvarint(append(b, valueText), uint64(len(v))), v...), Text
		case []byte:
			b, got = append(binary.AppendUvarint(append(b, valueBytes), uint64(len(v))), v...), Bytes
		}
		if got != d.columns[i].Type {
			return fmt.Errorf("write dump: column %s of table %s has a %T: %w", d.columns[i].Name, t.Name, v, dormer.ErrInvalid)
		}
	}
	d.body = b
	if len(b) > MaxRow {
		return fmt.Errorf("write dump: a row of table %s has %d bytes: %w", t.Name, len(b), dormer.ErrTooLarge)
	}
	t.Rows++
	return d.write(letterRow, b)
}

func (d *Writer) endTable() error {
	if d.columns == nil {
		return d.err
	}
	d.columns = nil
	t := &d.summary.Tables[len(d.summary.Tables)-1]
	d.table.Sum(t.SHA256[:0])
	return d.write(letterEnd, append(binary.AppendUvarint(nil, uint64(t.Rows)), t.SHA256[:]...))
}

// Close ends the dump. It does not close what NewWriter was given.
func (d *Writer) Close() error {
	if err := d.endTable(); err != nil {
		return errors.Join(err, d.zstd.Close())
	}
	d.all.Sum(d.summary.SHA256[:0])
	if err := d.write(letterAll, d.summary.SHA256[:]); err != nil {
		return errors.Join(err, d.zstd.Close())
	}
	if err := d.zstd.Close(); err != nil {
		return fmt.Errorf("write dump: %w", err)
	}
	return nil
}

// Summary returns what was written. It is whole after Close.
func (d *Writer) Summary() Summary { return d.summary }

package dump

import (
	"bufio"
	"bytes"
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

// Reader reads a dump and checks it. It is not safe for concurrent use. The
// caller closes it.
type Reader struct {
	source     *source
	zstd       *zstd.Decoder
	in         *bufio.Reader
	all, table hash.Hash
	summary    Summary
	columns    []Column // of the table that is open; nil: none is
	body       bytes.Buffer
	err        error // ends everything; io.EOF once the whole dump was checked
}

// source keeps errors of the medium apart from those of the content.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// NewReader begins to read a dump. ErrCorrupt for what is none or was changed,
// ErrUnsupported for a newer format. The reader takes no more than a few
// megabytes and a row, whatever the dump says.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{source: &source{r: r}, all: sha256.New(), table: sha256.New()}
	magic := make([]byte, len(Magic))
	if _, err := io.ReadFull(d.source, magic); err != nil || string(magic) != Magic {
		return nil, d.corrupt("it does not begin as one", err)
	}
	z, err := zstd.NewReader(d.source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, d.corrupt("it cannot be unpacked", err)
	}
	d.zstd, d.in = z, bufio.NewReaderSize(z, 64<<10)
	letter, body, err := d.read()
	if err == nil && letter != letterHeader {
		err = d.corrupt("it has no header", nil)
	}
	if err == nil {
		if e := json.Unmarshal(body, &d.summary.Header); e != nil {
			err = d.corrupt("its header cannot be read", nil)
		}
	}
	if err == nil && d.summary.Header.Format != Format {
		err = fmt.Errorf("read dump: it has format %d and this build knows %d: %w", d.summary.Header.Format, Format, dormer.ErrUnsupported)
	}
	if err != nil {
		z.Close()
		return nil, err
	}
	return d, nil
}

// Close lets go of what the reader holds. It does not close what NewReader was
// given.
func (d *Reader) Close() { d.zstd.Close() }

// Header returns the header.
func (d *Reader) Header() Header { return d.summary.Header }

// corrupt is an error of the medium if there was one, else ErrCorrupt.
func (d *Reader) corrupt(what string, err error) error {
	switch {
	case d.source.err != nil:
		d.err = fmt.Errorf("read dump: %w", d.source.err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		d.err = fmt.Errorf("read dump: it is cut off: %w", dormer.ErrCorrupt)
	case err != nil:
		d.err = fmt.Errorf("read dump: %s (%w): %w", what, err, dormer.ErrCorrupt)
	default:
		d.err = fmt.Errorf("read dump: %s: %w", what, dormer.ErrCorrupt)
	}
	return d.err
}

// limits of the bodies of records, in bytes.
var limits = map[byte]uint64{
	letterHeader: MaxHeader, letterTable: MaxHeader, letterRow: MaxRow,
	letterEnd: binary.MaxVarintLen64 + sha256.Size, letterAll: sha256.Size,
}

// read reads a record. body is good until the next call.
func (d *Reader) read() (letter byte, body []byte, err error) {
	if d.err != nil {
		return 0, nil, d.err
	}
	if letter, err = d.in.ReadByte(); err != nil {
		return 0, nil, d.corrupt("", err)
	}
	limit, ok := limits[letter]
	if !ok {
		return 0, nil, d.corrupt("a record is of no known kind", nil)
	}
	length, err := binary.ReadUvarint(d.in)
	if err != nil {
		return 0, nil, d.corrupt("the length of a record cannot be read", err)
	}
	if length > limit {
		return 0, nil, d.corrupt("a record is too long", nil)
	}
	d.body.Reset()
	if _, err := io.CopyN(&d.body, d.in, int64(length)); err != nil {
		return 0, nil, d.corrupt("", err)
	}
	body = d.body.Bytes()
	if letter == letterAll {
		return letter, body, nil // it tells the sum of those before it
	}
	var head [1 + binary.MaxVarintLen64]byte
	head[0] = letter
	n := 1 + binary.PutUvarint(head[1:], length)
	d.all.Write(head[:n])
	d.all.Write(body)
	if letter == letterTable {
		d.table.Reset()
	}
	if letter == letterTable || letter == letterRow {
		d.table.Write(head[:n])
		d.table.Write(body)
	}
	return letter, body, nil
}

// Next goes to the next table, over rows that were not read. io.EOF when there
// is none and all of the dump is as it was written.
func (d *Reader) Next() (Table, error) {
	for d.columns != nil {
		if _, err := d.Row(); err != nil && !errors.Is(err, io.EOF) {
			return Table{}, err
		}
	}
	letter, body, err := d.read()
	if err != nil {
		return Table{}, err
	}
	switch letter {
	case letterTable:
		var t Table
		if json.Unmarshal(body, &t) != nil || t.check() != nil {
			return Table{}, d.corrupt("a table cannot be read", nil)
		}
		if len(d.summary.Tables) == MaxTables {
			return Table{}, d.corrupt("it has too many tables", nil)
		}
		d.columns = t.Columns
		d.summary.Tables = append(d.summary.Tables, TableSummary{Name: t.Name})
		return t, nil
	case letterAll:
		d.all.Sum(d.summary.SHA256[:0])
		if !bytes.Equal(body, d.summary.SHA256[:]) {
			return Table{}, d.corrupt("its checksum is wrong", nil)
		}
		if _, err := d.in.ReadByte(); err != io.EOF {
			return Table{}, d.corrupt("something follows its end", err)
		}
		d.err = io.EOF
		return Table{}, io.EOF
	}
	return Table{}, d.corrupt("its records are out of order", nil)
}

// Row returns the next row of the table: for each column an int64, a string, a
// []byte or nil. io.EOF after the last row, once their number and checksum were
// found right.
func (d *Reader) Row() ([]any, error) {
	if d.columns == nil {
		if d.err != nil {
			return nil, d.err
		}
		return nil, io.EOF
	}
	letter, body, err := d.read()
	if err != nil {
		return nil, err
	}
	t := &d.summary.Tables[len(d.summary.Tables)-1]
	switch letter {
	case letterRow:
		values, ok := decodeRow(body, d.columns)
		if !ok {
			return nil, d.corrupt("a row of table "+t.Name+" cannot be read", nil)
		}
		t.Rows++
		return values, nil
	case letterEnd:
		d.table.Sum(t.SHA256[:0])
		if !bytes.Equal(body, append(binary.AppendUvarint(nil, uint64(t.Rows)), t.SHA256[:]...)) {
			return nil, d.corrupt("the checksum of table "+t.Name+" is wrong", nil)
		}
		d.columns = nil
		return nil, io.EOF
	}
	return nil, d.corrupt("its records are out of order", nil)
}

func decodeRow(b []byte, columns []Column) ([]any, bool) {
	values := make([]any, len(columns))
	for i, c := range columns {
		if len(b) == 0 {
			return nil, false
		}
		what := b[0]
		b = b[1:]
		switch {
		case what == valueNull:
		case what == valueInteger && c.Type == Integer:
			v, n := binary.Varint(b)
			if n <= 0 {
				return nil, false
			}
			values[i], b = v, b[n:]
		case what == valueText && c.Type == Text, what == valueBytes && c.Type == Bytes:
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				return nil, false
			}
			content := b[n : n+int(length)]
			b = b[n+int(length):]
			if c.Type == Bytes {
				values[i] = append([]byte{}, content...)
			} else {
				values[i] = string(content)
			}
		default:
			return nil, false
		}
	}
	return values, len(b) == 0
}

// Verify reads the whole dump. Errors as those of Reader.
func Verify(r io.Reader) (Summary, error) {
	d, err := NewReader(r)
	if err != nil {
		return Summary{}, err
	}
	defer d.Close()
	for {
		if _, err := d.Next(); errors.Is(err, io.EOF) {
			return d.summary, nil
		} else if err != nil {
			return Summary{}, err
		}
	}
}

package dump_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/dump"
)

var (
	header = dump.Header{Format: 1, Track: "state", Schema: 4, Instance: "i"}
	tables = []dump.Table{
		{Name: "machines", Columns: []dump.Column{{"id", dump.Text}, {"disk_key", dump.Bytes}, {"created", dump.Integer}}},
		{Name: "empty", Columns: []dump.Column{{"n", dump.Integer}}},
		{Name: "audit", Columns: []dump.Column{{"id", dump.Integer}}},
	}
	rows = [][][]any{
		{{"ä\x00", []byte{}, int64(-1 << 63)}, {nil, nil, nil}, {"", []byte("x"), int64(1<<63 - 1)}},
		nil,
		{{int64(1)}},
	}
)

func write(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := dump.NewWriter(&b, header)
	for i, table := range tables {
		if err == nil {
			err = w.Table(table)
		}
		for _, row := range rows[i] {
			if err == nil {
				err = w.Row(row)
			}
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if again, err := dump.Verify(bytes.NewReader(b.Bytes())); err != nil || !cmp.Equal(again, w.Summary()) {
		t.Fatalf("read %+v (%v), wrote %+v", again, err, w.Summary())
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	b := write(t)
	if !bytes.Equal(b, write(t)) {
		t.Error("the same rows made other bytes")
	}
	r, err := dump.NewReader(iotest.OneByteReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if diff := cmp.Diff(header, r.Header()); diff != "" {
		t.Error(diff)
	}
	var got []dump.Table
	for i := 0; ; i++ {
		table, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, table)
		var read [][]any
		for {
			row, err := r.Row()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			read = append(read, row)
		}
		if diff := cmp.Diff(rows[i], read); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(tables, got); diff != "" {
		t.Error(diff)
	}
}

// TestDamage cuts a dump at every byte, changes each, and appends one.
func TestDamage(t *testing.T) {
	whole := write(t)
	for i := range whole {
		if _, err := dump.Verify(bytes.NewReader(whole[:i])); !errors.Is(err, dormer.ErrCorrupt) {
			t.Fatalf("cut at %d of %d: %v, want dormer.ErrCorrupt", i, len(whole), err)
		}
		changed := bytes.Clone(whole)
		changed[i] ^= 0x20
		if _, err := dump.Verify(bytes.NewReader(changed)); !errors.Is(err, dormer.ErrCorrupt) && !errors.Is(err, dormer.ErrUnsupported) {
			// A bit of the frame's header may say nothing; then all is as it was.
			if summary, err := dump.Verify(bytes.NewReader(changed)); err != nil || summary.Rows() != 4 {
				t.Fatalf("changed at %d of %d: %v, want dormer.ErrCorrupt", i, len(whole), err)
			}
		}
	}
	if _, err := dump.Verify(strings.NewReader(string(whole) + "x")); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("with a byte more: %v, want dormer.ErrCorrupt", err)
	}
	broken := errors.New("the medium")
	if _, err := dump.Verify(io.MultiReader(bytes.NewReader(whole[:60]), iotest.ErrReader(broken))); !errors.Is(err, broken) || errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("error of the medium: %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	w, err := dump.NewWriter(io.Discard, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []dump.Table{
		{},
		{Name: "x"},
		{Name: "X", Columns: tables[1].Columns},
		{Name: "x; y", Columns: tables[1].Columns},
		{Name: "x", Columns: []dump.Column{{"n", "float"}}},
		{Name: "x", Columns: []dump.Column{{"n", dump.Text}, {"n", dump.Text}}},
	} {
		if err := w.Table(table); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("table %+v: %v, want dormer.ErrInvalid", table, err)
		}
	}
	if err := w.Row([]any{int64(1)}); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a row without a table: %v", err)
	}
	if err := w.Table(tables[1]); err != nil {
		t.Fatal(err)
	}
	for _, row := range [][]any{{}, {"x"}, {1}, {int64(1), int64(2)}} {
		if err := w.Row(row); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("row %v: %v, want dormer.ErrInvalid", row, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f))
	f.Add([]byte(dump.Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := dump.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer r.Close()
		for {
			table, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, dormer.ErrCorrupt) {
					t.Errorf("error %v is of no known kind", err)
				}
				return
			}
			for {
				row, err := r.Row()
				if err != nil {
					break
				}
				if len(row) != len(table.Columns) {
					t.Fatalf("%d values for %d columns", len(row), len(table.Columns))
				}
			}
		}
	})
}

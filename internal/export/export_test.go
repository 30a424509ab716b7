package export

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/dormer-project/dormer"
)

var columns = []Column{
	{Name: "received", Title: "Received", Type: Time},
	{Name: "user", Title: "User", Type: Text},
	{Name: "code", Title: "Event", Type: Number},
	{Name: "connected", Title: "Connected", Type: Flag},
	{Name: "fields", Title: "Fields", Type: List},
}

var at = time.Date(2026, 7, 1, 22, 30, 0, 5e6, time.UTC)

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// write returns the file of rows.
func write(t *testing.T, f Format, rows ...[]any) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := New(f, &b, columns, Options{Title: "Activity: all/of it", Zone: berlin(t), Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	for _, r := range rows {
		if err := w.Row(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCSV(t *testing.T) {
	got := string(write(
		t, CSV,
		[]any{at, `CORP\"anna", she said`, int64(-7), true, []string{"=a", "b"}},
		[]any{nil, "two\nlines", nil, nil, nil},
	))
	want := "received,user,code,connected,fields\r\n" +
		"2026-07-02T00:30:00.005+02:00,\"CORP\\\"\"anna\"\", she said\",-7,true,\"'=a, b\"\r\n" +
		",\"two\r\nlines\",,,\r\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if rows, err := csv.NewReader(strings.NewReader(got)).ReadAll(); err != nil || len(rows) != 3 || rows[1][1] != `CORP\"anna", she said` {
		t.Errorf("read back: %q, %v", rows, err)
	}
}

// TestFormulas: no text begins what a spreadsheet takes for a formula.
func TestFormulas(t *testing.T) {
	for text, want := range map[string]string{
		"=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0",
		"+1":                 "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
		"  =1": "'  =1", "\ufeff=1": "'\ufeff=1", "＝1": "'＝1", "": "", "a=1": "a=1", "1-1": "1-1", "\u00a0": "\u00a0",
	} {
		if got := harmless(text); got != want {
			t.Errorf("%q is written as %q, want %q", text, got, want)
		}
	}
	f := open(t, write(t, XLSX, []any{nil, "=1+1", nil, nil, nil}))
	if kind, err := f.GetCellType("Activity  all of it", "B2"); err != nil || kind != excelize.CellTypeInlineString {
		t.Errorf("a formula is stored as type %v (%v)", kind, err)
	}
	if formula, err := f.GetCellFormula("Activity  all of it", "B2"); err != nil || formula != "" {
		t.Errorf("a text became the formula %q (%v)", formula, err)
	}
}

func TestJSON(t *testing.T) {
	row := []any{at, "<anna>", int64(7), false, []string{"a"}}
	object := `{"received":"2026-07-02T00:30:00.005+02:00","user":"\u003canna\u003e","code":7,"connected":false,"fields":["a"]}`
	if got, want := string(write(t, NDJSON, row, row)), object+"\n"+object+"\n"; got != want {
		t.Errorf("lines: %s", got)
	}
	for n := range 3 {
		rows := make([][]any, n)
		for i := range rows {
			rows[i] = row
		}
		var list []map[string]any
		if err := json.Unmarshal(write(t, JSON, rows...), &list); err != nil || len(list) != n || list == nil {
			t.Errorf("an array of %d: %v, %v", n, list, err)
		}
	}
	if got := string(write(t, JSON, []any{nil, nil, nil, nil, nil})); got != "[\n{}\n]\n" {
		t.Errorf("nothing there: %q", got)
	}
}

func open(t *testing.T, b []byte) *excelize.File {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestXLSX(t *testing.T) {
	f := open(t, write(
		t, XLSX,
		[]any{at, "anna", int64(7), true, []string{"a", "b"}},
		[]any{nil, "with \x01 and <tags>", nil, nil, nil},
		[]any{time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC), strings.Repeat("😀", 20_000), int64(8), false, nil},
	))
	const sheet = "Activity  all of it"
	if diff := cmp.Diff([]string{sheet}, f.GetSheetList()); diff != "" {
		t.Fatal(diff)
	}
	rows, err := f.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	long := rows[3][1]
	rows[3][1] = ""
	want := [][]string{
		{"Received (Europe/Berlin)", "User", "Event", "Connected", "Fields"},
		{"2026-07-02 00:30:00", "anna", "7", "TRUE", "a, b"},
		{"", "with \uFFFD and <tags>"},
		{"2026-12-01 13:00:00", "", "8", "FALSE"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len([]rune(long)); n != cellText/2 {
		t.Errorf("a long text has %d characters", n)
	}
	for cell, want := range map[string]excelize.CellType{"A2": excelize.CellTypeUnset, "B2": excelize.CellTypeInlineString, "C2": excelize.CellTypeUnset, "D2": excelize.CellTypeBool} {
		if kind, err := f.GetCellType(sheet, cell); err != nil || kind != want {
			t.Errorf("%s is of type %v (%v), want %v", cell, kind, err, want)
		}
	}
	if panes, err := f.GetPanes(sheet); err != nil || !panes.Freeze || panes.YSplit != 1 {
		t.Errorf("panes %+v (%v)", panes, err)
	}
	if tables, err := f.GetTables(sheet); err != nil || len(tables) != 1 || tables[0].Range != "A1:E4" {
		t.Errorf("filters over %+v (%v)", tables, err)
	}
}

// TestLibreOffice: what LibreOffice reads is what was written.
func TestLibreOffice(t *testing.T) {
	program, err := exec.LookPath("soffice")
	if err != nil {
		const missing = "soffice is missing (Debian: libreoffice-calc-nogui)"
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "a.xlsx")
	if err := os.WriteFile(file, write(
		t, XLSX,
		[]any{at, "=1+1 <ä>", int64(7), true, []string{"a", "b"}},
		[]any{nil, "two\nlines", nil, nil, nil},
	), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// Comma, quotes, UTF-8, from the first line, as shown.
	convert := exec.CommandContext(ctx, program, "--headless", "-env:UserInstallation=file://"+filepath.Join(dir, "profile"),
		"--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true", "--outdir", dir, file)
	if out, err := convert.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "a.csv"))
	want := "Received (Europe/Berlin),User,Event,Connected,Fields\n2026-07-02 00:30:00,=1+1 <ä>,7,TRUE,\"a, b\"\n,\"two\nlines\",,,\n"
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestSheets: what one sheet does not hold goes on the next.
func TestSheets(t *testing.T) {
	for rows, want := range map[int][]int{0: {1}, 3: {4}, 4: {4, 2}, 7: {4, 4, 2}} {
		var b bytes.Buffer
		x, err := newXLSX(&b, columns[:2], Options{Title: "T", Zone: time.UTC, Folder: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		x.most = 3
		for i := range rows {
			if err := x.Row([]any{at, fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		f := open(t, b.Bytes())
		var got []int
		for _, sheet := range f.GetSheetList() {
			list, err := f.GetRows(sheet)
			if err != nil {
				t.Fatal(err)
			}
			if list[0][1] != "User" {
				t.Errorf("sheet %s begins with %q", sheet, list[0])
			}
			got = append(got, len(list))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d rows: (-want +got):\n%s", rows, diff)
		}
	}
}

func TestMistyped(t *testing.T) {
	for _, f := range Formats() {
		w, err := New(f, io.Discard, columns, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Row([]any{7, nil, nil, nil, nil}); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%s: %v", f, err)
		}
		w.Discard()
	}
	if _, err := New("pdf", io.Discard, columns, Options{}); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("an unknown format: %v", err)
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range Formats() {
		media, _, _ := strings.Cut(f.MediaType(), ";")
		for _, s := range []string{string(f), strings.ToUpper(string(f)), media} {
			if got, err := ParseFormat(s); got != f || err != nil {
				t.Errorf("%s: %s, %v", s, got, err)
			}
		}
	}
	if _, err := ParseFormat("xls"); !errors.Is(err, dormer.ErrInvalid) {
		t.Error(err)
	}
}

// TestMemory writes many rows and looks that they do not stay in memory:
// 50,000 always, a million with DORMER_TEST_EXPORT_ROWS=1000000.
func TestMemory(t *testing.T) {
	rows := 50_000
	if s := os.Getenv("DORMER_TEST_EXPORT_ROWS"); s != "" {
		if _, err := fmt.Sscan(s, &rows); err != nil {
			t.Fatal(err)
		}
	}
	const bound = 100 << 20
	for _, f := range Formats() {
		t.Run(string(f), func(t *testing.T) {
			folder := t.TempDir()
			w, err := New(f, io.Discard, columns, Options{Title: "T", Folder: folder})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Discard()
			var most uint64
			look := func() {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.Sys-m.HeapReleased)
			}
			began := time.Now()
			for i := range rows {
				if err := w.Row([]any{at, fmt.Sprintf("user %d of a company", i), int64(i), i%2 == 0, []string{"machine.memory", "network"}}); err != nil {
					t.Fatal(err)
				}
				if i%10_000 == 0 {
					look()
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			look()
			t.Logf("%d rows in %v, %d MiB from the system at most", rows, time.Since(began).Round(time.Millisecond), most>>20)
			if most > bound {
				t.Errorf("%d rows took %d MiB", rows, most>>20)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
				t.Errorf("temporary files are left: %v, %v", left, err)
			}
		})
	}
}

package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
)

// TestReadLine holds that two secrets can follow each other on standard input,
// and that nobody's input is read without end.
func TestReadLine(t *testing.T) {
	a := &app{Streams: Streams{In: onlyReader{strings.NewReader("first\r\nsecond")}}}
	for _, want := range []string{"first", "second", ""} {
		if got, err := a.readLine(); err != nil || got != want {
			t.Errorf("readLine is %q, %v, want %q", got, err, want)
		}
	}
	a.In = strings.NewReader(strings.Repeat("x", maxSecret+1))
	if _, err := a.readLine(); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("a line over the limit: %v", err)
	}
}

type onlyReader struct{ r *strings.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

// TestPrintable holds that names from outside cannot steer a terminal.
func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\tc\u202ed"); strings.ContainsAny(got, "\x1b\t\u202e") {
		t.Errorf("%q", got)
	}
}

// TestSize holds the units.
func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) is %q, want %q", n, got, want)
		}
	}
}

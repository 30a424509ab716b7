package apiclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// FuzzNotices: whatever comes as a stream of notices ends as an error of a kind
// that is known, and what was told of it is told again when it comes again.
func FuzzNotices(f *testing.F) {
	for _, stream := range []string{
		"", "retry: 1000\n\n", ": still here\n\n",
		"id: 7\nevent: change\ndata: {\"id\":7,\"action\":\"group.create\",\"name\":\"Büro\"}\n\n",
		"event: present\r\ndata: [{\"who\":\"ann\",\"where\":\"images\"}]\r\n\r\n", "event: missed\ndata: {}\n\n",
		"event: change\ndata: [\n\n", "event: present\n\n", "id: -1\nid: 99999999999999999999\n\n", "event: other\ndata: x\n\nevent: change\ndata: {}",
	} {
		f.Add([]byte(stream))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		read := func(b []byte) []byte {
			var after int64
			var told bytes.Buffer
			note := func(name string, data any) error {
				text, err := json.Marshal(data)
				if err != nil {
					t.Fatal(err)
				}
				told.WriteString("event: " + name + "\ndata: " + string(text) + "\n\n")
				return nil
			}
			err := Watcher{
				Change:  func(n rest.Notice) error { return note("change", n) },
				Missed:  func() error { return note("missed", struct{}{}) },
				Present: func(list []rest.Present) error { return note("present", list) },
			}.read(bytes.NewReader(b), &after, func() {})
			if !errors.Is(err, dormer.ErrUnavailable) && !errors.Is(err, dormer.ErrCorrupt) {
				t.Fatalf("it ends with %v", err)
			}
			return told.Bytes()
		}
		first := read(stream)
		if second := read(first); !bytes.Equal(first, second) {
			t.Errorf("%q is told as\n%s\nand that as\n%s", stream, first, second)
		}
	})
}

// TestNumbers: who comes again says the last number that came.
func TestNumbers(t *testing.T) {
	after := int64(3)
	err := Watcher{}.read(bytes.NewReader([]byte("id: 7\nevent: change\ndata: {}\n\nid: none\nevent: other\n\n")), &after, func() {})
	if after != 7 || !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("it is %d, and it ends with %v", after, err)
	}
	broken := errors.New("broken")
	err = Watcher{Missed: func() error { return broken }}.read(bytes.NewReader([]byte("event: missed\n\n")), &after, func() {})
	if !errors.Is(err, broken) {
		t.Errorf("the watcher's own error is lost: %v", err)
	}
}

// Package blobtest is the conformance suite of imagerepo.Blobs. Tests of its
// implementations import it.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imagerepo"
)

// Run holds what open returns, an empty storage each time, to the contract.
func Run(t *testing.T, open func(t *testing.T) imagerepo.Blobs) {
	for name, test := range map[string]func(*testing.T, imagerepo.Blobs){
		"content":        content,
		"never replaces": neverReplaces,
		"all or nothing": allOrNothing,
		"one of many":    oneOfMany,
		"delete":         deletes,
		"list":           lists,
		"names":          names,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func put(t *testing.T, b imagerepo.Blobs, name, content string) {
	t.Helper()
	if err := b.Put(t.Context(), name, strings.NewReader(content), int64(len(content))); err != nil {
		t.Fatalf("Put(%s): %v", name, err)
	}
}

func get(t *testing.T, b imagerepo.Blobs, name string) string {
	t.Helper()
	h, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open(%s): %v", name, err)
	}
	defer h.Close()
	all, err := io.ReadAll(io.NewSectionReader(h, 0, h.Size()))
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(all)
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func content(t *testing.T, b imagerepo.Blobs) {
	long := strings.Repeat("0123456789", 100_000)
	put(t, b, "packs/long", long)
	put(t, b, "packs/empty", "")
	if got := get(t, b, "packs/long"); got != long {
		t.Errorf("read %d bytes that are not those stored", len(got))
	}
	if got := get(t, b, "packs/empty"); got != "" {
		t.Errorf("empty blob holds %q", got)
	}
	info, err := b.Stat(t.Context(), "packs/long")
	if err != nil || info.Size != int64(len(long)) || info.Name != "packs/long" || info.Modified.IsZero() {
		t.Errorf("Stat = %+v, %v", info, err)
	}
	h, err := b.Open(t.Context(), "packs/long")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	part := make([]byte, 7)
	if _, err := h.ReadAt(part, 999_993); err != nil && !errors.Is(err, io.EOF) || string(part) != "3456789" {
		t.Errorf("ReadAt the end = %q, %v", part, err)
	}
	_, err = b.Open(t.Context(), "packs/none")
	wantErr(t, "Open of nothing", err, dormer.ErrNotFound)
	_, err = b.Stat(t.Context(), "packs/none")
	wantErr(t, "Stat of nothing", err, dormer.ErrNotFound)
	_, err = b.Open(t.Context(), "packs")
	wantErr(t, "Open of a prefix", err, dormer.ErrNotFound)
}

func neverReplaces(t *testing.T, b imagerepo.Blobs) {
	put(t, b, "names/a/1", "first")
	wantErr(t, "second Put", b.Put(t.Context(), "names/a/1", strings.NewReader("second"), 6), dormer.ErrExists)
	if got := get(t, b, "names/a/1"); got != "first" {
		t.Errorf("content is %q after a second Put", got)
	}
}

func allOrNothing(t *testing.T, b imagerepo.Blobs) {
	broken := errors.New("broken")
	for what, c := range map[string]struct {
		r    io.Reader
		size int64
		want error
	}{
		"too short":        {strings.NewReader("1234"), 5, dormer.ErrInvalid},
		"too long":         {strings.NewReader("123456"), 5, dormer.ErrInvalid},
		"fails":            {io.MultiReader(strings.NewReader("123"), iotest.ErrReader(broken)), 5, broken},
		"fails at the end": {io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(broken)), 5, broken},
	} {
		wantErr(t, what, b.Put(t.Context(), "packs/x", c.r, c.size), c.want)
		_, err := b.Stat(t.Context(), "packs/x")
		wantErr(t, "Stat after "+what, err, dormer.ErrNotFound)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Put(ctx, "packs/x", strings.NewReader("12345"), 5); err == nil {
		t.Error("Put went on after its context ended")
	}
	put(t, b, "packs/x", "12345")
}

func oneOfMany(t *testing.T, b imagerepo.Blobs) {
	const n = 16
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			content := fmt.Sprintf("writer %02d", i)
			errs[i] = b.Put(t.Context(), "names/i/n/1", strings.NewReader(content), int64(len(content)))
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("writers %d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, dormer.ErrExists):
			t.Errorf("writer %d: %v, want ErrExists", i, err)
		}
	}
	if got, want := get(t, b, "names/i/n/1"), fmt.Sprintf("writer %02d", winner); got != want {
		t.Errorf("content is %q, the winner wrote %q", got, want)
	}
}

func deletes(t *testing.T, b imagerepo.Blobs) {
	put(t, b, "packs/a", "content")
	h, err := b.Open(t.Context(), "packs/a")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for range 2 {
		if err := b.Delete(t.Context(), "packs/a"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	buf := make([]byte, 7)
	if _, err := h.ReadAt(buf, 0); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("ReadAt of a deleted blob: %v", err)
	} else if err == nil && !bytes.Equal(buf, []byte("content")) {
		t.Errorf("ReadAt of a deleted blob = %q", buf)
	}
	_, err = b.Stat(t.Context(), "packs/a")
	wantErr(t, "Stat after Delete", err, dormer.ErrNotFound)
	put(t, b, "packs/a", "again")
	if err := b.Delete(t.Context(), "nothing/of/the/sort"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
}

func lists(t *testing.T, b imagerepo.Blobs) {
	// "a-b" sorts before "a/..." though its folder would come later.
	all := []string{"n/a-b/1", "n/a/1", "n/a/2", "n/a/b/1", "n/a0", "n/b/1", "o/1"}
	for _, n := range all {
		put(t, b, n, n)
	}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"", "", 100, all},
		{"n/", "", 100, all[:6]},
		{"n/a/", "", 100, all[1:4]},
		{"n/", "", 2, all[:2]},
		{"n/", "n/a/1", 2, all[2:4]},
		{"n/", "n/a/b/1", 100, all[4:6]},
		{"n/", "n/a-zzz", 1, all[1:2]},
		{"n/", "n/b/1", 5, nil},
		{"nothing/", "", 5, nil},
	} {
		infos, err := b.List(t.Context(), c.prefix, c.after, c.limit)
		if err != nil {
			t.Errorf("List(%q, %q): %v", c.prefix, c.after, err)
			continue
		}
		var got []string
		for _, i := range infos {
			got = append(got, i.Name)
			if i.Size != int64(len(i.Name)) {
				t.Errorf("List says %s has %d bytes", i.Name, i.Size)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("List(%q, %q, %d) (-want +got):\n%s", c.prefix, c.after, c.limit, d)
		}
	}
	if _, err := b.List(t.Context(), "n", "", 5); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("List of half a name: %v, want ErrInvalid", err)
	}
}

func names(t *testing.T, b imagerepo.Blobs) {
	for _, n := range []string{"", ".", "..", "../x", "a/../b", "/a", "a/", "a//b", ".hidden", "a/.b", "a b", "a\\b", "a\x00b", "a:b", strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x"} {
		wantErr(t, fmt.Sprintf("Put(%.20q)", n), b.Put(t.Context(), n, strings.NewReader(""), 0), dormer.ErrInvalid)
		_, err := b.Open(t.Context(), n)
		wantErr(t, fmt.Sprintf("Open(%.20q)", n), err, dormer.ErrInvalid)
		wantErr(t, fmt.Sprintf("Delete(%.20q)", n), b.Delete(t.Context(), n), dormer.ErrInvalid)
	}
	put(t, b, "names/i/b%C3%BCro_2.0-x~1/000000001", "fine")
}

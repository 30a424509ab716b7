package qemu

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/dormer-project/dormer"
)

var (
	testSavedKey  = bytes.Repeat([]byte{7}, 32)
	testSavedSalt = bytes.Repeat([]byte{9}, savedSalt)
)

func sealSaved(t testing.TB, content, description []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := newSavedWriter(&b, testSavedKey, testSavedSalt, description)
	if err != nil {
		t.Fatal(err)
	}
	// In pieces that do not fit the chunks.
	for len(content) > 0 {
		n := min(len(content), 300_001)
		if _, err := w.Write(content[:n]); err != nil {
			t.Fatal(err)
		}
		content = content[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func openSaved(file, key, description []byte) ([]byte, error) {
	r, err := newSavedReader(bytes.NewReader(file), key, description)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestSavedStream(t *testing.T) {
	description := []byte("{}")
	for _, size := range []int{0, 1, savedChunk - 1, savedChunk, savedChunk + 1, 3 * savedChunk} {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i >> 8)
		}
		file := sealSaved(t, content, description)
		if got, err := openSaved(file, testSavedKey, description); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
		}
		if size > 16 && bytes.Contains(file, content[:16]) {
			t.Errorf("%d bytes are readable in the file", size)
		}
	}
}

func TestSavedStreamIsChecked(t *testing.T) {
	description := []byte("{}")
	content := bytes.Repeat([]byte("abcdefg"), 3*savedChunk/7)
	file := sealSaved(t, content, description)
	const head, chunk = len(savedMagic) + savedSalt, savedChunk + 16
	flipped := func(at int) []byte {
		b := bytes.Clone(file)
		b[at] ^= 4
		return b
	}
	swapped := bytes.Clone(file)
	copy(swapped[head:], file[head+chunk:head+2*chunk])
	copy(swapped[head+chunk:], file[head:head+chunk])
	tests := []struct {
		name             string
		file             []byte
		key, description []byte
	}{
		{"flipped in the first chunk", flipped(head + 5), testSavedKey, description},
		{"flipped in the last chunk", flipped(len(file) - 1), testSavedKey, description},
		{"flipped in the salt", flipped(head - 1), testSavedKey, description},
		{"another format", flipped(0), testSavedKey, description},
		{"cut within a chunk", file[:len(file)-3], testSavedKey, description},
		{"cut between chunks", file[:head+2*chunk], testSavedKey, description},
		{"cut to nothing", file[:head], testSavedKey, description},
		{"cut in the head", file[:10], testSavedKey, description},
		{"longer", append(bytes.Clone(file), 0), testSavedKey, description},
		{"chunks exchanged", swapped, testSavedKey, description},
		{"another key", file, bytes.Repeat([]byte{8}, 32), description},
		{"another description", file, testSavedKey, []byte("{ }")},
	}
	for _, tt := range tests {
		got, err := openSaved(tt.file, tt.key, tt.description)
		if !errors.Is(err, dormer.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", tt.name, err)
		}
		if !bytes.HasPrefix(content, got) {
			t.Errorf("%s: gave out what was not saved", tt.name)
		}
	}
}

func FuzzSavedReader(f *testing.F) {
	file := sealSaved(f, []byte("content"), []byte("{}"))
	f.Add(file)
	f.Add(file[:len(file)-1])
	f.Add([]byte(savedMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := openSaved(b, testSavedKey, []byte("{}"))
		if err == nil && !bytes.Equal(b, file) {
			t.Errorf("a file that was not sealed opens: %q", got)
		}
	})
}

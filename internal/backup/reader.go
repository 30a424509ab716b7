package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/dormer-project/dormer"
)

// Reader reads a backup from its beginning to its end and holds each member
// against the manifest. It is used by one goroutine.
type Reader struct {
	zstd   *zstd.Decoder
	tar    *tar.Reader
	header Header
	// members read so far, in their order; names are theirs.
	members []Member
	names   map[string]bool
	current *entry
	// ahead is the header of an entry that was read while looking for the next
	// piece of a stream.
	ahead     *tar.Header
	encrypted bool
}

// entry is the member that is being read.
type entry struct {
	r     *Reader
	name  string
	piece int // of a stream; 0 where it is none
	size  int64
	sum   hash.Hash
	ended bool
	last  bool // a piece was shorter: none may follow
}

// Open begins to read a backup, with identities if it is encrypted. The caller
// closes the Reader. ErrDenied when no identity opens it, ErrUnsupported when
// the format is newer, ErrCorrupt when it is no backup.
func Open(r io.Reader, identities ...age.Identity) (*Reader, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	b := &Reader{names: map[string]bool{}}
	first, err := buffered.Peek(len(ageIntro))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the backup: %w", err)
	}
	var plain io.Reader = buffered
	switch {
	case string(first) == ageIntro:
		b.encrypted = true
		if plain, err = decrypt(buffered, identities); err != nil {
			return nil, err
		}
	case !bytes.HasPrefix(first, []byte(zstdIntro)):
		return nil, fmt.Errorf("the file is no backup of dormerd: %w", dormer.ErrCorrupt)
	}
	if b.zstd, err = zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(4*maxWindow)); err != nil {
		return nil, damaged(err)
	}
	b.tar = tar.NewReader(b.zstd)
	if err := b.readHeader(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// The beginnings of files.
const (
	ageIntro  = "age-encryption.org/v1\n"
	zstdIntro = "\x28\xb5\x2f\xfd"
)

// damaged gives an error of the layers below its kind.
func damaged(err error) error {
	if errors.Is(err, dormer.ErrCorrupt) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the backup ends too early: %w", dormer.ErrCorrupt)
	}
	return fmt.Errorf("the backup is damaged (%w): %w", err, dormer.ErrCorrupt)
}

// Close frees what the Reader holds. It does not close the file.
func (b *Reader) Close() { b.zstd.Close() }

// Header is what the backup says of itself.
func (b *Reader) Header() Header { return b.header }

// Encrypted reports whether the file is.
func (b *Reader) Encrypted() bool { return b.encrypted }

// Members are those that were read to their end, with the header.
func (b *Reader) Members() []Member { return b.members }

func (b *Reader) readHeader() error {
	h, err := b.entry()
	if err != nil {
		return err
	}
	if h.Name != headerName || h.Size > maxHeader {
		return fmt.Errorf("the file does not begin as a backup of dormerd does: %w", dormer.ErrCorrupt)
	}
	content := make([]byte, h.Size)
	if _, err := io.ReadFull(b.tar, content); err != nil {
		return damaged(err)
	}
	if b.header, err = parseHeader(content); err != nil {
		return err
	}
	b.members = append(b.members, Member{Name: headerName, Size: h.Size, SHA256: sha256.Sum256(content)})
	return nil
}

// entry returns the next entry of the archive.
func (b *Reader) entry() (*tar.Header, error) {
	if h := b.ahead; h != nil {
		b.ahead = nil
		return h, nil
	}
	h, err := b.tar.Next()
	if err != nil {
		return nil, damaged(err)
	}
	if h.Typeflag != tar.TypeReg || h.Size < 0 {
		return nil, fmt.Errorf("the member %q is not a plain file: %w", h.Name, dormer.ErrCorrupt)
	}
	return h, nil
}

// Next goes to the next member, reading what was left of the one before it.
// The reader is good until the next call; a stream's size is -1. io.EOF after
// the last member, when everything was as the manifest says.
func (b *Reader) Next() (name string, size int64, r io.Reader, err error) {
	if b.current != nil {
		if _, err := io.Copy(io.Discard, b.current); err != nil {
			return "", 0, nil, err
		}
		b.current = nil
	}
	h, err := b.entry()
	if err != nil {
		return "", 0, nil, err
	}
	if h.Name == manifestName {
		if err := b.checkManifest(h.Size); err != nil {
			return "", 0, nil, err
		}
		return "", 0, nil, io.EOF
	}
	e := &entry{r: b, name: h.Name, sum: sha256.New()}
	size = h.Size
	if base, number, ok := strings.Cut(h.Name, "/"); ok && streamed(base) {
		if h.Name != pieceName(base, 1) || h.Size > pieceSize {
			return "", 0, nil, fmt.Errorf("the piece %s of %s is not the next: %w", printable(number), base, dormer.ErrCorrupt)
		}
		e.name, e.piece, e.last, size = base, 1, h.Size < pieceSize, -1
	} else if streamed(h.Name) {
		return "", 0, nil, fmt.Errorf("the member %s is not in pieces: %w", h.Name, dormer.ErrCorrupt)
	}
	if err := checkName(e.name); err != nil {
		return "", 0, nil, err
	}
	if b.names[e.name] {
		return "", 0, nil, fmt.Errorf("the member %s is there twice: %w", e.name, dormer.ErrCorrupt)
	}
	if len(b.members) >= MaxMembers {
		return "", 0, nil, fmt.Errorf("the backup has more than %d members: %w", MaxMembers, dormer.ErrCorrupt)
	}
	b.names[e.name], b.current = true, e
	return e.name, size, e, nil
}

func printable(s string) string { return fmt.Sprintf("%.40q", s) }

// Read implements io.Reader.
func (e *entry) Read(p []byte) (int, error) {
	for !e.ended {
		n, err := e.r.tar.Read(p)
		e.sum.Write(p[:n])
		e.size += int64(n)
		if n > 0 || err == nil {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, damaged(err)
		}
		more, err := e.more()
		if err != nil {
			return 0, err
		}
		if !more {
			e.ended = true
			e.r.members = append(e.r.members, Member{Name: e.name, Size: e.size, SHA256: [32]byte(e.sum.Sum(nil))})
		}
	}
	return 0, io.EOF
}

// more goes to the next piece of a stream, if there is one.
func (e *entry) more() (bool, error) {
	if e.piece == 0 {
		return false, nil
	}
	h, err := e.r.entry()
	if err != nil {
		return false, err
	}
	if base, _, _ := strings.Cut(h.Name, "/"); base != e.name {
		e.r.ahead = h
		return false, nil
	}
	e.piece++
	if h.Name != pieceName(e.name, e.piece) || h.Size > pieceSize || h.Size == 0 || e.last {
		return false, fmt.Errorf("the member %s is not in one piece after the other: %w", e.name, dormer.ErrCorrupt)
	}
	e.last = h.Size < pieceSize
	return true, nil
}

// checkManifest holds what was read against the manifest, and looks for the
// end of the file.
func (b *Reader) checkManifest(size int64) error {
	lines := bufio.NewReaderSize(b.tar, maxName+200)
	for _, m := range b.members {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("the manifest does not name the member %s: %w", m.Name, dormer.ErrCorrupt)
		}
		if string(line) != m.line() {
			return fmt.Errorf("the member %s is not as the manifest says: %w", m.Name, dormer.ErrCorrupt)
		}
		size -= int64(len(line))
	}
	if size != 0 {
		return fmt.Errorf("the manifest names members that are missing: %w", dormer.ErrCorrupt)
	}
	if h, err := b.tar.Next(); err == nil {
		return fmt.Errorf("the member %q follows the manifest: %w", h.Name, dormer.ErrCorrupt)
	} else if !errors.Is(err, io.EOF) {
		return damaged(err)
	}
	// To the end of the layers below: they have checksums of their own there.
	if n, err := io.Copy(io.Discard, b.zstd); err != nil {
		return damaged(err)
	} else if n > 0 {
		return fmt.Errorf("something follows the end of the backup: %w", dormer.ErrCorrupt)
	}
	return nil
}

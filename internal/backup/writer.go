package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Writer writes a backup. It is used by one goroutine.
type Writer struct {
	tar     *tar.Writer
	zstd    *zstd.Encoder
	made    time.Time
	names   map[string]bool
	members []Member
}

// NewWriter begins a backup. Header.Format is filled in. The caller closes the
// Writer, and w after it.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("compress the backup: %w", err)
	}
	b := &Writer{tar: tar.NewWriter(z), zstd: z, made: h.Made, names: map[string]bool{}}
	h.Format = Format
	text, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", headerName, err)
	}
	if err := b.raw(headerName, append(text, '\n')); err != nil {
		return nil, err
	}
	b.noteSum(headerName, append(text, '\n'))
	return b, nil
}

func (b *Writer) noteSum(name string, content []byte) {
	b.members = append(b.members, Member{Name: name, Size: int64(len(content)), SHA256: sha256.Sum256(content)})
}

// raw writes one entry.
func (b *Writer) raw(name string, content []byte) error {
	if err := b.header(name, int64(len(content))); err != nil {
		return err
	}
	if _, err := b.tar.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, durable.Kind(err))
	}
	return nil
}

func (b *Writer) header(name string, size int64) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: b.made, Format: tar.FormatPAX}
	if err := b.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("write %s: %w", name, durable.Kind(err))
	}
	return nil
}

// begin checks a new member's name.
func (b *Writer) begin(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if b.names[name] {
		return fmt.Errorf("the member %s is there already: %w", name, dormer.ErrExists)
	}
	if len(b.members) >= MaxMembers {
		return fmt.Errorf("more than %d members: %w", MaxMembers, dormer.ErrTooLarge)
	}
	b.names[name] = true
	return nil
}

// Add writes a member of exactly size bytes from r. ErrConflict when r has
// another length: the file was changed meanwhile.
func (b *Writer) Add(name string, size int64, r io.Reader) error {
	if err := b.begin(name); err != nil {
		return err
	}
	if err := b.header(name, size); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(b.tar, sum), io.LimitReader(r, size))
	if err != nil {
		return fmt.Errorf("write %s: %w", name, durable.Kind(err))
	}
	if more, err := io.CopyN(io.Discard, r, 1); n != size || more != 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s changed while it was read: %w", name, dormer.ErrConflict)
	}
	b.note(name, size, sum)
	return nil
}

func (b *Writer) note(name string, size int64, sum hash.Hash) {
	b.members = append(b.members, Member{Name: name, Size: size, SHA256: [32]byte(sum.Sum(nil))})
}

// Stream writes a member whose length fill decides.
func (b *Writer) Stream(name string, fill func(io.Writer) error) error {
	if !streamed(name) {
		return dormer.Invalidf("name", "of a stream must be %s or %s", StateName, EventsName)
	}
	if err := b.begin(name); err != nil {
		return err
	}
	p := &pieces{b: b, name: name, sum: sha256.New()}
	if err := fill(p); err != nil {
		return err
	}
	if p.held.Len() > 0 || p.written == 0 {
		if err := p.put(p.held.Len()); err != nil {
			return err
		}
	}
	b.note(name, p.size, p.sum)
	return nil
}

// pieces cuts what is written into entries.
type pieces struct {
	b       *Writer
	name    string
	held    bytes.Buffer
	written int // pieces
	size    int64
	sum     hash.Hash
}

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(len(rest), pieceSize-p.held.Len())
		p.held.Write(rest[:n])
		rest = rest[n:]
		if p.held.Len() == pieceSize {
			if err := p.put(pieceSize); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}

func (p *pieces) put(n int) error {
	content := p.held.Next(n)
	p.written++
	p.size += int64(n)
	p.sum.Write(content)
	err := p.b.raw(pieceName(p.name, p.written), content)
	p.held.Reset()
	return err
}

func pieceName(name string, number int) string { return fmt.Sprintf("%s/%06d", name, number) }

// Members are those written so far.
func (b *Writer) Members() []Member { return b.members }

// Close writes the manifest. It does not close what the backup is written to.
func (b *Writer) Close() error {
	var size int64
	for _, m := range b.members {
		size += int64(len(m.line()))
	}
	if err := b.header(manifestName, size); err != nil {
		return err
	}
	for _, m := range b.members {
		if _, err := io.WriteString(b.tar, m.line()); err != nil {
			return fmt.Errorf("write %s: %w", manifestName, durable.Kind(err))
		}
	}
	if err := b.tar.Close(); err != nil {
		return fmt.Errorf("end the backup: %w", durable.Kind(err))
	}
	if err := b.zstd.Close(); err != nil {
		return fmt.Errorf("end the backup: %w", durable.Kind(err))
	}
	return nil
}

// Abort frees what the Writer holds, of a backup that is given up.
func (b *Writer) Abort() {
	b.zstd.Reset(io.Discard)
	_ = b.zstd.Close() // nothing of it is wanted
}

package imagepack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

const (
	// frameBlocks is the size of new frames: the largest, which compresses best.
	frameBlocks = imageformat.MaxFrameBlocks
	// packTarget is the stored size at which a pack is closed, in bytes: few
	// requests for a first delivery, and little sent again when a push is cut.
	packTarget = 64 << 20
)

// packWriter writes frames into packs, in order, and a journal beside them, so
// that a Pack that was cut short does not compress again what it had stored.
// Packs keep a working name until finish.
type packWriter struct {
	dir     string
	journal *os.File
	// known are the frames that the journal has and that were not come to yet.
	known []journalFrame

	f      *os.File
	sum    hash.Hash
	offset int64
	// frames written, with Pack counting from 0.
	frames []imageformat.Frame
	packs  []imageformat.Object
	// written is the stored length of all frames, for progress.
	written atomic.Int64
}

// journalFrame is a frame as the journal tells it. content is the hash of the
// keys of its blocks.
type journalFrame struct {
	content, stored imageformat.Hash
	pack            uint32
	offset          int64
	length, blocks  uint32
}

const (
	journalFile    = "journal"
	journalMagic   = "DRMPACK1"
	journalHeader  = len(journalMagic) + sha256.Size
	journalRecord  = 2*sha256.Size + 4 + 8 + 4 + 4 + 4
	maxJournalRead = 1 << 30
)

func (j journalFrame) encode() []byte {
	b := append([]byte(nil), j.content[:]...)
	b = append(b, j.stored[:]...)
	b = binary.BigEndian.AppendUint32(b, j.pack)
	b = binary.BigEndian.AppendUint64(b, uint64(j.offset))
	b = binary.BigEndian.AppendUint32(b, j.length)
	b = binary.BigEndian.AppendUint32(b, j.blocks)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// parseJournal returns the frames of a journal of the same work, up to the first
// record that is not whole.
func parseJournal(b []byte, work imageformat.Hash) []journalFrame {
	head := append([]byte(journalMagic), work[:]...)
	rest, ok := bytes.CutPrefix(b, head)
	if !ok {
		return nil
	}
	var out []journalFrame
	for len(rest) >= journalRecord {
		r := rest[:journalRecord]
		rest = rest[journalRecord:]
		n := journalRecord - 4
		if binary.BigEndian.Uint32(r[n:]) != crc32.ChecksumIEEE(r[:n]) {
			break
		}
		j := journalFrame{
			content: imageformat.Hash(r[:32]), stored: imageformat.Hash(r[32:64]), pack: binary.BigEndian.Uint32(r[64:]),
			offset: int64(binary.BigEndian.Uint64(r[68:])), length: binary.BigEndian.Uint32(r[76:]), blocks: binary.BigEndian.Uint32(r[80:]),
		}
		if j.length > imageformat.MaxFrameStored || j.offset < 0 || j.offset > imageformat.MaxPack {
			break
		}
		out = append(out, j)
	}
	return out
}

func openPackWriter(dir string, work imageformat.Hash) (*packWriter, error) {
	j, err := os.OpenFile(filepath.Join(dir, journalFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", durable.Kind(err))
	}
	b, err := io.ReadAll(io.LimitReader(j, maxJournalRead))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read journal: %w", err), j.Close())
	}
	w := &packWriter{dir: dir, journal: j, known: parseJournal(b, work)}
	if len(w.known) == 0 {
		if err := w.restart(work); err != nil {
			return nil, errors.Join(err, j.Close())
		}
	}
	return w, nil
}

func (w *packWriter) restart(work imageformat.Hash) error {
	if err := w.journal.Truncate(0); err != nil {
		return fmt.Errorf("clear journal: %w", err)
	}
	if _, err := w.journal.WriteAt(append([]byte(journalMagic), work[:]...), 0); err != nil {
		return fmt.Errorf("write journal: %w", durable.Kind(err))
	}
	return nil
}

func (w *packWriter) packPath(i int) string { return filepath.Join(w.dir, fmt.Sprintf("pack-%05d", i)) }

// reuse returns the frame number i, with content, as a Pack before wrote it;
// nil if it did not. It may be called from any goroutine, before add of i.
func (w *packWriter) reuse(i int, content imageformat.Hash) []byte {
	if i >= len(w.known) || w.known[i].content != content {
		return nil
	}
	k := w.known[i]
	f, err := os.Open(w.packPath(int(k.pack)))
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, k.length)
	if _, err := f.ReadAt(b, k.offset); err != nil || imageformat.HashOf(b) != k.stored {
		return nil
	}
	return b
}

// add appends a frame.
func (w *packWriter) add(stored []byte, blocks int, content imageformat.Hash) error {
	if w.f != nil && w.offset+int64(len(stored)) > packTarget {
		if err := w.closePack(); err != nil {
			return err
		}
	}
	if w.f == nil {
		f, err := os.OpenFile(w.packPath(len(w.packs)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return fmt.Errorf("make pack: %w", durable.Kind(err))
		}
		w.f, w.sum, w.offset = f, sha256.New(), 0
	}
	// The same bytes land where a Pack before put them; so what is there and not
	// yet come to stays intact until it is reused.
	if _, err := w.f.WriteAt(stored, w.offset); err != nil {
		return fmt.Errorf("write pack: %w", durable.Kind(err))
	}
	w.sum.Write(stored)
	frame := imageformat.Frame{Pack: len(w.packs), Offset: w.offset, Stored: len(stored), Blocks: blocks, Hash: imageformat.HashOf(stored)}
	j := journalFrame{content, frame.Hash, uint32(frame.Pack), frame.Offset, uint32(frame.Stored), uint32(blocks)}
	if _, err := w.journal.WriteAt(j.encode(), int64(journalHeader+len(w.frames)*journalRecord)); err != nil {
		return fmt.Errorf("write journal: %w", durable.Kind(err))
	}
	w.frames = append(w.frames, frame)
	w.offset += int64(len(stored))
	w.written.Add(int64(len(stored)))
	return nil
}

func (w *packWriter) closePack() error {
	f := w.f
	w.f = nil
	if err := f.Truncate(w.offset); err != nil {
		return errors.Join(fmt.Errorf("close pack: %w", err), f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("close pack: %w", durable.Kind(err)), f.Close())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close pack: %w", durable.Kind(err))
	}
	name := imageformat.ObjectName(imageformat.KindPack, imageformat.Hash(w.sum.Sum(nil)))
	w.packs = append(w.packs, imageformat.Object{Name: name, Size: w.offset})
	return nil
}

// finish moves the packs to their names below dir.
func (w *packWriter) finish(dir string) error {
	if w.f != nil {
		if err := w.closePack(); err != nil {
			return err
		}
	}
	for i, p := range w.packs {
		to := filepath.Join(dir, filepath.FromSlash(p.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return fmt.Errorf("make folder: %w", durable.Kind(err))
		}
		if err := os.Rename(w.packPath(i), to); err != nil {
			return fmt.Errorf("name pack: %w", err)
		}
	}
	return nil
}

func (w *packWriter) close() error {
	var err error
	if w.f != nil {
		err = w.f.Close()
	}
	return errors.Join(err, w.journal.Close())
}

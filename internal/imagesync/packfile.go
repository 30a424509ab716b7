package imagesync

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// packFile is the store's copy of a pack: a sparse file with the frames at their
// own offsets, and a log of which are there.
//
// A record is appended after its frame was written, so after kill -9 the log
// names only what is there. After a power cut it may name a frame whose bytes
// did not reach the disk, since neither is synced for each frame; but every
// frame is checked against its hash whenever it is read.
type packFile struct {
	data, log *os.File
	end       int64
	// present has the stored length of the frames that are there, by offset.
	present map[int64]uint32
}

// A record of the log: offset, stored length with the highest bit set when the
// frame was dropped, CRC-32 of both.
const (
	logRecord  = 16
	logDropped = 1 << 31
)

func openPackFile(base string) (*packFile, error) {
	data, err := os.OpenFile(base+dataSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open pack in store: %w", durable.Kind(err))
	}
	log, err := os.OpenFile(base+logSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open pack in store: %w", durable.Kind(err)), data.Close())
	}
	p := &packFile{data: data, log: log, present: map[int64]uint32{}}
	if err := p.readLog(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// readLog reads the log and cuts off a record that is not whole.
func (p *packFile) readLog() error {
	const largest = 256 << 20
	b, err := io.ReadAll(io.LimitReader(p.log, largest))
	if err != nil {
		return fmt.Errorf("read log of pack: %w", err)
	}
	p.end, p.present = parseLog(b)
	if int64(len(b)) != p.end {
		if err := p.log.Truncate(p.end); err != nil {
			return fmt.Errorf("cut log of pack: %w", err)
		}
	}
	return nil
}

// parseLog returns the length of the good records and the frames that they leave
// present.
func parseLog(b []byte) (end int64, present map[int64]uint32) {
	present = map[int64]uint32{}
	for len(b) >= logRecord {
		off, n := int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])
		if crc32.ChecksumIEEE(b[:12]) != binary.BigEndian.Uint32(b[12:]) || off < 0 || off > imageformat.MaxPack || n&^logDropped > imageformat.MaxFrameStored {
			break
		}
		if n&logDropped != 0 {
			delete(present, off)
		} else {
			present[off] = n
		}
		b = b[logRecord:]
		end += logRecord
	}
	return end, present
}

func (p *packFile) has(f imageformat.Frame) bool {
	n, ok := p.present[f.Offset]
	return ok && int(n) == f.Stored
}

func (p *packFile) add(f imageformat.Frame, stored []byte) error {
	if _, err := p.data.WriteAt(stored, f.Offset); err != nil {
		return fmt.Errorf("write frame: %w", durable.Kind(err))
	}
	if err := p.record(f.Offset, uint32(len(stored))); err != nil {
		return err
	}
	p.present[f.Offset] = uint32(len(stored))
	return nil
}

// drop says that the frame at off is not there any more.
func (p *packFile) drop(off int64) error {
	delete(p.present, off)
	return p.record(off, logDropped)
}

func (p *packFile) record(off int64, n uint32) error {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, logRecord), uint64(off))
	b = binary.BigEndian.AppendUint32(b, n)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	if _, err := p.log.WriteAt(b, p.end); err != nil {
		return fmt.Errorf("write log of pack: %w", durable.Kind(err))
	}
	p.end += logRecord
	return nil
}

// sync makes durable what was added, the frames before the log.
func (p *packFile) sync() error {
	if err := p.data.Sync(); err != nil {
		return fmt.Errorf("sync pack: %w", durable.Kind(err))
	}
	if err := p.log.Sync(); err != nil {
		return fmt.Errorf("sync pack: %w", durable.Kind(err))
	}
	return nil
}

func (p *packFile) close() error { return errors.Join(p.data.Close(), p.log.Close()) }

// readFrame reads a stored frame from the data file of a pack.
func readFrame(data io.ReaderAt, f imageformat.Frame) ([]byte, error) {
	b := make([]byte, f.Stored)
	if n, err := data.ReadAt(b, f.Offset); n < len(b) {
		if errors.Is(err, io.EOF) {
			return b[:n], nil // too short: its hash will not fit
		}
		return nil, err
	}
	return b, nil
}

package nbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// Numbers of the transmission.
const (
	magicRequest    = 0x25609513
	magicSimple     = 0x67446698
	magicStructured = 0x668e33ef

	cmdRead        = 0
	cmdWrite       = 1
	cmdDisc        = 2
	cmdFlush       = 3
	cmdTrim        = 4
	cmdCache       = 5
	cmdWriteZeroes = 6
	cmdBlockStatus = 7

	cmdFlagDF     = 1 << 2
	cmdFlagReqOne = 1 << 3

	chunkDone        = 1 << 0
	chunkNone        = 0
	chunkOffsetData  = 1
	chunkOffsetHole  = 2
	chunkBlockStatus = 5
	chunkError       = 0x8001

	errnoPerm  = 1
	errnoIO    = 5
	errnoInval = 22

	statusHoleZero = 1<<0 | 1<<1

	// maxDescriptors bounds the extents in one answer.
	maxDescriptors = 4096
)

type request struct {
	flags, kind uint16
	handle      uint64
	offset      uint64
	length      uint32
}

// transmit answers requests until the client ends the conversation.
func (c *client) transmit() error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxParallel)
	for {
		r, err := c.readRequest()
		if err != nil {
			return err
		}
		if r.kind == cmdDisc {
			return nil
		}
		if r.kind == cmdWrite {
			// What is to be written follows the request and must be taken.
			if _, err := io.CopyN(io.Discard, c.rw, int64(r.length)); err != nil {
				return fmt.Errorf("read data of a write: %w", err)
			}
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := c.answer(r); err != nil {
				c.log.Debug("cannot answer block device client", slog.Any("error", err))
			}
		})
	}
}

func (c *client) readRequest() (request, error) {
	var b [28]byte
	if _, err := io.ReadFull(c.rw, b[:]); err != nil {
		return request{}, fmt.Errorf("read request: %w", err)
	}
	if binary.BigEndian.Uint32(b[:]) != magicRequest {
		return request{}, fmt.Errorf("read request: %w", errProtocol)
	}
	return request{
		flags: binary.BigEndian.Uint16(b[4:]), kind: binary.BigEndian.Uint16(b[6:]), handle: binary.BigEndian.Uint64(b[8:]),
		offset: binary.BigEndian.Uint64(b[16:]), length: binary.BigEndian.Uint32(b[24:]),
	}, nil
}

func (c *client) answer(r request) error {
	size := uint64(c.source.Size())
	inside := r.offset <= size && uint64(r.length) <= size-r.offset
	switch r.kind {
	case cmdRead:
		if !inside || r.length == 0 || r.length > maxRequest {
			return c.fail(r, errnoInval)
		}
		return c.read(r)
	case cmdBlockStatus:
		if !c.allocation || !inside || r.length == 0 {
			return c.fail(r, errnoInval)
		}
		return c.blockStatus(r)
	case cmdFlush:
		return c.succeed(r)
	case cmdCache:
		if !inside {
			return c.fail(r, errnoInval)
		}
		return c.succeed(r)
	case cmdWrite, cmdTrim, cmdWriteZeroes:
		return c.fail(r, errnoPerm)
	default:
		return c.fail(r, errnoInval)
	}
}

// extents returns the extents of a request, cut at its end.
func (c *client) extents(r request) ([]Extent, error) {
	all, err := c.source.Extents(int64(r.offset), int64(r.length))
	if err != nil {
		return nil, err
	}
	left := int64(r.length)
	var out []Extent
	for _, e := range all {
		if e.Length <= 0 || left == 0 {
			break
		}
		e.Length = min(e.Length, left)
		left -= e.Length
		if n := len(out); n > 0 && out[n-1].Zero == e.Zero {
			out[n-1].Length += e.Length
			continue
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, errors.New("source knows nothing about its extents")
	}
	return out, nil
}

func (c *client) read(r request) error {
	if !c.structured {
		b := make([]byte, 16+int(r.length))
		binary.BigEndian.PutUint32(b, magicSimple)
		binary.BigEndian.PutUint64(b[8:], r.handle)
		if err := c.readAt(b[16:], int64(r.offset)); err != nil {
			return c.fail(r, errnoIO)
		}
		return c.write(b)
	}
	parts := []Extent{{Length: int64(r.length)}}
	if r.flags&cmdFlagDF == 0 {
		known, err := c.extents(r)
		if err != nil {
			c.log.Error("cannot tell data from holes", slog.Any("error", err))
			return c.fail(r, errnoIO)
		}
		parts = known
		// What the source says nothing about is read as data.
		covered := int64(0)
		for _, p := range parts {
			covered += p.Length
		}
		if covered < int64(r.length) {
			parts = append(parts, Extent{Length: int64(r.length) - covered})
		}
	}
	offset := r.offset
	for i, p := range parts {
		flags := uint16(0)
		if i == len(parts)-1 {
			flags = chunkDone
		}
		if p.Zero {
			b := c.chunk(r, flags, chunkOffsetHole, 12)
			b = binary.BigEndian.AppendUint64(b, offset)
			b = binary.BigEndian.AppendUint32(b, uint32(p.Length))
			if err := c.write(b); err != nil {
				return err
			}
			offset += uint64(p.Length)
			continue
		}
		b := c.chunk(r, flags, chunkOffsetData, 8+uint32(p.Length))
		b = binary.BigEndian.AppendUint64(b, offset)
		head := len(b)
		b = append(b, make([]byte, p.Length)...)
		if err := c.readAt(b[head:], int64(offset)); err != nil {
			return c.fail(r, errnoIO)
		}
		if err := c.write(b); err != nil {
			return err
		}
		offset += uint64(p.Length)
	}
	return nil
}

func (c *client) readAt(p []byte, off int64) error {
	n, err := c.source.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	c.log.Error("cannot read disk", slog.Int64("offset", off), slog.Int("length", len(p)), slog.Any("error", err))
	return errors.Join(io.ErrUnexpectedEOF, err)
}

func (c *client) blockStatus(r request) error {
	parts, err := c.extents(r)
	if err != nil {
		c.log.Error("cannot tell data from holes", slog.Any("error", err))
		return c.fail(r, errnoIO)
	}
	if r.flags&cmdFlagReqOne != 0 {
		parts = parts[:1]
	}
	parts = parts[:min(len(parts), maxDescriptors)]
	b := c.chunk(r, chunkDone, chunkBlockStatus, uint32(4+8*len(parts)))
	b = binary.BigEndian.AppendUint32(b, metaAllocationID)
	for _, p := range parts {
		state := uint32(0)
		if p.Zero {
			state = statusHoleZero
		}
		b = binary.BigEndian.AppendUint32(b, uint32(p.Length))
		b = binary.BigEndian.AppendUint32(b, state)
	}
	return c.write(b)
}

// chunk returns the head of a chunk of a structured reply.
func (c *client) chunk(r request, flags, kind uint16, length uint32) []byte {
	b := make([]byte, 0, 20+int(length))
	b = binary.BigEndian.AppendUint32(b, magicStructured)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint64(b, r.handle)
	return binary.BigEndian.AppendUint32(b, length)
}

func (c *client) simple(r request, errno uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, magicSimple)
	b = binary.BigEndian.AppendUint32(b, errno)
	return binary.BigEndian.AppendUint64(b, r.handle)
}

func (c *client) succeed(r request) error {
	if c.structured {
		return c.write(c.chunk(r, chunkDone, chunkNone, 0))
	}
	return c.write(c.simple(r, 0))
}

func (c *client) fail(r request, errno uint32) error {
	if !c.structured {
		return c.write(c.simple(r, errno))
	}
	b := c.chunk(r, chunkDone, chunkError, 6)
	b = binary.BigEndian.AppendUint32(b, errno)
	return c.write(binary.BigEndian.AppendUint16(b, 0))
}

func (c *client) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := c.rw.Write(b); err != nil {
		return fmt.Errorf("answer request: %w", err)
	}
	return nil
}

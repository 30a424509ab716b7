package qemu

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/dormer-project/dormer"
)

// The file of a saved state: savedMagic, a random salt of savedSalt bytes, and
// chunks of savedChunk bytes, the last one shorter or empty, each sealed with
// AES-256-GCM. The key is derived from the machine's key, the salt and the
// description beside the file, so that it seals one file only and opens it
// with that description alone. The nonce is the chunk's number and, in its last
// byte, whether it is the last: chunks cannot be exchanged, repeated or left out,
// nor the file be cut.
const (
	savedMagic = "dormer saved 1\n"
	savedSalt  = 32
	savedChunk = 1 << 20
	savedLabel = "dormer saved state"
)

// savedKey is the key of saved states, of a machine with that disk key.
func savedKey(diskKey []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, diskKey, nil, savedLabel, 32)
	if err != nil {
		return nil, fmt.Errorf("key of saved state: %w", err)
	}
	return key, nil
}

// savedCipher returns the cipher of one file; description is the content of
// the file beside it.
func savedCipher(key, salt, description []byte) (cipher.AEAD, error) {
	digest := sha256.Sum256(description)
	fileKey, err := hkdf.Key(sha256.New, key, salt, savedLabel+" file "+string(digest[:]), 32)
	if err != nil {
		return nil, fmt.Errorf("key of saved state: %w", err)
	}
	block, err := aes.NewCipher(fileKey)
	if err != nil {
		return nil, fmt.Errorf("key of saved state: %w", err)
	}
	return cipher.NewGCM(block)
}

// savedNonce is the nonce of a chunk.
func savedNonce(number uint64, last bool) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[3:], number)
	if last {
		nonce[11] = 1
	}
	return nonce
}

// savedWriter seals what is written to it. Close writes the last chunk and
// leaves the writer below open.
type savedWriter struct {
	w      io.Writer
	aead   cipher.AEAD
	number uint64
	chunk  []byte // what is not written yet
	sealed []byte
}

// newSavedWriter begins a file. salt is fresh and random.
func newSavedWriter(w io.Writer, key, salt, description []byte) (*savedWriter, error) {
	aead, err := savedCipher(key, salt, description)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(append([]byte(savedMagic), salt...)); err != nil {
		return nil, err
	}
	return &savedWriter{w: w, aead: aead, chunk: make([]byte, 0, savedChunk), sealed: make([]byte, 0, savedChunk+aead.Overhead())}, nil
}

// Write implements io.Writer.
func (s *savedWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if len(s.chunk) == savedChunk {
			if err := s.seal(false); err != nil {
				return written, err
			}
		}
		n := min(len(p), savedChunk-len(s.chunk))
		s.chunk = append(s.chunk, p[:n]...)
		p = p[n:]
		written += n
	}
	return written, nil
}

// Close implements io.Closer.
func (s *savedWriter) Close() error { return s.seal(true) }

func (s *savedWriter) seal(last bool) error {
	s.sealed = s.aead.Seal(s.sealed[:0], savedNonce(s.number, last), s.chunk, nil)
	s.number++
	s.chunk = s.chunk[:0]
	_, err := s.w.Write(s.sealed)
	return err
}

// savedReader opens what a savedWriter has sealed. It gives out nothing that
// was not checked, and io.EOF only when everything was there.
type savedReader struct {
	r      *bufio.Reader
	aead   cipher.AEAD
	number uint64
	sealed []byte
	chunk  []byte // what was not read yet
	err    error
}

// newSavedReader begins to read a file. ErrCorrupt when it is none.
func newSavedReader(r io.Reader, key, description []byte) (*savedReader, error) {
	head := make([]byte, len(savedMagic)+savedSalt)
	if _, err := io.ReadFull(r, head); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = dormer.ErrCorrupt
		}
		return nil, fmt.Errorf("saved state: %w", err)
	}
	if string(head[:len(savedMagic)]) != savedMagic {
		return nil, fmt.Errorf("saved state has no known format: %w", dormer.ErrCorrupt)
	}
	aead, err := savedCipher(key, head[len(savedMagic):], description)
	if err != nil {
		return nil, err
	}
	return &savedReader{r: bufio.NewReaderSize(r, 64<<10), aead: aead, sealed: make([]byte, savedChunk+aead.Overhead())}, nil
}

// Read implements io.Reader.
func (s *savedReader) Read(p []byte) (int, error) {
	for len(s.chunk) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.chunk, s.err = s.open()
	}
	n := copy(p, s.chunk)
	s.chunk = s.chunk[n:]
	return n, nil
}

// open returns the next chunk, with io.EOF beside the last one.
func (s *savedReader) open() ([]byte, error) {
	n, err := io.ReadFull(s.r, s.sealed)
	last := false
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		last = true
	case err != nil:
		return nil, fmt.Errorf("read saved state: %w", err)
	default:
		if _, err := s.r.Peek(1); errors.Is(err, io.EOF) {
			last = true
		}
	}
	chunk, err := s.aead.Open(s.sealed[:0], savedNonce(s.number, last), s.sealed[:n], nil)
	if err != nil {
		return nil, fmt.Errorf("saved state is damaged: %w", dormer.ErrCorrupt)
	}
	s.number++
	if last {
		return chunk, io.EOF
	}
	return chunk, nil
}

package imageformat

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/dormer-project/dormer"
)

// RepositoryKey encrypts the objects of a repository. It reaches clients sealed
// in their leases.
type RepositoryKey [32]byte

// NewRepositoryKey makes a key from random.
func NewRepositoryKey(random io.Reader) (*RepositoryKey, error) {
	k := new(RepositoryKey)
	if _, err := io.ReadFull(random, k[:]); err != nil {
		return nil, fmt.Errorf("make repository key: %w", err)
	}
	return k, nil
}

// ParseRepositoryKey returns the key of 32 bytes.
func ParseRepositoryKey(b []byte) (*RepositoryKey, error) {
	k := new(RepositoryKey)
	if len(b) != len(k) {
		return nil, fmt.Errorf("repository key of %d bytes, expected %d: %w", len(b), len(k), dormer.ErrCorrupt)
	}
	copy(k[:], b)
	return k, nil
}

// String hides the key from logs and errors.
func (k *RepositoryKey) String() string { return "repository key " + k.ID() }

const keyIDLength = 16

// ID names the key without telling it: the first 16 hexadecimal digits of its
// SHA-256.
func (k *RepositoryKey) ID() string { return HashOf(k[:]).String()[:keyIDLength] }

func (k *RepositoryKey) derive(info string, n int) []byte {
	b, err := hkdf.Key(sha256.New, k[:], nil, info, n)
	if err != nil {
		panic("imageformat: HKDF of a fixed length does not fail: " + err.Error())
	}
	return b
}

// Use is what a sealed piece is. It is authenticated, so that a piece never
// serves as another.
type Use string

// The uses of sealed pieces.
const (
	UseFrame     Use = "dormer frame v1"
	UseMap       Use = "dormer map v1"
	UseDirectory Use = "dormer key directory v1"
	UsePage      Use = "dormer key page v1"
)

const (
	nonceSize = 12
	tagSize   = 16
)

// Codec compresses and encrypts pieces, and the other way round. It is safe for
// concurrent use.
type Codec struct {
	keyID string
	// aead and nonceKey are nil with CipherNone.
	aead     cipher.AEAD
	nonceKey []byte
	enc      *zstd.Encoder
	// decs holds *zstd.Decoder, scratch *[]byte for what was compressed and not
	// yet encrypted.
	decs, scratch sync.Pool
}

// NewCodec returns the codec for key, or the one for CipherNone when key is nil.
// parallel is how many Seal calls may compress at once; it costs memory.
func NewCodec(key *RepositoryKey, parallel int) (*Codec, error) {
	c := &Codec{}
	if key != nil {
		block, err := aes.NewCipher(key.derive("dormer image v1 encrypt", 32))
		if err != nil {
			return nil, fmt.Errorf("make cipher: %w", err)
		}
		if c.aead, err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("make cipher: %w", err)
		}
		c.nonceKey = key.derive("dormer image v1 nonce", 32)
		c.keyID = key.ID()
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(max(parallel, 1)), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make compressor: %w", err)
	}
	c.enc = enc
	return c, nil
}

// CodecFor returns the codec that reads the objects of m. ErrDenied when m
// needs a key that key is not.
func CodecFor(m *Manifest, key *RepositoryKey, parallel int) (*Codec, error) {
	if m.Cipher == CipherNone {
		return NewCodec(nil, parallel)
	}
	if key == nil {
		return nil, fmt.Errorf("image is encrypted under key %s, which is not at hand: %w", m.KeyID, dormer.ErrDenied)
	}
	if id := key.ID(); id != m.KeyID {
		return nil, fmt.Errorf("image is encrypted under key %s, the key at hand is %s: %w", m.KeyID, id, dormer.ErrDenied)
	}
	return NewCodec(key, parallel)
}

// Cipher returns the manifest's cipher and key_id for this codec.
func (c *Codec) Cipher() (name, keyID string) {
	if c.aead == nil {
		return CipherNone, ""
	}
	return CipherAES256GCM, c.keyID
}

// Seal compresses and then encrypts raw, and appends the stored piece to dst.
// The same raw, use and key give the same piece.
func (c *Codec) Seal(dst []byte, use Use, raw []byte) []byte {
	if c.aead == nil {
		return c.enc.EncodeAll(raw, dst)
	}
	scratch, ok := c.scratch.Get().(*[]byte)
	if !ok {
		scratch = new([]byte)
	}
	defer c.scratch.Put(scratch)
	packed := c.enc.EncodeAll(raw, (*scratch)[:0])
	*scratch = packed
	nonce := c.nonce(use, packed)
	dst = append(slices.Grow(dst, nonceSize+len(packed)+tagSize), nonce...)
	return c.aead.Seal(dst, nonce, packed, []byte(use))
}

// nonce derives the nonce from everything that GCM authenticates, so that two
// different messages never share one but by a collision of 96 bits.
func (c *Codec) nonce(use Use, packed []byte) []byte {
	h := hmac.New(sha256.New, c.nonceKey)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(use))))
	h.Write([]byte(use))
	h.Write(packed)
	return h.Sum(nil)[:nonceSize]
}

// Open decrypts and decompresses stored and appends the result to dst, which
// must be exactly rawLen bytes long: ErrCorrupt otherwise. It does not compare
// hashes; do that before.
func (c *Codec) Open(dst []byte, use Use, stored []byte, rawLen int64) ([]byte, error) {
	packed := stored
	if c.aead != nil {
		if len(stored) < nonceSize+tagSize {
			return nil, fmt.Errorf("sealed piece of %d bytes is too short: %w", len(stored), dormer.ErrCorrupt)
		}
		var err error
		if packed, err = c.aead.Open(nil, stored[:nonceSize], stored[nonceSize:], []byte(use)); err != nil {
			return nil, fmt.Errorf("sealed piece does not decrypt: %w", dormer.ErrCorrupt)
		}
	}
	if rawLen < 0 || rawLen > MaxMap {
		return nil, fmt.Errorf("sealed piece of %d bytes: %w", rawLen, dormer.ErrTooLarge)
	}
	var head zstd.Header
	if err := head.Decode(packed); err != nil || !head.HasFCS || head.FrameContentSize != uint64(rawLen) || head.Skippable {
		return nil, fmt.Errorf("sealed piece does not state its length of %d bytes: %w", rawLen, dormer.ErrCorrupt)
	}
	dec, err := c.decoder()
	if err != nil {
		return nil, err
	}
	defer c.decs.Put(dec)
	before := len(dst)
	dst = slices.Grow(dst, int(rawLen))
	// The decoder stops at the capacity, whatever follows the first frame.
	out, err := dec.DecodeAll(packed, dst[:before:before+int(rawLen)])
	if err != nil || int64(len(out)-before) != rawLen {
		return nil, fmt.Errorf("sealed piece does not decompress to %d bytes: %w", rawLen, dormer.ErrCorrupt)
	}
	return out, nil
}

func (c *Codec) decoder() (*zstd.Decoder, error) {
	if d, ok := c.decs.Get().(*zstd.Decoder); ok {
		return d, nil
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(MaxMap), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("make decompressor: %w", err)
	}
	return d, nil
}

// OpenObject checks that stored is the object name and opens it as use.
func (c *Codec) OpenObject(name string, use Use, stored []byte, rawLen int64) ([]byte, error) {
	if err := CheckObject(name, stored); err != nil {
		return nil, err
	}
	b, err := c.Open(nil, use, stored, rawLen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// CheckObject returns ErrCorrupt, naming the object, if stored is not what name
// says. Manifests are checked by OpenManifest instead.
func CheckObject(name string, stored []byte) error {
	_, want, err := ParseObjectName(name)
	if err != nil {
		return err
	}
	if HashOf(stored) != want {
		return fmt.Errorf("%s: hash does not fit: %w", name, dormer.ErrCorrupt)
	}
	return nil
}

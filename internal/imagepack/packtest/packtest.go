// Package packtest makes disks and packed images for tests.
package packtest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2" //nolint:depguard // the same content each time is wanted
	"os"
	"path/filepath"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/seal"
)

// Keys returns a key that publishes and names images, the key set of instance
// that trusts it, and a repository key. They are the same each time.
func Keys(t testing.TB, instance dormer.InstanceID) (*seal.SigningKey, seal.KeySet, *imageformat.RepositoryKey) {
	t.Helper()
	k, err := Publisher()
	if err != nil {
		t.Fatal(err)
	}
	repository := imageformat.RepositoryKey(sha256.Sum256([]byte("repository")))
	return k, seal.KeySet{Version: 1, Instance: instance, Keys: []seal.PublicKey{{
		ID: k.ID(), Key: k.Public(), Purposes: []seal.Purpose{seal.PurposePublisher, seal.PurposeAuthority},
	}}}, &repository
}

// Publisher returns the key that publishes images; it is the same each time.
func Publisher() (*seal.SigningKey, error) {
	seed := sha256.Sum256([]byte("publisher"))
	return seal.SigningKeyFromSeed(seed[:])
}

// Disk is the content of a disk whose blocks are set one by one.
type Disk []byte

// NewDisk returns a disk of size bytes that begins with a boot sector and is
// data, half of it compressible, and holes in turn.
func NewDisk(seed uint64, size int) Disk {
	d := make(Disk, size)
	src := source(seed, 1)
	r := rand.New(src)
	for at := 0; at < size; {
		n := min((1+r.IntN(200))*imageformat.BlockSize, size-at)
		if r.IntN(3) > 0 {
			_, _ = src.Read(d[at : at+n]) // never fails
			for i := at; i < at+n; i += 2 {
				d[i] &= 3
			}
		}
		at += n
	}
	d[510], d[511] = 0x55, 0xaa
	return d
}

func source(seed uint64, use byte) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(binary.BigEndian.AppendUint64([]byte{use}, seed)))
}

// Change writes n random blocks at random places and moves as many.
func (d Disk) Change(seed uint64, n int) Disk {
	out := append(Disk(nil), d...)
	src := source(seed, 2)
	r := rand.New(src)
	blocks := len(d) / imageformat.BlockSize
	at := func() int { return (1 + r.IntN(blocks-1)) * imageformat.BlockSize }
	for range n {
		to := at()
		_, _ = src.Read(out[to : to+imageformat.BlockSize]) // never fails
		from := at()
		copy(out[at():][:imageformat.BlockSize], d[from:from+imageformat.BlockSize])
	}
	return out
}

// Write writes the disk into a sparse file in a new folder and returns its path.
func (d Disk) Write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := d.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// WriteFile writes the disk into a new sparse file.
func (d Disk) WriteFile(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(int64(len(d))); err != nil {
		return err
	}
	for at := 0; at < len(d); at += imageformat.BlockSize {
		b := d[at:min(at+imageformat.BlockSize, len(d))]
		if imageformat.IsZero(b) {
			continue
		}
		if _, err := f.WriteAt(b, int64(at)); err != nil {
			return err
		}
	}
	return nil
}

// Pack packs with o, filling in disks, keys and folder where they lack.
func Pack(t testing.TB, d Disk, o imagepack.Options) *imagepack.Packed {
	t.Helper()
	publisher, _, key := Keys(t, "")
	if o.Disks == nil {
		o.Disks = []imagepack.DiskInput{{Name: "system", Path: d.Write(t), Format: "raw"}}
	}
	if o.Signer == nil {
		o.Signer, o.Key = publisher, key
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "packed")
	}
	p, err := imagepack.Pack(t.Context(), o)
	if err != nil {
		t.Fatalf("Pack: %v", err)
	}
	return p
}

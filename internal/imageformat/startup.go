package imageformat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
)

// StartupFormat is the format of a StartupProfile in a file.
const StartupFormat = "dormer/startup-profile.v1"

// Bounds of a profile.
const (
	// MaxStartupProfile is the largest file, in bytes.
	MaxStartupProfile = 16 << 20
	// MaxStartupReads is how many reads it may have.
	MaxStartupReads = 1 << 19
)

// StartupProfile says which blocks of an image's disks a guest reads while it
// starts, in the order of their first reads. `dormer image test` records it.
type StartupProfile struct {
	// Disks are the disks in the order of the image.
	Disks []StartupDisk
	// Complete is true when it was recorded until the guest's agent answered, and
	// false when the time for it was over before.
	Complete bool
	// Took is how long that was, from the start of the machine.
	Took  time.Duration
	Reads []StartupRead
}

// StartupDisk is a disk that was read.
type StartupDisk struct {
	Name string `json:"name"`
	// Size is in bytes.
	Size int64 `json:"size"`
}

// StartupRead is a run of blocks, of BlockSize bytes each, none of which was
// read before.
type StartupRead struct {
	Disk   int   // index in Disks
	Block  int64 // the first one
	Blocks int64
}

// startupFile is the file. Reads are written as three numbers each, since there
// are many.
type startupFile struct {
	Format   string        `json:"format"`
	Disks    []StartupDisk `json:"disks"`
	Complete bool          `json:"complete"`
	Took     int64         `json:"took_ms"`
	Reads    [][3]int64    `json:"reads"`
}

// Bytes is how much the profile covers, in bytes.
func (p *StartupProfile) Bytes() int64 {
	total := int64(0)
	for _, r := range p.Reads {
		total += r.Blocks * BlockSize
	}
	return total
}

// Encode returns the profile as a file.
func (p *StartupProfile) Encode() ([]byte, error) {
	f := startupFile{Format: StartupFormat, Disks: p.Disks, Complete: p.Complete, Took: p.Took.Milliseconds(), Reads: make([][3]int64, len(p.Reads))}
	for i, r := range p.Reads {
		f.Reads[i] = [3]int64{int64(r.Disk), r.Block, r.Blocks}
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("write startup profile: %w", err)
	}
	if b = append(b, '\n'); len(b) > MaxStartupProfile || len(p.Reads) > MaxStartupReads {
		return nil, fmt.Errorf("startup profile: %w", dormer.ErrTooLarge)
	}
	return b, p.check()
}

// DecodeStartupProfile reads a file and checks it. ErrTooLarge, ErrCorrupt, or
// ErrUnsupported for another format.
func DecodeStartupProfile(b []byte) (*StartupProfile, error) {
	if len(b) > MaxStartupProfile {
		return nil, fmt.Errorf("startup profile: %w", dormer.ErrTooLarge)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var f startupFile
	if err := d.Decode(&f); err != nil || d.More() {
		return nil, fmt.Errorf("startup profile is not readable: %w", dormer.ErrCorrupt)
	}
	if f.Format != StartupFormat {
		return nil, fmt.Errorf("startup profile of another format: %w", dormer.ErrUnsupported)
	}
	if len(f.Reads) > MaxStartupReads {
		return nil, fmt.Errorf("startup profile: %w", dormer.ErrTooLarge)
	}
	if f.Took < 0 || f.Took > int64(time.Duration(1<<62)/time.Millisecond) {
		return nil, fmt.Errorf("startup profile: its time: %w", dormer.ErrCorrupt)
	}
	p := &StartupProfile{Disks: f.Disks, Complete: f.Complete, Took: time.Duration(f.Took) * time.Millisecond, Reads: make([]StartupRead, len(f.Reads))}
	for i, r := range f.Reads {
		if r[0] < 0 || r[0] >= int64(len(f.Disks)) {
			return nil, fmt.Errorf("startup profile: read %d is of no disk: %w", i, dormer.ErrCorrupt)
		}
		p.Reads[i] = StartupRead{Disk: int(r[0]), Block: r[1], Blocks: r[2]}
	}
	return p, p.check()
}

// check refuses reads outside of the disks, and blocks that are read twice.
func (p *StartupProfile) check() error {
	bad := func(what string) error { return fmt.Errorf("startup profile: %s: %w", what, dormer.ErrCorrupt) }
	if len(p.Disks) == 0 || len(p.Disks) > MaxDisks {
		return bad("wrong number of disks")
	}
	for _, d := range p.Disks {
		if d.Name == "" || len(d.Name) > 64 || d.Size <= 0 || d.Size > MaxDisk {
			return bad("wrong disk")
		}
	}
	for _, r := range p.Reads {
		blocks := (p.Disks[r.Disk].Size + BlockSize - 1) / BlockSize
		if r.Block < 0 || r.Blocks < 1 || r.Block > blocks || r.Blocks > blocks-r.Block {
			return bad("a read beyond the end of its disk")
		}
	}
	sorted := slices.SortedFunc(slices.Values(p.Reads), func(a, b StartupRead) int {
		if a.Disk != b.Disk {
			return a.Disk - b.Disk
		}
		switch {
		case a.Block < b.Block:
			return -1
		case a.Block > b.Block:
			return 1
		default:
			return 0
		}
	})
	for i := 1; i < len(sorted); i++ {
		if before := sorted[i-1]; before.Disk == sorted[i].Disk && before.Block+before.Blocks > sorted[i].Block {
			return bad("a block that is read twice")
		}
	}
	return nil
}

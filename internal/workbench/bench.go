package workbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/seal"
)

// What is in the user's data folder. The agent of a user has its own images
// there, in images.
const (
	PackedFolder = "packed" // packed images, one folder each
	StoreFolder  = "store"  // what was pulled
	benchFile    = "bench.json"
	benchLock    = "bench.lock"
)

// Config is what a bench needs of whoever has it.
type Config struct {
	// Folder is the user's data folder; it is made where it is missing.
	Folder string
	// Work is the folder for what is thrown away; empty: that of temporary files.
	Work string
	// Server returns a client of the server that is worked with, for the caller to
	// close, and the server's base URL. ErrUnauthenticated without a session.
	Server func() (*apiclient.Client, string, error)
	// Signer returns a key that the server trusts.
	Signer func(context.Context, *apiclient.Client) (*seal.SigningKey, error)
	// Software is the program, and its version.
	Software string
	Now      func() time.Time
	Random   io.Reader
	Log      *slog.Logger
}

// Bench has the images of this computer, and the jobs and runs that are under
// way with them. It is safe for concurrent use.
type Bench struct {
	config Config
	lock   *os.File
	ctx    context.Context // ends with the bench
	end    context.CancelFunc
	going  sync.WaitGroup
	lanes  map[JobKind]chan struct{} // a place for the one job of a kind that runs

	mu   sync.Mutex // guards the fields below and what they point to
	kept kept
	jobs []*Job // oldest first
	runs []*Run // oldest first
}

// kept is what outlives the program.
type kept struct {
	Version int      `json:"version"`
	Tests   []Test   `json:"tests"`
	Uploads []Upload `json:"uploads"`
}

// keptVersion is that of the file's form.
const keptVersion = 1

// Test is a test image: a disk, or a description of several, that is run under
// a policy before it is packed.
type Test struct {
	Name    string    `json:"name"`
	Disk    string    `json:"disk"` // absolute
	Format  string    `json:"format,omitempty"`
	Created time.Time `json:"created"`
}

// Upload says what a packed image has become last.
type Upload struct {
	Name    string         `json:"name"`
	Image   dormer.ImageID `json:"image"`
	Server  string         `json:"server"`
	Version int            `json:"version"`
	At      time.Time      `json:"at"`
}

// MaxTests is how many test images are kept.
const MaxTests = 1000

// Open opens the bench in a folder. ErrConflict when another program has it.
func Open(c Config) (*Bench, error) {
	if err := os.MkdirAll(c.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(c.Folder, benchLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the images of this computer: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("'dormer console' runs already on this computer; use that one, or end it first: %w", dormer.ErrConflict), lock.Close())
	}
	b := &Bench{config: c, lock: lock, lanes: map[JobKind]chan struct{}{}}
	for _, k := range []JobKind{JobPack, JobUpload, JobDownload, JobExtract, JobVerify} {
		b.lanes[k] = make(chan struct{}, 1)
	}
	if b.kept, err = readKept(filepath.Join(c.Folder, benchFile)); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	b.ctx, b.end = context.WithCancel(context.Background())
	return b, nil
}

// Close cancels jobs, ends the machines that run, and returns when all have
// ended.
func (b *Bench) Close() error {
	b.end()
	b.going.Wait()
	return b.lock.Close()
}

func readKept(path string) (kept, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return kept{Version: keptVersion}, nil
	}
	if err != nil {
		return kept{}, fmt.Errorf("read the list of test images: %w", err)
	}
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return kept{}, fmt.Errorf("%s is not a list of test images: %w", path, dormer.ErrCorrupt)
	}
	if k.Version != keptVersion {
		return kept{}, fmt.Errorf("%s was written by another version of dormer: %w", path, dormer.ErrUnsupported)
	}
	return k, nil
}

// change writes what change makes of a copy of what is kept, and takes it over.
// Callers hold mu.
func (b *Bench) change(change func(*kept)) error {
	k := kept{Version: keptVersion, Tests: slices.Clone(b.kept.Tests), Uploads: slices.Clone(b.kept.Uploads)}
	change(&k)
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the list of test images: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(b.config.Folder, benchFile), raw); err != nil {
		return fmt.Errorf("keep the list of test images: %w", durable.Kind(err))
	}
	b.kept = k
	return nil
}

// Folder returns the folder of packed images, and how many bytes are free there.
func (b *Bench) Folder() (string, int64, error) {
	var free unix.Statfs_t
	if err := unix.Statfs(b.config.Folder, &free); err != nil {
		return "", 0, fmt.Errorf("free space of the data folder: %w", err)
	}
	return filepath.Join(b.config.Folder, PackedFolder), int64(free.Bavail) * int64(free.Bsize), nil //nolint:unconvert // other widths on other systems
}

// Tests lists the test images by name.
func (b *Bench) Tests() []Test {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.kept.Tests)
}

// test finds a test image. Callers hold mu.
func (b *Bench) test(name string) (Test, bool) {
	i := slices.IndexFunc(b.kept.Tests, func(t Test) bool { return t.Name == name })
	if i < 0 {
		return Test{}, false
	}
	return b.kept.Tests[i], true
}

// formats are what a disk's file can be.
var formats = []string{"", "raw", "qcow2", "vmdk", "vpc", "vhdx"}

// AddTest adds a test image of a disk file, or of a description, which stays
// where it is.
func (b *Bench) AddTest(name, disk, format string) (Test, error) {
	if err := checkTest(name, disk, format); err != nil {
		return Test{}, err
	}
	d, err := ReadDescription(disk, format)
	if err != nil {
		return Test{}, atField("disk", err)
	}
	for _, one := range d.Disks {
		if info, err := os.Stat(one.Path); err != nil || !info.Mode().IsRegular() && info.Mode().Type()&os.ModeDevice == 0 {
			return Test{}, dormer.Invalidf("disk", "%s is no file that can be read", one.Path)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.test(name); ok {
		return Test{}, dormer.Invalidf("name", "is that of another test image")
	}
	return b.keepTest(name, disk, format)
}

func checkTest(name, disk, format string) error {
	if err := dormer.CheckImageName(name); err != nil {
		return err
	}
	if !filepath.IsAbs(disk) {
		return dormer.Invalidf("disk", "needs the whole path of a file, from / on")
	}
	if !slices.Contains(formats, format) {
		return dormer.Invalidf("format", "is raw, qcow2, vmdk, vpc or vhdx, or absent")
	}
	return nil
}

// atField says at which field an error belongs that is about a file.
func atField(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dormer.Invalidf(path, "there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return dormer.Invalidf(path, "you may not read this file")
	case errors.Is(err, dormer.ErrInvalid):
		return dormer.Invalidf(path, "%s", err)
	}
	return err
}

// keepTest keeps a test image. Callers hold mu.
func (b *Bench) keepTest(name, disk, format string) (Test, error) {
	if len(b.kept.Tests) >= MaxTests {
		return Test{}, fmt.Errorf("there are %d test images; forget some first: %w", MaxTests, dormer.ErrConflict)
	}
	t := Test{Name: name, Disk: filepath.Clean(disk), Format: format, Created: b.config.Now().UTC().Truncate(time.Second)}
	return t, b.change(func(k *kept) {
		k.Tests = append(k.Tests, t)
		slices.SortFunc(k.Tests, func(a, b Test) int { return strings.Compare(a.Name, b.Name) })
	})
}

// RemoveTest forgets a test image; its disk stays. ErrConflict while it runs.
func (b *Bench) RemoveTest(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.test(name); !ok {
		return fmt.Errorf("test image %s: %w", name, dormer.ErrNotFound)
	}
	if b.running(name) != nil {
		return fmt.Errorf("test image %s runs; end it first: %w", name, dormer.ErrConflict)
	}
	return b.change(func(k *kept) {
		k.Tests = slices.DeleteFunc(k.Tests, func(t Test) bool { return t.Name == name })
	})
}

// Packed is a packed image of this computer.
type Packed struct {
	Name string
	*imagepack.Packed
	Created time.Time
	// Uploaded is nil when it was not uploaded from this bench as it is now.
	Uploaded *Upload
}

// Packed lists the packed images by name. What cannot be read is left out: its
// packing was cut short.
func (b *Bench) Packed() ([]Packed, error) {
	dir := filepath.Join(b.config.Folder, PackedFolder)
	found, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list packed images: %w", err)
	}
	b.mu.Lock()
	uploads := slices.Clone(b.kept.Uploads)
	b.mu.Unlock()
	var out []Packed
	for _, f := range found {
		if dormer.CheckImageName(f.Name()) != nil {
			continue
		}
		p, err := imagepack.OpenPacked(filepath.Join(dir, f.Name()))
		if err != nil {
			continue
		}
		one := Packed{Name: f.Name(), Packed: p}
		if info, err := f.Info(); err == nil {
			one.Created = info.ModTime().UTC()
		}
		if i := slices.IndexFunc(uploads, func(u Upload) bool { return u.Name == f.Name() && u.Image == p.Image }); i >= 0 {
			one.Uploaded = &uploads[i]
		}
		out = append(out, one)
	}
	return out, nil
}

// packedDir is the folder of the packed image of that name.
func (b *Bench) packedDir(name string) string {
	return filepath.Join(b.config.Folder, PackedFolder, name)
}

// RemovePacked deletes a packed image of this computer. ErrConflict while a job
// is under way with it.
func (b *Bench) RemovePacked(name string) error {
	if err := dormer.CheckImageName(name); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy(name, JobPack, JobUpload) {
		return fmt.Errorf("a job is under way with %s; wait for it, or cancel it: %w", name, dormer.ErrConflict)
	}
	if _, err := os.Stat(b.packedDir(name)); err != nil {
		return fmt.Errorf("packed image %s: %w", name, dormer.ErrNotFound)
	}
	if err := os.RemoveAll(b.packedDir(name)); err != nil {
		return fmt.Errorf("delete packed image %s: %w", name, err)
	}
	return b.change(func(k *kept) {
		k.Uploads = slices.DeleteFunc(k.Uploads, func(u Upload) bool { return u.Name == name })
	})
}

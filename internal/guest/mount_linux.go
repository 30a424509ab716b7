package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

const (
	// diskPatience is how long a disk may take to appear after the start.
	diskPatience = 10 * time.Second
	diskTick     = 50 * time.Millisecond
	// formatPatience is how long making a file system may take.
	formatPatience = 5 * time.Minute
	// blankHead and blankTail are what must be zero at both ends of a disk
	// that is to be formatted, in bytes.
	blankHead = 4 << 20
	blankTail = 1 << 20
	// markOffset is how far from the end of a disk the mark lies that says that
	// formatting has begun. mke2fs writes nothing there on a fresh disk.
	markOffset = 256 << 10
)

// formatMark is written before a disk is formatted and erased after, so that a
// disk whose formatting was cut short is not taken for one that holds something.
var formatMark = []byte("dormer-guest is making a file system here\n")

// mount mounts the disk with a serial number. It makes a file system when the
// disk is blank.
func (g *Guest) mount(ctx context.Context, r guestwire.MountRequest) (guestwire.MountResult, error) {
	switch {
	case r.Serial == "" || strings.ContainsAny(r.Serial, "/\x00*?["):
		return guestwire.MountResult{}, dormer.Invalidf("serial", "is not the serial number of a disk")
	case !filepath.IsAbs(r.MountPoint) || filepath.Clean(r.MountPoint) != r.MountPoint || r.MountPoint == "/":
		return guestwire.MountResult{}, dormer.Invalidf("mount_point", "must be an absolute path")
	case len(r.Label) > 16 || strings.ContainsAny(r.Label, "/\x00"):
		return guestwire.MountResult{}, dormer.Invalidf("label", "must have at most 16 characters")
	}
	device, err := waitForDisk(ctx, r.Serial)
	if err != nil {
		return guestwire.MountResult{}, err
	}
	on, err := mountedOn(r.MountPoint)
	if err != nil {
		return guestwire.MountResult{}, err
	}
	result := guestwire.MountResult{Already: on == device}
	switch on {
	case device: // what follows may be what an agent that was killed has left to do
	case "":
		if result.Formatted, err = g.ensureFileSystem(ctx, device, r); err != nil {
			return guestwire.MountResult{}, err
		}
		if err := os.MkdirAll(r.MountPoint, 0o755); err != nil {
			return guestwire.MountResult{}, fileError("make", r.MountPoint, err)
		}
		if err := unix.Mount(device, r.MountPoint, "ext4", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_RELATIME, ""); err != nil {
			return guestwire.MountResult{}, fmt.Errorf("mount data disk on %s: %w", r.MountPoint, err)
		}
	default:
		return guestwire.MountResult{}, fmt.Errorf("mount data disk: %s is on %s already: %w", on, r.MountPoint, dormer.ErrConflict)
	}
	if err := g.give(r); err != nil {
		return guestwire.MountResult{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.ofSystem.mounted, r.MountPoint) {
		g.ofSystem.mounted = append(g.ofSystem.mounted, r.MountPoint)
	}
	return result, nil
}

// give makes a file system that still belongs to root, as a fresh one does,
// its user's.
func (g *Guest) give(r guestwire.MountRequest) error {
	var st unix.Stat_t
	if err := unix.Stat(r.MountPoint, &st); err != nil {
		return fmt.Errorf("owner of %s: %w", r.MountPoint, err)
	}
	owner := r.Owner
	if owner == "" {
		owner = g.defaultUser()
	}
	if st.Uid != 0 || owner == "root" {
		return nil
	}
	if err := chown(r.MountPoint, owner); err != nil {
		return fmt.Errorf("owner of %s: %w", r.MountPoint, err)
	}
	return nil
}

func waitForDisk(ctx context.Context, serial string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, diskPatience)
	defer cancel()
	tick := time.NewTicker(diskTick)
	defer tick.Stop()
	for {
		if device, ok := findDisk("/sys/block", serial); ok {
			return device, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("disk %s: %w in the guest", serial, dormer.ErrNotFound)
		case <-tick.C:
		}
	}
}

// findDisk finds a disk by the serial number that its driver shows.
func findDisk(sysBlock, serial string) (string, bool) {
	for _, pattern := range []string{"*/serial", "*/device/serial"} {
		files, err := filepath.Glob(filepath.Join(sysBlock, pattern))
		if err != nil {
			return "", false
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil || strings.TrimSpace(string(b)) != serial {
				continue
			}
			rest := strings.TrimPrefix(file, sysBlock+"/")
			name, _, _ := strings.Cut(rest, "/")
			return "/dev/" + name, true
		}
	}
	links, err := filepath.Glob("/dev/disk/by-id/*_" + serial)
	if err != nil || len(links) == 0 {
		return "", false
	}
	device, err := filepath.EvalSymlinks(links[0])
	return device, err == nil
}

func mountedOn(mountPoint string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", fmt.Errorf("read mounts: %w", err)
	}
	on := ""
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 2 && unescapeMount(f[1]) == mountPoint {
			on = f[0]
		}
	}
	return on, nil
}

// unescapeMount undoes the octal escapes of /proc/self/mounts.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// disk is what ensureFileSystem needs of a device.
type disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// content is what is on a disk.
type content int

const (
	contentBlank  content = iota // nothing
	contentMarked                // a file system was being made
	contentExt                   // a file system that can be mounted
	contentOther                 // something else
)

func (g *Guest) ensureFileSystem(ctx context.Context, device string, r guestwire.MountRequest) (formatted bool, err error) {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return false, fileError("open", device, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, fmt.Errorf("size of data disk: %w", err)
	}
	what, err := inspect(f, size)
	if err != nil {
		return false, fmt.Errorf("look at data disk: %w", err)
	}
	switch {
	case what == contentExt:
		return false, nil
	case what == contentOther:
		return false, fmt.Errorf("data disk holds something that is not a file system of this guest: %w", dormer.ErrConflict)
	case !r.Format:
		return false, fmt.Errorf("data disk is blank: %w", dormer.ErrConflict)
	}
	if err := mark(f, size, formatMark); err != nil {
		return false, fmt.Errorf("mark data disk: %w", err)
	}
	if err := makeFileSystem(ctx, device, r.Label); err != nil {
		return false, err
	}
	if err := mark(f, size, make([]byte, len(formatMark))); err != nil {
		return false, fmt.Errorf("mark data disk: %w", err)
	}
	return true, nil
}

func makeFileSystem(ctx context.Context, device, label string) error {
	ctx, cancel := context.WithTimeout(ctx, formatPatience)
	defer cancel()
	program, err := lookPath("mke2fs", []string{"PATH=" + defaultPath})
	if err != nil {
		return fmt.Errorf("make file system: %w", errors.Join(err, dormer.ErrUnsupported))
	}
	cmd := exec.CommandContext(ctx, program, "-q", "-F", "-t", "ext4", "-m", "0",
		"-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", "-L", label, device)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make file system: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func mark(d disk, size int64, text []byte) error {
	if _, err := d.WriteAt(text, size-markOffset); err != nil {
		return err
	}
	return d.Sync()
}

// Where an ext file system has its magic number.
const (
	extMagicOffset = 1024 + 56
	extMagic       = 0xEF53
)

func inspect(d disk, size int64) (content, error) {
	if size < markOffset+blankHead {
		return contentOther, nil
	}
	head := make([]byte, blankHead)
	if _, err := d.ReadAt(head, 0); err != nil {
		return contentOther, err
	}
	if binary.LittleEndian.Uint16(head[extMagicOffset:]) == extMagic {
		return contentExt, nil
	}
	found := make([]byte, len(formatMark))
	if _, err := d.ReadAt(found, size-markOffset); err != nil {
		return contentOther, err
	}
	if bytes.Equal(found, formatMark) {
		return contentMarked, nil
	}
	tail := make([]byte, min(blankTail, size))
	if _, err := d.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return contentOther, err
	}
	if zero(head) && zero(tail) {
		return contentBlank, nil
	}
	return contentOther, nil
}

func zero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

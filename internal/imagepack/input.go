package imagepack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// stream is an open input.
type stream struct {
	name string
	path string
	f    *os.File
	size int64
	// changed is the time of the last change when it was opened.
	changed time.Time
	// first is the number of its first block, counting the streams before.
	first int64
}

func (s *stream) blocks() int64 { return (s.size + imageformat.BlockSize - 1) / imageformat.BlockSize }

// openInputs opens the disks, converting those that are not raw, and the boot
// files. The caller closes them, also after an error.
func openInputs(ctx context.Context, o *Options, temp string) ([]*stream, error) {
	var streams []*stream
	if len(o.Disks) == 0 {
		return nil, dormer.Invalidf("disks", "an image needs a disk")
	}
	for i, d := range o.Disks {
		path, err := rawFile(ctx, d, filepath.Join(temp, fmt.Sprintf("disk-%d.raw", i)))
		if err != nil {
			return streams, fmt.Errorf("disk %s: %w", d.Path, err)
		}
		s, err := openStream(d.Name, path)
		if err != nil {
			return streams, fmt.Errorf("disk %s: %w", d.Path, err)
		}
		streams = append(streams, s)
		if s.size == 0 || s.size%512 != 0 {
			return streams, fmt.Errorf("disk %s: %w", d.Path, dormer.Invalidf("disks", "has %d bytes, which is not a whole number of sectors: is it truncated?", s.size))
		}
	}
	for _, b := range []struct{ name, path string }{{"kernel", o.Kernel}, {"initrd", o.Initrd}} {
		if b.path == "" {
			continue
		}
		s, err := openStream(b.name, b.path)
		if err != nil {
			return streams, fmt.Errorf("%s: %w", b.name, err)
		}
		streams = append(streams, s)
	}
	first := int64(0)
	for _, s := range streams {
		s.first = first
		first += s.blocks()
	}
	if first >= 1<<32-1 {
		return streams, fmt.Errorf("disks of %d blocks: %w", first, dormer.ErrTooLarge)
	}
	return streams, nil
}

func openStream(name, path string) (*stream, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, durable.Kind(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.IsDir() {
		return nil, errors.Join(dormer.Invalidf("", "is a folder"), f.Close())
	}
	// Seeking also tells the size of a block device.
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find size: %w", err), f.Close())
	}
	return &stream{name: name, path: path, f: f, size: size, changed: info.ModTime()}, nil
}

// unchanged returns ErrConflict when the file was written to since it was opened.
func (s *stream) unchanged() error {
	info, err := s.f.Stat()
	if err != nil {
		return fmt.Errorf("look at %s: %w", s.path, err)
	}
	if !info.ModTime().Equal(s.changed) || info.Mode().IsRegular() && info.Size() != s.size {
		return fmt.Errorf("%s was changed while it was packed: %w", s.path, dormer.ErrConflict)
	}
	return nil
}

// detect returns the format that a disk file begins or ends as.
func detect(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", durable.Kind(err)
	}
	defer f.Close()
	head := make([]byte, 128<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read: %w", err)
	}
	at := func(off int, magic string) bool {
		return off+len(magic) <= n && bytes.HasPrefix(head[off:], []byte(magic))
	}
	switch {
	case at(0, "QFI\xfb"):
		return "qcow2", nil
	case at(0, "KDMV"), at(0, "# Disk DescriptorFile"):
		return "vmdk", nil
	case at(0, "vhdxfile"):
		return "vhdx", nil
	case at(0, "conectix"):
		return "vpc", nil
	}
	foot := make([]byte, 8)
	if size, err := f.Seek(0, io.SeekEnd); err == nil && size >= 512 {
		if _, err := f.ReadAt(foot, size-512); err == nil && string(foot) == "conectix" {
			return "vpc", nil
		}
	}
	// A partition table or boot sector; GPT; ext; XFS; btrfs; LUKS; LVM; ISO.
	if at(510, "\x55\xaa") || at(512, "EFI PART") || at(4096, "EFI PART") || at(1080, "\x53\xef") || at(0, "XFSB") || at(65600, "_BHRfS_M") ||
		at(0, "LUKS\xba\xbe") || at(512, "LABELONE") || at(32769, "CD001") {
		return "raw", nil
	}
	return "", dormer.Invalidf("disks", "is not a disk image: no known format, partition table or file system was found (give the format raw if it is meant)")
}

// rawFile returns the path of a raw file with the content of d: d itself, or
// temp after a conversion.
func rawFile(ctx context.Context, d DiskInput, temp string) (string, error) {
	format := d.Format
	if format == "" {
		var err error
		if format, err = detect(d.Path); err != nil {
			return "", err
		}
	}
	switch format {
	case "raw":
		return d.Path, nil
	case "qcow2", "vmdk", "vpc", "vhdx":
	default:
		return "", dormer.Invalidf("disks", "has a format that is not known: expected raw, qcow2, vmdk, vpc or vhdx")
	}
	path, err := filepath.Abs(d.Path)
	if err != nil {
		return "", fmt.Errorf("find path: %w", err)
	}
	if err := checkFamily(ctx, path, format); err != nil {
		return "", err
	}
	if err := checkChain(ctx, path, format); err != nil {
		return "", err
	}
	need, err := dataBytes(ctx, path, format)
	if err != nil {
		return "", err
	}
	if err := checkSpace(filepath.Dir(temp), need); err != nil {
		return "", fmt.Errorf("convert to raw: %w", err)
	}
	if _, err := qemuImg(ctx, "convert", "-f", format, "-O", "raw", "-S", "4k", path, temp); err != nil {
		return "", err
	}
	return temp, nil
}

// checkChain refuses files that are damaged or cut short, also those that path
// builds on: a conversion would take what is missing for zeros.
func checkChain(ctx context.Context, path, format string) error {
	out, err := qemuImg(ctx, "info", "-f", format, "--backing-chain", "--output=json", path)
	if err != nil {
		return err
	}
	var chain []struct {
		Filename string `json:"filename"`
		Format   string `json:"format"`
	}
	if err := json.Unmarshal(out, &chain); err != nil {
		return fmt.Errorf("qemu-img info: answer is not understood: %w", dormer.ErrUnsupported)
	}
	const leaksOnly, cannotCheck = 3, 63
	for _, c := range chain {
		if c.Format == "raw" {
			continue
		}
		_, err := qemuImg(ctx, "check", "-f", c.Format, c.Filename)
		var exit *exec.ExitError
		if errors.As(err, &exit) && (exit.ExitCode() == leaksOnly || exit.ExitCode() == cannotCheck) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s is damaged or truncated: %w", c.Filename, err)
		}
	}
	return nil
}

// dataBytes returns how many bytes of the disk are not zero as far as its format
// knows.
func dataBytes(ctx context.Context, path, format string) (int64, error) {
	out, err := qemuImg(ctx, "map", "-f", format, "--output=json", path)
	if err != nil {
		return 0, err
	}
	var extents []struct {
		Length int64 `json:"length"`
		Zero   bool  `json:"zero"`
	}
	if err := json.Unmarshal(out, &extents); err != nil {
		return 0, fmt.Errorf("qemu-img map: answer is not understood: %w", dormer.ErrUnsupported)
	}
	n := int64(0)
	for _, e := range extents {
		if !e.Zero {
			n += e.Length
		}
	}
	return n, nil
}

// qemuImg runs qemu-img. What it complains of is ErrInvalid, since it is about
// the input; that it is missing is ErrUnsupported.
func qemuImg(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "qemu-img", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("qemu-img is needed for disks that are not raw: %w", dormer.ErrUnsupported)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("qemu-img %s: %w", args[0], ctx.Err())
	}
	lines := bytes.Split(bytes.TrimSpace(stderr.Bytes()), []byte("\n"))
	kind := dormer.ErrInvalid
	if bytes.Contains(stderr.Bytes(), []byte("No space left on device")) {
		kind = dormer.ErrFull
	}
	return nil, fmt.Errorf("qemu-img %s: %s: %w: %w", args[0], lines[0], kind, err)
}

// fingerprint returns what makes two Packs the same work.
func fingerprint(o *Options, streams []*stream, cipherName, keyID string) imageformat.Hash {
	type input struct {
		Name string
		Size int64
	}
	in := struct {
		Layout, Cipher, KeyID string
		Streams               []input
		Bases                 []dormer.ImageID
	}{Layout: fmt.Sprintf("1 zstd-better %d %d", frameBlocks, packTarget), Cipher: cipherName, KeyID: keyID}
	for _, s := range streams {
		in.Streams = append(in.Streams, input{s.name, s.size})
	}
	for _, b := range o.Bases {
		in.Bases = append(in.Bases, b.Image)
	}
	b, err := json.Marshal(in)
	if err != nil {
		panic("imagepack: a struct of texts and numbers always marshals: " + err.Error())
	}
	return imageformat.HashOf(b)
}

// readFull reads the part of f at off that is inside of size and clears the rest
// of p.
func readFull(f *os.File, p []byte, off, size int64) error {
	n := min(int64(len(p)), size-off)
	if _, err := f.ReadAt(p[:n], off); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("input became shorter while it was read: %w", dormer.ErrConflict)
		}
		return fmt.Errorf("read input: %w", err)
	}
	clear(p[n:])
	return nil
}

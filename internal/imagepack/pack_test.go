package imagepack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/seal"
)

func readDisk(t *testing.T, id dormer.ImageID, s imagesync.Source, key *imageformat.RepositoryKey, disk int) []byte {
	t.Helper()
	_, trust, _ := packtest.Keys(t, "")
	img, err := imagesync.OpenSource(t.Context(), id, s, trust, key)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	d := img.Disks()[disk]
	b, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	_, _, key := packtest.Keys(t, "")
	publisher, _, _ := packtest.Keys(t, "")
	for name, o := range map[string]imagepack.Options{
		"encrypted": {Signer: publisher, Key: key},
		"plain":     {Signer: publisher},
		"one CPU":   {Signer: publisher, Key: key, Parallel: 1},
	} {
		t.Run(name, func(t *testing.T) {
			disk := packtest.NewDisk(3, 5<<20+512)
			p := packtest.Pack(t, disk, o)
			if got := readDisk(t, p.Image, imagesync.DirSource(p.Dir), o.Key, 0); !bytes.Equal(got, disk) {
				t.Error("disk differs after a round trip")
			}
			opened, err := imagepack.OpenPacked(p.Dir)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(p, opened); d != "" {
				t.Errorf("OpenPacked differs from Pack (-pack +open):\n%s", d)
			}
			if _, err := os.Stat(filepath.Join(p.Dir, ".work")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the working folder is left: %v", err)
			}
			found := bytes.Contains(readAllFiles(t, p.Dir), disk[:512])
			if found && o.Key != nil {
				t.Error("an encrypted image holds its content in clear")
			}
		})
	}
}

func readAllFiles(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSameInputSameImage(t *testing.T) {
	disk := packtest.NewDisk(4, 9<<20)
	a := packtest.Pack(t, disk, imagepack.Options{})
	publisher, _, key := packtest.Keys(t, "")
	b := packtest.Pack(t, disk, imagepack.Options{Signer: publisher, Key: key, Parallel: 1})
	if a.Image != b.Image {
		t.Errorf("images are %s and %s", a.Image, b.Image)
	}
}

func TestSeveralDisksAndBoot(t *testing.T) {
	dir := t.TempDir()
	system, data := packtest.NewDisk(5, 3<<20), packtest.NewDisk(6, 2<<20)
	// The kernel is on the system disk too, and is stored once.
	kernel := bytes.Clone(system[1<<20 : 2<<20+77])
	paths := map[string][]byte{"kernel": kernel, "initrd": []byte("a small initrd")}
	for n, b := range paths {
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := packtest.Pack(t, nil, imagepack.Options{
		Disks:  []imagepack.DiskInput{{Name: "system", Path: system.Write(t), Format: "raw"}, {Name: "more", Path: data.Write(t), Format: "raw"}},
		Kernel: filepath.Join(dir, "kernel"), Initrd: filepath.Join(dir, "initrd"), Append: "root=LABEL=root quiet",
		Machine: imagepack.Machine{Firmware: "uefi", TPM: true, Data: &imageformat.DataConvention{Label: "data", MountPoint: "/home"}},
	})
	_, trust, key := packtest.Keys(t, "")
	img, err := imagesync.OpenSource(t.Context(), p.Image, imagesync.DirSource(p.Dir), trust, key)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []packtest.Disk{system, data} {
		got, err := io.ReadAll(io.NewSectionReader(img.Disks()[i], 0, img.Disks()[i].Size()))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("disk %d differs: %v", i, err)
		}
	}
	out := t.TempDir()
	boot, ok, err := img.WriteBoot(t.Context(), out)
	if err != nil || !ok || boot.Append != "root=LABEL=root quiet" {
		t.Fatalf("WriteBoot = %+v, %v, %v", boot, ok, err)
	}
	for path, want := range map[string][]byte{boot.Kernel: kernel, boot.Initrd: paths["initrd"]} {
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("boot file %s differs: %v", path, err)
		}
	}
	if m := img.Manifest(); m.Firmware != "uefi" || !m.TPM || m.Data.MountPoint != "/home" || m.Architecture != "x86_64" {
		t.Errorf("manifest is %+v", m)
	}
}

func TestVersionsOnVersions(t *testing.T) {
	_, trust, key := packtest.Keys(t, "")
	disk := packtest.NewDisk(7, 8<<20)
	var sources imagesync.Sources
	var bases []imagepack.Base
	total, first := int64(0), int64(0)
	for i := range 5 {
		if i > 0 {
			disk = disk.Change(uint64(i), 15)
		}
		p := packtest.Pack(t, disk, imagepack.Options{Bases: bases})
		sources = append(sources, imagesync.DirSource(p.Dir))
		// The version before first, then the older ones.
		bases = append([]imagepack.Base{{Image: p.Image, Source: sources, Trust: trust}}, bases...)
		for j := range bases {
			bases[j].Source = sources
		}
		if got := readDisk(t, p.Image, sources, key, 0); !bytes.Equal(got, disk) {
			t.Fatalf("version %d differs", i+1)
		}
		if total += p.NewBytes(); i == 0 {
			first = total
		}
	}
	if total > first*3/2 {
		t.Errorf("five versions take %d bytes, the first took %d", total, first)
	}
}

func TestWornVersionIsRepacked(t *testing.T) {
	_, trust, key := packtest.Keys(t, "")
	disk := packtest.NewDisk(8, 16<<20)
	base := packtest.Pack(t, disk, imagepack.Options{})
	// Of most frames only little is left.
	worn := append(packtest.Disk(nil), disk...)
	for i := 0; i < len(worn); i += imageformat.BlockSize {
		if i/imageformat.BlockSize%16 > 1 {
			clear(worn[i:min(i+imageformat.BlockSize, len(worn))])
		}
	}
	all := imagesync.Sources{imagesync.DirSource(base.Dir)}
	p := packtest.Pack(t, worn, imagepack.Options{Bases: []imagepack.Base{{Image: base.Image, Source: all, Trust: trust}}})
	all = append(all, imagesync.DirSource(p.Dir))
	if got := readDisk(t, p.Image, all, key, 0); !bytes.Equal(got, worn) {
		t.Error("disk differs")
	}
	if m := p.Manifest; m.Sizes.Packed > m.Sizes.Full*2 {
		t.Errorf("%d bytes of blocks need frames of %d bytes", m.Sizes.Full, m.Sizes.Packed)
	}
}

func TestResume(t *testing.T) {
	disk := packtest.NewDisk(9, 24<<20)
	publisher, _, key := packtest.Keys(t, "")
	want := packtest.Pack(t, disk, imagepack.Options{})
	path := disk.Write(t)
	dir := filepath.Join(t.TempDir(), "packed")
	o := imagepack.Options{Disks: []imagepack.DiskInput{{Name: "system", Path: path, Format: "raw"}}, Signer: publisher, Key: key, Dir: dir}
	stopped := 0
	for range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		// Cut as soon as something new is in the journal.
		watch := make(chan struct{})
		go func() {
			defer close(watch)
			start := journalSize(dir)
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil && journalSize(dir) < start+300 {
				<-tick.C
			}
			cancel()
		}()
		_, err := imagepack.Pack(ctx, o)
		cancel()
		<-watch
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Pack: %v", err)
		}
		stopped++
		damagePack(t, dir)
	}
	if _, err := imagepack.Pack(t.Context(), o); err != nil && !errors.Is(err, dormer.ErrExists) {
		t.Fatal(err)
	}
	got, err := imagepack.OpenPacked(dir)
	if err != nil {
		t.Fatal(err)
	}
	if stopped == 0 {
		t.Error("Pack was never stopped in time")
	}
	if got.Image != want.Image {
		t.Errorf("after %d stops the image is %s, want %s", stopped, got.Image, want.Image)
	}
	if b := readDisk(t, got.Image, imagesync.DirSource(dir), key, 0); !bytes.Equal(b, disk) {
		t.Error("disk differs")
	}
	if _, err := imagepack.Pack(t.Context(), o); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("Pack into a folder that holds an image: %v, want ErrExists", err)
	}
}

func journalSize(dir string) int64 {
	info, err := os.Stat(filepath.Join(dir, ".work", "journal"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// damagePack changes a byte of a pack that is not finished, and leaves half a
// record in the journal, as a power cut may.
func damagePack(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, ".work", "pack-00000"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0xee}, 1000); err != nil {
		t.Fatal(err)
	}
	j, err := os.OpenFile(filepath.Join(dir, ".work", "journal"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := j.WriteString("half"); err != nil {
		t.Fatal(err)
	}
}

func TestBadInput(t *testing.T) {
	publisher, _, key := packtest.Keys(t, "")
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	disk := packtest.NewDisk(1, 1<<20)
	for name, c := range map[string]struct {
		input imagepack.DiskInput
		want  error
	}{
		"no file":        {imagepack.DiskInput{Name: "d", Path: filepath.Join(dir, "none")}, dormer.ErrNotFound},
		"a folder":       {imagepack.DiskInput{Name: "d", Path: dir, Format: "raw"}, dormer.ErrInvalid},
		"a text":         {imagepack.DiskInput{Name: "d", Path: write("text", bytes.Repeat([]byte("no disk "), 512))}, dormer.ErrInvalid},
		"empty":          {imagepack.DiskInput{Name: "d", Path: write("empty", nil), Format: "raw"}, dormer.ErrInvalid},
		"half a sector":  {imagepack.DiskInput{Name: "d", Path: write("half", disk[:1000])}, dormer.ErrInvalid},
		"unknown format": {imagepack.DiskInput{Name: "d", Path: write("disk", disk), Format: "iso"}, dormer.ErrInvalid},
		"bad name":       {imagepack.DiskInput{Name: "a,b", Path: write("disk", disk)}, dormer.ErrInvalid},
		"header only":    {imagepack.DiskInput{Name: "d", Path: write("header", []byte("QFI\xfb\x00\x00\x00\x03"))}, dormer.ErrInvalid},
	} {
		out := filepath.Join(t.TempDir(), "out")
		_, err := imagepack.Pack(t.Context(), imagepack.Options{Disks: []imagepack.DiskInput{c.input}, Signer: publisher, Key: key, Dir: out})
		if name == "header only" && errors.Is(err, dormer.ErrUnsupported) {
			continue // without qemu-img
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := imagepack.OpenPacked(out); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("%s: the folder holds an image: %v", name, err)
		}
	}
}

func TestBadBase(t *testing.T) {
	publisher, trust, key := packtest.Keys(t, "")
	disk := packtest.NewDisk(1, 3<<20)
	base := packtest.Pack(t, disk, imagepack.Options{})
	pack := func(b imagepack.Base, key *imageformat.RepositoryKey) error {
		_, err := imagepack.Pack(t.Context(), imagepack.Options{
			Disks:  []imagepack.DiskInput{{Name: "system", Path: disk.Write(t), Format: "raw"}},
			Signer: publisher, Key: key, Dir: filepath.Join(t.TempDir(), "out"), Bases: []imagepack.Base{b},
		})
		return err
	}
	good := imagepack.Base{Image: base.Image, Source: imagesync.DirSource(base.Dir), Trust: trust}
	if err := pack(good, nil); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("base under another key: %v, want ErrInvalid", err)
	}
	untrusted := good
	untrusted.Trust = seal.KeySet{}
	if err := pack(untrusted, key); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("untrusted base: %v, want ErrDenied", err)
	}
	for _, o := range base.Manifest.Objects {
		if strings.HasPrefix(o.Name, "packs/") {
			continue // not read
		}
		path := filepath.Join(base.Dir, o.Name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 8
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := pack(good, key); !errors.Is(err, dormer.ErrCorrupt) || !strings.Contains(err.Error(), o.Name) {
			t.Errorf("flipped bit in %s: %v, want ErrCorrupt that names it", o.Name, err)
		}
		b[len(b)/2] ^= 8
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := pack(good, key); err != nil {
		t.Errorf("the base as it was: %v", err)
	}
}

// qemuImg runs qemu-img or skips the test.
func qemuImg(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("qemu-img is missing")
		}
		t.Skip("SKIPPED: qemu-img is missing")
	}
	if out, err := exec.CommandContext(t.Context(), "qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v: %s", args, err, out)
	}
}

// TestDisksNameNoFilesElsewhere: a disk that comes from somebody else brings
// nothing of this computer into an image.
func TestDisksNameNoFilesElsewhere(t *testing.T) {
	publisher, _, key := packtest.Keys(t, "")
	dir, elsewhere := t.TempDir(), t.TempDir()
	secret := packtest.NewDisk(12, 1<<20).Write(t) // in a folder of its own
	in := func(name string) string { return filepath.Join(dir, name) }
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", secret, in("absolute.qcow2"))
	rel, err := filepath.Rel(dir, secret)
	if err != nil {
		t.Fatal(err)
	}
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", rel, in("relative.qcow2"))
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "raw", "-u", "-b", fmt.Sprintf(`json:{"driver":"raw","file":{"driver":"file","filename":%q}}`, secret), in("json.qcow2"), "1M")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "raw", "-u", "-b", "nbd://127.0.0.1:1/disk", in("network.qcow2"), "1M")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", "-u", in("format.qcow2"), "1M")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "data_file="+filepath.Join(elsewhere, "data"), in("data.qcow2"), "1M")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", in("absolute.qcow2"), in("chain.qcow2"))
	if err := os.Symlink(secret, in("link.raw")); err != nil {
		t.Fatal(err)
	}
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", in("link.raw"), in("link.qcow2"))
	flat := fmt.Sprintf("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 2048 FLAT %q 0\n", secret)
	if err := os.WriteFile(in("flat.vmdk"), []byte(flat), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"absolute.qcow2", "relative.qcow2", "json.qcow2", "network.qcow2", "format.qcow2", "data.qcow2", "chain.qcow2", "link.qcow2", "flat.vmdk"} {
		_, err := imagepack.Pack(t.Context(), imagepack.Options{
			Disks: []imagepack.DiskInput{{Name: "system", Path: in(name)}}, Signer: publisher, Key: key, Dir: filepath.Join(t.TempDir(), "out"),
		})
		if !errors.Is(err, dormer.ErrInvalid) || !strings.Contains(err.Error(), "not a plain file beside it") {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestOtherFormats(t *testing.T) {
	_, _, key := packtest.Keys(t, "")
	disk := packtest.NewDisk(11, 4<<20)
	raw := disk.Write(t)
	dir := t.TempDir()
	for _, format := range []string{"qcow2", "vmdk", "vhdx"} {
		path := filepath.Join(dir, "disk."+format)
		qemuImg(t, "convert", "-f", "raw", "-O", format, raw, path)
		p := packtest.Pack(t, nil, imagepack.Options{Disks: []imagepack.DiskInput{{Name: "system", Path: path}}})
		if got := readDisk(t, p.Image, imagesync.DirSource(p.Dir), key, 0); !bytes.Equal(got, disk) {
			t.Errorf("disk from %s differs", format)
		}
	}
	// A chain is flattened.
	overlay := filepath.Join(dir, "overlay.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", filepath.Join(dir, "disk.qcow2"), overlay)
	p := packtest.Pack(t, nil, imagepack.Options{Disks: []imagepack.DiskInput{{Name: "system", Path: overlay}}})
	if got := readDisk(t, p.Image, imagesync.DirSource(p.Dir), key, 0); !bytes.Equal(got, disk) {
		t.Error("disk from a chain differs")
	}
	// A conversion of a truncated file would succeed, with zeros at its end.
	publisher, _, _ := packtest.Keys(t, "")
	for _, path := range []string{overlay, filepath.Join(dir, "disk.qcow2")} {
		if err := os.Truncate(filepath.Join(dir, "disk.qcow2"), 2<<20); err != nil {
			t.Fatal(err)
		}
		_, err := imagepack.Pack(t.Context(), imagepack.Options{
			Disks: []imagepack.DiskInput{{Name: "system", Path: path}}, Signer: publisher, Key: key, Dir: filepath.Join(t.TempDir(), "out"),
		})
		if !errors.Is(err, dormer.ErrInvalid) || !strings.Contains(err.Error(), "truncated") {
			t.Errorf("pack of a truncated %s: %v, want ErrInvalid", filepath.Base(path), err)
		}
	}
}

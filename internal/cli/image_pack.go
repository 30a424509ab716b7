package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/preparation"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// description says what an image is made of, for images that are more than one
// disk: a JSON file in place of the disk. Paths in it are relative to it.
type description struct {
	Architecture string                      `json:"architecture,omitempty"`
	Firmware     string                      `json:"firmware,omitempty"`
	DiskBus      string                      `json:"disk_bus,omitempty"`
	MachineFloor string                      `json:"machine_floor,omitempty"`
	TPM          bool                        `json:"tpm,omitempty"`
	Disks        []describedDisk             `json:"disks"`
	Kernel       string                      `json:"kernel,omitempty"`
	Initrd       string                      `json:"initrd,omitempty"`
	Append       string                      `json:"append,omitempty"`
	Data         *imageformat.DataConvention `json:"data,omitempty"`
	// Memory in MiB and User are for people who test the image.
	Memory int    `json:"memory,omitempty"`
	User   string `json:"user,omitempty"`
}

type describedDisk struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Format string `json:"format,omitempty"`
}

// maxDescription is the largest description, in bytes.
const maxDescription = 64 << 10

// readDescription reads a description, or makes one of a disk file in that
// format ("": to be found out).
func readDescription(path, format string) (description, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return description{}, dormer.Invalidf(path, "is a folder; name a disk file or a description")
	}
	if !strings.EqualFold(filepath.Ext(path), ".json") {
		return description{Disks: []describedDisk{{Name: "system", Path: path, Format: format}}}, nil
	}
	if format != "" {
		return description{}, usageError{errors.New("--format is for a disk; a description says the format of each of its disks")}
	}
	f, err := os.Open(path)
	if err != nil {
		return description{}, fmt.Errorf("read description: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDescription+1))
	if err != nil {
		return description{}, fmt.Errorf("read description: %w", err)
	}
	if len(b) > maxDescription {
		return description{}, fmt.Errorf("description %s: %w", path, dormer.ErrTooLarge)
	}
	d, err := parseDescription(b)
	if err != nil {
		return description{}, inFile(path, err)
	}
	base := filepath.Dir(path)
	at := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(base, p)
	}
	for i := range d.Disks {
		d.Disks[i].Path = at(d.Disks[i].Path)
	}
	d.Kernel, d.Initrd = at(d.Kernel), at(d.Initrd)
	return d, nil
}

func parseDescription(b []byte) (description, error) {
	var d description
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, dormer.Invalidf("", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(d.Disks) == 0 {
		return d, dormer.Invalidf("disks", "an image has at least one disk")
	}
	for i, disk := range d.Disks {
		if disk.Name == "" || disk.Path == "" {
			return d, dormer.Invalidf(fmt.Sprintf("disks[%d]", i), "needs name and path")
		}
	}
	return d, nil
}

func newImagePack(a *app) *cobra.Command {
	var dir, format string
	var plain bool
	cmd := &cobra.Command{
		Use: "pack NAME DISK|DESCRIPTION.json", Short: "Make a packed image from a disk file", Args: exactArgs(2),
		Long: `Packs a disk (raw or qcow2; others through qemu-img) into a folder on this
computer: zero blocks are left out, blocks that the newest version on the server
holds are not stored again, the rest is compressed, encrypted with the
repository's key and signed with yours. What was cut short goes on where it
stopped when the command is repeated. A description names several disks, a
kernel to boot directly, and where the user's data disk belongs.

What keeps the system on the disk from being a good image is told as warnings:
'dormer-guest prepare', run in the guest before, sets most of it.`,
		Example: "  dormer image pack office office.qcow2\n  dormer image pack demo-guest guest.json",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			out, err := a.packedDir(dir, args[0])
			if err != nil {
				return err
			}
			d, err := readDescription(args[1], format)
			if err != nil {
				return err
			}
			p, err := a.pack(ctx, c, args[0], d, out, plain)
			if err != nil {
				return err
			}
			unprepared := preparation.Warnings(p.Preparation)
			if !a.json {
				for _, w := range unprepared {
					a.warn("%s", printable(w))
				}
			}
			return a.say(packedImage{args[0], p.Image, p.Manifest.Sizes, p.NewBytes(), out, unprepared},
				"Packed %s: %s full, %s packed, %s of it new. Upload it with 'dormer image push %s'.",
				args[0], size(p.Manifest.Sizes.Full), size(p.Manifest.Sizes.Packed), size(p.NewBytes()), args[0])
		}),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of packed images (default: dormer/packed in your data folder)")
	cmd.Flags().StringVar(&format, "format", "", "raw, qcow2, vmdk, vpc or vhdx (default: what the disk looks like)")
	cmd.Flags().BoolVar(&plain, "unencrypted", false, "do not encrypt: whoever can read the repository can read the image")
	return cmd
}

// packedImage is what pack prints with --json.
type packedImage struct {
	Name  string            `json:"name"`
	Image dormer.ImageID    `json:"image"`
	Sizes imageformat.Sizes `json:"sizes"`
	New   int64             `json:"new"`
	Dir   string            `json:"dir"`
	// Unprepared says in sentences what the guest lacks to be an image.
	Unprepared []string `json:"unprepared"`
}

func (a *app) pack(ctx context.Context, c *apiclient.Client, name string, d description, out string, plain bool) (*imagepack.Packed, error) {
	signer, err := a.trustedKey(ctx, c)
	if err != nil {
		return nil, err
	}
	o := imagepack.Options{
		Kernel: d.Kernel, Initrd: d.Initrd, Append: d.Append, Signer: signer, Dir: out,
		Machine: imagepack.Machine{
			Architecture: d.Architecture, Firmware: d.Firmware, DiskBus: d.DiskBus,
			MachineFloor: d.MachineFloor, TPM: d.TPM, Data: d.Data,
		},
	}
	for _, disk := range d.Disks {
		o.Disks = append(o.Disks, imagepack.DiskInput{Name: disk.Name, Path: disk.Path, Format: disk.Format})
	}
	if !plain {
		if o.Key, err = repositoryKey(ctx, c); err != nil {
			return nil, err
		}
	}
	switch base, err := a.newestBase(ctx, c, name, plain); {
	case err == nil:
		o.Bases = []imagepack.Base{base}
	case !errors.Is(err, dormer.ErrNotFound):
		return nil, fmt.Errorf("look at the version before: %w", err)
	}
	bar := a.newProgress("pack "+name, 0)
	defer bar.done()
	o.Progress = func(p imagepack.Progress) { bar.set(p.Done, p.Total) }
	p, err := imagepack.Pack(ctx, o)
	if errors.Is(err, dormer.ErrExists) {
		return replacePacked(ctx, o)
	}
	return p, err
}

// replacePacked packs anew where a packed image lies. That one stays until the
// new one is whole, and comes back where the new disk is refused.
func replacePacked(ctx context.Context, o imagepack.Options) (*imagepack.Packed, error) {
	previous := filepath.Join(filepath.Dir(o.Dir), "."+filepath.Base(o.Dir)+".previous") // no image's name begins with a dot
	if err := os.RemoveAll(previous); err != nil {
		return nil, fmt.Errorf("replace packed image: %w", err)
	}
	if err := os.Rename(o.Dir, previous); err != nil {
		return nil, fmt.Errorf("replace packed image: %w", err)
	}
	p, err := imagepack.Pack(ctx, o)
	switch {
	case err == nil:
		return p, os.RemoveAll(previous)
	case exitCode(err) == exitInvalid:
		return nil, errors.Join(err, os.RemoveAll(o.Dir), os.Rename(previous, o.Dir))
	default:
		return nil, err // repeated, it goes on where it stopped
	}
}

func repositoryKey(ctx context.Context, c *apiclient.Client) (*imageformat.RepositoryKey, error) {
	k, err := c.ImageKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("get the repository's key: %w", err)
	}
	return imageformat.ParseRepositoryKey(k.Key)
}

// newestBase returns the newest version on the server, to find known blocks
// in. A version that is encrypted otherwise than the new one is no base.
func (a *app) newestBase(ctx context.Context, c *apiclient.Client, name string, plain bool) (imagepack.Base, error) {
	v, err := version(ctx, c, name)
	if err != nil {
		return imagepack.Base{}, err
	}
	trust, err := publishers(ctx, c)
	if err != nil {
		return imagepack.Base{}, err
	}
	src := objects(c)
	m, err := readManifest(ctx, src, trust, v.Image)
	if err != nil {
		return imagepack.Base{}, err
	}
	if (m.KeyID == "") != plain {
		return imagepack.Base{}, fmt.Errorf("a base that is encrypted alike: %w", dormer.ErrNotFound)
	}
	return imagepack.Base{Image: v.Image, Source: src, Trust: trust}, nil
}

// objects reads the server's repository.
func objects(c *apiclient.Client) *imagesync.HTTPSource {
	return &imagesync.HTTPSource{Client: c.HTTP(), BaseURL: c.Repository(), Authorize: c.Authorize}
}

func readManifest(ctx context.Context, s imagesync.Source, trust seal.KeySet, id dormer.ImageID) (*imageformat.Manifest, error) {
	name, err := imageformat.ManifestName(id)
	if err != nil {
		return nil, err
	}
	r, err := s.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, seal.MaxEnvelope+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	m, _, err := imageformat.OpenManifest(trust, id, b)
	return m, err
}

func newImagePush(a *app) *cobra.Command {
	var dir string
	var number int
	cmd := &cobra.Command{
		Use: "push NAME", Short: "Upload a packed image as the next version", Args: exactArgs(1),
		Long: `Uploads what the repository lacks of a packed image and makes it a version. What
was cut short goes on where it stopped when the command is repeated. Pushing
what is the newest version already sends nothing.`,
		Example: "  dormer image push office",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			out, err := a.packedDir(dir, args[0])
			if err != nil {
				return err
			}
			p, err := imagepack.OpenPacked(out)
			if errors.Is(err, dormer.ErrNotFound) {
				return fmt.Errorf("no packed image %s on this computer; make it with 'dormer image pack': %w", args[0], dormer.ErrNotFound)
			}
			if err != nil {
				return err
			}
			v, sent, err := a.push(ctx, c, args[0], p, number)
			if err != nil {
				return err
			}
			return a.say(pushed{v, sent}, "%s/%d is on the server (%s sent).", v.Name, v.Number, size(sent))
		}),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of packed images (default: dormer/packed in your data folder)")
	cmd.Flags().IntVar(&number, "number", 0, "number of the version (default: the next free one)")
	return cmd
}

// pushed is what push prints with --json.
type pushed struct {
	rest.ImageVersion
	Sent int64 `json:"sent"`
}

// uploads is how many objects are sent at once.
const uploads = 4

func (a *app) push(ctx context.Context, c *apiclient.Client, name string, p *imagepack.Packed, number int) (rest.ImageVersion, int64, error) {
	envelope, err := seal.ParseEnvelope(p.Envelope)
	if err != nil {
		return rest.ImageVersion{}, 0, err
	}
	push, err := c.BeginPush(ctx, rest.NewPush{Name: name, Manifest: envelope})
	if err != nil {
		return rest.ImageVersion{}, 0, err
	}
	total := int64(0)
	for _, o := range push.Missing {
		total += o.Size
	}
	bar := a.newProgress("push "+name, total)
	count := &counter{report: func(n int64) { bar.set(n, total) }}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(uploads)
	for _, o := range push.Missing {
		g.Go(func() error {
			f, err := p.Open(o.Name)
			if err != nil {
				return err
			}
			defer f.Close()
			return c.PutObject(gctx, push.ID, o, io.TeeReader(f, count))
		})
	}
	err = g.Wait()
	bar.done()
	if err != nil {
		return rest.ImageVersion{}, 0, err
	}
	v, err := c.CommitPush(ctx, push.ID, number)
	return v, total, err
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// counter counts bytes that pass several readers.
type counter struct {
	report func(int64)

	mu sync.Mutex // guards the field below
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += int64(len(p))
	c.report(c.n)
	return len(p), nil
}

// opening is what is needed to read images of the server.
func opening(ctx context.Context, c *apiclient.Client) (seal.KeySet, *imageformat.RepositoryKey, error) {
	trust, err := publishers(ctx, c)
	if err != nil {
		return seal.KeySet{}, nil, err
	}
	key, err := repositoryKey(ctx, c)
	return trust, key, err
}

// pulled is what pull prints with --json.
type pulled struct {
	rest.ImageVersion
	Fetched int64  `json:"fetched"`
	Store   string `json:"store"`
}

func newImagePull(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "pull NAME[/NUMBER]", Short: "Fetch a version into an image store on this computer", Args: exactArgs(1),
		Long: `Fetches what the store lacks of a version, each frame verified. It goes on where
it stopped when it is repeated.`,
		Example: "  dormer image pull office/3 --store /srv/prestaged",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			v, err := version(ctx, c, args[0])
			if err != nil {
				return err
			}
			if dir == "" {
				if dir, err = a.dataDir(storeFolder, "--store"); err != nil {
					return err
				}
			}
			trust, key, err := opening(ctx, c)
			if err != nil {
				return err
			}
			s, err := imagesync.OpenStore(dir, imagesync.StoreConfig{})
			if err != nil {
				return err
			}
			bar := a.newProgress("pull "+args[0], 0)
			var last imagesync.Progress
			err = s.Fetch(ctx, v.Image, imagesync.FetchOptions{
				Source: objects(c), Trust: trust, Key: key,
				Progress: func(p imagesync.Progress) { last = p; bar.set(p.Present, p.Total) },
			})
			bar.done()
			if err := joinClose(err, s); err != nil {
				return err
			}
			return a.say(pulled{v, last.Fetched, dir}, "%s/%d is in %s (%s fetched).", v.Name, v.Number, dir, size(last.Fetched))
		}),
	}
	cmd.Flags().StringVar(&dir, "store", "", "folder of the store (default: dormer/store in your data folder)")
	return cmd
}

func newImageExtract(a *app) *cobra.Command {
	var format, disk string
	cmd := &cobra.Command{
		Use: "extract NAME[/NUMBER] FILE", Short: "Write a disk of a version to a disk file", Args: exactArgs(2),
		Example: "  dormer image extract office/3 office.qcow2\n  dormer image extract office/3 office.raw --format raw",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			if format != "qcow2" && format != "raw" {
				return usageError{errors.New("--format takes qcow2 or raw")}
			}
			if err := freshFile(args[1]); err != nil {
				return err
			}
			i, err := openImage(ctx, c, args[0])
			if err != nil {
				return err
			}
			d := i.Disks()[0]
			if disk != "" {
				if d, err = i.Disk(disk); err != nil {
					return joinClose(err, i)
				}
			}
			bar := a.newProgress("extract "+args[0], 0)
			err = imagesync.Extract(ctx, d, args[1], format, bar.set)
			bar.done()
			if err := joinClose(err, i); err != nil {
				return err
			}
			return a.say(struct{}{}, "%s written to %s.", args[0], args[1])
		}),
	}
	cmd.Flags().StringVar(&format, "format", "qcow2", "raw or qcow2")
	cmd.Flags().StringVar(&disk, "disk", "", "name of the disk (default: the first)")
	return cmd
}

func openImage(ctx context.Context, c *apiclient.Client, name string) (*imagesync.Image, error) {
	v, err := version(ctx, c, name)
	if err != nil {
		return nil, err
	}
	trust, key, err := opening(ctx, c)
	if err != nil {
		return nil, err
	}
	return imagesync.OpenSource(ctx, v.Image, objects(c), trust, key)
}

// verified is what verify prints with --json.
type verified struct {
	Image string `json:"image"`
	Bytes int64  `json:"bytes"`
}

func newImageVerify(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "verify NAME[/NUMBER]", Short: "Read a whole version from the server and check every byte", Args: exactArgs(1),
		Example: "  dormer image verify office",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			i, err := openImage(ctx, c, args[0])
			if err != nil {
				return err
			}
			n, err := a.readWhole(ctx, i, "verify "+args[0])
			if err := joinClose(err, i); err != nil {
				return fmt.Errorf("verify %s: %w", args[0], err)
			}
			return a.say(verified{args[0], n}, "%s is whole: %s read and verified.", args[0], size(n))
		}),
	}
}

// readWhole reads all data of an image's disks and boot files; reading verifies.
func (a *app) readWhole(ctx context.Context, i *imagesync.Image, title string) (int64, error) {
	total, done := int64(0), int64(0)
	for _, d := range i.Contents() {
		for _, e := range d.Extents(0, d.Size()) {
			if !e.Hole {
				total += e.Length
			}
		}
	}
	bar := a.newProgress(title, total)
	defer bar.done()
	buf := make([]byte, 1<<20)
	for _, d := range i.Contents() {
		for _, e := range d.Extents(0, d.Size()) {
			for off := e.Offset; !e.Hole && off < e.Offset+e.Length; {
				if err := ctx.Err(); err != nil {
					return done, err
				}
				n := min(int64(len(buf)), e.Offset+e.Length-off)
				if _, err := d.ReadAt(buf[:n], off); err != nil {
					return done, fmt.Errorf("%s: %w", d.Name(), err)
				}
				off += n
				done += n
				bar.set(done, total)
			}
		}
	}
	return done, nil
}

// joinClose closes what was used and keeps the first error.
func joinClose(err error, c interface{ Close() error }) error {
	if cerr := c.Close(); err == nil && cerr != nil {
		return fmt.Errorf("close: %w (%w)", cerr, dormer.ErrCorrupt)
	}
	return err
}

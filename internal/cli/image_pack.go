package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/preparation"
	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workbench"
)

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
			d, err := workbench.ReadDescription(args[1], format)
			if err != nil {
				return err
			}
			signer, err := a.trustedKey(ctx, c)
			if err != nil {
				return err
			}
			bar := a.newProgress("pack "+args[0], 0)
			p, err := workbench.Pack(ctx, c, workbench.PackOptions{Name: args[0], Description: d, Signer: signer, Dir: out, Plain: plain, Progress: bar.set})
			bar.done()
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
			bar := a.newProgress("push "+args[0], 0)
			v, sent, err := workbench.Push(ctx, c, args[0], p, number, bar.set)
			bar.done()
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

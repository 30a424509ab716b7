package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workbench"
)

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
			v, err := workbench.FindVersion(ctx, c, args[0])
			if err != nil {
				return err
			}
			if dir == "" {
				if dir, err = a.dataDir(workbench.StoreFolder, "--store"); err != nil {
					return err
				}
			}
			bar := a.newProgress("pull "+args[0], 0)
			fetched, err := workbench.Pull(ctx, c, v, dir, bar.set)
			bar.done()
			if err != nil {
				return err
			}
			return a.say(pulled{v, fetched, dir}, "%s/%d is in %s (%s fetched).", v.Name, v.Number, dir, size(fetched))
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
			bar := a.newProgress("extract "+args[0], 0)
			err := workbench.Extract(ctx, c, args[0], disk, args[1], format, bar.set)
			bar.done()
			if err != nil {
				return err
			}
			return a.say(struct{}{}, "%s written to %s.", args[0], args[1])
		}),
	}
	cmd.Flags().StringVar(&format, "format", "qcow2", "raw or qcow2")
	cmd.Flags().StringVar(&disk, "disk", "", "name of the disk (default: the first)")
	return cmd
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
			bar := a.newProgress("verify "+args[0], 0)
			n, err := workbench.Verify(ctx, c, args[0], bar.set)
			bar.done()
			if err != nil {
				return err
			}
			return a.say(verified{args[0], n}, "%s is whole: %s read and verified.", args[0], size(n))
		}),
	}
}

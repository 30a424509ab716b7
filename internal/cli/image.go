package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workbench"
)

func newImage(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use: "image", Short: "Pack, upload, list and fetch images",
		Long: `Images are virtual machine disks in numbered versions. 'test' runs a disk file
under a policy, 'pack' makes a packed image on this computer from it, 'push'
uploads what the repository lacks of it as the next version. A version is named
NAME/NUMBER.`,
	},
		newImageTest(a), newImagePack(a), newImagePush(a), newImageList(a), newImageShow(a),
		newImagePull(a), newImageExtract(a), newImageVerify(a), newImageDelete(a))
}

// dataDir is a folder in the user's data folder; flag is the option that names
// another.
func (a *app) dataDir(folder, flag string) (string, error) {
	if dir := a.Env("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "dormer", folder), nil
	}
	home := a.Env("HOME")
	if home == "" {
		return "", usageError{fmt.Errorf("neither XDG_DATA_HOME nor HOME is set; name a folder with %s", flag)}
	}
	return filepath.Join(home, ".local", "share", "dormer", folder), nil
}

// packedDir is the folder of the packed image of that name.
func (a *app) packedDir(dir, name string) (string, error) {
	if err := dormer.CheckImageName(name); err != nil {
		return "", err
	}
	if dir == "" {
		var err error
		if dir, err = a.dataDir(workbench.PackedFolder, "--dir"); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, name), nil
}

func newImageList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the images of the repository", Args: noArgs,
		Example: "  dormer image list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.Images(ctx)
			if err != nil {
				return err
			}
			var rows [][]string
			for _, i := range all {
				rows = append(rows, versionRows(i)...)
			}
			return a.print(all, versionHeaders, rows)
		}),
	}
}

var versionHeaders = []string{"VERSION", "FULL", "PACKED", "ONLY HERE", "PUSHED", "BY", "USED BY"}

// versionRows are the versions of an image, each with the workspaces that use it.
func versionRows(i rest.Image) [][]string {
	rows := make([][]string, len(i.Versions))
	for n, v := range i.Versions {
		unique := "-"
		if v.Unique >= 0 {
			unique = size(v.Unique)
		}
		rows[n] = []string{
			fmt.Sprintf("%s/%d", v.Name, v.Number), size(v.Sizes.Full), size(v.Sizes.Packed), unique, when(v.Created), v.By, usedBy(i.UsedBy, v.Number),
		}
	}
	return rows
}

// usedBy names the workspaces that use the version of that number; 0 is any.
func usedBy(uses []rest.ImageUse, number int) string {
	var names []string
	for _, u := range uses {
		if number == 0 || u.Number == number {
			names = append(names, u.Name)
		}
	}
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}

func newImageShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME[/NUMBER]", Short: "Show an image or one version of it", Args: exactArgs(1),
		Example: "  dormer image show office\n  dormer image show office/3",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			called, number, err := workbench.ParseVersion(args[0])
			if err != nil {
				return err
			}
			if number == 0 {
				i, err := c.Image(ctx, called)
				if err != nil {
					return workbench.NoImage(args[0], err)
				}
				return a.print(i, versionHeaders, versionRows(i))
			}
			v, err := workbench.FindVersion(ctx, c, args[0])
			if err != nil {
				return err
			}
			return a.print(v, nil, [][]string{
				{"Version", fmt.Sprintf("%s/%d", v.Name, v.Number)},
				{"Image", string(v.Image)},
				{"Pushed", when(v.Created) + " by " + v.By},
				{"Disks", size(v.Sizes.Virtual) + " of virtual size"},
				{"Full", size(v.Sizes.Full)},
				{"Packed", size(v.Sizes.Packed)},
				{"Publisher", string(v.Publisher)},
			})
		}),
	}
}

func newImageDelete(a *app) *cobra.Command {
	var yes, force, preview bool
	cmd := &cobra.Command{
		Use: "delete NAME[/NUMBER]", Short: "Delete a version, or an image with all versions", Args: exactArgs(1),
		Example: "  dormer image delete office/2 --preview\n  dormer image delete office/2",
		Long: `Deletes a version, or all of them. What no other version uses is freed by the
sweep that follows after a few days; until then nothing that a client fetches
disappears under it. What a workspace uses is kept unless --force is given: its
machines that are there go on, new ones are not made. --preview says what would
be freed and who uses it, and deletes nothing.`,
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			called, number, err := workbench.ParseVersion(args[0])
			if err != nil {
				return err
			}
			if preview {
				return a.previewDeletion(ctx, c, args[0], called, number)
			}
			if err := a.confirm("Image "+args[0], "deleted", args[0], yes); err != nil {
				return err
			}
			if number > 0 {
				if err := c.DeleteImageVersion(ctx, called, number, force); err != nil {
					return notDeleted(args[0], err)
				}
				return a.say(rest.ImagesDeleted{Versions: 1}, "%s/%d deleted.", called, number)
			}
			d, err := c.DeleteImage(ctx, called, force)
			if err != nil {
				return notDeleted(args[0], err)
			}
			return a.say(d, "%s deleted: %d versions.", called, d.Versions)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "even when workspaces use it")
	cmd.Flags().BoolVar(&preview, "preview", false, "say what would be freed and who uses it, and delete nothing")
	return cmd
}

// previewDeletion says what deleting a version, or an image with number 0, would do.
func (a *app) previewDeletion(ctx context.Context, c *apiclient.Client, s, called string, number int) error {
	var numbers []int
	if number > 0 {
		numbers = []int{number}
	}
	d, err := c.ImageDeletion(ctx, called, numbers...)
	if err != nil {
		return workbench.NoImage(s, err)
	}
	return a.print(d, nil, [][]string{
		{"Versions", strconv.Itoa(len(d.Numbers))},
		{"Frees", size(d.Frees)},
		{"Used by", usedBy(d.UsedBy, 0)},
		{"Machines", fmt.Sprintf("%d on %d clients", d.Machines, d.Clients)},
	})
}

// notDeleted says how to delete what workspaces use.
func notDeleted(s string, err error) error {
	if errors.Is(err, dormer.ErrConflict) {
		return fmt.Errorf("image %s: %w\nRepeat with --force to delete it nevertheless", s, err)
	}
	return workbench.NoImage(s, err)
}

// writeSecret writes a file of its own that only its owner can read.
func writeSecret(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// freshFile says early that an output is there already.
func freshFile(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s: %w", path, dormer.ErrExists)
	}
	return nil
}

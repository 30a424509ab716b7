package workbench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// ParseVersion splits NAME/NUMBER; NAME alone is number 0.
func ParseVersion(s string) (image string, number int, err error) {
	image, rest, found := strings.Cut(s, "/")
	if err := dormer.CheckImageName(image); err != nil {
		return "", 0, err
	}
	if !found {
		return image, 0, nil
	}
	number, err = strconv.Atoi(rest)
	if err != nil || number < 1 {
		return "", 0, dormer.Invalidf("version", "expected NAME or NAME/NUMBER, as office/3")
	}
	return image, number, nil
}

// FindVersion finds a version of the server; without a number the newest.
func FindVersion(ctx context.Context, c *apiclient.Client, s string) (rest.ImageVersion, error) {
	called, number, err := ParseVersion(s)
	if err != nil {
		return rest.ImageVersion{}, err
	}
	if number > 0 {
		v, err := c.ImageVersion(ctx, called, number)
		return v, NoImage(s, err)
	}
	i, err := c.Image(ctx, called)
	if err != nil {
		return rest.ImageVersion{}, NoImage(s, err)
	}
	newest := rest.ImageVersion{}
	for _, v := range i.Versions {
		if v.Number > newest.Number {
			newest = v
		}
	}
	if newest.Number == 0 {
		return newest, NoImage(s, dormer.ErrNotFound)
	}
	return newest, nil
}

// NoImage says which image is not there.
func NoImage(s string, err error) error {
	if errors.Is(err, dormer.ErrNotFound) {
		return fmt.Errorf("image %s: %w; 'dormer image list' shows those that are there", s, dormer.ErrNotFound)
	}
	return err
}

// Publishers returns what the server trusts, for checking manifests here.
func Publishers(ctx context.Context, c *apiclient.Client) (seal.KeySet, error) {
	all, err := c.Publishers(ctx)
	if err != nil {
		return seal.KeySet{}, err
	}
	var s seal.KeySet
	for _, p := range all {
		s.Keys = append(s.Keys, seal.PublicKey{ID: p.ID, Name: p.Name, Key: p.Key, Purposes: []seal.Purpose{seal.PurposePublisher}})
	}
	return s, nil
}

// opening is what is needed to read images of the server.
func opening(ctx context.Context, c *apiclient.Client) (seal.KeySet, *imageformat.RepositoryKey, error) {
	trust, err := Publishers(ctx, c)
	if err != nil {
		return seal.KeySet{}, nil, err
	}
	key, err := repositoryKey(ctx, c)
	return trust, key, err
}

// Pull fetches what the store in a folder lacks of a version, each frame
// verified, and returns how many bytes were fetched. It goes on where it stopped
// when it is repeated.
func Pull(ctx context.Context, c *apiclient.Client, v rest.ImageVersion, dir string, progress Progress) (int64, error) {
	trust, key, err := opening(ctx, c)
	if err != nil {
		return 0, err
	}
	s, err := imagesync.OpenStore(dir, imagesync.StoreConfig{})
	if err != nil {
		return 0, err
	}
	var last imagesync.Progress
	err = s.Fetch(ctx, v.Image, imagesync.FetchOptions{
		Source: objects(c), Trust: trust, Key: key,
		Progress: func(p imagesync.Progress) { last = p; progress(p.Present, p.Total) },
	})
	return last.Fetched, joinClose(err, s)
}

// Extract writes a disk of a version ("": the first) to a file that is not
// there yet, as qcow2 or raw.
func Extract(ctx context.Context, c *apiclient.Client, version, disk, path, format string, progress Progress) error {
	i, err := openImage(ctx, c, version)
	if err != nil {
		return err
	}
	d := i.Disks()[0]
	if disk != "" {
		if d, err = i.Disk(disk); err != nil {
			return joinClose(err, i)
		}
	}
	return joinClose(imagesync.Extract(ctx, d, path, format, progress), i)
}

// Verify reads a whole version from the server, which checks every byte, and
// returns how many there are.
func Verify(ctx context.Context, c *apiclient.Client, version string, progress Progress) (int64, error) {
	i, err := openImage(ctx, c, version)
	if err != nil {
		return 0, err
	}
	n, err := readWhole(ctx, i, progress)
	if err := joinClose(err, i); err != nil {
		return n, fmt.Errorf("verify %s: %w", version, err)
	}
	return n, nil
}

func openImage(ctx context.Context, c *apiclient.Client, name string) (*imagesync.Image, error) {
	v, err := FindVersion(ctx, c, name)
	if err != nil {
		return nil, err
	}
	trust, key, err := opening(ctx, c)
	if err != nil {
		return nil, err
	}
	return imagesync.OpenSource(ctx, v.Image, objects(c), trust, key)
}

// readWhole reads all data of an image's disks and boot files; reading verifies.
func readWhole(ctx context.Context, i *imagesync.Image, progress Progress) (int64, error) {
	total, done := int64(0), int64(0)
	for _, d := range i.Contents() {
		for _, e := range d.Extents(0, d.Size()) {
			if !e.Hole {
				total += e.Length
			}
		}
	}
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
				progress(done, total)
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

// Workspace reads the document of a workspace of the server by its name.
func Workspace(ctx context.Context, c *apiclient.Client, called string) (*policy.Document, error) {
	w, err := c.WorkspaceByName(ctx, called)
	if err != nil {
		return nil, err
	}
	d, err := c.Workspace(ctx, w.ID, apiclient.JSON)
	if err != nil {
		return nil, err
	}
	return policy.Decode(d.Body, "workspace.json")
}

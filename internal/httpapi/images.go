package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Limits of pushes, in bytes; see docs/limits.md.
const (
	// maxPush is room for a manifest's envelope in base64.
	maxPush = 2 * seal.MaxEnvelope
	// maxObject is more than the largest object of an image.
	maxObject = 2 * imageformat.MaxPack
)

func imageOf(image string, versions []imagerepo.Version) rest.Image {
	out := rest.Image{Name: image, Versions: make([]rest.ImageVersion, len(versions))}
	for i, v := range versions {
		out.Versions[i] = rest.ImageVersion(v)
	}
	return out
}

func (c *call) imageName() (string, error) {
	image := c.r.PathValue("name")
	return image, dormer.CheckImageName(image)
}

func (c *call) imageNumber() (int, error) {
	n, err := strconv.Atoi(c.r.PathValue("number"))
	if err != nil || n < 1 {
		return 0, dormer.Invalidf("number", "must be a whole number from 1")
	}
	return n, nil
}

// imagesChanged lets workspaces see new or deleted versions at once.
func (a *API) imagesChanged(c *call) error { return a.ImagesChanged(c.ctx()) }

func (a *API) listImages(c *call, _ rest.None) (rest.List[rest.Image], error) {
	names, err := a.Images.Names(c.ctx())
	if err != nil {
		return rest.List[rest.Image]{}, err
	}
	items := make([]rest.Image, 0, len(names))
	for _, n := range names {
		versions, err := a.Images.Versions(c.ctx(), n)
		if err != nil {
			return rest.List[rest.Image]{}, fmt.Errorf("list versions of %s: %w", n, err)
		}
		items = append(items, imageOf(n, versions))
	}
	return rest.List[rest.Image]{Items: items}, nil
}

func (a *API) getImage(c *call, _ rest.None) (rest.Image, error) {
	image, err := c.imageName()
	if err != nil {
		return rest.Image{}, err
	}
	versions, err := a.Images.Versions(c.ctx(), image)
	return imageOf(image, versions), err
}

func (a *API) getImageVersion(c *call, _ rest.None) (rest.ImageVersion, error) {
	image, err := c.imageName()
	if err != nil {
		return rest.ImageVersion{}, err
	}
	number, err := c.imageNumber()
	if err != nil {
		return rest.ImageVersion{}, err
	}
	v, err := a.Images.Version(c.ctx(), image, number)
	return rest.ImageVersion(v), err
}

func (a *API) deleteImage(c *call, _ rest.None) (rest.ImagesDeleted, error) {
	image, err := c.imageName()
	if err != nil {
		return rest.ImagesDeleted{}, err
	}
	forced, err := a.unused(c, image, 0)
	if err != nil {
		return rest.ImagesDeleted{}, err
	}
	n, err := a.Images.DeleteAll(c.ctx(), image, c.who())
	if err != nil {
		return rest.ImagesDeleted{}, err
	}
	return rest.ImagesDeleted{Versions: n}, c.audit("image.delete", image, fmt.Sprintf("all %d versions", n)+forced)
}

// maxUsers is how many workspaces are named that keep an image.
const maxUsers = 10

// unused refuses to delete an image that workspaces use, unless that is forced:
// then it returns what the audit log says about it.
func (a *API) unused(c *call, image string, number int) (forced string, err error) {
	force, err := c.flag("force")
	if err != nil {
		return "", err
	}
	users, err := a.Workspaces.UsedBy(c.ctx(), image, number)
	switch {
	case err != nil && !(force && errors.Is(err, dormer.ErrNotFound)):
		return "", err
	case len(users) == 0:
		return "", nil
	}
	named := strings.Join(users[:min(len(users), maxUsers)], ", ")
	if more := len(users) - maxUsers; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	if !force {
		return "", fmt.Errorf("the image is used by workspaces (%s): %w", named, dormer.ErrConflict)
	}
	return "; forced, used by " + named, nil
}

func (a *API) deleteImageVersion(c *call, _ rest.None) (rest.None, error) {
	image, err := c.imageName()
	if err != nil {
		return rest.None{}, err
	}
	number, err := c.imageNumber()
	if err != nil {
		return rest.None{}, err
	}
	forced, err := a.unused(c, image, number)
	if err != nil {
		return rest.None{}, err
	}
	if err := a.Images.Delete(c.ctx(), image, number, c.who()); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("image.delete", image+"/"+strconv.Itoa(number), strings.TrimPrefix(forced, "; "))
}

func (a *API) beginPush(c *call, in rest.NewPush) (rest.Push, error) {
	p, err := a.Images.BeginPush(c.ctx(), in.Name, in.Manifest.Bytes())
	if err != nil {
		return rest.Push{}, err
	}
	return pushOf(p), c.audit("image.push", p.Name, string(p.Image))
}

func pushOf(p imagerepo.Push) rest.Push {
	if p.Missing == nil {
		p.Missing = []imageformat.Object{}
	}
	return rest.Push(p)
}

func (a *API) getPush(c *call, _ rest.None) (rest.List[imageformat.Object], error) {
	missing, err := a.Images.Missing(c.ctx(), c.r.PathValue("push"))
	if missing == nil {
		missing = []imageformat.Object{}
	}
	return rest.List[imageformat.Object]{Items: missing}, err
}

// putObject takes an object as a stream; the repository checks its hash.
func (a *API) putObject(c *call) error {
	if c.r.ContentLength < 0 {
		return dormer.Invalidf("Content-Length", "is missing")
	}
	object := c.r.PathValue("kind") + "/" + c.r.PathValue("hex")
	body := &flowing{w: c.w, body: c.r.Body}
	if err := a.Images.PutObject(c.ctx(), c.r.PathValue("push"), object, c.r.ContentLength, body); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) commitPush(c *call, in rest.CommitPush) (rest.ImageVersion, error) {
	v, err := a.Images.Commit(c.ctx(), c.r.PathValue("push"), in.Number, c.who())
	if err != nil {
		return rest.ImageVersion{}, err
	}
	return rest.ImageVersion(v), c.audit("image.commit", v.Name+"/"+strconv.Itoa(v.Number), string(v.Image))
}

func (a *API) imageKey(c *call, _ rest.None) (rest.ImageKey, error) {
	return rest.ImageKey{ID: a.ImageKey.ID(), Key: a.ImageKey[:]}, c.audit("image-key.read", a.ImageKey.ID(), "")
}

// flowing is a body that may take as long as bytes flow.
type flowing struct {
	w    http.ResponseWriter
	body io.Reader
}

func (f *flowing) Read(p []byte) (int, error) {
	deadlines(f.w, requestTime)
	return f.body.Read(p)
}

package httpapi

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/name"
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

// versionOf is a version as it is answered, without who runs it.
func versionOf(v imagerepo.Version) rest.ImageVersion {
	return rest.ImageVersion{
		Name: v.Name, Number: v.Number, Image: v.Image, Created: v.Created, By: v.By, Sizes: v.Sizes,
		Stored: v.Stored, Unique: v.Unique, KeyID: v.KeyID, Publisher: v.Publisher, Machines: -1, Clients: -1,
	}
}

func imageOf(h imagerepo.Holding, uses []catalog.ImageUse) rest.Image {
	out := rest.Image{Name: h.Name, Versions: make([]rest.ImageVersion, len(h.Versions)), Stored: h.Stored, Saved: h.Saved, Unique: h.Unique}
	for i, v := range h.Versions {
		out.Versions[i] = versionOf(v)
	}
	out.UsedBy = usesOf(uses, h.Name, nil)
	return out
}

// usesOf returns who uses an image: one of the versions of these numbers, any
// without them.
func usesOf(uses []catalog.ImageUse, image string, numbers []int) []rest.ImageUse {
	out := []rest.ImageUse{}
	folded := name.Fold(image)
	for _, u := range uses {
		if name.Fold(u.Image) == folded && (numbers == nil || slices.Contains(numbers, u.Number)) {
			out = append(out, rest.ImageUse{Workspace: u.Workspace, Name: u.Name, Number: u.Number, Pinned: u.Pinned})
		}
	}
	return out
}

// running counts machines by the image that their clients reported last, and
// the clients that have them.
func (a *API) running(c *call, images ...dormer.ImageID) (machines map[dormer.ImageID]int, clients map[dormer.ImageID]map[dormer.ClientID]bool, err error) {
	machines, clients = map[dormer.ImageID]int{}, map[dormer.ImageID]map[dormer.ClientID]bool{}
	for _, i := range images {
		clients[i] = map[dormer.ClientID]bool{}
	}
	err = a.Machines.EachMachineImage(c.ctx(), func(image dormer.ImageID, client dormer.ClientID) {
		if of := clients[image]; of != nil {
			machines[image]++
			of[client] = true
		}
	})
	return machines, clients, err
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
	all, err := a.Images.Holdings(c.ctx())
	if err != nil {
		return rest.List[rest.Image]{}, err
	}
	uses := a.Workspaces.ImageUses()
	items := make([]rest.Image, len(all))
	for i, h := range all {
		items[i] = imageOf(h, uses)
	}
	return rest.List[rest.Image]{Items: items}, nil
}

func (a *API) getImage(c *call, _ rest.None) (rest.Image, error) {
	image, err := c.imageName()
	if err != nil {
		return rest.Image{}, err
	}
	h, err := a.Images.Holding(c.ctx(), image)
	if err != nil {
		return rest.Image{}, err
	}
	out := imageOf(h, a.Workspaces.ImageUses())
	ids := make([]dormer.ImageID, len(h.Versions))
	for i, v := range h.Versions {
		ids[i] = v.Image
	}
	machines, clients, err := a.running(c, ids...)
	if err != nil {
		return rest.Image{}, err
	}
	for i := range out.Versions {
		v := &out.Versions[i]
		v.Machines, v.Clients = machines[v.Image], len(clients[v.Image])
	}
	return out, nil
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
	return versionOf(v), err
}

// maxNumbers is how many versions one question may name.
const maxNumbers = 1000

// imageNumbers returns the versions that the query names, nil when it names none.
func (c *call) imageNumbers() ([]int, error) {
	s := c.r.URL.Query().Get("numbers")
	if s == "" {
		return nil, nil
	}
	parts := strings.Split(s, ",")
	if len(parts) > maxNumbers {
		return nil, dormer.Invalidf("numbers", "may name %d versions", maxNumbers)
	}
	numbers := make([]int, len(parts))
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, dormer.Invalidf("numbers", "must be whole numbers from 1 with commas between them")
		}
		numbers[i] = n
	}
	return numbers, nil
}

// previewDeletion says what deleting versions of an image would free, and who
// would lose them.
func (a *API) previewDeletion(c *call, _ rest.None) (rest.ImageDeletion, error) {
	image, err := c.imageName()
	if err != nil {
		return rest.ImageDeletion{}, err
	}
	numbers, err := c.imageNumbers()
	if err != nil {
		return rest.ImageDeletion{}, err
	}
	frees, versions, err := a.Images.Frees(c.ctx(), image, numbers...)
	if err != nil {
		return rest.ImageDeletion{}, err
	}
	out := rest.ImageDeletion{Frees: frees, UsedBy: usesOf(a.Workspaces.ImageUses(), image, numbers), Numbers: make([]int, len(versions))}
	ids := make([]dormer.ImageID, len(versions))
	for i, v := range versions {
		out.Numbers[i], ids[i] = v.Number, v.Image
	}
	machines, clients, err := a.running(c, ids...)
	if err != nil {
		return rest.ImageDeletion{}, err
	}
	with := map[dormer.ClientID]bool{}
	for id, of := range clients {
		out.Machines += machines[id]
		maps.Copy(with, of)
	}
	out.Clients = len(with)
	return out, nil
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
	return versionOf(v), c.audit("image.commit", v.Name+"/"+strconv.Itoa(v.Number), string(v.Image))
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

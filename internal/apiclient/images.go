package apiclient

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Repository returns the base URL of the image objects.
func (c *Client) Repository() string { return c.base + wire.PathObject[:len(wire.PathObject)-1] }

// Images lists the images of the repository.
func (c *Client) Images(ctx context.Context) ([]rest.Image, error) {
	l, err := ask[rest.List[rest.Image]](ctx, c, http.MethodGet, "/images", nil, nil)
	return l.Items, err
}

// Image returns one image with its versions.
func (c *Client) Image(ctx context.Context, name string) (rest.Image, error) {
	return ask[rest.Image](ctx, c, http.MethodGet, "/images"+segment(name), nil, nil)
}

func version(name string, number int) string {
	return "/images" + segment(name) + fmt.Sprintf("/%d", number)
}

// ImageVersion returns one version of an image.
func (c *Client) ImageVersion(ctx context.Context, name string, number int) (rest.ImageVersion, error) {
	return ask[rest.ImageVersion](ctx, c, http.MethodGet, version(name, number), nil, nil)
}

// ImageDeletion says what deleting versions of an image would do: those of the
// numbers, all without any.
func (c *Client) ImageDeletion(ctx context.Context, name string, numbers ...int) (rest.ImageDeletion, error) {
	var query url.Values
	if len(numbers) > 0 {
		text := make([]string, len(numbers))
		for i, n := range numbers {
			text[i] = strconv.Itoa(n)
		}
		query = url.Values{"numbers": {strings.Join(text, ",")}}
	}
	return ask[rest.ImageDeletion](ctx, c, http.MethodGet, "/images"+segment(name)+"/deletion", query, nil)
}

// DeleteImageVersion deletes one version. ErrConflict when workspaces use it,
// unless force is set.
func (c *Client) DeleteImageVersion(ctx context.Context, name string, number int, force bool) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, version(name, number), forced(force), nil)
	return err
}

// DeleteImage deletes all versions of an image. ErrConflict when workspaces use
// one of them, unless force is set.
func (c *Client) DeleteImage(ctx context.Context, name string, force bool) (rest.ImagesDeleted, error) {
	return ask[rest.ImagesDeleted](ctx, c, http.MethodDelete, "/images"+segment(name), forced(force), nil)
}

func forced(force bool) url.Values {
	if !force {
		return nil
	}
	return url.Values{"force": {"true"}}
}

// BeginPush begins an upload and says which objects the repository lacks.
func (c *Client) BeginPush(ctx context.Context, p rest.NewPush) (rest.Push, error) {
	return ask[rest.Push](ctx, c, http.MethodPost, "/image-pushes", nil, p)
}

// PutObject uploads one object of a push. A repeat is harmless.
func (c *Client) PutObject(ctx context.Context, push string, o imageformat.Object, body io.Reader) error {
	_, _, err := c.send(ctx, request{
		method: http.MethodPut, path: "/image-pushes" + segment(push) + "/objects/" + o.Name,
		body: body, length: o.Size, contentType: "application/octet-stream",
		// A refusal comes before the bytes are sent.
		headers: http.Header{"Expect": {"100-continue"}},
	})
	if err != nil {
		return fmt.Errorf("upload %s: %w", o.Name, err)
	}
	return nil
}

// Missing lists what a push still lacks.
func (c *Client) Missing(ctx context.Context, push string) ([]imageformat.Object, error) {
	l, err := ask[rest.List[imageformat.Object]](ctx, c, http.MethodGet, "/image-pushes"+segment(push), nil, nil)
	return l.Items, err
}

// CommitPush makes a complete upload a version.
func (c *Client) CommitPush(ctx context.Context, push string, number int) (rest.ImageVersion, error) {
	return ask[rest.ImageVersion](ctx, c, http.MethodPost, "/image-pushes"+segment(push)+"/commit", nil, rest.CommitPush{Number: number})
}

// ImageKey returns the key under which the repository's objects are encrypted.
func (c *Client) ImageKey(ctx context.Context) (rest.ImageKey, error) {
	return ask[rest.ImageKey](ctx, c, http.MethodGet, "/image-key", nil, nil)
}

// Publishers lists the keys whose images the instance trusts.
func (c *Client) Publishers(ctx context.Context) ([]rest.Publisher, error) {
	l, err := ask[rest.List[rest.Publisher]](ctx, c, http.MethodGet, "/publishers", nil, nil)
	return l.Items, err
}

// AddPublisher makes the instance trust a key.
func (c *Client) AddPublisher(ctx context.Context, p rest.NewPublisher) (rest.Publisher, error) {
	return ask[rest.Publisher](ctx, c, http.MethodPost, "/publishers", nil, p)
}

// RemovePublisher ends that trust.
func (c *Client) RemovePublisher(ctx context.Context, id seal.KeyID) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/publishers"+segment(string(id)), nil, nil)
	return err
}

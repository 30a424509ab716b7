package imagesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/imageformat"
)

// Source reads objects of a repository.
type Source interface {
	// Get returns length bytes of an object from offset; with length below 0 all
	// from offset to its end. ErrNotFound when there is no such object,
	// ErrUnavailable when asking again later may help. The reader may end early;
	// the caller closes it.
	Get(ctx context.Context, object string, offset, length int64) (io.ReadCloser, error)
}

// Range is a part of an object, in bytes.
type Range struct {
	Offset, Length int64
}

// RangesSource is a Source that can read several parts with one request.
type RangesSource interface {
	Source
	// GetRanges calls each with a reader for every range in turn. ErrUnsupported,
	// before it has called each, when the other side does not do it.
	GetRanges(ctx context.Context, object string, ranges []Range, each func(i int, r io.Reader) error) error
}

// HTTPSource reads from a server, a content network, or any web server that
// holds a repository's objects.
type HTTPSource struct {
	// Client sends the requests.
	Client *http.Client
	// BaseURL is what object names are appended to after a slash.
	BaseURL string
	// Authorize, when not nil, adds what proves who asks.
	Authorize func(*http.Request) error
}

func (s *HTTPSource) get(ctx context.Context, object, byteRange string) (*http.Response, error) {
	if _, _, err := imageformat.ParseObjectName(object); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.BaseURL, "/")+"/"+object, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", object, err)
	}
	// Objects are compressed or encrypted; and ranges count stored bytes.
	req.Header.Set("Accept-Encoding", "identity")
	if byteRange != "" {
		req.Header.Set("Range", "bytes="+byteRange)
	}
	if s.Authorize != nil {
		if err := s.Authorize(req); err != nil {
			return nil, fmt.Errorf("get %s: %w", object, err)
		}
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("get %s: %w", object, ctx.Err())
		}
		return nil, fmt.Errorf("get %s: %w: %w", object, dormer.ErrUnavailable, err)
	}
	if kind := statusKind(resp.StatusCode); kind != nil {
		return nil, errors.Join(fmt.Errorf("get %s: answer %d: %w", object, resp.StatusCode, kind), resp.Body.Close())
	}
	return resp, nil
}

func statusKind(status int) error {
	switch {
	case status == http.StatusOK || status == http.StatusPartialContent:
		return nil
	case status == http.StatusNotFound || status == http.StatusGone:
		return dormer.ErrNotFound
	case status == http.StatusUnauthorized:
		return dormer.ErrUnauthenticated
	case status == http.StatusForbidden:
		return dormer.ErrDenied
	case status == http.StatusRequestedRangeNotSatisfiable:
		return dormer.ErrCorrupt
	case status == http.StatusTooManyRequests || status >= 500:
		return dormer.ErrUnavailable
	}
	return dormer.ErrUnsupported
}

// Get asks for one range.
func (s *HTTPSource) Get(ctx context.Context, object string, offset, length int64) (io.ReadCloser, error) {
	byteRange := ""
	switch {
	case length >= 0:
		byteRange = fmt.Sprintf("%d-%d", offset, offset+length-1)
	case offset > 0:
		byteRange = fmt.Sprintf("%d-", offset)
	}
	resp, err := s.get(ctx, object, byteRange)
	if err != nil {
		return nil, err
	}
	whole := resp.StatusCode == http.StatusOK
	if whole && offset > 0 || !whole && !rangeIs(resp.Header.Get("Content-Range"), offset, length) {
		return nil, errors.Join(fmt.Errorf("get %s: the server does not answer with the range that was asked for: %w", object, dormer.ErrUnsupported), resp.Body.Close())
	}
	if length < 0 {
		return resp.Body, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, length), resp.Body}, nil
}

// rangeIs reports whether a Content-Range begins at offset and, when length is
// not below 0, has that length or reaches the end of the object.
func rangeIs(header string, offset, length int64) bool {
	var first, last int64
	if n, err := fmt.Sscanf(header, "bytes %d-%d/", &first, &last); err != nil || n != 2 {
		return false
	}
	return first == offset && last >= first && (length < 0 || last-first+1 <= length)
}

// GetRanges asks for several ranges with one request.
func (s *HTTPSource) GetRanges(ctx context.Context, object string, ranges []Range, each func(i int, r io.Reader) error) error {
	parts := make([]string, len(ranges))
	for i, r := range ranges {
		parts[i] = fmt.Sprintf("%d-%d", r.Offset, r.Offset+r.Length-1)
	}
	resp, err := s.get(ctx, object, strings.Join(parts, ","))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode != http.StatusPartialContent || err != nil || kind != "multipart/byteranges" {
		return fmt.Errorf("get %s: the server does not answer with several ranges: %w", object, dormer.ErrUnsupported)
	}
	mr := multipart.NewReader(resp.Body, params["boundary"])
	for i, r := range ranges {
		part, err := mr.NextRawPart()
		if err != nil {
			return fmt.Errorf("get %s: %w: %w", object, dormer.ErrUnavailable, err)
		}
		if !rangeIs(part.Header.Get("Content-Range"), r.Offset, r.Length) {
			return fmt.Errorf("get %s: the server answers with other ranges than were asked for: %w", object, dormer.ErrCorrupt)
		}
		if err := each(i, part); err != nil {
			return err
		}
	}
	return nil
}

// DirSource reads objects from a folder: a packed image, a medium, a folder that
// was filled beforehand.
type DirSource string

// Get reads a part of a file.
func (d DirSource) Get(_ context.Context, object string, offset, length int64) (io.ReadCloser, error) {
	if _, _, err := imageformat.ParseObjectName(object); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(string(d), filepath.FromSlash(object)))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", object, durable.Kind(err))
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("get %s: %w", object, err), f.Close())
	}
	if length < 0 {
		return f, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, length), f}, nil
}

// Sources tries several sources in turn until one has the object.
type Sources []Source

// Get asks each source until one does not answer with ErrNotFound.
func (s Sources) Get(ctx context.Context, object string, offset, length int64) (io.ReadCloser, error) {
	err := fmt.Errorf("get %s: %w", object, dormer.ErrNotFound)
	for _, one := range s {
		var r io.ReadCloser
		if r, err = one.Get(ctx, object, offset, length); err == nil || !errors.Is(err, dormer.ErrNotFound) {
			return r, err
		}
	}
	return nil, err
}

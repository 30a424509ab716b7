package imagesync_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/imagesync"
)

// server serves the objects of all versions of f.
func (f *fixture) server(t *testing.T, wrap func(http.Handler) http.Handler) (*imagesync.HTTPSource, *atomic.Int64) {
	t.Helper()
	requests := new(atomic.Int64)
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range f.packed {
			path := filepath.Join(p.Dir, filepath.FromSlash(r.URL.Path[len("/repository/"):]))
			file, err := os.Open(path)
			if err != nil {
				continue
			}
			defer file.Close()
			w.Header().Set("Content-Type", "application/octet-stream")
			http.ServeContent(w, r, "", time.Time{}, file)
			return
		}
		http.NotFound(w, r)
	})
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return &imagesync.HTTPSource{Client: s.Client(), BaseURL: s.URL + "/repository", Authorize: func(r *http.Request) error {
		r.Header.Set("Authorization", "Bearer secret")
		return nil
	}}, requests
}

// scattered packs a second version that needs every other frame of the first.
func scattered(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{}
	_, f.trust, f.key = packtest.Keys(t, "")
	f.disks[0] = packtest.NewDisk(1, 16<<20)
	for i := 0; i < len(f.disks[0]); i += imageformat.BlockSize {
		copy(f.disks[0][i:], fmt.Sprintf("block %d", i)) // no zero blocks
	}
	f.disks[1] = append(packtest.Disk(nil), f.disks[0]...)
	for i := 0; i < len(f.disks[1]); i += 5 << 20 {
		clear(f.disks[1][i : i+1<<20])
	}
	f.packed[0] = packtest.Pack(t, f.disks[0], imagepack.Options{})
	f.all = imagesync.Sources{imagesync.DirSource(f.packed[0].Dir)}
	f.packed[1] = packtest.Pack(t, f.disks[1], imagepack.Options{Bases: []imagepack.Base{{Image: f.packed[0].Image, Source: f.all, Trust: f.trust}}})
	return f
}

func TestFetchOverHTTP(t *testing.T) {
	for name, c := range map[string]struct {
		wrap     func(http.Handler) http.Handler
		requests int64
	}{
		"several ranges a request": {nil, 3},
		"one range a request": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.Header.Get("Range"), ",") {
					r.Header.Del("Range") // as object stores do
				}
				h.ServeHTTP(w, r)
			})
		}, 7},
		"every third request fails": {func(h http.Handler) http.Handler {
			var n atomic.Int64
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1)%3 == 0 {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				h.ServeHTTP(w, r)
			})
		}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			f := scattered(t)
			src, requests := f.server(t, c.wrap)
			s := openStore(t, t.TempDir(), imagesync.StoreConfig{})
			if err := s.Fetch(t.Context(), f.packed[1].Image, f.options(src)); err != nil {
				t.Fatal(err)
			}
			if got := requests.Load(); got > c.requests {
				t.Errorf("%d requests, want at most %d", got, c.requests)
			}
			wantDisk(t, s, f.packed[1].Image, f.key, f.disks[1])
		})
	}
}

func TestHTTPErrors(t *testing.T) {
	f := newFixture(t)
	src, _ := f.server(t, nil)
	pack := f.packed[0].Objects[len(f.packed[0].Objects)-1].Name
	for what, c := range map[string]struct {
		source imagesync.HTTPSource
		object string
		want   error
	}{
		"unknown object": {*src, "packs/" + strings.Repeat("0", 64), dormer.ErrNotFound},
		"not an object":  {*src, "../secret", dormer.ErrInvalid},
		"not signed in":  {imagesync.HTTPSource{Client: src.Client, BaseURL: src.BaseURL}, pack, dormer.ErrUnauthenticated},
		"no server":      {imagesync.HTTPSource{Client: src.Client, BaseURL: "http://127.0.0.1:1"}, pack, dormer.ErrUnavailable},
	} {
		if _, err := c.source.Get(t.Context(), c.object, 0, 10); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	if _, err := src.Get(t.Context(), pack, 1<<40, 10); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("range beyond the end: %v, want ErrCorrupt", err)
	}
	r, err := src.Get(t.Context(), pack, 5, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || len(b) != 7 {
		t.Errorf("7 bytes read as %d, %v", len(b), err)
	}
}

func TestBandwidthLimit(t *testing.T) {
	f := newFixture(t)
	s := openStore(t, t.TempDir(), imagesync.StoreConfig{})
	o := f.options(f.all)
	const perSecond = 16 << 20
	o.Limiter = rate.NewLimiter(perSecond, imagesync.LimiterBurst)
	start := time.Now()
	if err := s.Fetch(t.Context(), f.packed[0].Image, o); err != nil {
		t.Fatal(err)
	}
	least := time.Duration(float64(f.packed[0].NewBytes()-1<<20) / perSecond * float64(time.Second))
	if took := time.Since(start); took < least {
		t.Errorf("%d bytes took %v, want at least %v", f.packed[0].NewBytes(), took, least)
	}
}

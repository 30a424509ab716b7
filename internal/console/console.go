// Package console serves the administrators' web application, which web/ is
// built into. Programs import it: dormerd serves it beside its API, `dormer
// console` on the administrator's computer. The application asks the REST API
// and nothing else; this package only hands out files.
//
// The build leaves texts compressed only (name.gz), which nearly every browser
// takes; for others they are unpacked here. A program that was built without
// Node has a page in place of the application that says so.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
)

// Path is below what the console is served, with a slash at its end. The
// console finds the API as its neighbour, ../api/v1.
const Path = "/console/"

// dist is what the build of web/ leaves here; at least placeholder.html.
//
//go:embed all:dist
var dist embed.FS

// Files of dist.
const (
	folder      = "dist"
	indexFile   = "index.html"
	placeholder = "placeholder.html"
	assetsDir   = "assets/" // names hold the hash of what is in them
)

// Options are what whoever serves the console tells it.
type Options struct {
	// Local says that images of this computer are there too.
	Local bool
	// Random makes the nonces of pages.
	Random io.Reader
}

// file is one file of the application, ready to be sent.
type file struct {
	body  []byte
	media string
	gzip  bool // body is compressed
	tag   string
}

// Handler answers requests below Path. It is safe for concurrent use.
type Handler struct {
	options Options
	files   map[string]file
	index   string
	built   bool
}

// New returns the handler. It fails only if the build is not whole.
func New(o Options) (*Handler, error) {
	h := &Handler{options: o, files: map[string]file{}}
	err := fs.WalkDir(dist, folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := dist.ReadFile(p)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(p, folder+"/")
		name, packed := strings.CutSuffix(name, ".gz")
		sum := sha256.Sum256(b)
		h.files[name] = file{body: b, media: mediaOf(name), gzip: packed, tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the console's files: %w", err)
	}
	index, ok := h.files[indexFile]
	h.built = ok
	if !ok {
		index = h.files[placeholder]
	}
	h.index = string(index.body)
	for _, mark := range []string{baseMark, settingsMark} {
		if h.built && !strings.Contains(h.index, mark) {
			return nil, fmt.Errorf("the console's page has no %s", mark)
		}
	}
	return h, nil
}

// Built reports whether the application is there, and not the page in its place.
func (h *Handler) Built() bool { return h.built }

func mediaOf(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// What stands in index.html for what differs from request to request.
const (
	baseMark     = `<base href="./" />`
	settingsMark = `<meta name="dormer" content="{}" />`
)

// ServeHTTP answers with a file of the application, or with its page: which
// page of it the rest of the path means, the application knows.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A slash in a name is written %2F and is none of the path: so browsers see it.
	below, ok := strings.CutPrefix(r.URL.EscapedPath(), Path)
	switch f, known := h.files[below]; {
	case !ok:
		problem.Write(w, fmt.Errorf("the console is at %s: %w", Path, dormer.ErrNotFound))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		problem.Write(w, problem.ErrMethod)
	case known && below != indexFile && below != placeholder:
		h.serveFile(w, r, below, f)
	case strings.HasPrefix(below, assetsDir):
		// A page of another version of the program asks for what is gone.
		problem.Write(w, fmt.Errorf("there is no such file: %w", dormer.ErrNotFound))
	default:
		h.servePage(w, r, below)
	}
}

func (h *Handler) serveFile(w http.ResponseWriter, r *http.Request, name string, f file) {
	head := w.Header()
	head.Set("Content-Type", f.media)
	head.Set("ETag", f.tag)
	head.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, assetsDir) {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.body
	if f.gzip {
		head.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			head.Set("Content-Encoding", "gzip")
		} else {
			var err error
			if body, err = unpack(body); err != nil {
				problem.Write(w, err)
				return
			}
		}
	}
	send(w, r, body)
}

func unpack(b []byte) (_ []byte, err error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("unpack a file of the console: %w", err)
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	return io.ReadAll(z)
}

// nonceBytes are enough that nobody guesses them while a page is open.
const nonceBytes = 16

// servePage answers with index.html. Its base is relative to the address that
// was asked for, so it is right whatever a proxy has taken off the path.
func (h *Handler) servePage(w http.ResponseWriter, r *http.Request, below string) {
	raw := make([]byte, nonceBytes)
	if _, err := io.ReadFull(h.options.Random, raw); err != nil {
		problem.Write(w, fmt.Errorf("make nonce: %w", err))
		return
	}
	nonce := base64.RawURLEncoding.EncodeToString(raw)
	settings, err := json.Marshal(struct {
		Local bool   `json:"local"`
		Nonce string `json:"nonce"`
	}{h.options.Local, nonce})
	if err != nil {
		problem.Write(w, fmt.Errorf("encode the console's settings: %w", err))
		return
	}
	base := strings.Repeat("../", strings.Count(below, "/"))
	if base == "" {
		base = "./"
	}
	page := strings.NewReplacer(
		baseMark, `<base href="`+base+`" />`,
		settingsMark, `<meta name="dormer" content="`+html.EscapeString(string(settings))+`" />`,
	).Replace(h.index)
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", contentPolicy(nonce))
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	send(w, r, []byte(page))
}

// contentPolicy lets a page load what it comes with and ask whom it comes
// from, and nothing else. Images in data: are those of PatternFly's styles. The
// editor of documents makes style elements, with the nonce.
func contentPolicy(nonce string) string {
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self' 'nonce-" + nonce + "'", "img-src 'self' data: blob:",
		"font-src 'self'", "connect-src 'self'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'none'",
	}, "; ")
}

func send(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller may be gone; nobody is left to be told
	}
}

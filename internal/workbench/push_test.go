package workbench

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// flaky is a repository whose connections break as often as it is told.
type flaky struct {
	mu      sync.Mutex // guards the fields below
	lacking []imageformat.Object
	breaks  int
	refuses bool
	taken   []string // what was asked for, in its order, without repeats in a row
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, rest.Prefix+"/image-pushes")
	object, isObject := strings.CutPrefix(path, "/p/objects/")
	if isObject {
		f.taken = append(f.taken, "PUT")
	} else {
		f.taken = append(f.taken, r.Method+" "+path)
	}
	f.taken = slices.Compact(f.taken)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case isObject && f.breaks > 0:
		f.breaks--
		panic(http.ErrAbortHandler)
	case isObject && f.refuses:
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"denied","status":403,"title":"no"}`)
	case isObject:
		_, _ = io.Copy(io.Discard, r.Body)
		f.lacking = slices.DeleteFunc(f.lacking, func(o imageformat.Object) bool { return o.Name == object })
		w.WriteHeader(http.StatusNoContent)
	case path == "":
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(rest.Push{ID: "p", Missing: f.lacking})
	case path == "/p":
		_ = json.NewEncoder(w).Encode(rest.List[imageformat.Object]{Items: f.lacking})
	default:
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(rest.ImageVersion{Name: "office", Number: 7})
	}
}

// TestPushGoesOn: a push whose connections break goes on with what is lacking
// still, and counts no byte twice; a refusal ends it.
func TestPushGoesOn(t *testing.T) {
	dir := t.TempDir()
	var objects []imageformat.Object
	for n := range 3 {
		o := imageformat.Object{Name: fmt.Sprintf("packs/%064d", n), Size: 1000}
		file := filepath.Join(dir, filepath.FromSlash(o.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, o.Size), 0o600); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	envelope := seal.Envelope{Type: "test", Signature: make([]byte, ed25519.SignatureSize)}
	packed := &imagepack.Packed{Dir: dir, Envelope: envelope.Bytes()}
	push := func(f *flaky) (int, int64, int64, error) {
		s := httptest.NewServer(f)
		defer s.Close()
		c, err := apiclient.New(apiclient.Config{Server: s.URL, Token: "token"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f.lacking = slices.Clone(objects)
		most := int64(0)
		v, sent, err := Push(t.Context(), c, "office", packed, 0, func(done, total int64) {
			if most = max(most, done); total != 3000 {
				t.Errorf("the total is %d", total)
			}
		})
		return v.Number, sent, most, err
	}
	f := &flaky{breaks: 1}
	number, sent, most, err := push(f)
	if err != nil || number != 7 || sent != 3000 || most != 3000 || len(f.lacking) > 0 {
		t.Errorf("version %d, %d bytes sent, at most %d shown, %v; lacking %v", number, sent, most, err, f.lacking)
	}
	if want := []string{"POST ", "PUT", "GET /p", "PUT", "POST /p/commit"}; !slices.Equal(f.taken, want) {
		t.Errorf("it asked %q, want %q", f.taken, want)
	}
	f = &flaky{refuses: true}
	if _, _, _, err := push(f); !errors.Is(err, dormer.ErrDenied) || slices.Contains(f.taken, "GET /p") {
		t.Errorf("refused, it asks %q and ends with %v", f.taken, err)
	}
}

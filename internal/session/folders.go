package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/webdav"
	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
)

// homeWord begins the path of a shared folder that is below the user's home.
const homeWord = "{home}"

// folderPath is where a shared folder is.
func (s *Session) folderPath(f agentapi.SharedFolder) (string, error) {
	p := f.Path
	if rest, ok := strings.CutPrefix(p, homeWord); ok {
		home := s.cfg.Env("HOME")
		if home == "" {
			return "", fmt.Errorf("the user's home folder is not known: %w", dormer.ErrNotFound)
		}
		p = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(p) {
		return "", dormer.Invalidf("path", "must be absolute, or begin with %s", homeWord)
	}
	return filepath.Clean(p), nil
}

// folder says whether a folder can be served: it is there, and the user may read
// it.
func (s *Session) folder(w http.ResponseWriter, r *http.Request) error {
	f, err := agentapi.ReadDesk[agentapi.SharedFolder](w, r)
	if err != nil {
		return err
	}
	p, err := s.folderPath(f)
	if err != nil {
		return err
	}
	d, err := os.OpenFile(p, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("it is missing: %w", dormer.ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("its user may not read it: %w", dormer.ErrDenied)
	case err != nil:
		return fmt.Errorf("it cannot be opened: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return d.Close()
}

// shares serve shared folders by WebDAV.
type shares struct {
	session *Session

	mu    sync.Mutex // guards the field below
	locks map[string]webdav.LockSystem
}

func newShares(s *Session) *shares { return &shares{session: s, locks: map[string]webdav.LockSystem{}} }

// maxLockedFolders bounds the folders whose locks are kept.
const maxLockedFolders = 1000

func (s *shares) locksOf(path string) webdav.LockSystem {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.locks[path]
	if l == nil {
		if len(s.locks) >= maxLockedFolders {
			clear(s.locks)
		}
		l = &boundedLocks{LockSystem: webdav.NewMemLS(), until: map[string]time.Time{}}
		s.locks[path] = l
	}
	return l
}

// Bounds of what a guest may lock in a folder at the same time, and for how long
// without asking again.
const (
	maxLocks = 1000
	maxLock  = 24 * time.Hour
	maxOwner = 4 << 10 // of what it says of who locks, in bytes
)

// boundedLocks are locks of which there are only so many.
type boundedLocks struct {
	webdav.LockSystem

	mu    sync.Mutex // guards the field below
	until map[string]time.Time
}

// Create implements webdav.LockSystem.
func (b *boundedLocks) Create(now time.Time, d webdav.LockDetails) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.until) >= maxLocks {
		maps.DeleteFunc(b.until, func(_ string, end time.Time) bool { return !now.Before(end) })
	}
	if len(b.until) >= maxLocks {
		return "", webdav.ErrLocked
	}
	d.Duration = bounded(d.Duration)
	if len(d.OwnerXML) > maxOwner {
		d.OwnerXML = ""
	}
	token, err := b.LockSystem.Create(now, d)
	if err == nil {
		b.until[token] = now.Add(d.Duration)
	}
	return token, err
}

// Refresh implements webdav.LockSystem.
func (b *boundedLocks) Refresh(now time.Time, token string, d time.Duration) (webdav.LockDetails, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	details, err := b.LockSystem.Refresh(now, token, bounded(d))
	if err == nil {
		b.until[token] = now.Add(bounded(d))
	}
	return details, err
}

// Unlock implements webdav.LockSystem.
func (b *boundedLocks) Unlock(now time.Time, token string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.LockSystem.Unlock(now, token)
	if err == nil {
		delete(b.until, token)
	}
	return err
}

// bounded is the time of a lock; a negative one is for ever.
func bounded(d time.Duration) time.Duration {
	if d < 0 || d > maxLock {
		return maxLock
	}
	return d
}

// maxQuestion bounds the XML of a request about a folder, in bytes.
const maxQuestion = 256 << 10

// reading are the methods that change nothing.
var reading = map[string]bool{
	http.MethodOptions: true, http.MethodGet: true, http.MethodHead: true, "PROPFIND": true,
}

// ServeHTTP implements http.Handler.
func (s *shares) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, err := folderOf(r)
	var dir string
	if err == nil {
		dir, err = s.session.folderPath(f)
	}
	if err != nil {
		http.Error(w, "which folder is meant is not told", http.StatusBadRequest)
		return
	}
	if f.ReadOnly && !reading[r.Method] {
		http.Error(w, "the folder is shared for reading only", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodPut {
		r.Body = http.MaxBytesReader(w, r.Body, maxQuestion)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		http.Error(w, "the folder is missing", http.StatusNotFound)
		return
	}
	defer root.Close()
	prefix := "/" + f.Name
	h := webdav.Handler{Prefix: prefix, FileSystem: sharedFiles{root, f.ReadOnly}, LockSystem: s.locksOf(dir)}
	// The guest sees the folder at its own path, without that of the session.
	r.URL.Path, r.URL.RawPath = strings.TrimPrefix(r.URL.Path, agentapi.DeskFolders), ""
	if r.URL.Path != prefix && !strings.HasPrefix(r.URL.Path, prefix+"/") {
		http.Error(w, "this is not the folder that is meant", http.StatusBadRequest)
		return
	}
	h.ServeHTTP(w, r)
}

// folderOf is the folder that the agent names.
func folderOf(r *http.Request) (agentapi.SharedFolder, error) {
	var f agentapi.SharedFolder
	text, err := url.QueryUnescape(r.Header.Get(agentapi.HeaderFolder))
	if err == nil {
		err = json.Unmarshal([]byte(text), &f)
	}
	if err != nil || f.Name == "" || f.Path == "" {
		return f, dormer.Invalidf(agentapi.HeaderFolder, "does not name a folder")
	}
	return f, nil
}

// sharedFiles are the files of a folder; no link leads out of it.
type sharedFiles struct {
	root     *os.Root
	readOnly bool
}

var _ webdav.FileSystem = sharedFiles{}

// local is a path of WebDAV below the folder.
func local(name string) string {
	p := strings.TrimPrefix(path.Clean("/"+name), "/")
	if p == "" {
		return "."
	}
	return p
}

func (f sharedFiles) change() error {
	if f.readOnly {
		return fs.ErrPermission
	}
	return nil
}

// Mkdir implements webdav.FileSystem.
func (f sharedFiles) Mkdir(_ context.Context, name string, mode os.FileMode) error {
	if err := f.change(); err != nil {
		return err
	}
	return f.root.Mkdir(local(name), mode.Perm())
}

// OpenFile implements webdav.FileSystem. Only files and folders are opened, and
// nothing waits for the other end of a pipe.
func (f sharedFiles) OpenFile(_ context.Context, name string, flag int, mode os.FileMode) (webdav.File, error) {
	if flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND) != 0 {
		if err := f.change(); err != nil {
			return nil, err
		}
	}
	file, err := f.root.OpenFile(local(name), flag|unix.O_NONBLOCK, mode.Perm())
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = fs.ErrPermission
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return sharedFile{file, f.root, local(name)}, nil
}

// RemoveAll implements webdav.FileSystem. The folder itself stays.
func (f sharedFiles) RemoveAll(_ context.Context, name string) error {
	if err := f.change(); err != nil {
		return err
	}
	if local(name) == "." {
		return fs.ErrPermission
	}
	return f.root.RemoveAll(local(name))
}

// Rename implements webdav.FileSystem.
func (f sharedFiles) Rename(_ context.Context, from, to string) error {
	if err := f.change(); err != nil {
		return err
	}
	if local(from) == "." || local(to) == "." {
		return fs.ErrPermission
	}
	return f.root.Rename(local(from), local(to))
}

// Stat implements webdav.FileSystem.
func (f sharedFiles) Stat(_ context.Context, name string) (os.FileInfo, error) {
	return f.root.Stat(local(name))
}

// sharedFile is one of them, open.
type sharedFile struct {
	*os.File
	root *os.Root
	name string
}

// maxListed bounds what is shown of a folder.
const maxListed = 20_000

// Readdir implements webdav.File: it lists files and folders, also behind links
// that do not lead out.
func (f sharedFile) Readdir(count int) ([]fs.FileInfo, error) {
	if count <= 0 || count > maxListed {
		count = maxListed
	}
	all, err := f.File.ReadDir(count)
	var out []fs.FileInfo
	for _, e := range all {
		info, err := f.root.Stat(path.Join(f.name, e.Name()))
		if err == nil && (info.Mode().IsRegular() || info.IsDir()) {
			out = append(out, info)
		}
	}
	if len(out) > 0 || len(all) > 0 {
		return out, nil
	}
	if errors.Is(err, os.ErrClosed) {
		return nil, err
	}
	return nil, nil
}

package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Kind is what an entry is.
type Kind string

// The kinds. What is neither does not pass.
const (
	KindFile   Kind = "file"
	KindFolder Kind = "folder"
	KindOther  Kind = "other"
)

// Entry is a file or folder.
type Entry struct {
	Name     string    `json:"name"`
	Kind     Kind      `json:"kind"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	// Executable says that its owner may run it.
	Executable bool `json:"executable,omitempty"`
}

// Place is a folder that files are received into and read from. No link and no
// name leads out of it. Close it.
type Place struct {
	root *os.Root
}

// OpenPlace opens the folder dir.
func OpenPlace(dir string) (*Place, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, placeError("open folder", dir, err)
	}
	return &Place{root: root}, nil
}

// Close lets go of the folder.
func (p *Place) Close() error { return p.root.Close() }

// Path is where a file of the place is, for a program that must be told.
func (p *Place) Path(file string) string { return filepath.Join(p.root.Name(), file) }

// Stat says what file is; links inside the place are followed.
func (p *Place) Stat(file string) (Entry, error) {
	info, err := p.root.Stat(file)
	if err != nil {
		return Entry{}, placeError("look at", file, err)
	}
	return entry(info), nil
}

func entry(info fs.FileInfo) Entry {
	e := Entry{Name: info.Name(), Kind: KindOther, Modified: info.ModTime().UTC(), Executable: info.Mode().Perm()&0o100 != 0}
	switch {
	case info.IsDir():
		e.Kind, e.Executable = KindFolder, false
	case info.Mode().IsRegular():
		e.Kind, e.Size = KindFile, info.Size()
	}
	return e
}

// List returns what is in a folder by name. Links are KindOther. ErrTooLarge
// when there are more than MaxEntries.
func (p *Place) List(dir string) ([]Entry, error) {
	d, err := p.root.Open(dir)
	if err != nil {
		return nil, placeError("list", dir, err)
	}
	defer d.Close()
	all, err := d.ReadDir(MaxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, placeError("list", dir, err)
	}
	if len(all) > MaxEntries {
		return nil, fmt.Errorf("folder %s has more than %d entries: %w", dir, MaxEntries, dormer.ErrTooLarge)
	}
	out := []Entry{}
	for _, e := range all {
		info, err := e.Info()
		if err != nil || strings.HasPrefix(e.Name(), stagedPrefix) {
			continue // gone meanwhile, or not yet there
		}
		out = append(out, entry(info))
	}
	slices.SortFunc(out, func(x, y Entry) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

// Open opens a regular file for reading. Whatever else is there is ErrInvalid,
// and does not hold up the caller.
func (p *Place) Open(file string) (*os.File, Entry, error) {
	f, err := p.root.OpenFile(file, os.O_RDONLY|noWait, 0)
	if err != nil {
		return nil, Entry{}, placeError("open", file, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = dormer.Invalidf("path", "%s is not a file", file)
	}
	if err != nil {
		return nil, Entry{}, errors.Join(placeError("open", file, err), f.Close())
	}
	return f, entry(info), nil
}

// MakeFolder makes a folder; one that is there is as good.
func (p *Place) MakeFolder(dir string) error {
	err := p.root.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrExist) {
		e, err := p.Stat(dir)
		if err != nil {
			return err
		}
		if e.Kind != KindFolder {
			return fmt.Errorf("make folder %s: something else has that name: %w", dir, dormer.ErrExists)
		}
		return nil
	}
	if err != nil {
		return placeError("make folder", dir, err)
	}
	return nil
}

// keyForm is what a key looks like.
var keyForm = regexp.MustCompile(`^[0-9a-f]{16,64}$`)

// Key names what is received, so that a part of it is found again: the same for
// the same version of a file.
func Key(source string, e Entry) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d", source, e.Size, e.Modified.UnixNano()))
	return hex.EncodeToString(sum[:12])
}

// Staged is a file that is being received.
type Staged struct {
	place        *Place
	target, name string
	file         *os.File
}

// Stage opens what has come of a file, or nothing yet. target is the path it
// shall get, of the place; key is of Key. Close it.
func (p *Place) Stage(target, key string) (*Staged, error) {
	if !keyForm.MatchString(key) {
		return nil, dormer.Invalidf("key", "must be 16 to 64 hexadecimal digits")
	}
	dir, file := path.Split(target)
	if err := CheckName(file); err != nil {
		return nil, err
	}
	// Who examines the file may look at its extension.
	s := &Staged{place: p, target: target, name: path.Join(dir, stagedPrefix+key+extension(file))}
	if info, err := p.root.Lstat(s.name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("receive %s: something else is where its parts are kept: %w", target, dormer.ErrConflict)
	}
	f, err := p.root.OpenFile(s.name, os.O_RDWR|os.O_CREATE|noFollow|noWait, 0o600)
	if err != nil {
		return nil, placeError("receive", target, err)
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !ownAlone(info)) {
		// Whoever shares the folder could read it, or change it after it was examined.
		err = fmt.Errorf("somebody else has made the file in which its parts are kept, %s; remove it: %w", s.name, dormer.ErrDenied)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("receive %s: %w", target, err), f.Close())
	}
	s.file = f
	return s, nil
}

func extension(file string) string {
	e := path.Ext(file)
	if len(e) > 32 {
		return ""
	}
	return e
}

// Close lets go of the file and keeps what has come of it.
func (s *Staged) Close() error { return s.file.Close() }

// Path is where the staged file is, for a program that examines it.
func (s *Staged) Path() string { return s.place.Path(s.name) }

// Size is how many bytes have come.
func (s *Staged) Size() (int64, error) {
	info, err := s.file.Stat()
	if err != nil {
		return 0, placeError("look at", s.target, err)
	}
	return info.Size(), nil
}

// Hash is the SHA-256 of the first n bytes in hexadecimal digits.
func (s *Staged) Hash(n int64) (string, error) { return HashOf(s.file, n) }

// HashOf is the SHA-256 of the first n bytes of f in hexadecimal digits.
// ErrConflict when there are fewer.
func HashOf(f io.ReaderAt, n int64) (string, error) {
	h := sha256.New()
	got, err := io.Copy(h, io.NewSectionReader(f, 0, n))
	if err != nil {
		return "", fmt.Errorf("read what has come: %w", err)
	}
	if got < n {
		return "", fmt.Errorf("there are %d bytes, not %d: %w", got, n, dormer.ErrConflict)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Write puts what from gives behind the first offset bytes, at most most bytes
// in all: ErrTooLarge when there is more. What came is kept after an error.
func (s *Staged) Write(from io.Reader, offset, most int64) (int64, error) {
	size, err := s.Size()
	if err != nil {
		return 0, err
	}
	if offset < 0 || offset > size || offset > most {
		return 0, fmt.Errorf("receive %s: %d bytes have come, not %d: %w", s.target, size, offset, dormer.ErrConflict)
	}
	if err := s.file.Truncate(offset); err != nil {
		return 0, placeError("receive", s.target, err)
	}
	n, err := io.Copy(io.NewOffsetWriter(s.file, offset), io.LimitReader(from, most-offset+1))
	if err != nil {
		return n, placeError("receive", s.target, err)
	}
	if offset+n > most {
		return n, fmt.Errorf("receive %s: more comes than was said: %w", s.target, dormer.ErrTooLarge)
	}
	return n, nil
}

// Commit gives the file its name once it is size bytes long. Without overwrite
// a file that has the name already stays: ErrExists.
func (s *Staged) Commit(size int64, modified time.Time, executable, overwrite bool) error {
	have, err := s.Size()
	if err != nil {
		return err
	}
	if have != size {
		return fmt.Errorf("receive %s: %d of %d bytes have come: %w", s.target, have, size, dormer.ErrConflict)
	}
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	if err := errors.Join(s.file.Chmod(mode), s.file.Sync()); err != nil {
		return placeError("receive", s.target, err)
	}
	root := s.place.root
	if !modified.IsZero() {
		if err := root.Chtimes(s.name, modified, modified); err != nil {
			return placeError("receive", s.target, err)
		}
	}
	if e, err := s.place.lstat(s.target); err == nil {
		if !overwrite {
			return fmt.Errorf("%s is there already: %w", s.target, dormer.ErrExists)
		}
		if e.Kind == KindFolder {
			return fmt.Errorf("%s is a folder: %w", s.target, dormer.ErrExists)
		}
	}
	if overwrite {
		return placeError("receive", s.target, root.Rename(s.name, s.target))
	}
	// A link does not replace what came meanwhile, as a rename would.
	err = root.Link(s.name, s.target)
	switch {
	case err == nil:
		return placeError("receive", s.target, root.Remove(s.name))
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already: %w", s.target, dormer.ErrExists)
	default: // a file system without links
		return placeError("receive", s.target, root.Rename(s.name, s.target))
	}
}

func (p *Place) lstat(file string) (Entry, error) {
	info, err := p.root.Lstat(file)
	if err != nil {
		return Entry{}, err
	}
	return entry(info), nil
}

// Discard removes what has come.
func (s *Staged) Discard() error {
	err := s.place.root.Remove(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return placeError("remove what came of", s.target, err)
}

// placeError gives an error of the file system its kind; nil stays nil.
func placeError(doing, file string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dormer.ErrInvalid):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s %s: %w", doing, file, dormer.ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s %s: %w", doing, file, dormer.ErrDenied)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s %s: %w", doing, file, dormer.ErrExists)
	case strings.Contains(err.Error(), "path escapes"):
		return fmt.Errorf("%s %s: a link or name leads out of the folder: %w", doing, file, dormer.ErrDenied)
	default:
		return fmt.Errorf("%s %s: %w", doing, file, durable.Kind(err))
	}
}

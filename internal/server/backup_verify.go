package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/backup"
	"github.com/dormer-project/dormer/internal/dump"
)

// maxKeyFile is the largest file in the folder of keys that a backup may have,
// in bytes.
const maxKeyFile = 1 << 20

// backupFile is a backup on the disk.
type backupFile struct {
	path       string
	identities []age.Identity
	// progress is told how many of how many bytes are read; nil: nobody.
	progress func(done, size int64)
}

// backupContents is what was found in a backup, all of it read and checked.
type backupContents struct {
	Header    backup.Header `json:"header"`
	Encrypted bool          `json:"encrypted"`
	Members   int           `json:"members"`
	// Size is that of the members, Objects and ObjectsSize of those of the
	// repository among them.
	Size        int64         `json:"size"`
	Objects     int           `json:"objects"`
	ObjectsSize int64         `json:"objects_size"`
	State       dump.Summary  `json:"state"`
	Events      *dump.Summary `json:"events,omitempty"`

	config []byte
	keys   map[string][]byte // by names below the folder of keys
	files  map[string]int64  // sizes of the files that the configuration names
}

// open begins to read the backup. The caller closes both.
func (f *backupFile) open(ctx context.Context) (*backup.Reader, io.Closer, error) {
	h, err := os.Open(f.path)
	if err != nil {
		return nil, nil, fmt.Errorf("open the backup: %w", err)
	}
	info, err := h.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file: %w", f.path, dormer.ErrInvalid)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the backup: %w", err), h.Close())
	}
	r, err := backup.Open(&watched{ctx: ctx, r: h, size: info.Size(), tell: f.progress}, f.identities...)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", f.path, err), h.Close())
	}
	return r, h, nil
}

// watched is a file of which is told how far it is read, until ctx ends.
type watched struct {
	ctx        context.Context
	r          io.Reader
	done, size int64
	tell       func(done, size int64)
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(p)
	if w.done += int64(n); w.tell != nil {
		w.tell(w.done, w.size)
	}
	return n, err
}

// header reads what the backup says of itself and nothing else.
func (f *backupFile) header(ctx context.Context) (backup.Header, bool, error) {
	r, h, err := f.open(ctx)
	if err != nil {
		return backup.Header{}, false, err
	}
	defer h.Close()
	defer r.Close()
	return r.Header(), r.Encrypted(), nil
}

// each reads the backup to its end and checks it, and hands over each member.
func (f *backupFile) each(ctx context.Context, do func(name string, size int64, r io.Reader) error) (*backup.Reader, error) {
	r, h, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	defer r.Close()
	for {
		name, size, content, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err == nil {
			err = do(name, size, content)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
	}
}

// verify reads everything: checksums, dumps, keys, configuration.
func (f *backupFile) verify(ctx context.Context) (*backupContents, error) {
	c := &backupContents{keys: map[string][]byte{}, files: map[string]int64{}}
	has := map[string]bool{}
	r, err := f.each(ctx, func(name string, size int64, r io.Reader) (err error) {
		has[name] = true
		switch {
		case name == backup.StateName:
			c.State, err = dump.Verify(r)
		case name == backup.EventsName:
			var s dump.Summary
			s, err = dump.Verify(r)
			c.Events = &s
		case name == backup.ConfigName:
			c.config, err = readMember(name, r, maxConfig)
		case strings.HasPrefix(name, backup.KeysPrefix):
			c.keys[strings.TrimPrefix(name, backup.KeysPrefix)], err = readMember(name, r, maxKeyFile)
		case strings.HasPrefix(name, backup.FilesPrefix):
			c.files[name] = size
		case strings.HasPrefix(name, backup.RepositoryPrefix):
			c.Objects++
			c.ObjectsSize += size
		}
		if err != nil {
			return fmt.Errorf("the member %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.Header, c.Encrypted, c.Members = r.Header(), r.Encrypted(), len(r.Members())
	for _, m := range r.Members() {
		c.Size += m.Size
	}
	if err := c.check(has); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return c, nil
}

func readMember(name string, r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes: %w", name, most, dormer.ErrTooLarge)
	}
	return b, err
}

// check looks whether the parts fit together.
func (c *backupContents) check(has map[string]bool) error {
	want := []string{backup.StateName}
	for _, d := range c.Header.Databases {
		want = append(want, d.Member)
	}
	for _, f := range c.Header.Files {
		if f.Member != "" {
			want = append(want, f.Member)
		}
	}
	for _, name := range want {
		if !has[name] {
			return fmt.Errorf("the backup lacks the member %s, of which it says that it has it: %w", name, dormer.ErrCorrupt)
		}
	}
	for track, s := range map[string]*dump.Summary{"state": &c.State, "events": c.Events} {
		if s != nil && (s.Header.Track != track || s.Header.Instance != c.Header.Instance) {
			return fmt.Errorf("the dump of the %s database is of another instance or database: %w", track, dormer.ErrCorrupt)
		}
	}
	if _, err := ParseConfig(c.config); err != nil {
		return fmt.Errorf("the configuration in the backup:\n%w", err)
	}
	return checkKeys(c.keys)
}

// checkKeys looks whether these are the keys of an instance.
func checkKeys(keys map[string][]byte) error {
	for name, size := range keySizes {
		if b, ok := keys[name]; !ok || len(b) != size {
			return fmt.Errorf("the key %s is missing or has another length than %d bytes: %w", name, size, dormer.ErrCorrupt)
		}
	}
	cert, key := keys[dirTLS+"/"+tlsAuthorityCert], keys[dirTLS+"/"+tlsAuthorityKey]
	if (cert == nil) != (key == nil) {
		return fmt.Errorf("of the authority the certificate or its key is missing: %w", dormer.ErrCorrupt)
	}
	if cert == nil {
		return nil
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return fmt.Errorf("the certificate of the authority and its key do not fit: %w", dormer.ErrCorrupt)
	}
	return nil
}

// keyPath is where a file of the folder of keys belongs.
func keyPath(d *dataDir, name string) string {
	return d.file(dirKeys, filepath.FromSlash(name))
}

package standby

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Names in the bundle of secrets.
const (
	bundleKeys   = "keys/"
	bundleConfig = "dormerd.toml"
)

// maxBundleFiles bounds a bundle of secrets.
const maxBundleFiles = 4096

// minPassphrase is the shortest passphrase, in bytes.
const minPassphrase = 16

// Lock encrypts what is secret at the target, and decrypts it.
type Lock struct {
	recipient age.Recipient
	identity  age.Identity
}

// ReadLock reads a file with an age identity (AGE-SECRET-KEY-1..., as age-keygen
// makes it) or with a passphrase of at least 16 characters. Primary and standby
// need the same.
func ReadLock(path string) (*Lock, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", durable.Kind(err))
	}
	if bytes.Contains(b, []byte("AGE-SECRET-KEY-")) {
		all, err := age.ParseIdentities(bytes.NewReader(b))
		if err != nil || len(all) != 1 {
			return nil, dormer.Invalidf("key_file", "must hold one age identity")
		}
		i, ok := all[0].(*age.X25519Identity)
		if !ok {
			return nil, dormer.Invalidf("key_file", "must hold an age identity of type X25519")
		}
		return &Lock{recipient: i.Recipient(), identity: i}, nil
	}
	phrase := strings.TrimSpace(string(b))
	if len(phrase) < minPassphrase {
		return nil, dormer.Invalidf("key_file", "must hold an age identity, or a passphrase of at least %d characters", minPassphrase)
	}
	recipient, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	identity, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	return &Lock{recipient: recipient, identity: identity}, nil
}

func (l *Lock) seal(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, l.recipient)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt keys: %w", err)
	}
	return out.Bytes(), nil
}

func (l *Lock) open(b []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(b), l.identity)
	if err != nil {
		return nil, fmt.Errorf("decrypt keys: is standby.key_file the primary's? %w: %w", dormer.ErrDenied, err)
	}
	b, err = io.ReadAll(io.LimitReader(r, maxSecrets+1))
	if err != nil {
		return nil, fmt.Errorf("decrypt keys: %w: %w", dormer.ErrCorrupt, err)
	}
	if len(b) > maxSecrets {
		return nil, fmt.Errorf("decrypt keys: %w", dormer.ErrTooLarge)
	}
	return b, nil
}

// packSecrets returns the folder of keys and the configuration file as one
// tar, the same bytes for the same content. config may be empty.
func packSecrets(keys, config string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name, path string) error {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // replaced meanwhile: the next look finds it
		}
		if err != nil {
			return err
		}
		if out.Len()+len(b) > maxSecrets {
			return dormer.ErrTooLarge
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(b)), Mode: 0o600}); err != nil {
			return err
		}
		_, err = w.Write(b)
		return err
	}
	err := filepath.WalkDir(keys, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		name, err := filepath.Rel(keys, path)
		if err != nil {
			return err
		}
		return add(bundleKeys+filepath.ToSlash(name), path)
	})
	if err == nil && config != "" {
		err = add(bundleConfig, config)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("collect keys: %w", err)
	}
	return out.Bytes(), nil
}

// unpackSecrets calls each for every file of a bundle.
func unpackSecrets(b []byte, each func(name string, content []byte) error) error {
	r := tar.NewReader(bytes.NewReader(b))
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read keys: %w: %w", dormer.ErrCorrupt, err)
		}
		name, below := strings.CutPrefix(h.Name, bundleKeys)
		if h.Typeflag != tar.TypeReg || n >= maxBundleFiles || (h.Name != bundleConfig && (!below || !filepath.IsLocal(name) || filepath.Clean(name) != name)) {
			return fmt.Errorf("read keys: the bundle has an entry that does not belong there: %w", dormer.ErrCorrupt)
		}
		content, err := io.ReadAll(r) // bounded by b
		if err != nil {
			return fmt.Errorf("read keys: %w: %w", dormer.ErrCorrupt, err)
		}
		if err := each(h.Name, content); err != nil {
			return err
		}
	}
}

// shipSecrets puts keys and configuration at the target if they are not what
// was put there last, of which the hash is given; it returns the new one.
func (t *Target) shipSecrets(ctx context.Context, l *Lock, epoch dormer.Epoch, keys, config string, last [32]byte) ([32]byte, error) {
	b, err := packSecrets(keys, config)
	if err != nil {
		return last, err
	}
	sum := sha256.Sum256(b)
	if sum == last {
		return last, nil
	}
	sealed, err := l.seal(b)
	if err != nil {
		return last, err
	}
	if err := t.Put(ctx, epochName(epoch, nameSecrets), bytes.NewReader(sealed), int64(len(sealed))); err != nil {
		return last, err
	}
	return sum, nil
}

// fetchSecrets writes keys below dir, durably, and the primary's configuration
// as the file config, unless that was done: decrypting with a passphrase takes a
// second.
func (t *Target) fetchSecrets(ctx context.Context, l *Lock, epoch dormer.Epoch, dir, config string) error {
	sealed, err := t.read(ctx, epochName(epoch, nameSecrets), maxSecrets+1<<20)
	if err != nil {
		return err
	}
	fetched, sum := filepath.Join(dir, fileFetched), fmt.Appendf(nil, "%x\n", sha256.Sum256(sealed))
	if was, err := os.ReadFile(fetched); err == nil && bytes.Equal(was, sum) {
		return nil
	}
	b, err := l.open(sealed)
	if err != nil {
		return err
	}
	err = unpackSecrets(b, func(name string, content []byte) error {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if name == bundleConfig {
			path = config
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("write keys: %w", durable.Kind(err))
		}
		return durable.WriteFile(path, content)
	})
	if err != nil {
		return err
	}
	return durable.WriteFile(fetched, sum)
}

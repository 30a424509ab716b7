package kerberos

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// maxKeytab is the largest keytab that is read, in bytes.
const maxKeytab = 1 << 20

// encryption is one encryption type that tickets may have.
type encryption struct {
	name   string
	strong bool
}

var encryptions = map[int32]encryption{
	etypeID.AES128_CTS_HMAC_SHA1_96:    {"aes128-cts-hmac-sha1-96", true},
	etypeID.AES256_CTS_HMAC_SHA1_96:    {"aes256-cts-hmac-sha1-96", true},
	etypeID.AES128_CTS_HMAC_SHA256_128: {"aes128-cts-hmac-sha256-128", true},
	etypeID.AES256_CTS_HMAC_SHA384_192: {"aes256-cts-hmac-sha384-192", true},
	etypeID.DES3_CBC_SHA1_KD:           {"des3-cbc-sha1", false},
	etypeID.RC4_HMAC:                   {"rc4-hmac", false},
}

func encryptionName(id int32) string {
	if e, ok := encryptions[id]; ok {
		return e.name
	}
	return fmt.Sprintf("encryption type %d", id)
}

// entry is one key of a keytab.
type entry struct {
	components []string
	realm      string
	version    uint32
	key        types.EncryptionKey
}

func (e entry) service() string { return strings.Join(e.components, "/") }

// is reports whether a ticket's key version is this one. 0 is a ticket that
// names none; some keytabs keep only the lowest eight bits.
func (e entry) is(version int) bool {
	return version == 0 || uint32(version) == e.version || e.version < 256 && uint32(version)&0xff == e.version
}

func (e entry) String() string {
	return fmt.Sprintf("%s@%s (version %d, %s)", e.service(), e.realm, e.version, encryptionName(e.key.KeyType))
}

// LoadKeytab reads a keytab for whoever signs in by it.
func LoadKeytab(path string) (*keytab.Keytab, error) {
	b, _, err := readKeytab(path)
	if err != nil {
		return nil, err
	}
	table, err := decodeKeytab(b)
	if err != nil {
		return nil, fmt.Errorf("keytab %s %w", path, err)
	}
	return table, nil
}

// readKeytab returns the content of the file and what was known of it before.
func readKeytab(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open keytab: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("open keytab: %w", err)
	}
	b, err := readAll(f, "keytab "+path, maxKeytab)
	return b, info, err
}

// decodeKeytab decodes a keytab. Its errors say nothing of what is in it: those
// of the library quote keys, and it may panic at what is none.
func decodeKeytab(b []byte) (table *keytab.Keytab, err error) {
	defer func() {
		if recover() != nil {
			table, err = nil, fmt.Errorf("is no keytab: %w", dormer.ErrCorrupt)
		}
	}()
	table = keytab.New()
	if table.Unmarshal(b) != nil {
		return nil, fmt.Errorf("is no keytab: %w", dormer.ErrCorrupt)
	}
	return table, nil
}

// parseKeytab returns the keys of a keytab, newest first.
func parseKeytab(b []byte) ([]entry, error) {
	table, err := decodeKeytab(b)
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, k := range table.Entries {
		if len(k.Key.KeyValue) > 0 && len(k.Principal.Components) > 0 {
			all = append(all, entry{components: k.Principal.Components, realm: k.Principal.Realm, version: k.KVNO, key: k.Key})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("has no keys: %w", dormer.ErrInvalid)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return int(int64(b.version) - int64(a.version)) })
	return all, nil
}

// keys are the keys of a keytab as it is now. What was read stays in use when
// the file cannot be read later.
type keys struct {
	path   string
	logger *slog.Logger

	mu      sync.Mutex // guards the fields below
	entries []entry
	size    int64
	changed time.Time
}

func (k *keys) open() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.read()
}

// read needs k.mu.
func (k *keys) read() error {
	b, info, err := readKeytab(k.path)
	if info != nil {
		k.size, k.changed = info.Size(), info.ModTime()
	}
	if err != nil {
		return err
	}
	entries, err := parseKeytab(b)
	if err != nil {
		return fmt.Errorf("keytab %s %w", k.path, err)
	}
	k.entries = entries
	return nil
}

// current returns the keys, read again if the file has changed.
func (k *keys) current() ([]entry, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.path)
	if err == nil && info.Size() == k.size && info.ModTime().Equal(k.changed) {
		return k.entries, nil
	}
	told := err != nil && k.size < 0
	if err == nil {
		k.size, k.changed = info.Size(), info.ModTime()
		err = k.read()
	} else {
		k.size = -1
	}
	if err != nil && !told {
		k.logger.LogAttrs(context.Background(), slog.LevelError, "the keytab changed and cannot be read; the keys read before stay in use",
			slog.String("setting", "kerberos.keytab"), slog.Any("error", err))
	}
	if len(k.entries) == 0 {
		return nil, fmt.Errorf("read keytab: %w", dormer.ErrUnavailable)
	}
	return k.entries, nil
}

func (k *keys) all() []entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entries
}

// String lists what there are keys of, for messages.
func (k *keys) String() string {
	const most = 8
	var names []string
	for _, e := range k.all() {
		if len(names) == most {
			return strings.Join(append(names, "..."), ", ")
		}
		names = append(names, e.String())
	}
	return strings.Join(names, ", ")
}

// CheckKeytab says what is wrong with a keytab.
func CheckKeytab(path string) error {
	return (&keys{path: path}).open()
}

// Test implements access.Tester: it reads the keytab again and says what there
// are keys of.
func (a *Acceptor) Test(ctx context.Context) ([]access.Finding, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("examine keytab: %w", err)
	}
	began := a.cfg.Now()
	f := access.Finding{Setting: "keytab", What: "keys of " + a.keys.String()}
	again, err := NewAcceptor(a.cfg)
	if err != nil {
		f.Problem = err.Error()
	} else {
		f.What = "keys of " + again.keys.String()
	}
	f.Took = a.cfg.Now().Sub(began)
	return []access.Finding{f}, nil
}

package backup_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/backup"
)

var made = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

func header() backup.Header {
	return backup.Header{Instance: "0123456789abcdef", Epoch: 3, Made: made, Version: "test"}
}

// contents are members by name.
type contents map[string][]byte

func example() contents {
	long := bytes.Repeat([]byte("0123456789abcde\n"), 700_000) // over two pieces
	return contents{
		backup.ConfigName: []byte("data = \"/d\"\n"), backup.KeysPrefix + "root.key": {1, 2, 3}, backup.KeysPrefix + "tls/acme/x+rsa": nil,
		backup.StateName: long, backup.EventsName: nil, backup.RepositoryPrefix + "names/a/b": []byte("x"),
	}
}

func write(t *testing.T, w io.Writer, all contents) {
	t.Helper()
	b, err := backup.NewWriter(w, header())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		content := all[name]
		if strings.HasSuffix(name, ".dump") {
			err = b.Stream(name, func(w io.Writer) error {
				for rest := content; len(rest) > 0; { // in odd steps
					n := min(len(rest), 99_991)
					if _, err := w.Write(rest[:n]); err != nil {
						return err
					}
					rest = rest[n:]
				}
				return nil
			})
		} else {
			err = b.Add(name, int64(len(content)), bytes.NewReader(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// read returns what is in a backup, and the first error.
func read(r io.Reader, identities ...age.Identity) (contents, error) {
	b, err := backup.Open(r, identities...)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	all := contents{}
	for {
		name, _, content, err := b.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if all[name], err = io.ReadAll(content); err != nil {
			return nil, err
		}
	}
}

func same(t *testing.T, got, want contents) {
	t.Helper()
	if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
		t.Fatalf("members %v, expected %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	for name, content := range want {
		if !bytes.Equal(got[name], content) {
			t.Errorf("member %s is not what was written (%d bytes, expected %d)", name, len(got[name]), len(content))
		}
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	var file bytes.Buffer
	write(t, &file, example())
	got, err := read(&file)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, example())
	// Members that nobody reads are checked all the same.
	write(t, &file, example())
	b, err := backup.Open(&file)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if h := b.Header(); h.Format != backup.Format || h.Instance != header().Instance || h.Epoch != 3 || !h.Made.Equal(made) {
		t.Errorf("header %+v", h)
	}
	n := 0
	for _, _, _, err = b.Next(); err == nil; _, _, _, err = b.Next() {
		n++
	}
	if !errors.Is(err, io.EOF) || n != len(example()) || len(b.Members()) != n+1 {
		t.Errorf("%d members, %d with the header, %v", n, len(b.Members()), err)
	}
}

// TestOtherToolsReadIt: the members are those of a tar archive.
func TestOtherToolsReadIt(t *testing.T) {
	var file bytes.Buffer
	write(t, &file, example())
	z, err := zstd.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o600 {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		names = append(names, h.Name)
	}
	want := "backup.json config/dormerd.toml events.dump/000001 keys/root.key keys/tls/acme/x+rsa repository/names/a/b " +
		"state.dump/000001 state.dump/000002 state.dump/000003 manifest"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("entries %s\nexpected %s", got, want)
	}
}

// TestDamage: a file that lost its end or one of its bits is found out,
// wherever it was.
func TestDamage(t *testing.T) {
	small := example()
	small[backup.StateName] = []byte("short")
	var file bytes.Buffer
	write(t, &file, small)
	whole := file.Bytes()
	for n := range whole {
		if _, err := read(bytes.NewReader(whole[:n])); !errors.Is(err, dormer.ErrCorrupt) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	for n := range whole {
		changed := bytes.Clone(whole)
		changed[n] ^= 0x10
		got, err := read(bytes.NewReader(changed))
		if err == nil {
			same(t, got, small) // bits that mean nothing
		} else if !errors.Is(err, dormer.ErrCorrupt) {
			t.Fatalf("byte %d changed: %v", n, err)
		}
	}
	if _, err := read(bytes.NewReader(append(bytes.Clone(whole), whole...))); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("twice one after the other: %v", err)
	}
}

// archive makes a file of any entries, with a manifest that fits if asked for.
func archive(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var file bytes.Buffer
	z, err := zstd.NewWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, h := range entries {
		content := []byte(h.Linkname)
		if h.Typeflag == 0 {
			h.Linkname, h.Typeflag, h.Size = "", tar.TypeReg, int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

const goodHeader = `{"format":1,"instance":"0123456789abcdef","epoch":1,"made":"2026-03-01T12:30:00Z"}`

// entry is a plain file; its content travels in Linkname.
func entry(name, content string) tar.Header { return tar.Header{Name: name, Linkname: content} }

func TestHostileArchives(t *testing.T) {
	first := entry("backup.json", goodHeader)
	for what, test := range map[string]struct {
		entries []tar.Header
		kind    error
		says    string
	}{
		"a newer format": {[]tar.Header{entry("backup.json", `{"format":2,"new":true}`)}, dormer.ErrUnsupported, "a newer dormerd is needed"},
		"no format":      {[]tar.Header{entry("backup.json", `{}`)}, dormer.ErrCorrupt, "no format"},
		"no JSON":        {[]tar.Header{entry("backup.json", `[`)}, dormer.ErrCorrupt, "not valid JSON"},
		"a long header":  {[]tar.Header{entry("backup.json", strings.Repeat(" ", 2<<20))}, dormer.ErrCorrupt, "does not begin"},
		"another first":  {[]tar.Header{entry("keys/root.key", "x")}, dormer.ErrCorrupt, "does not begin"},
		"a way out":      {[]tar.Header{first, entry("keys/../../etc/passwd", "x")}, dormer.ErrCorrupt, "is not allowed"},
		"a root":         {[]tar.Header{first, entry("/etc/passwd", "x")}, dormer.ErrCorrupt, "is not allowed"},
		"a hidden file":  {[]tar.Header{first, entry("keys/.profile", "x")}, dormer.ErrCorrupt, "is not allowed"},
		"another folder": {[]tar.Header{first, entry("bin/dormerd", "x")}, dormer.ErrCorrupt, "not of a backup"},
		"a link":         {[]tar.Header{first, {Name: "keys/root.key", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}}, dormer.ErrCorrupt, "not a plain file"},
		"a device":       {[]tar.Header{first, {Name: "keys/root.key", Typeflag: tar.TypeChar}}, dormer.ErrCorrupt, "not a plain file"},
		"one twice":      {[]tar.Header{first, entry("keys/a", "x"), entry("keys/a", "x")}, dormer.ErrCorrupt, "there twice"},
		"a late piece":   {[]tar.Header{first, entry("state.dump/000002", "x")}, dormer.ErrCorrupt, "not the next"},
		"pieces apart":   {[]tar.Header{first, entry("state.dump/000001", "x"), entry("keys/a", "x"), entry("state.dump/000002", "x")}, dormer.ErrCorrupt, "not the next"},
		"a short piece":  {[]tar.Header{first, entry("state.dump/000001", "x"), entry("state.dump/000002", "x")}, dormer.ErrCorrupt, "one piece after the other"},
		"no manifest":    {[]tar.Header{first, entry("keys/a", "x")}, dormer.ErrCorrupt, "ends too early"},
		"no members":     {[]tar.Header{first, entry("manifest", "")}, dormer.ErrCorrupt, "does not name the member backup.json"},
		"other hashes":   {[]tar.Header{first, entry("manifest", strings.Repeat("0", 64)+" 82 backup.json\n")}, dormer.ErrCorrupt, "not as the manifest says"},
	} {
		_, err := read(bytes.NewReader(archive(t, test.entries...)))
		if !errors.Is(err, test.kind) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, content := range map[string]string{"empty": "", "text": "data = \"/d\"\n", "short": "age"} {
		if _, err := read(strings.NewReader(content)); !errors.Is(err, dormer.ErrCorrupt) || !strings.Contains(err.Error(), "no backup") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	b, err := backup.NewWriter(io.Discard, header())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Abort()
	if err := b.Add(backup.KeysPrefix+"a", 3, strings.NewReader("abcd")); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("a file that grew: %v", err)
	}
	if err := b.Add("elsewhere", 0, strings.NewReader("")); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("a strange name: %v", err)
	}
	if err := b.Stream(backup.ConfigName, func(io.Writer) error { return nil }); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a stream of another name: %v", err)
	}
}

func TestEncryption(t *testing.T) {
	small := contents{backup.ConfigName: []byte("the one secret")}
	var plain bytes.Buffer
	write(t, &plain, small)
	seal := func(recipients []age.Recipient) []byte {
		t.Helper()
		var file bytes.Buffer
		w, err := backup.Encrypt(&file, recipients)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(plain.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := backup.Recipients("", []string{identity.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	forKey := seal(to)
	if got, err := read(bytes.NewReader(forKey), identity); err != nil {
		t.Error(err)
	} else {
		same(t, got, small)
	}
	if _, err := read(bytes.NewReader(forKey), other); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("another identity: %v", err)
	}
	if _, err := read(bytes.NewReader(forKey)); !errors.Is(err, dormer.ErrDenied) || !strings.Contains(err.Error(), "--passphrase-file") {
		t.Errorf("no identity: %v", err)
	}
	for n := 0; n < len(forKey); n += 13 {
		if _, err := read(bytes.NewReader(forKey[:n]), identity); err == nil {
			t.Fatalf("cut to %d of %d bytes and read", n, len(forKey))
		}
	}
	changed := bytes.Clone(forKey)
	changed[len(changed)-20] ^= 1
	if _, err := read(bytes.NewReader(changed), identity); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("a changed byte: %v", err)
	}

	if to, err = backup.Recipients("correct horse", nil); err != nil {
		t.Fatal(err)
	}
	to[0].(*age.ScryptRecipient).SetWorkFactor(10) // what is tested is not how long guessing takes
	byPassphrase := seal(to)
	for passphrase, want := range map[string]error{"correct horse": nil, "wrong horse": dormer.ErrDenied} {
		i, err := backup.PassphraseIdentity(passphrase)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(bytes.NewReader(byPassphrase), i); !errors.Is(err, want) {
			t.Errorf("%s: %v", passphrase, err)
		}
	}
	if _, err := backup.Recipients("", []string{"age1nonsense"}); !errors.Is(err, dormer.ErrInvalid) || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a wrong recipient: %v", err)
	}
	if _, err := backup.Recipients("correct horse", []string{identity.Recipient().String()}); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("both ways: %v", err)
	}
}

func TestSecretFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("correct horse\r\nsecond line\n")
	if p, err := backup.Passphrase(path); err != nil || p != "correct horse" {
		t.Errorf("%q, %v", p, err)
	}
	put("short\n")
	if _, err := backup.Passphrase(path); !errors.Is(err, dormer.ErrInvalid) || strings.Contains(err.Error(), "short\n") {
		t.Errorf("a short passphrase: %v", err)
	}
	put("AGE-SECRET-KEY-1WRONG\n")
	if _, err := backup.ReadIdentities(path); !errors.Is(err, dormer.ErrInvalid) || strings.Contains(err.Error(), "1WRONG") {
		t.Errorf("a wrong key: %v", err)
	}
	put(strings.Repeat("x", 1<<20))
	if _, err := backup.Passphrase(path); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("a large file: %v", err)
	}
}

// TestWriteFile leaves a whole file or none.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "b.backup")
	wrong := errors.New("no space")
	if err := backup.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 5<<20))
		return errors.Join(err, wrong)
	}); !errors.Is(err, wrong) {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("a failure left %v, %v", entries, err)
	}
	fill := func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }
	if err := backup.WriteFile(path, fill); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := backup.WriteFile(path, fill); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("over another: %v", err)
	}
	if runtime.GOOS == "linux" {
		if err := backup.WriteFile("/dev/full/x", fill); err == nil {
			t.Error("a file below a device")
		}
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	mine := func(day int) string { return backup.FileName("mine", made.AddDate(0, 0, day)) }
	others := []string{
		backup.FileName("other", made.AddDate(0, 0, -100)), "dormer-mine-last.backup", "notes.txt",
		mine(-50) + ".old", "x" + mine(-50),
	}
	for _, name := range append([]string{mine(0), mine(1), mine(2), mine(-1)}, others...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, mine(-60)), 0o700); err != nil {
		t.Fatal(err)
	}
	removed, err := backup.Prune(dir, "mine", 2)
	if err != nil || !slices.Equal(removed, []string{mine(-1), mine(0)}) {
		t.Errorf("removed %v, %v", removed, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2+1+len(others) {
		t.Errorf("left %v, %v", entries, err)
	}
	if removed, err = backup.Prune(dir, "mine", 2); err != nil || len(removed) != 0 {
		t.Errorf("again: %v, %v", removed, err)
	}
}

// FuzzRead: whatever the bytes are, reading ends in members or an error of a
// known kind, and no name leads elsewhere.
func FuzzRead(f *testing.F) {
	add := func(entries ...tar.Header) { f.Add(archive(f, entries...)) }
	first := entry("backup.json", goodHeader)
	add(first, entry("manifest", ""))
	add(first, entry("state.dump/000001", "x"), entry("state.dump/000002", "x"), entry("keys/a", "b"))
	add(first, entry("../x", "x"))
	f.Add([]byte("age-encryption.org/v1\n-> scrypt x 18\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := backup.Open(bytes.NewReader(b))
		for err == nil {
			var name string
			if name, _, _, err = r.Next(); err == nil && !filepath.IsLocal(name) {
				t.Fatalf("the name %q was let through", name)
			}
		}
		if r != nil {
			r.Close()
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, dormer.ErrCorrupt) && !errors.Is(err, dormer.ErrDenied) && !errors.Is(err, dormer.ErrUnsupported) {
			t.Fatal(err)
		}
	})
}

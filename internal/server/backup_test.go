package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/backup"
	"github.com/dormer-project/dormer/internal/store"
)

// must runs a command that succeeds.
func (i *instance) must(args ...string) string {
	i.t.Helper()
	out, stderr, err := i.command(args...)
	if err != nil {
		i.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return out
}

// refused runs a command that fails and says something.
func (i *instance) refused(says string, args ...string) {
	i.t.Helper()
	out, stderr, err := i.command(args...)
	if err == nil || !strings.Contains(stderr, says) {
		i.t.Errorf("%s: %v, expected %q\n%s%s", strings.Join(args, " "), err, says, out, stderr)
	}
}

// beside is an instance of the same address in another folder, whose
// configuration a restore writes.
func (i *instance) beside(dir string) *instance {
	other := *i
	other.dir, other.data = dir, filepath.Join(dir, "data")
	other.config = filepath.Join(other.data, "dormerd.toml")
	return &other
}

// withKeytab is a configuration that names a file.
func withKeytab(t *testing.T) (settings, path string) {
	path = filepath.Join(t.TempDir(), "client.secret")
	if err := os.WriteFile(path, []byte("a secret of a provider\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("# the third floor\n[[providers]]\nname = \"login\"\nissuer = \"https://127.0.0.1:1\"\nclient_id = \"dormer\"\nclient_secret_file = %q\n", path), path
}

// TestBackupAndRestore: what a running server has is back on another computer's
// folder, under a higher epoch, and the server of before gives way.
func TestBackupAndRestore(t *testing.T) {
	settings, secret := withKeytab(t)
	i := newInstance(t, settings)
	process := i.start()
	c := i.client()
	before, err := c.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if _, err := c.CreateGroup(t.Context(), fmt.Sprint("group", n)); err != nil {
			t.Fatal(err)
		}
	}
	ca := string(i.authority())
	folder := t.TempDir()
	file := filepath.Join(folder, "one.backup")
	i.must("backup", "create", file, "--with-repository", "-c", i.config)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	i.refused("already exists", "backup", "create", file, "-c", i.config)
	if out := i.must("backup", "verify", file); !strings.Contains(out, "The backup is whole.") || !strings.Contains(out, string(before.ID)) {
		t.Errorf("verify: %s", out)
	}
	if out := i.must("backup", "show", file); !strings.Contains(out, "File of providers[0].client_secret_file:  "+secret) {
		t.Errorf("show: %s", out)
	}
	audit, err := c.Audit(t.Context(), 0, 10)
	if err != nil || audit.Items[0].Action != "instance.backup" || audit.Items[0].Object != file {
		t.Errorf("audit log: %+v, %v", audit.Items, err)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = process.Process.Wait()
	if err := os.RemoveAll(i.data); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}

	j := i.beside(t.TempDir())
	var plan struct {
		Epoch dormer.Epoch `json:"epoch"`
		Data  string       `json:"data"`
	}
	out := i.must("backup", "restore", file, "--data", j.data, "--dry-run", "--json")
	if err := json.Unmarshal([]byte(out), &plan); err != nil || plan.Epoch <= before.Epoch || plan.Data != j.data {
		t.Errorf("dry run: %v, %s", err, out)
	}
	if _, err := os.Stat(j.data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dry run made the data folder: %v", err)
	}
	i.must("backup", "restore", file, "--data", j.data)
	config, err := os.ReadFile(j.config)
	if err != nil || !strings.Contains(string(config), "# the third floor") {
		t.Errorf("configuration: %v\n%s", err, config)
	}
	if b, err := os.ReadFile(filepath.Join(j.data, "files", "000-client.secret")); err != nil || string(b) != "a secret of a provider\n" {
		t.Errorf("the file of a setting: %q, %v", b, err)
	}
	j.start()
	after, err := c.Instance(t.Context()) // with the session of before
	if err != nil || after.ID != before.ID || after.Epoch <= before.Epoch {
		t.Errorf("instance was %+v, is %+v, %v", before, after, err)
	}
	if string(j.authority()) != ca {
		t.Error("the authority changed")
	}
	groups, err := c.Groups(t.Context())
	if err != nil || len(groups) != 20 {
		t.Errorf("%d groups, %v", len(groups), err)
	}
	if audit, err := c.Audit(t.Context(), 0, 10); err != nil || audit.Items[0].Action != "instance.restore" {
		t.Errorf("audit log: %+v, %v", audit.Items, err)
	}
	i.refused("newer than the backup (epoch 2, the backup has 1)", "backup", "restore", file, "--data", j.data)
	if err := filepath.WalkDir(j.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestEncryptedBackups in a folder, of which the oldest go.
func TestEncryptedBackups(t *testing.T) {
	i := newInstance(t, "")
	i.must("init", "-c", i.config)
	folder := t.TempDir()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	identity, other := i.write("key.txt", key.String()), i.write("other.txt", stranger.String())
	var made struct {
		File     string            `json:"file"`
		Instance dormer.InstanceID `json:"instance"`
		Removed  []string          `json:"removed"`
	}
	out := i.must("backup", "create", folder, "--encrypt", "--recipient", key.Recipient().String(), "--json", "-c", i.config)
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(folder, backup.FileName(made.Instance, time.Now().AddDate(0, 0, -1)))
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(i.data, "keys", "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(made.File)
	if err != nil || bytes.Contains(content, secret) {
		t.Errorf("the root key can be read: %v", err)
	}
	i.refused("--passphrase-file", "backup", "verify", made.File)
	i.must("backup", "verify", made.File, "--identity", identity)
	target := filepath.Join(t.TempDir(), "d")
	i.refused("for this identity", "backup", "restore", made.File, "--identity", other, "--data", target)
	content[len(content)-20] ^= 1
	damaged := i.write("damaged.backup", string(content))
	i.refused("damaged", "backup", "restore", damaged, "--identity", identity, "--data", target)
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	// A second one in the same second would have the same name.
	last := made.File
	i.await(func() error {
		out, stderr, err := i.command("backup", "create", folder, "--keep", "2", "--json", "-c", i.config)
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		return json.Unmarshal([]byte(out), &made)
	})
	if !slices.Equal(made.Removed, []string{filepath.Base(old)}) {
		t.Errorf("removed %v", made.Removed)
	}
	if _, err := os.Stat(last); err != nil {
		t.Error(err)
	}
}

// TestEncryptionOptions that do not go together. A passphrase is tried by the
// script of docs/backup.md: the race detector makes it take a minute.
func TestEncryptionOptions(t *testing.T) {
	i := newInstance(t, "")
	file, passphrase := filepath.Join(t.TempDir(), "one.backup"), i.write("passphrase", "correct horse battery")
	i.refused("needs --passphrase-file or --recipient", "backup", "create", file, "--encrypt", "-c", i.config)
	i.refused("go with --encrypt", "backup", "create", file, "--passphrase-file", passphrase, "-c", i.config)
	if err := os.Chmod(passphrase, 0o644); err != nil {
		t.Fatal(err)
	}
	i.refused("chmod 600", "backup", "create", file, "--encrypt", "--passphrase-file", passphrase, "-c", i.config)
}

// TestRestoreRefuses what would harm somebody.
func TestRestoreRefuses(t *testing.T) {
	i, other := newInstance(t, ""), newInstance(t, "")
	i.must("init", "-c", i.config)
	other.must("init", "-c", other.config)
	file := filepath.Join(t.TempDir(), "one.backup")
	i.must("backup", "create", file, "-c", i.config)
	i.refused("holds this instance already", "backup", "restore", file)
	open := i.write("open.url", "sqlite:"+filepath.Join(i.dir, "elsewhere.db"))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	i.refused("chmod 600", "backup", "restore", file, "--state-dsn-file", open)
	i.refused("holds another instance", "backup", "restore", file, "-c", other.config)
	state, err := store.OpenState(t.Context(), "sqlite:"+filepath.Join(i.data, "state.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(state.RaiseEpoch(t.Context(), 7), state.Close()); err != nil {
		t.Fatal(err)
	}
	i.refused("newer than the backup (epoch 7, the backup has 1)", "backup", "restore", file)
	empty := newInstance(t, "")
	i.refused("holds no instance", "backup", "create", filepath.Join(t.TempDir(), "x"), "-c", empty.config)
	if _, err := os.Stat(empty.data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a backup of nothing made the data folder: %v", err)
	}
	i.refused("leave the other paths out", "backup", "restore", file, "--data", t.TempDir(), "-c", i.config)
	// A folder that something is in, and a configuration that is there.
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	i.refused("is not empty (notes)", "backup", "restore", file, "--data", full)
	i.refused("is there already", "backup", "restore", file, "--data", filepath.Join(t.TempDir(), "d"), "--write-config", i.config)
}

// TestEpochRaise is refused beside a running server, and counts after it.
func TestEpochRaise(t *testing.T) {
	i := newInstance(t, "")
	process := i.start()
	i.refused("another dormerd is using the folder", "epoch", "raise", "-c", i.config)
	c := i.client()
	_ = process.Process.Kill()
	_, _ = process.Process.Wait()
	if err := os.WriteFile(filepath.Join(i.data, "superseded-by-epoch"), []byte("4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.refused("superseded", "serve", "-c", i.config)
	if out := i.must("epoch", "raise", "-c", i.config); !strings.Contains(out, " is 5.") {
		t.Errorf("raise: %s", out)
	}
	i.start()
	if at, err := c.Instance(t.Context()); err != nil || at.Epoch != 5 {
		t.Errorf("%+v, %v", at, err)
	}
}

// TestRestoreKilled at any moment: a server starts on the folder only if
// everything is there.
func TestRestoreKilled(t *testing.T) {
	t.Parallel() // all is done by other processes
	i := newInstance(t, "")
	process := i.start()
	c := i.client()
	for n := range 50 {
		if _, err := c.CreateGroup(t.Context(), fmt.Sprint("group", n)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "one.backup")
	i.must("backup", "create", file, "-c", i.config)
	_ = process.Process.Kill()
	_, _ = process.Process.Wait()
	began := time.Now()
	whole := i.beside(t.TempDir())
	i.must("backup", "restore", file, "--data", whole.data)
	took := time.Since(began)
	finished, marked, untouched := 0, 0, 0
	const kills = 8
	for n := range kills {
		j := i.beside(t.TempDir())
		killed := i.kill(took*time.Duration(n+1)/kills, "backup", "restore", file, "--data", j.data)
		_, stderr, err := j.command("config", "--check", "-c", j.config)
		switch {
		case err == nil && j.marked():
			marked++ // the configuration is there, the mark is too
		case err == nil:
			finished++
			out := j.must("init", "-c", j.config)
			if !strings.Contains(out, "Instance:") {
				t.Errorf("after the restore: %s", out)
			}
			continue
		case j.marked():
			marked++
		default:
			untouched++
			if entries, err := os.ReadDir(j.data); err == nil && len(entries) > 1 {
				t.Errorf("not marked, and there is %v: %s", entries, stderr)
			}
			continue
		}
		if !killed {
			t.Errorf("a restore ended and left its mark")
		}
		text := fmt.Sprintf("data = %q\nlisten = [%q]\n", j.data, j.address)
		config := filepath.Join(j.dir, "serve.toml")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		j.refused("was not finished", "serve", "-c", config)
		j.refused("was not finished", "backup", "restore", file, "--data", j.data)
	}
	t.Logf("of %d restores that were killed %d were finished, %d marked, %d had not begun", kills, finished, marked, untouched)
}

// kill runs a command and kills it after a while; false: it had ended.
func (i *instance) kill(after time.Duration, args ...string) bool {
	i.t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	if err := c.Start(); err != nil {
		i.t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	return c.Wait() != nil
}

func (i *instance) marked() bool {
	_, err := os.Lstat(filepath.Join(i.data, "restore-unfinished"))
	return err == nil
}

package server

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
)

// TestStandbySettings: each mistake in [standby] is named, and no value is
// repeated.
func TestStandbySettings(t *testing.T) {
	const good = "[standby]\ntarget = \"file:///mnt/x\"\nkey_file = \"/k\"\n"
	for _, x := range []struct{ text, path, says string }{
		{good, "", ""},
		{"[standby]\nkey_file = \"k\"\n", "", ""}, // nothing counts without a target
		{"[standby]\ntarget = \"s3://b/p\"\nkey_file = \"/k\"\ns3_endpoint = \"https://s3.example.com\"\n", "", ""},
		{"[standby]\ntarget = \"/mnt/x\"\nkey_file = \"/k\"\n", "standby.target", "file:///folder"},
		{"[standby]\ntarget = \"sftp://u:hunter2@h/x\"\nkey_file = \"/k\"\nssh_key_file = \"/s\"\nssh_host_key = \"x\"\n", "standby.target", "sftp://user@host/folder"},
		{"[standby]\ntarget = \"file:///mnt/x\"\n", "standby.key_file", "absolute"},
		{good + "interval = \"1ms\"\n", "standby.interval", "from 100ms"},
		{good + "credentials_file = \"c\"\n", "standby.credentials_file", "absolute"},
		{good + "s3_endpoint = \"s3.example.com\"\n", "standby.s3_endpoint", "URL"},
		{good + "health_listen = \"9465\"\n", "standby.health_listen", "a port"},
		{"[standby]\ntarget = \"sftp://u@h/x\"\nkey_file = \"/k\"\nssh_key_file = \"/s\"\n", "standby.ssh_host_key", "needed"},
		{"[standby]\ntarget = \"sftp://u@h/x\"\nkey_file = \"/k\"\nssh_host_key = \"ssh-ed25519 x\"\n", "standby.ssh_key_file", "absolute"},
		{"[state]\ndsn = \"postgres://db/x\"\n" + good, "standby.target", "SQLite"},
	} {
		_, err := ParseConfig([]byte(x.text))
		if x.path == "" {
			if err != nil {
				t.Errorf("%s\n%v", x.text, err)
			}
			continue
		}
		invalid, ok := errors.AsType[*dormer.InvalidError](err)
		if !ok || len(invalid.Fields) != 1 || invalid.Fields[0].Path != x.path || !strings.Contains(invalid.Fields[0].Message, x.says) {
			t.Errorf("%s\n%v", x.text, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a value is repeated: %v", err)
		}
	}
}

// TestStandbySecretsArePrivate: a server does not start with files of
// [standby] that others can read.
func TestStandbySecretsArePrivate(t *testing.T) {
	dir := t.TempDir()
	c := Default()
	c.Standby.Target, c.Standby.KeyFile = "s3://bucket/prefix", filepath.Join(dir, "key")
	c.Standby.CredentialsFile = filepath.Join(dir, "credentials")
	for path, content := range map[string]string{c.Standby.KeyFile: "correct horse battery staple\n", c.Standby.CredentialsFile: "test\nhunter2\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	target, _, err := c.openTarget(Deps{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Error(err)
	}
	for setting, path := range map[string]string{"standby.key_file": c.Standby.KeyFile, "standby.credentials_file": c.Standby.CredentialsFile} {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		_, _, err := c.openTarget(Deps{Logger: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, dormer.ErrInvalid) || !strings.Contains(err.Error(), setting) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("%s is open to its group: %v", setting, err)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

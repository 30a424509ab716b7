package server

import (
	"errors"
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

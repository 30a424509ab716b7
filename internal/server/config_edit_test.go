package server

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
)

func TestWithSettings(t *testing.T) {
	const text = `# The server of the third floor.
data = "/var/lib/dormer" # the usual place
listen = ["0.0.0.0:8443"]

[repository] # of images
# no folder of its own

[kerberos]
keytab = "/etc/http.keytab"

[[directories]]
name = "corp"
type = "active-directory"
servers = ["ldaps://dc1.corp.example.test"]
domain = "corp.example.test"
netbios = "CORP"
bind_user = "svc@corp.example.test"
bind_password_file = "/etc/corp.password"
`
	values := map[string]string{
		"data": "/srv/dormer", "repository.folder": "/srv/images", "state.dsn": "postgres://dormer@db/dormer",
		"kerberos.keytab": "/srv/dormer/files/http.keytab", "directories[0].bind_password_file": `/srv/"odd"`,
	}
	for what, text := range map[string]string{
		"plain": text,
		"dotted": strings.Replace(text, "[repository] # of images\n# no folder of its own\n", "", 1) +
			"\n[repository]\n\"folder\" = '''/x'''\n",
	} {
		got, cfg, err := withSettings([]byte(text), values)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if cfg.Data != "/srv/dormer" || cfg.Repository.Folder != "/srv/images" || cfg.State.DSN != "postgres://dormer@db/dormer" ||
			cfg.Kerberos.Keytab != "/srv/dormer/files/http.keytab" || cfg.Directories[0].BindPasswordFile != `/srv/"odd"` {
			t.Errorf("%s: %+v", what, cfg)
		}
		edited, err := editSettings([]byte(text), values)
		if what == "plain" && (err != nil || !bytes.Equal(edited, got)) || what != "plain" && !errors.Is(err, dormer.ErrUnsupported) {
			t.Errorf("%s: edited to %q, %v", what, edited, err)
		}
		if kept := strings.Contains(string(got), "# The server of the third floor."); kept != (what == "plain") {
			t.Errorf("%s: comments are kept: %v\n%s", what, kept, got)
		}
	}
	if _, cfg, err := withSettings(nil, map[string]string{"data": "/srv/dormer"}); err != nil || cfg.Data != "/srv/dormer" {
		t.Errorf("of nothing: %+v, %v", cfg, err)
	}
	if _, _, err := withSettings([]byte("data = 3\n"), values); err == nil {
		t.Error("a wrong configuration is taken")
	}
}

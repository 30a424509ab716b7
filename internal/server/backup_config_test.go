package server

import (
	"reflect"
	"strings"
	"testing"
)

// TestNamedFiles: each setting that is explained as a file is one that backups
// take along.
func TestNamedFiles(t *testing.T) {
	for _, s := range settings() {
		if s.value.Kind() != reflect.String {
			continue
		}
		isFile := strings.HasPrefix(s.doc, "File ") || strings.HasPrefix(s.doc, "Keytab ") || strings.HasPrefix(s.doc, "Its keytab ")
		if isFile != namesFile(s.path) {
			t.Errorf("setting %s is explained as a file: %v; taken as one: %v", s.path, isFile, namesFile(s.path))
		}
	}
	c := Default()
	c.TLS.Certificate, c.TLS.Key = "/c.pem", "/k.pem"
	c.Directories = []DirectoryConfig{{}, {Keytab: "/d.keytab", Join: JoinConfig{BindPasswordFile: "/j.password"}}}
	c.Providers = []ProviderConfig{{ClientSecretFile: "/p.secret"}}
	var got []string
	for _, f := range c.namedFiles() {
		got = append(got, f.setting+"="+f.path)
	}
	want := "tls.certificate=/c.pem tls.key=/k.pem directories[1].keytab=/d.keytab directories[1].join.bind_password_file=/j.password providers[0].client_secret_file=/p.secret"
	if strings.Join(got, " ") != want {
		t.Errorf("files %v", got)
	}
}

func TestWithSettings(t *testing.T) {
	const text = `# The server of the third floor.
data = "/var/lib/dormer" # the usual place
listen = ["0.0.0.0:8443"]

[repository]
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
		"dotted": strings.Replace(text, "[repository]\n# no folder of its own\n", "", 1) +
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

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

package kerberos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestInitiateWithoutTicket(t *testing.T) {
	folder := t.TempDir()
	empty := writeFile(t, filepath.Join(folder, "krb5.conf"), "[libdefaults]\n default_realm = CORP.EXAMPLE.TEST\n")
	kcm := writeFile(t, filepath.Join(folder, "kcm.conf"), "[libdefaults]\n default_ccache_name = KCM:\n")
	byUser := writeFile(t, filepath.Join(folder, "user.conf"), "[libdefaults]\n # default_ccache_name = KCM:\n default_ccache_name = FILE:"+folder+"/cache-%{uid}\n")
	garbage := writeFile(t, filepath.Join(folder, "garbage"), "\x05\x04secret")
	for name, c := range map[string]struct {
		client Client
		is     error
		says   string
	}{
		"no cache":              {Client{Cache: "FILE:" + filepath.Join(folder, "none"), Config: empty}, dormer.ErrUnauthenticated, "run kinit"},
		"a path alone":          {Client{Cache: filepath.Join(folder, "none"), Config: empty}, dormer.ErrUnauthenticated, "run kinit"},
		"named by the settings": {Client{Config: byUser, UID: 4711}, dormer.ErrUnauthenticated, "cache-4711: run kinit"},
		"keyring":               {Client{Cache: "KEYRING:persistent:1000", Config: empty}, dormer.ErrUnsupported, "default_ccache_name = FILE:/tmp/krb5cc_%{uid}"},
		"a folder":              {Client{Cache: "DIR:/run/user/1000/krb5cc", Config: empty}, dormer.ErrUnsupported, "kept in DIR:"},
		"KCM by the settings":   {Client{Config: kcm}, dormer.ErrUnsupported, "default_ccache_name says otherwise now"},
		"garbage":               {Client{Cache: garbage, Config: empty}, dormer.ErrCorrupt, "run kinit"},
		"a device":              {Client{Cache: "FILE:/dev/null", Config: empty}, dormer.ErrCorrupt, "run kinit"},
		"no configuration":      {Client{Cache: garbage, Config: filepath.Join(folder, "none")}, os.ErrNotExist, "configuration of Kerberos"},
	} {
		t.Run(name, func(t *testing.T) {
			c.client.Now = time.Now
			token, err := Initiate(t.Context(), c.client, testService)
			if token != nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v and %q", err, c.is, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error %q repeats what is in the file", err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "d", "realms.conf"), "[realms]\n CORP.EXAMPLE.TEST = {\n  kdc = dc1.corp.example.test\n }\n")
	writeFile(t, filepath.Join(folder, "d", "editor~"), "[realms]\n garbage\n")
	main := writeFile(t, filepath.Join(folder, "krb5.conf"), "includedir "+folder+"/d\ninclude "+writeFile(t, filepath.Join(folder, "more"), "[libdefaults]\n udp_preference_limit = 1\n")+`
# a comment
[libdefaults]
 default_realm = CORP.EXAMPLE.TEST
 default_ccache_name = KEYRING:persistent:%{uid}
[realms]
 OTHER.EXAMPLE.TEST = {
  kdc = 127.0.0.12:88
 }
[logging]
 whatever
`)
	c, err := loadConf(main)
	check(t, err)
	got := map[string]string{"cache": c.cache, "realm": c.LibDefaults.DefaultRealm}
	for _, r := range c.Realms {
		got[r.Realm] = strings.Join(r.KDC, " ")
	}
	want := map[string]string{
		"cache": "KEYRING:persistent:%{uid}", "realm": testRealm, testRealm: "dc1.corp.example.test:88", otherRealm: "127.0.0.12:88",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if c.LibDefaults.UDPPreferenceLimit != 1 || !c.LibDefaults.DNSLookupKDC {
		t.Errorf("defaults %+v", c.LibDefaults)
	}
	if c, err := loadConf(writeFile(t, filepath.Join(folder, "no-dns"), "[libdefaults]\n dns_lookup_kdc = false\n")); err != nil || c.LibDefaults.DNSLookupKDC {
		t.Errorf("without DNS: %v", err)
	}
	for name, text := range map[string]string{
		"itself": "include " + filepath.Join(folder, "itself"), "nonsense": "[libdefaults]\nnonsense\n", "braces": "[realms]\n } = {\n",
	} {
		if _, err := loadConf(writeFile(t, filepath.Join(folder, name), text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzCache(f *testing.F) {
	f.Add([]byte("\x05\x04\x00\x0c\x00\x01\x00\x08\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01R\x00\x00\x00\x01a"))
	f.Add([]byte("\x05\x03"))
	f.Add([]byte("\x05\x04\x00\x01000,0\x00\x00\x00\x00\x00\x00\x00\x010")) // the library read beyond the header
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseCache(b); (c == nil) == (err == nil) {
			t.Errorf("%v, %v", c, err)
		}
	})
}

func FuzzConf(f *testing.F) {
	f.Add("[libdefaults]\n default_realm = R\n[realms]\n R = {\n kdc = a\n }\n")
	f.Add("[domain_realm]\n .a = R\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseConf(text); err == nil && c.Config == nil {
			t.Error("neither a configuration nor an error")
		}
	})
}

package ldap

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

// findings examines the directory; only those with a problem if asked for.
func findings(t testing.TB, d *Directory, wrong bool) []access.Finding {
	t.Helper()
	all, err := d.Test(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list []access.Finding
	for _, f := range all {
		if f.Setting == "" || f.What == "" {
			t.Errorf("a finding about nothing: %+v", f)
		}
		if f.Problem != "" || !wrong {
			list = append(list, f)
		}
	}
	return list
}

// A wrong setting is named, with what the server said, by the examination and by
// whatever is asked; sign-in then is not "wrong password" but "unavailable".
func TestWrongSettings(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	expired := testdomain.StartDomain(t, testdomain.Options{Certificate: testdomain.CertificateExpired})
	foreign := testdomain.StartDomain(t, testdomain.Options{Certificate: testdomain.CertificateForeign})
	gone := listen(t, "127.0.0.1", func(c net.Conn) { _ = c.Close() })
	elsewhere := newRelay(t, "127.0.0.1", address(corp.LDAPS()))
	notTLS := newRelay(t, corp.Address, address(corp.LDAP()))
	withKeytab := func(c *Config, realm, user string) {
		c.Password, c.Keytab, c.Realm, c.BindUser = nil, corp.ServiceKeytab(), realm, user
	}
	for _, test := range []struct {
		name    string
		change  func(*Config)
		setting string
		says    []string
	}{
		{"base", func(c *Config) { c.BaseDN = "OU=Nowhere," + corp.BaseDN }, "base", []string{"No Such Object", "DC=corp,DC=example,DC=test"}},
		{"base of another domain", func(c *Config) { c.BaseDN = "DC=other,DC=example,DC=test" }, "base", []string{"the server said"}},
		{"port", func(c *Config) { c.Servers = []string{"ldaps://" + corp.Address + ":1"} }, "servers[0]", []string{"nothing listens there"}},
		{"no computer", func(c *Config) { c.Servers = []string{"ldaps://dc9.corp.example.test"} }, "servers[0]", []string{"dc9.corp.example.test"}},
		{"hangs", func(c *Config) { c.Servers, c.Timeout = []string{"ldaps://" + silent(t)}, 300*time.Millisecond }, "servers[0]", []string{"does not answer"}},
		{"closes", func(c *Config) { c.Servers = []string{"ldaps://" + gone} }, "servers[0]", []string{"closed the connection"}},
		{"no TLS", func(c *Config) { c.Servers = []string{"ldaps://" + notTLS.address} }, "servers[0]", nil},
		{"expired", func(c *Config) { c.Servers = []string{expired.LDAPS()} }, "servers[0]", []string{"expired on", "renew"}},
		{"expired, StartTLS", func(c *Config) { c.Servers = []string{expired.LDAP()} }, "servers[0]", []string{"expired on", "renew"}},
		{"foreign", func(c *Config) { c.Servers = []string{foreign.LDAPS()} }, "authority", []string{"not trusted"}},
		{"the system's authorities", func(c *Config) { c.Authority = nil }, "authority", []string{"not trusted"}},
		{"another name", func(c *Config) { c.Servers = []string{"ldaps://" + elsewhere.address} }, "servers[0]", []string{"127.0.0.1", "dc1.corp.example.test"}},
		{"password", func(c *Config) { c.Password = func() (string, error) { return "a wrong secret", nil } }, "bind_password_file", []string{"Invalid Credentials", "data 52e"}},
		{"no password", func(c *Config) { c.Password = func() (string, error) { return "", nil } }, "bind_password_file", []string{"empty"}},
		{"no file", func(c *Config) { c.Password = passwordOf(filepath.Join(t.TempDir(), "nowhere")) }, "bind_password_file", []string{"no such file"}},
		{"disabled", func(c *Config) {
			c.BindUser, c.Password = "dt-disabled@corp.example.test", func() (string, error) { return corp.Password(t, "dt-disabled"), nil }
		}, "bind_password_file", []string{"the account is disabled", "data 533"}},
		{"kind", func(c *Config) { c.Kind, c.BaseDN = Plain, corp.BaseDN }, "user_filter", []string{"none below"}},
		{"no keytab", func(c *Config) { withKeytab(c, "", "svc-dormer"); c.Keytab += "-nowhere" }, "keytab", []string{"the file is not there"}},
		{"somebody else's keytab", func(c *Config) { withKeytab(c, "", "alice") }, "keytab", []string{"holds no key of the account"}},
		{"realm", func(c *Config) { withKeytab(c, "OTHER.EXAMPLE.TEST", "svc-dormer") }, "keytab", nil},
		{"kdcs", func(c *Config) { withKeytab(c, "", "svc-dormer"); c.KDCs = []string{"127.0.0.1:1"} }, "keytab", []string{"no Kerberos server answers"}},
	} {
		c := domainConfig(t, corp)
		test.change(&c)
		d := open(t, c)
		problems := findings(t, d, true)
		if len(problems) == 0 || problems[0].Setting != test.setting {
			t.Errorf("%s: findings %+v", test.name, problems)
			continue
		}
		t.Logf("%s: %s: %s: %s", test.name, problems[0].Setting, problems[0].What, problems[0].Problem)
		for _, part := range test.says {
			if !strings.Contains(problems[0].Problem, part) {
				t.Errorf("%s: the finding does not say %q: %+v", test.name, part, problems[0])
			}
		}
		if test.name == "kind" {
			continue // finds nobody
		}
		_, err := d.Authenticate(t.Context(), "alice", corp.Password(t, "alice"))
		must(t, test.name+": sign-in", err, dormer.ErrUnavailable, test.setting)
		_, err = d.Groups(t.Context(), dormer.Principal{Directory: d.Name(), Kind: dormer.KindUser, Key: "S-1-5-21-1-2-3-4"})
		must(t, test.name+": groups", err, dormer.ErrUnavailable, test.setting)
		if strings.Contains(err.Error(), "a wrong secret") {
			t.Errorf("%s: the error repeats the password: %v", test.name, err)
		}
	}
	if problems := findings(t, open(t, domainConfig(t, corp)), true); len(problems) != 0 {
		t.Errorf("nothing is wrong, and yet: %+v", problems)
	}
	// Names that nobody would be found by: everything else works.
	for setting, change := range map[string]func(*Config){
		"domain":  func(c *Config) { c.Domain = "crop.example.test" },
		"netbios": func(c *Config) { c.NetBIOS = "KORP" },
	} {
		c := domainConfig(t, corp)
		change(&c)
		if p := findings(t, open(t, c), true); len(p) != 1 || p[0].Setting != setting || !strings.Contains(strings.ToLower(p[0].Problem), "corp") {
			t.Errorf("a wrong %s: %+v", setting, p)
		}
	}
	late := &clock{now: time.Now().Add(6 * time.Minute)}
	c := domainConfig(t, corp)
	c.Now = late.Now
	if problems := findings(t, open(t, c), true); len(problems) != 1 || !strings.Contains(problems[0].Problem, "6m") {
		t.Errorf("a clock that is wrong: %+v", problems)
	}
}

// A wrong password of the service account is not tried again and again, which
// would lock it; a new one in the file is.
func TestServicePassword(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	c := domainConfig(t, corp)
	user, passwordFile := corp.Service()
	right := readFile(t, passwordFile)
	file := filepath.Join(t.TempDir(), "password")
	write := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write([]byte("wrong"))
	c.Password = passwordOf(file)
	d := open(t, c)
	for range 10 {
		_, err := d.Resolve(t.Context(), dormer.KindUser, "alice")
		must(t, "a wrong password", err, dormer.ErrUnavailable, "bind_password_file", "data 52e")
	}
	name, _, _ := strings.Cut(user, "@")
	if out := corp.Tool(t, "user", "show", name, "--attributes=badPwdCount"); !strings.Contains(out, "badPwdCount: 1\n") && !strings.HasSuffix(strings.TrimSpace(out), "badPwdCount: 1") {
		t.Errorf("it was tried more than once: %s", out)
	}
	write(right)
	if _, err := d.Resolve(t.Context(), dormer.KindUser, "alice"); err != nil {
		t.Errorf("with the right password in the file: %v", err)
	}
}

// A server that takes no passwords at all.
func TestRefusedPlainBind(t *testing.T) {
	certificate, authority := selfSigned(t)
	at := listen(t, "127.0.0.1", func(c net.Conn) {
		encrypted := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		if _, err := ber.ReadPacket(encrypted); err != nil {
			return
		}
		// A bind response: stronger authentication required.
		answer := []byte{0x30, 0, 0x02, 1, 1, 0x61, 0, 0x0a, 1, 8, 4, 0, 4, 14}
		answer = append(answer, "a ticket alone"...)
		answer[1], answer[6] = byte(len(answer)-2), byte(len(answer)-7)
		_, _ = encrypted.Write(answer)
		_, _ = io.Copy(io.Discard, encrypted)
	})
	c := Config{
		Name: "corp", Kind: ActiveDirectory, Servers: []string{"ldaps://" + at}, BindUser: "svc@corp.example.test", Authority: authority,
		Password: func() (string, error) { return "the service's secret", nil },
	}
	d := open(t, c)
	problems := findings(t, d, true)
	if len(problems) != 1 || problems[0].Setting != "bind_user" || !strings.Contains(problems[0].Problem, "a ticket alone") || !strings.Contains(problems[0].Problem, "keytab") {
		t.Errorf("findings: %+v", problems)
	}
	_, err := d.Authenticate(t.Context(), "alice", "x")
	must(t, "sign-in", err, dormer.ErrUnavailable, "bind_user", "a ticket alone")
}

// selfSigned is a certificate for 127.0.0.1, and the same as PEM.
func selfSigned(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestPlainFindings(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	if problems := findings(t, open(t, plainConfig(t, server)), true); len(problems) != 0 {
		t.Errorf("nothing is wrong, and yet: %+v", problems)
	}
	for _, test := range []struct {
		name, setting string
		change        func(*Config)
		says          string
	}{
		{"base", "base", func(c *Config) { c.BaseDN = "dc=nowhere" }, "dc=example,dc=test"},
		{"user filter", "user_filter", func(c *Config) { c.UserFilter = "(objectClass=account)" }, "none below"},
		{"group filter", "group_filter", func(c *Config) { c.GroupFilter = "(objectClass=posixGroup)" }, "none below"},
		{"key", "user_filter", func(c *Config) { c.Key = "objectGUID" }, "objectGUID"},
		{"bind user", "bind_password_file", func(c *Config) { c.BindUser = "cn=nobody,dc=example,dc=test" }, "Invalid Credentials"},
		{"bind user is no DN", "bind_user", func(c *Config) { c.BindUser = "svc-dormer" }, "distinguished name"},
		{"kind", "servers[0]", func(c *Config) { c.Kind = ActiveDirectory }, "no Active Directory"},
		{"without a service account", "servers[0]", func(c *Config) { c.BindUser, c.Password = "", nil }, "auth"},
	} {
		c := plainConfig(t, server)
		test.change(&c)
		problems := findings(t, open(t, c), true)
		if len(problems) == 0 || problems[0].Setting != test.setting || !strings.Contains(problems[0].Problem, test.says) {
			t.Errorf("%s: findings %+v", test.name, problems)
		}
	}
}

func TestNewChecksTheConfiguration(t *testing.T) {
	good := Config{
		Name: "corp", Kind: ActiveDirectory, Servers: []string{"ldaps://dc1.example.com"}, BindUser: "svc@example.com",
		Password: func() (string, error) { return "x", nil },
	}
	d, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if c := d.config; c.SpareAttempts != DefaultSpareAttempts || c.Timeout != DefaultTimeout || c.Connections != DefaultConnections {
		t.Errorf("defaults: %d, %s, %d", c.SpareAttempts, c.Timeout, c.Connections)
	}
	for setting, change := range map[string]func(*Config){
		"name":               func(c *Config) { c.Name = "" },
		"type":               func(c *Config) { c.Kind = "ad" },
		"servers":            func(c *Config) { c.Servers = nil },
		"servers[0]":         func(c *Config) { c.Servers = []string{"dc1.example.com"} },
		"servers[1]":         func(c *Config) { c.Servers = []string{"ldap://dc1.example.com", "ldapi:///run/x"} },
		"authority":          func(c *Config) { c.Authority = []byte("no PEM") },
		"bind_user":          func(c *Config) { c.BindUser = "" },
		"bind_password_file": func(c *Config) { c.Password = nil },
		"keytab":             func(c *Config) { c.Keytab = "/etc/x.keytab" },
		"realm":              func(c *Config) { c.Password, c.Keytab = nil, "/etc/x.keytab" },
		"base":               func(c *Config) { c.Kind = Plain },
		"user_filter":        func(c *Config) { c.Kind, c.BaseDN, c.UserFilter = Plain, "dc=x", "(uid=" },
		"disabled_filter":    func(c *Config) { c.Kind, c.BaseDN, c.DisabledFilter = Plain, "dc=x", "((" },
		"user_name":          func(c *Config) { c.Kind, c.BaseDN, c.UserName = Plain, "dc=x", "uid)(x=*" },
		"expires":            func(c *Config) { c.Kind, c.BaseDN, c.ExpiresAttribute = Plain, "dc=x", "a b" },
	} {
		c := good
		change(&c)
		_, err := New(c)
		must(t, setting, err, dormer.ErrInvalid, setting+": ")
	}
}

package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/kerberos"
	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// corpConfig is the directory of a domain controller.
func corpConfig(d *testdomain.Domain) DirectoryConfig {
	user, password := d.Service()
	return DirectoryConfig{
		Name: strings.ToLower(d.NetBIOS), Type: ldap.ActiveDirectory, Servers: []string{d.LDAPS()}, Authority: d.AuthorityFile,
		Domain: d.Name, NetBIOS: d.NetBIOS, BindUser: user, BindPasswordFile: password,
	}
}

// TestDomain runs a server with a real domain: people sign in by password and
// by ticket, and their roles come through nested groups.
func TestDomain(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	const host = "dormer.corp.example.test"
	keytab := corp.HTTPKeytab(t, host)
	s, err := testServer(t, func(c *Config) {
		c.Directories = []DirectoryConfig{corpConfig(corp)}
		c.Access.DefaultDirectory = "CORP"
		c.Kerberos = KerberosConfig{Keytab: keytab, Services: []string{"HTTP/" + host}}
	})
	if err != nil {
		t.Fatal(err)
	}
	once, err := os.ReadFile(s.first.path)
	if err != nil {
		t.Fatal(err)
	}
	var admin rest.SignedIn
	if code := ask(t, s, "POST", "/api/v1/sessions", "", `{"user":"local\\admin","password":"`+strings.TrimSpace(string(once))+`","new_password":"correct horse battery"}`, &admin); code != http.StatusCreated {
		t.Fatalf("the first operator: status %d", code)
	}
	var methods rest.SignInMethods
	if ask(t, s, "GET", "/api/v1/sign-in-methods", "", "", &methods); !methods.Kerberos || methods.Service != "HTTP/"+host || methods.Directories[0] != "corp" {
		t.Errorf("methods %+v", methods)
	}
	if code := ask(t, s, "PUT", "/api/v1/operators", admin.Token, `{"kind":"group","name":"everyone-office","role":"read-only"}`, nil); code >= 300 {
		t.Fatalf("set operator: status %d", code)
	}
	for _, user := range []string{"alice", `CORP\\alice`, `corp\\alice`, "alice@corp.example.test", `corp\\alice@corp.example.test`} {
		var in rest.SignedIn
		code := ask(t, s, "POST", "/api/v1/sessions", "", `{"user":"`+user+`","password":"`+corp.Password(t, "alice")+`"}`, &in)
		if code != http.StatusCreated || in.Role != dormer.RoleReadOnly || in.Principal.Directory != "corp" || in.Principal.Name != "alice" {
			t.Errorf("%s: status %d, %+v", user, code, in)
		}
	}
	if code := ask(t, s, "POST", "/api/v1/sessions", "", `{"user":"carol","password":"`+corp.Password(t, "carol")+`"}`, nil); code != http.StatusForbidden {
		t.Errorf("no operator: status %d", code)
	}

	token, err := kerberos.Initiate(t.Context(), kerberos.Client{Cache: corp.Kinit(t, "alice", corp.Password(t, "alice")), Config: corp.Krb5Conf(), Now: time.Now}, "HTTP/"+host)
	if err != nil {
		t.Fatal(err)
	}
	byTicket := func(token []byte) (int, rest.ProofAnswer) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/sessions/kerberos", nil)
		r.Header.Set("Authorization", "Negotiate "+base64.StdEncoding.EncodeToString(token))
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		var in rest.ProofAnswer
		if w.Code < 300 {
			if err := json.Unmarshal(w.Body.Bytes(), &in); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code, in
	}
	if code, in := byTicket(token); code >= 300 || in.Role != dormer.RoleReadOnly || in.Principal.Name != "alice" {
		t.Errorf("ticket: status %d, %+v", code, in)
	}
	refused := func(token []byte, cause string) {
		t.Helper()
		if code, _ := byTicket(token); code != http.StatusUnauthorized {
			t.Errorf("%s: status %d", cause, code)
		}
		var audit rest.List[rest.AuditRecord]
		if code := ask(t, s, "GET", "/api/v1/audit?limit=1", admin.Token, "", &audit); code != http.StatusOK || len(audit.Items) != 1 {
			t.Fatalf("audit: status %d", code)
		}
		if a := audit.Items[0]; a.Action != "session.refuse" || !strings.Contains(a.Detail, cause) {
			t.Errorf("the audit log has %+v, not the cause %q", a, cause)
		}
	}
	refused(token, "used before")
	other := testdomain.StartDomain(t, testdomain.Options{Second: true})
	other.HTTPKeytab(t, host)
	foreign, err := kerberos.Initiate(t.Context(), kerberos.Client{Cache: other.Kinit(t, "alice", other.Password(t, "alice")), Config: other.Krb5Conf(), Now: time.Now}, "HTTP/"+host)
	if err != nil {
		t.Fatal(err)
	}
	refused(foreign, `of realm "OTHER.EXAMPLE.TEST"`)
	var tests rest.List[rest.DirectoryTest]
	if code := ask(t, s, "POST", "/api/v1/directory/test", admin.Token, "", &tests); code != http.StatusOK || len(tests.Items) != 2 || len(tests.Items[0].Findings) < 3 || len(tests.Items[1].Findings) == 0 {
		t.Fatalf("test: status %d, %+v", code, tests)
	}
	for _, f := range tests.Items[0].Findings {
		if f.Problem != "" || !strings.HasPrefix(f.Setting, "directories[0].") {
			t.Errorf("finding %+v", f)
		}
	}
}

// TestTrust: users of one domain have what groups of another give them.
func TestTrust(t *testing.T) {
	corp, other := testdomain.StartDomain(t, testdomain.Options{}), testdomain.StartDomain(t, testdomain.Options{Second: true})
	for _, trusts := range [][]string{{"OTHER"}, nil} {
		s, err := testServer(t, func(c *Config) {
			c.Directories = []DirectoryConfig{corpConfig(corp), corpConfig(other)}
			c.Directories[0].Trusts = trusts
		})
		if err != nil {
			t.Fatal(err)
		}
		admin := adminToken(t, s)
		for _, group := range []string{"partners", "guests-of-office"} {
			if code := ask(t, s, "PUT", "/api/v1/operators", admin, `{"kind":"group","name":"CORP\\`+group+`","role":"full"}`, nil); code >= 300 {
				t.Fatalf("set operator: status %d", code)
			}
		}
		for _, user := range []string{"oscar", "olga"} { // in a group of CORP, and in a group of OTHER that is in one
			var in rest.SignedIn
			code := ask(t, s, "POST", "/api/v1/sessions", "", `{"user":"`+user+`@other.example.test","password":"`+other.Password(t, user)+`"}`, &in)
			if trusts != nil && (code != http.StatusCreated || in.Role != dormer.RoleFull || in.Principal.Directory != "other") || trusts == nil && code != http.StatusForbidden {
				t.Errorf("trusts %q: %s: status %d, %+v", trusts, user, code, in)
			}
		}
		if code := ask(t, s, "POST", "/api/v1/sessions", "", `{"user":"OTHER\\alice","password":"`+other.Password(t, "alice")+`"}`, nil); code != http.StatusForbidden {
			t.Errorf("in no group: status %d", code)
		}
	}
}

// TestDirectoryTest: each thing that is wrong is found, and named as the
// configuration names it, with what the server said.
func TestDirectoryTest(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hangs, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	other := testdomain.StartOpenLDAP(t)
	old := testdomain.StartDomain(t, testdomain.Options{Second: true, Certificate: testdomain.CertificateExpired})
	keytab := corp.HTTPKeytab(t, "dormer.corp.example.test")
	for name, c := range map[string]struct {
		change func(*Config)
		says   []string // none: all is well
	}{
		"well":               {},
		"a ticket's account": {func(c *Config) { d := &c.Directories[0]; d.BindPasswordFile, d.Keytab = "", corp.ServiceKeytab() }, nil},
		"Kerberos":           {func(c *Config) { c.Kerberos.Keytab = keytab }, nil},
		"wrong password":     {func(c *Config) { c.Directories[0].BindPasswordFile = file("wrong", "wrong horse") }, []string{"directories[0].bind_", "PROBLEM"}},
		"wrong base":         {func(c *Config) { c.Directories[0].Base = "OU=Nowhere,DC=corp,DC=example,DC=test" }, []string{"directories[0].base", "PROBLEM"}},
		"unreachable":        {func(c *Config) { c.Directories[0].Servers[0] = "ldaps://127.0.0.1:1" }, []string{"directories[0].servers[0]", "refused"}},
		"hanging": {func(c *Config) {
			d := &c.Directories[0]
			d.Servers[0] = "ldaps://" + hangs.Addr().String()
			d.Timeout = Duration(time.Second)
		}, []string{"directories[0].servers[0]", "PROBLEM"}},
		"one of two":          {func(c *Config) { d := &c.Directories[0]; d.Servers = append(d.Servers, "ldaps://127.0.0.1:1") }, []string{"directories[0].servers[1]", "refused"}},
		"foreign certificate": {func(c *Config) { c.Directories[0].Authority = other.AuthorityFile }, []string{"directories[0].", "certificate"}},
		"expired certificate": {func(c *Config) { c.Directories[0] = corpConfig(old) }, []string{"directories[0].servers[0]", "expired"}},
		"plain LDAP":          {func(c *Config) { c.Directories[0].Servers[0] = corp.LDAP() }, nil}, // by StartTLS
		"no file":             {func(c *Config) { c.Directories[0].BindPasswordFile = folder + "/none" }, []string{"setting directories[0].bind_password_file", "no such file"}},
		"no certificate":      {func(c *Config) { c.Directories[0].Authority = file("pem", "x") }, []string{"setting directories[0].authority", "no certificate"}},
		"no keytab":           {func(c *Config) { c.Kerberos.Keytab = file("keytab", "hunter2") }, []string{"setting kerberos.keytab", "is no keytab"}},
		"another keytab":      {func(c *Config) { c.Kerberos.Keytab = corp.ServiceKeytab() }, []string{"setting kerberos.keytab", "no usable key of a service HTTP/...; it has: svc-dormer@"}},
		"an account's keytab": {func(c *Config) {
			d := &c.Directories[0]
			d.BindPasswordFile, d.Keytab = "", file("bind.keytab", "hunter2")
		}, []string{"setting directories[0].keytab", "is no keytab"}},
		"no provider": {func(c *Config) {
			c.Providers = []ProviderConfig{{Name: "login", Issuer: "https://127.0.0.1:1", ClientID: "dormer"}}
		}, []string{"providers[0].issuer", "PROBLEM"}},
		"no secret of provider": {func(c *Config) {
			c.Providers = []ProviderConfig{{Name: "login", Issuer: "https://127.0.0.1:1", ClientID: "dormer", ClientSecretFile: folder + "/none"}}
		}, []string{"setting providers[0].client_secret_file", "no such file"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			cfg.Data = "/nonexistent" // it is not touched
			cfg.Directories = []DirectoryConfig{corpConfig(corp)}
			if c.change != nil {
				c.change(&cfg)
			}
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := (&program{out: &out}).testDirectories(t.Context(), cfg, false)
			all := out.String()
			if err != nil {
				all += err.Error()
			}
			if (err == nil) != (c.says == nil) {
				t.Fatalf("error %v\n%s", err, all)
			}
			for _, s := range c.says {
				if !strings.Contains(all, s) {
					t.Errorf("%q is not said:\n%s", s, all)
				}
			}
			if strings.Contains(all, "horse") || strings.Contains(all, "hunter2") {
				t.Errorf("a secret is repeated:\n%s", all)
			}
		})
	}
}

// TestDirectoryAway: a server whose directory does not answer starts, says so,
// and refuses its users meanwhile; others sign in.
func TestDirectoryAway(t *testing.T) {
	folder := t.TempDir()
	password := filepath.Join(folder, "password")
	if err := os.WriteFile(password, []byte("secret of the service\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := testServer(t, func(c *Config) {
		c.Directories = []DirectoryConfig{{
			Name: "corp", Type: ldap.ActiveDirectory, Servers: []string{"ldaps://127.0.0.1:1"}, Domain: "corp.example.test", BindUser: "svc@corp.example.test", BindPasswordFile: password,
		}}
	})
	if err != nil {
		t.Fatal(err)
	}
	logged := make(lines, 100)
	s.deps.Logger = slog.New(slog.NewTextHandler(logged, nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.examinePeople(ctx) }()
	var text string
	select {
	case text = <-logged:
	case <-time.After(20 * time.Second):
		t.Error("nothing is logged")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !strings.Contains(text, "setting=directories[0].servers[0]") || !strings.Contains(text, "level=ERROR") || strings.Contains(text, "secret of") {
		t.Errorf("logged %s", text)
	}
	if code := ask(t, s, "GET", "/readyz", "", "", nil); code != http.StatusOK {
		t.Errorf("readyz: status %d", code)
	}
	if code := ask(t, s, "POST", "/api/v1/sessions", "", `{"user":"CORP\\alice","password":"x"}`, nil); code != http.StatusServiceUnavailable {
		t.Errorf("a user of the directory: status %d", code)
	}
	if adminToken(t, s) == "" {
		t.Error("the first operator cannot sign in")
	}
}

// lines passes on each line of a log.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// TestPeopleStartErrors: a file that cannot be used keeps the server from starting,
// and the error names its setting and how to mend it.
func TestPeopleStartErrors(t *testing.T) {
	folder := t.TempDir()
	open := filepath.Join(folder, "open")
	if err := os.WriteFile(open, []byte("hunter2\n"), 0o644); err != nil { //nolint:gosec // readable on purpose
		t.Fatal(err)
	}
	directory := DirectoryConfig{Name: "corp", Type: ldap.ActiveDirectory, Servers: []string{"ldaps://127.0.0.1:1"}, Domain: "corp.example.test", BindUser: "svc", BindPasswordFile: open}
	for name, c := range map[string]struct {
		change func(*Config)
		says   []string
	}{
		"password that all can read": {func(c *Config) { c.Directories = []DirectoryConfig{directory} }, []string{"directories[0].bind_password_file", "chmod 600 " + open}},
		"keytab that all can read": {func(c *Config) {
			d := directory
			d.BindPasswordFile, d.Keytab = "", open
			c.Directories = []DirectoryConfig{d}
		}, []string{"directories[0].keytab", "chmod 600"}},
		"secret that all can read": {func(c *Config) {
			c.Providers = []ProviderConfig{{Name: "login", Issuer: "https://login.example.com", ClientID: "dormer", ClientSecretFile: open}}
		}, []string{"providers[0].client_secret_file", "chmod 600"}},
		"no authority of a provider": {func(c *Config) {
			c.Providers = []ProviderConfig{{Name: "login", Issuer: "https://login.example.com", ClientID: "dormer", Authority: open}}
		}, []string{"providers[0].authority", "no certificate"}},
	} {
		_, err := testServer(t, c.change)
		if err == nil {
			t.Errorf("%s: it starts", name)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q is not said: %v", name, s, err)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a secret is repeated: %v", name, err)
		}
	}
}

// fewPeople is as much of a directory as lookup needs.
type fewPeople struct {
	access.Directory
	byName map[string]string // account names, by all names
	shown  string            // the display name of all
}

func (p fewPeople) Name() string { return "people" }

func (p fewPeople) Resolve(_ context.Context, kind dormer.PrincipalKind, name string) (dormer.Principal, error) {
	if p.byName[name] != name {
		return dormer.Principal{}, dormer.ErrNotFound
	}
	return dormer.Principal{Directory: "people", Kind: kind, Key: name, Name: name}, nil
}

func (p fewPeople) Match(_ context.Context, kind dormer.PrincipalKind, name string, limit int) ([]access.Entry, error) {
	var all []access.Entry
	if account, ok := p.byName[name]; ok {
		all = append(all, access.Entry{Principal: dormer.Principal{Directory: "people", Kind: kind, Key: account, Name: account}, DisplayName: "Alice"})
	}
	if name == p.shown {
		for _, account := range []string{"mallory", "oscar"} {
			all = append(all, access.Entry{Principal: dormer.Principal{Directory: "people", Kind: kind, Key: account, Name: account}, DisplayName: p.shown})
		}
	}
	return all[:min(limit, len(all))], nil
}

// TestLookup: a provider's claim means one user, and not one who merely calls
// himself so.
func TestLookup(t *testing.T) {
	d := fewPeople{byName: map[string]string{"alice": "alice", "alice@example.com": "alice", "al": "alice"}, shown: "mallory@example.com"}
	for claim, want := range map[string]string{"alice": "alice", "alice@example.com": "alice", "al": "", "mallory@example.com": "", "bob@example.com": ""} {
		got, err := lookup(d)(t.Context(), claim)
		if got.Name != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("%q: %+v, %v", claim, got, err)
		}
	}
	d.shown = "alice@example.com" // of others: then it is ambiguous
	if got, err := lookup(d)(t.Context(), "alice@example.com"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("ambiguous: %+v, %v", got, err)
	}
}

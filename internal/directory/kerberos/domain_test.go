package kerberos

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/directorytest"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

// TestDomain has tickets of a real domain controller checked, as curl and the
// command line present them.
func TestDomain(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	const host = "localhost"
	table := corp.HTTPKeytab(t, host)
	clock := time.Now
	take := func(t *testing.T, change func(*Config)) *Acceptor {
		t.Helper()
		cfg := Config{Keytab: table, Realms: []string{corp.Realm}, Now: clock, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler)}
		if change != nil {
			change(&cfg)
		}
		a, err := NewAcceptor(cfg)
		check(t, err)
		return a
	}
	of := func(cache string) Client { return Client{Cache: cache, Config: corp.Krb5Conf(), Now: clock} }
	initiate := func(t *testing.T, c Client) []byte {
		t.Helper()
		token, err := Initiate(t.Context(), c, "HTTP/"+host)
		check(t, err)
		return token
	}
	refused := func(t *testing.T, a *Acceptor, token []byte, cause string) {
		t.Helper()
		got, err := a.Accept(t.Context(), token)
		if !errors.Is(err, dormer.ErrUnauthenticated) || got.User != "" || !strings.Contains(err.Error(), cause) {
			t.Errorf("%+v, %v; want the cause %q", got, err, cause)
		}
	}
	alice := corp.Kinit(t, directorytest.Alice, directorytest.Password)

	t.Run("curl", func(t *testing.T) {
		server := serve(t, take(t, nil))
		if code, body := curl(t, server, alice, corp.Krb5Conf()); code != "200" || body != directorytest.Alice+"@"+corp.Realm {
			t.Errorf("%s: %s", code, body)
		}
		if code, _ := curl(t, server, "FILE:"+t.TempDir()+"/none", corp.Krb5Conf()); code != "401" {
			t.Errorf("without a ticket: %s", code)
		}
	})
	t.Run("Initiate", func(t *testing.T) {
		a := take(t, nil)
		for _, name := range []string{directorytest.Alice, directorytest.Bob} {
			token := initiate(t, of(corp.Kinit(t, name, directorytest.Password)))
			got, err := a.Accept(t.Context(), token)
			if err != nil || got.User != name || got.Realm != corp.Realm {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			again, err := a.Accept(t.Context(), token)
			if err != nil || again.ID != got.ID {
				t.Errorf("a replay is not recognised: %v", err)
			}
		}
	})
	t.Run("account", func(t *testing.T) {
		// Who asks by the user principal name gets a ticket that says that name; the
		// account is what the domain says.
		sid := func(account string) string {
			out := corp.Tool(t, "user", "show", account, "--attributes=objectSid")
			_, sid, _ := strings.Cut(out, "objectSid: ")
			sid, _, _ = strings.Cut(sid, "\n")
			return strings.TrimSpace(sid)
		}
		corp.AddUser(t, "upn", directorytest.Password)
		corp.LDIF(t, "dn: "+corp.DN("upn")+"\nchangetype: modify\nreplace: userPrincipalName\nuserPrincipalName: another@"+strings.ToLower(corp.Realm)+"\n")
		a := take(t, nil)
		for asked, account := range map[string]string{directorytest.Alice: directorytest.Alice, "another": "upn"} {
			got, err := a.Accept(t.Context(), initiate(t, of(corp.Kinit(t, asked, directorytest.Password))))
			if err != nil || got.Account == 0 || !strings.HasSuffix(sid(account), fmt.Sprintf("-%d", got.Account)) {
				t.Errorf("%s: %+v, %v; the SID is %q", asked, got, err, sid(account))
			}
			t.Logf("asked as %s: the ticket says %s", asked, got.User)
		}
	})
	t.Run("mutual", func(t *testing.T) {
		for _, mechanism := range []string{"spnego", "krb5"} {
			mutual(t, take(t, nil), mechanism, alice, corp.Krb5Conf())
		}
	})
	t.Run("unknown service", func(t *testing.T) {
		if _, err := Initiate(t.Context(), of(alice), "HTTP/nowhere.corp.example.test"); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
	t.Run("expired", func(t *testing.T) {
		later := func() time.Time { return clock().Add(24 * time.Hour) }
		refused(t, take(t, func(c *Config) { c.Now = later }), initiate(t, of(alice)), "expired at")
		c := of(alice)
		c.Now = later
		if _, err := Initiate(t.Context(), c, "HTTP/"+host); !errors.Is(err, dormer.ErrUnauthenticated) || !strings.Contains(err.Error(), "run kinit") {
			t.Errorf("%v", err)
		}
	})
	t.Run("clock", func(t *testing.T) {
		late := func() time.Time { return clock().Add(MaxSkew + time.Minute) }
		refused(t, take(t, func(c *Config) { c.Now = late }), initiate(t, of(alice)), "by the client's clock")
	})
	t.Run("RC4", func(t *testing.T) {
		types := func(value int) {
			corp.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: msDS-SupportedEncryptionTypes\nmsDS-SupportedEncryptionTypes: %d\n", corp.DN("svc-http"), value))
		}
		const onlyRC4, onlyAES = 4, 24
		types(onlyRC4)
		defer types(onlyAES)
		token := initiate(t, of(corp.Kinit(t, directorytest.Alice, directorytest.Password)))
		refused(t, take(t, nil), token, "encrypted with rc4-hmac, which is not accepted")
		corp.Tool(t, "domain", "exportkeytab", table+".rc4", "--principal=HTTP/"+host)
		got, err := take(t, func(c *Config) { c.AllowRC4, c.Keytab = true, table+".rc4" }).Accept(t.Context(), token)
		if err != nil || got.User != directorytest.Alice {
			t.Errorf("where it is allowed: %+v, %v", got, err)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		corp.Stop()
		defer corp.Start(t)
		if _, err := Initiate(t.Context(), of(alice), "HTTP/other.corp.example.test"); !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		// Tickets that are there count without the domain.
		if code, body := curl(t, serve(t, take(t, nil)), alice, corp.Krb5Conf()); code != "200" {
			t.Errorf("%s: %s", code, body)
		}
	})
	t.Run("new password", func(t *testing.T) {
		a := take(t, nil)
		before := initiate(t, of(corp.Kinit(t, directorytest.Alice, directorytest.Password)))
		corp.Tool(t, "user", "setpassword", "svc-http", "--newpassword=another correct horse 7")
		after := initiate(t, of(corp.Kinit(t, directorytest.Alice, directorytest.Password)))
		refused(t, a, after, "the keytab has")
		if _, err := a.Accept(t.Context(), before); err != nil {
			t.Errorf("a ticket from before: %v", err)
		}
		// exportkeytab adds to what is there, as rotation wants it.
		corp.Tool(t, "domain", "exportkeytab", table, "--principal=HTTP/"+host)
		for _, token := range [][]byte{before, after} {
			if _, err := a.Accept(t.Context(), token); err != nil {
				t.Errorf("after the keytab was exported again: %v", err)
			}
		}
	})
	t.Run("untrusted domain", func(t *testing.T) {
		other := testdomain.StartDomain(t, testdomain.Options{Second: true})
		theirs := other.HTTPKeytab(t, host)
		cache := other.Kinit(t, "alice", other.Password(t, "alice"))
		token, err := Initiate(t.Context(), Client{Cache: cache, Config: other.Krb5Conf(), Now: clock}, "HTTP/"+host)
		check(t, err)
		refused(t, take(t, nil), token, `of realm "OTHER.EXAMPLE.TEST", of which the keytab has no key`)
		refused(t, take(t, func(c *Config) { c.Keytab = theirs }), token, `of realm "OTHER.EXAMPLE.TEST", which no directory here has`)
		if code, _ := curl(t, serve(t, take(t, nil)), cache, other.Krb5Conf()); code != "401" {
			t.Errorf("curl: %s", code)
		}
	})
}

// serve answers who is admitted, and challenges everybody else.
func serve(t *testing.T, a *Acceptor) string {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Negotiate "); ok {
			b, err := base64.StdEncoding.DecodeString(token)
			if err == nil {
				got, err := a.Accept(r.Context(), b)
				if err == nil {
					w.Header().Set("WWW-Authenticate", "Negotiate "+base64.StdEncoding.EncodeToString(got.Reply))
					fmt.Fprintf(w, "%s@%s", got.User, got.Realm)
					return
				}
			}
		}
		w.Header().Set("WWW-Authenticate", "Negotiate")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(s.Close)
	_, port, _ := strings.Cut(s.Listener.Addr().String(), ":")
	return "https://localhost:" + port + "/"
}

// curl returns the status and the body.
func curl(t *testing.T, url, cache, conf string) (code, body string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "curl", "--silent", "--show-error", "--insecure", "--max-time", "20", "--negotiate", "--user", ":",
		"--write-out", "\n%{http_code}", url)
	cmd.Env = append(os.Environ(), "KRB5CCNAME="+cache, "KRB5_CONFIG="+conf)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	body, code, _ = cutLast(string(out), "\n")
	return code, body
}

// mutual has a client of another make check what the service answers.
func mutual(t *testing.T, a *Acceptor, mechanism, cache, conf string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", "testdata/mutual.py", "HTTP@localhost", mechanism)
	cmd.Env = append(os.Environ(), "KRB5CCNAME="+cache, "KRB5_CONFIG="+conf)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	said := bufio.NewScanner(out)
	said.Buffer(nil, 2*MaxToken)
	if !said.Scan() {
		t.Fatalf("%s: no token: %v", mechanism, cmd.Wait())
	}
	token, err := base64.StdEncoding.DecodeString(said.Text())
	check(t, err)
	got, err := a.Accept(t.Context(), token)
	check(t, err)
	_, err = fmt.Fprintln(in, base64.StdEncoding.EncodeToString(got.Reply))
	check(t, err)
	if said.Scan(); said.Text() != "established" {
		t.Errorf("%s: the client says %q", mechanism, said.Text())
	}
	check(t, cmd.Wait())
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

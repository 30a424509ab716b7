package domaintest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/cli"
	"github.com/dormer-project/dormer/internal/directory/kerberos"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// kerberosInstance is a server that takes the tickets of CORP, in which alice
// is an operator.
func kerberosInstance(t *testing.T, corp *testdomain.Domain) *instance {
	t.Helper()
	keytab := corp.HTTPKeytab(t, "localhost")
	i := newInstance(t, func(c *server.Config) {
		c.Directories = []server.DirectoryConfig{directory(corp)}
		c.Kerberos.Keytab = keytab
	})
	if _, err := i.admin.SetOperator(t.Context(), rest.SetOperator{Kind: dormer.KindGroup, Name: `corp\everyone-office`, Role: dormer.RoleReadOnly}); err != nil {
		t.Fatal(err)
	}
	return i
}

// negotiate asks for a session with curl and the tickets of a cache.
func (i *instance) negotiate(krb5Conf, cache string) (status string, answer rest.ProofAnswer) {
	t := i.t
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "curl", "--silent", "--show-error", "--cacert", i.authorityFile(), "--negotiate", "--user", ":", "--request", "POST",
		"--write-out", "\n%{http_code}", i.cfg.PublicURLs[0]+"/api/v1/sessions/kerberos")
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+krb5Conf, "KRB5CCNAME="+cache)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl: %v: %s", err, complaints.String())
	}
	at := bytes.LastIndexByte(out, '\n')
	if status = string(out[at+1:]); status == "200" {
		if err := json.Unmarshal(out[:at], &answer); err != nil {
			t.Fatalf("the answer: %v: %s", err, out)
		}
	}
	return status, answer
}

// refusedTicket fits the record of a sign-in by ticket that was refused for a
// reason.
func refusedTicket(because string) func(rest.AuditRecord) bool {
	return func(r rest.AuditRecord) bool {
		return r.Action == "session.refuse" && strings.Contains(r.Detail, because)
	}
}

// TestTickets: curl signs in with a ticket from kinit and has the role of its
// groups; a ticket of a domain that is not trusted, none, and one that was seen
// before are 401 and in the audit log.
func TestTickets(t *testing.T) {
	t.Parallel()
	corp, other := testdomain.StartDomain(t, testdomain.Options{}), testdomain.StartDomain(t, testdomain.Options{Second: true})
	i := kerberosInstance(t, corp)
	cache := corp.Kinit(t, "alice", corp.Password(t, "alice"))
	status, answer := i.negotiate(corp.Krb5Conf(), cache)
	if status != "200" || answer.Token == "" || answer.Role != dormer.RoleReadOnly || answer.Principal.Name != "alice" {
		t.Fatalf("status %s: %+v", status, answer)
	}
	if _, err := i.client(answer.Token).Operators(t.Context()); err != nil {
		t.Errorf("the session reads nothing: %v", err)
	}
	if _, err := i.client(answer.Token).SetOperator(t.Context(), rest.SetOperator{Kind: dormer.KindUser, Name: `corp\alice`, Role: dormer.RoleFull}); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("an operator who may only read made herself more: %v", err)
	}

	// OTHER has a service of the same name, and an alice.
	other.HTTPKeytab(t, "localhost")
	if status, _ := i.negotiate(other.Krb5Conf(), other.Kinit(t, "alice", other.Password(t, "alice"))); status != "401" {
		t.Errorf("a ticket of the other domain: status %s", status)
	}
	i.audited("the foreign ticket", refusedTicket(other.Realm))
	if status, _ := i.negotiate(corp.Krb5Conf(), "FILE:"+filepath.Join(t.TempDir(), "none")); status != "401" {
		t.Errorf("without a ticket: status %s", status)
	}

	token, err := kerberos.Initiate(t.Context(), kerberos.Client{Cache: cache, Config: corp.Krb5Conf(), Now: time.Now}, "HTTP/localhost")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.client("").SignInKerberos(t.Context(), token, rest.For{}); err != nil {
		t.Fatalf("the first use: %v", err)
	}
	if _, err := i.client("").SignInKerberos(t.Context(), token, rest.For{}); !errors.Is(err, dormer.ErrUnauthenticated) {
		t.Errorf("the second use: %v", err)
	}
	i.audited("the replay", refusedTicket("used before"))

	// A good ticket of an account that was disabled since.
	corp.SetDisabled(t, "alice", true)
	if status, _ := i.negotiate(corp.Krb5Conf(), cache); status == "200" {
		t.Errorf("a disabled account's ticket: status %s", status)
	}
}

// TestNobodyIsAsked: after kinit, `dormer sign-in --kerberos` signs the user in
// on the computer, without a password.
func TestNobodyIsAsked(t *testing.T) {
	t.Parallel()
	corp := testdomain.StartDomain(t, testdomain.Options{})
	i := kerberosInstance(t, corp)
	i.workspace(dormer.KindGroup, "everyone-office")
	c := i.newComputer("desk", corp)
	socket := c.listen()
	cache := corp.Kinit(t, "alice", corp.Password(t, "alice"))
	for _, command := range []struct {
		line string
		want string
	}{
		{"sign-in --kerberos", "Signed in as alice"},
		{"start Office", ""},
		{"run Office Hello", "hello world"},
	} {
		var out, complaints bytes.Buffer
		code := cli.Run(t.Context(), append(strings.Fields(command.line), "--agent", socket), cli.Streams{
			In: strings.NewReader(""), Out: &out, Err: &complaints, Now: time.Now, Rand: rand.Reader, Version: "test",
			Env: func(name string) string {
				return map[string]string{"KRB5CCNAME": cache, "KRB5_CONFIG": corp.Krb5Conf(), "HOME": t.TempDir()}[name]
			},
		})
		if code != 0 || !strings.Contains(out.String(), command.want) {
			t.Fatalf("dormer %s: exit %d, %s%s", command.line, code, out.String(), complaints.String())
		}
	}
}

// listen opens the agent's socket to the user who runs the test.
func (c *computer) listen() string {
	c.t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dormer-") // t.TempDir is too long for a socket
	if err != nil {
		c.t.Fatal(err)
	}
	socket := filepath.Join(dir, "agent.sock")
	l, err := agentapi.Listen(context.Background(), socket, true)
	if err != nil {
		c.t.Fatal(err)
	}
	s := agentapi.NewServer(c.agent, logger(c.t))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	c.t.Cleanup(func() {
		_ = s.Close()
		if err := <-ended; err != nil && !errors.Is(err, http.ErrServerClosed) {
			c.t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return socket
}

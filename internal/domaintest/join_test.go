package domaintest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/uplink"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// uplinkOf enrols a client of its own and signs a user of CORP in.
func (i *instance) uplinkOf(d *testdomain.Domain, user string) (*uplink.Uplink, wire.Session, func(wire.PollRequest) (wire.PollAnswer, []lease.Lease)) {
	i.t.Helper()
	ctx := i.t.Context()
	check := func(err error) {
		i.t.Helper()
		if err != nil {
			i.t.Fatal(err)
		}
	}
	token, err := i.admin.CreateJoinToken(ctx, rest.NewJoinToken{Name: "join", Managed: true})
	check(err)
	invitation, err := enroll.ParseJoinToken(token.Token)
	check(err)
	key, err := seal.NewFileKey(rand.Reader)
	check(err)
	public, err := seal.MarshalClientPublic(key)
	check(err)
	host := wire.Host{Name: "desk", OS: "linux", Arch: "amd64", MemoryMiB: 4096, Processors: 2}
	enrolled, authority, err := uplink.Enrol(ctx, invitation, wire.EnrolRequest{
		Protocol: wire.ProtocolVersion, Secret: invitation.Secret, PublicKey: public, Managed: true, Host: host, AgentVersion: "test",
	}, time.Now, "test")
	check(err)
	keys, err := seal.OpenKeySet(enrolled.RootKey, enrolled.KeySet)
	check(err)
	link, err := uplink.New(uplink.Config{
		Servers: i.cfg.PublicURLs, Authority: authority, Client: enrolled.Client, Key: key, Time: time.Now, Random: rand.Reader, UserAgent: "test",
	})
	check(err)
	i.t.Cleanup(link.Close)
	in, err := link.SignIn(ctx, wire.SignInRequest{User: `CORP\` + user, Password: d.Password(i.t, user)})
	check(err)
	secret, err := seal.Unseal(key, wire.SessionInfo(in.Session), in.Sealed)
	check(err)
	session := wire.Session{ID: in.Session, Secret: string(secret)}
	poll := func(q wire.PollRequest) (answer wire.PollAnswer, leases []lease.Lease) {
		i.t.Helper()
		q.Protocol, q.Nonce, q.Host, q.AgentVersion, q.KeySet = wire.ProtocolVersion, make([]byte, 16), host, "test", keys.Version
		q.Sessions = []wire.Session{session}
		check(link.Poll(ctx, q, func(e seal.Envelope) error {
			payload, err := keys.Open(seal.TypeAnswer, e)
			if err != nil {
				return err
			}
			return json.Unmarshal(payload, &answer)
		}))
		for _, signed := range answer.Leases {
			l, err := lease.Open(keys, lease.Holder{Instance: enrolled.Instance, Client: enrolled.Client}, signed)
			check(err)
			leases = append(leases, l)
		}
		return answer, leases
	}
	return link, session, poll
}

// TestJoinDomain: what a client gets from the server joins its machine's computer
// to the domain, once, with the service account and with the credentials that a
// document names; the directory of the user can be the domain.
func TestJoinDomain(t *testing.T) {
	if _, err := exec.LookPath("adcli"); err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("adcli is not installed: run scripts/setup.sh")
		}
		t.Skip("adcli is not installed: run scripts/setup.sh")
	}
	corp := testdomain.StartDomain(t, testdomain.Options{})
	ou := corp.ComputersOU(t)
	user, passwordFile := corp.Service()
	i := newInstance(t, func(c *server.Config) {
		d := directory(corp)
		d.Join = server.JoinConfig{BindUser: user, BindPasswordFile: passwordFile, OU: ou}
		c.Directories = []server.DirectoryConfig{d}
	})
	if err := i.admin.SetSecret(t.Context(), "join.corp", corp.Password(t, "svc-dormer")); err != nil {
		t.Fatal(err)
	}
	for called, step := range map[string]string{
		"One":   "{domain: corp.example.test}",
		"Two":   "{domain: corp.example.test, credentials: given, account: svc-dormer, passwordSecret: join.corp, organizationalUnit: '" + ou + "'}",
		"Three": "{userDomain: true}",
	} {
		if _, err := i.admin.CreateWorkspace(t.Context(), fmt.Appendf(nil, "apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: %s}\nspec:\n"+
			"  machine: {image: {name: office}, revertible: false}\n  setup:\n    computerName: 'PC-%s-####'\n    actions:\n      - renameComputer: {}\n      - joinDomain: %s\n"+
			"grants:\n  - principal: {directory: corp, kind: user, name: alice}\n", called, called, step), ""); err != nil {
			t.Fatal(err)
		}
	}
	link, session, poll := i.uplinkOf(corp, "alice")
	_, leases := poll(wire.PollRequest{})
	if len(leases) != 3 {
		t.Fatalf("%d leases, want 3", len(leases))
	}
	join := func(s wire.JoinSecret) error {
		cmd := exec.CommandContext(t.Context(), "adcli", "join", "--login-type=computer", "--stdin-password", "--domain="+s.Domain,
			"--domain-controller="+s.Servers[0], "--computer-name="+s.Computer, "--host-fqdn="+s.FQDN, "--host-keytab="+filepath.Join(t.TempDir(), "keytab"))
		cmd.Env = append(os.Environ(), "KRB5_CONFIG="+corp.Krb5Conf(), "LC_ALL=C.UTF-8")
		cmd.Stdin = strings.NewReader(s.Password)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}
	for _, l := range leases {
		ask := wire.JoinRequest{Session: session, Machine: l.Machine, Step: 1, System: "linux"}
		s, err := link.Join(t.Context(), ask)
		if err != nil {
			t.Errorf("%s: %v", l.WorkspaceName, err)
			continue
		}
		if s.Computer != l.ComputerName || s.Domain != corp.Name || s.NetBIOSName != "CORP" || len(s.Servers) != 1 || time.Until(s.Expires) < 50*time.Minute {
			t.Errorf("%s: the server says %+v", l.WorkspaceName, s)
		}
		if err := join(s); err != nil {
			t.Errorf("%s: %v", l.WorkspaceName, err)
		}
		if join(s) == nil {
			t.Errorf("%s: the one-time password served twice", l.WorkspaceName)
		}
		ask.Step = 0
		if _, err := link.Join(t.Context(), ask); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%s: a step that joins nothing: %v", l.WorkspaceName, err)
		}
	}
	i.audited("the join", func(r rest.AuditRecord) bool { return r.Action == "join.prepare" && r.Who == "alice" })
	if _, err := link.Override(t.Context(), wire.OverrideRequest{Machine: leases[0].Machine, User: `CORP\alice`, Password: corp.Password(t, "alice")}); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("alice may override, they say: %v", err)
	}
	policymatrix.Exercised(t, policymatrix.Product, "spec.setup.actions[].joinDomain.domain", "spec.setup.actions[].joinDomain.userDomain",
		"spec.setup.actions[].joinDomain.credentials", "spec.setup.actions[].joinDomain.account", "spec.setup.actions[].joinDomain.passwordSecret",
		"spec.setup.actions[].joinDomain.organizationalUnit", "spec.setup.computerName")
}

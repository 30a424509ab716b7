package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// office is a computer of a company with a domain: its agent is a service of the
// system, its user is one of the domain and has a session.
type office struct {
	*desk     // the computer, as its administrator
	domain    *testdomain.Domain
	alice     *desk // the user, at the computer
	session   *program
	computers string // where the domain has them
	began     string // a file that the host command writes
}

const aliceUID = 64110

// TestPolicies runs workspaces whose policies say nearly everything, on a real
// guest of a real domain, and looks from inside the guest, at the host, and at the
// server at what comes of it.
func TestPolicies(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	needRoot(t)
	o := s.newOffice(t)
	s.run(t, []part{
		{"a workspace of the domain", func(_ *suite, t *testing.T) { o.workspaceOfTheDomain(t) }},
	})
}

// newOffice starts domain, server, agent and session.
func (s *suite) newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{domain: testdomain.StartDomain(t, testdomain.Options{Reachable: true})}
	account, password := o.domain.Service()
	o.computers = o.domain.ComputersOU(t)
	s.instance = s.newInstance(t, fmt.Sprintf(`
[access]
default_directory = "corp"
directory_age = "1s"

[[directories]]
name = "corp"
type = "active-directory"
servers = [%q]
authority = %q
domain = %q
netbios = %q
bind_user = %q
bind_password_file = %q

[directories.join]
bind_user = %q
bind_password_file = %q
ou = %q
`, o.domain.LDAPS(), o.domain.AuthorityFile, o.domain.Name, o.domain.NetBIOS, account, password,
		account, password, o.computers))
	o.desk = s.bareDesk(t)
	if err := os.Chmod(o.dir, 0o755); err != nil { // as /run and /var/lib are
		t.Fatal(err)
	}
	o.socket = filepath.Join(o.dir, "service", "agent.sock")
	o.agent = o.socket
	disc := filepath.Join(o.dir, "disc.iso")
	makeDisc(t, disc)
	config := filepath.Join(o.dir, "agent.toml")
	write(t, config, fmt.Sprintf("state = %q\nimages = %q\nsocket = %q\noptical_drive = %q\n", o.state, o.images, o.socket, disc))
	o.words = []string{filepath.Join(s.bin, "dormer-agent"), "run", "--config", config}
	o.startAgent(t)
	o.types(t, s.instance.admin.dormer(t, "token", "create", "office"), "enrol")
	o.client = o.status(t).Client

	o.alice = o.asUser(t, aliceUID)
	o.alice.user, o.alice.client = `CORP\alice`, o.client
	o.began = filepath.Join(o.alice.dir, "began")
	o.beginSession(t)
	return o
}

// beginSession starts the user's session process.
func (o *office) beginSession(t *testing.T) {
	t.Helper()
	words := append(append([]string{}, o.alice.before...), filepath.Join(o.s.bin, "dormer"), "--agent", o.socket, "session")
	o.session = start(t, filepath.Join(o.dir, "session.log"), o.alice.env(), words...)
	t.Cleanup(func() { o.session.stop(t) })
	eventually(t, soon, "the session is connected", func() string {
		if a := o.alice.tries(t.Context(), t, "", "session", "status"); a.code != 0 || strings.Contains(a.out, "no session") {
			return a.String()
		}
		return ""
	})
}

// signIn signs the user in. The password is kept where a policy needs it.
func (o *office) signIn(t *testing.T) {
	t.Helper()
	o.alice.types(t, o.domain.Password(t, "alice")+"\n", "sign-in", o.alice.user)
}

// makeDisc makes the image of a disc with one file.
func makeDisc(t *testing.T, path string) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "HELLO.TXT"), "from a disc\n")
	cmd := exec.CommandContext(t.Context(), "genisoimage", "-quiet", "-r", "-o", path, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make a disc: %v\n%s", err, out)
	}
}

// applied makes the server's workspaces as a document says and waits until the
// user's agent has them.
func (o *office) applied(t *testing.T, document string) {
	t.Helper()
	o.s.instance.admin.types(t, document, "apply", "-f", "-")
	o.alice.dormer(t, "refresh")
}

// exercised notes fields whose effect the test has seen in the guest.
func exercised(t *testing.T, fields ...string) {
	t.Helper()
	policymatrix.Exercised(t, policymatrix.RealGuest, fields...)
}

package producttest

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/producttest/stage"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	// patience bounds each wait of these tests.
	patience     = stage.Patience
	userPassword = stage.UserPassword
)

// instance is one server that goes and comes back on the same data and port.
type instance struct {
	*stage.Instance
	t *testing.T
}

// newInstance starts a server and signs its first operator in.
func newInstance(t *testing.T) *instance {
	t.Helper()
	s, err := stage.NewInstance(t.TempDir(), logger(t))
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{Instance: s, t: t}
	i.start()
	t.Cleanup(i.shut)
	i.signIn()
	return i
}

// logger shows what goes wrong when DORMER_TEST_LOG is set.
func logger(t *testing.T) *slog.Logger {
	if os.Getenv("DORMER_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// start runs the server.
func (i *instance) start() {
	i.t.Helper()
	if err := i.Start(); err != nil {
		i.t.Fatal(err)
	}
}

// shut stops the server; repeating it changes nothing.
func (i *instance) shut() {
	i.t.Helper()
	if err := i.Shut(); err != nil {
		i.t.Error(err)
	}
}

// client returns a client of the REST API.
func (i *instance) client(token string) *apiclient.Client {
	i.t.Helper()
	c, err := i.Client(token)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(c.Close)
	return c
}

func (i *instance) signIn() {
	i.t.Helper()
	if err := i.SignIn(i.t.Context()); err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(i.Admin.Close)
}

// user adds a user of the embedded directory.
func (i *instance) user(name string) rest.UserCreated {
	i.t.Helper()
	u, err := i.Admin.CreateUser(i.t.Context(), rest.NewUser{Name: name, Password: userPassword})
	if err != nil {
		i.t.Fatalf("add user %s: %v", name, err)
	}
	return u
}

// joinToken makes one that admits many clients of both kinds.
func (i *instance) joinToken() string {
	i.t.Helper()
	token, err := i.JoinToken(i.t.Context())
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

// push packs a small image and pushes it as the next version of name.
func (i *instance) push(name string) rest.ImageVersion {
	i.t.Helper()
	v, err := i.Push(i.t.Context(), i.t.TempDir(), name)
	if err != nil {
		i.t.Fatal(err)
	}
	return v
}

// workspace commits a document made from its parts.
func (i *instance) workspace(name, spec, grants string) rest.Committed {
	i.t.Helper()
	c, err := i.Admin.CreateWorkspace(i.t.Context(), document(name, spec, grants), "")
	if err != nil {
		i.t.Fatalf("commit workspace: %v", err)
	}
	return c
}

// change replaces a workspace's document.
func (i *instance) change(id dormer.WorkspaceID, name, spec, grants string) {
	i.t.Helper()
	d, err := i.Admin.Workspace(i.t.Context(), id, apiclient.JSON)
	if err != nil {
		i.t.Fatal(err)
	}
	if _, err := i.Admin.CommitWorkspace(i.t.Context(), id, document(name, spec, grants), d.ETag, ""); err != nil {
		i.t.Fatalf("change workspace: %v", err)
	}
}

func document(name, spec, grants string) []byte {
	return fmt.Appendf(nil, "apiVersion: dormer/v1\nkind: Workspace\nmetadata:\n  name: %s\nspec:\n%s\ngrants:\n%s\n", name, indent(spec), indent(grants))
}

func indent(s string) string {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	for n, l := range lines {
		lines[n] = "  " + l
	}
	return strings.Join(lines, "\n")
}

// office is the spec of a workspace with an application in it.
const office = `
machine:
  image: {name: office}
  revertible: false
  dataDisk: {size: 64MiB}
applications:
  published:
    - name: Hello
      command: echo hello world
    - name: Fail
      command: "false"
network: {mode: nat}
performance:
  memory: [{guest: 128MiB}]
`

// grant gives a user a workspace with an off-line limit and no grace.
func grant(user string, more ...string) string {
	return fmt.Sprintf("- principal: {directory: local, kind: user, name: %s}\n  offline: {allow: limited, limit: 8h}\n  atLimit: {action: stop, grace: 0s}\n", user) +
		strings.Join(more, "")
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		if ok() {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// quiet is the logger of processes of their own.
var quiet = slog.New(slog.DiscardHandler)

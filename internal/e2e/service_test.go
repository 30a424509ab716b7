package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// missing skips a test for want of something, or fails it when none may be
// skipped.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("DORMER_TEST_ALL") == "1" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("missing: %s", what)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "root")
	}
}

// Users of the computer that nobody else is.
const (
	firstUID  = 64101
	secondUID = 64102
)

// asUser returns somebody at the same computer who is another of its users.
func (d *desk) asUser(t *testing.T, uid int) *desk {
	t.Helper()
	other := *d
	other.person = d.s.newPerson(t, fmt.Sprintf("u%d", uid))
	other.before = []string{"setpriv", fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid), "--clear-groups"}
	other.agent, other.user = d.socket, fmt.Sprintf("user-u%d", uid)
	for _, dir := range []string{"", "config", "data", "run", "state"} {
		if err := os.Chown(filepath.Join(other.dir, dir), uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	return &other
}

// systemService is an agent that serves two users of a computer, who have
// nothing to do with each other.
func (s *suite) systemService(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("setpriv"); err != nil {
		missing(t, "setpriv")
	}
	image := s.instance.image(t, "tiny/1")
	d := s.bareDesk(t)
	if err := os.Chmod(d.dir, 0o755); err != nil { // as /run and /var/lib are
		t.Fatal(err)
	}
	d.socket = filepath.Join(d.dir, "service", "agent.sock")
	d.agent = d.socket
	config := filepath.Join(d.dir, "agent.toml")
	write(t, config, fmt.Sprintf("state = %q\nimages = %q\nsocket = %q\n", d.state, d.images, d.socket))
	d.words = []string{filepath.Join(s.bin, "dormer-agent"), "run", "--config", config}
	d.startAgent(t)
	first, second := d.asUser(t, firstUID), d.asUser(t, secondUID)

	token := s.instance.admin.dormer(t, "token", "create", "office")
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if a := first.tries(ctx, t, token, "enrol"); a.code != 4 || !strings.Contains(a.err, "administrator") {
		t.Errorf("somebody who is not the administrator enrols: %s", a)
	}
	d.types(t, token, "enrol")
	d.client = d.status(t).Client
	if info, err := os.Stat(d.socket); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}

	for _, u := range []*desk{first, second} {
		u.client = d.client
		u.addUser(t)
		u.types(t, password+"\n", "sign-in", u.user)
	}
	if a := second.tries(ctx, t, password+"\n", "sign-in", first.user); a.code == 0 {
		t.Errorf("a user of the instance is signed in for two users of the computer: %s", a)
	}
	first.given(t, document{name: "First", image: image})
	second.given(t, document{name: "Second", image: image})
	first.boots(t, "First")
	first.expect(t, "First", "note", "1")

	// The second user neither sees nor moves what is the first one's.
	theirs := first.workspace(t, "First").Machine
	if all := second.status(t).Workspaces; len(all) != 1 || all[0].Name != "Second" {
		t.Errorf("the second user sees %+v", all)
	}
	if said := second.dormer(t, "status"); strings.Contains(said, "First") || strings.Contains(said, first.user) {
		t.Errorf("the second user reads %s", said)
	}
	for _, which := range []string{"First", theirs} {
		for _, words := range [][]string{{"stop", which}, {"stop", which, "--kill"}, {"start", which}, {"restart", which}, {"run", which, "hello"}} {
			if a := second.tries(ctx, t, "", words...); a.code != 5 {
				t.Errorf("the second user: dormer %s: %s", strings.Join(words, " "), a)
			}
		}
	}
	if a := second.tries(ctx, t, "", "sign-out", first.user); a.code == 0 {
		t.Errorf("the second user signs the first one out: %s", a)
	}
	if w := first.workspace(t, "First"); w.State != "running" {
		t.Errorf("after all that: %+v", w)
	}

	// Nor does either read a file of the agent or use a socket of a machine.
	for _, u := range []*desk{first, second} {
		find := append(append([]string{}, u.before...), "find", d.state, d.images, "(", "-readable", "-o", "-writable", ")", "-not", "-type", "l")
		cmd := exec.CommandContext(ctx, find[0], find[1:]...)
		cmd.Dir = "/"
		out, _ := cmd.Output() // it ends with 1 where it may not look
		if len(out) > 0 {
			t.Errorf("%s may read or write:\n%s", u.user, out)
		}
	}
	open, err := exec.CommandContext(ctx, "find", d.state, d.images, "-perm", "/077", "-not", "-type", "l").Output()
	if err != nil || len(open) > 0 {
		t.Errorf("files of the agent that are not its own alone: %v\n%s", err, open)
	}
	first.expect(t, "First", "note", "2")
	first.dormer(t, "stop", "First")
	once(t, first.delivered(t))
}

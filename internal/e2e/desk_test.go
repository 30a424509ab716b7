package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/agent"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// desk is a computer with an agent, and somebody who works there.
type desk struct {
	person
	i      *instance
	user   string // of the instance
	client string
	state  string // the agent's folder
	images string
	socket string
	log    string
	words  []string // that start the agent
	daemon *program
}

const password = "correct horse battery"

// newDesk starts an agent for one user, enrols it, adds a user and signs her in.
func (s *suite) newDesk(t *testing.T) *desk {
	t.Helper()
	d := s.bareDesk(t)
	d.open(t)
	return d
}

// open is what newDesk does with a bare desk.
func (d *desk) open(t *testing.T) {
	t.Helper()
	d.startAgent(t)
	d.enrol(t)
	d.addUser(t)
	d.types(t, password+"\n", "sign-in", d.user)
}

func (d *desk) addUser(t *testing.T) {
	t.Helper()
	d.i.admin.types(t, password+"\n", "directory", "user", "add", d.user)
}

// bareDesk is one without a running agent. At the end of the test nothing of it
// runs any more.
func (s *suite) bareDesk(t *testing.T) *desk {
	t.Helper()
	s.desks++
	name := fmt.Sprintf("d%d", s.desks)
	d := &desk{person: s.newPerson(t, name), i: s.instance, user: "user-" + name}
	d.words = []string{filepath.Join(s.bin, "dormer-agent"), "run", "--user"}
	d.state, d.images = filepath.Join(d.dir, "state/dormer/agent"), filepath.Join(d.dir, "data/dormer/images")
	d.socket, d.log = filepath.Join(d.dir, "run/dormer/agent.sock"), filepath.Join(d.dir, "agent.log")
	if s.probe != nil {
		if err := os.MkdirAll(d.state, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(d.state, agent.FileProbe), string(s.probe))
	}
	logged(t, d.log)
	logged(t, s.instance.log)
	t.Cleanup(func() { d.clear(t) })
	return d
}

// clear ends the agent and its machines and frees their disks.
func (d *desk) clear(t *testing.T) {
	t.Helper()
	if t.Failed() {
		for _, dir := range d.machineFolders() {
			for _, file := range []string{hypervisor.FileLog, hypervisor.FileConsole} {
				if b, err := os.ReadFile(filepath.Join(dir, file)); err == nil {
					t.Logf("end of %s:\n%s", file, b[max(0, len(b)-3<<10):])
				}
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		t.Logf("status: %s", d.tries(ctx, t, "", "status"))
		cancel()
	}
	if d.daemon != nil {
		d.daemon.stop(t)
	}
	for _, dir := range d.machineFolders() {
		for _, file := range []string{hypervisor.FileOwner, hypervisor.FileProcess} {
			if err := hypervisor.ReadProcess(dir, file).Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	os.RemoveAll(d.images) // the suite's folder goes in the end
}

func (d *desk) startAgent(t *testing.T) {
	t.Helper()
	d.daemon = start(t, d.log, d.env(), d.words...)
	eventually(t, soon, "the agent answers", func() string {
		if !d.daemon.running() {
			t.Fatal("the agent has ended")
		}
		if a := d.tries(t.Context(), t, "", "status"); a.code != 0 {
			return a.String()
		}
		return ""
	})
}

func (d *desk) enrol(t *testing.T) {
	t.Helper()
	d.types(t, d.i.admin.dormer(t, "token", "create", d.user, "--unmanaged"), "enrol")
	d.client = d.status(t).Client
	if d.client == "" {
		t.Fatal("the agent has no identity after it was enrolled")
	}
}

// status is what `dormer status --json` says.
type status struct {
	Client        string      `json:"client"`
	Online        bool        `json:"online"`
	Problem       string      `json:"problem"`
	EventsWaiting int         `json:"events_waiting"`
	Notes         []string    `json:"notes"`
	Workspaces    []workspace `json:"workspaces"`
}

type workspace struct {
	Machine     string `json:"machine"`
	Name        string `json:"name"`
	State       string `json:"state"`
	Detail      string `json:"detail"`
	Error       string `json:"error"`
	Ready       bool   `json:"ready"`
	Image       string `json:"image"`
	Permitted   bool   `json:"permitted"`
	Verdict     string `json:"verdict"`
	OfflineLeft *int64 `json:"offline_left"`
	// Update is the version that is offered.
	Update string `json:"update"`
	// Locked and Warnings are what the user sees of them.
	Locked   string   `json:"locked"`
	Warnings []string `json:"warnings"`
}

func (d *desk) status(t *testing.T) status {
	t.Helper()
	var s status
	parse(t, d.dormer(t, "status", "--json"), &s)
	return s
}

// workspace is how one workspace is; all zero when it is not there.
func (d *desk) workspace(t *testing.T, name string) workspace {
	t.Helper()
	for _, w := range d.status(t).Workspaces {
		if w.Name == name {
			return w
		}
	}
	return workspace{}
}

// awaits waits until a workspace is as it should.
func (d *desk) awaits(t *testing.T, limit time.Duration, name, what string, ok func(workspace) bool) workspace {
	t.Helper()
	var w workspace
	eventually(t, limit, name+" "+what, func() string {
		w = d.workspace(t, name)
		if ok(w) {
			return ""
		}
		return fmt.Sprintf("%+v", w)
	})
	return w
}

// delivered waits until the server has all events of the agent and returns them.
func (d *desk) delivered(t *testing.T) []event {
	t.Helper()
	eventually(t, soon, "events arrive", func() string {
		a := d.tries(t.Context(), t, "", "refresh", "--json")
		if a.code != 0 {
			return a.String()
		}
		var s status
		parse(t, a.out, &s)
		if s.EventsWaiting > 0 {
			return fmt.Sprintf("%d wait: %s", s.EventsWaiting, s.Problem)
		}
		return ""
	})
	return d.i.events(t, d.client)
}

// document is a workspace as a test wants it.
type document struct {
	name       string
	image      string // NAME, or NAME/NUMBER to stay with it
	revertible bool
	dataDisk   string
	network    string
	apps       map[string]string // commands of the published applications
	grant      map[string]any    // more of the grant
}

// shell is the command of an application that runs a script.
func shell(script string) string { return "/bin/sh -c '" + script + "'" }

// The applications that most tests need.
var applications = map[string]string{
	"hello":  shell(`echo Hello from $(hostname)`),
	"boot":   "/bin/cat /proc/sys/kernel/random/boot_id",
	"note":   shell(`echo note >>/data/notes && sync && wc -l </data/notes`),
	"change": shell(`d=/var/tmp; [ -d /base/user ] && d=/base/user; echo change >>$d/changes && sync && wc -l <$d/changes`),
	"false":  "/bin/false",
}

// given applies a workspace that is granted to the desk's user, and waits until
// it is there.
func (d *desk) given(t *testing.T, w document) {
	t.Helper()
	d.apply(t, w)
	d.dormer(t, "refresh")
	d.awaits(t, soon, w.name, "is here", func(w workspace) bool { return w.Name != "" })
}

func (d *desk) apply(t *testing.T, w document) {
	t.Helper()
	type object = map[string]any
	var published []object
	for name, command := range applications {
		if _, ok := w.apps[name]; !ok {
			published = append(published, object{"name": name, "command": command})
		}
	}
	for name, command := range w.apps {
		published = append(published, object{"name": name, "command": command})
	}
	name, number, pinned := strings.Cut(w.image, "/")
	image := object{"source": "server", "name": name}
	if pinned {
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		image["version"] = n
	}
	memory := "512MiB"
	if name == "tiny" {
		memory = "128MiB"
	}
	machine := object{"image": image, "revertible": w.revertible, "onStop": "shut-down", "dataDisk": object{"size": or(w.dataDisk, "64MiB")}}
	grant := object{
		"principal": object{"directory": "local", "kind": "user", "name": d.user},
		"offline":   object{"allow": "limited", "limit": "8h"},
	}
	maps.Copy(grant, w.grant)
	b, err := json.Marshal(object{
		"apiVersion": "dormer/v1", "kind": "Workspace",
		"metadata": object{"name": w.name},
		"spec": object{
			"machine": machine, "applications": object{"published": published},
			"network":     object{"mode": or(w.network, "none")},
			"performance": object{"memory": []object{{"guest": memory}}, "processors": []object{{"guest": 1}}},
		},
		"grants": []object{grant},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.i.admin.types(t, string(b), "apply", "-f", "-")
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// runs runs an application and returns its output without the line's end.
func (d *desk) runs(t *testing.T, name, application string) string {
	t.Helper()
	return strings.TrimSpace(d.dormer(t, "run", name, application))
}

// expect runs an application and compares its output.
func (d *desk) expect(t *testing.T, name, application, want string) {
	t.Helper()
	if got := d.runs(t, name, application); got != want {
		t.Errorf("%s in %s printed %q, not %q", application, name, got, want)
	}
}

// boots starts a workspace and says how long it took.
func (d *desk) boots(t *testing.T, name string) {
	t.Helper()
	began := time.Now()
	d.dormer(t, "start", name, "--timeout", bootTime.String())
	t.Logf("%s was up after %.1f s", name, time.Since(began).Seconds())
	if b, err := os.ReadFile(filepath.Join(d.state, agent.FileProbe)); err == nil {
		d.s.probe = b
	}
}

// machineFolders are those of the machines' disks.
func (d *desk) machineFolders() []string {
	dirs, err := filepath.Glob(filepath.Join(d.state, "machines", "*", "vm"))
	if err != nil {
		return nil
	}
	return dirs
}

// processes returns the processes of a workspace's machine.
func (d *desk) processes(t *testing.T, name string) map[string]hypervisor.ProcessID {
	t.Helper()
	dir := filepath.Join(d.state, "machines", d.workspace(t, name).Machine, "vm")
	owner := hypervisor.ReadProcess(dir, hypervisor.FileOwner)
	if !owner.Alive() {
		t.Fatalf("%s has no machine process", name)
	}
	return family(t, owner)
}

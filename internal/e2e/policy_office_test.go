package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/policymatrix"
)

// officeDocument is a persistent workspace whose policy says nearly everything.
// %[1]s is the address of the domain controller, %[2]s the user's folder, %[3]s
// the fourth step of the setup, %[4]s the clipboard, %[5]s the name servers.
const officeDocument = `apiVersion: dormer/v1
kind: Workspace
metadata:
  name: Office
  description: The whole of a policy
spec:
  general:
    supportContact: "Ask the help desk: 100"
    display: desktop
    unmanagedClients: refuse
    hostCommand:
      command: /bin/sh -c 'id -u >>%[2]s/began'
      timeout: 30s
      stopOnFailure: true
  machine:
    image: {name: desk}
    revertible: false
    onStop: save-state
    signOn: user
    timeZone: host
    keepOldVersions: 1
    dataDisk: {size: 64MiB}
    lock: {onHostSleep: true}
  applications:
    published:
      - {name: hostname, command: /bin/hostname}
      - {name: boot, command: /bin/cat /proc/sys/kernel/random/boot_id}
      - {name: zone, command: readlink -f /etc/localtime}
      - {name: names, command: /bin/cat /etc/resolv.conf}
      - {name: classes, command: "/bin/sh -c 'cat /sys/bus/pci/devices/*/class'"}
      - {name: ports, command: "/bin/sh -c 'cat /sys/class/virtio-ports/*/name'"}
      - {name: memory, command: "/bin/sh -c 'grep MemTotal /proc/meminfo; nproc'"}
      - {name: me, command: /usr/bin/id -un}
      - {name: where, command: /bin/pwd, startIn: /var/tmp}
      - {name: tickets, command: /usr/bin/klist, userCredentials: true}
      - {name: log, command: /bin/cat /var/tmp/setup.log}
      - {name: early, command: "/bin/sh -c 'echo early >>/var/tmp/early'", startWithWorkspace: true}
      - {name: early-log, command: /bin/cat /var/tmp/early}
      - {name: clock, command: /bin/date +%%s}
      - {name: notes, command: "/bin/sh -c 'cat ~/note.txt'", userCredentials: true}
      - {name: paste, command: dormer-guest paste, userCredentials: true}
      - {name: cut, command: "/bin/sh -c 'echo from the guest | dormer-guest copy'", userCredentials: true}
      - {name: shared, command: "/bin/sh -c 'cat /media/dormer/Read/hello.txt /media/dormer/Write/hello.txt'", userCredentials: true}
      - {name: share, command: "/bin/sh -c 'echo from the guest >/media/dormer/Write/new.txt; touch /media/dormer/Read/new.txt || echo read-only kept'", userCredentials: true}
      - {name: stay, command: /bin/sleep 1000}
  setup:
    computerName: OFFICE-###
    mode: notice
    message: Your workspace is being set up.
    retries: 0
    timeLimit: 1h
    actions:
      - renameComputer: {}
      - checkConnectivity: {address: %[1]s, port: 389, timeout: 2m}
      - name: look
        runCommand:
          path: /bin/sh
          arguments: ["-c", "echo {user} {domain} {computer} >>/var/tmp/setup.log; tr -d '\\n' | sha256sum >>/var/tmp/setup.log"]
          password: stdin
          onlyOnce: true
          progress: Looking around
      - name: correctable
        runCommand: %[3]s
      - joinDomain: {domain: corp.example.test, netbiosName: CORP}
      - restart: {}
      - name: keys
        runCommand:
          path: /bin/sh
          arguments: ["-c", "klist -k >>/var/tmp/setup.log; chmod 644 /var/tmp/setup.log"]
      - disableAutomaticSignOn: {}
  network:
    mode: nat
    dns: {mode: servers, servers: [%[5]s]}
    suffixes: {list: [corp.example.test]}
  performance:
    memory: [{guest: 640MiB}]
    processors: [{guest: 1}]
grants:
  - principal: {directory: corp, kind: user, name: alice}
    offline: {allow: limited, limit: 8h}
    clipboard: %[4]s
    fileTransfer: {direction: both, hostToGuest: {extensions: [txt, pdf]}, guestToHost: {extensions: [txt], command: "/bin/grep -q harmless {file}"}}
    printing: true
    opticalDrive: true
    usb: [storage]
    audio: true
    microphone: true
    sharedFolders:
      - {name: Read, path: "%[2]s/read"}
      - {name: Write, path: "%[2]s/write", access: read-write}
`

const (
	stepThatFails = `{path: /bin/false, failure: "Call the help desk."}`
	stepThatWorks = `{path: /bin/true, failure: "Call the help desk."}`
)

func (o *office) document(step, clipboard string, servers ...string) string {
	if len(servers) == 0 {
		servers = []string{o.domain.Address}
	}
	return fmt.Sprintf(officeDocument, o.domain.Address, o.alice.dir, step, clipboard, strings.Join(servers, ", "))
}

// workspaceOfTheDomain is one machine through its whole life.
func (o *office) workspaceOfTheDomain(t *testing.T) {
	o.s.instance.image(t, "desk/1")
	for _, d := range []string{"read", "write"} {
		o.makes(t, filepath.Join(o.alice.dir, d))
		o.writes(t, filepath.Join(o.alice.dir, d, "hello.txt"), "from the host\n")
	}
	o.applied(t, o.document(stepThatFails, "both"))
	a := o.alice
	o.signIn(t)
	a.awaits(t, soon, "Office", "is here", func(w workspace) bool { return w.Name != "" })
	o.s.run(t, []part{
		{"setup fails, is corrected and goes on", func(_ *suite, t *testing.T) { o.setup(t) }},
		{"hardware", func(_ *suite, t *testing.T) { o.hardware(t) }},
		{"sign-on", func(_ *suite, t *testing.T) { o.signOn(t) }},
		{"arrangements", func(_ *suite, t *testing.T) { o.arrangements(t) }},
		{"files", func(_ *suite, t *testing.T) { o.files(t) }},
		{"clipboard", func(_ *suite, t *testing.T) { o.clipboard(t) }},
		{"shared folders", func(_ *suite, t *testing.T) { o.folders(t) }},
		{"lock", func(_ *suite, t *testing.T) { o.lock(t) }},
		{"saved state", func(_ *suite, t *testing.T) { o.saved(t) }},
	})
	a.dormer(t, "stop", "Office")
}

// setup runs the script of the policy, which has a step that fails at first.
func (o *office) setup(t *testing.T) {
	a := o.alice
	exercised(
		t, "spec.general.hostCommand.command", "spec.general.hostCommand.stopOnFailure", "spec.setup.computerName", "spec.setup.mode", "spec.setup.message",
		"spec.setup.actions[].renameComputer", "spec.setup.actions[].restart", "spec.setup.actions[].joinDomain.domain", "spec.setup.actions[].joinDomain.netbiosName",
		"spec.setup.actions[].joinDomain.credentials", "spec.setup.actions[].checkConnectivity.address", "spec.setup.actions[].checkConnectivity.port",
		"spec.setup.actions[].checkConnectivity.timeout", "spec.setup.actions[].name", "spec.setup.actions[].runCommand.path", "spec.setup.actions[].runCommand.arguments",
		"spec.setup.actions[].runCommand.password", "spec.setup.actions[].runCommand.onlyOnce", "spec.setup.actions[].runCommand.failure",
		"spec.setup.actions[].runCommand.progress", "spec.setup.actions[].disableAutomaticSignOn", "spec.setup.retries", "spec.setup.timeLimit",
	)
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	if said := a.tries(ctx, t, "", "start", "Office", "--timeout", bootTime.String()); said.code == 0 {
		t.Errorf("start succeeds although the setup fails: %s", said)
	}
	var st struct {
		State, Title, Failure string
		Step, Steps           int
	}
	eventually(t, bootTime, "the setup fails", func() string {
		said := a.dormer(t, "setup", "status", "Office", "--json")
		parse(t, said, &st)
		if st.State == "failed" {
			return ""
		}
		return said
	})
	if st.Step != 4 || st.Steps != 8 || st.Title != "correctable" || !strings.Contains(st.Failure, "Call the help desk.") {
		t.Errorf("the failed setup shows as %+v", st)
	}
	if said := a.tries(ctx, t, "", "run", "Office", "hostname"); said.code == 0 || !strings.Contains(said.err, "setup") {
		t.Errorf("a workspace whose setup failed is used: %s", said)
	}

	o.applied(t, o.document(stepThatWorks, "both"))
	o.awaitReady(t)
	w := a.workspace(t, "Office")
	name := a.runs(t, "Office", "hostname")
	if !strings.HasPrefix(name, "OFFICE-") || len(name) != len("OFFICE-###") {
		t.Errorf("the computer is called %q", name)
	}
	log := a.runs(t, "Office", "log")
	sum := sha256.Sum256([]byte(o.domain.Password(t, "alice")))
	for _, want := range []string{"alice CORP " + name, hex.EncodeToString(sum[:]), "host/" + strings.ToLower(name)} {
		if !strings.Contains(strings.ToLower(log), strings.ToLower(want)) {
			t.Errorf("the setup's log has no %q:\n%s", want, log)
		}
	}
	if n := strings.Count(log, "alice CORP"); n != 1 {
		t.Errorf("a command that runs only once ran %d times", n)
	}
	if account := o.domain.Tool(t, "computer", "show", name); !strings.Contains(account, o.computers) {
		t.Errorf("the domain has no such computer in its place:\n%s", account)
	}
	if uid := strings.TrimSpace(read(t, o.began)); !strings.HasPrefix(uid, fmt.Sprint(aliceUID)) {
		t.Errorf("the host command ran as %q", uid)
	}
	events := a.delivered(t)
	for code, want := range map[int]int{642: 1, 641: 1, 645: 1} {
		if n := count(events, code, ""); n != want {
			t.Errorf("event %d is there %d times, not %d", code, n, want)
		}
	}
	policymatrix.Exercised(t, policymatrix.Product, "metadata.description")
	if shown := o.s.instance.admin.dormer(t, "workspace", "show", "Office"); !strings.Contains(shown, "The whole of a policy") {
		t.Errorf("administrators do not see the description:\n%s", shown)
	}
	if said := a.dormer(t, "status"); strings.Contains(said, "The whole of a policy") {
		t.Errorf("users see what is for administrators:\n%s", said)
	}
	t.Logf("machine %s is set up as %s", w.Machine, name)
}

// awaitReady waits until the workspace can be used.
func (o *office) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, 2*bootTime, "Office can be used", func() string {
		said := o.alice.tries(t.Context(), t, "", "run", "Office", "hostname")
		if said.code == 0 {
			return ""
		}
		return said.String()
	})
}

// hardware looks from inside the guest at what is attached.
func (o *office) hardware(t *testing.T) {
	exercised(
		t, "grants[].clipboard", "grants[].printing", "grants[].usb", "grants[].audio", "grants[].microphone", "grants[].sharedFolders[].name",
		"grants[].fileTransfer.direction", "spec.performance.memory[].guest", "spec.performance.processors[].guest", "spec.machine.dataDisk.size",
	)
	a := o.alice
	classes := a.runs(t, "Office", "classes")
	for what, class := range map[string]string{"sound": "0x0403", "USB": "0x0c03"} {
		if !strings.Contains(classes, class) {
			t.Errorf("the guest has no %s (%s):\n%s", what, class, classes)
		}
	}
	ports := a.runs(t, "Office", "ports")
	for _, port := range []string{"files", "clipboard", "folders", "print"} {
		if !strings.Contains(ports, "org.dormer."+port+".0") {
			t.Errorf("the guest has no port for %s:\n%s", port, ports)
		}
	}
	o.applied(t, o.document(stepThatWorks, "none"))
	eventually(t, soon, "the clipboard is taken away", func() string {
		if ports := a.runs(t, "Office", "ports"); strings.Contains(ports, "clipboard") {
			return ports
		}
		return ""
	})
	o.applied(t, o.document(stepThatWorks, "both"))
	eventually(t, soon, "the clipboard is back", func() string {
		if ports := a.runs(t, "Office", "ports"); !strings.Contains(ports, "clipboard") {
			return ports
		}
		return ""
	})
}

// signOn looks at whom the guest signed on.
func (o *office) signOn(t *testing.T) {
	exercised(t, "spec.machine.signOn", "spec.applications.published[].userCredentials")
	a := o.alice
	eventually(t, soon, "the user has a ticket in the guest", func() string {
		said := a.tries(t.Context(), t, "", "run", "Office", "tickets")
		if strings.Contains(said.out, "krbtgt/CORP.EXAMPLE.TEST") && strings.Contains(said.out, "alice@") {
			return ""
		}
		return said.String()
	})
}

// arrangements looks at what the host told the guest.
func (o *office) arrangements(t *testing.T) {
	exercised(
		t, "spec.machine.timeZone", "spec.network.dns.mode", "spec.network.dns.servers", "spec.network.suffixes.list", "spec.network.mode",
		"spec.applications.published[].startIn", "spec.applications.published[].startWithWorkspace",
	)
	a := o.alice
	zone, err := filepath.EvalSymlinks("/etc/localtime")
	if err == nil {
		_, zone, _ = strings.Cut(zone, "zoneinfo/")
		if got := a.runs(t, "Office", "zone"); !strings.HasSuffix(got, zone) {
			t.Errorf("the guest's time zone is %q, the host's %q", got, zone)
		}
	}
	names := a.runs(t, "Office", "names")
	for _, want := range []string{"nameserver " + o.domain.Address, "corp.example.test"} {
		if !strings.Contains(names, want) {
			t.Errorf("the guest's name service has no %q:\n%s", want, names)
		}
	}
	o.applied(t, o.document(stepThatWorks, "both", o.domain.Address, "192.0.2.53"))
	eventually(t, soon, "another name server", func() string {
		if names := a.runs(t, "Office", "names"); !strings.Contains(names, "192.0.2.53") {
			return names
		}
		return ""
	})
	a.expect(t, "Office", "where", "/var/tmp")
	if early := a.runs(t, "Office", "early-log"); early != "early" {
		t.Errorf("what starts with the workspace wrote %q", early)
	}
}

// files copies both ways, with the rules of each.
func (o *office) files(t *testing.T) {
	exercised(
		t, "grants[].fileTransfer.direction", "grants[].fileTransfer.hostToGuest.extensions", "grants[].fileTransfer.guestToHost.command",
		"grants[].fileTransfer.guestToHost.extensions",
	)
	a := o.alice
	for name, text := range map[string]string{"note.txt": "harmless\n", "program.exe": "not allowed\n", "other.txt": "dangerous\n"} {
		o.writes(t, filepath.Join(a.dir, name), text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	a.dormer(t, "copy", filepath.Join(a.dir, "note.txt"), filepath.Join(a.dir, "other.txt"), "Office:")
	if said := a.tries(ctx, t, "", "copy", filepath.Join(a.dir, "program.exe"), "Office:"); said.code == 0 || !strings.Contains(said.err, "exe") {
		t.Errorf("an extension that is not allowed passes: %s", said)
	}
	a.expect(t, "Office", "notes", "harmless")
	back := filepath.Join(a.dir, "back")
	o.makes(t, back)
	a.dormer(t, "copy", "Office:note.txt", back)
	if got := read(t, filepath.Join(back, "note.txt")); got != "harmless\n" {
		t.Errorf("the file came back as %q", got)
	}
	if said := a.tries(ctx, t, "", "copy", "Office:other.txt", back); said.code == 0 {
		t.Errorf("a file passes that the command refuses: %s", said)
	}
	if said := a.tries(ctx, t, "", "copy", "Office:/etc/hostname", back); said.code == 0 {
		t.Errorf("an extension that may not leave the guest passes: %s", said)
	}
	if left, err := os.ReadDir(back); err != nil || len(left) != 1 {
		t.Errorf("of a refused file is left: %v, %v", left, err)
	}
	events := a.delivered(t)
	for code, want := range map[int]int{630: 2, 631: 1, 632: 3} {
		if n := count(events, code, ""); n != want {
			t.Errorf("event %d is there %d times, not %d", code, n, want)
		}
	}
}

// clipboard moves a text there and back.
func (o *office) clipboard(t *testing.T) {
	exercised(t, "grants[].clipboard")
	const text = "Grüße aus dem Gastgeber"
	o.alice.types(t, text, "clipboard", "push", "Office")
	o.alice.expect(t, "Office", "paste", text)
	o.alice.runs(t, "Office", "cut")
	if got := o.alice.dormer(t, "clipboard", "pull", "Office"); strings.TrimSpace(got) != "from the guest" {
		t.Errorf("the guest's clipboard has %q", got)
	}
}

// folders looks at the shared folders from inside.
func (o *office) folders(t *testing.T) {
	exercised(t, "grants[].sharedFolders[].name", "grants[].sharedFolders[].path", "grants[].sharedFolders[].access")
	a := o.alice
	eventually(t, soon, "the folders are there", func() string {
		said := a.tries(t.Context(), t, "", "run", "Office", "shared")
		if strings.Count(said.out, "from the host") == 2 {
			return ""
		}
		return said.String()
	})
	if said := a.dormer(t, "run", "Office", "share"); !strings.Contains(said, "read-only kept") {
		t.Errorf("the guest writes to a folder that is read-only: %s", said)
	}
	written := filepath.Join(a.dir, "write", "new.txt")
	eventually(t, soon, "what the guest wrote arrives", func() string {
		b, err := os.ReadFile(written)
		if err == nil && string(b) == "from the guest\n" {
			return ""
		}
		return fmt.Sprintf("%q, %v", b, err)
	})
}

// writes makes a file of the user's, makes a folder.
func (o *office) writes(t *testing.T, path, text string) {
	t.Helper()
	write(t, path, text)
	if err := os.Chown(path, aliceUID, aliceUID); err != nil {
		t.Fatal(err)
	}
}

func (o *office) makes(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chown(dir, aliceUID, aliceUID)); err != nil {
		t.Fatal(err)
	}
}

// lock locks and unlocks, off-line too.
func (o *office) lock(t *testing.T) {
	a := o.alice
	a.dormer(t, "lock", "Office")
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if said := a.tries(ctx, t, "", "run", "Office", "hostname"); said.code == 0 || !strings.Contains(said.err, "locked") {
		t.Errorf("a locked workspace is used: %s", said)
	}
	if said := a.tries(ctx, t, "wrong\n", "unlock", "Office"); said.code == 0 {
		t.Errorf("a wrong password unlocks: %s", said)
	}
	a.types(t, o.domain.Password(t, "alice")+"\n", "unlock", "Office")
	a.runs(t, "Office", "hostname")
}

// saved stops the machine, whose state is kept, and goes on from there.
func (o *office) saved(t *testing.T) {
	exercised(t, "spec.machine.onStop", "spec.machine.revertible")
	a := o.alice
	before := a.runs(t, "Office", "boot")
	a.dormer(t, "run", "Office", "stay", "--detach")
	a.dormer(t, "stop", "Office")
	a.awaits(t, soon, "Office", "is stopped", func(w workspace) bool { return w.State != "running" && w.State != "stopping" })
	a.boots(t, "Office")
	if after := a.runs(t, "Office", "boot"); after != before {
		t.Errorf("the guest booted anew (%s, then %s) although its state was saved", before, after)
	}
	if events := a.delivered(t); count(events, 534, "") == 0 || count(events, 535, "") > 0 {
		t.Errorf("events of saving: %d, of dropping: %d", count(events, 534, ""), count(events, 535, ""))
	}
}

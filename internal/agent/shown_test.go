package agent

import (
	"errors"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/setup"
)

// TestWhatAWorkspaceShows: who works here sees whom to ask and what may be run,
// and runs nothing else; what is shown otherwise than the policy wants is told.
func TestWhatAWorkspaceShows(t *testing.T) {
	var ran *commands
	d := aWorkspace(t, "general: {supportContact: 'help@example.com', display: seamless}, applications: {published: ["+
		"{name: hello, description: Greets, command: /bin/hello 'a b'}, {name: hidden, enabled: false, command: /bin/hidden}]}", "",
		func(d *desk) { ran = d.commands() })
	d.startUp()
	w, ok := d.workspace()
	if !ok || w.Support != "help@example.com" || len(w.Applications) != 1 || w.Applications[0] != (agentapi.Application{Name: "hello", Description: "Greets"}) {
		t.Errorf("%+v", w)
	}
	if !strings.Contains(strings.Join(w.NotEnforced, " "), "spec.general.display") {
		t.Errorf("not told that it is not seamless: %v", w.NotEnforced)
	}
	if err := d.run("HELLO"); err != nil {
		t.Error(err)
	}
	if err := d.run("hidden"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("an application that is not enabled: %v", err)
	}
	if len(ran.ran) != 1 || strings.Join(ran.ran[0].Args, "|") != "/bin/hello|a b" {
		t.Errorf("ran %+v", ran.programs())
	}
	policymatrix.Exercised(t, policymatrix.Product, "spec.general.supportContact", "spec.general.display", "spec.applications.published[].name",
		"spec.applications.published[].enabled", "spec.applications.published[].description", "spec.applications.published[].command")
}

// TestRowsOfTheHost: the last row that the host reaches decides.
func TestRowsOfTheHost(t *testing.T) {
	d := aWorkspace(t, "performance: {memory: [{guest: 100MiB}, {host: 256MiB, guest: 200MiB}, {host: 1TiB, guest: 300MiB}], "+
		"processors: [{guest: 1}, {host: 4096, guest: 2}]}", "")
	d.startUp()
	got := d.host.Running()
	host := d.agent.host()
	if host.MemoryMiB < 256 || len(got) != 1 || got[0].Memory != 200 || got[0].Processors != 1 {
		t.Errorf("on %+v: %+v", host, got)
	}
	policymatrix.Exercised(t, policymatrix.Product, "spec.performance.memory[].host", "spec.performance.processors[].host")
}

// TestSetupOfCommands: a command may restart the guest itself, and mean success by
// another status than 0.
func TestSetupOfCommands(t *testing.T) {
	var ran *commands
	d := aWorkspace(t, aScript("retries: 1, mode: silent,", "{once: workspace, runCommand: {path: /bin/odd, successStatus: 3}}",
		"{runCommand: {path: /bin/reboots, causesRestart: true}}", "{runCommand: {path: /bin/last}}"), "",
		func(d *desk) { ran = d.commands() })
	ran.set(func(c *commands) { c.status["/bin/odd"] = 3 })
	d.act(agentapi.CommandStart)
	d.eventually("the command has run", func() bool { return len(ran.programs()) == 2 })
	d.never("it goes on before the guest has restarted", func() bool { return len(ran.programs()) > 2 })
	if s := d.setup(); s.State != string(setup.Running) || s.Step != 2 {
		t.Errorf("%+v", s)
	}
	if err := d.host.End(d.disks(), "restarted"); err != nil {
		t.Fatal(err)
	}
	d.awaitSetup(setup.Finished)
	if got := strings.Join(ran.programs(), " "); got != "/bin/odd /bin/reboots /bin/last" {
		t.Errorf("ran %s", got)
	}
	policymatrix.Exercised(t, policymatrix.Product, "spec.setup.actions[].runCommand.causesRestart", "spec.setup.actions[].runCommand.successStatus")
}

package policy

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryFieldIsEnforcedOrSaysWhyNot: docs/policy.md says of each field what
// clients do with it.
func TestEveryFieldIsEnforcedOrSaysWhyNot(t *testing.T) {
	all := Enforcements()
	if len(all) < 120 {
		t.Fatalf("only %d fields were seen", len(all))
	}
	seen := map[string]bool{}
	for _, f := range all {
		if seen[f.Path] {
			t.Errorf("%s is listed twice", f.Path)
		}
		seen[f.Path] = true
		if f.When == "" {
			t.Errorf("%s does not say when it takes effect", f.Path)
		}
		if (!f.Enforced || f.Only != nil) && f.Note == "" {
			t.Errorf("%s is not enforced and has no note that says what happens instead", f.Path)
		}
	}
	for _, path := range []string{
		"metadata.name", "spec.machine.guestUpdates.from", "spec.machine.dataDisk.size", "spec.setup.actions[].restart",
		"spec.setup.actions[].runCommand.onlyOnce", "spec.network.dns.servers", "grants[].usb", "grants[].sharedFolders[].access", "grants[].expires",
	} {
		if !seen[path] {
			t.Errorf("%s is not listed", path)
		}
	}
}

// TestEnforcedValuesExist: a tag names only values that the field may have.
func TestEnforcedValuesExist(t *testing.T) {
	text := string(Reference())
	for _, f := range Enforcements() {
		row := text[strings.Index(text, "| `"+f.Path+"` |"):]
		row = row[:strings.IndexByte(row, '\n')]
		for _, value := range f.Only {
			if strings.Count(row, value) < 2 {
				t.Errorf("%s is enforced for %q, which is no value of it: %s", f.Path, value, row)
			}
		}
	}
}

func TestNotEnforced(t *testing.T) {
	demo := example(t, "demo.yaml")
	e := Combine(demo.Spec, demo.Grants)
	if got := e.NotEnforced(); len(got) != 0 {
		t.Errorf("the demo sets %v", got)
	}
	yes, no := true, false
	demo.Spec.General.Display = DisplaySeamless
	demo.Spec.General.Frame.Show = &yes
	demo.Spec.Applications.Published[0].FileTypes = []string{"txt"}
	demo.Spec.Applications.Published[0].Shortcut = &no
	demo.Spec.Applications.Menus = []Menu{{Name: "Tools"}}
	demo.Spec.Web.Rules = []WebRule{{Domain: "corp.example.test", Open: OpenInGuest}}
	e = Combine(demo.Spec, demo.Grants)
	want := []string{
		"spec.general.display", "spec.general.frame.show", "spec.applications.published[].fileTypes", "spec.applications.menus[].name",
		"spec.web.rules[].domain", "spec.web.rules[].open",
	}
	if got := e.NotEnforced(); !slices.Equal(got, want) {
		t.Errorf("not enforced: %v, expected %v", got, want)
	}
	// What is only shown to people is no reason to refuse a start.
	if got := e.Requires(); len(got) != 0 {
		t.Errorf("requires %v", got)
	}
}

func TestAtNextStart(t *testing.T) {
	demo := example(t, "demo.yaml")
	before := Combine(demo.Spec, demo.Grants)
	if got := AtNextStart(&before, &before); got != nil {
		t.Errorf("nothing changed, and %v waits", got)
	}
	yes := true
	twoGiB, command := 2*GiB, "/usr/bin/true"
	demo.Spec.General.SupportContact = "help desk" // at once
	demo.Spec.General.HostCommand.Command = command
	demo.Spec.Network.Mode = NetworkNone
	demo.Spec.Performance.Memory = []MemoryRow{{Guest: &twoGiB}}
	demo.Spec.Applications.Published[1].StartWithWorkspace = &yes
	demo.Grants[0].Audio = &yes
	demo.Grants[0].Clipboard = DirectionBoth    // at once
	demo.Grants[0].USB = []USBClass{USBStorage} // at once
	after := Combine(demo.Spec, demo.Grants)
	want := []string{
		"spec.general.hostCommand.command", "spec.applications.published[].startWithWorkspace", "spec.network.mode",
		"spec.performance.memory[].host", "spec.performance.memory[].guest", "grants[].audio",
	}
	got := AtNextStart(&before, &after)
	got = slices.DeleteFunc(got, func(s string) bool { return s == "spec.performance.memory[].host" })
	want = slices.DeleteFunc(want, func(s string) bool { return s == "spec.performance.memory[].host" })
	if !slices.Equal(got, want) {
		t.Errorf("at next start: %v, expected %v", got, want)
	}
	// Another application is no change of those that there were.
	demo.Spec.Applications.Published = append(demo.Spec.Applications.Published, Application{Name: "third", Command: command})
	third := Combine(demo.Spec, demo.Grants)
	if got := AtNextStart(&after, &third); len(got) != 0 {
		t.Errorf("an application more, and %v waits", got)
	}
}

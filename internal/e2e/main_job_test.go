package e2e

import (
	"strings"
	"testing"
)

// The codes of events that tests look for (docs/events.md).
const (
	codeImageFailed    = 402
	codeBlockCorrupt   = 403
	codeImageRefused   = 404
	codeStarted        = 501
	codeStopped        = 502
	codeFailed         = 503
	codeAdopted        = 521
	codePaused         = 522
	codeResumed        = 523
	codeApplicationRun = 610
)

// journey is the main job: what an administrator and a user do on their first
// day, with a whole Debian in the machine.
func (s *suite) journey(t *testing.T) {
	image := s.instance.image(t, "system/1")
	if list := s.instance.admin.dormer(t, "image", "list"); !strings.Contains(list, image) {
		t.Errorf("the image is not in the list:\n%s", list)
	}
	d := s.newDesk(t)
	d.given(t, document{name: "Office", image: image, network: "nat"})
	d.boots(t, "Office")

	if got := d.runs(t, "Office", "hello"); !strings.HasPrefix(got, "Hello from ") {
		t.Errorf("hello printed %q", got)
	}
	d.expect(t, "Office", "note", "1")
	d.expect(t, "Office", "note", "2")
	if said := d.refused(t, "run", "Office", "no such"); !strings.Contains(said, "no application") {
		t.Errorf("an application that is not published: %s", said)
	}
	ctx := t.Context()
	if a := d.tries(ctx, t, "", "run", "Office", "false"); a.code != 1 || a.out != "" {
		t.Errorf("the exit status of an application is not that of the command: %s", a)
	}
	if w := d.workspace(t, "Office"); w.Image != "system/1" || w.State != "running" || !w.Ready {
		t.Errorf("the workspace: %+v", w)
	}
	processes := d.processes(t, "Office")
	d.dormer(t, "stop", "Office")
	gone(t, processes)

	events := d.delivered(t)
	once(t, events)
	for says, want := range map[string]int{"hello": 1, "note": 2, "false": 1} {
		if n := count(events, codeApplicationRun, says); n != want {
			t.Errorf("%s was run %d times, the report says %d", says, want, n)
		}
	}
	for _, code := range []int{codeStarted, codeStopped} {
		if n := count(events, code, ""); n != 1 {
			t.Errorf("event %d is in the report %d times", code, n)
		}
	}
	var status struct {
		Items []struct {
			User, Workspace, State, Image string
		}
	}
	parse(t, s.instance.admin.dormer(t, "report", "status", "--user", d.user, "--json"), &status)
	if rows := status.Items; len(rows) != 1 || rows[0].Workspace != "Office" || rows[0].Image != "system/1" {
		t.Errorf("report of the status: %+v", rows)
	}
}

// offline is work without the server: it is gone, and the agent starts anew.
func (s *suite) offline(t *testing.T) {
	d := s.newDesk(t)
	d.given(t, document{name: "Train", image: s.instance.image(t, "tiny/1")})
	d.boots(t, "Train")
	d.expect(t, "Train", "note", "1")
	d.dormer(t, "stop", "Train")
	d.delivered(t)

	s.instance.server.stop(t)
	d.daemon.kill()
	d.startAgent(t)
	d.boots(t, "Train")
	d.expect(t, "Train", "note", "2")
	d.expect(t, "Train", "note", "3")
	w := d.workspace(t, "Train")
	if !w.Permitted || w.OfflineLeft == nil || *w.OfflineLeft <= 0 || *w.OfflineLeft > 8*3600 {
		t.Errorf("off-line within the lease: %+v", w)
	}
	d.dormer(t, "stop", "Train")
	st := d.status(t)
	if st.Online || st.EventsWaiting == 0 {
		t.Errorf("the server is gone, the agent says: %+v", st)
	}

	s.instance.start(t)
	events := d.delivered(t)
	once(t, events)
	if n := count(events, codeApplicationRun, "note"); n != 3 {
		t.Errorf("3 notes were written, the report says %d", n)
	}
	if n := count(events, codeStarted, ""); n != 2 {
		t.Errorf("the workspace started twice, the report says %d", n)
	}
}

// secondVersion is an update of the image: clients fetch what changed, who
// starts from the image gets it, who keeps changes keeps working.
func (s *suite) secondVersion(t *testing.T) {
	exercised(t, "spec.machine.updates.mode", "spec.machine.image.name", "spec.machine.image.source", "spec.machine.revertible")
	i := s.instance
	i.image(t, "system/1")
	d := s.newDesk(t)
	before := i.wire.received.Load()
	version := map[string]string{
		"version": "/bin/sed -n s/VERSION=//p /etc/dormer-test.conf",
		"atlas":   shell("sha256sum </usr/local/share/dormer-test/atlas"),
	}
	d.given(t, document{name: "Kept", image: "system", apps: version})
	d.given(t, document{name: "Fresh", image: "system", revertible: true, apps: version})
	d.dormer(t, "start", "Kept", "--no-wait") // both at once: there are several processors
	for _, name := range []string{"Fresh", "Kept"} {
		d.boots(t, name)
		d.expect(t, name, "note", "1")
		d.expect(t, name, "change", "1")
		d.expect(t, name, "version", "1")
		d.dormer(t, "stop", name, "--kill")
	}
	first := i.wire.received.Load() - before

	before = i.wire.received.Load()
	old := d.packs(t)
	i.image(t, "system/2")
	d.dormer(t, "refresh")
	for _, name := range []string{"Fresh", "Kept"} {
		d.awaits(t, bootTime, name, "is offered the new version", func(w workspace) bool { return w.Update == "system/2" && w.Image == "system/1" })
	}
	d.dormer(t, "update", "Fresh")
	second := i.wire.received.Load() - before
	t.Logf("first version %.1f MB, second %.1f MB; %.1f MB of it new", float64(first)/1e6, float64(second)/1e6, float64(i.packed["system/2"].New)/1e6)
	if limit := i.packed["system/2"].New*5/4 + 1<<20; second > limit {
		t.Errorf("the second version moved %d bytes, more than %d", second, limit)
	}
	i.admin.dormer(t, "image", "delete", "system/1", "--yes")
	delete(i.packed, "system/1")
	if list := i.admin.dormer(t, "image", "show", "system"); strings.Contains(list, "system/1") {
		t.Errorf("the first version is still listed:\n%s", list)
	}
	d.dormer(t, "refresh")

	d.dormer(t, "start", "Kept", "--no-wait")
	d.boots(t, "Fresh")
	d.expect(t, "Fresh", "note", "2")   // the data disk stays
	d.expect(t, "Fresh", "change", "1") // what was changed in the system is gone
	d.expect(t, "Fresh", "version", "2")
	d.mended(t, "Fresh", "atlas", atlas(), old)
	d.dormer(t, "stop", "Fresh", "--kill")
	d.boots(t, "Kept")
	d.expect(t, "Kept", "note", "2")
	d.expect(t, "Kept", "change", "2") // without its user's choice it keeps its changes, and with them its version
	d.expect(t, "Kept", "version", "1")
	if kept, fresh := d.workspace(t, "Kept").Image, d.workspace(t, "Fresh").Image; kept != "system/1" || fresh != "system/2" {
		t.Errorf("the workspaces are said to be on %s and %s", kept, fresh)
	}
	d.dormer(t, "stop", "Kept", "--kill")
	d.dormer(t, "update", "Kept")
	d.boots(t, "Kept")
	d.expect(t, "Kept", "version", "2")
	d.expect(t, "Kept", "note", "3")   // the data disk stays
	d.expect(t, "Kept", "change", "1") // the machine layer is a new one
	d.dormer(t, "stop", "Kept", "--kill")
	// A client that comes now gets the second version whole.
	i.admin.dormer(t, "image", "verify", "system/2")
	events := d.delivered(t)
	once(t, events)
	if n := count(events, codeBlockCorrupt, "frame"); n != 1 {
		t.Errorf("damage was found once, the report says %d times", n)
	}
}

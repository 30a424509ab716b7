package e2e

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// agentKilled is kill -9 of the agent while a machine runs: the guest goes on
// and the next agent finds it.
func (s *suite) agentKilled(t *testing.T) {
	d := s.newDesk(t)
	d.given(t, document{name: "Desk", image: s.instance.image(t, "tiny/1"), network: "nat"})
	d.boots(t, "Desk")
	d.expect(t, "Desk", "note", "1")
	boot, processes := d.runs(t, "Desk", "boot"), d.processes(t, "Desk")

	d.daemon.kill()
	if said := d.refused(t, "run", "Desk", "hello"); !strings.Contains(said, "no agent") {
		t.Errorf("without an agent: %s", said)
	}
	for name, id := range processes {
		if !id.Alive() {
			t.Errorf("%s ended with the agent", name)
		}
	}
	d.startAgent(t)
	d.awaits(t, soon, "Desk", "is found again", func(w workspace) bool { return w.State == "running" && w.Ready })
	if got := d.runs(t, "Desk", "boot"); got != boot {
		t.Errorf("the guest was started anew: boot %s, before %s", got, boot)
	}
	d.expect(t, "Desk", "note", "2")
	d.dormer(t, "stop", "Desk")
	gone(t, processes)

	events := d.delivered(t)
	once(t, events)
	if n := count(events, codeAdopted, ""); n != 1 {
		t.Errorf("the machine was found again once, the report says %d times", n)
	}
	if n := count(events, codeStarted, ""); n != 1 {
		t.Errorf("the machine started once, the report says %d times", n)
	}
}

// serverKilled is kill -9 of the server amid events: none is lost or doubled.
func (s *suite) serverKilled(t *testing.T) {
	d := s.newDesk(t)
	d.given(t, document{name: "Busy", image: s.instance.image(t, "tiny/1")})
	d.boots(t, "Busy")

	// Applications run all the while; each is an event.
	var ran atomic.Int64
	var wg sync.WaitGroup
	enough := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
				}
				if a := d.tries(t.Context(), t, "", "run", "Busy", "boot"); a.code != 0 {
					t.Errorf("run: %s", a)
					return
				}
				ran.Add(1)
			}
		})
	}
	const kills = 4
	for range kills {
		more := ran.Load() + 8
		eventually(t, bootTime, "applications run", func() string {
			if ran.Load() < more && !t.Failed() {
				return "too few"
			}
			return ""
		})
		s.instance.server.kill()
		s.instance.start(t)
	}
	close(enough)
	wg.Wait()
	// And once more right behind a poll.
	d.tries(t.Context(), t, "", "refresh")
	s.instance.server.kill()
	s.instance.start(t)

	events := d.delivered(t)
	once(t, events)
	if n := count(events, codeApplicationRun, "boot"); n != int(ran.Load()) {
		t.Errorf("%d applications ran, the report says %d", ran.Load(), n)
	}
	t.Logf("%d events over %d kills", len(events), kills+1)
	d.dormer(t, "stop", "Busy", "--kill")
}

// machineKilled is kill -9 of the machine process and of QEMU.
func (s *suite) machineKilled(t *testing.T) {
	d := s.newDesk(t)
	d.given(t, document{name: "Lab", image: s.instance.image(t, "tiny/1"), network: "nat"})
	notes := []string{"1", "2", "3"}
	failures := 0
	for n, victim := range []string{"dormer-agent", "qemu-system"} {
		d.boots(t, "Lab")
		d.expect(t, "Lab", "note", notes[n])
		processes := d.processes(t, "Lab")
		named(t, processes, "passt")
		if err := named(t, processes, victim).Kill(); err != nil {
			t.Fatal(err)
		}
		w := d.awaits(t, soon, "Lab", "has failed", func(w workspace) bool { return w.State == "failed" })
		failures++
		if !strings.Contains(w.Error, "ended by itself") {
			t.Errorf("%s was killed; the workspace says %q", victim, w.Error)
		}
		t.Logf("%s was killed: %s", victim, w.Error)
		gone(t, processes)
	}
	began := time.Now()
	d.boots(t, "Lab")
	d.expect(t, "Lab", "note", notes[2])
	d.expect(t, "Lab", "change", "1")
	t.Logf("works again after %.1f s", time.Since(began).Seconds())
	d.dormer(t, "stop", "Lab")

	events := d.delivered(t)
	once(t, events)
	if n := count(events, codeFailed, ""); n != failures {
		t.Errorf("the machine failed %d times, the report says %d", failures, n)
	}
	if n := count(events, codeStarted, ""); n != failures+1 {
		t.Errorf("the machine started %d times, the report says %d", failures+1, n)
	}
}

// cutDownload is kill -9 of agent and server while an image is on its way: it
// goes on where it ended, and no half of it is started.
func (s *suite) cutDownload(t *testing.T) {
	w := s.instance.wire
	image := s.instance.image(t, "tiny/1")
	d := s.newDesk(t)
	before := w.received.Load()
	cut := func(after int64) (release func()) {
		release = w.stallAfter(after)
		t.Cleanup(release)
		return release
	}
	stalled := func(release int64) {
		eventually(t, soon, "the download stalls", func() string {
			if w.received.Load()-before < release {
				return "it goes on"
			}
			return ""
		})
	}

	release := cut(5 << 20)
	d.apply(t, document{name: "Slow", image: image})
	d.dormer(t, "refresh")
	stalled(5 << 20)
	if got := d.awaits(t, soon, "Slow", "is on its way", func(w workspace) bool { return w.State == "downloading" }); got.Image != "tiny/1" {
		t.Errorf("while the image comes: %+v", got)
	}
	d.daemon.kill()
	release()

	release = cut(5 << 20)
	d.startAgent(t)
	stalled(10 << 20)
	s.instance.server.kill()
	release()
	if len(d.machineFolders()) > 0 {
		t.Error("a machine was made of half an image")
	}
	s.instance.start(t)
	d.boots(t, "Slow")
	d.expect(t, "Slow", "note", "1")
	d.dormer(t, "stop", "Slow", "--kill")
	size := s.instance.packed["tiny/1"].New
	if moved := w.received.Load() - before; moved > size*5/4 {
		t.Errorf("%d bytes moved for an image of %d", moved, size)
	}
	once(t, d.delivered(t))
}

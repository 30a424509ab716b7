package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire"
)

// endless gives the same bytes as long as somebody reads.
func endless(w http.ResponseWriter, some string) {
	for {
		if _, err := io.WriteString(w, some); err != nil {
			return
		}
	}
}

// What a guest answers on channels is bounded, and one that does not answer holds
// up nobody but who asked.
func TestHostileGuest(t *testing.T) {
	d := readyDesk(t, func(p *policy.Effective) {
		both(&p.Deployment)
		p.Deployment.Clipboard = policy.DirectionBoth
	})
	serve := map[guestwire.Channel]http.HandlerFunc{}
	d.host.SetChannel(guestwire.ChannelFiles, func(_ hypervisor.Spec, conn io.ReadWriteCloser) {
		guestwire.ServeHTTP(t.Context(), guestwire.Stream(conn, guestwire.ChannelFiles), serve[guestwire.ChannelFiles])
	})
	d.host.SetChannel(guestwire.ChannelClipboard, func(_ hypervisor.Spec, conn io.ReadWriteCloser) {
		guestwire.ServeHTTP(t.Context(), guestwire.Stream(conn, guestwire.ChannelClipboard), serve[guestwire.ChannelClipboard])
	})
	serve[guestwire.ChannelFiles] = func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case guestwire.FilesList:
			_, _ = io.WriteString(w, "[")
			endless(w, strings.Repeat(`{"name":"../../x","kind":"file"},`, 100))
		case guestwire.FilesRead:
			w.Header().Set("Big", strings.Repeat("x", 20<<20))
		default:
			<-r.Context().Done() // no answer at all
		}
	}
	serve[guestwire.ChannelClipboard] = func(w http.ResponseWriter, _ *http.Request) { endless(w, strings.Repeat("x", 1<<16)) }
	d.anna("words")
	d.poll()
	if err := d.startMachine(); err != nil {
		t.Fatal(err)
	}
	which := string(d.machine().id)

	silent, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		_, err := d.agent.File(silent, here(), which, "x")
		over <- err
	}()
	if _, err := d.agent.FilesIn(t.Context(), here(), which, "."); !errors.Is(err, dormer.ErrCorrupt) && !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("a folder without an end: %v", err)
	}
	if _, _, err := d.agent.ReceiveFile(t.Context(), here(), which, agentapi.ReceiveRequest{Path: "a", Target: "a"}); err == nil {
		t.Error("headers without an end are taken")
	}
	if _, err := d.agent.Clipboard(t.Context(), here(), which); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("a clipboard without an end: %v", err)
	}
	cancel()
	select {
	case err := <-over:
		if err == nil {
			t.Error("a guest that says nothing has answered")
		}
	case <-time.After(patience):
		t.Error("who asked a silent guest cannot go")
	}
}

// While one guest does not open a channel, the channels of others open.
func TestChannelsApart(t *testing.T) {
	var l links
	one, other := link{channel: guestwire.ChannelFiles}, link{channel: guestwire.ChannelClipboard}
	d := aWorkspace(t, "", "")
	d.startUp()
	one.vm, other.vm = d.machine().machineNow(), d.machine().machineNow()
	held := l.askingOn(one)
	held.turn <- struct{}{}
	select {
	case l.askingOn(other).turn <- struct{}{}:
	default:
		t.Error("one holds up the other")
	}
	if l.askingOn(one) != held {
		t.Error("the place of a connection is not kept")
	}
	d.act(agentapi.CommandKill)
	<-one.vm.Done()
	if l.askingOn(link{one.vm, guestwire.ChannelPrint}); len(l.asking) != 1 {
		t.Errorf("%d connections of a machine that has ended are kept", len(l.asking))
	}
}

// An event as long as a poll does not keep all events from the server.
func TestLongEvent(t *testing.T) {
	d := aWorkspace(t, "", "")
	m := d.machine()
	m.mu.Lock()
	m.status.Guest.Hostname = strings.Repeat("x", wire.MaxBody)
	m.mu.Unlock()
	d.agent.tell(event.New(event.FileRefused, d.now(), strings.Repeat("x", wire.MaxBody)), m)
	d.agent.tell(event.New(event.FileSent, d.now(), "after it"), m)
	d.poll()
	d.poll()
	sent := false
	d.house.set(func(h *house) {
		for _, text := range h.texts {
			sent = sent || strings.HasSuffix(text, "after it")
			if len(text) > wire.MaxDescription {
				t.Errorf("a description of %d bytes", len(text))
			}
		}
	})
	if !sent {
		t.Error("the event after it has not come")
	}
}

// The server is told of as many fields as it takes.
func TestReportFits(t *testing.T) {
	d := aWorkspace(t, "", "")
	m := d.machine()
	m.mu.Lock()
	m.waiting = make([]string, 300)
	for i := range m.waiting {
		m.waiting[i] = fmt.Sprintf("setup.actions[%d]", i)
	}
	m.mu.Unlock()
	if s := m.report(d.agent.clock.Read()); len(s.AtNextStart) != maxFields {
		t.Errorf("%d fields are told", len(s.AtNextStart))
	}
}

// A guest that gives another reason each time does not fill the journal.
func TestArrangeTold(t *testing.T) {
	d := aWorkspace(t, "", "")
	told := 0
	for i := range 10 * maxTellings {
		if d.machine().arrangeFails("clock", fmt.Errorf("reason %d: %w", i, dormer.ErrUnavailable)) {
			told++
		}
		d.machine().arrangeWorks("clock")
	}
	if told != maxTellings {
		t.Errorf("told %d times", told)
	}
}

// One user's overrides leave room for another's.
func TestOverridesOfOne(t *testing.T) {
	d := aWorkspace(t, "", "fileTransfer: {direction: both, mayOverride: true}")
	var err error
	for range maxOverrides + 1 {
		_, err = d.agent.Override(t.Context(), anne, "Office", agentapi.OverrideRequest{})
	}
	if !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("one more: %v", err)
	}
	d.agent.links.mu.Lock()
	for token, o := range d.agent.links.granted {
		o.uid++
		d.agent.links.granted[token] = o
	}
	d.agent.links.mu.Unlock()
	if _, err := d.agent.Override(t.Context(), anne, "Office", agentapi.OverrideRequest{}); err != nil {
		t.Errorf("when they are another's: %v", err)
	}
}

// Nothing of a machine is another user's, not even that it is there.
func TestMachineOfAnotherUser(t *testing.T) {
	d := aWorkspace(t, "", "fileTransfer: {direction: both, mayOverride: true}, clipboard: both, usb: [storage]")
	d.startUp()
	a, ctx, bob := d.agent, t.Context(), agentapi.Peer{UID: annesUID + 1}
	for _, which := range []string{"Office", string(annesMachine)} {
		for name, ask := range map[string]func() error{
			"start": func() error { _, err := a.Act(ctx, bob, which, agentapi.CommandStart); return err },
			"kill":  func() error { _, err := a.Act(ctx, bob, which, agentapi.CommandKill); return err },
			"run": func() error {
				_, err := a.RunApplication(ctx, bob, which, agentapi.RunRequest{Application: "x"})
				return err
			},
			"lock": func() error { _, err := a.Lock(ctx, bob, which); return err },
			"unlock": func() error {
				_, err := a.Unlock(ctx, bob, which, agentapi.UnlockRequest{Secret: annesWord})
				return err
			},
			"update":     func() error { _, err := a.Update(ctx, bob, which, agentapi.UpdateRequest{Back: true}); return err },
			"setup":      func() error { _, err := a.Setup(ctx, bob, which); return err },
			"cancel":     func() error { _, err := a.ActSetup(ctx, bob, which, agentapi.SetupCancel); return err },
			"look":       func() error { _, err := a.File(ctx, bob, which, "x"); return err },
			"list":       func() error { _, err := a.FilesIn(ctx, bob, which, "x"); return err },
			"folder":     func() error { return a.MakeFolder(ctx, bob, which, "x") },
			"staged":     func() error { _, err := a.StagedFile(ctx, bob, which, agentapi.SendRequest{}); return err },
			"send":       func() error { return a.SendFile(ctx, bob, which, agentapi.SendRequest{}, strings.NewReader("")) },
			"receive":    func() error { _, _, err := a.ReceiveFile(ctx, bob, which, agentapi.ReceiveRequest{}); return err },
			"received":   func() error { return a.Received(ctx, bob, which, agentapi.ReceivedRequest{}) },
			"override":   func() error { _, err := a.Override(ctx, bob, which, agentapi.OverrideRequest{}); return err },
			"clipboard":  func() error { _, err := a.Clipboard(ctx, bob, which); return err },
			"set it":     func() error { return a.SetClipboard(ctx, bob, which, nil) },
			"USB device": func() error { _, err := a.OpenUSB(ctx, bob, which); return err },
		} {
			if err := ask(); !errors.Is(err, dormer.ErrNotFound) {
				t.Errorf("%s of %s: %v", name, which, err)
			}
		}
	}
	if d.running() != 1 || d.machine().locked() {
		t.Error("something was done")
	}
}

// What a policy takes away goes although the first attempt fails.
func TestChangeIsTriedAgain(t *testing.T) {
	d := aWorkspace(t, "", "clipboard: both")
	d.startUp()
	tries := 0
	d.host.FailApply(func(hypervisor.Spec) error {
		if tries++; tries < 4 {
			return errBrokenGuest
		}
		return nil
	})
	d.changePolicy(2, "", "")
	d.eventually("the channel is gone", func() bool { return len(d.host.Running()[0].Channels) == 0 })
}

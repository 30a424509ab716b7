package agent

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

// deliveredTo makes the house note the deliveries that the last poll brought; it
// takes them when take says so.
func deliveredTo(h *house, take *bool) *[]wire.Delivery {
	var got []wire.Delivery
	h.answer = func(q wire.PollRequest, a *wire.PollAnswer) {
		got = q.Deliveries
		if *take {
			a.DeliveriesTaken = len(q.Deliveries)
		}
	}
	return &got
}

// TestDeliveries: a fetch that is cut, by the end of the agent too, counts once
// and with what was there before its first attempt; the server is told until it
// has taken it, and never again.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	var (
		got  *[]wire.Delivery
		take bool
	)
	var attempts atomic.Int32
	present := int64(100)
	images := &someImages{have: map[dormer.ImageID]bool{}, data: map[dormer.ImageID]string{}}
	images.fetch = func(f Fetch) error {
		attempt := attempts.Add(1)
		f.Progress(present, 1_000_000)
		if attempt < 3 {
			present += 300_000 // it goes on from there
			f.Progress(present, 1_000_000)
			return fmt.Errorf("the network is away: %w", dormer.ErrUnavailable)
		}
		f.Progress(1_000_000, 1_000_000)
		return nil
	}
	d := aWorkspace(t, "", "", func(d *desk) {
		d.images = images
		d.house.none = true // until the machine is wanted
		got = deliveredTo(d.house, &take)
	})
	taken := func() []wire.Delivery {
		d.house.mu.Lock()
		defer d.house.mu.Unlock()
		return slices.Clone(*got)
	}
	d.house.set(func(h *house) { h.none = false })
	d.poll()
	d.eventually("the first attempt", func() bool { return attempts.Load() >= 1 })
	d.restart()
	d.poll()
	d.eventually("the image is here", func() bool {
		if !images.Has("sha256:0") {
			d.poll() // a fetch that failed is tried again then
		}
		return images.Has("sha256:0")
	})
	d.await("ready", func(w agentapi.Workspace) bool { return w.State == "ready" })
	want := wire.Delivery{Image: "sha256:0", Size: 1_000_000, Fetched: 999_900}
	told := func(what string) wire.Delivery {
		t.Helper()
		d.poll()
		list := taken()
		if diff := cmp.Diff([]wire.Delivery{want}, list, cmpopts.IgnoreFields(wire.Delivery{}, "Finished")); diff != "" {
			t.Fatalf("%s, the server is told (-want +got):\n%s", what, diff)
		}
		return list[0]
	}
	first := told("once it is here")
	d.restart()
	if again := told("after a restart of the agent"); !again.Finished.Equal(first.Finished) || first.Finished.IsZero() {
		t.Errorf("it is another one: finished %s, then %s", first.Finished, again.Finished)
	}
	d.house.set(func(*house) { take = true })
	told("when the server takes it")
	for range 2 {
		d.poll()
		if list := taken(); len(list) > 0 {
			t.Errorf("the server is told again: %+v", list)
		}
		d.restart()
	}
	d.house.mu.Lock()
	defer d.house.mu.Unlock()
	if !slices.ContainsFunc(d.house.texts, func(s string) bool { return strings.HasSuffix(s, "office/1: 1.0 MB of 1.0 MB came over the network") }) {
		t.Errorf("no event says what was fetched: %s", strings.Join(d.house.texts, "; "))
	}
}

// TestMendedIsNoDelivery: what is brought again because it was damaged is none,
// even if that fails at first.
func TestMendedIsNoDelivery(t *testing.T) {
	t.Parallel()
	images := &someImages{have: map[dormer.ImageID]bool{}, data: map[dormer.ImageID]string{}}
	var away atomic.Bool
	images.fetch = func(f Fetch) error {
		f.Progress(7, 10)
		if away.Load() {
			return fmt.Errorf("the network is away: %w", dormer.ErrUnavailable)
		}
		return nil
	}
	d := aWorkspace(t, "", "", func(d *desk) { d.images = images })
	count := func() int {
		d.agent.mu.Lock()
		defer d.agent.mu.Unlock()
		return len(d.agent.deliveries.Waiting)
	}
	if n := count(); n != 1 {
		t.Fatalf("%d deliveries wait, want 1", n)
	}
	m := d.machine()
	away.Store(true)
	if err := m.mend(t.Context()); err == nil {
		t.Error("it was mended although the network is away")
	}
	away.Store(false)
	images.mu.Lock()
	delete(images.have, "sha256:0")
	images.mu.Unlock()
	if err := m.Fetch(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := m.mend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d deliveries wait after it was mended, want 1", n)
	}
	d.mustTell(event.ImageFinished, 3)
}

// TestDeliveriesAreBounded: of those that a server never takes the newest are
// kept, and few are sent at once; what was whole when the agent was killed
// counts.
func TestDeliveriesAreBounded(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range maxWaiting + 50 {
		id := dormer.ImageID(fmt.Sprint("sha256:", i))
		d.agent.deliveryBegins(begunDelivery{Image: id, Size: 10, Present: 4})
		d.agent.deliveryEnds(id)
	}
	for i := range maxBegun + 1 {
		d.agent.deliveryBegins(begunDelivery{Image: dormer.ImageID(fmt.Sprint("begun ", i)), Size: 10})
	}
	d.images = &someImages{have: map[dormer.ImageID]bool{"begun 0": true, "begun 9": true}}
	d.restart()
	d.agent.mu.Lock()
	defer d.agent.mu.Unlock()
	have := d.agent.deliveries
	if n, last := len(have.Waiting), have.Waiting[len(have.Waiting)-1]; n != maxWaiting || last.Image != "begun 9" {
		t.Errorf("%d wait, the last of them %+v", n, last)
	}
	if first := have.Waiting[0].Image; first != "sha256:51" {
		t.Errorf("the oldest that waits is %s", first)
	}
	if len(have.Begun) != maxBegun-1 {
		t.Errorf("%d are begun", len(have.Begun))
	}
	a, t0 := d.agent, d.agent.trust
	a.mu.Unlock()
	r, _, err := a.request(t0)
	a.mu.Lock()
	if err != nil || len(r.Deliveries) != wire.MaxDeliveries {
		t.Errorf("%d are sent at once (%v)", len(r.Deliveries), err)
	}
}

// TestDeliveriesThatAreLost: an agent whose figures cannot be read starts without
// them, and notes others.
func TestDeliveriesThatAreLost(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		name  string
		spoil func(path string) error
	}{
		{"no JSON", func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) }},
		{"of another form", func(path string) error { return os.WriteFile(path, []byte(`{"waiting":[{}],"begun":7}`), 0o600) }},
		{"too large", func(path string) error { return os.Truncate(path, maxStateFile+1) }},
	} {
		id := dormer.ImageID(c.name)
		d.agent.deliveryBegins(begunDelivery{Image: id, Size: 10})
		d.agent.deliveryEnds(id)
		if err := c.spoil(d.agent.state.path(FileDeliveries)); err != nil {
			t.Fatal(err)
		}
		d.restart()
		d.agent.mu.Lock()
		have := d.agent.deliveries
		d.agent.mu.Unlock()
		if len(have.Begun)+len(have.Waiting) > 0 {
			t.Errorf("%s: there is %+v", c.name, have)
		}
	}
	d.agent.deliveryBegins(begunDelivery{Image: "sha256:0", Size: 10})
	d.agent.deliveryEnds("sha256:0")
	d.restart()
	d.agent.mu.Lock()
	defer d.agent.mu.Unlock()
	if n := len(d.agent.deliveries.Waiting); n != 1 {
		t.Errorf("%d wait afterwards, want 1", n)
	}
}

// TestDeliveryOfAnother: who is enrolled with another instance does not tell it
// of images that the one before gave.
func TestDeliveryOfAnother(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.agent.deliveryBegins(begunDelivery{Image: "sha256:0", Size: 10})
	d.agent.deliveryEnds("sha256:0")
	token := enroll.Invitation{URL: d.house.url, Authority: enroll.SystemAuthority, Secret: strings.Repeat("A", 43)}.String()
	if err := d.agent.Enrol(t.Context(), agentapi.Peer{}, agentapi.EnrolRequest{JoinToken: token, Again: true}); err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.agent.mu.Lock()
	defer d.agent.mu.Unlock()
	if n := len(d.agent.deliveries.Waiting); n != 0 {
		t.Errorf("%d wait", n)
	}
}

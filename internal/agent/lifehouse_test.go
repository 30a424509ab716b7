package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire"
)

// someImages is a store in memory that fetches at once.
type someImages struct {
	mu   sync.Mutex // guards the fields below
	have map[dormer.ImageID]bool
	// data are the labels of the data convention; an image that is not here has
	// the label "data", one with "" has none.
	data map[dormer.ImageID]string
	// fetch, where it is not nil, says how a fetch ends, and how it went on.
	fetch func(Fetch) error
}

func (s *someImages) Has(id dormer.ImageID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.have[id]
}

func (s *someImages) Fetch(_ context.Context, id dormer.ImageID, f Fetch) error {
	s.mu.Lock()
	fetch := s.fetch
	s.mu.Unlock()
	if fetch != nil { // it reports progress: whoever hears of it may ask for what is here
		if err := fetch(f); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have[id] = true
	return nil
}

func (s *someImages) Size() (int64, error) { return 1 << 20, nil }

func (s *someImages) Verify(context.Context, dormer.ImageID) error { return nil }

func (s *someImages) Collect(_ context.Context, keep []dormer.ImageID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.have {
		if !slices.Contains(keep, id) {
			delete(s.have, id)
		}
	}
	return nil
}

func (s *someImages) Describe(_ context.Context, id dormer.ImageID, _ *imageformat.RepositoryKey, _ string) (Hardware, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.have[id] {
		return Hardware{}, errNoImage
	}
	hw := Hardware{Base: []hypervisor.DiskSource{{Image: &hypervisor.ImageDisk{Store: "/store", Image: id}}}, Firmware: hypervisor.FirmwareBIOS}
	label, ok := s.data[id]
	if !ok {
		label = "data"
	}
	if label != "" {
		hw.Data = &imageformat.DataConvention{Label: label, MountPoint: "/data"}
	}
	return hw, nil
}

// aWorkspace is a computer with an agent, anne signed in and her workspace, whose
// spec is the text, and what her grant adds.
func aWorkspace(t *testing.T, spec, grant string, before ...func(*desk)) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), began: time.Now(), booted: time.Hour, managed: true, quick: true}
	d.host, d.images = fake.NewHost(time.Now), &someImages{have: map[dormer.ImageID]bool{}, data: map[dormer.ImageID]string{}}
	d.house = newHouse(t, d.now)
	d.setPolicy(spec, grant)
	for _, f := range before {
		f(d)
	}
	d.start()
	t.Cleanup(func() { d.stop() })
	d.enrol()
	d.signIn(agentapi.SignInRequest{User: "anne", Password: annesWord})
	if !d.house.none {
		d.await("ready", func(w agentapi.Workspace) bool { return w.State == "ready" })
	}
	return d
}

// policyOfText is an effective policy: what is given of machine, other parts of
// the spec and one grant, each in the flow style of YAML.
func policyOfText(t *testing.T, spec, grant string) policy.Effective {
	t.Helper()
	if !strings.Contains(spec, "image:") {
		if spec == "" {
			spec = "machine: {image: {name: office}}"
		} else {
			spec = strings.Replace(spec, "machine: {", "machine: {image: {name: office}, ", 1)
		}
	}
	if !strings.Contains(spec, "machine:") {
		spec = "machine: {image: {name: office}}, " + spec
	}
	if grant != "" {
		grant = ", " + grant
	}
	text := "{apiVersion: dormer/v1, kind: Workspace, metadata: {name: Office}, spec: {" + spec + "}, " +
		"grants: [{principal: {kind: user, name: anne, key: anne}" + grant + "}]}"
	doc, err := policy.Decode([]byte(text), "office.yaml")
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return policy.Combine(doc.Spec, doc.Grants)
}

func (d *desk) setPolicy(spec, grant string) {
	p := policyOfText(d.t, spec, grant)
	d.house.set(func(h *house) { h.policy = p })
}

// changePolicy makes it the next revision and lets the agent poll.
func (d *desk) changePolicy(revision dormer.Revision, spec, grant string) {
	d.t.Helper()
	d.setPolicy(spec, grant)
	d.terms(func(l *lease.Lease) { l.PolicyRevision = revision })
}

// terms adds to what leases say, and lets the agent poll.
func (d *desk) terms(change func(*lease.Lease)) {
	d.t.Helper()
	d.house.set(func(h *house) {
		before := h.terms
		h.terms = func(l *lease.Lease) {
			if before != nil {
				before(l)
			}
			change(l)
		}
	})
	d.poll()
}

func (d *desk) poll() {
	d.t.Helper()
	if err := d.agent.pollNow(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) away(away bool) { d.house.set(func(h *house) { h.away = away }) }

var anne = agentapi.Peer{UID: annesUID}

const annesMachine = dormer.MachineID("aaaaaaaaaaaaaaaaaaaaaaaaaa")

func (d *desk) workspace() (agentapi.Workspace, bool) {
	all, err := d.agent.Workspaces(d.t.Context(), anne)
	if err != nil || len(all) != 1 {
		return agentapi.Workspace{}, false
	}
	return all[0], true
}

// machine is anne's.
func (d *desk) machine() *machine {
	d.t.Helper()
	d.agent.mu.Lock()
	defer d.agent.mu.Unlock()
	m := d.agent.machines[annesMachine]
	if m == nil {
		d.t.Fatal("there is no machine")
	}
	return m
}

// disks are where her machine is known to the host.
func (d *desk) disks() string { return d.machine().disks() }

func (d *desk) guest() fake.Guest {
	g, err := d.host.Guest(d.disks())
	if err != nil {
		return fake.Guest{}
	}
	return g
}

// patience bounds each wait of these tests.
const patience = 20 * time.Second

// eventually waits until something is so.
func (d *desk) eventually(what string, is func() bool) {
	d.t.Helper()
	limit := max(d.patience, patience)
	ctx, cancel := context.WithTimeout(d.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w, _ := d.workspace()
			d.t.Fatalf("not within %s: %s; the workspace is %+v", limit, what, w)
		}
	}
}

// never watches for a while that nothing changes: several looks of the agent.
func (d *desk) never(what string, is func() bool) {
	d.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 15 {
		if is() {
			d.t.Fatalf("it happened: %s", what)
		}
		<-tick.C
	}
}

func (d *desk) await(what string, is func(agentapi.Workspace) bool) agentapi.Workspace {
	d.t.Helper()
	var w agentapi.Workspace
	d.eventually(what, func() bool {
		var ok bool
		w, ok = d.workspace()
		return ok && is(w)
	})
	return w
}

func (d *desk) awaitState(state string) agentapi.Workspace {
	d.t.Helper()
	return d.await(state, func(w agentapi.Workspace) bool { return w.State == state })
}

func (d *desk) act(c agentapi.Command) {
	d.t.Helper()
	if _, err := d.agent.Act(d.t.Context(), anne, "Office", c); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) run(application string) error {
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	_, err := d.agent.RunApplication(ctx, anne, "Office", agentapi.RunRequest{Application: application})
	return err
}

// startUp starts the workspace and waits until its guest is arranged.
func (d *desk) startUp() {
	d.t.Helper()
	d.act(agentapi.CommandStart)
	d.await("running", func(w agentapi.Workspace) bool { return w.State == "running" && w.Ready })
	d.awaitArranged()
}

func (d *desk) awaitArranged() {
	d.t.Helper()
	m := d.machine()
	d.eventually("the guest is arranged", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.arranged.passed
	})
}

// told counts the events of a code, those that were not sent yet among them.
func (d *desk) told(code event.Code) int {
	d.t.Helper()
	n := 0
	d.agent.mu.Lock()
	journal := d.agent.journal
	d.agent.mu.Unlock()
	if journal == nil {
		return 0
	}
	_, events, err := journal.Next(0, wire.MaxEventsPerPoll)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range events {
		if e.Event.Code == int(code) {
			n++
		}
	}
	return n
}

func (d *desk) mustTell(code event.Code, times int) {
	d.t.Helper()
	d.eventually("an event", func() bool { return d.told(code) >= times })
	if n := d.told(code); n != times {
		d.t.Errorf("event %d was told %d times, want %d", code, n, times)
	}
}

func (d *desk) running() int { return len(d.host.Running()) }

// order gives the agent an order.
func (d *desk) order(id string, kind lease.OrderKind, grace *int64) {
	d.t.Helper()
	o := lease.Order{
		Version: lease.Version, ID: id, Instance: houseInstance, Client: houseClient, Machine: annesMachine, Kind: kind,
		Reason: "for the test", IssuedAt: d.now(), Grace: grace,
	}
	d.house.set(func(h *house) {
		before := h.answer
		h.answer = func(q wire.PollRequest, a *wire.PollAnswer) {
			if before != nil {
				before(q, a)
			}
			done := slices.ContainsFunc(q.OrdersRun, func(r wire.OrderResult) bool { return r.Order == id })
			if e, err := o.Sign(h.key); err == nil && !done {
				a.Orders = append(a.Orders, e)
			}
		}
	})
	d.poll()
}

// wallOnly sets the wall clock ahead, or back, of everything else.
func (d *desk) wallOnly(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.passed += by
}

// withdraw takes the lease away.
func (d *desk) withdraw(why string) {
	d.t.Helper()
	d.house.set(func(h *house) {
		h.none = true
		h.answer = func(_ wire.PollRequest, a *wire.PollAnswer) {
			a.Withdrawn = []wire.Withdrawal{{Machine: annesMachine, Reason: why}}
		}
	})
	d.poll()
}

// sleeper is a host that sleeps when the test says so.
type sleeper struct {
	watched chan func(bool)
	tell    func(bool)
}

func newSleeper() *sleeper { return &sleeper{watched: make(chan func(bool), 1)} }

// watch is the WatchSleep of an agent.
func (s *sleeper) watch(ctx context.Context, changed func(bool)) error {
	s.watched <- changed
	<-ctx.Done()
	return nil
}

// sleeps waits until the agent watches, and tells it.
func (s *sleeper) sleeps(sleeping bool) {
	if s.tell == nil {
		s.tell = <-s.watched
	}
	s.tell(sleeping)
}

// aNetwork is a host's network that changes when the test says so.
func aNetwork(into *func(HostNetwork), first HostNetwork) func(context.Context, func(HostNetwork)) error {
	return func(ctx context.Context, changed func(HostNetwork)) error {
		*into = changed
		changed(first)
		<-ctx.Done()
		return nil
	}
}

func zoneAnswer(zone string) func(wire.PollRequest, *wire.PollAnswer) {
	return func(_ wire.PollRequest, a *wire.PollAnswer) { a.TimeZone = zone }
}

// breakGuest makes guests fail at a request, and returns how often they were
// asked.
func (d *desk) breakGuest(method guestwire.Method) func() int {
	var mu sync.Mutex
	n := 0
	d.host.SetAsk(func(_ context.Context, _ hypervisor.Spec, m guestwire.Method, _ []byte) (any, error, bool) {
		if m != method {
			return nil, nil, false
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		return nil, errBrokenGuest, true
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

var errBrokenGuest = fmt.Errorf("this guest is broken: %w", dormer.ErrUnavailable)

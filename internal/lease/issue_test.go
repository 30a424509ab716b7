package lease

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

func testEscrow(t *testing.T, instance dormer.InstanceID, fill byte) escrow {
	t.Helper()
	e, err := newEscrow(instance, bytes.Repeat([]byte{fill}, EscrowKeySize), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEscrow(t *testing.T) {
	e, key := testEscrow(t, "one", 1), bytes.Repeat([]byte{5}, DiskKeySize)
	b, err := e.put("m1", key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.open("m1", b); err != nil || !bytes.Equal(got, key) {
		t.Errorf("escrowed key comes back as %x, %v", got, err)
	}
	if bytes.Contains(b, key) {
		t.Error("the key is stored in the clear")
	}
	refuse := func(name string, e escrow, m dormer.MachineID, b []byte) {
		t.Helper()
		if _, err := e.open(m, b); !errors.Is(err, dormer.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refuse("another machine", e, "m2", b)
	refuse("another instance", testEscrow(t, "two", 1), "m1", b)
	refuse("another key", testEscrow(t, "one", 2), "m1", b)
	refuse("nothing", e, "m1", nil)
	for i := range b {
		changed := bytes.Clone(b)
		changed[i] ^= 0x40
		refuse("changed bit", e, "m1", changed)
		refuse("cut", e, "m1", b[:i])
	}
	if _, err := newEscrow("one", make([]byte, 16), rand.Reader); err == nil {
		t.Error("a short escrow key is taken")
	}
}

func TestSerials(t *testing.T) {
	i := &Issuer{cfg: IssuerConfig{Interval: time.Minute}}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	clock := uint64(now.UnixMicro())
	for _, test := range []struct {
		name          string
		issued, heard uint64
		want          uint64
	}{
		{"the clock", 0, 0, clock},
		{"after one of the same moment", clock, clock, clock + 1},
		{"the server's clock was set back", clock + 5_000_000, 0, clock + 5_000_001},
		{"and it was restarted", 0, clock + 5_000_000, clock + 5_000_001},
		{"a client that invents numbers", 0, 1<<64 - 1, clock},
	} {
		m := &machineRecord{serial: test.issued}
		l := i.lease(m, wire.MachineState{Serial: test.heard}, dormer.Principal{}, &Entitlement{}, now)
		if l.Serial != test.want {
			t.Errorf("%s: serial %d, expected %d", test.name, l.Serial, test.want)
		}
	}
}

func TestSameTerms(t *testing.T) {
	at, other := time.Unix(1, 0), time.Unix(2, 0)
	hour, day := time.Hour, 24*time.Hour
	base := Entitlement{Workspace: "w", WorkspaceName: "n", Revision: 1, PolicyHash: "h", Image: "i", ImageName: "i/1", RepositoryKey: "k", ValidUntil: &at, Offline: &hour, Requires: []string{"usb"}}
	for name, change := range map[string]func(*Entitlement){
		"name":         func(e *Entitlement) { e.WorkspaceName = "x" },
		"revision":     func(e *Entitlement) { e.Revision = 2 },
		"policy":       func(e *Entitlement) { e.PolicyHash = "x" },
		"image":        func(e *Entitlement) { e.Image = "x" },
		"image name":   func(e *Entitlement) { e.ImageName = "x" },
		"key":          func(e *Entitlement) { e.RepositoryKey = "x" },
		"end":          func(e *Entitlement) { e.ValidUntil = &other },
		"no end":       func(e *Entitlement) { e.ValidUntil = nil },
		"budget":       func(e *Entitlement) { e.Offline = &day },
		"no budget":    func(e *Entitlement) { e.Offline = nil },
		"requirements": func(e *Entitlement) { e.Requires = nil },
	} {
		changed := base
		change(&changed)
		if sameTerms(&base, &changed) || sameTerms(&changed, &base) {
			t.Errorf("%s: a change is not seen", name)
		}
	}
	again := base
	end, budget := at.In(time.FixedZone("x", 3600)), time.Hour
	again.ValidUntil, again.Offline, again.Requires = &end, &budget, []string{"usb"}
	if !sameTerms(&base, &again) {
		t.Error("the same terms, prepared anew, count as others")
	}
	if sameTerms(nil, &base) || sameTerms(&base, nil) {
		t.Error("no terms are the same as some")
	}
}

func TestKeysTag(t *testing.T) {
	list := func(images []string, ms ...*machineRecord) *keyList { return &keyList{machines: ms, images: images} }
	m1 := &machineRecord{Machine: Machine{ID: "m1", DiskKey: []byte("one")}}
	m2 := &machineRecord{Machine: Machine{ID: "m2", DiskKey: []byte("two")}}
	rekeyed := &machineRecord{Machine: Machine{ID: "m1", DiskKey: []byte("new")}}
	tags := map[string]string{}
	for name, l := range map[string]struct {
		client dormer.ClientID
		list   *keyList
	}{
		"one machine": {"c", list(nil, m1)}, "two": {"c", list(nil, m1, m2)}, "another key": {"c", list(nil, rekeyed)},
		"with an image": {"c", list([]string{"k"}, m1)}, "another client": {"d", list(nil, m1)},
	} {
		tag := l.list.tag(l.client)
		if len(tag) != 32 || tags[tag] != "" {
			t.Errorf("%s has tag %q, as has %s", name, tag, tags[tag])
		}
		tags[tag] = name
	}
	if tag := list([]string{"k"}).tag("c"); tag != "" {
		t.Errorf("no machines have tag %q", tag)
	}
}

// TestLimitIsNoLessThanNone: a grant with a short limit beside one that allows
// no work off-line takes nothing away, however long the poll interval is.
func TestLimitIsNoLessThanNone(t *testing.T) {
	i := &Issuer{cfg: IssuerConfig{Interval: time.Hour}}
	for limit, want := range map[time.Duration]time.Duration{0: 3 * time.Hour, 10 * time.Minute: 3 * time.Hour, 8 * time.Hour: 8 * time.Hour} {
		if got := i.budget(&Entitlement{Offline: &limit}); got == nil || *got != int64(want/time.Second) {
			t.Errorf("limit %s gives %v seconds, want %s", limit, *got, want)
		}
	}
	if got := i.budget(&Entitlement{}); got != nil {
		t.Errorf("unrestricted gives %d seconds", *got)
	}
}

// TestReportedLimit: how long a machine may run without the server is reported
// with its state: as what is out says, or, after a restart that made the server
// forget that, as it was.
func TestReportedLimit(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	kept := int64(60)
	m := &machineRecord{Machine: Machine{ID: "m", Client: "c", OfflineBudget: &kept}}
	i := &Issuer{
		cfg:     IssuerConfig{Interval: time.Minute, Now: func() time.Time { return now }},
		clients: map[dormer.ClientID]*clientRecord{"c": {machines: []*machineRecord{m}}}, reports: map[dormer.MachineID]Report{},
	}
	say := func() (Report, bool) {
		clear(i.reports)
		i.Report("c", []wire.MachineState{{Machine: "m", State: "running"}})
		r, ok := i.reports["m"]
		return r, ok
	}
	if r, ok := say(); !ok || r.OfflineBudget == nil || *r.OfflineBudget != kept {
		t.Errorf("without a lease that is known: %+v", r)
	}
	if r, ok := say(); ok {
		t.Errorf("a repeat says %+v", r)
	}
	limit := 8 * time.Hour
	m.terms = &Entitlement{Offline: &limit}
	if r, _ := say(); r.OfflineBudget == nil || *r.OfflineBudget != 8*3600 {
		t.Errorf("with a lease: %+v", r)
	}
	if r, ok := say(); ok {
		t.Errorf("a repeat says %+v", r)
	}
	m.terms = &Entitlement{}
	if r, ok := say(); !ok || r.OfflineBudget != nil {
		t.Errorf("without a limit: %+v", r)
	}
}

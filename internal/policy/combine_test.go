package policy

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
)

// randomGrant draws every field from a few values, so that grants overlap.
//
//go:fix inline
func randomGrant(r *rand.Rand) Grant {
	var g Grant
	randomly(r, reflect.ValueOf(&g).Elem())
	g.SharedFolders = nil
	for range r.IntN(3) {
		g.SharedFolders = append(g.SharedFolders, SharedFolder{
			Name: string("ab"[r.IntN(2)]), Path: "/" + string("xy"[r.IntN(2)]), Access: []FolderAccess{"", FolderReadOnly, FolderReadWrite}[r.IntN(3)],
		})
	}
	rules := func() TransferRules {
		var t TransferRules
		if r.IntN(2) == 0 {
			t.Extensions = [][]string{{"pdf"}, {"docx", "PDF"}, {"odt"}}[r.IntN(3)]
		}
		if r.IntN(2) == 0 {
			t.Command = []string{"/a {file}", "/b {file}"}[r.IntN(2)]
		}
		return t
	}
	g.FileTransfer.HostToGuest, g.FileTransfer.GuestToHost = rules(), rules()
	return g
}

// orders says, for every leaf of an EffectiveDeployment, whether b permits less
// than a: the ordering that docs/combining.md puts into words.
var orders = map[string]func(t *testing.T, a, b *EffectiveDeployment) (lost bool){
	"enabled":             lostSwitch(func(d *EffectiveDeployment) bool { return d.Enabled }),
	"savePassword":        lostSwitch(func(d *EffectiveDeployment) bool { return d.SavePassword }),
	"printing":            lostSwitch(func(d *EffectiveDeployment) bool { return d.Printing }),
	"opticalDrive":        lostSwitch(func(d *EffectiveDeployment) bool { return d.OpticalDrive }),
	"audio":               lostSwitch(func(d *EffectiveDeployment) bool { return d.Audio }),
	"microphone":          lostSwitch(func(d *EffectiveDeployment) bool { return d.Microphone }),
	"deleteWhen.disabled": lostSwitch(func(d *EffectiveDeployment) bool { return !d.DeleteWhen.Disabled }),
	"deleteWhen.expired":  lostSwitch(func(d *EffectiveDeployment) bool { return !d.DeleteWhen.Expired }),
	"deleteWhen.offline":  lostSwitch(func(d *EffectiveDeployment) bool { return !d.DeleteWhen.Offline }),
	"expires":             func(t *testing.T, a, b *EffectiveDeployment) bool { return a.Enabled && endsEarlier(t, a, b) },
	"offline.allow": func(_ *testing.T, a, b *EffectiveDeployment) bool {
		return offlineRank(a) > offlineRank(b)
	},
	"offline.limit": func(_ *testing.T, a, b *EffectiveDeployment) bool {
		return offlineRank(a) == offlineRank(b) && a.Offline.Limit > b.Offline.Limit
	},
	"atLimit.action": func(_ *testing.T, a, b *EffectiveDeployment) bool {
		order := LimitAction("").Values() // from the least restrictive
		return slices.Index(order, string(a.AtLimit.Action)) < slices.Index(order, string(b.AtLimit.Action))
	},
	"atLimit.grace": func(_ *testing.T, a, b *EffectiveDeployment) bool { return a.AtLimit.Grace > b.AtLimit.Grace },
	"clipboard": func(_ *testing.T, a, b *EffectiveDeployment) bool {
		return a.Clipboard.ToGuest() && !b.Clipboard.ToGuest() || a.Clipboard.ToHost() && !b.Clipboard.ToHost()
	},
	"fileTransfer.mayOverride":            lostSwitch(func(d *EffectiveDeployment) bool { return d.FileTransfer.MayOverride }),
	"fileTransfer.hostToGuest.allowed":    lostSwitch(func(d *EffectiveDeployment) bool { return d.FileTransfer.HostToGuest.Allowed }),
	"fileTransfer.guestToHost.allowed":    lostSwitch(func(d *EffectiveDeployment) bool { return d.FileTransfer.GuestToHost.Allowed }),
	"fileTransfer.hostToGuest.extensions": lostRule(true, func(t EffectiveTransfer) []string { return t.Extensions }),
	"fileTransfer.guestToHost.extensions": lostRule(false, func(t EffectiveTransfer) []string { return t.Extensions }),
	"fileTransfer.hostToGuest.commands":   lostRule(true, func(t EffectiveTransfer) []string { return t.Commands }),
	"fileTransfer.guestToHost.commands":   lostRule(false, func(t EffectiveTransfer) []string { return t.Commands }),
	"usb": func(_ *testing.T, a, b *EffectiveDeployment) bool {
		return slices.ContainsFunc(a.USB, func(c USBClass) bool { return !slices.Contains(b.USB, c) })
	},
	"sharedFolders": func(_ *testing.T, a, b *EffectiveDeployment) bool {
		return slices.ContainsFunc(a.SharedFolders, func(f SharedFolder) bool { return !folderPermits(f, b.SharedFolders) })
	},
}

func lostSwitch(of func(*EffectiveDeployment) bool) func(*testing.T, *EffectiveDeployment, *EffectiveDeployment) bool {
	return func(_ *testing.T, a, b *EffectiveDeployment) bool { return of(a) && !of(b) }
}

// lostRule is about a list of what may pass, which is everything when the list
// is empty: a file with an extension or accepted by a command that a has, and
// one with or by another.
func lostRule(toGuest bool, of func(EffectiveTransfer) []string) func(*testing.T, *EffectiveDeployment, *EffectiveDeployment) bool {
	passes := func(d *EffectiveDeployment, what string) bool {
		way := d.FileTransfer.GuestToHost
		if toGuest {
			way = d.FileTransfer.HostToGuest
		}
		return way.Allowed && (len(of(way)) == 0 || slices.Contains(of(way), what))
	}
	return func(_ *testing.T, a, b *EffectiveDeployment) bool {
		candidates := slices.Concat(of(a.FileTransfer.HostToGuest), of(a.FileTransfer.GuestToHost), []string{"another"})
		return slices.ContainsFunc(candidates, func(what string) bool { return passes(a, what) && !passes(b, what) })
	}
}

func offlineRank(d *EffectiveDeployment) int {
	return slices.Index([]OfflineMode{OfflineNone, OfflineLimited, OfflineUnrestricted}, d.Offline.Allow)
}

// lost names what b permits less of than a.
func lost(t *testing.T, a, b *EffectiveDeployment) []string {
	t.Helper()
	var out []string
	for what, order := range orders {
		if order(t, a, b) {
			out = append(out, what)
		}
	}
	slices.Sort(out)
	return out
}

// TestEveryLeafHasAnOrder walks the type, so that a new field cannot be
// forgotten, and holds that each order tells more from less.
func TestEveryLeafHasAnOrder(t *testing.T) {
	var leaves []string
	var walk func(of reflect.Type, path string)
	walk = func(of reflect.Type, path string) {
		for _, f := range document.Fields(of) {
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, document.Join(path, f.Name))
				continue
			}
			leaves = append(leaves, document.Join(path, f.Name))
		}
	}
	walk(reflect.TypeFor[EffectiveDeployment](), "")
	slices.Sort(leaves)
	var ordered []string
	for path := range orders {
		ordered = append(ordered, path)
	}
	slices.Sort(ordered)
	if diff := cmp.Diff(leaves, ordered); diff != "" {
		t.Fatalf("leaves without an order, orders without a leaf (-leaves +orders):\n%s", diff)
	}
	more, less := Combine(Spec{}, []Grant{{
		Offline: Offline{Allow: OfflineUnrestricted}, SavePassword: new(true), Clipboard: DirectionBoth, Printing: new(true), OpticalDrive: new(true),
		FileTransfer: FileTransfer{Direction: DirectionBoth, MayOverride: new(true)}, USB: []USBClass{USBStorage}, Audio: new(true), Microphone: new(true),
		SharedFolders: []SharedFolder{{Name: "a", Path: "/a"}},
	}}).Deployment, nothing()
	got := lost(t, &more, &less)
	// Between unrestricted and none no limit is shorter; see below.
	if diff := cmp.Diff(slices.DeleteFunc(leaves, func(s string) bool { return s == "offline.limit" || s == "expires" }), got); diff != "" {
		t.Errorf("orders that do not tell everything from nothing (-want +got):\n%s", diff)
	}
	for _, pair := range [][2]Grant{{{}, {Offline: Offline{Limit: new(8 * hour)}}}, {{}, {Expires: &Date{2027, 31, 3, ""}}}} {
		a, b := alone(&pair[0]), alone(&pair[1])
		if got := lost(t, &a, &b); len(got) != 1 {
			t.Errorf("between %+v and %+v there is %v", a, b, got)
		}
		if got := lost(t, &b, &a); len(got) != 0 {
			t.Errorf("the other way round there is %v", got)
		}
	}
}

func folderPermits(f SharedFolder, list []SharedFolder) bool {
	return slices.ContainsFunc(list, func(g SharedFolder) bool {
		return g.Name == f.Name && g.Path == f.Path && (g.Access == FolderReadWrite || f.Access == FolderReadOnly)
	})
}

func endsEarlier(t *testing.T, a, b *EffectiveDeployment) bool {
	t.Helper()
	for _, zone := range []string{"UTC", "Pacific/Kiritimati", "America/Los_Angeles"} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		endA, someA, errA := (&Effective{Deployment: *a}).ExpiresAt(location)
		endB, someB, errB := (&Effective{Deployment: *b}).ExpiresAt(location)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if someB && (!someA || endB.Before(endA)) {
			return true
		}
	}
	return false
}

func TestOneMoreGrantTakesNothingAway(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 600 {
		var grants []Grant
		before := Combine(Spec{}, nil).Deployment
		for range 4 {
			grants = append(grants, randomGrant(r))
			after := Combine(Spec{}, grants).Deployment
			if got := lost(t, &before, &after); len(got) > 0 {
				b, _ := json.Marshal(grants)
				t.Fatalf("the last of these grants takes %v away:\n%s", got, b)
			}
			for i := range grants {
				own := resolveGrant(&grants[i])
				if got := lost(t, &own, &after); len(got) > 0 {
					t.Fatalf("grant %d gives %v in vain", i, got)
				}
			}
			before = after
		}
	}
}

// atTime is what grants permit at now: after its end nothing is permitted, and
// all that is left is what becomes of the machine.
func atTime(t *testing.T, grants []Grant, now time.Time, zone *time.Location) EffectiveDeployment {
	t.Helper()
	inForce, err := InForce(grants, now, zone)
	if err != nil {
		t.Fatal(err)
	}
	e := Combine(Spec{}, inForce)
	end, some, err := e.ExpiresAt(zone)
	if err != nil {
		t.Fatal(err)
	}
	if some && !now.Before(end) {
		ended := nothing()
		ended.AtLimit, ended.DeleteWhen = e.Deployment.AtLimit, e.Deployment.DeleteWhen
		return ended
	}
	return e.Deployment
}

// TestOneMoreGrantTakesNothingAwayAtAnyTime is the same with grants that have
// expired: whatever the time, in whatever zone.
func TestOneMoreGrantTakesNothingAwayAtAnyTime(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	zone, err := time.LoadLocation("Pacific/Kiritimati")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2027, 3, 30, 0, 0, 0, 0, time.UTC)
	ended := 0
	for range 400 {
		now := start.Add(time.Duration(r.IntN(5*24)) * time.Hour)
		var grants []Grant
		before := nothing()
		for range 5 {
			g := randomGrant(r)
			g.Expires = nil
			if r.IntN(4) > 0 {
				g.Expires = &Date{Year: 2027, Month: 3, Day: 29 + r.IntN(3), Zone: []string{"", "UTC", "America/Los_Angeles"}[r.IntN(3)]}
			}
			grants = append(grants, g)
			after := atTime(t, grants, now, zone)
			if got := lost(t, &before, &after); len(got) > 0 {
				b, _ := json.Marshal(grants)
				t.Fatalf("at %s the last of these grants takes %v away:\n%s", now, got, b)
			}
			if !after.Enabled {
				ended++
			}
			before = after
		}
		r.Shuffle(len(grants), func(i, j int) { grants[i], grants[j] = grants[j], grants[i] })
		if after := atTime(t, grants, now, zone); !cmp.Equal(before, after) {
			t.Fatalf("at %s the order matters:\n%s", now, cmp.Diff(before, after))
		}
	}
	if ended < 50 || ended > 1950 {
		t.Errorf("%d of 2000 times nothing was in force", ended)
	}
}

// TestJoinIsASemilattice: grants may be merged in any order and in parts, more
// than once, and an order of values agrees with the merging.
func TestJoinIsASemilattice(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	some := func() EffectiveDeployment {
		out := nothing()
		for range r.IntN(3) {
			g := randomGrant(r)
			one := alone(&g)
			out.join(&one)
		}
		return out
	}
	join := func(all ...EffectiveDeployment) EffectiveDeployment {
		out := nothing()
		for _, d := range all {
			out.join(&d)
		}
		return out
	}
	for range 500 {
		a, b, c := some(), some(), some()
		for law, pair := range map[string][2]EffectiveDeployment{
			"idempotent":    {join(a, a), a},
			"commutative":   {join(a, b), join(b, a)},
			"associative":   {join(join(a, b), c), join(a, join(b, c))},
			"has a bottom":  {join(a, nothing()), a},
			"absorbs parts": {join(join(a, b), a), join(a, b)},
		} {
			if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
				t.Fatalf("not %s:\n%s", law, diff)
			}
		}
		// What takes nothing from a and nothing from b takes nothing from both.
		ab, abc := join(a, b), join(a, b, c)
		if got := slices.Concat(lost(t, &a, &ab), lost(t, &b, &ab), lost(t, &ab, &abc)); len(got) > 0 {
			t.Fatalf("merging loses %v", got)
		}
	}
}

func TestOrderOfGrantsDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for range 400 {
		grants := []Grant{randomGrant(r), randomGrant(r), randomGrant(r), randomGrant(r)}
		want := Combine(Spec{}, grants)
		again := Combine(Spec{}, append(grants, grants...))
		r.Shuffle(len(grants), func(i, j int) { grants[i], grants[j] = grants[j], grants[i] })
		got := Combine(Spec{}, grants)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another order, another policy:\n%s", diff)
		}
		if want.Hash() != got.Hash() || want.Hash() != again.Hash() {
			t.Fatal("the same grants, another hash")
		}
	}
}

func TestCombine(t *testing.T) {
	user := Principal{Kind: dormer.KindUser, Name: "a"}
	for name, c := range map[string]struct {
		grants []Grant
		check  func(d EffectiveDeployment) bool
	}{
		"nothing": {nil, func(d EffectiveDeployment) bool {
			return !d.Enabled && d.Offline.Allow == OfflineNone && d.Clipboard == DirectionNone
		}},
		"defaults": {[]Grant{{Principal: user}}, func(d EffectiveDeployment) bool {
			return d.Enabled && d.Offline == EffectiveOffline{OfflineLimited, 7 * day} && d.AtLimit == EffectiveAtLimit{LimitStop, 15 * minute} &&
				d.DeleteWhen == EffectiveDeleteWhen{} && !d.Printing && d.Expires == nil
		}},
		"an unset field takes part as its default": {
			[]Grant{{Offline: Offline{Limit: new(8 * hour)}, DeleteWhen: DeleteWhen{Disabled: new(true)}}, {}},
			func(d EffectiveDeployment) bool { return d.Offline.Limit == 7*day && !d.DeleteWhen.Disabled },
		},
		"clipboards of two ways": {
			[]Grant{{Clipboard: DirectionHostToGuest}, {Clipboard: DirectionGuestToHost}},
			func(d EffectiveDeployment) bool { return d.Clipboard == DirectionBoth },
		},
		"a disabled grant gives nothing": {
			[]Grant{{Enabled: new(false), Printing: new(true), USB: []USBClass{USBStorage}, Offline: Offline{Allow: OfflineUnrestricted}}, {}},
			func(d EffectiveDeployment) bool {
				return d.Enabled && !d.Printing && d.USB == nil && d.Offline.Allow == OfflineLimited
			},
		},
		"only a disabled grant": {
			[]Grant{{Enabled: new(false), DeleteWhen: DeleteWhen{Disabled: new(true)}}},
			func(d EffectiveDeployment) bool { return !d.Enabled && d.DeleteWhen.Disabled && !d.DeleteWhen.Expired },
		},
		"the later day": {
			[]Grant{{Expires: &Date{2027, 31, 3, ""}}, {Expires: &Date{2027, 1, 4, ""}}},
			func(d EffectiveDeployment) bool { return len(d.Expires) == 1 && d.Expires[0].String() == "2027-04-01" },
		},
		"a day and never": {
			[]Grant{{Expires: &Date{2027, 31, 3, ""}}, {}},
			func(d EffectiveDeployment) bool { return d.Expires == nil },
		},
		"extensions of a grant that forbids the direction do not count": {
			[]Grant{{FileTransfer: FileTransfer{Direction: DirectionHostToGuest, HostToGuest: TransferRules{Extensions: []string{"PDF"}}}}, {}},
			func(d EffectiveDeployment) bool {
				return cmp.Equal(d.FileTransfer.HostToGuest, EffectiveTransfer{Allowed: true, Extensions: []string{"pdf"}}) && !d.FileTransfer.GuestToHost.Allowed
			},
		},
		"a folder that one may write to": {
			[]Grant{{SharedFolders: []SharedFolder{{Name: "d", Path: "/d"}}}, {SharedFolders: []SharedFolder{{Name: "d", Path: "/d", Access: FolderReadWrite}}}},
			func(d EffectiveDeployment) bool {
				return len(d.SharedFolders) == 1 && d.SharedFolders[0].Access == FolderReadWrite
			},
		},
	} {
		if d := Combine(Spec{}, c.grants).Deployment; !c.check(d) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestCombineLeavesItsInputAlone(t *testing.T) {
	d := example(t, "office.yaml")
	before := string(d.CanonicalJSON())
	e := Combine(d.Spec, d.Grants)
	*e.Setup.Actions[4].RunCommand.Wait = false
	e.Network.DNS.Servers[0] = "x"
	e.Deployment.USB = append(e.Deployment.USB, "x")
	if string(d.CanonicalJSON()) != before {
		t.Error("the document changed with the effective policy")
	}
}

func TestExpiry(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	e := Combine(Spec{}, []Grant{{Expires: &Date{2027, 31, 3, ""}}, {Expires: &Date{2027, 31, 3, "America/New_York"}}})
	end, some, err := e.ExpiresAt(berlin)
	if want := time.Date(2027, 4, 1, 4, 0, 0, 0, time.UTC); err != nil || !some || !end.Equal(want) {
		t.Errorf("ends at %s, want %s (%v)", end, want, err)
	}
	// The day on which clocks go forward has 23 hours.
	day := Date{2027, 28, 3, "Europe/Berlin"}
	if end, err := day.End(time.UTC); err != nil || !end.Equal(time.Date(2027, 3, 28, 22, 0, 0, 0, time.UTC)) {
		t.Errorf("%s ends at %s (%v)", day, end, err)
	}
	at := time.Date(2027, 3, 28, 22, 0, 0, 0, time.UTC)
	keep := DeleteWhen{Expired: new(true)}
	inForce := func(now time.Time, grants ...Grant) EffectiveDeployment {
		t.Helper()
		got, err := InForce(grants, now, time.UTC)
		if err != nil || len(got) != len(grants) {
			t.Fatalf("%d of %d grants, %v", len(got), len(grants), err)
		}
		return Combine(Spec{}, got).Deployment
	}
	ending := Grant{Expires: &day, Printing: new(true)}
	if d := inForce(at.Add(-time.Nanosecond), ending, Grant{DeleteWhen: keep}); !d.Printing || d.DeleteWhen.Expired {
		t.Errorf("before the end: %+v", d)
	}
	if d := inForce(at, ending, Grant{DeleteWhen: keep}); d.Printing || d.Expires != nil || d.DeleteWhen.Expired {
		t.Errorf("after the end it gives nothing but that the machine is kept: %+v", d)
	}
	for _, other := range []Grant{{Expires: &day}, {Enabled: new(false)}} {
		if d := inForce(at, ending, other); !d.Enabled || len(d.Expires) != 1 || !d.Printing {
			t.Errorf("when none is in force what remains says how it ends: %+v", d)
		}
	}
	if ending.Enabled != nil {
		t.Error("the caller's grant was changed")
	}
}

func TestRequires(t *testing.T) {
	if e := Combine(Spec{}, []Grant{{}}); len(e.Requires()) != 0 {
		t.Errorf("a plain policy requires %v", e.Requires())
	}
	d := example(t, "office.yaml")
	e := Combine(d.Spec, d.Grants)
	want := strings.Fields(`audio bridged-network clipboard computer-name dns file-transfer
		guest-sign-on guest-updates host-command last-window lock-idle lock-sleep microphone optical-drive printing
		regional save-state setup-script shared-folders start-applications start-sign-on suspend-idle
		time-zone usb user-credentials`)
	if diff := cmp.Diff(want, e.Requires()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for want, g := range map[string]Grant{
		RequiresDelete:      {AtLimit: AtLimit{Action: LimitDelete}},
		RequiresLockAtLimit: {AtLimit: AtLimit{Action: LimitLock}},
	} {
		e := Combine(Spec{}, []Grant{g})
		if got := e.Requires(); len(got) != 1 || got[0] != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

func TestDecodeEffective(t *testing.T) {
	d := example(t, "office.yaml")
	e := Combine(d.Spec, d.Grants)
	body, hash := e.CanonicalJSON(), e.Hash()
	got, err := DecodeEffective(body, hash)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&e, got); diff != "" || got.Hash() != hash {
		t.Errorf("(-want +got):\n%s", diff)
	}
	body[len(body)/2] ^= 1
	if _, err := DecodeEffective(body, hash); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("one changed bit: %v", err)
	}
	other := []byte(`{"apiVersion":"dormer/v2"}`)
	if _, err := DecodeEffective(other, HashOf(other)); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("another version: %v", err)
	}
}

func TestGuestSize(t *testing.T) {
	e := Combine(Spec{Performance: Performance{
		Memory:     []MemoryRow{{Guest: new(512 * MiB)}, {Host: new(4 * GiB), Guest: new(GiB)}, {Host: new(8 * GiB), Guest: new(3 * GiB)}},
		Processors: []ProcessorRow{{Guest: new(2)}, {Host: new(8), Guest: new(6)}},
	}}, nil)
	for host, want := range map[int]int{0: 512, 1024: 512, 4095: 512, 4096: 1024, 8191: 1024, 8192: 3072, 1 << 20: 3072} {
		if got := e.GuestMemory(host); got != want {
			t.Errorf("a host with %d MiB gives %d, want %d", host, got, want)
		}
	}
	for host, want := range map[int]int{0: 1, 1: 1, 2: 2, 7: 2, 8: 6} {
		if got := e.GuestProcessors(host); got != want {
			t.Errorf("a host with %d processors gives %d, want %d", host, got, want)
		}
	}
	plain := Combine(Spec{}, nil)
	if plain.GuestMemory(2048) != 1024 || plain.GuestMemory(16384) != 4096 || plain.GuestProcessors(4) != 2 {
		t.Error("the default tables")
	}
}

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

// permits fails the test where b permits less than a.
func permits(t *testing.T, a, b *EffectiveDeployment) {
	t.Helper()
	rank := func(list []string, s string) int { return slices.Index(list, s) }
	for what, lost := range map[string]bool{
		"enabled":        a.Enabled && !b.Enabled,
		"savePassword":   a.SavePassword && !b.SavePassword,
		"printing":       a.Printing && !b.Printing,
		"opticalDrive":   a.OpticalDrive && !b.OpticalDrive,
		"audio":          a.Audio && !b.Audio,
		"microphone":     a.Microphone && !b.Microphone,
		"mayOverride":    a.FileTransfer.MayOverride && !b.FileTransfer.MayOverride,
		"clipboard in":   a.Clipboard.ToGuest() && !b.Clipboard.ToGuest(),
		"clipboard out":  a.Clipboard.ToHost() && !b.Clipboard.ToHost(),
		"delete when":    !a.DeleteWhen.Disabled && b.DeleteWhen.Disabled || !a.DeleteWhen.Expired && b.DeleteWhen.Expired || !a.DeleteWhen.Offline && b.DeleteWhen.Offline,
		"offline":        rank([]string{"none", "limited", "unrestricted"}, string(a.Offline.Allow)) > rank([]string{"none", "limited", "unrestricted"}, string(b.Offline.Allow)),
		"offline limit":  a.Offline.Allow == b.Offline.Allow && a.Offline.Limit > b.Offline.Limit,
		"limit action":   rank(LimitAction("").values(), string(a.AtLimit.Action)) < rank(LimitAction("").values(), string(b.AtLimit.Action)),
		"grace":          a.AtLimit.Grace > b.AtLimit.Grace,
		"files in":       !transferPermits(a.FileTransfer.HostToGuest, b.FileTransfer.HostToGuest),
		"files out":      !transferPermits(a.FileTransfer.GuestToHost, b.FileTransfer.GuestToHost),
		"USB":            slices.ContainsFunc(a.USB, func(c USBClass) bool { return !slices.Contains(b.USB, c) }),
		"shared folders": slices.ContainsFunc(a.SharedFolders, func(f SharedFolder) bool { return !folderPermits(f, b.SharedFolders) }),
		"expiry":         a.Enabled && endsEarlier(t, a, b),
	} {
		if lost {
			t.Errorf("%s was taken away", what)
		}
	}
}

func transferPermits(a, b EffectiveTransfer) bool {
	if !a.Allowed {
		return true
	}
	all := func(sub, super []string) bool {
		return !slices.ContainsFunc(sub, func(s string) bool { return !slices.Contains(super, s) })
	}
	extensions := len(b.Extensions) == 0 || len(a.Extensions) > 0 && all(a.Extensions, b.Extensions)
	commands := len(b.Commands) == 0 || len(a.Commands) > 0 && all(a.Commands, b.Commands)
	return b.Allowed && extensions && commands
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
			if permits(t, &before, &after); t.Failed() {
				b, _ := json.Marshal(grants)
				t.Fatalf("with the last of these grants:\n%s", b)
			}
			before = after
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
	grants := []Grant{{Expires: &day, Printing: new(true)}, {}}
	at := time.Date(2027, 3, 28, 22, 0, 0, 0, time.UTC)
	for now, want := range map[time.Time]int{at.Add(-time.Nanosecond): 2, at: 1} {
		if got, err := InForce(grants, now, time.UTC); err != nil || len(got) != want {
			t.Errorf("at %s %d grants are in force, want %d (%v)", now, len(got), want, err)
		}
	}
	if got, err := InForce(grants[:1], at, time.UTC); err != nil || len(got) != 1 {
		t.Errorf("when all have expired they remain: %v, %v", got, err)
	}
}

func TestRequires(t *testing.T) {
	if e := Combine(Spec{}, []Grant{{}}); len(e.Requires()) != 0 {
		t.Errorf("a plain policy requires %v", e.Requires())
	}
	d := example(t, "office.yaml")
	e := Combine(d.Spec, d.Grants)
	want := strings.Fields(`audio bridged-network clipboard computer-name dns file-transfer file-types
		guest-sign-on guest-updates host-command last-window lock-idle lock-sleep menus microphone optical-drive printing
		publish-installed regional save-state seamless setup-script shared-folders start-applications start-sign-on suspend-idle
		time-zone usb user-credentials web-rules`)
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

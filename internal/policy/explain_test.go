package policy

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/document"
)

// TestExplanationAgreesWithCombine: what Explain shows is what Combine says,
// whatever the grants; a grant is named when it gives the value or when leaving
// it out changes the value, and no other way.
func TestExplanationAgreesWithCombine(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	values := func(grants []Grant) map[string][]string {
		d := Combine(Spec{}, grants).Deployment
		out := map[string][]string{}
		for _, l := range leavesOf(&d) {
			out["deployment."+l.path] = l.values
		}
		return out
	}
	plain := values([]Grant{{}})
	for range 200 {
		grants := make([]Grant, 1+r.IntN(4))
		for i := range grants {
			grants[i] = randomGrant(r)
		}
		want := values(grants)
		got := map[string][]string{}
		for _, x := range Explain(Spec{}, grants) {
			if !strings.HasPrefix(x.Path, "deployment.") {
				continue
			}
			got[x.Path] = append(got[x.Path], x.Value)
			switch x.Origin {
			case OriginDefault:
				if x.From != nil || !slices.Equal(want[x.Path], plain[x.Path]) {
					t.Fatalf("%+v is no default", x)
				}
			case OriginGrants:
				if len(x.From) == 0 {
					t.Fatalf("%+v comes from nowhere", x)
				}
			default:
				t.Fatalf("%+v has another origin", x)
			}
			for i := range grants {
				others := slices.Delete(slices.Clone(grants), i, i+1)
				changes := len(others) == 0 || !slices.Contains(values(others)[x.Path], x.Value)
				if x.Origin == OriginGrants && changes && len(others) > 0 && !slices.Contains(x.From, i) {
					t.Fatalf("%+v changes without grant %d", x, i)
				}
				if x.Origin == OriginGrants && !changes && slices.Contains(x.From, i) && x.Path != "deployment.clipboard" &&
					!slices.Contains(values(grants[i : i+1])[x.Path], x.Value) {
					t.Fatalf("%+v names grant %d, which neither gives nor changes it", x, i)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("explained otherwise than combined:\n%s", diff)
		}
	}
}

// TestExplainGrants says which grants some values come from.
func TestExplainGrants(t *testing.T) {
	grants := []Grant{
		{Offline: Offline{Limit: new(8 * hour)}, Clipboard: DirectionHostToGuest, USB: []USBClass{USBPrinter}},
		{USB: []USBClass{USBStorage, USBPrinter}, Clipboard: DirectionGuestToHost, Printing: new(true)},
		{Enabled: new(false), Printing: new(true), AtLimit: AtLimit{Action: LimitLock}, Clipboard: DirectionBoth},
		{Clipboard: DirectionHostToGuest, FileTransfer: FileTransfer{Direction: DirectionHostToGuest, HostToGuest: TransferRules{Extensions: []string{"pdf"}}}},
	}
	want := []Explained{
		{"deployment.enabled", "true", OriginDefault, nil},
		{"deployment.expires", "never", OriginDefault, nil},
		{"deployment.offline.allow", "limited", OriginDefault, nil},
		{"deployment.offline.limit", "7d", OriginGrants, []int{1, 3}}, // by default, over the 8 hours
		{"deployment.atLimit.action", "lock", OriginGrants, []int{2}},
		{"deployment.atLimit.grace", "15m", OriginDefault, nil},
		{"deployment.clipboard", "both", OriginGrants, []int{0, 1, 3}},
		{"deployment.fileTransfer.hostToGuest.allowed", "true", OriginGrants, []int{3}},
		{"deployment.fileTransfer.hostToGuest.extensions", "pdf", OriginGrants, []int{3}},
		{"deployment.fileTransfer.guestToHost.extensions", "none", OriginDefault, nil},
		{"deployment.printing", "true", OriginGrants, []int{1}},
		{"deployment.usb", "printer", OriginGrants, []int{0, 1}},
		{"deployment.usb", "storage", OriginGrants, []int{1}},
	}
	got := Explain(Spec{}, grants)
	for _, w := range want {
		if !slices.ContainsFunc(got, func(x Explained) bool { return reflect.DeepEqual(x, w) }) {
			i := slices.IndexFunc(got, func(x Explained) bool { return x.Path == w.Path })
			t.Errorf("want %+v, got %+v", w, got[max(i, 0)])
		}
	}
}

// TestExplainSpec: what the author set has another origin than what holds by
// default, whatever is disabled in between.
func TestExplainSpec(t *testing.T) {
	d, err := Decode([]byte(`apiVersion: dormer/v1
kind: Workspace
metadata: {name: X}
spec:
  machine:
    image: {name: office}
    revertible: false
  applications:
    published:
      - {name: off, command: x, enabled: false}
      - {name: hello, command: echo hello, shortcut: true}
  setup:
    computerName: VM-####
    actions:
      - restart: {}
      - joinDomain: {domain: corp.example.test, credentials: given, account: joiner, passwordSecret: join-password}
  performance:
    processors: [{guest: 3}]
`), "")
	if err != nil {
		t.Fatal(err)
	}
	got := Explain(d.Spec, nil)
	for _, w := range []Explained{
		{"machine.image.name", "office", OriginPolicy, nil},
		{"machine.image.version", "the newest", OriginDefault, nil},
		{"machine.revertible", "false", OriginPolicy, nil},
		{"machine.suspendIdle", "never", OriginDefault, nil},
		{"machine.lock.idle", "never", OriginDefault, nil},
		{"machine.guestUpdates", "none", OriginDefault, nil},
		{"machine.keepOldVersions", "1", OriginDefault, nil},
		{"general.supportContact", "none", OriginDefault, nil},
		{"applications.published[hello].command", "echo hello", OriginPolicy, nil},
		{"applications.published[hello].shortcut", "true", OriginPolicy, nil},
		{"applications.published[hello].userCredentials", "false", OriginDefault, nil},
		{"applications.menus", "none", OriginDefault, nil},
		{"setup.actions[0].restart", "yes", OriginPolicy, nil},
		{"setup.actions[1].once", "machine", OriginDefault, nil},
		{"setup.actions[1].joinDomain.account", "joiner", OriginPolicy, nil},
		{"setup.actions[1].joinDomain.passwordSecret", hidden, OriginPolicy, nil},
		{"performance.processors[0].guest", "3", OriginPolicy, nil},
		{"performance.memory[1].guest", "2GiB", OriginDefault, nil},
		{"deployment.enabled", "false", OriginGrants, nil},
	} {
		if !slices.ContainsFunc(got, func(x Explained) bool { return reflect.DeepEqual(x, w) }) {
			i := slices.IndexFunc(got, func(x Explained) bool { return x.Path == w.Path })
			t.Errorf("want %+v, got %+v", w, got[max(i, 0)])
		}
	}
	for _, x := range got {
		if strings.Contains(x.Value, "join-password") || strings.Contains(x.Path, "published[off]") || x.Value == "" {
			t.Errorf("explained: %+v", x)
		}
	}
}

// TestExplainFindsEveryFieldOfTheSpec: the effective policy names its fields as
// the spec does, so that no origin is missed, and explains each.
func TestExplainFindsEveryFieldOfTheSpec(t *testing.T) {
	var walk func(e, s reflect.Type, path string)
	walk = func(e, s reflect.Type, path string) {
		for e.Kind() == reflect.Pointer || e.Kind() == reflect.Slice {
			e = e.Elem()
		}
		for s.Kind() == reflect.Pointer || s.Kind() == reflect.Slice {
			s = s.Elem()
		}
		if _, ok := reflect.New(e).Interface().(document.Written); ok || e.Kind() != reflect.Struct {
			return
		}
		of := map[string]document.Field{}
		for _, f := range document.Fields(s) {
			of[f.Name] = f
		}
		for _, f := range document.Fields(e) {
			at := document.Join(path, f.Name)
			if at == "apiVersion" || at == deployment {
				continue
			}
			if _, ok := of[f.Name]; !ok {
				t.Errorf("%s is no field of the spec", at)
				continue
			}
			walk(f.Type, of[f.Name].Type, at)
		}
	}
	walk(reflect.TypeFor[Effective](), reflect.TypeFor[Spec](), "")
	for seed := range uint64(50) {
		d := randomDocument(seed)
		got := Explain(d.Spec, d.Grants)
		for _, x := range got {
			if x.Value == "" && x.Origin == OriginDefault || x.Path == "" {
				t.Fatalf("seed %d: %+v", seed, x)
			}
		}
	}
}

func TestExplainIsLinear(t *testing.T) {
	grants := make([]Grant, maxGrants)
	for i := range grants {
		grants[i].Offline.Limit = new(Duration(i+1) * minute)
	}
	for _, x := range Explain(Spec{}, grants) {
		if x.Path == "deployment.offline.limit" && (!slices.Equal(x.From, []int{maxGrants - 1}) || x.Origin != OriginGrants) {
			t.Errorf("%+v", x)
		}
	}
}

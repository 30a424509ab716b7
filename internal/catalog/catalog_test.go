package catalog_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/store"
)

// people is a directory in memory.
type people struct {
	name    string // "": that of the embedded one
	named   map[string]dormer.Principal
	groups  map[string][]dormer.Principal // by key of the user: the chain from the nearest outwards
	entries []access.Entry
	err     error
	asked   int
}

func (p *people) Name() string {
	if p.name != "" {
		return p.name
	}
	return dormer.EmbeddedDirectory
}

func (*people) Authenticate(context.Context, string, string) (dormer.Principal, error) {
	return dormer.Principal{}, dormer.ErrUnauthenticated
}

func (p *people) Groups(_ context.Context, user dormer.Principal) ([]dormer.Principal, error) {
	return p.groups[user.Key], p.err
}

func (p *people) Resolve(_ context.Context, kind dormer.PrincipalKind, name string) (dormer.Principal, error) {
	p.asked++
	if p.err != nil {
		return dormer.Principal{}, p.err
	}
	found, ok := p.named[string(kind)+" "+strings.ToLower(name)]
	if !ok {
		return dormer.Principal{}, fmt.Errorf("principal: %w", dormer.ErrNotFound)
	}
	return found, nil
}

func (*people) Find(context.Context, string, int) ([]access.Entry, error) { return nil, nil }

func (p *people) Match(_ context.Context, kind dormer.PrincipalKind, name string, limit int) ([]access.Entry, error) {
	var out []access.Entry
	for _, e := range p.entries {
		if e.Principal.Kind == kind && e.DisplayName == name && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, p.err
}

func (p *people) Lookup(_ context.Context, of dormer.Principal) (dormer.Principal, error) {
	p.asked++
	if p.err != nil {
		return dormer.Principal{}, p.err
	}
	for _, q := range p.named {
		if q.Kind == of.Kind && q.Key == of.Key {
			return q, nil
		}
	}
	return dormer.Principal{}, fmt.Errorf("principal: %w", dormer.ErrNotFound)
}

func (p *people) Chain(_ context.Context, user, group dormer.Principal) ([]dormer.Principal, error) {
	for i, g := range p.groups[user.Key] {
		if g.Key == group.Key {
			return p.groups[user.Key][:i+1], nil
		}
	}
	return nil, dormer.ErrNotFound
}

type images map[string]catalog.Image

func (i images) Resolve(_ context.Context, image string, number int) (catalog.Image, error) {
	v, ok := i[image]
	if !ok || (number != 0 && number != v.Number) {
		return catalog.Image{}, dormer.ErrNotFound
	}
	return v, nil
}

type fixture struct {
	*catalog.Catalog
	state  *store.State
	people *people
	corp   *people // another directory
	images images
	now    time.Time
}

func principal(kind dormer.PrincipalKind, name string) dormer.Principal {
	return dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: kind, Key: "key-" + strings.ToLower(name), Name: name}
}

func open(t *testing.T, dsn string) *fixture {
	t.Helper()
	state, err := store.OpenState(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	f := &fixture{
		state: state, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), corp: &people{name: "CORP", named: map[string]dormer.Principal{}},
		images: images{"office": {ID: "sha256:a", Number: 3, KeyID: "k"}},
		people: &people{named: map[string]dormer.Principal{"user alice": principal(dormer.KindUser, "Alice"), "user bob": principal(dormer.KindUser, "Bob"), "group staff": principal(dormer.KindGroup, "Staff")}},
	}
	f.Catalog, err = catalog.New(t.Context(), catalog.Config{
		Store: state, Policies: state, Directories: []access.Mount{{Directory: f.people}, {Directory: f.corp, Prefixes: []string{"CORPNT"}, Suffixes: []string{"corp.example.com"}}}, Images: f.images,
		Now: func() time.Time { return f.now }, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func setup(t *testing.T) *fixture {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"))
}

const office = `apiVersion: dormer/v1
kind: Workspace
metadata:
  name: Office
spec:
  machine:
    image: {name: office}
grants:
  - principal: {kind: user, name: alice}
  - principal: {kind: group, name: staff}
    clipboard: both
`

func (f *fixture) create(t *testing.T, raw string) catalog.Revision {
	t.Helper()
	r, _, err := f.Create(t.Context(), []byte(raw), "admin", "first")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// paths returns the fields that an ErrInvalid names.
func paths(t *testing.T, err error) []string {
	t.Helper()
	invalid, ok := errors.AsType[*dormer.InvalidError](err)
	if !ok {
		t.Fatalf("error is %v, expected an *InvalidError", err)
	}
	var out []string
	for _, f := range invalid.Fields {
		out = append(out, f.Path)
	}
	return out
}

func TestCreate(t *testing.T) {
	f := setup(t)
	r := f.create(t, office)
	doc, err := policy.DecodeStored(r.Document)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Metadata.ID != r.Workspace || !dormer.ValidID(string(r.Workspace)) || r.Number != 1 || r.Author != "admin" || r.Message != "first" {
		t.Errorf("revision is %+v", r)
	}
	if r.ETag != policy.ETag(doc.CanonicalJSON()) {
		t.Error("the entity tag is not that of the canonical document")
	}
	want := []policy.Principal{{Kind: "user", Name: "Alice", Key: "key-alice"}, {Kind: "group", Name: "Staff", Key: "key-staff"}}
	if d := cmp.Diff(want, []policy.Principal{doc.Grants[0].Principal, doc.Grants[1].Principal}); d != "" {
		t.Errorf("principals (-want +got):\n%s", d)
	}
	// An exported document of this instance is not created twice; one from
	// elsewhere gets an identity of its own.
	_, _, err = f.Create(t.Context(), r.Document, "admin", "")
	if !errors.Is(err, dormer.ErrExists) {
		t.Errorf("the same identity again: %v", err)
	}
	foreign := strings.Replace(office, "name: Office", "id: bbbbbbbbbbbbbbbbbbbbbbbbba\n  name: Elsewhere", 1)
	if got := f.create(t, foreign); got.Workspace == "bbbbbbbbbbbbbbbbbbbbbbbbba" || strings.Contains(string(got.Document), "bbbbbbbbbbbbbbbbbbbbbbbbba") {
		t.Errorf("a foreign identity was kept: %s", got.Document)
	}
	_, _, err = f.Create(t.Context(), []byte(strings.Replace(office, "name: Office", "name: OFFICE", 1)), "admin", "")
	if !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a name in use, in other letters: %v", err)
	}
}

func TestPrincipals(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].principal.directory", "grants[].principal.kind", "grants[].principal.name",
		"grants[].principal.key")
	f := setup(t)
	for name, test := range map[string]struct {
		old, new string
		want     []string
	}{
		"unknown user":      {"name: alice", "name: carol", []string{"grants[0].principal"}},
		"user as a group":   {"kind: user, name: alice", "kind: group, name: alice", []string{"grants[0].principal"}},
		"both unknown":      {office[strings.Index(office, "grants:"):], "grants:\n  - principal: {kind: user, name: x}\n  - principal: {kind: user, name: y}\n", []string{"grants[0].principal", "grants[1].principal"}},
		"key disagrees":     {"name: alice}", "name: alice, key: key-bob}", []string{"grants[0].principal.key"}},
		"unknown directory": {"name: alice}", "name: alice, directory: corp.example.test}", []string{"grants[0].principal.directory"}},
	} {
		raw := strings.Replace(office, test.old, test.new, 1)
		_, _, err := f.Create(t.Context(), []byte(raw), "admin", "")
		if d := cmp.Diff(test.want, paths(t, err)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if _, err := f.Validate(t.Context(), []byte(raw)); err == nil {
			t.Errorf("%s: validation finds nothing", name)
		}
	}
	if list, err := f.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("a refused document was stored: %v, %v", list, err)
	}
	f.create(t, strings.Replace(office, "name: alice}", "name: ALICE, key: key-alice}", 1))
}

func TestPrincipalGoneLater(t *testing.T) {
	f := setup(t)
	r := f.create(t, office)
	delete(f.people.named, "user alice")
	edited := strings.Replace(string(r.Document), `"machine":{`, `"machine":{"revertible":false,`, 1)
	next, warnings, err := f.Commit(t.Context(), r.Workspace, []byte(edited), r.ETag, "admin", "")
	if err != nil || len(warnings) != 1 || warnings[0].Path != "grants[0].principal" {
		t.Errorf("an edit beside a principal that is gone: %v, %v", warnings, err)
	}
	f.people.err = dormer.ErrUnavailable
	edited = strings.Replace(edited, `"revertible":false`, `"revertible":true`, 1)
	if _, warnings, err = f.Commit(t.Context(), r.Workspace, []byte(edited), next.ETag, "admin", ""); err != nil || len(warnings) != 2 {
		t.Errorf("an edit while the directory is away: %v, %v", warnings, err)
	}
	if _, _, err := f.Create(t.Context(), []byte(strings.Replace(office, "Office", "New", 1)), "admin", ""); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a new grant while the directory is away: %v", err)
	}
}

func TestCommit(t *testing.T) {
	f := setup(t)
	first := f.create(t, office)
	edited := strings.Replace(office, "clipboard: both", "clipboard: none", 1)
	second, _, err := f.Commit(t.Context(), first.Workspace, []byte(edited), first.ETag, "bob", "no clipboard")
	if err != nil || second.Number != 2 || second.ETag == first.ETag {
		t.Fatalf("%+v, %v", second, err)
	}
	_, _, err = f.Commit(t.Context(), first.Workspace, []byte(office), first.ETag, "alice", "")
	conflict, ok := errors.AsType[*dormer.ConflictError](err)
	if !ok || conflict.By != "bob" || conflict.Current != second.ETag || conflict.At.IsZero() {
		t.Errorf("a stale commit: %+v, %v", conflict, err)
	}
	if same, _, err := f.Commit(t.Context(), first.Workspace, second.Document, second.ETag, "carol", ""); err != nil || same.Number != 2 {
		t.Errorf("the same document again: %+v, %v", same, err)
	}
	other := strings.Replace(edited, "metadata:", "metadata:\n  id: bbbbbbbbbbbbbbbbbbbbbbbbba", 1)
	_, _, err = f.Commit(t.Context(), first.Workspace, []byte(other), second.ETag, "x", "")
	if d := cmp.Diff([]string{"metadata.id"}, paths(t, err)); d != "" {
		t.Error(d)
	}
	if _, _, err = f.Commit(t.Context(), "bbbbbbbbbbbbbbbbbbbbbbbbba", []byte(office), "x", "x", ""); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("an unknown workspace: %v", err)
	}
	history, err := f.History(t.Context(), first.Workspace)
	if err != nil || len(history) != 2 || history[0].Number != 2 || history[0].Message != "no clipboard" {
		t.Errorf("history is %+v, %v", history, err)
	}
	old, err := f.RevisionOf(t.Context(), first.Workspace, 1)
	if err != nil || string(old.Document) != string(first.Document) {
		t.Errorf("revision 1 is %s, %v", old.Document, err)
	}
}

func TestRenameAndClone(t *testing.T) {
	f := setup(t)
	r := f.create(t, office)
	for _, want := range []string{"Office - 2", "Office - 3"} {
		c, err := f.Clone(t.Context(), r.Workspace, "", "admin")
		if err != nil || c.Name != want || c.Workspace == r.Workspace || !strings.Contains(string(c.Document), string(c.Workspace)) {
			t.Errorf("clone is %+v, %v; expected %s", c, err, want)
		}
	}
	if _, err := f.Clone(t.Context(), r.Workspace, "office - 2", "admin"); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a clone of a name in use: %v", err)
	}
	renamed, err := f.Rename(t.Context(), r.Workspace, "Büro", r.ETag, "admin")
	if err != nil || renamed.Name != "Büro" || renamed.Number != 2 {
		t.Fatalf("%+v, %v", renamed, err)
	}
	if got, err := f.GetByName(t.Context(), "BÜRO"); err != nil || got.Workspace != r.Workspace {
		t.Errorf("by its new name: %+v, %v", got, err)
	}
	if _, err := f.Rename(t.Context(), r.Workspace, "Office - 2", renamed.ETag, "admin"); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a rename to a name in use: %v", err)
	}
	if _, err := f.Rename(t.Context(), r.Workspace, "a\nb", renamed.ETag, "admin"); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a rename to a bad name: %v", err)
	}
	if _, err := f.Rename(t.Context(), r.Workspace, "Other", r.ETag, "admin"); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("a stale rename: %v", err)
	}
	long := strings.Repeat("ö", dormer.MaxName)
	renamed, err = f.Rename(t.Context(), r.Workspace, long, renamed.ETag, "admin")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := f.Clone(t.Context(), r.Workspace, "", "admin"); err != nil || !strings.HasSuffix(c.Name, "ö - 2") || len([]rune(c.Name)) != dormer.MaxName {
		t.Errorf("clone of a long name is %q, %v", c.Name, err)
	}
	if err := f.Delete(t.Context(), r.Workspace, r.ETag, "admin"); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("a stale deletion: %v", err)
	}
	if err := f.Delete(t.Context(), r.Workspace, renamed.ETag, "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Get(t.Context(), r.Workspace); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("after the deletion: %v", err)
	}
}

func TestValidate(t *testing.T) {
	f := setup(t)
	r := f.create(t, office)
	for _, raw := range []string{office, string(r.Document)} { // would replace it
		if warnings, err := f.Validate(t.Context(), []byte(raw)); err != nil || len(warnings) != 0 {
			t.Errorf("%v, %v", warnings, err)
		}
	}
	warnings, err := f.Validate(t.Context(), []byte(strings.Replace(office, "{name: office}", "{name: lab}", 1)))
	if err != nil || len(warnings) != 1 || warnings[0].Path != "spec.machine.image" {
		t.Errorf("an image that is not there: %v, %v", warnings, err)
	}
	warnings, err = f.Validate(t.Context(), []byte(strings.Replace(office, "{name: office}", "{name: office, version: 4}", 1)))
	if err != nil || len(warnings) != 1 {
		t.Errorf("a version that is not there: %v, %v", warnings, err)
	}
	second := f.create(t, strings.Replace(office, "Office", "Second", 1))
	_, err = f.Validate(t.Context(), []byte(strings.Replace(string(second.Document), "Second", "office", 1)))
	if d := cmp.Diff([]string{"metadata.name"}, paths(t, err)); d != "" {
		t.Error(d)
	}
	if list, err := f.List(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("validation changed something: %v, %v", list, err)
	}
}

func TestAssignments(t *testing.T) {
	f := setup(t)
	r := f.create(t, office)
	alice, bob, staff := principal(dormer.KindUser, "Alice"), principal(dormer.KindUser, "Bob"), principal(dormer.KindGroup, "Staff")
	get := func(user dormer.Principal, groups ...dormer.Principal) catalog.Assignments {
		t.Helper()
		a, err := f.Assignments(t.Context(), user, groups, "client")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := get(bob); len(a.Entitlements) != 0 {
		t.Errorf("somebody without a grant gets %+v", a.Entitlements)
	}
	alone, both, group := get(alice).Entitlements[0], get(alice, staff).Entitlements[0], get(bob, staff).Entitlements[0]
	if alone.PolicyHash == both.PolicyHash || both.PolicyHash != group.PolicyHash {
		t.Error("the group's clipboard does not show in the policies")
	}
	if get(alice, staff).Entitlements[0] != both || get(alice, staff, staff).Entitlements[0] != both {
		t.Error("the same grants are prepared more than once")
	}
	if alone.Image != "sha256:a" || alone.ImageName != "office/3" || alone.RepositoryKey != "k" || alone.Workspace != r.Workspace || alone.Refused != "" {
		t.Errorf("entitlement is %+v", alone)
	}
	// A group's key that is also a user's names the group only.
	imposter := dormer.Principal{Directory: dormer.EmbeddedDirectory, Kind: dormer.KindUser, Key: "key-staff", Name: "x"}
	if a := get(imposter); len(a.Entitlements) != 0 {
		t.Error("a user gets what a group of the same key is granted")
	}
	body, err := f.Policy(t.Context(), alone.PolicyHash)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := policy.DecodeEffective(body.Plain, alone.PolicyHash); err != nil || e.Deployment.Clipboard != policy.DirectionNone {
		t.Errorf("policy is %+v, %v", e, err)
	}
	stored, err := f.state.Policy(t.Context(), alone.PolicyHash)
	if err != nil || string(stored) != string(body.Plain) {
		t.Errorf("the stored policy is another: %v", err)
	}
}

func TestRefreshSeesOtherServers(t *testing.T) {
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "state.db")
	one, two := open(t, dsn), open(t, dsn)
	r := one.create(t, office)
	alice := principal(dormer.KindUser, "Alice")
	before := two.Generation()
	if err := two.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := two.Assignments(t.Context(), alice, nil, "")
	if err != nil || len(a.Entitlements) != 1 || two.Generation() == before {
		t.Errorf("the other server's workspace: %+v, %v", a, err)
	}
	hash := a.Entitlements[0].PolicyHash
	settled := two.Generation()
	if err := two.Refresh(t.Context()); err != nil || two.Generation() != settled {
		t.Errorf("a refresh without a change raises the generation: %v", err)
	}
	if err := one.Delete(t.Context(), r.Workspace, r.ETag, "admin"); err != nil {
		t.Fatal(err)
	}
	if err := two.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, err = two.Assignments(t.Context(), alice, nil, ""); err != nil || len(a.Entitlements) != 0 {
		t.Errorf("after the other server's deletion: %+v, %v", a, err)
	}
	// What a lease named before is still there.
	if got, err := two.Policy(t.Context(), hash); err != nil || len(got.Gzip) == 0 {
		t.Errorf("policy of a workspace that is gone: %v", err)
	}
}

func TestUsedBy(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "spec.machine.image.name", "spec.machine.image.version")
	f := setup(t)
	for name, image := range map[string]string{"Newest": "{name: office}", "Pinned": "{name: office, version: 2}", "Other": "{name: lab}"} {
		f.create(t, strings.Replace(strings.Replace(office, "Office", name, 1), "{name: office}", image, 1))
	}
	for _, test := range []struct {
		number int
		want   []string
	}{{0, []string{"Newest", "Pinned"}}, {1, nil}, {2, []string{"Pinned"}}, {3, []string{"Newest"}}} {
		got, err := f.UsedBy(t.Context(), "office", test.number)
		if d := cmp.Diff(test.want, got); d != "" || err != nil {
			t.Errorf("version %d (%v, -want +got):\n%s", test.number, err, d)
		}
	}
	if _, err := f.UsedBy(t.Context(), "lab", 0); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("an image that is not there: %v", err)
	}
}

package access_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
)

// operator gives alice a role and returns her as a caller in a session.
func (r *realms) operator(t *testing.T, role dormer.Role) access.Caller {
	t.Helper()
	if err := r.state.SetOperator(t.Context(), access.Operator{Principal: r.alice, Role: role}); err != nil {
		t.Fatal(err)
	}
	s, secret, err := r.OpenSession(t.Context(), access.SessionOperator, r.alice, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Operator(t.Context(), access.Token(s, secret))
	if err != nil || c.User != r.alice || c.Role != role || c.Session.ID != s.ID || c.Token != "" || len(c.Areas) > 0 {
		t.Fatalf("caller %+v, %v", c, err)
	}
	return c
}

func apiToken(t *testing.T, r *realms, by access.Caller, n access.NewAPIToken) (access.APIToken, string) {
	t.Helper()
	if n.Name == "" {
		n.Name = "build"
	}
	token, text, err := r.CreateAPIToken(t.Context(), by, n)
	if err != nil {
		t.Fatal(err)
	}
	return token, text
}

// TestAPITokens stand for their owner with no more than the token's role and
// the owner's now, until they expire or are revoked, on every replica.
func TestAPITokens(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	by := r.operator(t, dormer.RoleFull)
	second := r.replica(t)
	token, text := apiToken(t, r, by, access.NewAPIToken{Role: dormer.RoleFull, Areas: []access.Area{access.AreaReports, access.AreaImages, access.AreaImages}, Lifetime: time.Hour})
	want := access.APIToken{
		ID: token.ID, Name: "build", Hash: token.Hash, Owner: r.alice, Role: dormer.RoleFull, Areas: []access.Area{access.AreaImages, access.AreaReports},
		Created: r.clock(), Expires: r.clock().Add(time.Hour),
	}
	if diff := cmp.Diff(want, token); diff != "" {
		t.Error(diff)
	}
	secret, ok := strings.CutPrefix(text, "dormer_api_"+token.ID+".")
	if !ok || len(secret) < 40 {
		t.Fatalf("its text does not begin as it should, or has %d characters", len(secret))
	}
	is := func(what, text string, role dormer.Role, kind error) {
		t.Helper()
		for i, a := range []*access.Authenticator{r.Authenticator, second} {
			c, err := a.Operator(ctx, text)
			if !errors.Is(err, kind) || c.Role != role || err == nil && (c.User != r.alice || c.Token != token.ID || len(c.Areas) != 2) {
				t.Errorf("%s, on replica %d: %+v, %v", what, i, c, err)
			}
		}
	}
	is("new", text, dormer.RoleFull, nil)
	for what, wrong := range map[string]string{
		"another secret": text[:len(text)-1] + "x", "no secret": "dormer_api_" + token.ID + ".", "no dot": "dormer_api_" + token.ID,
		"no such token": "dormer_api_" + strings.Repeat("a", 26) + "." + secret, "nothing": "dormer_api_", "as a session": token.ID + "." + secret,
		"the hash": "dormer_api_" + token.ID + "." + string(token.Hash[:]),
	} {
		is(what, wrong, dormer.RoleNone, dormer.ErrUnauthenticated)
	}

	// It follows what its owner is.
	for _, step := range []struct {
		what string
		set  func()
		role dormer.Role
		kind error
	}{
		{"owner may only read", func() { r.setRole(t, dormer.RoleReadOnly) }, dormer.RoleReadOnly, nil},
		{"owner without role", func() { r.setRole(t, dormer.RoleNone) }, dormer.RoleNone, dormer.ErrUnauthenticated},
		{"owner with role again", func() { r.setRole(t, dormer.RoleFull) }, dormer.RoleFull, nil},
		{"owner disabled", func() { r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = access.ReasonDisabled }) }, dormer.RoleNone, dormer.ErrUnauthenticated},
		{"owner enabled", func() { r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = "" }) }, dormer.RoleFull, nil},
		{"directory down", func() { r.corp.Down(true) }, dormer.RoleNone, dormer.ErrUnavailable},
		{"directory up", func() { r.corp.Down(false) }, dormer.RoleFull, nil},
		{"owner gone", func() { r.corp.Remove(r.alice) }, dormer.RoleNone, dormer.ErrUnauthenticated},
	} {
		step.set()
		r.wait(time.Minute) // groups of corp are fresh for so long
		is(step.what, text, step.role, step.kind)
	}
}

func (r *realms) setRole(t *testing.T, role dormer.Role) {
	t.Helper()
	if err := r.state.SetOperator(t.Context(), access.Operator{Principal: r.alice, Role: role}); err != nil {
		t.Fatal(err)
	}
}

// TestAPITokensEnd by time and by revocation: at once where they are revoked,
// and elsewhere when the store is followed.
func TestAPITokensEnd(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	by := r.operator(t, dormer.RoleFull)
	second := r.replica(t)
	check := func(what string, a *access.Authenticator, text string, kind error) {
		t.Helper()
		_, err := a.Operator(ctx, text)
		if !errors.Is(err, kind) {
			t.Errorf("%s: %v, want %v", what, err, kind)
		}
	}
	short, shortText := apiToken(t, r, by, access.NewAPIToken{Role: dormer.RoleReadOnly, Lifetime: time.Minute})
	long, longText := apiToken(t, r, by, access.NewAPIToken{Role: dormer.RoleReadOnly})
	if got := long.Expires.Sub(long.Created); got != access.DefaultAPITokenLifetime {
		t.Errorf("it counts for %s", got)
	}
	check("before it expires", second, shortText, nil)
	r.wait(time.Minute)
	check("after it expired", r.Authenticator, shortText, dormer.ErrUnauthenticated)
	check("after it expired", second, shortText, dormer.ErrUnauthenticated)

	check("before it is revoked", r.Authenticator, longText, nil)
	check("before it is revoked", second, longText, nil)
	for range 2 {
		if err := r.RevokeAPIToken(ctx, long.ID); err != nil {
			t.Fatal(err)
		}
	}
	check("revoked here", r.Authenticator, longText, dormer.ErrUnauthenticated)
	if err := second.Follow(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Follow(ctx); err != nil {
		t.Fatal(err)
	}
	check("revoked elsewhere", second, longText, dormer.ErrUnauthenticated)
	check("still", r.Authenticator, longText, dormer.ErrUnauthenticated)
	check("after a restart", r.replica(t), longText, dormer.ErrUnauthenticated)
	for _, id := range []string{strings.Repeat("a", 26), "", "x", "../../x"} {
		if err := r.RevokeAPIToken(ctx, id); !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("revoke %q: %v", id, err)
		}
	}

	// When they were used is noted: at once for who asks here, in the store when
	// it is followed.
	used := func(a *access.Authenticator) *time.Time {
		t.Helper()
		all, err := a.APITokens(ctx)
		if err != nil || len(all) != 2 {
			t.Fatalf("%+v, %v", all, err)
		}
		i := slices.IndexFunc(all, func(t access.APIToken) bool { return t.ID == short.ID })
		return all[i].LastUsed
	}
	if at := used(second); at == nil || !at.Equal(short.Created) {
		t.Errorf("last used at %v, want %s", at, short.Created)
	}
	if at := used(r.replica(t)); at == nil || !at.Equal(short.Created) {
		t.Errorf("on another replica last used at %v, want %s", at, short.Created)
	}
}

// TestNewAPITokens have no more than who makes them.
func TestNewAPITokens(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	full := r.operator(t, dormer.RoleFull)
	reader := full
	reader.Role = dormer.RoleReadOnly
	_, parentText := apiToken(t, r, full, access.NewAPIToken{
		Role: dormer.RoleFull, Areas: []access.Area{access.AreaAccess, access.AreaImages}, Lifetime: 24 * time.Hour,
	})
	parent, err := r.Operator(ctx, parentText)
	if err != nil {
		t.Fatal(err)
	}
	readOnly, images := parent, parent
	readOnly.Role = dormer.RoleReadOnly
	images.Areas = []access.Area{access.AreaImages}
	for what, c := range map[string]struct {
		by   access.Caller
		n    access.NewAPIToken
		kind error
	}{
		"a reader's for all":           {reader, access.NewAPIToken{Name: "x", Role: dormer.RoleFull}, dormer.ErrInvalid},
		"a reader's":                   {reader, access.NewAPIToken{Name: "x", Role: dormer.RoleReadOnly}, nil},
		"no role":                      {full, access.NewAPIToken{Name: "x"}, dormer.ErrInvalid},
		"an unknown role":              {full, access.NewAPIToken{Name: "x", Role: "root"}, dormer.ErrInvalid},
		"no name":                      {full, access.NewAPIToken{Name: " ", Role: dormer.RoleFull}, dormer.ErrInvalid},
		"a name without end":           {full, access.NewAPIToken{Name: strings.Repeat("x", 201), Role: dormer.RoleFull}, dormer.ErrInvalid},
		"a name that does not print":   {full, access.NewAPIToken{Name: "x\x00y", Role: dormer.RoleFull}, dormer.ErrInvalid},
		"an unknown area":              {full, access.NewAPIToken{Name: "x", Role: dormer.RoleFull, Areas: []access.Area{"all"}}, dormer.ErrInvalid},
		"367 days":                     {full, access.NewAPIToken{Name: "x", Role: dormer.RoleFull, Lifetime: 367 * 24 * time.Hour}, dormer.ErrInvalid},
		"less than no time":            {full, access.NewAPIToken{Name: "x", Role: dormer.RoleFull, Lifetime: -1}, dormer.ErrInvalid},
		"366 days":                     {full, access.NewAPIToken{Name: "x", Role: dormer.RoleFull, Lifetime: 366 * 24 * time.Hour}, nil},
		"by a token, less":             {parent, access.NewAPIToken{Name: "x", Role: dormer.RoleReadOnly, Areas: []access.Area{access.AreaImages}}, nil},
		"by a token, as much":          {parent, access.NewAPIToken{Name: "x", Role: dormer.RoleFull}, nil},
		"by a token, another area":     {parent, access.NewAPIToken{Name: "x", Role: dormer.RoleFull, Areas: []access.Area{access.AreaImages, access.AreaClients}}, dormer.ErrInvalid},
		"by a token that may read":     {readOnly, access.NewAPIToken{Name: "x", Role: dormer.RoleReadOnly}, dormer.ErrDenied},
		"by a token for another area":  {images, access.NewAPIToken{Name: "x", Role: dormer.RoleReadOnly}, dormer.ErrDenied},
		"by a token, with other areas": {images, access.NewAPIToken{Name: "x", Role: dormer.RoleReadOnly, Areas: []access.Area{access.AreaAccess}}, dormer.ErrDenied},
	} {
		token, text, err := r.CreateAPIToken(ctx, c.by, c.n)
		if !errors.Is(err, c.kind) || (err == nil) != (text != "") {
			t.Errorf("%s: %v, want %v", what, err, c.kind)
		}
		if err != nil {
			continue
		}
		child, err := r.Operator(ctx, text)
		if err != nil || !c.by.Role.Allows(child.Role) || c.by.Areas != nil && child.Areas == nil {
			t.Errorf("%s: may do %+v, %v", what, child, err)
		}
		for _, area := range child.Areas {
			if !c.by.Allows(area, child.Role) {
				t.Errorf("%s: may do more than its maker in %s", what, area)
			}
		}
		if c.by.Token != "" && token.Expires.After(r.clock().Add(24*time.Hour)) {
			t.Errorf("%s: outlives the token that made it", what)
		}
	}

	for range access.MaxAPITokens {
		_, _, err = r.CreateAPIToken(ctx, full, access.NewAPIToken{Name: "x", Role: dormer.RoleReadOnly})
		if err != nil {
			break
		}
	}
	wantKind(t, "one more than there may be", err, dormer.ErrTooLarge)
	r.wait(access.MaxAPITokenLifetime)
	if _, _, err := r.CreateAPIToken(ctx, full, access.NewAPIToken{Name: "x", Role: dormer.RoleReadOnly}); err != nil {
		t.Errorf("when those have expired: %v", err)
	}
	r.cfg.Tokens = nil
	none := r.replica(t)
	_, _, err = none.CreateAPIToken(ctx, full, access.NewAPIToken{Name: "x", Role: dormer.RoleReadOnly})
	wantKind(t, "where there are none", err, dormer.ErrUnsupported)
	_, err = none.Operator(ctx, parentText)
	wantKind(t, "one where there are none", err, dormer.ErrUnauthenticated)
}

func TestCallerAllows(t *testing.T) {
	all, some := access.Caller{Role: dormer.RoleFull}, access.Caller{Role: dormer.RoleReadOnly, Areas: []access.Area{access.AreaImages}}
	for _, area := range access.Areas() {
		if !all.Allows(area, dormer.RoleFull) {
			t.Errorf("everything, but not %s", area)
		}
		if some.Allows(area, dormer.RoleReadOnly) != (area == access.AreaImages) || some.Allows(area, dormer.RoleFull) {
			t.Errorf("reads images, and in %s something else", area)
		}
	}
}

// BenchmarkAPIToken checks tokens as each request does, with its role.
func BenchmarkAPIToken(b *testing.B) {
	r := newRealms(b)
	if err := r.state.SetOperator(b.Context(), access.Operator{Principal: r.alice, Role: dormer.RoleFull}); err != nil {
		b.Fatal(err)
	}
	_, text, err := r.CreateAPIToken(b.Context(), access.Caller{User: r.alice, Role: dormer.RoleFull}, access.NewAPIToken{Name: "x", Role: dormer.RoleFull})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.Operator(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}

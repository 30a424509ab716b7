package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

func testAccounts(t *testing.T, s State) {
	ctx := t.Context()
	a := access.Account{ID: id("a"), Name: "Büro", DisplayName: "The office", PasswordHash: "$argon2id$x", MustChange: true, Created: at(0)}
	b := access.Account{ID: id("b"), Name: "anna", Disabled: true, Expires: atp(1), Created: at(1)}
	b.Expires = atp(0)
	ok(t, s.CreateAccount(ctx, a))
	ok(t, s.CreateAccount(ctx, b))
	is(t, s.CreateAccount(ctx, access.Account{ID: id("c"), Name: "BU\u0308RO", Created: at(0)}), dormer.ErrExists)
	is(t, s.CreateAccount(ctx, access.Account{ID: id("a"), Name: "other", Created: at(0)}), dormer.ErrExists)

	b.Created = at(0).Add(0)
	got := must[access.Account](t)(s.AccountByName(ctx, "bÜRO"))
	equal(t, got, a)
	equal(t, must[access.Account](t)(s.AccountByID(ctx, a.ID)), a)
	_, err := s.AccountByName(ctx, "nobody")
	is(t, err, dormer.ErrNotFound)
	_, err = s.AccountByID(ctx, id("z"))
	is(t, err, dormer.ErrNotFound)

	refusal := errors.New("no")
	if err := s.UpdateAccount(ctx, a.ID, func(v *access.Account) error { v.Name = "changed"; return refusal }); err != refusal { //nolint:errorlint // as it is
		t.Fatalf("error is %v, want the very one that change returned", err)
	}
	equal(t, must[access.Account](t)(s.AccountByID(ctx, a.ID)), a)
	ok(t, s.UpdateAccount(ctx, a.ID, func(v *access.Account) error {
		v.Name, v.MustChange, v.PasswordHash = "Kontor", false, "$argon2id$y"
		return nil
	}))
	a.Name, a.MustChange, a.PasswordHash = "Kontor", false, "$argon2id$y"
	equal(t, must[access.Account](t)(s.AccountByName(ctx, "KONTOR")), a)
	_, err = s.AccountByName(ctx, "Büro")
	is(t, err, dormer.ErrNotFound)
	is(t, s.UpdateAccount(ctx, a.ID, func(v *access.Account) error { v.Name = "ANNA"; return nil }), dormer.ErrExists)
	is(t, s.UpdateAccount(ctx, id("z"), func(*access.Account) error { return nil }), dormer.ErrNotFound)

	list := must[[]access.Account](t)(s.Accounts(ctx))
	if len(list) != 2 || list[0].Name != "anna" || !list[0].Disabled || !list[0].Expires.Equal(*b.Expires) || list[1].Name != "Kontor" {
		t.Fatalf("accounts are %+v", list)
	}

	ok(t, s.CreateGroup(ctx, access.Group{ID: id("g"), Name: "Staff"}))
	ok(t, s.SetMember(ctx, id("g"), access.Member{Kind: dormer.KindUser, ID: a.ID}, true))
	ok(t, s.DeleteAccount(ctx, a.ID))
	is(t, s.DeleteAccount(ctx, a.ID), dormer.ErrNotFound)
	if m := must[[]access.Member](t)(s.Members(ctx, id("g"))); len(m) != 0 {
		t.Errorf("the deleted account is still a member: %v", m)
	}
}

func testAccountsAtOnce(t *testing.T, s State) {
	ctx := t.Context()
	done, refused := count(t, together(8, func(i int) error {
		return s.CreateAccount(ctx, access.Account{ID: id(fmt.Sprint("n", i)), Name: []string{"Anna", "ANNA"}[i%2], Created: at(0)})
	}), dormer.ErrExists)
	if done != 1 || refused != 7 {
		t.Fatalf("%d were created and %d refused, want 1 and 7", done, refused)
	}
	a := must[access.Account](t)(s.AccountByName(ctx, "anna"))
	for _, err := range together(10, func(int) error {
		return s.UpdateAccount(ctx, a.ID, func(v *access.Account) error { v.DisplayName += "x"; return nil })
	}) {
		ok(t, err)
	}
	if a = must[access.Account](t)(s.AccountByID(ctx, a.ID)); a.DisplayName != "xxxxxxxxxx" {
		t.Errorf("10 changes at once left %q: some were lost", a.DisplayName)
	}
}

func testGroups(t *testing.T, s State) {
	ctx := t.Context()
	group := func(n string) access.Member { return access.Member{Kind: dormer.KindGroup, ID: id(n)} }
	anna := access.Member{Kind: dormer.KindUser, ID: id("u")}
	ok(t, s.CreateAccount(ctx, access.Account{ID: anna.ID, Name: "anna", Created: at(0)}))
	for _, n := range []string{"a", "b", "c"} {
		ok(t, s.CreateGroup(ctx, access.Group{ID: id(n), Name: "Group " + n}))
	}
	is(t, s.CreateGroup(ctx, access.Group{ID: id("d"), Name: "GROUP A"}), dormer.ErrExists)
	for range 2 {
		ok(t, s.SetMember(ctx, id("a"), group("b"), true))
		ok(t, s.SetMember(ctx, id("b"), group("c"), true))
		ok(t, s.SetMember(ctx, id("c"), anna, true))
	}
	is(t, s.SetMember(ctx, id("c"), group("a"), true), dormer.ErrInvalid)
	is(t, s.SetMember(ctx, id("a"), group("a"), true), dormer.ErrInvalid)
	is(t, s.SetMember(ctx, id("z"), anna, true), dormer.ErrNotFound)
	is(t, s.SetMember(ctx, id("a"), group("z"), true), dormer.ErrNotFound)
	is(t, s.SetMember(ctx, id("a"), access.Member{Kind: dormer.KindUser, ID: id("a")}, true), dormer.ErrNotFound)
	is(t, s.SetMember(ctx, id("a"), access.Member{Kind: "robot", ID: id("a")}, true), dormer.ErrInvalid)

	names := func(m access.Member) (list []string) {
		for _, g := range must[[]access.Group](t)(s.GroupsOf(ctx, m)) {
			list = append(list, g.Name)
		}
		return list
	}
	equal(t, names(anna), []string{"Group a", "Group b", "Group c"})
	equal(t, names(group("c")), []string{"Group a", "Group b"})
	equal(t, names(group("a")), nil)
	equal(t, must[[]access.Member](t)(s.Members(ctx, id("c"))), []access.Member{anna})
	_, err := s.Members(ctx, id("z"))
	is(t, err, dormer.ErrNotFound)

	for range 2 {
		ok(t, s.SetMember(ctx, id("b"), group("c"), false))
	}
	equal(t, names(anna), []string{"Group c"})
	// Now the other way round is no cycle any more.
	ok(t, s.SetMember(ctx, id("c"), group("a"), true))
	ok(t, s.DeleteGroup(ctx, id("c")))
	is(t, s.DeleteGroup(ctx, id("c")), dormer.ErrNotFound)
	equal(t, names(anna), nil)
	if list := must[[]access.Group](t)(s.Groups(ctx)); len(list) != 2 {
		t.Errorf("groups are %v, want two", list)
	}

	// Of two that would make a cycle together one is refused.
	ok(t, s.SetMember(ctx, id("a"), group("b"), false))
	done, refused := count(t, together(2, func(i int) error {
		pair := []string{"a", "b"}
		return s.SetMember(ctx, id(pair[i]), group(pair[1-i]), true)
	}), dormer.ErrInvalid)
	if done != 1 || refused != 1 {
		t.Errorf("%d were added and %d refused, want one each", done, refused)
	}
}

func testOperators(t *testing.T, s State) {
	ctx := t.Context()
	p := user(1)
	ok(t, s.SetOperator(ctx, access.Operator{Principal: p, Role: dormer.RoleReadOnly}))
	p.Name = "renamed"
	for range 2 {
		ok(t, s.SetOperator(ctx, access.Operator{Principal: p, Role: dormer.RoleFull}))
	}
	equal(t, must[[]access.Operator](t)(s.Operators(ctx)), []access.Operator{{Principal: p, Role: dormer.RoleFull}})
	is(t, s.SetOperator(ctx, access.Operator{Principal: p, Role: "king"}), dormer.ErrInvalid)
	for range 2 {
		ok(t, s.SetOperator(ctx, access.Operator{Principal: p}))
	}
	if list := must[[]access.Operator](t)(s.Operators(ctx)); len(list) != 0 {
		t.Errorf("operators are %v, want none", list)
	}
}

func testSessions(t *testing.T, s State) {
	ctx := t.Context()
	session := func(n string, kind access.SessionKind, u int) access.Session {
		v := access.Session{ID: id(n), Kind: kind, User: user(u), Client: "client", Created: at(0), Expires: at(10)}
		copy(v.Hash[:], n)
		return v
	}
	one, two, other := session("a", access.SessionUser, 1), session("b", access.SessionOperator, 1), session("c", access.SessionUser, 2)
	other.Expires = at(5)
	for _, v := range []access.Session{one, two, other} {
		ok(t, s.CreateSession(ctx, v))
	}
	is(t, s.CreateSession(ctx, one), dormer.ErrExists)
	// Times are kept to the microsecond.
	one.Expires, two.Expires, other.Expires = at(0), at(0), at(0)
	equal(t, must[access.Session](t)(s.Session(ctx, id("a"))), one)
	equal(t, must[[]access.Session](t)(s.Sessions(ctx, access.SessionUser)), []access.Session{one, other})

	ended := must[[]string](t)(s.EndSessionsOf(ctx, user(1).ID()))
	slices.Sort(ended)
	equal(t, ended, []string{id("a"), id("b")})
	_, err := s.Session(ctx, id("a"))
	is(t, err, dormer.ErrNotFound)
	ok(t, s.EndSession(ctx, id("a")))
	equal(t, must[access.Session](t)(s.Session(ctx, id("c"))), other)
	ok(t, s.DeleteExpiredSessions(ctx, at(-1000)))
	_ = must[access.Session](t)(s.Session(ctx, id("c")))
	ok(t, s.DeleteExpiredSessions(ctx, at(0)))
	_, err = s.Session(ctx, id("c"))
	is(t, err, dormer.ErrNotFound)
}

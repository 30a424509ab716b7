package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/enroll"
)

func testUsedOnce(t *testing.T, s State) {
	ctx := t.Context()
	ok(t, s.UseOnce(ctx, "code", [32]byte{1}, at(time.Minute)))
	is(t, s.UseOnce(ctx, "code", [32]byte{1}, at(time.Hour)), dormer.ErrExists)
	ok(t, s.UseOnce(ctx, "ticket", [32]byte{1}, at(time.Hour)))
	ok(t, s.UseOnce(ctx, "code", [32]byte{2}, at(time.Hour)))
	ok(t, s.DeleteExpiredUses(ctx, at(time.Minute-time.Second)))
	is(t, s.UseOnce(ctx, "code", [32]byte{1}, at(time.Minute)), dormer.ErrExists)
	ok(t, s.DeleteExpiredUses(ctx, at(time.Minute)))
	is(t, s.UseOnce(ctx, "code", [32]byte{2}, at(time.Hour)), dormer.ErrExists)
	is(t, s.UseOnce(ctx, "ticket", [32]byte{1}, at(time.Hour)), dormer.ErrExists)
	ok(t, s.UseOnce(ctx, "code", [32]byte{1}, at(time.Minute)))

	// Of many at once one counts.
	done, refused := count(t, together(20, func(int) error { return s.UseOnce(ctx, "code", [32]byte{3}, at(time.Minute)) }), dormer.ErrExists)
	if done != 1 || refused != 19 {
		t.Errorf("%d of 20 were taken and %d refused, want 1 and 19", done, refused)
	}
}

func testAPITokens(t *testing.T, s State) {
	ctx := t.Context()
	a := access.APIToken{
		ID: id("a"), Name: "nightly build", Hash: [32]byte{1}, Owner: user(1), Role: dormer.RoleReadOnly,
		Areas: []access.Area{access.AreaImages, access.AreaReports}, Created: at(0).Truncate(time.Microsecond), Expires: at(time.Hour),
	}
	b := access.APIToken{ID: id("b"), Name: "all", Hash: [32]byte{2}, Owner: user(2), Role: dormer.RoleFull, Created: at(time.Second), Expires: at(time.Minute)}
	ok(t, s.CreateAPIToken(ctx, a))
	ok(t, s.CreateAPIToken(ctx, b))
	is(t, s.CreateAPIToken(ctx, a), dormer.ErrExists)
	equal(t, must[access.APIToken](t)(s.APIToken(ctx, a.ID)), a)
	equal(t, must[[]access.APIToken](t)(s.APITokens(ctx)), []access.APIToken{b, a})
	_, err := s.APIToken(ctx, id("z"))
	is(t, err, dormer.ErrNotFound)

	ok(t, s.UsedAPITokens(ctx, nil))
	used := map[string]time.Time{a.ID: at(2 * time.Minute), id("z"): at(0)}
	// Enough that it takes more than one statement.
	for i := range 450 {
		used[fmt.Sprint("stranger-", i)] = at(0)
	}
	ok(t, s.UsedAPITokens(ctx, used))
	ok(t, s.UsedAPITokens(ctx, map[string]time.Time{a.ID: at(time.Minute), b.ID: at(time.Minute)})) // that of a is older
	a.LastUsed, b.LastUsed = atp(2*time.Minute), atp(time.Minute)

	ok(t, s.RevokeAPIToken(ctx, a.ID, at(time.Minute)))
	ok(t, s.RevokeAPIToken(ctx, a.ID, at(time.Hour)))
	is(t, s.RevokeAPIToken(ctx, id("z"), at(0)), dormer.ErrNotFound)
	a.Revoked = atp(time.Minute)
	equal(t, must[[]access.APIToken](t)(s.APITokens(ctx)), []access.APIToken{b, a})
}

func testFederated(t *testing.T, s State) {
	ctx := t.Context()
	a := access.FederatedAccount{
		Directory: "sso", Key: "https://sso.example.com 1", Name: "zoë@example.com", DisplayName: "Zoë", Groups: []string{"staff", "büro"},
		Refresh: []byte{0, 1, 2}, SignedIn: at(0), Checked: at(time.Minute),
	}
	b := access.FederatedAccount{Directory: "sso", Key: "https://sso.example.com 2", Name: "Anna", SignedIn: at(0), Checked: at(0), Refused: access.ReasonDisabled}
	other := a
	other.Directory = "other"
	for _, v := range []access.FederatedAccount{a, b, other, a} {
		ok(t, s.PutFederated(ctx, v))
	}
	equal(t, must[access.FederatedAccount](t)(s.Federated(ctx, "sso", a.Key)), a)
	equal(t, must[[]access.FederatedAccount](t)(s.FederatedAccounts(ctx, "sso")), []access.FederatedAccount{b, a})
	_, err := s.Federated(ctx, "sso", "nobody")
	is(t, err, dormer.ErrNotFound)

	// What a provider says is kept as it is, where it can be, or refused.
	a.Name, a.DisplayName, a.Groups, a.Refresh, a.Refused = "Zoe", "Z\x00\xff", nil, nil, access.ReasonSignInAgain
	ok(t, s.PutFederated(ctx, a))
	a.DisplayName = "Z\uFFFD\uFFFD"
	equal(t, must[access.FederatedAccount](t)(s.Federated(ctx, "sso", a.Key)), a)
	bad := a
	bad.Key = "a\x00b"
	is(t, s.PutFederated(ctx, bad), dormer.ErrInvalid)
	bad = a
	bad.Name = "\xff"
	is(t, s.PutFederated(ctx, bad), dormer.ErrInvalid)

	for range 2 {
		ok(t, s.DeleteFederated(ctx, "sso", a.Key))
	}
	equal(t, must[[]access.FederatedAccount](t)(s.FederatedAccounts(ctx, "sso")), []access.FederatedAccount{b})
	equal(t, must[access.FederatedAccount](t)(s.Federated(ctx, "other", a.Key)), other)
	equal(t, must[[]access.FederatedAccount](t)(s.FederatedAccounts(ctx, "none")), nil)
}

// testOperatorsAtOnce: two operators who take each other's role away at the
// same time leave one.
func testOperatorsAtOnce(t *testing.T, s State) {
	ctx := t.Context()
	for range 20 {
		for n := range 2 {
			ok(t, s.SetOperator(ctx, access.Operator{Principal: user(n), Role: dormer.RoleFull}))
		}
		last := errors.New("the last one")
		done, refused := count(t, together(2, func(i int) error {
			return s.ChangeOperator(ctx, access.Operator{Principal: user(i)}, func(now []access.Operator) error {
				for _, o := range now {
					if o.Principal != user(i) {
						return nil
					}
				}
				return last
			})
		}), last)
		left := must[[]access.Operator](t)(s.Operators(ctx))
		if done != 1 || refused != 1 || len(left) != 1 {
			t.Fatalf("%d went, %d were refused, left are %v; want one of each", done, refused, left)
		}
	}
	refusal := errors.New("no")
	if err := s.ChangeOperator(ctx, access.Operator{Principal: user(7), Role: dormer.RoleFull}, func([]access.Operator) error { return refusal }); err != refusal { //nolint:errorlint // as it is
		t.Errorf("error is %v, want the very one that check returned", err)
	}
}

func testCopied(t *testing.T, s State) {
	ctx := t.Context()
	c := enrolled(t, s, 2)[0]
	is(t, s.MarkCopied(ctx, "nobody", at(0), "x"), dormer.ErrNotFound)
	ok(t, s.MarkCopied(ctx, c.ID, at(time.Minute), "pc1 and pc\x002"))
	ok(t, s.MarkCopied(ctx, c.ID, at(0), "older"))
	c.Copied, c.CopiedDetail = atp(time.Minute), "pc1 and pc\uFFFD2"
	equal(t, must[enroll.Client](t)(s.Client(ctx, c.ID)), c)
	ok(t, s.MarkCopied(ctx, c.ID, at(time.Hour), "newer"))
	c.Copied, c.CopiedDetail = atp(time.Hour), "newer"
	equal(t, must[enroll.Client](t)(s.Client(ctx, c.ID)), c)
}

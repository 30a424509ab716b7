package access_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/access/accesstest"
)

// TestLastOperator: whatever is done, somebody with the role full is left who
// can sign in. Who cannot, or whom the directory does not know, does not count;
// groups do.
func TestLastOperator(t *testing.T) {
	expired := func(u *accesstest.User) { u.Refused = access.ReasonExpired }
	for what, c := range map[string]struct {
		other func(r *realms) dormer.Principal // the other operator
		kind  error
	}{
		"another user": {func(r *realms) dormer.Principal { return r.corp.Add(accesstest.User{Name: "bob"}) }, nil},
		"a user of another directory": {func(r *realms) dormer.Principal {
			return r.other.Add(accesstest.User{Name: "bob"})
		}, nil},
		"a group": {func(r *realms) dormer.Principal { return r.other.AddGroup("admins") }, nil},
		"one who has expired": {func(r *realms) dormer.Principal {
			p := r.corp.Add(accesstest.User{Name: "bob"})
			r.corp.Change(p, expired)
			return p
		}, dormer.ErrConflict},
		"one who is gone": {func(r *realms) dormer.Principal {
			p := r.corp.Add(accesstest.User{Name: "bob"})
			r.corp.Remove(p)
			return p
		}, dormer.ErrConflict},
		"a group that is gone": {func(r *realms) dormer.Principal {
			p := r.corp.AddGroup("admins")
			r.corp.Remove(p)
			return p
		}, dormer.ErrConflict},
		"one of a directory that is gone": {func(*realms) dormer.Principal {
			return dormer.Principal{Directory: "gone", Kind: dormer.KindUser, Key: "k", Name: "bob"}
		}, dormer.ErrConflict},
		"one of a directory that does not answer": {func(r *realms) dormer.Principal {
			r.other.Down(true)
			return dormer.Principal{Directory: "other", Kind: dormer.KindUser, Key: "k", Name: "bob"}
		}, dormer.ErrUnavailable},
	} {
		t.Run(what, func(t *testing.T) {
			ctx := t.Context()
			set := func(r *realms, p dormer.Principal, role dormer.Role) {
				t.Helper()
				if err := r.state.SetOperator(ctx, access.Operator{Principal: p, Role: role}); err != nil {
					t.Fatal(err)
				}
			}
			for name, do := range map[string]func(r *realms) error{
				"taken": func(r *realms) error {
					_, err := r.SetOperator(ctx, dormer.KindUser, "alice", dormer.RoleNone)
					return err
				},
				"read-only": func(r *realms) error {
					_, err := r.SetOperator(ctx, dormer.KindUser, "alice", dormer.RoleReadOnly)
					return err
				},
				"removable": func(r *realms) error { return r.CheckRemovable(ctx, r.alice) },
				"forgotten": func(r *realms) error { return r.Forget(ctx, r.alice) },
				"removing": func(r *realms) error {
					return r.Removing(ctx, r.alice, func() error { set(r, r.alice, dormer.RoleNone); return nil })
				},
			} {
				r := newRealms(t)
				set(r, r.alice, dormer.RoleFull)
				set(r, r.corp.Add(accesstest.User{Name: "reader"}), dormer.RoleReadOnly)
				set(r, c.other(r), dormer.RoleFull)
				err := do(r)
				if !errors.Is(err, c.kind) {
					t.Errorf("%s: %v, want %v", name, err, c.kind)
				}
				role, e := r.Role(ctx, r.alice)
				if e == nil && c.kind != nil && role != dormer.RoleFull || err == nil && name != "removable" && role == dormer.RoleFull {
					t.Errorf("%s: alice has the role %q now", name, role)
				}
				// What takes nothing away is not refused.
				for _, role := range []dormer.Role{dormer.RoleReadOnly, dormer.RoleFull} {
					if _, err := r.SetOperator(ctx, dormer.KindUser, "reader", role); err != nil {
						t.Errorf("%s: then the role %s is given: %v", name, role, err)
					}
				}
			}
		})
	}
}

// TestOperatorsTakeEachOthersRole on two replicas at once: one is left. The
// same when they disable each other on one.
func TestOperatorsTakeEachOthersRole(t *testing.T) {
	for range 10 {
		r := newRealms(t)
		ctx := t.Context()
		bob := r.corp.Add(accesstest.User{Name: "bob"})
		replicas := []*access.Authenticator{r.Authenticator, r.replica(t)}
		pair := []dormer.Principal{r.alice, bob}
		both := func(do func(i int) error) (done int) {
			t.Helper()
			for _, p := range pair {
				if err := r.state.SetOperator(ctx, access.Operator{Principal: p, Role: dormer.RoleFull}); err != nil {
					t.Fatal(err)
				}
			}
			var wg sync.WaitGroup
			errs := make([]error, 2)
			for i := range errs {
				wg.Go(func() { errs[i] = do(i) })
			}
			wg.Wait()
			for _, err := range errs {
				if err == nil {
					done++
				} else if !errors.Is(err, dormer.ErrConflict) {
					t.Error(err)
				}
			}
			return done
		}
		if n := both(func(i int) error {
			_, err := replicas[i].SetOperator(ctx, dormer.KindUser, pair[1-i].Name, dormer.RoleNone)
			return err
		}); n != 1 {
			t.Fatalf("%d of two took the other's role", n)
		}
		if n := both(func(i int) error {
			return r.Removing(ctx, pair[i], func() error {
				r.corp.Change(pair[i], func(u *accesstest.User) { u.Refused = access.ReasonDisabled })
				return nil
			})
		}); n != 1 {
			t.Fatalf("%d of two disabled the other", n)
		}
	}
}

// TestRoleIsOfAKind: a group whose key is that of an operator, as a group of an
// OpenID provider may be called, makes nobody that operator.
func TestRoleIsOfAKind(t *testing.T) {
	r := newRealms(t)
	for kind, other := range map[dormer.PrincipalKind]dormer.Principal{
		dormer.KindUser: r.corp.AddGroup("like a user", r.alice), dormer.KindGroup: r.alice,
	} {
		if err := r.state.SetOperator(t.Context(), access.Operator{
			Principal: dormer.Principal{Directory: "corp", Kind: kind, Key: other.Key, Name: "admin"}, Role: dormer.RoleFull,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if role, err := r.Role(t.Context(), r.alice); role != dormer.RoleNone || err != nil {
		t.Errorf("the role is %q, %v", role, err)
	}
}

// TestRoleOfTheGone can be taken by the name that was known.
func TestRoleOfTheGone(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	set := func(p dormer.Principal) {
		t.Helper()
		if err := r.state.SetOperator(ctx, access.Operator{Principal: p, Role: dormer.RoleFull}); err != nil {
			t.Fatal(err)
		}
	}
	set(r.alice)
	bob := r.corp.Add(accesstest.User{Name: "bob"})
	set(bob)
	r.corp.Remove(bob)
	set(dormer.Principal{Directory: "gone", Kind: dormer.KindUser, Key: "k", Name: "carol"})
	if _, err := r.SetOperator(ctx, dormer.KindUser, "bob", dormer.RoleReadOnly); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a role for who is gone: %v", err)
	}
	for _, who := range []string{`CORPNT\Bob`, `gone\carol`} {
		if _, err := r.SetOperator(ctx, dormer.KindUser, who, dormer.RoleNone); err != nil {
			t.Errorf("take the role of %s: %v", who, err)
		}
	}
	if all, err := r.Operators(ctx); err != nil || len(all) != 1 {
		t.Errorf("operators are %+v, %v", all, err)
	}
	if _, err := r.SetOperator(ctx, dormer.KindUser, "dave", dormer.RoleNone); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("take a role of nobody: %v", err)
	}
}

func TestEnds(t *testing.T) {
	r := newRealms(t)
	yes, no := true, false
	past, now, future, never := r.clock().Add(-time.Hour), r.clock(), r.clock().Add(time.Hour), time.Time{}
	for what, c := range map[string]struct {
		change access.AccountChange
		want   bool
	}{
		"nothing": {}, "disabled": {access.AccountChange{Disabled: &yes}, true}, "enabled": {access.AccountChange{Disabled: &no}, false},
		"expired": {access.AccountChange{Expires: &past}, true}, "expires now": {access.AccountChange{Expires: &now}, true},
		"expires later": {access.AccountChange{Expires: &future}, false}, "never": {access.AccountChange{Expires: &never}, false},
	} {
		if r.Ends(c.change) != c.want {
			t.Errorf("%s: want %t", what, c.want)
		}
	}
}

// TestFreshGroups: an operator's groups count for as long as the mount says
// without asking the directory, not at all longer, and are asked for anew when
// the operator signs in or the directory was changed here.
func TestFreshGroups(t *testing.T) {
	r := newRealms(t)
	ctx := t.Context()
	admins := r.corp.AddGroup("admins", r.alice)
	if err := r.state.SetOperator(ctx, access.Operator{Principal: admins, Role: dormer.RoleFull}); err != nil {
		t.Fatal(err)
	}
	asked := r.corp.Asked()
	role := func(what string, want dormer.Role, kind error, questions int) {
		t.Helper()
		got, err := r.Role(ctx, r.alice)
		if got != want || !errors.Is(err, kind) {
			t.Errorf("%s: role %q, %v; want %q, %v", what, got, err, want, kind)
		}
		if n := r.corp.Asked() - asked; n != questions {
			t.Errorf("%s: the directory was asked %d times, want %d", what, n, questions)
		}
		asked = r.corp.Asked()
	}
	role("first", dormer.RoleFull, nil, 1)
	r.corp.SetMembers(admins)
	for range 3 {
		role("again", dormer.RoleFull, nil, 0)
	}
	r.wait(59 * time.Second)
	role("while it is fresh", dormer.RoleFull, nil, 0)
	r.wait(time.Second)
	role("when it is not", dormer.RoleNone, nil, 1)

	r.corp.SetMembers(admins, r.alice)
	role("member again", dormer.RoleNone, nil, 0)
	r.DirectoryChanged()
	role("after a change here", dormer.RoleFull, nil, 1)
	r.corp.SetMembers(admins)
	if _, err := r.SignIn(ctx, access.Attempt{User: "alice", Password: password, Remote: home}); err != nil {
		t.Fatal(err)
	}
	role("after signing in", dormer.RoleNone, nil, 1)

	// While the directory is down an operator is one for as long as the groups
	// are fresh.
	r.corp.SetMembers(admins, r.alice)
	r.DirectoryChanged()
	role("before the directory is down", dormer.RoleFull, nil, 1)
	r.corp.Down(true)
	r.wait(59 * time.Second)
	role("soon after", dormer.RoleFull, nil, 0)
	r.wait(time.Second)
	role("later", dormer.RoleNone, dormer.ErrUnavailable, 0)
	r.corp.Down(false)
	role("when it answers again", dormer.RoleFull, nil, 1)
	r.wait(-time.Hour)
	role("when the clock was set back", dormer.RoleFull, nil, 1)

	// That somebody may not be used is not kept.
	r.DirectoryChanged()
	r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = access.ReasonDisabled })
	role("disabled", dormer.RoleNone, dormer.ErrDenied, 1)
	r.corp.Change(r.alice, func(u *accesstest.User) { u.Refused = "" })
	role("enabled", dormer.RoleFull, nil, 1)

	// Other directories are asked each time that say nothing.
	carol := r.other.Add(accesstest.User{Name: "carol"})
	for range 3 {
		if _, err := r.Role(ctx, carol); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.other.Asked(); n != 3 {
		t.Errorf("the other directory was asked %d times, want 3", n)
	}
}

// TestGroupsAtOnce: requests side by side ask the directory once, and one whose
// caller has gone away keeps nobody waiting.
func TestGroupsAtOnce(t *testing.T) {
	r := newRealms(t)
	asked := r.corp.Asked()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := r.Role(t.Context(), r.alice); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := r.corp.Asked() - asked; n != 1 {
		t.Errorf("the directory was asked %d times, want once", n)
	}
	r.DirectoryChanged()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Role(ctx, r.alice)
	wantKind(t, "cancelled", err, context.Canceled)
	if _, err := r.Role(t.Context(), r.alice); err != nil {
		t.Error(err)
	}
}

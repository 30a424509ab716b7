package producttest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func TestDisabledAccount(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.push("office")
	u := i.user("alice")
	i.workspace("Office", office, grant("alice"))
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	c.await(alice, "ready")
	c.mustStart(alice)
	yes := true
	if _, err := i.Admin.ChangeUser(t.Context(), u.ID, rest.ChangeUser{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	c.mustRefresh()
	if w := c.await(alice, "ready"); w.Permitted || !strings.Contains(w.Verdict, "the account is disabled") || !strings.Contains(w.Detail, "may not start") {
		t.Errorf("after the account was disabled: %+v", w)
	}
	c.mustRefresh()
	if w := c.only(alice); !strings.Contains(w.Verdict, "the account is disabled") {
		t.Errorf("at the next poll: %+v", w)
	}
	eventually(t, "the event with the reason", func() bool {
		return slices.ContainsFunc(i.events(), func(e rest.EventRow) bool {
			return e.Code == int(event.SessionEnded) && strings.Contains(e.Description, "the account is disabled")
		})
	})
	s, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil || len(s.Users) != 0 {
		t.Errorf("still signed in: %+v, %v", s.Users, err)
	}
	if _, err := c.Agent.SignIn(t.Context(), me(alice), agentapi.SignInRequest{User: "alice", Password: userPassword}); !errors.Is(err, dormer.ErrDenied) || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("sign-in of a disabled account: %v", err)
	}
}

// TestDeletedAccount: the computer says why it stops.
func TestDeletedAccount(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.push("office")
	u := i.user("alice")
	i.workspace("Office", office, grant("alice"))
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	c.await(alice, "ready")
	if err := i.Admin.DeleteUser(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	c.mustRefresh()
	if w := c.only(alice); w.Permitted || !strings.Contains(w.Verdict, "the account was deleted") {
		t.Errorf("after the account was deleted: %+v", w)
	}
}

// TestWrongPasswordIsRecorded of whom it was about, unless there is no such
// user: what was typed may be a password.
func TestWrongPasswordIsRecorded(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	for _, typed := range []string{"ALICE", "typed in the wrong field"} {
		_, err := c.Agent.SignIn(t.Context(), me(alice), agentapi.SignInRequest{User: typed, Password: "not the password"})
		if !errors.Is(err, dormer.ErrDenied) || !strings.Contains(err.Error(), "name or password is wrong") {
			t.Errorf("wrong password of %s: %v", typed, err)
		}
	}
	records, err := i.Admin.Audit(t.Context(), 0, 2)
	if err != nil || len(records.Items) != 2 || records.Items[1].Who != "alice" || records.Items[0].Who != "unknown user" {
		t.Errorf("audit log: %+v, %v", records.Items, err)
	}
	var who []string
	eventually(t, "the events of both attempts", func() bool {
		who = nil
		for _, e := range i.events() {
			if e.Code == int(event.SignInRefused) {
				who = append(who, e.User)
			}
		}
		return len(who) == 2 || c.refresh() != nil
	})
	if !slices.Contains(who, "alice") || !slices.Contains(who, "SYSTEM") {
		t.Errorf("the events are of %q", who)
	}
}

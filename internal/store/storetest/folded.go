package storetest

import (
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
)

// testNamesInAnyScript: names are found without regard to case, whatever script
// they are in and however they came to be.
func testNamesInAnyScript(t *testing.T, s State) {
	ctx := t.Context()
	list := enrolled(t, s, 2)
	host := list[0].Host
	host.Name = "Ärzte-1"
	ok(t, s.FlushSeen(ctx, []enroll.Seen{{Client: list[0].ID, Time: at(0), Host: host}}))
	named := client(7)
	named.Host.Name = "ΜΑΡΊΑ-PC"
	ok(t, s.CreateJoinToken(ctx, token(2, 1)))
	ok(t, s.Enrol(ctx, [32]byte{2}, named, admit))
	m := machine(1, string(list[1].ID), 1, "w")
	m.User.Name = "Łukasz Groß"
	must[lease.Machine](t)(s.EnsureMachine(ctx, m))
	for search, want := range map[string]dormer.ClientID{
		"Ärzte-1": list[0].ID, "ärzte": list[0].ID, "ÄRZ": list[0].ID, "A\u0308rzte": list[0].ID, "ΜΑΡΊΑ": named.ID, "μαρία-pc": named.ID,
		"Łukasz": list[1].ID, "łUKASZ gross": list[1].ID,
	} {
		found, total, err := s.FindClients(ctx, enroll.Filter{Search: search, Now: at(time.Hour), OnlineSince: at(0)})
		ok(t, err)
		if total != 1 || len(found) != 1 || found[0].ID != want {
			t.Errorf("%q finds %d: %+v", search, total, found)
		}
	}
	// A name that has become another is not found as what it was.
	host.Name = "plain"
	ok(t, s.FlushSeen(ctx, []enroll.Seen{{Client: list[0].ID, Time: at(1), Host: host}}))
	if _, total, err := s.FindClients(ctx, enroll.Filter{Search: "ärzte", Now: at(time.Hour), OnlineSince: at(0)}); err != nil || total != 0 {
		t.Errorf("its old name finds %d, %v", total, err)
	}

	ok(t, s.Append(ctx, audit.Record{Time: at(0), Who: "Jürgen", Action: "workspace.commit", Object: "БУХГАЛТЕРИЯ (w1)"}))
	ok(t, s.Append(ctx, audit.Record{Time: at(0), Who: "ann", Action: "group.create", Object: "100%_real"}))
	for _, test := range []struct {
		f    audit.Filter
		want int
	}{
		{audit.Filter{Who: "JÜRGEN"}, 1},
		{audit.Filter{Who: "jürg"}, 1},
		{audit.Filter{Object: "бухгалтерия"}, 1},
		{audit.Filter{Object: "Бухгалтерия (W1)"}, 1},
		{audit.Filter{Action: "Workspace"}, 1},
		{audit.Filter{Object: "0%_R"}, 1},
		{audit.Filter{Object: "%"}, 1},
		{audit.Filter{Who: "Ann"}, 1},
		{audit.Filter{Who: "jorgen"}, 0},
	} {
		test.f.Limit = 10
		if got := must[[]audit.Record](t)(s.Find(ctx, test.f)); len(got) != test.want {
			t.Errorf("%+v finds %+v", test.f, got)
		}
	}
}

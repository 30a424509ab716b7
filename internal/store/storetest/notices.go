package storetest

import (
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/notice"
)

func testRecordsAfter(t *testing.T, s State) {
	ctx := t.Context()
	equal(t, must[int64](t)(s.NewestRecord(ctx)), 0)
	for _, action := range []string{"a.one", "a.two", "a.three"} {
		ok(t, s.Append(ctx, audit.Record{Time: at(0), Who: "alice", Action: action}))
	}
	all := must[[]audit.Record](t)(s.RecordsAfter(ctx, 0, 10))
	if len(all) != 3 || all[0].Action != "a.one" || all[2].Action != "a.three" || !all[0].Time.Equal(at(0)) {
		t.Fatalf("all are %+v", all)
	}
	equal(t, must[int64](t)(s.NewestRecord(ctx)), all[2].ID)
	equal(t, must[[]audit.Record](t)(s.RecordsAfter(ctx, all[0].ID, 1)), all[1:2])
	equal(t, must[[]audit.Record](t)(s.RecordsAfter(ctx, all[2].ID, 10)), nil)
}

func testPresences(t *testing.T, s State) {
	ctx := t.Context()
	one := notice.Console{Principal: "local/alice", Name: "console-1"}
	two := notice.Console{Principal: "local/bob", Name: "console-1"}
	a := notice.Presence{Console: one, Who: "alice", Where: "workspaces/x", Since: at(0), Seen: at(0)}
	b := notice.Presence{Console: two, Who: "bob\x00", Where: "images", Editing: true, Since: at(time.Second), Seen: at(time.Second)}
	ok(t, s.SetPresence(ctx, a))
	ok(t, s.SetPresence(ctx, b))
	b.Who = "bob\uFFFD"
	equal(t, must[[]notice.Presence](t)(s.Presences(ctx, at(-time.Minute), 10)), []notice.Presence{b, a})
	equal(t, must[[]notice.Presence](t)(s.Presences(ctx, at(-time.Minute), 1)), []notice.Presence{b})
	equal(t, must[[]notice.Presence](t)(s.Presences(ctx, at(0), 10)), []notice.Presence{b})

	// Who stays on a page has been there since they came.
	ok(t, s.SetPresence(ctx, notice.Presence{Console: one, Who: "alice", Where: "workspaces/x", Editing: true, Since: at(time.Hour), Seen: at(time.Hour)}))
	ok(t, s.SetPresence(ctx, notice.Presence{Console: two, Who: "bob", Where: "workspaces/x", Since: at(time.Hour), Seen: at(time.Hour)}))
	a.Editing, a.Seen = true, at(time.Hour)
	b = notice.Presence{Console: two, Who: "bob", Where: "workspaces/x", Since: at(time.Hour), Seen: at(time.Hour)}
	equal(t, must[[]notice.Presence](t)(s.Presences(ctx, at(0), 10)), []notice.Presence{a, b})

	ok(t, s.RenewPresence(ctx, one, at(2*time.Hour)))
	ok(t, s.RenewPresence(ctx, one, at(time.Hour))) // older news
	ok(t, s.RenewPresence(ctx, notice.Console{Principal: "local/nobody", Name: "console-1"}, at(2*time.Hour)))
	a.Seen = at(2 * time.Hour)
	equal(t, must[[]notice.Presence](t)(s.Presences(ctx, at(0), 10)), []notice.Presence{a, b})
	ok(t, s.DeletePresencesBefore(ctx, at(time.Hour)))
	equal(t, must[[]notice.Presence](t)(s.Presences(ctx, at(0), 10)), []notice.Presence{a})
	ok(t, s.EndPresence(ctx, one))
	ok(t, s.EndPresence(ctx, one))
	equal(t, must[[]notice.Presence](t)(s.Presences(ctx, at(0), 10)), nil)
}

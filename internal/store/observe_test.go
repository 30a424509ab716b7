package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// TestCounts: clients by how they are connected, with those that are longer
// away than a machine of theirs may run without the server; machines by state.
func TestCounts(t *testing.T) {
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			ctx, s := t.Context(), openState(t, e.dsn(t))
			check := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			check(s.CreateJoinToken(ctx, enroll.JoinToken{ID: "j", Hash: [32]byte{1}, MaxUses: 100, AdmitsManaged: true, Expires: now, Created: now}))
			day, week := int64(86400), int64(7*86400)
			for i, c := range []struct {
				seen    time.Duration // ago; 0: never
				budgets []*int64
			}{
				{seen: time.Second, budgets: []*int64{&day}},                // on-line
				{seen: 23 * time.Hour, budgets: []*int64{&day}},             // off-line, within
				{seen: 25 * time.Hour, budgets: []*int64{&week, &day, nil}}, // beyond one of its limits
				{seen: 1000 * time.Hour, budgets: []*int64{nil}},            // no limit
				{seen: 999 * time.Hour, budgets: []*int64{&week}},           // beyond for long
				{},                       // never came back after it was enrolled
				{seen: 2000 * time.Hour}, // revoked below
			} {
				id := dormer.ClientID(fmt.Sprint("client-", i))
				check(s.Enrol(ctx, [32]byte{1}, enroll.Client{ID: id, PublicKey: []byte{byte(i)}, Managed: true, Host: wire.Host{Name: fmt.Sprint("pc", i)}, Enrolled: now},
					func(enroll.JoinToken) error { return nil }))
				if c.seen > 0 {
					check(s.FlushSeen(ctx, []enroll.Seen{{Client: id, Time: now.Add(-c.seen), Host: wire.Host{Name: fmt.Sprint("pc", i)}}}))
				}
				for k, b := range c.budgets {
					m := lease.Machine{
						ID: dormer.MachineID(fmt.Sprint("m", i, "-", k)), Client: id, Workspace: dormer.WorkspaceID(fmt.Sprint("w", k)),
						User: dormer.Principal{Directory: "local", Kind: dormer.KindUser, Key: "u", Name: "u"}, Created: now,
					}
					_, err := s.EnsureMachine(ctx, m)
					check(err)
					state := "running"
					if k > 0 {
						state = "ready"
					}
					check(s.FlushReports(ctx, []lease.Report{{Machine: m.ID, State: state, OfflineBudget: b, Time: now}}))
				}
			}
			check(s.RevokeClient(ctx, "client-6", now))

			got, err := s.CountClients(ctx, now, now.Add(-3*time.Minute), 1)
			want := store.ClientCounts{
				Online: 1, Offline: 5, BeyondLimit: 2, Revoked: 1,
				Beyond: []store.AwayClient{{ID: "client-4", Host: "pc4", LastSeen: now.Add(-999 * time.Hour), Limit: 7 * 24 * time.Hour}},
			}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			machines, err := s.CountMachines(ctx)
			if diff := cmp.Diff(map[string]int{"running": 5, "ready": 2}, machines); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			if size, err := s.Size(ctx); err != nil || size < 10_000 {
				t.Errorf("size %d, %v", size, err)
			}
			if pools := s.Pools(); len(pools) != 2 || pools[0].Open < 1 {
				t.Errorf("pools %+v", pools)
			}
		})
	}
}

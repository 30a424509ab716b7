// Package storetest is the conformance suite of the stores: what every engine
// must do alike. Tests of package store run it against each engine.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/domainjoin"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/notice"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/vault"
)

// State is what a store of state implements.
type State interface {
	access.AccountStore
	access.GroupStore
	access.OperatorStore
	access.SessionStore
	access.OnceStore
	access.APITokenStore
	access.FederatedStore
	enroll.Store
	enroll.ClientStore
	catalog.Store
	catalog.PolicyStore
	lease.MachineStore
	lease.MachineFinder
	lease.OrderStore
	lease.DeletionStore
	vault.Store
	domainjoin.Store
	lease.EpochStore
	audit.Log
	alert.RuleStore
	notice.Store
	StatesSince(ctx context.Context, of dormer.ClientID) (map[dormer.MachineID]time.Time, error)
	report.Deliveries
	KeepDeliveries(ctx context.Context, client dormer.ClientID, list []report.Delivery) error
	DeleteDeliveriesBefore(ctx context.Context, t time.Time) error
	Publishers(ctx context.Context) ([]seal.PublicKey, error)
	AddPublisher(ctx context.Context, k seal.PublicKey, by string, at time.Time) error
	RemovePublisher(ctx context.Context, id seal.KeyID) error
	Ping(ctx context.Context) error
}

// Events is what a store of events implements.
type Events interface {
	event.Store
	event.Follower
	event.Turns
	alert.Store
	DeleteEventsBefore(ctx context.Context, i dormer.InstanceID, t time.Time) (int64, error)
	Ping(ctx context.Context) error
}

// RunState runs the suite. open returns an empty store that it closes when the
// test ends.
func RunState(t *testing.T, open func(t *testing.T) State) {
	tests := []struct {
		name string
		run  func(t *testing.T, s State)
	}{
		{"accounts", testAccounts},
		{"accounts at once", testAccountsAtOnce},
		{"groups", testGroups},
		{"operators", testOperators},
		{"operators at once", testOperatorsAtOnce},
		{"sessions", testSessions},
		{"used once", testUsedOnce},
		{"API tokens", testAPITokens},
		{"accounts of providers", testFederated},
		{"rules of alerts", testAlertRules},
		{"join tokens", testJoinTokens},
		{"last use of a join token", testLastUse},
		{"clients", testClients},
		{"copied clients", testCopied},
		{"signs of life", testSeen},
		{"lists of clients", testFindClients},
		{"names in any script", testNamesInAnyScript},
		{"revisions", testRevisions},
		{"names of workspaces", testWorkspaceNames},
		{"two commits at once", testCommitsAtOnce},
		{"policies", testPolicies},
		{"machines", testMachines},
		{"machines at once", testMachinesAtOnce},
		{"lists of machines", testFindMachines},
		{"reports of machines", testReports},
		{"orders", testOrders},
		{"computer names", testComputerNames},
		{"computer names at once", testComputerNamesAtOnce},
		{"deletions", testDeletions},
		{"deletions at once", testDeletionsAtOnce},
		{"secrets", testSecrets},
		{"prepared computers", testJoins},
		{"deliveries of images", testDeliveriesOfImages},
		{"epoch", testEpoch},
		{"audit", testAudit},
		{"following the audit log", testRecordsAfter},
		{"presences", testPresences},
		{"publishers", testPublishers},
		{"cancelled", testCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// start is the time of day in all tests; its nanoseconds are not kept.
var start = time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

func atp(d time.Duration) *time.Time { v := at(d); return &v }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

// is fails the test unless err is of the kind.
func is(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error is %v, want %v", err, kind)
	}
}

func equal[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("unlike what was wanted (-want +got):\n%s", diff)
	}
}

// together calls f from n goroutines at the same time and returns their errors.
func together(n int, f func(i int) error) []error {
	var (
		wg    sync.WaitGroup
		ready = make(chan struct{})
		errs  = make([]error, n)
	)
	for i := range n {
		wg.Go(func() {
			<-ready
			errs[i] = f(i)
		})
	}
	close(ready)
	wg.Wait()
	return errs
}

// count returns how many of errs are nil, and how many are of the kind; others
// fail the test.
func count(t *testing.T, errs []error, kind error) (done, refused int) {
	t.Helper()
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case errors.Is(err, kind):
			refused++
		default:
			t.Errorf("error is %v, want none or %v", err, kind)
		}
	}
	return done, refused
}

// id pads s to something like an identity.
func id(s string) string { return s + strings.Repeat("a", 26-len(s)) }

func user(n int) dormer.Principal {
	return dormer.Principal{Directory: "local", Kind: dormer.KindUser, Key: fmt.Sprint("key-", n), Name: fmt.Sprint("user-", n)}
}

func testCancelled(t *testing.T, s State) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Workspaces(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("reading: %v, want context.Canceled", err)
	}
	if err := s.Append(ctx, audit.Record{Action: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("writing: %v, want context.Canceled", err)
	}
	ok(t, s.Append(t.Context(), audit.Record{Action: "y"}))
	ok(t, s.Ping(t.Context()))
}

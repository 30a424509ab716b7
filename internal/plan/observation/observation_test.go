package observation_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/report"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// instance is what an observer of a test looks at.
type instance struct {
	clients    []enroll.Client
	machines   []lease.Machine
	workspaces []catalog.Revision
	samples    []report.Sample
	stored     observation.Stored
	additions  map[string][]imagerepo.Addition
}

func (i *instance) Clients(context.Context) ([]enroll.Client, error) { return i.clients, nil }

func (i *instance) Machines(context.Context) ([]lease.Machine, error) { return i.machines, nil }

func (i *instance) Workspaces(context.Context) ([]catalog.Revision, error) { return i.workspaces, nil }

func (i *instance) Samples(_ context.Context, _ dormer.InstanceID, _ string, since time.Time) ([]report.Sample, error) {
	var list []report.Sample
	for _, s := range i.samples {
		if !s.Time.Before(since) {
			list = append(list, s)
		}
	}
	return list, nil
}

func (i *instance) Observe(context.Context, dormer.InstanceID, time.Time, int) (observation.Stored, error) {
	return i.stored, nil
}

func (i *instance) Names(context.Context) ([]string, error) {
	var names []string
	for _, n := range []string{"desk", "office"} {
		if i.additions[n] != nil {
			names = append(names, n)
		}
	}
	return names, nil
}

func (i *instance) Additions(_ context.Context, image string) ([]imagerepo.Addition, error) {
	return i.additions[image], nil
}

func (i *instance) look(t *testing.T, days int) *observation.Observation {
	t.Helper()
	o := observation.Observer{Server: "https://dormer.example.com", Events: i, State: i, Images: i, ConnectedWithin: 3 * time.Minute, Now: func() time.Time { return now }}
	seen, err := o.Look(t.Context(), days)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func seenAt(ago time.Duration) *time.Time { return new(now.Add(-ago)) }

const day = 24 * time.Hour

// version is one with so many bytes packed and new, made so many days ago.
func version(number int, packed, added int64, ago time.Duration) imagerepo.Addition {
	return imagerepo.Addition{Version: imagerepo.Version{
		Name: "Office", Number: number, Created: now.Add(-ago), Sizes: imageformat.Sizes{Packed: packed, Full: 3 * packed},
	}, New: added}
}

func TestLook(t *testing.T) {
	i := &instance{
		clients: []enroll.Client{
			{LastSeen: seenAt(time.Minute)},
			{LastSeen: seenAt(2 * day)},
			{LastSeen: seenAt(5 * day)},
			{LastSeen: seenAt(40 * day)},
			{},
			{LastSeen: seenAt(time.Minute), Revoked: seenAt(0)},
		},
		workspaces: []catalog.Revision{{Workspace: "w2", Name: "office"}, {Workspace: "w1", Name: "Lab"}},
		machines: []lease.Machine{
			{Workspace: "w2", User: dormer.Principal{Key: "a"}}, {Workspace: "w2", User: dormer.Principal{Key: "a"}}, {Workspace: "w2", User: dormer.Principal{Key: "b"}}, {Workspace: "gone"},
		},
		samples: []report.Sample{{Time: now.Add(-40 * day), Value: 9}, {Time: now.Add(-3 * day), Value: 2}, {Time: now.Add(-2 * day), Value: 1}},
		// 2 clients x 20 events x 30 days, 195 bytes each.
		stored:    observation.Stored{Events: 1200, First: now.Add(-30 * day).Add(time.Hour), Rows: 20_000, Bytes: 20_000 * 195, Newest: []dormer.Event{{Code: 1, Description: "x", Time: now, Received: now}}},
		additions: map[string][]imagerepo.Addition{"office": {version(1, 100, 100, 70*day), version(3, 110, 10, 40*day), version(4, 120, 30, 20*day), version(5, 130, 20, 0)}, "desk": {version(1, 7, 7, 0)}},
	}
	seen := i.look(t, 0)
	sent := seen.Events.Sent
	seen.Events.Sent = 0
	want := &observation.Observation{
		Server: "https://dormer.example.com", At: now, Days: 30, Clients: 4, Peak: 2, PeakAt: now.Add(-3 * day),
		Events: observation.Flow{Received: 1200, PerDay: 20, Stored: 195},
		Images: []observation.Image{
			{Name: "Office", Versions: 1, Packed: 7, Used: 21},
			{Name: "Office", Versions: 4, Packed: 130, Used: 390, Update: 20, Every: (20 * day).Seconds()},
		},
		Workspaces: []observation.Offer{{Name: "Lab"}, {Name: "office", Machines: 3, Users: 2}},
		Missing:    []string{"Image Office has one version, so nothing is known of its updates."},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// {"seq":1,"event":{...}} and a comma, without the server's time
	if sent < 60 || sent > 120 {
		t.Errorf("an event takes %.0f bytes on the wire", sent)
	}
}

// TestLookAtLittle: an instance that has seen little says what it does not
// know.
func TestLookAtLittle(t *testing.T) {
	for name, c := range map[string]struct {
		of      instance
		days    int
		perDay  float64
		missing string
	}{
		"nothing":   {instance{}, 30, 0, "No event was received"},
		"nobody":    {instance{}, 30, 0, "No client was on-line"},
		"no images": {instance{}, 30, 0, "holds no image"},
		"few events": {
			instance{stored: observation.Stored{Events: 300, First: now.Add(-30 * day), Rows: 300, Bytes: 1 << 20}, samples: []report.Sample{{Time: now, Value: 1}}}, 30, 10, "from 10,000 on",
		},
		"a young one": {
			instance{stored: observation.Stored{Events: 300, First: now.Add(-5 * day), Rows: 300}, samples: []report.Sample{{Time: now, Value: 3}}}, 5, 20, "The first event came 5 days ago",
		},
		"an hour": {
			instance{stored: observation.Stored{Events: 30, First: now.Add(-time.Hour)}, samples: []report.Sample{{Time: now, Value: 3}}}, 1, 10, "less than a day ago",
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := c.of.look(t, 30)
			if seen.Days != c.days || math.Abs(seen.Events.PerDay-c.perDay) > 1e-9 || !strings.Contains(strings.Join(seen.Missing, "\n"), c.missing) {
				t.Errorf("%+v", seen)
			}
		})
	}
	o := observation.Observer{Now: func() time.Time { return now }}
	for _, days := range []int{-1, observation.MaxDays + 1} {
		if _, err := o.Look(t.Context(), days); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%d days: %v", days, err)
		}
	}
}

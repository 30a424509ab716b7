// Package observation takes figures for a plan from a running instance: events
// a day, what they take, how many clients are on-line at once, sizes of images
// and their updates. Fill puts them into the file that describes an
// organization.
//
// It is a domain package and does no input or output: what it looks at is
// handed to it.
package observation

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire"
)

// Limits of an observation; see docs/limits.md.
const (
	// DefaultDays is how far back one looks when nothing is asked.
	DefaultDays = 30
	// MaxDays is how far back one looks at most.
	MaxDays = 366
	// maxTime is how long it may take.
	maxTime = 20 * time.Second
)

const (
	// enoughEvents is how many events a database must hold for its size to say
	// what one takes: below, the empty tables weigh too much.
	enoughEvents = 10_000
	// sampledEvents is how many of the newest events are looked at for what one
	// takes on the wire.
	sampledEvents = 1000
)

// Stored is what a database holds of the events of an instance.
type Stored struct {
	// Events received in the time that was asked about, the first of them at First.
	Events int64
	First  time.Time
	// Rows is how many events Bytes are taken by, rows, indexes and all. Both are
	// about all that the database can say at little cost, and need not be of the
	// same time as Events; zero where nothing can be said.
	Rows, Bytes int64
	// Newest are some of the latest events.
	Newest []dormer.Event
}

// Events is where events are looked at.
type Events interface {
	// Observe looks at an instance's events from since on, and returns at most
	// newest of the latest. An instance that stored nothing has the zero value.
	Observe(ctx context.Context, i dormer.InstanceID, since time.Time, newest int) (Stored, error)
	// Samples is that of report.Events.
	Samples(ctx context.Context, i dormer.InstanceID, name string, since time.Time) ([]report.Sample, error)
}

// State is who is there.
type State interface {
	// Clients returns all clients with their newest signs of life.
	Clients(ctx context.Context) ([]enroll.Client, error)
	// Machines returns all machines.
	Machines(ctx context.Context) ([]lease.Machine, error)
	// Workspaces returns the current revision of every workspace.
	Workspaces(ctx context.Context) ([]catalog.Revision, error)
}

// Images is which images there are.
type Images interface {
	// Names returns the names of images, sorted.
	Names(ctx context.Context) ([]string, error)
	// Additions returns the versions of an image by number, with what each has
	// that the one before it has not.
	Additions(ctx context.Context, image string) ([]imagerepo.Addition, error)
}

// Observer looks at an instance.
type Observer struct {
	Instance dormer.InstanceID
	// Server is the address of the instance, as it stands in the file.
	Server string
	Events Events
	State  State
	Images Images
	// ConnectedWithin is how long after its last poll a client counts as on-line.
	ConnectedWithin time.Duration
	Now             func() time.Time
}

// Observation is what was seen of an instance.
type Observation struct {
	Server string    `json:"server"`
	At     time.Time `json:"at"`
	// Days is how many days were looked at: those that were asked for, or fewer
	// where the instance has no older events.
	Days int `json:"days"`
	// Clients that were heard of in that time, and how many of them were on-line
	// at once at most, and when.
	Clients int       `json:"clients"`
	Peak    int       `json:"peak"`
	PeakAt  time.Time `json:"peak_at,omitzero"`
	Events  Flow      `json:"events"`
	// Images are those of the repository, by name.
	Images     []Image `json:"images"`
	Workspaces []Offer `json:"workspaces"`
	// Missing says what could not be seen, and why.
	Missing []string `json:"missing,omitzero"`
}

// Flow is what was seen of events. Zero is not known.
type Flow struct {
	// Received is how many events came in the time that was looked at.
	Received int64 `json:"received"`
	// PerDay is how many that is a day for each client of the peak.
	PerDay float64 `json:"per_day,omitzero"`
	// Stored is the bytes that an event takes in the database, with indexes; Sent
	// those of an event as a client sends it.
	Stored float64 `json:"stored,omitzero"`
	Sent   float64 `json:"sent,omitzero"`
}

// Image is what was seen of an image. Sizes are in bytes; zero is not known.
type Image struct {
	Name     string `json:"name"`
	Versions int    `json:"versions"`
	// Packed is what a client fetches that has nothing yet, Used what is on its
	// disks, both of the newest version.
	Packed int64 `json:"packed"`
	Used   int64 `json:"used"`
	// Update is what a version has that the one before it has not, and Every the
	// seconds between two: the medians.
	Update int64   `json:"update,omitzero"`
	Every  float64 `json:"every,omitzero"`
}

// Offer is what was seen of a workspace.
type Offer struct {
	Name     string `json:"name"`
	Machines int    `json:"machines"`
	Users    int    `json:"users"` // that have a machine
}

// Look observes the last days, DefaultDays where none are given. ErrInvalid
// says how to ask for less when it takes too long.
func (o *Observer) Look(ctx context.Context, days int) (*Observation, error) {
	if days == 0 {
		days = DefaultDays
	}
	if days < 1 || days > MaxDays {
		return nil, dormer.Invalidf("days", "must be between 1 and %d", MaxDays)
	}
	limited, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	seen := &Observation{Server: o.Server, At: o.Now().UTC().Truncate(time.Second), Days: days, Images: []Image{}, Workspaces: []Offer{}}
	err := o.people(limited, seen)
	if err == nil {
		err = o.events(limited, seen)
	}
	if err == nil {
		err = o.images(limited, seen)
	}
	switch {
	case err != nil && ctx.Err() == nil && limited.Err() != nil:
		return nil, dormer.Invalidf("days", "are so many that looking at them takes longer than %s; ask for fewer", maxTime)
	case err != nil:
		return nil, fmt.Errorf("observe the instance: %w", err)
	}
	return seen, nil
}

func (seen *Observation) miss(format string, args ...any) {
	seen.Missing = append(seen.Missing, fmt.Sprintf(format, args...))
}

func (seen *Observation) since() time.Time { return seen.At.AddDate(0, 0, -seen.Days) }

// people counts clients, and users by workspace.
func (o *Observer) people(ctx context.Context, seen *Observation) error {
	clients, err := o.State.Clients(ctx)
	if err != nil {
		return err
	}
	online := 0
	for _, c := range clients {
		if c.LastSeen == nil || c.LastSeen.Before(seen.since()) {
			continue
		}
		seen.Clients++
		if c.Revoked == nil && !c.LastSeen.Before(seen.At.Add(-o.ConnectedWithin)) {
			online++
		}
	}
	samples, err := o.Events.Samples(ctx, o.Instance, report.SampleOnline, seen.since())
	if err != nil {
		return err
	}
	if online > 0 {
		samples = append(samples, report.Sample{Time: seen.At, Value: int64(online)})
	}
	for _, s := range samples {
		if n := int(s.Value); n > seen.Peak {
			seen.Peak, seen.PeakAt = n, s.Time
		}
	}
	// Clients that were deleted since are counted in samples.
	seen.Clients = max(seen.Clients, seen.Peak)
	if seen.Peak == 0 {
		seen.miss("No client was on-line in that time, so nothing is known of how many are at once.")
	}
	return o.offers(ctx, seen)
}

func (o *Observer) offers(ctx context.Context, seen *Observation) error {
	all, err := o.State.Workspaces(ctx)
	if err != nil {
		return err
	}
	machines, err := o.State.Machines(ctx)
	if err != nil {
		return err
	}
	at := map[dormer.WorkspaceID]int{}
	for _, w := range all {
		at[w.Workspace] = len(seen.Workspaces)
		seen.Workspaces = append(seen.Workspaces, Offer{Name: w.Name})
	}
	users := make([]map[dormer.Principal]bool, len(seen.Workspaces))
	for _, m := range machines {
		i, ok := at[m.Workspace]
		if !ok {
			continue // of a workspace that was deleted
		}
		if users[i] == nil {
			users[i] = map[dormer.Principal]bool{}
		}
		users[i][m.User] = true
		seen.Workspaces[i].Machines++
		seen.Workspaces[i].Users = len(users[i])
	}
	slices.SortFunc(seen.Workspaces, func(a, b Offer) int { return strings.Compare(name.Fold(a.Name), name.Fold(b.Name)) })
	return nil
}

// events says how many there are, and how large.
func (o *Observer) events(ctx context.Context, seen *Observation) error {
	stored, err := o.Events.Observe(ctx, o.Instance, seen.since(), sampledEvents)
	if err != nil {
		return err
	}
	seen.Events.Received = stored.Events
	if stored.Events == 0 {
		seen.miss("No event was received in the last %s days, so nothing is known of events.", figure.Number(seen.Days))
		return nil
	}
	const day = 24 * time.Hour
	length := seen.At.Sub(seen.since())
	if young := seen.At.Sub(stored.First); young < length-day {
		length = max(young, day)
		seen.Days = int(math.Ceil(length.Hours() / 24))
		if young < day {
			seen.miss("The first event came less than a day ago: events a day are only those of the time since, and will be more.")
		} else {
			seen.miss("The first event came %s days ago: older ones are not stored, and fewer days than asked for were looked at.", figure.Number(seen.Days))
		}
	}
	if seen.Peak > 0 {
		seen.Events.PerDay = float64(stored.Events) / (length.Hours() / 24) / float64(seen.Peak)
	}
	if stored.Rows >= enoughEvents {
		seen.Events.Stored = float64(stored.Bytes) / float64(stored.Rows)
	} else {
		seen.miss("The database holds %s events; what one takes can be said from %s on.", figure.Number(stored.Rows), figure.Number(enoughEvents))
	}
	for i, e := range stored.Newest {
		e.Received = time.Time{} // the server's
		b, err := json.Marshal(wire.NumberedEvent{Sequence: uint64(i + 1), Event: e})
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		seen.Events.Sent += float64(len(b)+1) / float64(len(stored.Newest)) // with the comma
	}
	return nil
}

// images says how large they are, and how they change.
func (o *Observer) images(ctx context.Context, seen *Observation) error {
	names, err := o.Images.Names(ctx)
	if err != nil {
		return err
	}
	for _, n := range names {
		versions, err := o.Images.Additions(ctx, n)
		if err != nil {
			return err
		}
		if len(versions) == 0 {
			continue // deleted meanwhile
		}
		newest := versions[len(versions)-1]
		i := Image{Name: newest.Name, Versions: len(versions), Packed: newest.Sizes.Packed, Used: newest.Sizes.Full}
		var sizes, gaps []float64
		for k, v := range versions[1:] {
			sizes = append(sizes, float64(v.New))
			gaps = append(gaps, v.Created.Sub(versions[k].Created).Seconds())
		}
		if len(sizes) == 0 {
			seen.miss("Image %s has one version, so nothing is known of its updates.", i.Name)
		} else {
			i.Update, i.Every = int64(median(sizes)), max(median(gaps), 1)
		}
		seen.Images = append(seen.Images, i)
	}
	if len(names) == 0 {
		seen.miss("The repository holds no image.")
	}
	return nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}

package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// Limits of trends; see docs/limits.md.
const (
	// DefaultTrendDays is how far back trends look when nothing is asked.
	DefaultTrendDays = 30
	// MaxTrendDays is how far back they look at most, and for how long samples,
	// counts and deliveries are kept.
	MaxTrendDays = 800
	// maxVersions is how many versions of one thing are sampled; those that the
	// fewest clients have are counted together.
	maxVersions = 50
)

// Quarter is the span in which events are counted: every time zone begins its
// days with one.
const Quarter = 15 * time.Minute

// Count is how many events of a severity were received in a quarter of an hour.
type Count struct {
	Time     time.Time // its beginning
	Severity dormer.Severity
	Events   int64
}

// Sample is what was counted in an hour, the highest of it.
type Sample struct {
	Time  time.Time // the beginning of the hour
	Name  string
	Label string
	Value int64
}

// Names of samples.
const (
	SampleOnline = "clients-online" // without a label
	SampleClient = "client-version"
	SampleImage  = "image"  // NAME/NUMBER
	SamplePolicy = "policy" // WORKSPACE revision NUMBER
)

// otherVersions is the label of what is counted together.
const otherVersions = "others"

// Trends are how a time went.
type Trends struct {
	Zone *time.Location
	Days []Day
	// Online is how many clients were on-line, by the hour.
	Online []Sample
	// Versions are those in use.
	Versions []Version
}

// Day is how many events a day had.
type Day struct {
	Begins                      time.Time
	Information, Warning, Error int64
}

// Version is a version of something that clients have.
type Version struct {
	// Name says of what: SampleClient, SampleImage or SamplePolicy.
	Name, Version string
	// Now is how many clients or machines have it.
	Now int64
	// Days is how many had it at most on each day of Trends.Days.
	Days []int64
}

// Trends returns how the last days went, today included. They begin in the zone
// of that name. 0 days means DefaultTrendDays.
func (r *Reporter) Trends(ctx context.Context, days int, zone string) (Trends, error) {
	begins, in, err := r.lastDays(days, zone)
	t := Trends{Zone: in}
	if err != nil {
		return t, err
	}
	for _, b := range begins {
		t.Days = append(t.Days, Day{Begins: b})
	}
	counts, err := r.c.Events.Counts(ctx, r.c.Instance, t.Days[0].Begins)
	if err != nil {
		return t, fmt.Errorf("count events: %w", err)
	}
	for _, c := range counts {
		d := &t.Days[dayOf(begins, c.Time)]
		switch c.Severity {
		case dormer.Information:
			d.Information += c.Events
		case dormer.Warning:
			d.Warning += c.Events
		case dormer.Error:
			d.Error += c.Events
		}
	}
	if t.Online, err = r.c.Events.Samples(ctx, r.c.Instance, SampleOnline, t.Days[0].Begins); err != nil {
		return t, fmt.Errorf("read samples: %w", err)
	}
	err = r.versions(ctx, &t, begins)
	return t, err
}

// lastDays are when the last days begin in the zone of that name, today's
// beginning last. 0 days means DefaultTrendDays.
func (r *Reporter) lastDays(days int, zone string) ([]time.Time, *time.Location, error) {
	in, err := zoneOf(zone)
	if err != nil {
		return nil, nil, err
	}
	if days == 0 {
		days = DefaultTrendDays
	}
	if days < 0 || days > MaxTrendDays {
		return nil, in, dormer.Invalidf("days", "must be between 1 and %d", MaxTrendDays)
	}
	now := r.c.Now().In(in)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, in)
	begins := make([]time.Time, days)
	for i := range begins {
		begins[i] = today.AddDate(0, 0, i+1-days)
	}
	return begins, in, nil
}

// dayOf is the place of the day that a time is in.
func dayOf(begins []time.Time, at time.Time) int {
	i, found := slices.BinarySearchFunc(begins, at, time.Time.Compare)
	if !found {
		i--
	}
	return max(i, 0)
}

// versions fills in which versions are and were in use.
func (r *Reporter) versions(ctx context.Context, t *Trends, begins []time.Time) error {
	now, err := r.Sample(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{SampleClient, SampleImage, SamplePolicy} {
		list := map[string]*Version{}
		of := func(label string) *Version {
			if list[label] == nil {
				list[label] = &Version{Name: name, Version: label, Days: make([]int64, len(t.Days))}
			}
			return list[label]
		}
		samples, err := r.c.Events.Samples(ctx, r.c.Instance, name, t.Days[0].Begins)
		if err != nil {
			return fmt.Errorf("read samples: %w", err)
		}
		for _, s := range samples {
			v := of(s.Label)
			d := dayOf(begins, s.Time)
			v.Days[d] = max(v.Days[d], s.Value)
		}
		for _, s := range now {
			if s.Name == name {
				v := of(s.Label)
				v.Now = s.Value
				v.Days[len(v.Days)-1] = max(v.Days[len(v.Days)-1], s.Value)
			}
		}
		t.Versions = append(t.Versions, slices.SortedFunc(func(yield func(Version) bool) {
			for v := range maps.Values(list) {
				if !yield(*v) {
					return
				}
			}
		}, func(a, b Version) int {
			return cmp.Or(cmp.Compare(b.Now, a.Now), cmp.Compare(a.Version, b.Version))
		})...)
	}
	return nil
}

// Sample counts what trends are made of, now: the clients that are on-line, and
// who has which version. Revoked clients do not count.
func (r *Reporter) Sample(ctx context.Context) ([]Sample, error) {
	rows, err := r.statusRows(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("count clients and versions: %w", err)
	}
	online := int64(0)
	counted := map[dormer.ClientID]bool{}
	count := map[string]map[string]int64{SampleClient: {}, SampleImage: {}, SamplePolicy: {}}
	for _, row := range rows {
		if row.revoked {
			continue
		}
		if !counted[row.client] {
			counted[row.client] = true
			if row.online {
				online++
			}
			if row.clientVersion != "" {
				count[SampleClient][row.clientVersion]++
			}
		}
		if row.machine != "" && row.image != UnknownImage {
			count[SampleImage][row.image]++
		}
		if row.held > 0 {
			count[SamplePolicy][fmt.Sprintf("%s revision %d", strings.ReplaceAll(row.workspace, "\x00", ""), row.held)]++
		}
	}
	hour := r.c.Now().UTC().Truncate(time.Hour)
	samples := []Sample{{Time: hour, Name: SampleOnline, Value: online}}
	for _, name := range slices.Sorted(maps.Keys(count)) {
		labels := slices.SortedFunc(maps.Keys(count[name]), func(a, b string) int {
			return cmp.Or(cmp.Compare(count[name][b], count[name][a]), cmp.Compare(a, b))
		})
		rest := int64(0)
		for i, l := range labels {
			if i >= maxVersions {
				rest += count[name][l]
				continue
			}
			samples = append(samples, Sample{Time: hour, Name: name, Label: l, Value: count[name][l]})
		}
		if rest > 0 {
			samples = append(samples, Sample{Time: hour, Name: name, Label: otherVersions, Value: rest})
		}
	}
	return samples, nil
}

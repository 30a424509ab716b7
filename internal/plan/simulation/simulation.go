// Package simulation plays a day of an organization, with outages and
// roll-outs, to hold the closed formulas of a plan against what comes out when
// everything happens at once.
//
// It is a domain package: it does no input or output, reads no clock, and draws
// its random numbers from a seed. The same organization, options and seed give
// the same result.
//
// # The model
//
// There are two halves, which do not touch each other.
//
// Polls and events. Each instance has a server and clients. A client is
// switched on around eight in the morning (half an hour before to half an hour
// after, most of them at eight; less where the busy hours are few), and stays on
// for the busy hours of the file and half an hour; where nearly the whole day is
// busy it is never off. It polls when it is switched on, and from then on
// as the agent does: after nine to eleven tenths of the poll interval, and at
// once (a second) while its journal has more than one poll takes, which is 500
// events. Its events come at random (a Poisson process): those of a day in the
// busy hours from its start on, and in one spell of errors, about two hours after
// the start, more often by the safety factor for bursts, at the cost of the
// rest of the day, so that a day has as many as the file says. They wait in its
// journal, which is as large as docs/limits.md says and loses what does not fit.
//
// The server is a queue, first come first served, with as many places as it has
// processor cores. A poll takes a measured time of one core, and more with each
// event that it brings. What the answer takes is the wait, that time
// and three round trips to the client's site. A client gives up after 30 seconds.
// Writing to disk, the bounds of the server's queue of events, reports and other
// work of the server are not in the model, nor is what polls take of a link.
//
// An outage answers nobody. A client whose poll fails tries again after 5
// seconds, then after twice as long each time, up to 5 minutes, each with up to
// a quarter added. It has no answer meanwhile, and a workspace is stopped when
// the time since the last one reaches its off-line limit (none is three poll
// intervals); nights count, and so does up to a twentieth of the limit
// that the lease had used before. The period of grace of a policy is not in
// the model.
//
// Roll-outs. Everybody fetches an image from the repository of their site, or
// of the instance where there is no plan of delivery, from the next poll on.
// All transfers share the links that they flow through fairly: none gets
// more where that takes from one that has less. A link carries its usable
// share in each direction; within a site flows what the site's network carries,
// its usable share too. Where neighbours serve each other one copy comes over
// the link and everybody else's over the site's network after that. It goes on
// in the delivery hours of each day, in which computers are on, and rests
// between them. Moments less than a five-hundredth of the time so far
// apart are taken as one. It does not matter to a roll-out whether a server
// answers polls. Several clients of one site, image and instance that
// begin together are one flow of that weight, which changes nothing.
//
// # Samples
//
// Beyond Options.MaxClients, and where the time is long, a sample is played:
// each of its clients stands for several. Counts are scaled up; one that
// rests on n polls or events of the sample is off by about one part in the square
// root of n, and Result.Sample says how many clients were played. Waits
// in the queue that are not due to overload come from a stretched server (as
// many times slower as clients are fewer) and are divided by the same
// factor; overload is followed in steps of ten seconds.
package simulation

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// Limits of a simulation; see docs/limits.md.
const (
	// DefaultClients and MaxClients are how many clients are played, of all
	// instances together.
	DefaultClients = 30_000
	MaxClients     = 500_000
	// MaxLength is how long a simulated time may be.
	MaxLength = 31 * 24 * time.Hour
	// MaxOutages is how many outages there may be.
	MaxOutages = 20
	// maxPolls is how many polls are played; samples get smaller to stay below.
	maxPolls = 40_000_000
	// minClients is the smallest sample of an instance.
	minClients = 50
	// maxPoints is how many points a series has.
	maxPoints = 288
)

// Options say what is simulated. The zero value is an ordinary day.
type Options struct {
	Seed uint64 `json:"seed,omitzero"`
	// From is the time of day at which the simulation begins, Length how long it
	// lasts; zero is a whole day.
	From   document.Duration `json:"from,omitzero"`
	Length document.Duration `json:"length,omitzero"`
	// Outages of one instance must not overlap.
	Outages []Outage `json:"outages,omitzero"`
	Rollout *Rollout `json:"rollout,omitzero"`
	// MaxClients is how many clients are played; zero is DefaultClients.
	MaxClients int `json:"max_clients,omitzero"`
	// Cores of each instance's server, in the order of the placement; where it is
	// nil those of the organization's capacity.
	Cores []int `json:"-"`
	// Delivery says where images come from; nil: from the seats of the
	// instances, with neighbours where the sites have them.
	Delivery *delivery.Delivery `json:"-"`
	// Processors is how many are used at most; zero is all.
	Processors int `json:"-"`
}

// Outage is a time in which an instance does not answer.
type Outage struct {
	// Instance by its name; empty: all of them.
	Instance string `json:"instance,omitzero"`
	// Start is counted from midnight before the simulation begins.
	Start  document.Duration `json:"start"`
	Length document.Duration `json:"length"`
}

// Rollout is the delivery of images to everybody who gets them. It begins with
// the first hour of delivery and goes on until it is done, however long the
// simulated time is.
type Rollout struct {
	// Image by its name; empty: all of them at once.
	Image string `json:"image,omitzero"`
	// First is a first delivery, else it is an update.
	First bool `json:"first,omitzero"`
}

// Run simulates. It returns a *dormer.InvalidError where the options are not
// possible, and the context's error when that ends first.
func Run(ctx context.Context, m *organization.Model, p *placement.Placement, opts Options) (*Result, error) {
	opts, err := opts.checked(m, p)
	if err != nil {
		return nil, err
	}
	samples, err := sampled(m, p, opts)
	if err != nil {
		return nil, err
	}
	days := make([]*day, len(p.Instances))
	if err := each(ctx, opts.Processors, len(days), func(i int) error {
		days[i] = newDay(m, &p.Instances[i], i, samples[i], opts)
		return days[i].play(ctx)
	}); err != nil {
		return nil, err
	}
	out := &Result{
		Seed: opts.Seed, From: opts.From.Duration().Seconds(), Length: opts.Length.Duration().Seconds(),
		Instances: []Instance{}, Checks: []Check{},
	}
	for _, d := range days {
		out.Instances = append(out.Instances, d.instance())
		out.Sample.Clients += d.spec.Active
		out.Sample.Played += len(d.clients)
		out.Checks = append(out.Checks, d.checks()...)
	}
	if opts.Rollout == nil {
		return out, nil
	}
	r := newRollout(m, p, opts)
	if err := r.play(ctx); err != nil {
		return nil, err
	}
	out.Rollout = r.progress()
	out.Checks = append(out.Checks, r.checks()...)
	return out, nil
}

// each calls f with every number below n on so many processors, 0 is all of
// them, until one fails.
func each(ctx context.Context, processors, n int, f func(int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	work := make(chan int)
	for range min(cmp.Or(processors, runtime.GOMAXPROCS(0)), n) {
		wg.Go(func() {
			for i := range work {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

package simulation

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

const wholeDay = 24 * time.Hour

// checked fills in what is not said, and finds what is not possible.
func (o Options) checked(m *organization.Model, p *placement.Placement) (Options, error) {
	var bad []dormer.FieldError
	refuse := func(path, format string, args ...any) {
		bad = append(bad, dormer.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if o.Length == 0 {
		o.Length = document.Duration(wholeDay)
	}
	if o.MaxClients == 0 {
		o.MaxClients = DefaultClients
	}
	if o.From < 0 || o.From.Duration() >= wholeDay {
		refuse("from", "expected a time of day: from 0s to less than 24h")
	}
	if o.Length.Duration() < time.Minute || o.Length.Duration() > MaxLength {
		refuse("length", "expected a time from 1m to %s", document.Duration(MaxLength))
	}
	if o.MaxClients < minClients || o.MaxClients > MaxClients {
		refuse("max_clients", "expected a number from %d to %d", minClients, MaxClients)
	}
	if len(o.Outages) > MaxOutages {
		refuse("outages", "expected at most %d", MaxOutages)
	}
	for i, a := range o.Outages[:min(len(o.Outages), MaxOutages)] {
		path := document.Index("outages", i)
		if a.Instance != "" && !slices.ContainsFunc(p.Instances, func(x placement.Instance) bool { return same(x.Name, a.Instance) }) {
			refuse(path+".instance", "there is no such instance in the plan; its instances are %s", namesOf(p.Instances, func(x placement.Instance) string { return x.Name }))
		}
		if a.Length <= 0 || a.Length.Duration() > MaxLength {
			refuse(path+".length", "expected a time of more than 0s, at most %s", document.Duration(MaxLength))
		} else if a.Start < o.From || a.Start >= o.From+o.Length {
			refuse(path+".start", "expected a time within the simulation: from %s on, and before %s after midnight", o.From, o.From+o.Length)
		}
		for j, b := range o.Outages[:i] {
			if (a.Instance == "" || b.Instance == "" || same(a.Instance, b.Instance)) && a.Start <= b.Start+b.Length && b.Start <= a.Start+a.Length {
				refuse(path, "it meets %s, which is of the same instance; make one of them", document.Index("outages", j))
			}
		}
	}
	if r := o.Rollout; r != nil && r.Image != "" && !slices.ContainsFunc(m.Images, func(d organization.Disk) bool { return same(d.Name, r.Image) }) {
		refuse("rollout.image", "there is no such image in the organization; its images are %s", namesOf(m.Images, func(d organization.Disk) string { return d.Name }))
	}
	if o.Cores != nil && len(o.Cores) != len(p.Instances) {
		return o, fmt.Errorf("cores of %d servers were given for %d instances: %w", len(o.Cores), len(p.Instances), dormer.ErrInvalid)
	}
	if bad != nil {
		return o, &dormer.InvalidError{Fields: bad}
	}
	return o, nil
}

func same(a, b string) bool { return name.Fold(a) == name.Fold(b) }

// namesOf lists the first names.
func namesOf[T any](list []T, name func(T) string) string {
	names := make([]string, len(list))
	for i, x := range list {
		names[i] = name(x)
	}
	return figure.List(names, 10)
}

// sampled says how many clients of each instance are played.
func sampled(m *organization.Model, p *placement.Placement, o Options) ([]int, error) {
	c := curveOf(m)
	on := 1.0
	if !c.always {
		on = (c.busy + c.stay) / wholeDay.Seconds()
	}
	each := max(1, o.Length.Duration().Seconds()*on/m.Service.Poll.Seconds()) // polls of one client
	all := 0
	for _, x := range p.Instances {
		all += x.Active
	}
	most := min(float64(o.MaxClients), maxPolls/each)
	out := make([]int, len(p.Instances))
	played := 0
	for i, x := range p.Instances {
		share := x.Active
		if float64(all) > most {
			share = int(math.Ceil(most * float64(x.Active) / float64(all)))
		}
		out[i] = min(max(share, minClients, len(x.Parts)), x.Active)
		played += out[i]
	}
	if float64(played)*each > 2*maxPolls {
		return nil, dormer.Invalidf("length", "clients would poll more than %d times even in a small sample; simulate a shorter time", 2*maxPolls)
	}
	return out, nil
}

package placement

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	dormer "github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// TestDemandsThatCannotBeMetAreNamedTogether: organization.Validate says the
// same of files; models need not come from one.
func TestDemandsThatCannotBeMetAreNamedTogether(t *testing.T) {
	no := false
	base := func() *organization.Organization {
		o := &organization.Organization{}
		o.Spec.Domains = []organization.Domain{{Name: "corp.example.test"}}
		o.Spec.Networks = []organization.Network{{Name: "Laboratory"}}
		o.Spec.Sites = []organization.Site{
			{Name: "Berlin", Country: "DE", People: []organization.Crowd{{Users: 100}}},
			{Name: "Zurich", Country: "CH", People: []organization.Crowd{{Users: 50, Network: "Laboratory", Department: "Research"}}},
		}
		return o
	}
	demand := func(name, country, department string) organization.Separation {
		s := organization.Separation{Name: name, Kind: organization.Law, Country: country}
		if department != "" {
			s.Who.Departments = []string{department}
		}
		return s
	}
	for _, c := range []struct {
		name   string
		change func(s *organization.Spec)
		want   string
	}{
		{"a country without sites", func(s *organization.Spec) {
			s.Separations = append(s.Separations, demand("Records", "FR", ""))
		}, "spec.separations[0].country: no connected site in this country may hold servers, and Records is about people who are connected"},
		{"a network elsewhere", func(s *organization.Spec) {
			s.Separations = append(s.Separations, demand("Records", "DE", "Research"))
		}, "spec.separations[0].country: Records and the isolated network Laboratory cannot be met together: no site of the network in this country may hold servers"},
		{"two countries", func(s *organization.Spec) {
			s.Separations = append(s.Separations, demand("Records", "CH", "Research"), demand("Salaries", "DE", "Research"))
		}, "spec.separations[1].country: Salaries and Records (spec.separations[0]) cannot be met together: the people of spec.sites[1].people[0] are in both"},
		{
			"no place in a network", func(s *organization.Spec) { s.Sites[1].Servers = &no },
			"spec.networks[0]: no site where its people are may hold servers",
		},
		{
			"no place for the others", func(s *organization.Spec) { s.Sites[0].Servers = &no },
			"spec.sites: no site that has connected people or none may hold servers",
		},
		{"no place for nobody", func(s *organization.Spec) {
			for i := range s.Sites {
				s.Sites[i].Servers, s.Sites[i].People[0].Users = &no, 0
			}
		}, "spec.sites: no site may hold servers"},
		{
			"too many", func(s *organization.Spec) { s.Capacity.Clients = 1; s.Sites[0].People[0].Users = 5000 },
			"spec.capacity.clients: 5,050 active clients would need more than 2,000 instances of 1 each",
		},
	} {
		o := base()
		c.change(&o.Spec)
		_, err := Place(t.Context(), organization.Resolve(o))
		if !errors.Is(err, dormer.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if _, err := Place(t.Context(), organization.Resolve(base())); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

func TestThereIsAlwaysOneInstance(t *testing.T) {
	o := &organization.Organization{}
	o.Spec.Sites = []organization.Site{{Name: "Berlin"}}
	p, err := Place(t.Context(), organization.Resolve(o))
	if err != nil || len(p.Instances) != 1 || p.Classic.Count != 1 || p.Instances[0].SiteName != "Berlin" || len(p.Instances[0].Reasons) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestTheSameModelHasTheSameAnswer, and one of 200 sites has it with reasons.
func TestTheSameModelHasTheSameAnswer(t *testing.T) {
	m := large(200)
	p, err := Place(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	hold(t, m, p)
	again, err := Place(t.Context(), large(200))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, again); d != "" {
		t.Error(d)
	}
	sites := map[string]map[string]bool{}
	for _, i := range p.Instances {
		for _, part := range i.Parts {
			key := part.Site + part.Network + part.Department + part.Domain
			if sites[key] == nil {
				sites[key] = map[string]bool{}
			}
			sites[key][i.Name] = true
		}
	}
	split := 0
	for _, in := range sites {
		if len(in) > 1 {
			split++
		}
	}
	// 93 instances are nearly full; only what fits nowhere else is split.
	if split > len(p.Instances)/2 {
		t.Errorf("%d crowds are split over %d instances", split, len(p.Instances))
	}
	if n := len(p.Splits); n < len(p.Instances)-1 || n > 2*len(p.Instances) {
		t.Errorf("%d splits are told of %d instances", n, len(p.Instances))
	}
	changes, err := Explain(t.Context(), m, p)
	if err != nil || len(changes) < 50 || len(changes) > 250 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
	if last := changes[len(changes)-1]; last.What != "what was left out" || !strings.Contains(last.Text, "112 sites that might be isolated") {
		t.Errorf("the last change is %+v", last)
	}
}

func TestPlacesStopWhenNobodyWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := large(10)
	if _, err := Place(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("place: %v", err)
	}
	if _, err := Explain(ctx, m, &Placement{}); !errors.Is(err, context.Canceled) {
		t.Errorf("explain: %v", err)
	}
	if _, err := ExplainWith(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("explain with: %v", err)
	}
}

// TestASearchThatEndsEarlySaysSo: trusts at random in so many domains are more
// ways than can be tried.
func TestASearchThatEndsEarlySaysSo(t *testing.T) {
	e := extent{sites: 60, domains: 120, crowds: 8, people: 900, capacity: 1000}
	unproven := 0
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 5))
		o := e.random(r)
		one := false
		for i := range o.Spec.Domains {
			d := &o.Spec.Domains[i]
			d.Trusts = nil
			for range 4 {
				d.Trusts = append(d.Trusts, organization.Trust{Domain: e.domain(r), BothWays: &one})
			}
		}
		m := organization.Resolve(o)
		p, err := Place(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		hold(t, m, p)
		if p.Smallest {
			continue
		}
		unproven++
		if len(p.Difference) != 1 || !strings.Contains(p.Difference[0], "Whether fewer would was not found out") {
			t.Errorf("seed %d: %q", seed, p.Difference)
		}
	}
	if unproven == 0 {
		t.Error("every search came to an end; make it harder")
	}
}

func TestEvenSharesOfRooms(t *testing.T) {
	for _, c := range []struct {
		rooms []int
		take  int
		want  []int
	}{
		{[]int{5000, 5000}, 5001, []int{2501, 2500}},
		{[]int{5000, 3000}, 4000, []int{3000, 1000}},
		{[]int{5000, 1000}, 4000, []int{4000, 0}},
		{[]int{10, 10, 10}, 30, []int{10, 10, 10}},
		{[]int{10, 10, 10}, 0, []int{0, 0, 0}},
		{[]int{7}, 3, []int{3}},
	} {
		if got := level(c.rooms, c.take); !slices.Equal(got, c.want) {
			t.Errorf("%d of %v: %v, want %v", c.take, c.rooms, got, c.want)
		}
	}
}

// TestSlowWaysAreWays: over 1 Mbit/s, of which half may be used, a megabyte
// takes 8,000,000 / 500,000 = 16 s and the round trip; that is slow, but nobody
// is out of reach. Over 2 bit/s it takes 8,000,000 s = 92 days 14 h.
func TestSlowWaysAreWays(t *testing.T) {
	for bandwidth, want := range map[document.Rate]string{1_000_000: "a megabyte takes 16 s", 2: "a megabyte takes 92 days 14 h"} {
		o := &organization.Organization{}
		o.Spec.Sites = []organization.Site{{Name: "A", People: []organization.Crowd{{Users: 100}}}, {Name: "B"}}
		o.Spec.Links = []organization.Link{{From: "A", To: "B", Bandwidth: bandwidth}}
		p, err := Place(t.Context(), organization.Resolve(o))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Instances[0].Seat; !strings.Contains(got, "From B, the next best, "+want) {
			t.Errorf("%v: %s", bandwidth, got)
		}
	}
}

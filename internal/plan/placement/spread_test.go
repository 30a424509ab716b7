package placement

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// cut divides n into so many sizes.
func cut(r *rand.Rand, n, sizes int) []int {
	var out []int
	for ; sizes > 1; sizes-- {
		part := 1 + r.IntN(n-sizes+1)
		out, n = append(out, part), n-part
	}
	return append(out, n)
}

// TestSitesThatFitWholeAreKeptWhole: sites of which some make up each instance
// to the last client, in another order.
func TestSitesThatFitWholeAreKeptWhole(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 8))
		o := &organization.Organization{}
		instances := 2 + r.IntN(2)
		var sizes []int
		for range instances {
			sizes = append(sizes, cut(r, 1000, 1+r.IntN(4))...)
		}
		r.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
		for i, n := range sizes {
			s := organization.Site{Name: fmt.Sprintf("s%d", i), People: []organization.Crowd{{Users: n}}}
			if i > 0 {
				o.Spec.Links = append(o.Spec.Links, organization.Link{From: s.Name, To: "s0", Bandwidth: 10_000_000})
			}
			o.Spec.Sites = append(o.Spec.Sites, s)
		}
		o.Spec.Capacity.Clients = 1000
		m := organization.Resolve(o)
		p, err := Place(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		hold(t, m, p)
		parts := 0
		for _, i := range p.Instances {
			parts += len(i.Parts)
		}
		if parts != len(sizes) || len(p.Instances) != instances {
			t.Fatalf("seed %d: %v are in %d parts on %d instances, want %d", seed, sizes, parts, len(p.Instances), instances)
		}
	}
}

// TestNeighboursGoTogether: stars of sites with good links, far from each other;
// each star is as many people as an instance holds, or a few less.
func TestNeighboursGoTogether(t *testing.T) {
	apart := 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 9))
		o := &organization.Organization{}
		stars := 2 + r.IntN(4)
		for s := range stars {
			for i, n := range cut(r, 1000-r.IntN(100), 2+r.IntN(4)) {
				site := organization.Site{Name: fmt.Sprintf("star%d-%d", s, i), People: []organization.Crowd{{Users: n, Department: fmt.Sprintf("star%d", s)}}}
				to, bandwidth := fmt.Sprintf("star%d-0", s), 1_000_000_000
				if i == 0 {
					to, bandwidth = "star0-0", 2_000_000
				}
				if to != site.Name {
					o.Spec.Links = append(o.Spec.Links, organization.Link{From: site.Name, To: to, Bandwidth: document.Rate(bandwidth)})
				}
				o.Spec.Sites = append(o.Spec.Sites, site)
			}
		}
		o.Spec.Capacity.Clients = 1000
		m := organization.Resolve(o)
		p, err := Place(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		hold(t, m, p)
		for _, i := range p.Instances {
			for _, part := range i.Parts {
				if part.Department != i.Parts[0].Department {
					apart++
					break
				}
			}
		}
	}
	if apart > 0 {
		t.Errorf("%d instances serve people of several stars", apart)
	}
}

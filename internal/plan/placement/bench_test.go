package placement

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// large is an organization of so many sites with 1,500 people each, in eight
// domains of which some trust each other, with networks, departments and
// countries that are apart.
func large(sites int) *organization.Model {
	r := rand.New(rand.NewPCG(7, 7))
	o := &organization.Organization{}
	s := &o.Spec
	trust := func(name string) []organization.Trust { return []organization.Trust{{Domain: name}} }
	one := false
	s.Domains = []organization.Domain{
		{Name: "corp.example.test"},
		{Name: "north.corp.example.test", Parent: "corp.example.test"},
		{Name: "south.corp.example.test", Parent: "corp.example.test"},
		{Name: "bought.example.test", Trusts: trust("corp.example.test")},
		{Name: "plant.example.test", Trusts: []organization.Trust{{Domain: "corp.example.test", BothWays: &one}, {Domain: "bought.example.test", BothWays: &one}}},
		{Name: "lab.example.test"},
		{Name: "partner.example.test", Trusts: trust("plant.example.test")},
		{Name: "services.example.test", Trusts: []organization.Trust{{Domain: "lab.example.test", BothWays: &one}, {Domain: "partner.example.test", BothWays: &one}}},
	}
	for i := range 5 {
		s.Networks = append(s.Networks, organization.Network{Name: fmt.Sprintf("Laboratory %d", i)})
	}
	countries := []string{"DE", "FR", "CH", "US", "JP", "PL"}
	for i := range sites {
		site := organization.Site{Name: fmt.Sprintf("Site %d", i), Country: countries[i%len(countries)]}
		left := 1500
		for _, department := range []string{"", "", "Payroll", "Research", "Sales", "Works council"} {
			n := min(left, 1+r.IntN(500))
			left -= n
			c := organization.Crowd{Domain: s.Domains[r.IntN(3)].Name, Department: department, Users: n}
			switch r.IntN(12) {
			case 0:
				c.Domain = s.Domains[3+r.IntN(5)].Name
			case 1:
				c.Network = s.Networks[r.IntN(5)].Name
			}
			site.People = append(site.People, c)
		}
		site.People[0].Users += left
		if i > 0 {
			s.Links = append(s.Links, organization.Link{
				From: site.Name, To: s.Sites[r.IntN(i)].Name, Bandwidth: document.Rate(10_000_000 * (1 + r.IntN(50))),
				Latency: document.Latency(time.Duration(5+r.IntN(60)) * time.Millisecond),
			})
			s.Links = append(s.Links, organization.Link{From: site.Name, To: s.Sites[r.IntN(i)].Name, Bandwidth: document.Rate(2_000_000)})
		}
		s.Sites = append(s.Sites, site)
	}
	yes := true
	s.Separations = []organization.Separation{
		{Name: "Payroll", Kind: organization.Security, Who: organization.Who{Departments: []string{"Payroll"}}},
		{Name: "Works council", Kind: organization.Law, Who: organization.Who{Departments: []string{"Works council"}}},
		{Name: "Swiss data", Kind: organization.Law, Country: "CH", Who: organization.Who{Countries: []string{"CH"}}},
		{Name: "French data", Kind: organization.Law, Country: "FR", Shared: &yes, Who: organization.Who{Countries: []string{"FR"}}},
		{Name: "Polish data", Kind: organization.Law, Country: "PL", Shared: &yes, Who: organization.Who{Countries: []string{"PL"}}},
	}
	return organization.Resolve(o)
}

func BenchmarkPlace(b *testing.B) {
	for b.Loop() {
		p, err := Place(b.Context(), large(200)) // routes are found anew
		if err != nil || !p.Smallest {
			b.Fatal(err, p != nil && p.Smallest)
		}
		b.ReportMetric(float64(len(p.Instances)), "instances")
	}
}

func BenchmarkExplain(b *testing.B) {
	m := large(200)
	p, err := Place(b.Context(), m)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Explain(b.Context(), m, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	t := termsOf(b.Context(), large(200))
	for b.Loop() {
		t.count()
	}
}

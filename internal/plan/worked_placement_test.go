package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// placedCase is an organization whose instances were counted by hand. The
// guide's count is
//
//	1 + capacity + domains + networks + organizational and legal separations
//
// with capacity = ceil((clients - 5,000) / 5,000) beyond 5,000 concurrently
// active clients. The smallest set divides the people who may be together by
// 5,000, each such circle for itself.
type placedCase struct {
	name, spec string
	classic    int
	// adds are the steps of the guide that add anything beyond the first one.
	adds []string
	// instances are their names in order, with the domain that the server is in and
	// the active clients.
	instances []string
	// says are pieces of the difference, in order; none where both agree.
	says []string
}

const (
	corpAlone = `
  domains: [{name: corp.example.test}]`
	corpAndPartner = `
  domains: [{name: corp.example.test}, {name: partner.example.test}]`
	laboratory = `
  networks: [{name: Laboratory}]`
	payroll = `
  separations: [{name: Payroll, kind: security, who: {departments: [Payroll]}}]`
)

var placedCases = []placedCase{
	{
		// 5,000 - 5,000 = 0 beyond: 1.
		name: "5,000 users", classic: 1,
		spec: corpAlone + `
  sites: [{name: Berlin, people: [{users: 5000}]}]`,
		instances: []string{"Berlin corp.example.test 5000"},
	},
	{
		// ceil((5,001 - 5,000) / 5,000) = ceil(0.0002) = 1: 1 + 1 = 2. ceil(5,001 / 5,000) = 2,
		// and the one site must be split: 2,501 + 2,500.
		name: "5,001 users", classic: 2, adds: []string{"capacity +1"},
		spec: corpAlone + `
  sites: [{name: Berlin, people: [{users: 5001}]}]`,
		instances: []string{"Berlin 1 corp.example.test 2501", "Berlin 2 corp.example.test 2500"},
	},
	{
		// Clients count, not people: 5,000 of the 12,000 are active at the same time.
		name: "12,000 users of whom 5,000 are active", classic: 1,
		spec: corpAlone + `
  sites: [{name: Berlin, people: [{users: 12000, active: 5000}]}]`,
		instances: []string{"Berlin corp.example.test 5000"},
	},
	{
		// The first domain has 8,000 + 150 + 3,000 + 1,100 + 150 = 12,400 people, with the
		// 150 of payroll and the 150 of the laboratory; the second one 300: 12,700 clients.
		// Guide: 1 + ceil((12,700 - 5,000) / 5,000) = 1 + ceil(1.54) = 3, + 1 for the second
		// domain, + 1 for the laboratory, + 1 for payroll = 6.
		// Smallest: 12,400 - 300 = 12,100 people of the first domain may be together, which
		// are ceil(12,100 / 5,000) = ceil(2.42) = 3; the second domain, payroll and the
		// laboratory one each: 6. Hamburg's 8,000 do not fit on one: 4,000 + 4,000. Berlin's
		// 3,000 and Munich's 1,100 are 4,100 on the third.
		name: "12,400 users, a second domain, a laboratory and payroll", classic: 6,
		adds: []string{"capacity +2", "domain partner.example.test +1", "network Laboratory +1", "organization Payroll +1"},
		spec: corpAndPartner + laboratory + payroll + `
  sites: [
    {name: Hamburg, people: [{users: 8000}, {users: 150, department: Payroll}]},
    {name: Berlin, people: [{users: 3000}]},
    {name: Munich, people: [{users: 1100}, {users: 150, network: Laboratory}, {users: 300, domain: partner.example.test}]},
    ]
  links: [{from: Hamburg, to: Berlin, bandwidth: 100Mbit/s}, {from: Berlin, to: Munich, bandwidth: 100Mbit/s}]`,
		instances: []string{
			"Hamburg 1 corp.example.test 4000", "Hamburg 2 corp.example.test 4000", "Berlin corp.example.test 4100",
			"partner.example.test partner.example.test 300", "Payroll corp.example.test 150", "Laboratory corp.example.test 150",
		},
	},
	{
		// Guide: 5,300 clients are 300 beyond: 1 + ceil(300 / 5,000) + 1 for the domain = 3.
		// But the 300 beyond are the other domain's: 5,000 / 5,000 = 1 and 300 / 5,000 -> 1: 2.
		name: "users beyond the first 5,000 are those of an untrusted domain", classic: 3,
		adds: []string{"capacity +1", "domain partner.example.test +1"},
		spec: corpAndPartner + `
  sites: [{name: Berlin, people: [{users: 5000}, {users: 300, domain: partner.example.test}]}]`,
		instances: []string{
			"Berlin corp.example.test 5000", "partner.example.test partner.example.test 300",
		},
		says: []string{"The guide counts 3, and 2 are enough", "Capacity: the guide divides all 5,300 clients by 5,000 and counts one, here it is none"},
	},
	{
		// 4,800 clients: no more than 5,000. Data that may not leave CH: + 1 = 2. Nobody else is
		// on that instance: 4,000 / 5,000 -> 1 and 800 / 5,000 -> 1: 2. It stands in Zurich.
		name: "a country that data may not leave", classic: 2, adds: []string{"law Swiss data +1"},
		spec: corpAlone + `
  sites: [{name: Berlin, country: DE, people: [{users: 4000}]}, {name: Zurich, country: CH, people: [{users: 800}]}]
  links: [{from: Berlin, to: Zurich, bandwidth: 1Gbit/s}]
  separations: [{name: Swiss data, kind: law, country: CH, who: {countries: [CH]}}]`,
		instances: []string{"Berlin corp.example.test 4000", "Swiss data corp.example.test 800"},
	},
	{
		// Guide: 1 + 1 = 2. Others may be on the instance in CH, and 4,800 are no more than
		// 5,000: 1, which stands in Zurich although most are in Berlin.
		name: "a country that data may not leave, shared with others", classic: 2, adds: []string{"law Swiss data +1"},
		spec: corpAlone + `
  sites: [{name: Berlin, country: DE, people: [{users: 4000}]}, {name: Zurich, country: CH, people: [{users: 800}]}]
  links: [{from: Berlin, to: Zurich, bandwidth: 1Gbit/s}]
  separations: [{name: Swiss data, kind: law, country: CH, shared: true, who: {countries: [CH]}}]`,
		instances: []string{"Zurich corp.example.test 4800"},
		says:      []string{"The guide counts 2, and 1 is enough", "Swiss data: the guide counts one, here it is none: an instance in CH meets it, and may serve others as well"},
	},
	{
		// Guide: 1 + ceil((5,500 - 5,000) / 5,000) + 1 + 1 = 4. One instance cannot stand in two
		// countries, and the 4,000 in Berlin join one of the two: 2. 4,000 + 800 = 4,800 and
		// 4,000 + 700 = 4,700 both fit. Berlin is nearer to Zurich (500 Mbit/s against 50 Mbit/s
		// usable).
		name: "two countries, shared with others", classic: 4, adds: []string{"capacity +1", "law Swiss data +1", "law French data +1"},
		spec: corpAlone + `
  sites: [
    {name: Berlin, country: DE, people: [{users: 4000}]},
    {name: Zurich, country: CH, people: [{users: 800}]},
    {name: Paris, country: FR, people: [{users: 700}]},
    ]
  links: [{from: Berlin, to: Zurich, bandwidth: 1Gbit/s}, {from: Berlin, to: Paris, bandwidth: 100Mbit/s}]
  separations: [
    {name: Swiss data, kind: law, country: CH, shared: true, who: {countries: [CH]}},
    {name: French data, kind: law, country: FR, shared: true, who: {countries: [FR]}},
    ]`,
		instances: []string{"Zurich corp.example.test 4800", "Paris corp.example.test 700"},
		says:      []string{"The guide counts 4, and 2 are enough", "Swiss data", "Capacity"},
	},
	{
		// acquired trusts corp, corp does not trust acquired. A server in acquired accepts both:
		// one group, so the guide's first instance stands there: 1.
		name: "a trust in one direction", classic: 1,
		spec: `
  domains: [{name: corp.example.test}, {name: acquired.example.test, trusts: [{domain: corp.example.test, bothWays: false}]}]
  sites: [{name: Berlin, people: [{users: 900}, {users: 100, domain: acquired.example.test}]}]`,
		instances: []string{"Berlin acquired.example.test 1000"},
	},
	{
		// Domains of one forest trust each other: one group, 1. The server stands where most are.
		name: "a forest", classic: 1,
		spec: `
  domains: [{name: corp.example.test}, {name: de.corp.example.test, parent: corp.example.test}, {name: lab.de.corp.example.test, parent: de.corp.example.test}]
  sites: [{name: Berlin, people: [{users: 100}, {users: 700, domain: de.corp.example.test}, {users: 200, domain: lab.de.corp.example.test}]}]`,
		instances: []string{"Berlin de.corp.example.test 1000"},
	},
	{
		// Three domains without any trust: one of them has the assumed instance, 1 + 2 = 3.
		name: "three domains that trust nobody", classic: 3, adds: []string{"domain b.example.test +1", "domain c.example.test +1"},
		spec: `
  domains: [{name: a.example.test}, {name: b.example.test}, {name: c.example.test}]
  sites: [{name: Berlin, people: [{users: 500}, {users: 400, domain: b.example.test}, {users: 300, domain: c.example.test}]}]`,
		instances: []string{"Berlin a.example.test 500", "b.example.test b.example.test 400", "c.example.test c.example.test 300"},
	},
	{
		// b accepts c, a accepts nobody and is accepted by nobody: groups {a} and {b, c}: 1 + 1 = 2.
		name: "a third domain that only the second one trusts", classic: 2, adds: []string{"domain b.example.test +1"},
		spec: `
  domains: [{name: a.example.test}, {name: b.example.test, trusts: [{domain: c.example.test, bothWays: false}]}, {name: c.example.test}]
  sites: [{name: Berlin, people: [{users: 500}, {users: 100, domain: b.example.test}, {users: 300, domain: c.example.test}]}]`,
		instances: []string{"Berlin a.example.test 500", "b.example.test b.example.test 400"},
	},
	{
		// a and b do not trust each other, but services accepts both: one group whose server
		// stands in a domain without people: 1.
		name: "a domain without people that accepts both", classic: 1,
		spec: `
  domains: [{name: a.example.test}, {name: b.example.test}, {name: services.example.test, trusts: [{domain: a.example.test, bothWays: false}, {domain: b.example.test, bothWays: false}]}]
  sites: [{name: Berlin, people: [{users: 500}, {users: 400, domain: b.example.test}]}]`,
		instances: []string{"Berlin services.example.test 900"},
	},
	{
		// 2 x 5,001 = 10,002 clients. Guide: 1 + ceil(5,002 / 5,000) = 1 + 2 = 3, + 1 for the
		// domain = 4. Smallest: ceil(5,001 / 5,000) = 2 for each domain: 4.
		name: "two untrusting domains that are both larger than an instance", classic: 4, adds: []string{"capacity +2", "domain partner.example.test +1"},
		spec: corpAndPartner + `
  sites: [{name: Berlin, people: [{users: 5001}]}, {name: Munich, people: [{users: 5001, domain: partner.example.test}]}]
  links: [{from: Berlin, to: Munich, bandwidth: 1Gbit/s}]`,
		instances: []string{
			"Berlin 1 corp.example.test 2501", "Berlin 2 corp.example.test 2500",
			"partner.example.test, Munich 1 partner.example.test 2501", "partner.example.test, Munich 2 partner.example.test 2500",
		},
	},
	{
		// Guide: 1 + 1 + 1 = 3. All 50 of the laboratory are payroll's: one instance within it
		// meets both: 1 + 1 = 2.
		name: "payroll is all of the laboratory", classic: 3, adds: []string{"network Laboratory +1", "organization Payroll +1"},
		spec: corpAlone + laboratory + payroll + `
  sites: [{name: Berlin, people: [{users: 900}, {users: 50, network: Laboratory, department: Payroll}]}]`,
		instances: []string{"Berlin corp.example.test 900", "Laboratory, Payroll corp.example.test 50"},
		says:      []string{"The guide counts 3, and 2 are enough", "Payroll: the guide counts one, here it is none, for nobody else is left in network Laboratory"},
	},
	{
		// Payroll's 50 are within the laboratory with 150 others, who may not be with them:
		// connected, laboratory, and payroll within it: 3, as the guide counts.
		name: "payroll is a part of the laboratory", classic: 3, adds: []string{"network Laboratory +1", "organization Payroll +1"},
		spec: corpAlone + laboratory + payroll + `
  sites: [{name: Berlin, people: [
    {users: 900}, {users: 150, network: Laboratory}, {users: 50, network: Laboratory, department: Payroll}]}]`,
		instances: []string{"Berlin corp.example.test 900", "Laboratory corp.example.test 150", "Laboratory, Payroll corp.example.test 50"},
	},
	{
		// Payroll is in two places that do not reach each other, and in both there are others:
		// 2 x 2 = 4; the guide counts 1 + 1 + 1 = 3.
		name: "payroll is within the laboratory and outside of it", classic: 3, adds: []string{"network Laboratory +1", "organization Payroll +1"},
		spec: corpAlone + laboratory + payroll + `
  sites: [{name: Berlin, people: [
    {users: 900}, {users: 100, department: Payroll}, {users: 150, network: Laboratory}, {users: 50, network: Laboratory, department: Payroll}]}]`,
		instances: []string{
			"Berlin corp.example.test 900", "Payroll corp.example.test 100", "Laboratory corp.example.test 150", "Laboratory, Payroll corp.example.test 50",
		},
		says: []string{"The guide counts 3, and 4 are needed", "Payroll: the guide counts one, here it is 2, for its people are apart in the connected network and network Laboratory already"},
	},
	{
		// Who is in both demands may be neither with the rest of the one nor of the other:
		// nobody's, Payroll, Board, both: 4. The guide counts 1 + 1 + 1 = 3.
		name: "demands that cut each other", classic: 3, adds: []string{"organization Payroll +1", "organization Board +1"},
		spec: corpAlone + `
  sites: [{name: Berlin, people: [{users: 900}, {users: 100, department: Payroll}]}, {name: Tower, people: [{users: 40}, {users: 10, department: Payroll}]}]
  links: [{from: Berlin, to: Tower, bandwidth: 1Gbit/s}]
  separations: [
    {name: Payroll, kind: security, who: {departments: [Payroll]}},
    {name: Board, kind: management, who: {sites: [Tower]}},
    ]`,
		instances: []string{"Berlin corp.example.test 900", "Payroll corp.example.test 100", "Payroll, Board corp.example.test 10", "Board corp.example.test 40"},
		says:      []string{"The guide counts 3, and 4 are needed", "Board: the guide counts one, here it is 2"},
	},
	{
		// 1 + 1 + 1 = 3, and each network has people of its own: 3.
		name: "two isolated networks", classic: 3, adds: []string{"network Laboratory +1", "network Reactor +1"},
		spec: corpAlone + `
  networks: [{name: Laboratory}, {name: Reactor}]
  sites: [{name: Berlin, people: [{users: 900}, {users: 150, network: Laboratory}, {users: 50, network: Reactor}]}]`,
		instances: []string{"Berlin corp.example.test 900", "Laboratory corp.example.test 150", "Reactor corp.example.test 50"},
	},
	{
		// Guide: 1 + 1 = 2, but the assumed instance would serve nobody: 1.
		name: "everybody is in one isolated network", classic: 2, adds: []string{"network Laboratory +1"},
		spec: corpAlone + laboratory + `
  sites: [{name: Berlin, people: [{users: 150, network: Laboratory}]}]`,
		instances: []string{"Laboratory corp.example.test 150"},
		says:      []string{"The guide counts 2, and 1 is enough", "Network Laboratory: the guide counts one, here it is none, for nobody else is left in the connected network"},
	},
	{
		// Guide: 1 + 1 for the domain + 1 for the network = 3. The other domain's people are all
		// in the network: its instance meets both, 1 + 1 = 2.
		name: "a laboratory with a domain of its own", classic: 3, adds: []string{"domain lab.example.test +1", "network Laboratory +1"},
		spec: laboratory + `
  domains: [{name: corp.example.test}, {name: lab.example.test}]
  sites: [{name: Berlin, people: [{users: 900}, {users: 150, network: Laboratory, domain: lab.example.test}]}]`,
		instances: []string{"Berlin corp.example.test 900", "Laboratory lab.example.test 150"},
		says:      []string{"The guide counts 3, and 2 are enough", "Network Laboratory: the guide counts one, here it is none, for nobody else is in lab.example.test"},
	},
	{
		// 12,400 are no more than 20,000: 1, where the guide's own number would give 3.
		name: "a measured capacity of 20,000", classic: 1,
		spec: corpAlone + `
  capacity: {clients: 20000, hardware: "8 cores, 16 GB", cores: 8, memory: 16GiB}
  sites: [{name: Berlin, people: [{users: 12400}]}]`,
		instances: []string{"Berlin corp.example.test 12400"},
	},
	{
		// ceil((20,001 - 20,000) / 20,000) = 1: 2.
		name: "one client more than the measured capacity", classic: 2, adds: []string{"capacity +1"},
		spec: corpAlone + `
  capacity: {clients: 20000, hardware: "8 cores, 16 GB", cores: 8, memory: 16GiB}
  sites: [{name: Berlin, people: [{users: 20001}]}]`,
		instances: []string{"Berlin 1 corp.example.test 10001", "Berlin 2 corp.example.test 10000"},
	},
	{
		// 8,000 / 5,000 -> 2. Whole sites go on them in one way only: 3,000 | 2,500 + 2,500.
		name: "sites that fit whole are kept whole", classic: 2, adds: []string{"capacity +1"},
		spec: corpAlone + `
  sites: [{name: Berlin, people: [{users: 2500}]}, {name: Munich, people: [{users: 3000}]}, {name: Hamburg, people: [{users: 2500}]}]
  links: [{from: Berlin, to: Munich, bandwidth: 1Gbit/s}, {from: Munich, to: Hamburg, bandwidth: 10Mbit/s}]`,
		instances: []string{"Berlin corp.example.test 5000", "Munich corp.example.test 3000"},
	},
	{
		// 4 x 2,400 = 9,600 are two instances of two sites each; the good links decide which.
		name: "neighbours go together", classic: 2, adds: []string{"capacity +1"},
		spec: corpAlone + `
  sites: [{name: Berlin, people: [{users: 2400}]}, {name: Munich, people: [{users: 2400}]},
    {name: Potsdam, people: [{users: 2400}]}, {name: Augsburg, people: [{users: 2400}]}]
  links: [{from: Berlin, to: Potsdam, bandwidth: 1Gbit/s}, {from: Munich, to: Augsburg, bandwidth: 1Gbit/s}, {from: Berlin, to: Munich, bandwidth: 10Mbit/s}]`,
		instances: []string{"Berlin corp.example.test 4800", "Munich corp.example.test 4800"},
	},
}

// placedOrganization is that of a case, with one image and one workspace.
func placedOrganization(t *testing.T, spec string) *organization.Model {
	t.Helper()
	return modelOf(t, spec, "[{name: office, packed: 4GiB}]", "[{name: Office, image: office}]")
}

func placedCaseOf(t *testing.T, name string) (*organization.Model, *placement.Placement) {
	t.Helper()
	at := slices.IndexFunc(placedCases, func(c placedCase) bool { return c.name == name })
	if at < 0 {
		t.Fatalf("no case %s", name)
	}
	m := placedOrganization(t, placedCases[at].spec)
	return m, placed(t, m)
}

func TestInstancesAreCountedAsByHand(t *testing.T) {
	for _, c := range placedCases {
		t.Run(c.name, func(t *testing.T) {
			p, err := placement.Place(t.Context(), placedOrganization(t, c.spec))
			if err != nil {
				t.Fatal(err)
			}
			var adds, instances []string
			for _, s := range p.Classic.Steps[1:] {
				if s.Adds > 0 {
					adds = append(adds, strings.TrimSpace(fmt.Sprintf("%s %s", s.Condition, s.About))+fmt.Sprintf(" +%d", s.Adds))
				}
			}
			for _, i := range p.Instances {
				instances = append(instances, fmt.Sprintf("%s %s %d", i.Name, i.Domain, i.Active))
			}
			if p.Classic.Count != c.classic || !slices.Equal(adds, c.adds) {
				t.Errorf("the guide counts %d by %q, want %d by %q", p.Classic.Count, adds, c.classic, c.adds)
			}
			if !slices.Equal(instances, c.instances) || !p.Smallest {
				t.Errorf("instances are\n%q, want\n%q (smallest: %v)", instances, c.instances, p.Smallest)
			}
			for i, d := range p.Difference {
				if i >= len(c.says) || !strings.Contains(d, c.says[i]) {
					t.Errorf("the difference says %q", d)
				}
			}
			if len(p.Difference) < len(c.says) {
				t.Errorf("the difference says only %q", p.Difference)
			}
		})
	}
}

// TestTheSeatIsNearestToItsClients: the usable half of 16 Mbit/s is 8 Mbit/s, so
// a megabyte (8 Mbit) takes 1 s between the sites, and a round trip 20 ms; within
// a site with its 1 Gbit/s 8 / 1,000 = 8 ms.
//
//	from Berlin (300 clients): (300 x 0.008 s + 100 x 1.02 s) / 400 = 104.4 / 400 = 0.261 s
//	from Munich (100 clients): (100 x 0.008 s + 300 x 1.02 s) / 400 = 306.8 / 400 = 0.767 s
func TestTheSeatIsNearestToItsClients(t *testing.T) {
	p, err := placement.Place(t.Context(), placedOrganization(t, corpAlone+`
  sites: [{name: Munich, people: [{users: 100}]}, {name: Berlin, people: [{users: 300}]}]
  links: [{from: Munich, to: Berlin, bandwidth: 16Mbit/s, latency: 20ms}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := "Nearest to its clients of the 2 sites that the conditions allow. From here a megabyte takes 261 ms on average " +
		"(8 Mbit / usable bandwidth + round trip, over all clients); 300 clients here; 100 in Munich over 8 Mbit/s usable, 20 ms. " +
		"From Munich, the next best, a megabyte takes 767 ms."
	if i := p.Instances[0]; i.SiteName != "Berlin" || i.Seat != want {
		t.Errorf("stands in %s: %s\nwant %s", i.SiteName, i.Seat, want)
	}
}

// TestWhatOneConditionMoreChanges starts from the 12,400 users: 6 instances, 6 by
// the guide.
func TestWhatOneConditionMoreChanges(t *testing.T) {
	m, p := placedCaseOf(t, "12,400 users, a second domain, a laboratory and payroll")
	changes, err := placement.Explain(t.Context(), m, p)
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string][2]int{
		// The 150 of the laboratory are with the others: 12,250 / 5,000 -> 3, and 2 more.
		"if network Laboratory were connected": {5, 5},
		"if Payroll were not demanded":         {5, 5},
		// 12,100 / 10,000 -> 2, and 3 more. Guide: 1 + ceil(2,700 / 10,000) + 3 = 5.
		"if one instance held 10,000 clients": {5, 5},
		"if one instance held 25,000 clients": {4, 4},
		// 12,100 + 300 = 12,400 / 5,000 -> 3, and 2 more.
		"if people of partner.example.test were accepted by corp.example.test": {5, 5},
		"if people of corp.example.test were accepted by partner.example.test": {5, 5},
		// The people of Hamburg are 8,150 of whom 150 are payroll's. Isolated: payroll and
		// Hamburg's 8,000 / 5,000 -> 2; the others 4,100 / 5,000 -> 1; 2 more: 6.
		"if the people of Hamburg were in an isolated network of their own": {6, 7},
		// 3 x 5,000 - 12,100 = 2,900 have room: 2,901 begin a fourth. Guide: 12,700 + 2,901 = 15,601
		// are 10,601 beyond the first 5,000: 1 + 3 + 3 = 7.
		"if 2,901 more clients were active in the connected network (corp.example.test)": {7, 7},
		// 4,701 + 300 = 5,001. Guide: 17,401, 12,401 beyond: 1 + 3 + 3 = 7.
		"if 4,701 more clients were active in the connected network (partner.example.test)": {7, 7},
		// 15,000 - 12,700 = 2,300 are left until the guide counts one more.
		"if 2,301 more clients were active anywhere": {6, 7},
	} {
		at := slices.IndexFunc(changes, func(c placement.Change) bool { return c.What == what })
		if at < 0 {
			t.Errorf("not worked out: %s", what)
			continue
		}
		if c := changes[at]; c.Instances != want[0] || c.Classic != want[1] || c.Text == "" {
			t.Errorf("%s: %d instances, the guide counts %d, want %v: %s", what, c.Instances, c.Classic, want, c.Text)
		}
	}
	for text, want := range map[string][2]int{
		// 12,100 + 2,000 = 14,100 / 5,000 -> 3. Guide: 14,700 are 9,700 beyond: 1 + 2 + 3 = 6.
		"users=+2000@Berlin": {6, 6},
		// 12,100 - 3,000 = 9,100 / 5,000 -> 2. Guide: 9,700 are 4,700 beyond: 1 + 1 + 3 = 5.
		"users=-3000@Berlin": {5, 5},
		// 150 of Munich's are in the laboratory and 300 in the other domain: each of these is
		// apart already, and those of Munich who are not, 1,100, now as well; 11,000 / 5,000 -> 3.
		"separate=site:Munich":                            {7, 7},
		"capacity=20000":                                  {4, 4},
		"without=separation:Payroll":                      {5, 5},
		"trust=corp.example.test:partner.example.test":    {5, 5},
		"distrust=corp.example.test:partner.example.test": {6, 6},
		"isolate=department:Payroll":                      {6, 7},
	} {
		s, err := placement.ParseSupposition(text)
		if err != nil {
			t.Fatal(err)
		}
		c, err := placement.ExplainWith(t.Context(), m, s)
		if err != nil || c.Instances != want[0] || c.Classic != want[1] {
			t.Errorf("%s: %d instances, the guide counts %d, want %v: %v", text, c.Instances, c.Classic, want, err)
		}
	}
}

// TestEachSplitNamesWhatForcesIt: of the six instances of the 12,400 users each
// pair, 6 x 5 / 2 = 15, and of each one why it is there.
func TestEachSplitNamesWhatForcesIt(t *testing.T) {
	_, p := placedCaseOf(t, "12,400 users, a second domain, a laboratory and payroll")
	var splits []string
	for _, s := range p.Splits {
		splits = append(splits, fmt.Sprintf("%s / %s: %s %s", s.Between[0], s.Between[1], s.Condition, s.About))
	}
	partner, payroll, laboratory := "domain partner.example.test", "organization Payroll", "network Laboratory"
	want := []string{
		"Hamburg 1 / Hamburg 2: capacity ", "Hamburg 1 / Berlin: capacity ", "Hamburg 2 / Berlin: capacity ",
		"Hamburg 1 / partner.example.test: " + partner, "Hamburg 2 / partner.example.test: " + partner, "Berlin / partner.example.test: " + partner,
		"Hamburg 1 / Payroll: " + payroll, "Hamburg 2 / Payroll: " + payroll, "Berlin / Payroll: " + payroll, "partner.example.test / Payroll: " + payroll,
		"Hamburg 1 / Laboratory: " + laboratory, "Hamburg 2 / Laboratory: " + laboratory, "Berlin / Laboratory: " + laboratory,
		"partner.example.test / Laboratory: " + laboratory, "Payroll / Laboratory: " + laboratory,
	}
	if !slices.Equal(splits, want) {
		t.Errorf("splits are\n%s\nwant\n%s", strings.Join(splits, "\n"), strings.Join(want, "\n"))
	}
	var reasons []string
	for _, i := range p.Instances {
		for _, r := range i.Reasons {
			reasons = append(reasons, fmt.Sprintf("%s: %s: %s", i.Name, r.Condition, r.Text))
		}
	}
	noDomain := "domain: No domain accepts people of both corp.example.test and partner.example.test."
	divided := "capacity: 12,100 active clients who could be served together are more than the 5,000 that one instance holds: ceil(12,100 / 5,000) = 3 instances, of which this one holds "
	want = []string{
		"Hamburg 1: assumed: There is always one instance: this one is counted first.", "Hamburg 1: " + noDomain, "Hamburg 1: " + divided + "4,000.",
		"Hamburg 2: " + noDomain, "Hamburg 2: " + divided + "4,000.", "Berlin: " + noDomain, "Berlin: " + divided + "4,100.",
		"partner.example.test: domain: No domain accepts people of both partner.example.test and corp.example.test.",
		"Payroll: organization: Payroll (security): nobody else may be on an instance of these people.",
		"Laboratory: network: Nothing from outside reaches network Laboratory: its 150 people are served from within.",
	}
	if !slices.Equal(reasons, want) {
		t.Errorf("reasons are\n%s\nwant\n%s", strings.Join(reasons, "\n"), strings.Join(want, "\n"))
	}
}

// TestNamesTellInstancesApart where a site is called as another one with a
// number: 10,000 in Berlin are two, and 5,000 in Berlin 2 one.
func TestNamesTellInstancesApart(t *testing.T) {
	p, err := placement.Place(t.Context(), placedOrganization(t, corpAlone+`
  sites: [{name: Berlin, people: [{users: 10000}]}, {name: Berlin 2, people: [{users: 5000}]}]
  links: [{from: Berlin, to: Berlin 2, bandwidth: 1Mbit/s}]`))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range p.Instances {
		names = append(names, i.Name)
	}
	if want := []string{"Berlin 1", "Berlin 2", "Berlin 2 (2)"}; !slices.Equal(names, want) {
		t.Errorf("are called %q, want %q", names, want)
	}
}

// TestWhoeverIsServedAbroadIsTold: 4,000 in Berlin are on the instance that must
// stand in CH, for without them there would be two.
func TestWhoeverIsServedAbroadIsTold(t *testing.T) {
	_, p := placedCaseOf(t, "a country that data may not leave, shared with others")
	want := "Swiss data: data may not leave CH, so the server, its databases and its repository stand there. " +
		"It serves 4,000 clients from elsewhere as well: to serve everybody else apart takes 2 instances instead of 1."
	if r := p.Instances[0].Reasons; len(r) != 2 || r[1].Text != want {
		t.Errorf("reasons are %+v, want %q", r, want)
	}
}

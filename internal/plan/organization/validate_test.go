package organization

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
)

// small is the least that an organization can be.
const small = `apiVersion: dormer/v1
kind: Organization
metadata:
  name: Small
spec:
  sites:
    - name: Berlin
      country: DE
      people:
        - users: 100
  images:
    - name: office
      packed: 4GiB
  workspaces:
    - name: Office
      image: office
`

// two are two sites, with domains, networks and departments.
const two = `apiVersion: dormer/v1
kind: Organization
metadata: {name: Two}
spec:
  sites:
    - name: Berlin
      country: DE
      people:
        - {users: 100, domain: a, department: Payroll}
        - {users: 50, domain: b}
    - name: Basel
      country: CH
      people:
        - {users: 80, domain: a}
        - {users: 20, domain: a, network: Lab}
  domains:
    - {name: a}
    - {name: b}
    - {name: c, parent: a}
    - {name: d}
  networks: [{name: Lab}]
  links: [{from: Berlin, to: Basel, bandwidth: 100Mbit/s}]
  images: [{name: office, packed: 4GiB}, {name: other, packed: 4GiB}]
  workspaces: [{name: Office, image: office}]
`

// country has a country where no connected site may hold servers, though a site
// of an isolated network may.
const country = `apiVersion: dormer/v1
kind: Organization
metadata: {name: Country}
spec:
  sites:
    - {name: Berlin, country: DE, people: [{users: 10}]}
    - {name: Basel, country: CH, servers: false, people: [{users: 10}]}
    - {name: Bern, country: CH, people: [{users: 10, network: Lab}]}
  networks: [{name: Lab}]
  links: [{from: Berlin, to: Basel, bandwidth: 1Mbit/s}]
  images: [{name: office, packed: 4GiB}]
  workspaces: [{name: Office, image: office}]
`

// problemsOf returns what Decode says, a line each.
func problemsOf(t *testing.T, raw string) string {
	t.Helper()
	_, err := Decode([]byte(raw), "")
	if err == nil {
		return ""
	}
	if invalid, ok := errors.AsType[*dormer.InvalidError](err); !ok || len(invalid.Fields) == 0 {
		t.Fatalf("%v is not a list of wrong fields", err)
	}
	return err.Error()
}

func TestSmallIsValid(t *testing.T) {
	for _, raw := range []string{small, two} {
		if got := problemsOf(t, raw); got != "" {
			t.Error(got)
		}
	}
}

// TestBadInput: each change of an organization that was right is told with the
// path of the field, its line, and what was expected.
func TestBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		raw, old, new string
		want          []string // each is in a message of its own, in this order
	}{
		// numbers
		"negative users":    {small, "users: 100", "users: -5", []string{"line 10: spec.sites[0].people[0].users: must be between 0 and 10000000"}},
		"missing users":     {small, "- users: 100", "- active: 100", []string{"spec.sites[0].people[0].users: is required"}},
		"users as text":     {small, "users: 100", "users: many", []string{"line 10: spec.sites[0].people[0].users: expected a whole number, found text"}},
		"active over users": {small, "users: 100", "{users: 100, active: 101}", []string{"spec.sites[0].people[0].active: must not be more than users"}},
		"zero versions":     {small, "packed: 4GiB", "packed: 4GiB\n      versions: 0", []string{"line 14: spec.images[0].versions: must be between 1 and 365"}},
		"zero size":         {small, "packed: 4GiB", "packed: 0GiB", []string{"line 13: spec.images[0].packed: must be more than 0"}},
		"missing size":      {small, "\n      packed: 4GiB", "", []string{"line 12: spec.images[0].packed: is required"}},
		"too large a size":  {small, "packed: 4GiB", "packed: 5TiB", []string{"spec.images[0].packed: must be at most 4TiB"}},
		"zero bandwidth":    {two, "bandwidth: 100Mbit/s", "bandwidth: 0Mbit/s", []string{"line 22: spec.links[0].bandwidth: must be more than 0"}},
		"zero back":         {two, "bandwidth: 100Mbit/s", "bandwidth: 1Mbit/s, back: 0kbit/s", []string{"spec.links[0].back: must be more than 0"}},
		"missing bandwidth": {two, ", bandwidth: 100Mbit/s", "", []string{"spec.links[0].bandwidth: is required"}},
		"zero share":        {two, "bandwidth: 100Mbit/s", "bandwidth: 1Mbit/s, usable: 0%", []string{"spec.links[0].usable: must be more than 0"}},
		"more than all":     {two, "bandwidth: 100Mbit/s", "bandwidth: 1Mbit/s, usable: 101%", []string{"spec.links[0].usable: must be at most 100%"}},
		"zero latency":      {two, "bandwidth: 100Mbit/s", "bandwidth: 1Mbit/s, latency: 0ms", []string{"spec.links[0].latency: must be more than 0"}},
		"zero events":       {small, "  images:", "  events: {perDay: 0}\n  images:", []string{"spec.events.perDay: must be between 1 and 10000"}},
		"zero retention":    {small, "  images:", "  events: {keep: 0d}\n  images:", []string{"spec.events.keep: must be between 1d and 3650d"}},
		"negative growth":   {small, "  images:", "  growth: {yearly: -5%}\n  images:", []string{"spec.growth.yearly: expected a share in per cent such as 30%"}},
		"nobody travels":    {two, "  images:", "  travel: [{from: Berlin, to: Basel, users: 0}]\n  images:", []string{"spec.travel[0].users: must be between 1 and 10000000"}},
		"too many people":   {two, "users: 100", "users: 10000000", []string{"spec.sites: more than 10,000,000 people work here altogether"}},
		"too many after growth": {
			small, "users: 100", "users: 10000000\n  growth: {yearly: 100%, years: 20}", []string{"spec.growth: more than 2,000 instances"},
		},
		"too many instances": {
			small, "users: 100", "users: 100000\n  capacity: {clients: 1}",
			[]string{"spec.capacity.clients: more than 2,000 instances"},
		},
		// 10,000,000 clients x 10,000 x 10,000 bytes x 365 days x 1.5 x 1.3 = 712 PB.
		"too many events": {
			small, "users: 100", "users: 10000000\n  events: {perDay: 10000, bytes: 10000}",
			[]string{"spec.events: all events that are kept would take more than 100 PB"},
		},
		// A first version and 365 + 72 updates of 4 TiB = 4,398,046,511,104 bytes each: 1.9 PB.
		"too many versions": {
			small, "packed: 4GiB", "packed: 4TiB\n      update: 4TiB\n      every: 1h\n      versions: 365",
			[]string{"spec.images: all versions that are kept of all images would take more than 1 PB"},
		},
		// the fields by themselves
		"empty":          {small, small, "{}", []string{"apiVersion: is required", "kind: is required", "metadata: is required", "spec: is required"}},
		"no sites":       {small, "  sites:\n    - name: Berlin\n      country: DE\n      people:\n        - users: 100\n", "  sites: []\n", []string{"spec.sites: is required; give at least one"}},
		"country":        {small, "country: DE", "country: de", []string{"line 8: spec.sites[0].country: expected two capital letters such as DE"}},
		"a name of two":  {small, "name: Berlin", `name: "Ber\nlin"`, []string{"spec.sites[0].name: must be one line without control characters"}},
		"a long name":    {small, "name: Berlin", "name: " + strings.Repeat("x", 201), []string{"spec.sites[0].name: is longer than 200 characters"}},
		"empty list":     {two, "image: office", "image: office, who: {sites: []}", []string{"spec.workspaces[0].who.sites: is empty"}},
		"empty entry":    {two, "image: office", "image: office, who: {sites: ['']}", []string{"spec.workspaces[0].who.sites[0]: is required"}},
		"kind":           {two, "  images:", "  separations: [{name: x, kind: legal, who: {}}]\n  images:", []string{"spec.separations[0].kind: expected security, management or law"}},
		"unknown field":  {small, "users: 100", "user: 100", []string{"spec.sites[0].people[0].user: there is no such field; is users meant?"}},
		"observed day":   {small, "  images:", "  observed: {server: s, at: yesterday, days: 3, clients: 4, peak: 5}\n  images:", []string{"spec.observed.at: expected a day", "spec.observed.peak: must not be more than clients"}},
		"given twice":    {small, "      country: DE", "      country: DE\n      country: CH", []string{"line 9: spec.sites[0].country: is given twice"}},
		"too deep":       {small, "name: Small", "name: " + strings.Repeat("[", 40), []string{"is nested too deeply"}},
		"off-line":       {small, "image: office", "image: office\n      offline: soon", []string{"spec.workspaces[0].offline: expected none, unrestricted, or a length of time such as 8h or 3d"}},
		"name of a site": {two, "name: Basel", "name: BERLIN", []string{"spec.sites[1].name: is the name of spec.sites[0] already", "spec.links[0].to"}},
		// what refers to what
		"unknown site of a link":     {two, "to: Basel", "to: Bassel", []string{"line 22: spec.links[0].to: there is no such site; is Basel meant?"}},
		"unknown domain":             {two, "domain: b}", "domain: x.example.test}", []string{"spec.sites[0].people[1].domain: there is no such domain; there are a, b, c, d"}},
		"domain without any":         {small, "users: 100", "{users: 100, domain: a}", []string{"people[0].domain: there is no such domain; the file has none"}},
		"unknown network":            {two, "network: Lab", "network: Labor", []string{"people[1].network: there is no such network; is Lab meant?"}},
		"unknown image":              {small, "image: office", "image: ofice", []string{"spec.workspaces[0].image: there is no such image; is office meant?"}},
		"unknown base":               {two, "name: other,", "name: other, base: offices,", []string{"spec.images[1].base: there is no such image; is office meant?"}},
		"unknown department":         {two, "image: office", "image: office, who: {departments: [Payrol]}", []string{"spec.workspaces[0].who.departments[0]: there is no such department; is Payroll meant?"}},
		"unknown country":            {two, "image: office", "image: office, who: {countries: [AT]}", []string{"who.countries[0]: there is no such country; there are DE, CH"}},
		"a name twice":               {two, "image: office", "image: office, who: {sites: [Berlin, berlin]}", []string{"who.sites[1]: is the same as entry [0]"}},
		"unknown site of a console":  {two, "  images:", "  consoles: [{site: Bonn}]\n  images:", []string{"spec.consoles[0].site: there is no such site"}},
		"unknown site of a database": {two, "  images:", "  events: {site: Bonn}\n  images:", []string{"spec.events.site: there is no such site"}},
		"remote on the server":       {two, "  images:", "  events: {site: Basel, place: server}\n  images:", []string{"spec.events.site: is where a remote database stands"}},
		"shared on the server":       {two, "  images:", "  events: {shareOne: true, place: server}\n  images:", []string{"spec.events.shareOne: asks for a remote database"}},
		"remote SQLite":              {two, "  images:", "  events: {database: sqlite, place: remote}\n  images:", []string{"spec.events.database: SQLite is always on its server"}},
		"a workspace twice":          {two, "{name: Office, image: office}", "{name: Office, image: office}, {name: OFFICE, image: office}", []string{"spec.workspaces[1].name: is the name of spec.workspaces[0] already"}},
		"an image twice":             {two, "name: other", "name: office", []string{"spec.images[1].name: is the name of spec.images[0] already"}},
		"a separation twice":         {two, "  images:", "  separations: [{name: x, kind: law, who: {}}, {name: X, kind: law, who: {}}]\n  images:", []string{"spec.separations[1].name: is the name of spec.separations[0] already"}},
		"base is itself":             {two, "name: other,", "name: other, base: other,", []string{"spec.images[1].base: is the image itself"}},
		"bases in a circle": {
			two, "{name: office, packed: 4GiB}, {name: other, packed: 4GiB}", "{name: office, base: third, packed: 4GiB}, {name: other, base: office, packed: 4GiB}, {name: third, base: other, packed: 4GiB}",
			[]string{"spec.images[0].base: the images are each other's base in a circle: office, third, other, office"},
		},
		"combine one": {two, "  images:", "  questions: [{about: combine, subject: office}]\n  images:", []string{"spec.questions[0].subject: expected two images as A + B"}},
		"combine with nothing": {
			two, "  images:", "  questions: [{about: combine, subject: office + offices}]\n  images:",
			[]string{"spec.questions[0].subject: there is no such image; is office meant?"},
		},
		"a question twice":       {two, "  images:", "  questions: [{about: licence, subject: office}, {about: licence, subject: Office}]\n  images:", []string{"spec.questions[1]: is asked by spec.questions[0] already"}},
		"a question without one": {two, "  images:", "  questions: [{about: other, subject: office}]\n  images:", []string{"spec.questions[0].question: is required"}},
		// links and travel
		"link to itself": {two, "to: Basel", "to: BERLIN", []string{"spec.links[0].to: is the site where the link begins"}},
		"link twice": {
			two, "bandwidth: 100Mbit/s}]", "bandwidth: 100Mbit/s}, {from: Basel, to: Berlin, bandwidth: 1Mbit/s}]",
			[]string{"spec.links[1]: joins the same two sites as spec.links[0]"},
		},
		"no link": {two, "  links: [{from: Berlin, to: Basel, bandwidth: 100Mbit/s}]\n", "", []string{"spec.sites[1]: no link reaches it from Berlin"}},
		"no link, several": {
			two, "  domains:\n", "    - name: Bonn\n    - name: Bern\n  domains:\n",
			[]string{"spec.sites[2]: no link reaches it from Berlin and Basel", "spec.sites[3]: no link reaches it from Berlin and Basel"},
		},
		"travel at home":     {two, "  images:", "  travel: [{from: Berlin, to: berlin, users: 1}]\n  images:", []string{"spec.travel[0].to: is the site at home"}},
		"travel of too many": {two, "  images:", "  travel: [{from: Berlin, to: Basel, users: 151}]\n  images:", []string{"spec.travel[0].users: are more than work at Berlin"}},
		"travel twice": {
			two, "  images:", "  travel: [{from: Berlin, to: Basel, users: 1}, {from: berlin, to: basel, users: 2}]\n  images:",
			[]string{"spec.travel[1]: is about the same two sites as spec.travel[0]"},
		},
		// places
		"no server anywhere": {small, "country: DE", "country: DE\n      servers: false", []string{"spec.sites: no site that has connected people or none may hold servers"}},
		"no server in a network": {
			two, "name: Basel\n", "name: Basel\n      servers: false\n",
			[]string{"spec.networks[0]: no site where its people are may hold servers"},
		},
		// selections
		"a workspace for nobody": {two, "image: office}]", "image: office, who: {sites: [Basel], departments: [Payroll]}}]", []string{"spec.workspaces[0].who: selects nobody: no people are in all of sites and departments"}},
		"a domain of nobody":     {two, "image: office}]", "image: office, who: {domains: [d]}}]", []string{"spec.workspaces[0].who.domains: selects nobody: no people are there"}},
		"a separation of nobody": {two, "  images:", "  separations: [{name: x, kind: law, who: {domains: [b], networks: [Lab]}}]\n  images:", []string{"spec.separations[0].who: selects nobody: no people are in all of domains and networks"}},
		// separations
		"shared without a country": {two, "  images:", "  separations: [{name: x, kind: law, who: {}, shared: true}]\n  images:", []string{"spec.separations[0].shared: needs country"}},
		"a country without a site": {two, "  images:", "  separations: [{name: x, kind: law, who: {}, country: AT}]\n  images:", []string{"spec.separations[0].country: no site is in this country"}},
		"a country without servers": {
			country, "  images:", "  separations: [{name: Records, kind: law, who: {sites: [Basel]}, country: CH}]\n  images:",
			[]string{"spec.separations[0].country: no connected site in this country may hold servers, and Records is about people who are connected"},
		},
		"two parts of the connected network": {
			country, "    - {name: Berlin", "    - {name: Aachen}\n    - {name: Bonn}\n    - {name: Essen}\n    - {name: Berlin",
			[]string{"spec.sites[0]: no link reaches it from", "spec.sites[1]: no link reaches it", "spec.sites[2]: no link reaches it from Berlin and Basel; add one to spec.links, or put its people into an isolated network"},
		},
		"two parts with links": {
			strings.Replace(country, "    - {name: Berlin", "    - {name: Aachen}\n    - {name: Bonn}\n    - {name: Berlin", 1), "links: [{", "links: [{from: Bonn, to: Aachen, bandwidth: 1Mbit/s}, {",
			[]string{"spec.sites[0]: no link leads from Aachen and Bonn to Berlin and Basel; add one to spec.links, or put the people here into an isolated network"},
		},
		"a network at sites without a link": {
			country, "{users: 10}]}\n    - {name: Basel", "{users: 10}, {users: 5, network: Lab}]}\n    - {name: Basel",
			[]string{"spec.networks[0]: no link leads from Berlin to Bern, where its people are"},
		},
		"a second file": {small, "kind: Org", "---\nkind: Org", []string{"line 3: a second document begins here"}},
		"two countries for the same people": {
			two, "  images:", "  separations: [{name: German, kind: law, who: {sites: [Basel]}, country: CH}, {name: Swiss, kind: law, who: {domains: [b]}, country: CH}, {name: French, kind: law, who: {departments: [Payroll]}, country: DE}, {name: All, kind: law, who: {}, country: CH, shared: true}]\n  images:",
			[]string{"spec.separations[3].country: All and French (spec.separations[2]) cannot be met together: the people of spec.sites[0].people[0] are in both"},
		},
		"a network that is not in the country": {
			two, "  images:", "  separations: [{name: German, kind: law, who: {networks: [Lab]}, country: DE}]\n  images:",
			[]string{"spec.separations[0].country: German and the isolated network Lab cannot be met together"},
		},
		// trust
		"unknown parent":      {two, "{name: b}", "{name: b, parent: x.example.test}", []string{"spec.domains[1].parent: there is no such domain"}},
		"its own parent":      {two, "{name: b}", "{name: b, parent: B}", []string{"spec.domains[1].parent: is the domain itself"}},
		"parents in a circle": {two, "{name: a}", "{name: a, parent: c}", []string{"spec.domains[0].parent: the domains are above each other in a circle: a, c, a"}},
		"trusts itself":       {two, "{name: b}", "{name: b, trusts: [{domain: b}]}", []string{"spec.domains[1].trusts[0].domain: is the domain itself"}},
		"distrusts itself":    {two, "{name: b}", "{name: b, distrusts: [b]}", []string{"spec.domains[1].distrusts[0]: is the domain itself"}},
		"trusts twice":        {two, "{name: b}", "{name: b, trusts: [{domain: a}, {domain: A}]}", []string{"spec.domains[1].trusts[1].domain: is trusted by spec.domains[1].trusts[0] already"}},
		"trusts nobody known": {two, "{name: b}", "{name: b, trusts: [{domain: x.example.test}]}", []string{"spec.domains[1].trusts[0].domain: there is no such domain"}},
		"trusts and distrusts": {
			two, "{name: b}", "{name: b, trusts: [{domain: a}], distrusts: [a]}",
			[]string{"spec.domains[1].distrusts[0]: contradicts the rest of the file, by which b accepts people of a: b trusts a"},
		},
		"distrusts what trusts it both ways": {
			two, "{name: a}\n    - {name: b}", "{name: a, distrusts: [b]}\n    - {name: b, trusts: [{domain: a}]}",
			[]string{"spec.domains[0].distrusts[0]: contradicts the rest of the file, by which a accepts people of b: b and a trust each other both ways"},
		},
		"distrusts its forest": {
			two, "{name: a}", "{name: a, distrusts: [c]}",
			[]string{"spec.domains[0].distrusts[0]: contradicts the rest of the file, by which a accepts people of c: both are in the forest of a"},
		},
		"contradictions beside unknown names": {
			two, "{name: a}\n", "{name: a, distrusts: [c]}\n    - {name: e}\n    - {name: E}\n",
			[]string{"spec.domains[0].distrusts[0]: contradicts the rest of the file", "spec.domains[2].name: is the name of spec.domains[1] already"},
		},
		"distrusts over a chain": {
			two, "{name: b}\n    - {name: c, parent: a}\n    - {name: d}",
			"{name: b, distrusts: [c], trusts: [{domain: d, transitive: true}]}\n    - {name: c, parent: a}\n    - {name: d, trusts: [{domain: a, transitive: true, bothWays: false}]}",
			[]string{"spec.domains[1].distrusts[0]: contradicts the rest of the file, by which b accepts people of c: b trusts d transitively; d trusts a transitively; a and c are in one forest"},
		},
		"a circle of trust": {
			two, "{name: a}\n    - {name: b}\n    - {name: c, parent: a}\n    - {name: d}",
			"{name: a, trusts: [{domain: b, transitive: true, bothWays: false}]}\n    - {name: b, trusts: [{domain: d, transitive: true, bothWays: false}]}\n    - {name: d, trusts: [{domain: a, transitive: true}], distrusts: [b]}",
			[]string{"spec.domains[2].distrusts[0]: contradicts the rest of the file, by which d accepts people of b: d trusts a transitively; a trusts b transitively"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			raw := strings.Replace(c.raw, c.old, c.new, 1)
			if raw == c.raw {
				t.Fatalf("there is no %q to change", c.old)
			}
			got := problemsOf(t, raw)
			lines := strings.Split(got, "\n")
			if got == "" {
				lines = nil
			}
			if len(lines) != len(c.want) {
				t.Fatalf("%d problems, want %d:\n%s", len(lines), len(c.want), got)
			}
			for i, want := range c.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("got  %s\nwant %s", lines[i], want)
				}
			}
		})
	}
}

// TestLargest: what the limits allow is checked and resolved at all,
// and what they do not is refused before anything is multiplied by it.
func TestLargest(t *testing.T) {
	o := large(2000, 300_000, 3000)
	s := &o.Spec
	for i := range s.Sites {
		for len(s.Sites[i].People) < 5 {
			s.Sites[i].People = append(s.Sites[i].People, Crowd{Users: 1})
		}
	}
	s.Workspaces, s.Separations = nil, nil
	for i := range 500 {
		s.Workspaces = append(s.Workspaces, Workspace{Name: fmt.Sprint(i), Image: s.Images[0].Name})
	}
	for i := range 200 {
		s.Separations = append(s.Separations, Separation{Name: fmt.Sprint(i), Kind: Law, Country: []string{"DE", "CH"}[i%2]})
	}
	s.Links = slices.Collect(unlike(s.Links))
	err := Validate(o)
	invalid, ok := errors.AsType[*dormer.InvalidError](err)
	if !ok || len(invalid.Fields) != 100 || !strings.Contains(err.Error(), "1 and 0 (spec.separations[0]) cannot be met together") {
		t.Errorf("%.300s", fmt.Sprint(err))
	}
	s.Sites[0].People = append(s.Sites[0].People, Crowd{Users: 1})
	if err := Validate(o); err == nil || err.Error() != "spec.sites[1999].people: more than 10,000 entries up to here; put people together who are alike" {
		t.Errorf("%.300s", fmt.Sprint(err))
	}
}

// unlike leaves out links between sites that have one.
func unlike(links []Link) func(yield func(Link) bool) {
	return func(yield func(Link) bool) {
		seen := map[[2]string]bool{}
		for _, l := range links {
			if seen[[2]string{l.From, l.To}] || seen[[2]string{l.To, l.From}] {
				continue
			}
			seen[[2]string{l.From, l.To}] = true
			if !yield(l) {
				return
			}
		}
	}
}

// TestTooManyGets: each of 500 workspaces for each of 101 entries of people.
func TestTooManyGets(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: dormer/v1\nkind: Organization\nmetadata: {name: Many}\nspec:\n  sites:\n    - name: Berlin\n      people:\n")
	for range 101 {
		b.WriteString("        - {users: 1}\n")
	}
	b.WriteString("  images: [{name: Office, packed: 4GiB}]\n  workspaces:\n")
	for i := range 500 {
		fmt.Fprintf(&b, "    - {name: W%d, image: Office}\n", i)
	}
	if got := problemsOf(t, b.String()); !strings.Contains(got, "spec.workspaces: more than 50,000 times people get a workspace") {
		t.Error(got)
	}
}

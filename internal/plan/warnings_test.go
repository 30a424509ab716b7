package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// texts are the warnings that hold a word.
func texts(p *Plan, word string) []string {
	var out []string
	for _, w := range p.Warnings {
		if strings.Contains(w.Text, word) {
			out = append(out, w.Path+": "+w.Text)
		}
	}
	return out
}

const abroad = `
  sites:
    - {name: Berlin, country: DE, lan: 40Gbit/s, people: [{users: 3000}]}
    - {name: Bern, country: CH, people: [{users: 200}]}
  links: [{from: Berlin, to: Bern, bandwidth: 40Mbit/s, back: 10Mbit/s}]
  separations: [{name: Swiss records, kind: law, who: {countries: [CH]}, country: CH, shared: true}]
  images: [{name: office, packed: 1GiB}]
  workspaces: [{name: Office, image: office}]
`

func TestPeopleServedAbroadAreTold(t *testing.T) {
	p := computed(t, organized(t, abroad))
	// One instance in Bern is enough for all 3,200. What Berlin sends there comes over the half of 40 Mbit/s.
	if len(p.Instances) != 1 {
		t.Fatalf("%d instances", len(p.Instances))
	}
	want := "spec.separations[0].shared: " + p.Instances[0].Name + " stands in CH and serves 3,000 people of other countries as well, over 20 Mbit/s at the narrowest"
	if got := texts(p, "other countries"); len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	p = computed(t, organized(t, strings.Replace(abroad, ", shared: true", "", 1)))
	if got := texts(p, "other countries"); len(p.Instances) != 2 || got != nil {
		t.Errorf("%d instances, and it is said %q", len(p.Instances), got)
	}
}

func TestWhatThisReleaseLacksIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		from, to string
		coming   string // empty: nothing of the kind
	}{
		"neighbours":  {"name: Bern,", "name: Bern, neighbours: true,", "neighbours that serve each other (Bern)"},
		"media":       {"name: Bern,", "name: Bern, delivery: media,", "images on media and on prepared computers (Bern)"},
		"one at once": {"back: 10Mbit/s", "back: 40Mbit/s", "before their image is complete (Berlin and Bern)"},
		"shared":      {", country: CH, shared: true}", "}", "one repository for several instances"},
		"a mirror":    {"back: 10Mbit/s", "usable: 2%", "mirrors of a repository (Mirror "},
	} {
		t.Run(name, func(t *testing.T) {
			p := computed(t, organized(t, strings.Replace(abroad, c.from, c.to, 1)))
			got := texts(p, "Not in this release")
			if !strings.Contains(strings.Join(got, "\n"), c.coming) {
				t.Errorf("%q is not told of in\n%s", c.coming, strings.Join(got, "\n"))
			}
		})
	}
	// One instance with a repository of its own, whose clients have wide links and no neighbours.
	p := computed(t, organized(t, strings.Replace(abroad, "40Mbit/s, back: 10Mbit/s", "10Gbit/s", 1)))
	if got := texts(p, "Not in this release"); len(got) != 1 || !strings.Contains(got[0], "before their image is complete") {
		t.Errorf("%q", got)
	}
}

// Of 4,900 clients there are 4,900 x 1.02 = 4,998 after one year, and 5,098 after
// two: more than the 5,000 of an instance. Of 4,000 there are 4,245 after three.
func TestInstancesThatFillUpAreTold(t *testing.T) {
	const filling = `
  sites: [{name: Berlin, lan: 40Gbit/s, people: [{users: 4900}, {users: 4000, department: Payroll}]}]
  separations: [{name: Payroll, kind: security, who: {departments: [Payroll]}}]
  images: [{name: office, packed: 1GiB}]
  workspaces: [{name: Office, image: office}]
  growth: {yearly: 2%, years: 3}
`
	want := []string{"spec.growth.yearly: With 2 % more people a year instances are full before the plan ends: Berlin (4,900 clients of 5,000) after 2 years. " +
		"Some of their people must move to another instance then."}
	if got := texts(computed(t, organized(t, filling)), "are full"); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := texts(computed(t, organized(t, strings.Replace(filling, "years: 3", "years: 1", 1))), "are full"); got != nil {
		t.Errorf("within a year: %q", got)
	}
}

func TestPollsThatFillALinkAreTold(t *testing.T) {
	const slow = `
  sites: [{name: Berlin, people: [{users: 900}]}, {name: Bern, servers: false, people: [{users: 100}]}, {name: Chur, servers: false, people: [{users: 40, active: 20}]}]
  links: [{from: Berlin, to: Bern, bandwidth: 1Mbit/s, back: 90kbit/s}, {from: Bern, to: Chur, bandwidth: 90kbit/s}]
  images: [{name: office, packed: 1GiB}]
  workspaces: [{name: Office, image: office}]
`
	// 120 clients behind the first link: 120 / 60 x 5,693 / 2 x 8 = 45,544 bit/s, and the
	// half of 90 kbit/s may be used. Behind the second one 20 / 60 x 5,693 / 2 x 8 = 7,591.
	want := "spec.links[0].bandwidth: Polls of 120 clients alone take 45.5 kbit/s each way between Berlin and Bern (120 / 60 s x 5,693 bytes / 2 x 8), and 45 kbit/s may be used there."
	if got := texts(computed(t, organized(t, slow)), "Polls"); len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// Every second twenty clients take 20 x 5,693 / 2 x 8 = 455 kbit/s: of ten links five are named.
	many := strings.Replace(slow, "{name: Berlin, people: [{users: 900}]}", "{name: Berlin}", 1) + "  service: {poll: 1s}\n"
	for i := range 8 {
		site := fmt.Sprintf("Site %d", i)
		many = strings.Replace(many, "]\n  links: [", ", {name: "+site+", servers: false, people: [{users: 20}]}]\n  links: [{from: Berlin, to: "+site+", bandwidth: 90kbit/s}, ", 1)
	}
	if got := texts(computed(t, organized(t, many)), "Polls"); len(got) != 6 || got[5] != "spec.links: Polls alone take more than may be used of 5 other links, too." {
		t.Errorf("%q", got)
	}
	// Every two minutes they take the half.
	if got := texts(computed(t, organized(t, slow+"  service: {poll: 2m}\n")), "Polls"); got != nil {
		t.Errorf("%q", got)
	}
}

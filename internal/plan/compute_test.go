package plan

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/organization"
)

func organized(t *testing.T, spec string) *organization.Organization {
	t.Helper()
	o, err := organization.Decode([]byte("apiVersion: dormer/v1\nkind: Organization\nmetadata: {name: Test}\nspec:\n"+spec), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func computed(t *testing.T, o *organization.Organization) *Plan {
	t.Helper()
	p, err := Compute(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const office = `
  sites: [{name: Berlin, people: [{users: 4900}]}, {name: Bern, people: [{users: 90, active: 60}]}]
  links: [{from: Berlin, to: Bern, bandwidth: 100Mbit/s}]
  images: [{name: office, packed: 4GiB, system: Linux}, {name: design, packed: 6GiB, system: linux}, {name: lab, packed: 2GiB, system: Other}]
  workspaces:
    - {name: Office, image: office}
    - {name: Design, image: design, who: {sites: [Bern]}, offline: none}
    - {name: Lab, image: lab, who: {sites: [Bern]}, persistent: false}
`

func TestTheSameOrganizationHasTheSamePlan(t *testing.T) {
	var plans [2][]byte
	for i := range plans {
		o, err := organization.Decode(organization.Example(), "example.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if plans[i], err = json.Marshal(computed(t, o)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(plans[0], plans[1]) {
		t.Error("two plans differ")
	}
	var back Plan
	if err := json.Unmarshal(plans[0], &back); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(back); !bytes.Equal(again, plans[0]) {
		t.Error("a plan that was read is not the one that was written")
	}
}

func TestYearsOfGrowth(t *testing.T) {
	// 4,990 people and 4,960 clients, 10 % more a year and group: 5,390 + 99, 5,929 +
	// 109; clients 5,390 + 66 and 5,929 + 73, so one instance now and two from then on.
	p := computed(t, organized(t, office+"  growth: {yearly: 10%, years: 2}\n"))
	for i, want := range []Year{{0, 4990, 4960, 1, 1, 0, 0}, {1, 5489, 5456, 2, 2, 0, 0}, {2, 6038, 6002, 2, 2, 0, 0}} {
		got := p.Years[i]
		if got.Events <= 0 || got.Repository <= 0 || i > 0 && got.Events <= p.Years[i-1].Events {
			t.Errorf("year %d: %d bytes of events, %d of images", i, got.Events, got.Repository)
		}
		if got.Events, got.Repository = 0, 0; got != want {
			t.Errorf("year %d: %+v, want %+v", i, got, want)
		}
	}
	still := computed(t, organized(t, office))
	if len(still.Years) != 4 || still.Years[3].Users != 4990 || still.Years[3].Events != still.Years[0].Events {
		t.Errorf("without growth: %+v", still.Years)
	}
}

func TestQuestions(t *testing.T) {
	p := computed(t, organized(t, office+`
  questions:
    - {about: combine, subject: Design + Office, answer: "No: other makers.", by: architects}
    - {about: licence, subject: OFFICE, answer: Bought.}
    - {about: licence, subject: design, question: Is the agreement signed?, answer: Since May.}
    - {about: other, subject: Design, question: Who pays?}
    - {about: other, subject: Printers, question: Who plans printers?}
`))
	find := func(about organization.Topic, subject string) *organization.Question {
		i := slices.IndexFunc(p.Questions, func(q organization.Question) bool { return q.About == about && q.Subject == subject })
		if i < 0 {
			t.Fatalf("%s is not asked about %s", about, subject)
		}
		return &p.Questions[i]
	}
	// At Bern 90 people get office and design, which have the same system; lab has another.
	pair := find(organization.TopicCombine, "office + design")
	if pair.Answer != "No: other makers." || pair.By != "architects" || !strings.Contains(pair.Question, "Up to 90 people") || !strings.Contains(pair.Question, "4 GiB less") {
		t.Errorf("%+v", pair)
	}
	for _, q := range p.Questions {
		if q.About == organization.TopicCombine && strings.Contains(q.Subject, "lab") {
			t.Errorf("asked: %+v", q)
		}
	}
	if q := find(organization.TopicLicence, "office"); q.Answer != "Bought." || !strings.Contains(q.Question, "4,990 people") {
		t.Errorf("%+v", q)
	}
	if q := find(organization.TopicOther, "Design"); !strings.Contains(q.Question, "without the server") {
		t.Errorf("%+v", q)
	}
	if q := find(organization.TopicOther, "Lab"); !strings.Contains(q.Question, "keep their files") {
		t.Errorf("%+v", q)
	}
	find(organization.TopicOther, "Printers")
	// Own words take the place of the plan's, but for other matters.
	if q := find(organization.TopicLicence, "design"); q.Question != "Is the agreement signed?" || q.Answer != "Since May." {
		t.Errorf("%+v", q)
	}
	if n := len(slices.DeleteFunc(slices.Clone(p.Questions), func(q organization.Question) bool { return q.Subject != "Design" })); n != 2 {
		t.Errorf("%d questions about the workspace Design, want the plan's and the file's", n)
	}
	answered := slices.IndexFunc(p.Questions, func(q organization.Question) bool { return q.Answer != "" })
	for _, q := range p.Questions[answered:] {
		if q.Answer == "" {
			t.Errorf("an open question after an answered one: %+v", q)
		}
	}
}

func TestTravel(t *testing.T) {
	p := computed(t, organized(t, office+"  travel: [{from: Bern, to: Berlin, users: 5}, {from: Berlin, to: Bern, users: 9, days: 3}]\n"))
	for i, want := range []string{"stands there", "over 100 Mbit/s with 10 ms"} {
		if !strings.Contains(p.Scope.Travel[i].Text, want) {
			t.Errorf("%+v does not say that it %s", p.Scope.Travel[i], want)
		}
	}
}

func TestServiceLevelsThatAreNotMetAreWarnings(t *testing.T) {
	slow := strings.NewReplacer("100Mbit/s", "1Mbit/s", "{name: Bern,", "{name: Bern, servers: false, delivery: network,").Replace(office) + "  service: {loadImage: 1m}\n"
	p := computed(t, organized(t, slow))
	for _, l := range p.Scope.Levels {
		warned := slices.ContainsFunc(p.Warnings, func(w Warning) bool { return w.Path == l.path() && strings.HasPrefix(w.Text, l.Title) })
		if warned == l.Met {
			t.Errorf("%+v, and the warnings are %+v", l, p.Warnings)
		}
		// 5 % of 2 GiB over the half of 1 Mbit/s take more than a minute.
		if l.Name == "loadImage" && (l.Met || !strings.Contains(l.Text, "Bern")) {
			t.Errorf("%+v", l)
		}
	}
}

func TestListsOfAPlanAreNeverNull(t *testing.T) {
	p := computed(t, organized(t, `
  sites: [{name: Office, people: [{users: 0}]}]
  images: [{name: office, packed: 4GiB}]
  workspaces: [{name: Office, image: office}]
  growth: {years: 0}
`))
	raw, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(raw), "\n") {
		if strings.Contains(line, ": null") {
			t.Errorf("%s", line)
		}
	}
}

// TestExamples: what stands in examples/plans comes to the numbers that
// docs/planning.md tells.
func TestExamples(t *testing.T) {
	raw, err := os.ReadFile("../../examples/plans/twelve-thousand.yaml")
	if err != nil {
		t.Fatal(err)
	}
	o, err := organization.Decode(raw, "twelve-thousand.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := computed(t, o)
	// Classic: 1 + ceil((12,700 - 5,000) / 5,000) = 2, and one each for the partner's
	// domain, the laboratory and payroll. Placed: 12,400 - 200 - 400 = 11,800 in
	// ceil(11,800 / 5,000) = 3, and the same three.
	if p.Classic.Count != 6 || len(p.Instances) != 6 || !p.Smallest {
		t.Errorf("%d by the classic guide, %d placed, smallest: %v", p.Classic.Count, len(p.Instances), p.Smallest)
	}
}

package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/sizing"
)

// served is a plan with instances and how many people of which site they serve,
// as "Main: Berlin 100, Bern 50".
func served(name string, instances ...string) *Plan {
	p := &Plan{Name: name, Scope: Scope{Levels: []ServiceLevel{{Name: "report", Title: "Reports", Met: true}}}}
	for _, line := range instances {
		called, parts, _ := strings.Cut(line, ": ")
		in := placement.Instance{Name: called, SiteName: "Berlin", Domain: "corp.example.test"}
		for part := range strings.SplitSeq(parts, ", ") {
			var site string
			var users int
			if _, err := fmt.Sscan(part, &site, &users); err != nil {
				panic(err)
			}
			in.Parts = append(in.Parts, placement.Part{Site: site, Domain: "corp.example.test", Users: users, Active: users})
			in.Users, in.Active = in.Users+users, in.Active+users
			p.Scope.Sites = append(p.Scope.Sites, ScopeSite{Site: site, Users: users, Active: users})
		}
		p.Instances = append(p.Instances, in)
		p.Sizing = append(p.Sizing, sizing.Instance{Name: called, Server: sizing.Server{Cores: 2, Memory: 4 << 30}})
	}
	p.Classic.Count = len(instances)
	return p
}

func TestComparisonOfAPlanWithItselfIsEmpty(t *testing.T) {
	p := served("same", "Main: Berlin 100, Bern 50", "Lab: Basel 10")
	p.Questions = []organization.Question{{About: organization.TopicLicence, Subject: "office", Answer: "yes"}, {About: organization.TopicSupport, Subject: "office"}}
	c := Compare(p, p)
	c.Instances, c.Classic, c.Users, c.Active = Counted{}, Counted{}, Counted{}, Counted{}
	if d := cmp.Diff(&Comparison{A: "same", B: "same"}, c); d != "" {
		t.Error(d)
	}
}

func TestInstancesThatServeMostlyTheSamePeopleAreRenamed(t *testing.T) {
	a := served("a", "Main: Berlin 100, Bern 50", "Lab: Basel 10", "Old: Rome 5")
	b := served("b", "Centre: Berlin 100, Bern 40", "Lab: Basel 10", "New: Oslo 7")
	c := Compare(a, b)
	if d := cmp.Diff([]Rename{{"Main", "Centre"}}, c.Renamed); d != "" {
		t.Error(d)
	}
	if len(c.Added) != 1 || c.Added[0].Name != "New" || len(c.Removed) != 1 || c.Removed[0].Name != "Old" {
		t.Errorf("added %+v, removed %+v", c.Added, c.Removed)
	}
	if c.Users != (Counted{165, 157}) {
		t.Errorf("%+v users", c.Users)
	}
	// Those who are new or gone do not move.
	if len(c.Moved) != 0 {
		t.Errorf("moved: %+v", c.Moved)
	}
	for _, f := range c.Figures {
		if f.Name == "instance.users" && f.Where == "Centre" && (*f.A != 150 || *f.B != 140) {
			t.Errorf("%+v", f)
		}
		if f.Where == "New" || f.Where == "Old" {
			t.Errorf("a figure of an instance that is in one plan alone: %+v", f)
		}
		if f.Where == "Main" {
			t.Errorf("a figure of Main stands by its old name: %+v", f)
		}
	}
}

func TestPeopleMoveBetweenInstances(t *testing.T) {
	// 30 of the 100 of Berlin and all 50 of Bern go from Main to the others.
	a := served("a", "Main: Berlin 100, Bern 50", "East: Berlin 20")
	b := served("b", "Main: Berlin 70", "East: Berlin 50", "South: Bern 50")
	want := []Move{
		{Site: "Berlin", Domain: "corp.example.test", From: "Main", To: "East", Users: 30},
		{Site: "Bern", Domain: "corp.example.test", From: "Main", To: "South", Users: 50},
	}
	if d := cmp.Diff(want, Compare(a, b).Moved); d != "" {
		t.Error(d)
	}
}

func TestFiguresAndChoicesThatDiffer(t *testing.T) {
	a, b := served("a", "Main: Berlin 100"), served("b", "Main: Berlin 100")
	b.Sizing[0].Server.Cores = 4
	b.Sizing[0].Events.Figures = []figure.Figure{figure.Given("events.stored", "Events", figure.Count, 7)}
	b.Instances[0].SiteName = "Bern"
	b.Scope.Levels[0].Met = false
	c := Compare(a, b)
	two, four, seven := 2.0, 4.0, 7.0
	if d := cmp.Diff([]FigureChange{
		{Where: "Main", Name: "server.cores", Title: "Processor cores of the server", Unit: figure.Cores, A: &two, B: &four},
		{Where: "Main", Name: "events.stored", Title: "Events", B: &seven},
	}, c.Figures); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]TextChange{
		{Where: "Main", Title: "Site of the server", A: "Berlin", B: "Bern"}, {Title: "Reports", A: "met", B: "not met"},
	}, c.Texts); d != "" {
		t.Error(d)
	}
	back := Compare(b, a)
	if n := len(back.Figures); n != 2 || back.Figures[1].B != nil || *back.Figures[1].A != 7 {
		t.Errorf("the other way round: %+v", back.Figures)
	}
}

func TestQuestionsThatWereAnswered(t *testing.T) {
	a, b := served("a", "Main: Berlin 1"), served("b", "Main: Berlin 1")
	licence := organization.Question{About: organization.TopicLicence, Subject: "office", Question: "allowed?"}
	pair := organization.Question{About: organization.TopicCombine, Subject: "office + design", Question: "one?", Answer: "no"}
	support := organization.Question{About: organization.TopicSupport, Subject: "office", Question: "supported?"}
	a.Questions = []organization.Question{licence, pair}
	yes, turned := licence, pair
	yes.Answer, turned.Subject, turned.Answer = "yes", "design + office", "later"
	b.Questions = []organization.Question{support, yes, turned}
	c := Compare(a, b)
	if d := cmp.Diff([]Answered{{Question: yes}, {Question: turned, Before: "no"}}, c.Answered); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]organization.Question{support}, c.Asked); d != "" {
		t.Error(d)
	}
}

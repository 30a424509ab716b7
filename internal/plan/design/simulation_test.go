package design

import (
	"bytes"
	"strings"
	"testing"
	"time"

	values "github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/simulation"
)

func TestSimulationStandsInTheDocument(t *testing.T) {
	o := small(t)
	p := computed(t, o)
	r, err := plan.Simulate(t.Context(), o, p, simulation.Options{
		Outages: []simulation.Outage{{Start: values.Duration(10 * time.Hour), Length: values.Duration(time.Hour)}},
		Rollout: &simulation.Rollout{First: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Simulation = r
	s := written(t, p, 100)
	for _, want := range []string{"Simulation\n", "Formulas and what came out", "Outages\n", "SIMULATED", "simulated roll-out was complete after"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is missing:\n%s", want, s[strings.Index(s, "Simulation\n"):])
		}
	}
	doc := checkPage(t, pageOf(t, p))
	if !strings.Contains(text(doc), "Simulated roll-out") {
		t.Error("the simulated roll-out is not in the picture")
	}
}

func TestComparison(t *testing.T) {
	a, b := small(t), small(t)
	b.Spec.Sites[0].People[0].Users = 6000
	b.Metadata.Name = "Small <i>grown</i>"
	c := plan.Compare(computed(t, a), computed(t, b))
	var text, markdown, page bytes.Buffer
	for _, err := range []error{TextComparison(&text, c, 80), MarkdownComparison(&markdown, c), HTMLComparison(&page, c)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"Comparison of Small and Small <i>grown</i>", "+5,960", "Figures that differ"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing:\n%s", want, text.String())
		}
	}
	for i, line := range strings.Split(text.String(), "\n") {
		if cells(line) > 80 {
			t.Errorf("line %d is too long: %s", i+1, line)
		}
	}
	if strings.Contains(page.String(), "<i>") || strings.Contains(markdown.String(), "<i>") {
		t.Error("a name is markup")
	}
	checkMarkdown(t, markdown.String())
	if t.Failed() {
		return
	}
	same := plan.Compare(computed(t, a), computed(t, a))
	text.Reset()
	if err := TextComparison(&text, same, 80); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "Nothing else differs.") {
		t.Errorf("a plan and itself:\n%s", text.String())
	}
}

package design

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/figure"
)

// compared is what differs between two plans.
func compared(c *plan.Comparison) *document {
	d := &document{Title: "Comparison of " + c.A + " and " + c.B}
	if c.A == c.B {
		d.Title = "Comparison of two plans: " + c.A
	}
	overview := chapter{ID: "overview", Title: "Overview"}
	t := table{Columns: []column{left("What"), right("Before"), right("After"), right("Change")}}
	for _, n := range []struct {
		title string
		plan.Counted
	}{{"Instances", c.Instances}, {"Instances by the classic guide", c.Classic}, {"People", c.Users}, {"On at peak", c.Active}} {
		t.add(n.title, n.A, n.B, signed(figure.Count, float64(n.B-n.A)))
	}
	overview.add(t)
	if len(c.Added)+len(c.Removed)+len(c.Renamed)+len(c.Figures)+len(c.Texts)+len(c.Moved)+len(c.Answered)+len(c.Asked) == 0 {
		overview.add(paragraph("Nothing else differs."))
	}
	instances := chapter{ID: "instances", Title: "Instances"}
	var out points
	for _, i := range c.Added {
		out = append(out, fmt.Sprintf("New: %s at %s, for %s people (%s on at peak).", i.Name, i.Site, figure.Number(i.Users), figure.Number(i.Active)))
	}
	for _, i := range c.Removed {
		out = append(out, fmt.Sprintf("Gone: %s at %s, which served %s people.", i.Name, i.Site, figure.Number(i.Users)))
	}
	for _, i := range c.Renamed {
		out = append(out, fmt.Sprintf("%s is now called %s: it serves mostly the same people.", i.From, i.To))
	}
	choices := table{Caption: "Choices that differ", Columns: []column{left("Where"), left("What"), left("Before"), left("After")}}
	for _, x := range c.Texts {
		choices.add(cmp.Or(x.Where, "everything"), x.Title, x.A, x.B)
	}
	moves := table{Caption: "People whom another instance serves", Columns: []column{left("Site"), left("Domain").rank(3), left("Isolated network").rank(1), left("Department").rank(2), right("People"), left("From"), left("To")}}
	for _, m := range c.Moved {
		moves.add(m.Site, m.Domain, m.Network, m.Department, m.Users, m.From, m.To)
	}
	instances.add(out, choices, moves)
	figures := chapter{ID: "figures", Title: "Figures that differ"}
	f := table{Columns: []column{left("Where"), left("Figure"), right("Before"), right("After"), right("Change")}}
	for _, x := range c.Figures {
		f.add(cmp.Or(x.Where, "everything"), x.Title, value(x.Unit, x.A), value(x.Unit, x.B), change(x))
	}
	figures.add(f)
	questions := chapter{ID: "questions", Title: "Questions"}
	answered := table{Caption: "Answered", Columns: []column{left("About"), left("Subject"), left("Question"), left("Answer"), left("Before")}}
	for _, q := range c.Answered {
		answered.add(topics[q.Question.About], q.Question.Subject, q.Question.Question, q.Question.Answer, q.Before)
	}
	asked := table{Caption: "Newly open", Columns: []column{left("About"), left("Subject"), left("Question"), left("Who answers")}}
	for _, q := range c.Asked {
		asked.add(topics[q.About], q.Subject, q.Question, q.By)
	}
	questions.add(answered, asked)
	for _, one := range []chapter{overview, instances, figures, questions} {
		if len(one.Blocks) > 0 {
			d.Chapters = append(d.Chapters, one)
		}
	}
	return d
}

func value(u figure.Unit, v *float64) string {
	switch {
	case v == nil:
		return ""
	case u == figure.Seconds:
		return seconds(*v)
	default:
		return u.Text(*v)
	}
}

// signed writes a difference with its sign.
func signed(u figure.Unit, n float64) string {
	switch {
	case n == 0:
		return "none"
	case n > 0:
		return "+" + u.Text(n)
	default:
		return "-" + strings.TrimPrefix(u.Text(-n), "-")
	}
}

// change writes how a figure changed, with the share of what it was.
func change(x plan.FigureChange) string {
	switch {
	case x.A == nil:
		return "new"
	case x.B == nil:
		return "gone"
	case x.Unit == figure.Seconds && (*x.A < 0 || *x.B < 0):
		return "" // without limit
	}
	text := signed(x.Unit, *x.B-*x.A)
	if *x.A > 0 {
		text += fmt.Sprintf(" (%+.0f %%)", 100*(*x.B-*x.A)/(*x.A))
	}
	return text
}

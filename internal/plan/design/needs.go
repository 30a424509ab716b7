package design

import (
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/sizing"
)

// databases are the kinds as their makers write them.
var databases = map[organization.Database]string{organization.SQLite: "SQLite", organization.PostgreSQL: "PostgreSQL"}

func databaseText(d sizing.Database) string {
	text := databases[d.Kind]
	switch {
	case len(d.Shared) > 0:
		return text + ", shared, at " + d.Site
	case d.Place == organization.PlaceRemote:
		return text + ", on a server of its own at " + d.Site
	default:
		return text + ", on the server"
	}
}

func (a *author) needs() chapter {
	c := chapter{ID: "needs", Title: "What each instance needs"}
	servers := table{Caption: "Servers", Columns: []column{
		left("Instance"), left("Server at"), right("Cores"), right("Memory"), right("Disk"), left("Virtual machine").rank(1), left("By the classic guide").rank(2),
	}}
	stores := table{Caption: "Databases", Columns: []column{
		left("Instance"), left("State"), right("State size").rank(1), left("Events"), right("Events size"), right("Writes a second").rank(2), right("At peak"),
	}}
	for i, s := range a.Sizing {
		servers.add(s.Name, a.Instances[i].SiteName, s.Server.Cores, figure.Binary(float64(s.Server.Memory)), figure.Bytes(float64(s.Server.Disk)), yesNo(s.Server.Virtual), s.Server.Classic)
		stores.add(s.Name, databaseText(s.State), figure.Bytes(float64(s.State.Bytes)), databaseText(s.Events), figure.Bytes(float64(s.Events.Bytes)),
			figure.Number(figure.Find(s.Events.Figures, "events.writes.average").Value), figure.Number(figure.Find(s.Events.Figures, "events.writes.peak").Value))
	}
	c.add(servers, stores, a.consoles())
	a.together(&c, func(i int) points {
		s := a.Sizing[i]
		var out points
		out = append(out, "Server: "+s.Server.Kind)
		for _, r := range s.State.Reasons {
			out = append(out, "State database: "+r)
		}
		for _, r := range s.Events.Reasons {
			out = append(out, "Events database: "+r)
		}
		if len(s.Events.Shared) > 0 {
			out = append(out, "Events database: shared with "+list(s.Events.Shared)+".")
		}
		return append(out, s.Advice...)
	})
	return c
}

// consoles are the places of operators; those that serve several instances are
// named once.
func (a *author) consoles() table {
	t := table{Caption: "Consoles", Columns: []column{left("Site"), right("Operators"), left("Instances"), left("Computer"), left("Why").rank(1)}}
	type desk struct {
		site, computer, why string
		operators           int
	}
	var order []desk
	of := map[desk][]string{}
	for _, s := range a.Sizing {
		for _, k := range s.Consoles {
			d := desk{k.Site, k.FormFactor, strings.Join(k.Reasons, " "), k.Operators}
			if of[d] == nil {
				order = append(order, d)
			}
			of[d] = append(of[d], s.Name)
		}
	}
	for _, d := range order {
		t.add(d.site, d.operators, a.names(of[d]), d.computer, d.why)
	}
	return t
}

// names writes all names, or the first ones where the document is brief.
func (a *author) names(of []string) string {
	if a.brief {
		return list(of)
	}
	return strings.Join(of, ", ")
}

// title is names above something.
func (a *author) title(of []string) string {
	switch all := len(a.Instances); {
	case len(of) == all && all > 1:
		return "All instances"
	case all > 4 && len(of) >= all-2:
		var others []string
		for _, in := range a.Instances {
			if !slices.Contains(of, in.Name) {
				others = append(others, in.Name)
			}
		}
		return "All but " + list(others)
	case a.brief:
		return few(of)
	default:
		return strings.Join(of, ", ")
	}
}

// together writes the points of all instances: first those that more than half
// of them have, under the names of these; then what each has beside them, under
// its name, or once under the names of all that have the same.
func (a *author) together(c *chapter, write func(i int) points) {
	holders := map[string][]string{}
	own := make([]points, len(a.Instances))
	for i, in := range a.Instances {
		own[i] = slices.Clone(write(i)) // what is left of them below
		for _, text := range own[i] {
			if !slices.Contains(holders[text], in.Name) {
				holders[text] = append(holders[text], in.Name)
			}
		}
	}
	texts := grouped{}
	for _, p := range own {
		for _, text := range p {
			if of := holders[text]; 2*len(of) > len(a.Instances) && len(of) > 1 {
				texts.add(a.title(of), text)
			}
		}
	}
	alike := map[string][]string{}
	var order []points
	for i, in := range a.Instances {
		own[i] = slices.DeleteFunc(own[i], func(text string) bool {
			of := holders[text]
			return 2*len(of) > len(a.Instances) && len(of) > 1
		})
		key := strings.Join(own[i], "\x00")
		if alike[key] == nil && len(own[i]) > 0 {
			order = append(order, own[i])
		}
		alike[key] = append(alike[key], in.Name)
	}
	for _, p := range order {
		for _, text := range p {
			texts.add(a.title(alike[strings.Join(p, "\x00")]), text)
		}
	}
	for n, title := range texts.titles {
		if a.brief && n == mostDetails && len(texts.titles) > mostDetails+1 {
			c.add(paragraph("The other instances are described by --wide, Markdown, HTML and JSON."))
			return
		}
		c.head(title)
		c.add(texts.points[n])
	}
}

// grouped are points under titles, in the order of their first ones.
type grouped struct {
	titles []string
	points []points
}

func (g *grouped) add(title, text string) {
	at := slices.Index(g.titles, title)
	if at < 0 {
		at = len(g.titles)
		g.titles, g.points = append(g.titles, title), append(g.points, nil)
	}
	if !slices.Contains(g.points[at], text) {
		g.points[at] = append(g.points[at], text)
	}
}

var standbys = map[sizing.StandbyKind]string{
	sizing.NoStandby: "none", sizing.FollowerStandby: "a follower", sizing.DatabaseStandby: "PostgreSQL's own, with a second server",
}

func (a *author) availability() chapter {
	c := chapter{ID: "availability", Title: "Availability"}
	c.add(paragraph("While a server is away, machines that run go on, and people start workspaces as long as these may be used without it. How long that is decides which standby an instance needs."))
	overview := table{Columns: []column{left("Instance"), right("Tolerable outage"), left("Standby"), right("Outage that is left"), right("Changes lost at worst").rank(1), left("Standby of events").rank(2)}}
	for _, s := range a.Sizing {
		v := s.Availability
		overview.add(s.Name, seconds(v.Tolerable), standbys[v.Standby], seconds(v.Outage), seconds(v.Loss), yesNo(v.DatabaseStandby))
	}
	c.add(overview)
	c.add(a.tolerances())
	a.together(&c, func(i int) points { return points(a.Sizing[i].Availability.Reasons) })
	return c
}

// tolerances are how long people go on, workspaces that are alike in several
// instances once.
func (a *author) tolerances() table {
	t := table{Caption: "How long people go on without the server", Columns: []column{left("Workspace"), left("Instances").rank(1), right("People"), right("Time"), left("What it means")}}
	type held struct {
		workspace, text string
		seconds         float64
	}
	var order []held
	of, people := map[held][]string{}, map[held]int{}
	for _, s := range a.Sizing {
		for _, w := range s.Availability.Workspaces {
			h := held{w.Workspace, w.Text, w.Seconds}
			if of[h] == nil {
				order = append(order, h)
			}
			of[h] = append(of[h], s.Name)
			people[h] += w.Users
		}
	}
	for _, h := range order {
		t.add(h.workspace, a.names(of[h]), people[h], seconds(h.seconds), h.text)
	}
	return t
}

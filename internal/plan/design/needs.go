package design

import (
	"fmt"
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
	consoles := table{Caption: "Consoles", Columns: []column{left("Instance"), left("Site"), right("Operators"), left("Computer"), left("Why").rank(1)}}
	for i, s := range a.Sizing {
		servers.add(s.Name, a.Instances[i].SiteName, s.Server.Cores, figure.Binary(float64(s.Server.Memory)), figure.Bytes(float64(s.Server.Disk)), yesNo(s.Server.Virtual), s.Server.Classic)
		stores.add(s.Name, databaseText(s.State), figure.Bytes(float64(s.State.Bytes)), databaseText(s.Events), figure.Bytes(float64(s.Events.Bytes)),
			valueOf(s.Events.Figures, "events.writes.average"), valueOf(s.Events.Figures, "events.writes.peak"))
		for _, k := range s.Consoles {
			consoles.add(s.Name, k.Site, k.Operators, k.FormFactor, strings.Join(k.Reasons, " "))
		}
	}
	c.add(servers, stores, consoles)
	a.each(&c, func(i int) {
		s := a.Sizing[i]
		c.head(fmt.Sprintf("%d. %s", i+1, s.Name))
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
		c.add(append(out, s.Advice...))
	})
	return c
}

// valueOf is the value of a figure by its name, as people read it.
func valueOf(figures []figure.Figure, name string) string {
	for _, f := range figures {
		if f.Name == name {
			return figure.Number(f.Value)
		}
	}
	return ""
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
	workspaces := table{Caption: "How long people go on without the server", Columns: []column{left("Instance"), left("Workspace"), right("People"), right("Time"), left("What it means")}}
	for _, s := range a.Sizing {
		for _, w := range s.Availability.Workspaces {
			workspaces.add(s.Name, w.Workspace, w.Users, seconds(w.Seconds), w.Text)
		}
	}
	c.add(workspaces)
	a.each(&c, func(i int) {
		if s := a.Sizing[i]; len(s.Availability.Reasons) > 0 {
			c.head(fmt.Sprintf("%d. %s", i+1, s.Name))
			c.add(points(s.Availability.Reasons))
		}
	})
	return c
}

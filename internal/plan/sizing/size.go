package sizing

import (
	"math"
	"strings"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// Size works out what each instance of a placement needs, in the order of the
// placement.
func Size(m *organization.Model, p *placement.Placement) []Instance {
	works := make([]*work, len(p.Instances))
	for i := range p.Instances {
		works[i] = newWork(m, &p.Instances[i])
		works[i].availability()
	}
	shareDatabase(m, works)
	out := make([]Instance, len(works))
	for _, w := range works {
		w.events()
		w.state()
		w.eventsStandby()
		w.server()
	}
	computer(works)
	for i, w := range works {
		out[i] = w.out
	}
	return out
}

// work is an instance while it is worked out.
type work struct {
	m      *organization.Model
	in     *placement.Instance
	offers []served
	desks  []organization.Desk
	// machines are those of all users, one for each workspace that a user has.
	machines int
	// database is where a remote events database stands, or -1; sharers are the
	// instances that use it.
	database int
	sharers  []*work
	refused  []string // why the database that the file asks for is not used
	out      Instance
}

// served is a workspace and its people on one instance.
type served struct {
	*organization.Offer
	users int
}

func newWork(m *organization.Model, in *placement.Instance) *work {
	w := &work{m: m, in: in, database: -1, out: Instance{Name: in.Name, Consoles: []Console{}}}
	here := map[int]int{} // users by group
	for _, p := range in.Parts {
		here[p.Group] += p.Users
	}
	for i := range m.Workspaces {
		s := served{Offer: &m.Workspaces[i]}
		for _, p := range s.Gets {
			if all := m.Groups[p.Group].Users; all > 0 && here[p.Group] > 0 {
				s.users += int(math.Ceil(float64(p.Users) * float64(here[p.Group]) / float64(all)))
			}
		}
		if s.users > 0 {
			w.offers = append(w.offers, s)
			w.machines += s.users
		}
	}
	w.consoles()
	return w
}

// workspaces is how many the server has: one for each policy and image.
func (w *work) workspaces() int {
	n := 0
	for _, o := range w.offers {
		n += o.Policies
	}
	return n
}

func (w *work) advise(format string) { w.out.Advice = append(w.out.Advice, format) }

func (w *work) site(i int) string { return w.m.Sites[i].Name }

// named finds a figure; there is one of that name.
func named(list []figure.Figure, name string) figure.Figure {
	for _, f := range list {
		if f.Name == name {
			return f
		}
	}
	return figure.Figure{}
}

// listed writes names as people do: a, b and c.
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

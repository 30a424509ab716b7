package sizing

import (
	"context"
	"maps"
	"slices"

	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// Size works out what each instance of a placement needs, in the order of the
// placement. It returns an error when ctx ends before it has.
func Size(ctx context.Context, m *organization.Model, p *placement.Placement) ([]Instance, error) {
	works := make([]*work, len(p.Instances))
	offered := offered(m)
	for i := range p.Instances {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		works[i] = newWork(m, &p.Instances[i], offered)
		works[i].availability()
	}
	shareDatabase(m, works)
	out := make([]Instance, len(works))
	for _, w := range works {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		w.events()
		w.state()
		w.eventsStandby()
		w.server()
	}
	computer(works)
	for i, w := range works {
		out[i] = w.out
	}
	return out, ctx.Err()
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

// gets is what some people of a group get.
type gets struct {
	offer, users int
}

// offered are the workspaces that each group gets.
func offered(m *organization.Model) [][]gets {
	out := make([][]gets, len(m.Groups))
	for i, o := range m.Workspaces {
		for _, p := range o.Gets {
			out[p.Group] = append(out[p.Group], gets{i, p.Users})
		}
	}
	return out
}

func newWork(m *organization.Model, in *placement.Instance, offered [][]gets) *work {
	w := &work{m: m, in: in, database: -1, out: Instance{Name: in.Name, Consoles: []Console{}}}
	here := map[int]int{} // users by group
	for _, p := range in.Parts {
		here[p.Group] += p.Users
	}
	users := map[int]int{} // by workspace
	for group, n := range here {
		for _, g := range offered[group] {
			users[g.offer] += share(g.users, n, m.Groups[group].Users)
		}
	}
	for _, i := range slices.Sorted(maps.Keys(users)) {
		if users[i] > 0 {
			w.offers = append(w.offers, served{&m.Workspaces[i], users[i]})
			w.machines += users[i]
		}
	}
	w.consoles()
	return w
}

// share is how many of some users are among those of all who are here.
func share(users, here, all int) int {
	if all == 0 {
		return 0
	}
	return (users*here + all - 1) / all
}

// workspaces is how many the server has: one for each policy and image.
func (w *work) workspaces() int {
	n := 0
	for _, o := range w.offers {
		n += o.Policies
	}
	return n
}

func (w *work) advise(text string) { w.out.Advice = append(w.out.Advice, text) }

func (w *work) site(i int) string { return w.m.Sites[i].Name }

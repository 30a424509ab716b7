package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// Comparison is what differs between two plans, A before and B after.
type Comparison struct {
	A         string  `json:"a"` // names of the plans
	B         string  `json:"b"`
	Instances Counted `json:"instances"`
	Classic   Counted `json:"classic"`
	Users     Counted `json:"users"`
	Active    Counted `json:"active"`
	// Added and Removed instances; one that serves mostly the same people under
	// another name is Renamed.
	Added   []Peopled `json:"added,omitzero"`
	Removed []Peopled `json:"removed,omitzero"`
	Renamed []Rename  `json:"renamed,omitzero"`
	// Figures that differ; those of added and removed instances are not among them.
	Figures  []FigureChange `json:"figures,omitzero"`
	Texts    []TextChange   `json:"texts,omitzero"`
	Moved    []Move         `json:"moved,omitzero"`
	Answered []Answered     `json:"answered,omitzero"`
	// Asked are the questions that are open in B alone.
	Asked []organization.Question `json:"asked,omitzero"`
}

// Counted is a number in both plans.
type Counted struct {
	A int `json:"a"`
	B int `json:"b"`
}

// Peopled is an instance with its people.
type Peopled struct {
	Name   string `json:"name"`
	Site   string `json:"site"`
	Users  int    `json:"users"`
	Active int    `json:"active"`
}

// Rename is an instance that has another name.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// FigureChange is a figure that differs. A value that one of the plans does not
// have is absent.
type FigureChange struct {
	// Where is the instance, repository or site, by its name in B where it is in
	// both; empty for the whole organization.
	Where string      `json:"where,omitzero"`
	Name  string      `json:"name"`
	Title string      `json:"title"`
	Unit  figure.Unit `json:"unit"`
	A     *float64    `json:"a,omitzero"`
	B     *float64    `json:"b,omitzero"`
}

// TextChange is a choice that differs, as the site of a server.
type TextChange struct {
	Where string `json:"where,omitzero"`
	Title string `json:"title"`
	A     string `json:"a"`
	B     string `json:"b"`
}

// Move is people of one group whom another instance serves.
type Move struct {
	Site       string `json:"site"`
	Domain     string `json:"domain"`
	Network    string `json:"network,omitzero"`
	Department string `json:"department,omitzero"`
	From       string `json:"from"` // by its name in A
	To         string `json:"to"`
	Users      int    `json:"users"`
}

// Answered is a question with another answer than before.
type Answered struct {
	Question organization.Question `json:"question"` // as in B
	Before   string                `json:"before,omitzero"`
}

// Compare says what differs between two plans.
func Compare(a, b *Plan) *Comparison {
	c := &Comparison{
		A: a.Name, B: b.Name,
		Instances: Counted{len(a.Instances), len(b.Instances)}, Classic: Counted{a.Classic.Count, b.Classic.Count},
	}
	for _, s := range a.Scope.Sites {
		c.Users.A, c.Active.A = c.Users.A+s.Users, c.Active.A+s.Active
	}
	for _, s := range b.Scope.Sites {
		c.Users.B, c.Active.B = c.Users.B+s.Users, c.Active.B+s.Active
	}
	same := c.match(a, b)
	c.figures(a, b, same)
	c.texts(a, b, same)
	c.moves(a, b, same)
	c.questions(a, b)
	return c
}

// crowd tells people apart who are served alike.
type crowd struct{ site, domain, network, department string }

// people are how many users of each crowd each instance serves.
func people(p *Plan) []map[crowd]int {
	out := make([]map[crowd]int, len(p.Instances))
	for i, in := range p.Instances {
		out[i] = map[crowd]int{}
		for _, part := range in.Parts {
			out[i][crowd{name.Fold(part.Site), name.Fold(part.Domain), name.Fold(part.Network), name.Fold(part.Department)}] += part.Users
		}
	}
	return out
}

// match finds the instances of a in b: by name, and of the others those that
// share more than half of the people of both. It returns the positions in b,
// -1 for those that are gone.
func (c *Comparison) match(a, b *Plan) []int {
	same := make([]int, len(a.Instances))
	taken := make([]bool, len(b.Instances))
	byName := map[string]int{}
	for j, in := range b.Instances {
		byName[name.Fold(in.Name)] = j
	}
	for i, in := range a.Instances {
		same[i] = -1
		if j, ok := byName[name.Fold(in.Name)]; ok && !taken[j] {
			same[i], taken[j] = j, true
		}
	}
	before, after := people(a), people(b)
	for i, in := range a.Instances {
		if same[i] >= 0 {
			continue
		}
		for j, other := range b.Instances {
			common := 0
			for of, n := range before[i] {
				common += min(n, after[j][of])
			}
			if !taken[j] && 2*common > in.Users && 2*common > other.Users {
				same[i], taken[j] = j, true
				c.Renamed = append(c.Renamed, Rename{From: in.Name, To: other.Name})
				break
			}
		}
		if same[i] < 0 {
			c.Removed = append(c.Removed, Peopled{in.Name, in.SiteName, in.Users, in.Active})
		}
	}
	for j, in := range b.Instances {
		if !taken[j] {
			c.Added = append(c.Added, Peopled{in.Name, in.SiteName, in.Users, in.Active})
		}
	}
	return same
}

// placed is a figure and where it belongs.
type placed struct {
	where string
	figure.Figure
}

// figuresOf are all figures of a plan, in the order of the design document.
// called gives instances their names.
func figuresOf(p *Plan, called func(string) string) []placed {
	var out []placed
	add := func(where string, figures ...figure.Figure) {
		for _, f := range figures {
			out = append(out, placed{where, f})
		}
	}
	add("", p.Scope.Figures...)
	for i, s := range p.Sizing {
		where := called(s.Name)
		if i < len(p.Instances) {
			add(where, figure.Given("instance.users", "People", figure.Count, float64(p.Instances[i].Users)),
				figure.Given("instance.active", "Clients at the busiest time", figure.Clients, float64(p.Instances[i].Active)))
		}
		add(where, figure.Given("server.cores", "Processor cores of the server", figure.Cores, float64(s.Server.Cores)),
			figure.Given("server.memory", "Memory of the server", figure.Memory, float64(s.Server.Memory)),
			figure.Given("server.disk", "Disk of the server", figure.Size, float64(s.Server.Disk)),
			figure.Given("state.bytes", "State database", figure.Size, float64(s.State.Bytes)),
			figure.Given("events.bytes", "Events database", figure.Size, float64(s.Events.Bytes)),
			figure.Given("availability.tolerable", "Tolerable outage", figure.Seconds, s.Availability.Tolerable),
			figure.Given("availability.outage", "Outage that is left", figure.Seconds, s.Availability.Outage),
			figure.Given("availability.loss", "Loss that is left", figure.Seconds, s.Availability.Loss))
		for _, list := range [][]figure.Figure{s.Server.Figures, s.State.Figures, s.Events.Figures, s.Availability.Figures} {
			add(where, list...)
		}
	}
	for _, r := range p.Delivery.Repositories {
		where := "repository " + r.Name
		add(where, figure.Given("repository.disk", "Disk of the repository", figure.Size, float64(r.Disk)),
			figure.Given("repository.downloads", "Downloads at the same time", figure.Count, float64(r.Downloads)),
			figure.Given("repository.bandwidth", "Bandwidth that the downloads need", figure.BitsASec, r.Bandwidth))
		add(where, r.Figures...)
	}
	for _, s := range p.Delivery.Sites {
		for _, t := range s.Images {
			where := t.Image + " at " + s.Site
			if s.Network != "" {
				where += " (" + s.Network + ")"
			}
			// Without a way there is no time.
			if t.FirstPlanned >= 0 {
				add(where, figure.Given("delivery.first", "First delivery", figure.Seconds, t.FirstPlanned))
			}
			if t.UpdatePlanned >= 0 {
				add(where, figure.Given("delivery.update", "Update", figure.Seconds, t.UpdatePlanned))
			}
		}
	}
	return out
}

func (c *Comparison) figures(a, b *Plan, same []int) {
	type key struct{ where, name string }
	names := map[string]string{} // of instances: of A to those of B
	alone := map[string]bool{}   // instances of one plan
	for _, in := range b.Instances {
		alone[in.Name] = true
	}
	for i, j := range same {
		if j >= 0 {
			names[a.Instances[i].Name] = b.Instances[j].Name
			delete(alone, b.Instances[j].Name)
		}
	}
	gone := map[string]bool{}
	for i, j := range same {
		gone[cmp.Or(names[a.Instances[i].Name], a.Instances[i].Name)] = j < 0
	}
	before := map[key]placed{}
	var order []key
	for _, f := range figuresOf(a, func(s string) string { return cmp.Or(names[s], s) }) {
		k := key{f.where, f.Name}
		if _, twice := before[k]; !twice && !gone[k.where] {
			before[k] = f
			order = append(order, k)
		}
	}
	seen := map[key]bool{}
	for _, f := range figuresOf(b, func(s string) string { return s }) {
		k := key{f.where, f.Name}
		if seen[k] || alone[k.where] {
			continue
		}
		seen[k] = true
		change := FigureChange{Where: f.where, Name: f.Name, Title: f.Title, Unit: f.Unit, B: &f.Value}
		if old, ok := before[k]; ok {
			if old.Value == f.Value {
				continue
			}
			change.A = &old.Value
		}
		c.Figures = append(c.Figures, change)
	}
	for _, k := range order {
		if f := before[k]; !seen[k] {
			c.Figures = append(c.Figures, FigureChange{Where: f.where, Name: f.Name, Title: f.Title, Unit: f.Unit, A: &f.Value})
		}
	}
}

// texts are the choices of instances that are in both plans.
func (c *Comparison) texts(a, b *Plan, same []int) {
	for i, j := range same {
		if j < 0 || i >= len(a.Sizing) || j >= len(b.Sizing) {
			continue
		}
		x, y, s, t := &a.Instances[i], &b.Instances[j], &a.Sizing[i], &b.Sizing[j]
		for _, d := range []TextChange{
			{Title: "Site of the server", A: x.SiteName, B: y.SiteName},
			{Title: "Domain of the server", A: x.Domain, B: y.Domain},
			{Title: "Country that data stays in", A: x.Country, B: y.Country},
			{Title: "State database", A: string(s.State.Kind), B: string(t.State.Kind)},
			{Title: "Events database", A: string(s.Events.Kind), B: string(t.Events.Kind)},
			{Title: "Place of the events database", A: string(s.Events.Place), B: string(t.Events.Place)},
			{Title: "Standby", A: string(s.Availability.Standby), B: string(t.Availability.Standby)},
		} {
			if d.A != d.B {
				d.Where = y.Name
				c.Texts = append(c.Texts, d)
			}
		}
	}
	met := map[string]bool{}
	for _, l := range a.Scope.Levels {
		met[l.Name] = l.Met
	}
	for _, l := range b.Scope.Levels {
		if was, known := met[l.Name]; known && was != l.Met {
			c.Texts = append(c.Texts, TextChange{Title: l.Title, A: metText(was), B: metText(l.Met)})
		}
	}
}

func metText(met bool) string {
	if met {
		return "met"
	}
	return "not met"
}

// moves are people of crowds that are in both plans and change their instance.
// What an instance of A gave up is what others took in their order.
func (c *Comparison) moves(a, b *Plan, same []int) {
	before, after := people(a), people(b)
	was := make([]int, len(b.Instances)) // positions in a
	for j := range was {
		was[j] = slices.Index(same, j)
	}
	seen := map[crowd]bool{}
	for _, in := range a.Instances {
		for _, part := range in.Parts {
			of := crowd{name.Fold(part.Site), name.Fold(part.Domain), name.Fold(part.Network), name.Fold(part.Department)}
			if seen[of] {
				continue
			}
			seen[of] = true
			left := make([]int, len(a.Instances)) // people whom an instance has no more
			for i := range a.Instances {
				left[i] = before[i][of]
				if same[i] >= 0 {
					left[i] -= min(left[i], after[same[i]][of])
				}
			}
			for j, to := range b.Instances {
				gained := after[j][of]
				if was[j] >= 0 {
					gained -= min(gained, before[was[j]][of])
				}
				for i := 0; i < len(left) && gained > 0; i++ {
					n := min(left[i], gained)
					if n == 0 {
						continue
					}
					left[i], gained = left[i]-n, gained-n
					c.Moved = append(c.Moved, Move{
						Site: part.Site, Domain: part.Domain, Network: part.Network, Department: part.Department,
						From: a.Instances[i].Name, To: to.Name, Users: n,
					})
				}
			}
		}
	}
}

func (c *Comparison) questions(a, b *Plan) {
	key := func(q organization.Question) string {
		own := ""
		if q.About == organization.TopicOther {
			own = q.Question
		}
		return strings.Join([]string{string(q.About), subject(q.Subject), own}, "\x00")
	}
	before := map[string]organization.Question{}
	for _, q := range a.Questions {
		if _, twice := before[key(q)]; !twice {
			before[key(q)] = q
		}
	}
	for _, q := range b.Questions {
		old, known := before[key(q)]
		switch {
		case q.Answer != "" && q.Answer != old.Answer:
			c.Answered = append(c.Answered, Answered{Question: q, Before: old.Answer})
		case q.Answer == "" && (!known || old.Answer != ""):
			c.Asked = append(c.Asked, q)
		}
	}
}

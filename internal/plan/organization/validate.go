package organization

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/figure"
)

// Bounds of a plan as a whole, listed in docs/limits.md.
const (
	// MaxPeople is how many people a file has at most.
	MaxPeople = 10_000_000
	// MaxInstances is how many instances a plan has at most.
	MaxInstances = 2_000
	maxCrowds    = 10_000 // of all sites
	maxGets      = 50_000 // entries of people that get a workspace, of all workspaces
	// What all events take, and all kept versions of all images, in bytes: sums
	// over all instances and repositories are counted in 64 bits.
	maxEvents   = 1e17
	maxVersions = 1e15
)

// Validate checks an organization completely and returns an
// *dormer.InvalidError that names every wrong field, or nil. What contradicts
// each other is named together.
func Validate(o *Organization) error {
	if fields := checked(o); len(fields) > 0 {
		return &dormer.InvalidError{Fields: fields}
	}
	return nil
}

// checked finds what is wrong, in three steps of which each needs the ones
// before: the fields by themselves, what refers to what, and what it all means.
func checked(o *Organization) []dormer.FieldError {
	s := &o.Spec
	c := checker{fields: document.Check(o, maxErrors)}
	c.people(s)
	c.observed(s.Observed)
	c.catalogue(s)
	before := len(c.fields)
	if c.domains(s.Domains); len(c.fields) == before {
		c.trusts(s.Domains)
	}
	c.references(s)
	if len(c.fields) > 0 {
		return c.fields
	}
	c.travel(s)
	m := Resolve(o)
	c.size(m)
	c.connections(m)
	c.separations(s, m)
	c.workspaces(s, m)
	return c.fields
}

// checker gathers what Validate finds.
type checker struct {
	fields []dormer.FieldError
	// names of what the file has, for messages.
	names catalogue
}

func (c *checker) add(path, format string, args ...any) {
	if !c.full() {
		c.fields = append(c.fields, dormer.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) full() bool { return len(c.fields) >= maxErrors }

// known is the names of one kind of thing.
type known struct {
	what  string // as in "there is no such site"
	names []string
	at    map[string]int
}

// catalogue is what names can mean.
type catalogue struct {
	sites, countries, domains, networks, departments, images, workspaces known
}

// collect gathers the names of one kind, and reports those that are given
// twice.
func (c *checker) collect(what, path string, names []string) known {
	k := known{what: what, at: map[string]int{}}
	for i, n := range names {
		key := name.Fold(n)
		if first, ok := k.at[key]; ok && key != "" {
			c.add(document.Index(path, i)+".name", "is the name of %s already; names are compared without regard to letter case", document.Index(path, first))
			continue
		}
		k.at[key] = i
		if n != "" {
			k.names = append(k.names, n)
		}
	}
	return k
}

// several gathers names that stand at several places.
func several(what string, names []string) known {
	k := known{what: what, at: map[string]int{}}
	for _, n := range names {
		key := name.Fold(n)
		if _, ok := k.at[key]; !ok && key != "" {
			k.at[key] = len(k.names)
			k.names = append(k.names, n)
		}
	}
	return k
}

func (c *checker) catalogue(s *Spec) {
	const at = "spec."
	n := &c.names
	n.sites = c.collect("site", at+"sites", mapped(s.Sites, func(s Site) string { return s.Name }))
	n.domains = c.collect("domain", at+"domains", mapped(s.Domains, func(d Domain) string { return d.Name }))
	n.networks = c.collect("network", at+"networks", mapped(s.Networks, func(n Network) string { return n.Name }))
	n.images = c.collect("image", at+"images", mapped(s.Images, func(i Image) string { return i.Name }))
	n.workspaces = c.collect("workspace", at+"workspaces", mapped(s.Workspaces, func(w Workspace) string { return w.Name }))
	c.collect("separation", at+"separations", mapped(s.Separations, func(s Separation) string { return s.Name }))
	n.countries = several("country", mapped(s.Sites, func(s Site) string { return s.Country }))
	var departments []string
	for _, site := range s.Sites {
		departments = append(departments, mapped(site.People, func(c Crowd) string { return c.Department })...)
	}
	n.departments = several("department", departments)
}

func mapped[T any](list []T, of func(T) string) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = of(t)
	}
	return out
}

// refers reports a name that nothing has.
func (c *checker) refers(path, s string, to known) bool {
	if s == "" || c.full() {
		return true // what is required and missing is reported already
	}
	if _, ok := to.at[name.Fold(s)]; ok {
		return true
	}
	message := "there is no such " + to.what
	switch near := document.Nearest(s, to.names); {
	case near != "":
		message += "; is " + near + " meant?"
	case len(to.names) == 0:
		message += "; the file has none"
	case len(to.names) <= 12:
		message += "; there are " + strings.Join(to.names, ", ")
	}
	c.add(path, "%s", message)
	return false
}

// list checks names of a selection.
func (c *checker) list(path string, names []string, to known) {
	first := map[string]int{}
	for i, n := range names {
		at := document.Index(path, i)
		if before, ok := first[name.Fold(n)]; ok {
			c.add(at, "is the same as entry [%d]", before)
			continue
		}
		first[name.Fold(n)] = i
		c.refers(at, n, to)
	}
}

func (c *checker) who(path string, w *Who) {
	c.list(path+".sites", w.Sites, c.names.sites)
	c.list(path+".countries", w.Countries, c.names.countries)
	c.list(path+".domains", w.Domains, c.names.domains)
	c.list(path+".networks", w.Networks, c.names.networks)
	c.list(path+".departments", w.Departments, c.names.departments)
}

func (c *checker) people(s *Spec) {
	crowds := 0
	for i := range s.Sites {
		before := crowds
		if crowds += len(s.Sites[i].People); before <= maxCrowds && crowds > maxCrowds {
			c.add(document.Index("spec.sites", i)+".people", "more than 10,000 entries up to here; put people together who are alike")
		}
		for j, crowd := range s.Sites[i].People {
			at := document.Index(document.Index("spec.sites", i)+".people", j)
			switch {
			case crowd.Active == nil || *crowd.Active <= crowd.Users || crowd.Users < 0:
			case crowd.Users == 0:
				c.add(at+".users", "must not be less than active")
			default:
				c.add(at+".active", "must not be more than users, who are all that there are")
			}
		}
	}
}

func (c *checker) observed(o *Observed) {
	if o == nil || o.At == "" {
		return
	}
	if _, err := time.Parse(time.DateOnly, o.At); err != nil {
		c.add("spec.observed.at", "expected a day such as 2026-11-22")
	}
	if o.Peak > o.Clients {
		c.add("spec.observed.peak", "must not be more than clients, which are all that were seen")
	}
}

// references checks every name that stands for something else in the file.
func (c *checker) references(s *Spec) {
	n := &c.names
	for i := range s.Sites {
		for j, crowd := range s.Sites[i].People {
			at := document.Index(document.Index("spec.sites", i)+".people", j)
			c.refers(at+".domain", crowd.Domain, n.domains)
			c.refers(at+".network", crowd.Network, n.networks)
		}
	}
	c.links(s.Links)
	for i, t := range s.Travel {
		at := document.Index("spec.travel", i)
		known := c.refers(at+".from", t.From, n.sites)
		if c.refers(at+".to", t.To, n.sites) && known && t.From != "" && name.Fold(t.From) == name.Fold(t.To) {
			c.add(at+".to", "is the site at home; somebody who travels is at another one")
		}
	}
	for i := range s.Separations {
		at := document.Index("spec.separations", i)
		c.who(at+".who", &s.Separations[i].Who)
		if s.Separations[i].Country == "" && value(s.Separations[i].Shared, false) {
			c.add(at+".shared", "needs country: a demand that neither keeps others out nor names a country asks for nothing")
		}
	}
	c.images(s.Images)
	for i := range s.Workspaces {
		at := document.Index("spec.workspaces", i)
		c.refers(at+".image", s.Workspaces[i].Image, n.images)
		c.who(at+".who", &s.Workspaces[i].Who)
	}
	c.refers("spec.events.site", s.Events.Site, n.sites)
	if s.Events.Site != "" && s.Events.Place == PlaceServer {
		c.add("spec.events.site", "is where a remote database stands, and spec.events.place says that the database is on the server")
	}
	if value(s.Events.ShareOne, false) && s.Events.Place == PlaceServer {
		c.add("spec.events.shareOne", "asks for a remote database that instances share, and spec.events.place says that the database is on the server")
	}
	if s.Events.Database == SQLite && (s.Events.Place == PlaceRemote || value(s.Events.ShareOne, false) || s.Events.Site != "") {
		c.add("spec.events.database", "SQLite is always on its server and of one instance; write postgresql or auto for a remote or shared database")
	}
	for i, d := range s.Consoles {
		c.refers(document.Index("spec.consoles", i)+".site", d.Site, n.sites)
	}
	c.questions(s.Questions)
}

func (c *checker) links(links []Link) {
	type ends struct{ a, b int }
	first := map[ends]int{}
	for i, l := range links {
		at := document.Index("spec.links", i)
		known := c.refers(at+".from", l.From, c.names.sites)
		if !c.refers(at+".to", l.To, c.names.sites) || !known || l.From == "" || l.To == "" {
			continue
		}
		a, b := c.names.sites.at[name.Fold(l.From)], c.names.sites.at[name.Fold(l.To)]
		if a == b {
			c.add(at+".to", "is the site where the link begins; the network within a site is its lan")
			continue
		}
		e := ends{min(a, b), max(a, b)}
		if before, ok := first[e]; ok {
			c.add(at, "joins the same two sites as %s; write one link with the bandwidth of both, and back for the other direction", document.Index("spec.links", before))
			continue
		}
		first[e] = i
	}
}

func (c *checker) images(images []Image) {
	above := make([]int, len(images))
	for i, image := range images {
		above[i] = -1
		at := document.Index("spec.images", i) + ".base"
		if !c.refers(at, image.Base, c.names.images) || image.Base == "" {
			continue
		}
		if above[i] = c.names.images.at[name.Fold(image.Base)]; above[i] == i {
			c.add(at, "is the image itself")
			above[i] = -1
		}
	}
	for _, circle := range circles(above) {
		c.add(document.Index("spec.images", circle[0])+".base", "the images are each other's base in a circle: %s",
			chain(circle, func(i int) string { return images[i].Name }))
	}
}

// circles finds the circles of a list where each has one above it, or -1, each
// beginning with its first member.
func circles(above []int) [][]int {
	var out [][]int
	seen := make([]int, len(above)) // with which start; 0 is never
	for start := range above {
		at := start
		for at >= 0 && seen[at] == 0 {
			seen[at] = start + 1
			at = above[at]
		}
		if at < 0 || seen[at] != start+1 {
			continue
		}
		circle := []int{at}
		for next := above[at]; next != at; next = above[next] {
			circle = append(circle, next)
		}
		first := slices.Index(circle, slices.Min(circle))
		out = append(out, append(slices.Clone(circle[first:]), circle[:first]...))
	}
	return out
}

// chain writes a circle by its names, the first one again at its end.
func chain(circle []int, called func(int) string) string {
	const shown = 8
	var out []string
	for _, i := range circle {
		if len(out) == shown {
			out = append(out, "and so on")
			break
		}
		out = append(out, called(i))
	}
	return strings.Join(append(out, called(circle[0])), ", ")
}

func (c *checker) questions(questions []Question) {
	type asked struct{ about, subject, question string }
	first := map[asked]int{}
	for i, q := range questions {
		at := document.Index("spec.questions", i)
		key := asked{string(q.About), name.Fold(q.Subject), name.Fold(q.Question)}
		if before, ok := first[key]; ok {
			c.add(at, "is asked by %s already", document.Index("spec.questions", before))
			continue
		}
		first[key] = i
		if q.About == TopicOther && q.Question == "" {
			c.add(at+".question", "is required: the plan has no question of its own about this")
		}
		if q.About != TopicCombine || q.Subject == "" {
			continue
		}
		a, b, ok := strings.Cut(q.Subject, " + ")
		if !ok {
			c.add(at+".subject", "expected two images as A + B")
			continue
		}
		if c.refers(at+".subject", a, c.names.images) {
			c.refers(at+".subject", b, c.names.images)
		}
	}
}

// travel needs sites that are known.
func (c *checker) travel(s *Spec) {
	users := make([]int, len(s.Sites))
	for i := range s.Sites {
		for _, crowd := range s.Sites[i].People {
			users[i] += crowd.Users
		}
	}
	type way struct{ from, to int }
	first := map[way]int{}
	for i, t := range s.Travel {
		at := document.Index("spec.travel", i)
		w := way{c.names.sites.at[name.Fold(t.From)], c.names.sites.at[name.Fold(t.To)]}
		if before, ok := first[w]; ok {
			c.add(at, "is about the same two sites as %s; write both together", document.Index("spec.travel", before))
			continue
		}
		first[w] = i
		if t.Users > users[w.from] {
			c.add(at+".users", "are more than work at %s", s.Sites[w.from].Name)
		}
	}
}

// size bounds what a plan can come to.
func (c *checker) size(m *Model) {
	users, _ := m.Users()
	if users > MaxPeople {
		c.add("spec.sites", "more than 10,000,000 people work here altogether")
		return
	}
	gets := 0
	for i := range m.Workspaces {
		gets += len(m.Workspaces[i].Gets)
	}
	if gets > maxGets {
		c.add("spec.workspaces", "more than 50,000 times people get a workspace; put people who are alike into one entry, or plan parts of the organization for themselves")
		return
	}
	_, active := m.Grown(m.Growth.Years).Users()
	if active > MaxInstances*m.Capacity.Clients {
		where := "spec.capacity.clients"
		if !m.Capacity.Measured {
			where = "spec.growth"
		}
		c.add(where, "more than 2,000 instances would be needed for so many people in the last year of the plan")
		return
	}
	e := &m.Events
	if float64(active)*float64(e.PerDay)*float64(e.Bytes)*e.Keep.Hours()/24*(1+e.Bursts)*(1+e.Overhead) > maxEvents {
		c.add("spec.events", "all events that are kept would take more than 100 PB in the last year of the plan; keep them for a shorter time")
	}
	kept := 0.0
	for _, i := range m.Images {
		versions := float64(i.Versions) + math.Ceil(imagerepo.DefaultSweepAfter.Hours()/i.Every.Hours())
		kept += float64(i.Packed) + versions*float64(i.Update)
	}
	if kept > maxVersions {
		c.add("spec.images", "all versions that are kept of all images would take more than 1 PB; keep fewer, or make them less often")
	}
}

// workspaces checks whom they select.
func (c *checker) workspaces(s *Spec, m *Model) {
	for i := range m.Workspaces {
		if len(m.Workspaces[i].Gets) == 0 {
			c.nobody(document.Index("spec.workspaces", i)+".who", &s.Workspaces[i].Who)
		}
	}
}

// nobody reports a selection that is empty although each of its names is
// known.
func (c *checker) nobody(path string, w *Who) {
	var lists []string
	for _, l := range []struct {
		name string
		list []string
	}{{"sites", w.Sites}, {"countries", w.Countries}, {"domains", w.Domains}, {"networks", w.Networks}, {"departments", w.Departments}} {
		if len(l.list) > 0 {
			lists = append(lists, l.name)
		}
	}
	switch len(lists) {
	case 0:
		c.add(path, "selects nobody: no site has people")
	case 1:
		c.add(path+"."+lists[0], "selects nobody: no people are there")
	default:
		c.add(path, "selects nobody: no people are in all of %s; a selection is of those whom every list names", figure.List(lists, len(lists)))
	}
}

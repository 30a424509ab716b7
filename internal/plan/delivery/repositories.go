package delivery

import (
	"fmt"
	"math"
	"slices"

	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// outlet is a repository or a mirror as its clients see it: who takes from it
// directly, and which mirrors are filled from it.
type outlet struct {
	name    string
	store   int
	mirror  int // -1: the repository itself
	places  []int
	mirrors []int
}

// outlets lists the repositories, each followed by its mirrors.
func (w *work) outlets(s *scenario) []outlet {
	var out []outlet
	taken := map[string]bool{}
	unique := func(name, more string) string {
		if taken[name] && more != "" {
			name += " (" + more + ")"
		}
		full := name
		for n := 2; taken[full]; n++ {
			full = fmt.Sprintf("%s %d", name, n)
		}
		taken[full] = true
		return full
	}
	for i := range w.stores {
		st := &w.stores[i]
		more := st.country
		if st.network != organization.Connected {
			more = w.Networks[st.network].Name
		}
		o := outlet{name: unique("Repository "+w.Sites[st.site].Name, more), store: i, mirror: -1}
		for p := range w.places {
			if w.places[p].store == i && s.source[p] < 0 {
				o.places = append(o.places, p)
			}
		}
		for m := range s.mirrors {
			if s.mirrors[m].store == i && s.source[len(w.places)+m] < 0 {
				o.mirrors = append(o.mirrors, m)
			}
		}
		out = append(out, o)
	}
	for m := range s.mirrors {
		at := &s.mirrors[m]
		o := outlet{name: unique("Mirror "+w.Sites[at.site].Name, w.Sites[w.stores[at.store].site].Name), store: at.store, mirror: m}
		for p := range w.places {
			if s.source[p] == m {
				o.places = append(o.places, p)
			}
		}
		for other := range s.mirrors {
			if s.source[len(w.places)+other] == m {
				o.mirrors = append(o.mirrors, other)
			}
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b outlet) int { return a.store - b.store })
	return out
}

// behind lists all places that an outlet serves, over mirrors too.
func (w *work) behind(o *outlet, all []outlet) []int {
	out := slices.Clone(o.places)
	for _, m := range o.mirrors {
		i := slices.IndexFunc(all, func(other outlet) bool { return other.mirror == m })
		out = append(out, w.behind(&all[i], all)...)
	}
	return out
}

// repository is what an outlet is made of.
func (w *work) repository(o *outlet, all []outlet, s *scenario) Repository {
	st := &w.stores[o.store]
	site := st.site
	served := w.behind(o, all)
	held := w.heldBy(st.instances)
	for _, i := range w.held(served) {
		if !slices.Contains(held, i) {
			held = append(held, i)
		}
	}
	slices.Sort(held)
	out := Repository{Name: o.name}
	if o.mirror >= 0 {
		site = s.mirrors[o.mirror].site
		held = w.held(served)
		out.Of = all[slices.IndexFunc(all, func(other outlet) bool { return other.store == o.store && other.mirror < 0 })].name
	}
	out.Place, out.Site = site, w.Sites[site].Name
	of := w.takers(served)
	for _, k := range of {
		out.Instances = append(out.Instances, w.instances[k].Name)
	}
	for _, p := range o.places {
		out.Serves = append(out.Serves, w.Sites[w.places[p].site].Name)
	}
	for _, i := range held {
		out.Images = append(out.Images, w.Images[i].Name)
	}
	w.disk(&out, held)
	w.demand(&out, o, s)
	if o.mirror < 0 {
		out.Reasons, out.Faults = w.reasons(o, of, held), w.faults(served, s)
		return out
	}
	out.Reasons = []string{w.mirrorReason(o, served, s)}
	out.Faults = fmt.Sprintf("Without it %s %s from %s over the link, as slowly as without a mirror. Nothing in it needs a backup: it is filled again.",
		figure.List(out.Serves, 6), be(len(out.Serves), "fetches", "fetch"), out.Of)
	return out
}

// disk works out what the images take, without and with de-duplication.
func (w *work) disk(out *Repository, held []int) {
	var plain, once, deleted, year, largest float64
	var plainTerms, onceTerms, deletedTerms, yearTerms []string
	for _, i := range held {
		d := &w.Images[i]
		packed, update, versions := float64(d.Packed), float64(d.Update), float64(d.Versions)
		plain, plainTerms = plain+versions*packed, append(plainTerms, figure.Number(versions)+" x "+figure.Bytes(packed))
		first, term := stored(w.Model, i, held)
		once, onceTerms = once+first+(versions-1)*update, append(onceTerms, fmt.Sprintf("%s + %s x %s", term, figure.Number(versions-1), figure.Bytes(update)))
		waiting := math.Ceil(imagerepo.DefaultSweepAfter.Hours() / d.Every.Hours())
		deleted, deletedTerms = deleted+waiting*update, append(deletedTerms, figure.Number(waiting)+" x "+figure.Bytes(update))
		news := 365 * 24 / d.Every.Hours()
		year, yearTerms = year+news*update, append(yearTerms, figure.Number(news)+" x "+figure.Bytes(update))
		largest = max(largest, packed)
	}
	out.Figures = append(out.Figures,
		summary("repository.plain", "Images, each version stored whole", plain, "sum over images of versions x packed size", plainTerms),
		summary("repository.deduplicated", "Images, what versions and bases have in common stored once", once,
			"sum over images of packed size x (1 - share of a base that is there too) + (versions - 1) x update", onceTerms),
		summary("repository.deleted", "Versions that were deleted and wait for the sweep", deleted, "sum over images of ceil(72 h / time between versions) x update", deletedTerms).
			From(figure.Derived, "objects of deleted versions stay for 72 hours"),
	)
	packages := 0.0
	if out.Of == "" {
		f := figure.Work("repository.packages", "Room for building packages for media", figure.Size, "2 x {largest image}", figure.In(figure.Size, largest)).
			From(figure.Classic, "a package takes up to twice its size while it is built")
		packages, out.Figures = f.Value, append(out.Figures, f)
	}
	total := figure.Work("repository.disk", "Disk of the repository", figure.Size, "{images} + {deleted versions} + {packages}",
		figure.In(figure.Size, once), figure.In(figure.Size, deleted), figure.In(figure.Size, packages))
	out.Disk = int64(math.Ceil(total.Value))
	out.Figures = append(out.Figures, total,
		summary("repository.year", "More disk each year if no version is ever deleted", year, "sum over images of 365 days / time between versions x update", yearTerms))
}

// demand works out how many clients download at the same time, and what they
// need, so that the service levels are met.
func (w *work) demand(out *Repository, o *outlet, s *scenario) {
	type flow struct {
		job       job
		copies    float64
		allowed   float64 // seconds of delivery
		need      float64 // bits a second
		downloads int
		terms     []string
	}
	var most flow
	for image := range w.Images {
		for _, first := range []bool{true, false} {
			f := flow{job: job{image, first}, allowed: w.allowed(first)}
			bytes := w.bytes(f.job)
			take := func(copies, rate float64) {
				f.copies += copies
				f.downloads += atOnce(copies, bytes, rate, f.allowed)
				f.terms = append(f.terms, fmt.Sprintf("min(%[1]s, ceil(%[1]s x %[2]s / %[3]s))", figure.Number(copies), figure.Duration(bytes*8/rate), figure.Duration(f.allowed)))
			}
			for _, p := range o.places {
				if copies := w.copies(s, p, f.job); copies > 0 {
					take(copies, w.single(s, p))
				}
			}
			for _, m := range o.mirrors {
				if w.uses(s, m, f.job) {
					mirror := &s.mirrors[m]
					take(1, w.roads[narrowest(w, mirror.way.roads[s.start[len(w.places)+m]:])].usable)
				}
			}
			f.need = f.copies * bytes * 8 / f.allowed
			if f.need > most.need {
				most = f
			}
		}
	}
	if most.need == 0 {
		return
	}
	what, level := "an update of the image ", w.Service.CriticalUpdate.Seconds()
	if most.job.first {
		what, level = "the first delivery of the image ", w.Service.FirstDelivery.Seconds()
	}
	source := fmt.Sprintf("%s%s asks for most: %s, with %s hours of delivery a day", what, w.Images[most.job.image].Name, figure.Duration(level), figure.Number(w.Service.DeliveryHours))
	out.Downloads, out.Bandwidth = most.downloads, most.need
	downloads := figure.Given("repository.downloads", "Downloads at the same time", figure.Count, float64(most.downloads)).From(figure.Derived, source)
	downloads.Formula, downloads.Numbers = "sum over sites of min(copies, ceil(copies x time of one that is alone / time allowed))", summed(most.terms)
	out.Figures = append(out.Figures, downloads,
		figure.Work("repository.bandwidth", "Network of the repository", figure.BitsASec, "{copies} x {bytes} x 8 / {time allowed}",
			figure.N(most.copies), exact(w.bytes(most.job)), figure.In(figure.Seconds, most.allowed)).From(figure.Derived, source),
		figure.Work("repository.read", "Bytes a second read from its disk", figure.Size, "{network of the repository} / 8",
			figure.In(figure.BitsASec, most.need)).From(figure.Derived, "at worst; what several clients fetch at the same time is mostly read once"))
}

// allowed is how many seconds of delivery a service level leaves.
func (w *work) allowed(first bool) float64 {
	if first {
		return w.within(w.Service.FirstDelivery.Seconds())
	}
	return w.within(w.Service.CriticalUpdate.Seconds())
}

// copies is how many copies a place takes from its repository within a service
// level.
func (w *work) copies(s *scenario, i int, j job) float64 {
	p := &w.places[i]
	n := float64(s.takes(i, p, j))
	if !j.first && !p.critical[j.image] {
		return 0
	}
	if s.peers[i] && len(p.way.roads) > s.start[i] {
		return min(n, 1)
	}
	return n
}

// atOnce is how many copies are on their way at the same time, so that all of
// them come in time.
func atOnce(copies, bytes, rate, allowed float64) int {
	return int(min(math.Ceil(copies*bytes*8/rate/allowed), copies))
}

// uses reports whether anybody takes an image from a mirror or from one that is
// filled from it.
func (w *work) uses(s *scenario, m int, j job) bool {
	filled, ok := w.filled[j]
	if !ok {
		filled = make([]bool, len(s.mirrors))
		for i := range w.places {
			if s.takes(i, &w.places[i], j) == 0 {
				continue
			}
			for at := s.source[i]; at >= 0 && !filled[at]; at = s.source[len(w.places)+at] {
				filled[at] = true
			}
		}
		w.filled[j] = filled
	}
	return filled[m]
}

// takers lists the instances whose people take from places.
func (w *work) takers(places []int) []int {
	var out []int
	for _, p := range places {
		for _, r := range w.places[p].rows {
			out = append(out, w.rows[r].instance)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// mirrorReason says which service levels are missed without a mirror.
func (w *work) mirrorReason(o *outlet, served []int, s *scenario) string {
	at := &s.mirrors[o.mirror]
	l := &w.roads[narrowest(w, at.way.roads)]
	text := fmt.Sprintf("A mirror is filled with one copy of each version over the %s, of which %s may be used.", l.name, figure.Rate(l.usable))
	if w.spent > 2*mostSpent {
		return text
	}
	without := *s
	without.source, without.start = nil, nil
	without.mirrors = slices.Delete(slices.Clone(s.mirrors), o.mirror, o.mirror+1)
	w.connect(&without)
	all := slices.Clone(served) // those whose way is freed by it come after those who take from it
	for i := range w.places {
		all = append(all, i)
	}
	for image := range w.Images {
		for _, first := range []bool{true, false} {
			if w.spent += 2 * len(w.places); w.spent > 2*mostSpent || w.stopped() {
				return text
			}
			j := job{image, first}
			with, loads := w.planned(s, j), w.loads(&without, j, nil)
			for _, i := range all {
				p := &w.places[i]
				now := w.miss(&without, j, i, loads) &^ w.miss(s, j, i, with)
				if now == 0 {
					continue
				}
				where, what := w.Sites[p.site].Name, w.Images[image].Name
				if now == missesLoad {
					return fmt.Sprintf("%s Without it one person at %s starts a workspace with the image %s for the first time after %s (%s allowed).",
						text, where, what, figure.Duration(w.alone(&without, i, image)), figure.Duration(w.Service.LoadImage.Seconds()))
				}
				level, job := w.Service.CriticalUpdate.Seconds(), "a critical update of the image "
				if first {
					level, job = w.Service.FirstDelivery.Seconds(), "the first delivery of the image "
				}
				return fmt.Sprintf("%s Without it %s to %s takes %s (%s allowed).", text, job+what, where,
					figure.Duration(w.seconds(j, p, w.legs(&without, j, i, loads, nil))), figure.Duration(level))
			}
		}
	}
	return text
}

// reasons says why a repository is there, and where.
func (w *work) reasons(o *outlet, takers, held []int) []string {
	st := &w.stores[o.store]
	var out, names []string
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	for _, k := range takers {
		names = append(names, w.instances[k].Name)
	}
	at := &w.Sites[st.site]
	if st.network != organization.Connected {
		say("Nothing reaches the network %s from outside, so it has a repository of its own. Images come into it on a medium: %s at first.",
			w.Networks[st.network].Name, w.total(held))
	}
	if st.country != "" {
		say("Data of %s may not leave %s, so its repository stands there.", figure.List(w.bound(st), 4), st.country)
		if free := len(st.instances) - len(w.bound(st)); free > 0 {
			say("The best place for the other instances is in %s as well: they share it.", st.country)
		}
	}
	switch {
	case len(names) > 1:
		say("%s share it: what lies in it is encrypted, each instance offers its own images, and trusts the publishers of the others only where it says so.", figure.List(names, 6))
	case len(names) == 1:
		say("It is there for the instance %s.", names[0])
	}
	for other := range w.stores[:o.store] {
		from := &w.stores[other]
		if way := w.Route(from.site, st.site); from.network == st.network && way.OK && from.site != st.site {
			say("New versions are brought to it as well as to that at %s: %s over the way between them, of which %s may be used, in %s at first.", w.Sites[from.site].Name,
				w.total(held), figure.Rate(float64(way.Usable)), figure.Duration(w.totalBytes(held)*8/float64(way.Usable)))
			break
		}
	}
	if st.secondSite >= 0 && !math.IsInf(st.second, 1) {
		say("It stands at %s, beside a server: of the sites with one the clients are reached best from there. To give 1 GB to each of them, one after another, takes %s; from %s, the next best, %s.",
			at.Name, figure.Duration(st.cost*8e9), w.Sites[st.secondSite].Name, figure.Duration(st.second*8e9))
	} else {
		say("It stands at %s, on the server or beside it.", at.Name)
	}
	return out
}

// bound lists the instances of a repository whose data may not leave a country.
func (w *work) bound(st *store) []string {
	var out []string
	for _, k := range st.instances {
		if w.instances[k].Country != "" {
			out = append(out, w.instances[k].Name)
		}
	}
	return out
}

// total is the size of the first versions of images, together.
func (w *work) total(held []int) string { return figure.Bytes(w.totalBytes(held)) }

func (w *work) totalBytes(held []int) float64 {
	total := 0.0
	for _, i := range held {
		size, _ := stored(w.Model, i, held)
		total += size
	}
	return total
}

// faults says what an outage of a repository means, and what keeps it available.
func (w *work) faults(served []int, s *scenario) string {
	slowest, restore, update := 0.0, w.Service.Restore.Seconds(), w.Service.CriticalUpdate.Seconds()
	var where, what string
	late := false // somewhere it takes too long anyway
	for image := range w.Images {
		j := job{image, false}
		loads := w.planned(s, j)
		for _, i := range served {
			p := &w.places[i]
			if s.takes(i, p, j) == 0 || !p.critical[image] {
				continue
			}
			switch t := w.seconds(j, p, w.legs(s, j, i, loads, nil)); {
			case t > update:
				late = true
			case t > slowest:
				slowest, where, what = t, w.Sites[p.site].Name, w.Images[image].Name
			}
		}
	}
	text := "While it is away everybody goes on with the images they have; first deliveries and updates wait and then go on where they stopped."
	const second = " A standby of the server holds one; any static web server, or a store that is spread over several computers, serves its objects as well, since they never change."
	switch {
	case slowest == 0 && late:
		return text + " A critical update takes too long here even while it is there; a second copy keeps an outage from adding to that." + second
	case slowest == 0:
		return text + " A backup of it is enough."
	}
	sum := fmt.Sprintf("a critical update takes %s at its slowest (%s at %s), and with %s to restore a broken repository %s (%s allowed)",
		figure.Duration(slowest), what, where, figure.Duration(restore), figure.Duration(slowest+restore), figure.Duration(update))
	backup, copies := " A backup is enough: ", " It needs a second copy: "
	if late {
		const some = " At some sites a critical update takes too long anyway; for the others "
		backup, copies = some+"a backup is enough: ", some+"it needs a second copy: "
	}
	if slowest+restore <= update {
		return text + backup + sum + "."
	}
	return text + copies + sum + "." + second
}

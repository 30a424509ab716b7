package delivery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

const (
	requestsSource = "requests: at most 50 for a first delivery and 10 for an update, goals of Dormer's that make bench-images counts"
	startSource    = "5 % of the packed size and 100 requests before the guest answers: goals of Dormer's, not measured yet"
	mediaSource    = "a medium is two days on its way, until it is at every client"
)

// timed is one image at one place: everything but how many clients of which
// instance there are.
type timed struct {
	first, firstNeighbours, update, updateNeighbours float64
	firstPlanned, updatePlanned, one                 float64
	figures                                          []figure.Figure
	missed                                           []Miss // of a critical image
}

// times works out the times of all images at all places.
func (w *work) times(plain, neighbours, planned *scenario) [][]timed {
	out := make([][]timed, len(w.places))
	for i := range out {
		out[i] = make([]timed, len(w.Images))
	}
	for image := range w.Images {
		if w.stopped() {
			return out
		}
		for _, first := range []bool{true, false} {
			j := job{image, first}
			name, title := "first", "First delivery"
			if !first {
				name, title = "update", "Update"
			}
			loads := [3][]float64{w.loads(plain, j, nil), w.loads(neighbours, j, nil), w.loads(planned, j, nil)}
			for i := range w.places {
				p := &w.places[i]
				if p.images[image] == 0 {
					continue
				}
				t := &out[i][image]
				values := [3]float64{-1, -1, -1}
				if p.way.ok {
					var figures [3]figure.Figure
					figures[0] = w.figure("site."+name, title+" without neighbours", j, plain, i, loads[0])
					figures[1] = w.figure("site."+name+".neighbours", title+" with neighbours", j, neighbours, i, loads[1])
					figures[2] = w.chosen("site."+name+".planned", title, j, planned, i, loads[2])
					for k, f := range figures {
						values[k] = f.Value
					}
					t.figures = append(t.figures, figures[:]...)
				} else {
					f := w.chosen("site."+name+".planned", title, j, planned, i, loads[2])
					values[2], t.figures = f.Value, append(t.figures, f)
				}
				if first {
					t.first, t.firstNeighbours, t.firstPlanned = values[0], values[1], values[2]
				} else {
					t.update, t.updateNeighbours, t.updatePlanned = values[0], values[1], values[2]
				}
				w.level(t, j, planned, i, loads[2])
			}
		}
		for i := range w.places {
			if w.places[i].images[image] > 0 {
				w.start(&out[i][image], planned, i, image)
			}
		}
	}
	return out
}

// figure is how long everybody of a place waits for an image, with its formula.
func (w *work) figure(name, title string, j job, s *scenario, i int, loads []float64) figure.Figure {
	p := &w.places[i]
	var words []string
	var amounts []figure.Amount
	bytes := exact(w.bytes(j))
	for k, l := range w.legs(s, j, i, loads, nil) {
		what := l.what.String()
		if l.what == toMirror && k > 0 {
			what = fmt.Sprintf("to mirror %d", k+1)
		}
		words = append(words, "{copies "+what+"} x {bytes} x 8 / {usable bandwidth "+what+"}")
		amounts = append(amounts, figure.N(l.copies))
		if k == 0 {
			amounts = append(amounts, bytes)
		}
		r := &w.roads[l.road]
		amounts = append(amounts, figure.Amount{Value: r.usable, Text: figure.Rate(r.usable) + " (" + r.name + ")"})
	}
	formula := strings.Join(words, " + ")
	source := ""
	if p.way.latency > 0 {
		formula += " + {requests} x {round trip}"
		amounts = append(amounts, figure.N(j.requests()), figure.In(figure.Seconds, p.way.latency))
		source = requestsSource
	}
	f := figure.Work(name, title, figure.Seconds, formula, amounts...).From(figure.Derived, source)
	if hours := w.Service.DeliveryHours; hours < 24 {
		taken := f.Value
		f.Value = w.elapsed(taken)
		f.Formula += "; of these seconds so many a day as there are hours of delivery: seconds + (ceil(seconds / (hours x 3,600)) - 1) x (24 - hours) x 3,600"
		f.Numbers += fmt.Sprintf(" = %s s; %s s + (ceil(%s s / (%d x 3,600)) - 1) x (24 - %d) x 3,600", figure.Number(taken), figure.Number(taken), figure.Number(taken), hours, hours)
	}
	return f
}

// chosen is the same by the way that the plan chose.
func (w *work) chosen(name, title string, j job, s *scenario, i int, loads []float64) figure.Figure {
	p := &w.places[i]
	switch {
	case s.media[i] && j.first:
		return figure.Given(name, title+" by this plan: on a medium, copied beforehand", figure.Seconds, 0).From(figure.Assumption, "what comes on a medium is there before the workspace is granted")
	case s.media[i]:
		return figure.Given(name, title+" by this plan: on a medium", figure.Seconds, mediaUpdate).From(figure.Assumption, mediaSource)
	case j.first && s.staged[i]:
		return figure.Given(name, title+" by this plan: pre-staged", figure.Seconds, 0).From(figure.Assumption, "clients are set up with the image before they are handed out")
	}
	how := "over the network"
	if s.peers[i] && p.images[j.image] > 1 {
		how += " with neighbours"
	}
	if s.source[i] >= 0 {
		how += ", from a mirror"
	}
	return w.figure(name, title+" by this plan: "+how, j, s, i, loads)
}

// start adds how long one person waits.
func (w *work) start(t *timed, s *scenario, i, image int) {
	p := &w.places[i]
	if !p.way.ok {
		t.one = -1
		return
	}
	t.one = w.alone(s, i, image)
	formula := "{share before the start} x {packed size} x 8 / {bandwidth of one}"
	amounts := []figure.Amount{figure.In(figure.Share, startShare), exact(float64(w.Images[image].Packed)), figure.In(figure.BitsASec, w.single(s, i))}
	if latency := p.latency(w, s, i); latency > 0 {
		formula += " + {requests} x {round trip}"
		amounts = append(amounts, figure.N(startRequests), figure.In(figure.Seconds, latency))
	}
	t.figures = append(t.figures, figure.Work("site.one", "One person alone, until the workspace starts", figure.Seconds, formula, amounts...).
		From(figure.Assumption, startSource))
	allowed := w.Service.LoadImage.Seconds()
	if t.one <= allowed || s.media[i] || s.staged[i] {
		return
	}
	name := w.Images[image].Name
	t.missed = append(t.missed, Miss{Level: "loadImage", Seconds: t.one, Allowed: allowed, Text: fmt.Sprintf(
		"One person at %s can start a workspace with the image %s for the first time after %s (%s allowed).%s",
		w.Sites[p.site].Name, name, figure.Duration(t.one), figure.Duration(allowed), w.remedy(s, i, nil, 0, 0))})
}

// level notes whether the time of a job is what was asked for.
func (w *work) level(t *timed, j job, s *scenario, i int, loads []float64) {
	p := &w.places[i]
	level, seconds, neighbours, allowed := "firstDelivery", t.firstPlanned, t.firstNeighbours, w.Service.FirstDelivery.Seconds()
	what := "everybody has the image %s for the first time after"
	if !j.first {
		if !p.critical[j.image] {
			return
		}
		level, seconds, neighbours, allowed = "criticalUpdate", t.updatePlanned, t.updateNeighbours, w.Service.CriticalUpdate.Seconds()
		what = "everybody has a critical update of the image %s after"
	}
	if seconds <= allowed {
		return
	}
	text := "At %s " + what + " %s (%s allowed)."
	miss := Miss{
		Level: level, Seconds: seconds, Allowed: allowed,
		Text: fmt.Sprintf(text, w.Sites[p.site].Name, w.Images[j.image].Name, figure.Duration(seconds), figure.Duration(allowed)),
	}
	switch {
	case s.media[i]:
		miss.Text += " A medium takes too long on its way: only a link, or a wider one, brings it sooner."
	default:
		legs := w.legs(s, j, i, loads, nil)
		if !s.peers[i] && neighbours <= allowed {
			miss.Text += " Neighbours would mend it: " + figure.Duration(neighbours) + "."
		}
		miss.Text += w.remedy(s, i, legs, w.bytes(j), w.within(allowed)-j.requests()*p.way.latency)
	}
	t.missed = append(t.missed, miss)
}

// remedy says how wide the slowest part of a way must be for a time, and how many
// clients have their image within it as it is.
func (w *work) remedy(s *scenario, i int, legs []leg, bytes, seconds float64) string {
	p := &w.places[i]
	text := ""
	if over := p.way.roads[s.start[i]:]; len(over) > 0 && !w.mayMirror(p, p.site) {
		text = " No mirror may stand there."
	}
	if len(legs) != 1 || seconds <= 0 {
		return text
	}
	l := legs[0]
	r := &w.roads[l.road]
	need := l.copies * bytes * 8 / seconds * r.full / r.usable
	text += fmt.Sprintf(" The %s would have to have %s instead of %s", r.name, figure.Rate(roundUp(need)), figure.Rate(r.full))
	if n := int(seconds * r.usable / (bytes * 8)); n > 0 {
		return text + fmt.Sprintf("; as it is, %s of %s copies fit into that time.", figure.Number(n), figure.Number(l.copies))
	}
	return text + "; as it is, not one copy fits into that time."
}

// roundUp rounds up to two digits that count.
func roundUp(n float64) float64 {
	step := 1.0
	for n/step >= 100 {
		step *= 10
	}
	whole := float64(int64(n / step))
	if whole*step < n {
		whole++
	}
	return whole * step
}

// site is how images reach the people of one row.
func (w *work) site(r *row, s *scenario, times []timed, from string) Site {
	p := &w.places[r.place]
	in := &w.instances[r.instance]
	out := Site{
		Place: r.site, Site: w.Sites[r.site].Name, Network: in.NetworkName, Instance: in.Name, Clients: r.clients,
		Repository: from, Neighbours: s.peers[r.place] && w.Sites[r.site].Neighbours, Way: organization.DeliveryNetwork,
	}
	switch {
	case s.media[r.place]:
		out.Way, out.Neighbours = organization.DeliveryMedia, false
	case s.staged[r.place]:
		out.Way = organization.DeliveryPreStaged
	}
	if p.way.ok {
		out.Link, out.Latency = min(p.way.usable, w.roads[p.lan].usable), p.way.latency
	}
	for image, n := range r.images {
		if n == 0 {
			continue
		}
		t := &times[image]
		transfer := Transfer{
			Image: w.Images[image].Name, Clients: n, First: t.first, FirstNeighbours: t.firstNeighbours, Update: t.update, UpdateNeighbours: t.updateNeighbours,
			FirstPlanned: t.firstPlanned, UpdatePlanned: t.updatePlanned, One: t.one, Figures: t.figures,
		}
		for _, m := range t.missed {
			if m.Level != "criticalUpdate" || r.critical[image] {
				transfer.Missed = append(transfer.Missed, m)
			}
		}
		transfer.Met = len(transfer.Missed) == 0
		for _, first := range []bool{true, false} {
			j := job{image, first}
			out.Downloads = max(out.Downloads, atOnce(w.copies(s, r.place, j), w.bytes(j), w.single(s, r.place), w.allowed(first)))
		}
		out.Images = append(out.Images, transfer)
	}
	out.Reasons = w.siteReasons(r, &out, s)
	return out
}

// siteReasons says why images come to a site the way they do, by the image that
// takes longest.
func (w *work) siteReasons(r *row, out *Site, s *scenario) []string {
	var reasons []string
	say := func(format string, a ...any) { reasons = append(reasons, fmt.Sprintf(format, a...)) }
	p, at := &w.places[r.place], &w.Sites[r.site]
	if r.visitors > 0 {
		say("%s of other sites visit %s and are counted here.", figure.Counted(r.visitors, "person", "people"), at.Name)
		if r.visitors == r.clients && p.clients > r.clients {
			return append(reasons, "They fetch what they lack as the clients of this site do.")
		}
	}
	if !p.way.ok {
		say("No link leads here from the repository at %s: images and updates come on media.", w.Sites[w.stores[p.store].site].Name)
	}
	if r.clients == 0 {
		return append(reasons, "No client here is on at the busiest time.")
	}
	if len(out.Images) == 0 {
		return append(reasons, "Nobody here gets an image.")
	}
	worst := &out.Images[0]
	for i := range out.Images {
		if out.Images[i].First > worst.First {
			worst = &out.Images[i]
		}
	}
	first, update := w.Service.FirstDelivery.Seconds(), w.Service.CriticalUpdate.Seconds()
	if p.way.ok {
		where := "over the network of the site"
		if l := narrowest(w, p.way.roads); l >= 0 {
			where = fmt.Sprintf("over the %s (%s, of which %s may be used)", w.roads[l].name, figure.Rate(w.roads[l].full), figure.Rate(w.roads[l].usable))
			if others := w.sharers(p, l); len(others) > 0 {
				where += " together with " + figure.List(others, 4)
			}
		}
		say("When all clients fetch for themselves %s, %s%s %s the image %s after %s (%s allowed) and an update after %s (%s allowed).",
			where, figure.Counted(worst.Clients, "client", "clients"), w.amongOthers(p, worst), be(worst.Clients, "has", "have"), worst.Image, figure.Duration(worst.First), figure.Duration(first),
			figure.Duration(worst.Update), figure.Duration(update))
	}
	asked := at.Delivery != organization.DeliveryAuto
	if out.Neighbours && out.Way != organization.DeliveryMedia {
		say("Neighbours are on: one copy comes over the way and the others from clients beside; it takes %s and %s.",
			figure.Duration(worst.FirstNeighbours), figure.Duration(worst.UpdateNeighbours))
	}
	if m := s.source[r.place]; m >= 0 && out.Way != organization.DeliveryMedia {
		mirror := &s.mirrors[m]
		say("The mirror at %s is filled once over the way and gives to all clients behind it; an update takes %s.", w.Sites[mirror.site].Name, figure.Duration(worst.UpdatePlanned))
	}
	switch out.Way {
	case organization.DeliveryPreStaged:
		why, instead := "because neither the network nor a mirror meets the service level", " Where clients are in use already, spread it over the time that the network takes."
		if asked {
			why, instead = "because the file asks for it", ""
		}
		say("The first delivery is pre-staged, %s: clients are set up at %s, beside the repository, with %s each%s.%s Updates come over the network.",
			why, w.Sites[w.stores[p.store].site].Name, w.packed(r), w.staging(p, r), instead)
	case organization.DeliveryMedia:
		if asked {
			say("Media are used because the file asks for them.")
		} else if p.way.ok {
			say("Media are used because not even updates come over the network in time.")
		}
		say("A medium of at least %s (packages take three quarters of it at most) carries %s. An update on its way takes %s (an assumption).",
			figure.Bytes(roundUp(w.packedBytes(r)*4/3)), w.packed(r), figure.Duration(mediaUpdate))
	case organization.DeliveryNetwork:
		if asked {
			say("The file asks for delivery over the network.")
		}
	}
	return reasons
}

// amongOthers says how many clients of a site get an image altogether, where
// other instances serve some of them.
func (w *work) amongOthers(p *place, t *Transfer) string {
	image := slices.IndexFunc(w.Images, func(d organization.Disk) bool { return d.Name == t.Image })
	all := 0
	for i := range w.places {
		if w.places[i].lan == p.lan {
			all += w.places[i].images[image]
		}
	}
	if all == t.Clients {
		return ""
	}
	return " of " + figure.Number(all) + " at this site"
}

// packed is what clients of a row fetch for the first time, all images.
func (w *work) packed(r *row) string {
	var names []string
	for i, n := range r.images {
		if n > 0 {
			names = append(names, w.Images[i].Name)
		}
	}
	return figure.List(names, 4) + " (" + figure.Bytes(w.packedBytes(r)) + ")"
}

func (w *work) packedBytes(r *row) float64 {
	total := 0.0
	for i, n := range r.images {
		if n > 0 {
			total += float64(w.Images[i].Packed)
		}
	}
	return total
}

// staging says how long it takes to set clients up beside the repository.
func (w *work) staging(p *place, r *row) string {
	total := 0.0
	for i, n := range r.images {
		total += float64(n) * float64(w.Images[i].Packed)
	}
	lan := float64(w.Sites[w.stores[p.store].site].LAN) * w.Service.Usable
	return "; all of them take " + figure.Duration(total*8/lan) + " of the network there"
}

// narrowest is the road of least usable bandwidth; -1 of none.
func narrowest(w *work, over []int) int {
	least := -1
	for _, r := range over {
		if least < 0 || w.roads[r].usable < w.roads[least].usable {
			least = r
		}
	}
	return least
}

// sharers lists the other sites whose way leads over a road.
func (w *work) sharers(p *place, over int) []string {
	if w.over == nil {
		w.over = make([][]int, len(w.roads))
		for i := range w.places {
			q := &w.places[i]
			if q.clients == 0 {
				continue
			}
			for _, r := range q.way.roads {
				w.over[r] = append(w.over[r], q.site)
			}
		}
		seen := make([]int, len(w.Sites)) // the last road that a site was seen at, from 1
		for r, sites := range w.over {
			w.over[r] = slices.DeleteFunc(sites, func(site int) bool {
				again := seen[site] == r+1
				seen[site] = r + 1
				return again
			})
		}
	}
	out := make([]string, 0, len(w.over[over]))
	for _, site := range w.over[over] {
		if site != p.site {
			out = append(out, w.Sites[site].Name)
		}
	}
	return out
}

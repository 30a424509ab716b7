// Package delivery says how images reach people: which repositories there are
// and where, what they hold, how long a first delivery and an update take at
// each site, and which sites need media or pre-staging instead.
//
// It is a domain package and does no input or output.
//
// Its model, of which everything can be worked out again by hand:
//
// One image at a time is brought to everybody, at all sites at once. Each client
// fetches the whole of a first delivery, or an update, from the repository of its
// instance, or from a mirror that stands on the way. Bytes flow over the links of
// the way (organization's Route), of which service.usable may be taken, and
// within the site over its network, of which the same share may be taken. A
// direction of a link carries all copies that anybody fetches over it, so what
// flows over it takes copies x bytes x 8 / usable bandwidth; a site is done when
// the slowest part of its way has carried all of its copies. That is exact where
// the sites behind a link have the same bottleneck, and never too short.
//
//   - Without neighbours a site with n clients takes n copies over the way.
//   - With neighbours it takes one copy over the way, and after that the other
//     n-1 over the network of the site; where that would take longer than without
//     neighbours (a slow network within the site), it takes as long as without.
//   - A mirror is filled with one copy over the way to it, and then gives n copies
//     to the clients behind it.
//   - What is pre-staged or comes on a medium does not load the links.
//
// Requests add a round trip each, once, since clients ask side by side. Where
// images are delivered in some hours of a day only, a time begins with the first
// of these hours and goes on the next day. A person who starts a workspace alone
// at an idle time waits for the part that the start needs, at any hour.
//
// The plan takes the least that meets the service levels, in this order: the
// network, with neighbours where they are on; a mirror; pre-staging; media.
package delivery

import (
	"context"

	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// Delivery is how images reach everybody.
type Delivery struct {
	Repositories []Repository `json:"repositories"`
	Sites        []Site       `json:"sites"`
	Clients      []Client     `json:"clients"`
	Warnings     []string     `json:"warnings,omitzero"`
}

// Repository is one store of images with its web server.
type Repository struct {
	Name  string `json:"name"`
	Place int    `json:"-"` // position of the site in the model
	Site  string `json:"site"`
	// Primary of its instances, or a mirror of Of.
	Of        string   `json:"of,omitzero"`
	Instances []string `json:"instances"`
	Serves    []string `json:"serves"` // sites
	Images    []string `json:"images"`
	Reasons   []string `json:"reasons"`
	Disk      int64    `json:"disk"` // bytes
	// Downloads at the same time and the bits a second that they need to meet the service level.
	Downloads int     `json:"downloads"`
	Bandwidth float64 `json:"bandwidth"`
	// Faults says what keeps it available.
	Faults  string          `json:"faults"`
	Figures []figure.Figure `json:"figures"`
}

// Site is how images reach the people of one instance at one site.
type Site struct {
	Place    int    `json:"-"` // position of the site in the model
	Site     string `json:"site"`
	Network  string `json:"network,omitzero"`
	Instance string `json:"instance"`
	// Repository that it fetches from, a mirror where there is one on the way; empty where there is no way to any.
	Repository string `json:"repository"`
	Clients    int    `json:"clients"` // that are on at the busiest time, travellers too
	// Downloads at the same time from that repository, with which the service levels are met: of all clients of this
	// site who take from it, those of other instances too.
	Downloads int `json:"downloads"`
	// Link is the narrowest usable bandwidth from the repository of the instance (not from a mirror of it) in bits a
	// second, Latency of a round trip in seconds.
	Link       float64                     `json:"link"`
	Latency    float64                     `json:"latency"`
	Way        organization.DeliveryChoice `json:"way"` // network, media or preStaged
	Neighbours bool                        `json:"neighbours"`
	Images     []Transfer                  `json:"images"`
	Reasons    []string                    `json:"reasons"`
}

// Transfer is one image at one site. Times are in seconds until everybody there
// has it, and -1 where no link leads there.
type Transfer struct {
	Image   string `json:"image"`
	Clients int    `json:"clients"`
	// First and Update are over the network when nobody has neighbours or a mirror, the next two when every site has neighbours.
	First            float64 `json:"first"`
	FirstNeighbours  float64 `json:"first_neighbours"`
	Update           float64 `json:"update"`
	UpdateNeighbours float64 `json:"update_neighbours"`
	// FirstPlanned and UpdatePlanned are by the ways that the plan chose for this site and all others; 0: the image is
	// there beforehand, pre-staged or from a medium.
	FirstPlanned  float64 `json:"first_planned"`
	UpdatePlanned float64 `json:"update_planned"`
	// One is for one person alone, over the network at an idle time, until the workspace starts.
	One float64 `json:"one"`
	// Met: by the way that the plan chose all service levels are met.
	Met     bool            `json:"met"`
	Missed  []Miss          `json:"missed,omitzero"`
	Figures []figure.Figure `json:"figures"`
}

// Miss is a service level that one image does not meet at one site.
type Miss struct {
	// Level is the field of organization.Service, as firstDelivery, loadImage or criticalUpdate.
	Level   string  `json:"level"`
	Seconds float64 `json:"seconds"` // that it takes
	Allowed float64 `json:"allowed"`
	Text    string  `json:"text"` // a sentence with both times
}

// Client is what the workspaces of some people take on their disks.
type Client struct {
	Workspaces []string        `json:"workspaces"`
	Users      int             `json:"users"`
	Disk       int64           `json:"disk"`
	Memory     int64           `json:"memory"`
	Fits       bool            `json:"fits"` // true where nothing was said to compare with
	Figures    []figure.Figure `json:"figures"`
}

// Deliver works out how images reach the people of a placement. It returns an
// error when ctx ends before it has.
func Deliver(ctx context.Context, m *organization.Model, p *placement.Placement) (*Delivery, error) {
	w := &work{Model: m, instances: p.Instances, filled: map[job][]bool{}, planLoads: map[job][]float64{}}
	w.stopped = func() bool { return ctx.Err() != nil }
	w.people()
	w.open()
	w.assign()
	w.settle()
	plan := w.choose()
	times := w.times(w.everywhere(false), w.everywhere(true), plan)
	out := &Delivery{Clients: clients(m), Warnings: w.warnings}
	all := w.outlets(plan)
	from := make([]string, len(w.places))
	for i := range all {
		if w.stopped() {
			break
		}
		out.Repositories = append(out.Repositories, w.repository(&all[i], all, plan))
		for _, p := range all[i].places {
			if w.places[p].way.ok {
				from[p] = all[i].name
			}
		}
	}
	for i := range w.rows {
		if w.stopped() {
			return nil, ctx.Err()
		}
		r := &w.rows[i]
		out.Sites = append(out.Sites, w.site(r, plan, times[r.place], from[r.place]))
	}
	return out, ctx.Err()
}

package organization

import (
	"slices"
	"time"

	"github.com/dormer-project/dormer/internal/document"
)

// Connected is the network of everybody who is in no isolated one.
const Connected = -1

// Model is an organization with all defaults filled in and all names resolved
// to positions in its lists: what the plan is worked out from. Nothing changes
// it.
type Model struct {
	Name, Description string
	Sites             []Place
	Groups            []Group
	Domains           []string
	Networks          []Network
	Lines             []Line
	Travel            []Trip
	Demands           []Demand
	Images            []Disk
	Workspaces        []Offer
	Service           Expected
	Events            Flow
	Consoles          []Desk
	Clients           Clients
	Capacity          Holds
	Growth            Rise
	Questions         []Question
	Observed          *Observed

	accepts [][]bool
	ways    *ways
	keys    *keys
}

// Place is a site.
type Place struct {
	Name, Country string
	Servers       bool
	LAN           document.Rate
	Neighbours    bool
	Delivery      DeliveryChoice
	Groups        []int // who works here
	Users, Active int   // of all groups
}

// Group is a crowd: people who are alike for everything that is planned.
type Group struct {
	Site, Domain  int
	Network       int // Connected, or a position in Model.Networks
	Department    string
	Users, Active int
	Path          string // of the field, as spec.sites[3].people[0]
}

// Line is a link with both directions.
type Line struct {
	From, To                int
	There, Back             document.Rate // from From to To, and the other way
	UsableThere, UsableBack document.Rate // the share of them that may be used
	Latency                 time.Duration // of a round trip
}

// Route is the way from one site to another of which no less may be used than
// of any other; of several ways that are as wide it is the quickest. The zero
// value is no way.
type Route struct {
	OK        bool
	Bandwidth document.Rate // of the narrowest link; within a site its LAN
	Usable    document.Rate // the narrowest usable share; within a site its LAN
	Latency   time.Duration // of a round trip
	last      *leg
}

// Lines are the links of the way in order; none within a site.
func (r Route) Lines() []int {
	var out []int
	for l := r.last; l != nil; l = l.before {
		out = append(out, l.line)
	}
	slices.Reverse(out)
	return out
}

// Trip is people of one site at another one.
type Trip struct {
	From, To, Users, Days int
}

// Demand is a separation.
type Demand struct {
	Name    string
	Kind    SeparationKind
	Groups  []int // whom it is about, ascending
	Country string
	Alone   bool // nobody else on their instances
	Reason  string
	Path    string
}

// Disk is an image. Sizes are in bytes.
type Disk struct {
	Name                 string
	Packed, Used, Update int64
	Every                time.Duration
	Versions             int
	Base                 int     // position of the base; -1 none
	Shared               float64 // share of Packed that it has in common with its base
	System               string
	Path                 string
}

// Offer is a workspace.
type Offer struct {
	Name       string
	Image      int
	Policies   int
	Offline    Offline
	Persistent bool
	Machine    int64 // bytes of a machine's own changes
	Data       int64 // bytes of the data disk
	Critical   bool
	Gets       []Part // who gets it
	Path       string
}

// Part is some of the people of a group.
type Part struct {
	Group, Users, Active int
}

// Expected is what people may expect.
type Expected struct {
	FirstDelivery, LoadImage, CriticalUpdate time.Duration
	Report, ReportOutage                     time.Duration
	Restore, Backup, Loss                    time.Duration
	Usable                                   float64 // share of a link
	Neighbours                               bool
	DeliveryHours                            int
	Poll                                     time.Duration
}

// Flow is what is known about events.
type Flow struct {
	PerDay, Bytes    int
	Keep             time.Duration
	Bursts, Overhead float64 // safety factors on top: 0.5 is half as much again
	Hours            int
	Database         Database
	Place            DatabasePlace
	Site             int // of a remote database; -1: that of the server
	ShareOne         bool
}

// Desk is a place of operators.
type Desk struct {
	Site, Operators, Reports int // Reports an hour of one operator
	Images                   bool
}

// Holds is what one instance holds.
type Holds struct {
	Clients  int
	Measured bool // on the hardware below; else the classic guide's
	Hardware string
	Cores    int
	Memory   int64 // bytes
}

// Rise is how the number of people changes.
type Rise struct {
	Yearly float64 // share a year
	Years  int
}

// Accepts reports whether a server that stands in domain d takes sign-ins of
// people of domain of: its own, its forest's, and those it trusts.
func (m *Model) Accepts(d, of int) bool { return m.accepts[d][of] }

// Route is the way of what flows from one site to another. It may be called
// from several goroutines at once.
func (m *Model) Route(from, to int) Route { return m.ways.route(m, from, to) }

// Seats lists the sites where a server for people of a network may stand,
// ascending: servers are allowed there, people of an isolated network are there,
// or, for Connected, the site is not given over to isolated networks; and it is
// in the country, where one is named.
func (m *Model) Seats(network int, country string) []int {
	var out []int
	for i, p := range m.Sites {
		if !p.Servers || country != "" && p.Country != country {
			continue
		}
		here := slices.ContainsFunc(p.Groups, func(g int) bool { return m.Groups[g].Network == network })
		if here || network == Connected && len(p.Groups) == 0 {
			out = append(out, i)
		}
	}
	return out
}

// Users and Active are those of everybody.
func (m *Model) Users() (users, active int) {
	for _, g := range m.Groups {
		users, active = users+g.Users, active+g.Active
	}
	return users, active
}

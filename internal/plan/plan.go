// Package plan works out the infrastructure of an organization: how many
// instances and why, what each needs, where it goes, how images reach people,
// and what an outage costs.
//
// It is a domain package and does no input or output. Its parts are packages
// below it: organization (what goes in), placement, sizing, delivery,
// simulation, figure, and design (what people read).
package plan

import (
	"github.com/dormer-project/dormer/internal/plan/delivery"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/simulation"
	"github.com/dormer-project/dormer/internal/plan/sizing"
)

// Plan is the whole answer. As JSON it is what dormer plan --json prints and
// the API returns: fields are added and never change their meaning.
type Plan struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitzero"`
	Scope       Scope    `json:"scope"`
	Capacity    Capacity `json:"capacity"`
	placement.Placement
	Sizing   []sizing.Instance `json:"sizing"` // in the order of Instances
	Delivery delivery.Delivery `json:"delivery"`
	// Growth is how many more people there are a year, as a share of one.
	Growth    float64                 `json:"growth"`
	Years     []Year                  `json:"years"`
	Questions []organization.Question `json:"questions"` // with answers, the open ones first
	Warnings  []Warning               `json:"warnings,omitzero"`
	Observed  *organization.Observed  `json:"observed,omitzero"`
	// Simulation is what came out when it was played, for whom asked for that:
	// Compute leaves it empty.
	Simulation *simulation.Result `json:"simulation,omitzero"`
}

// Capacity is how many clients one instance holds.
type Capacity struct {
	Clients  int    `json:"clients"`
	Measured bool   `json:"measured"` // else the classic guide's
	Hardware string `json:"hardware,omitzero"`
}

// Scope is what the plan is about.
type Scope struct {
	Sites      []ScopeSite     `json:"sites"`
	Links      []ScopeLink     `json:"links,omitzero"`
	Travel     []ScopeTravel   `json:"travel,omitzero"`
	Levels     []ServiceLevel  `json:"service_levels"`
	Workspaces []ScopeOffer    `json:"workspaces"`
	Figures    []figure.Figure `json:"figures"` // totals
}

// ScopeSite is the people of a site.
type ScopeSite struct {
	Site    string `json:"site"`
	Country string `json:"country,omitzero"`
	Users   int    `json:"users"`
	Active  int    `json:"active"`
	// Domains that its people are in, and the isolated networks.
	Domains  []string `json:"domains,omitzero"`
	Networks []string `json:"networks,omitzero"`
}

// ScopeLink is a link between two sites.
type ScopeLink struct {
	From      string  `json:"from"`
	To        string  `json:"to"`
	Bandwidth float64 `json:"bandwidth"` // bits a second from From to To
	Back      float64 `json:"back"`      // and the other way
	Usable    float64 `json:"usable"`    // of Bandwidth, for Dormer
	Latency   float64 `json:"latency"`   // seconds of a round trip
}

// ScopeTravel is people away from home, with what that means for them.
type ScopeTravel struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Users int    `json:"users"`
	Days  int    `json:"days"`
	Text  string `json:"text"`
}

// ServiceLevel is one expectation and whether the plan meets it.
type ServiceLevel struct {
	// Name is the field of the file's service, as firstDelivery, or outage.
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Seconds float64 `json:"seconds"` // that were asked for
	Met     bool    `json:"met"`
	Text    string  `json:"text"`
}

// ScopeOffer is a workspace and how many people get it.
type ScopeOffer struct {
	Workspace  string `json:"workspace"`
	Image      string `json:"image"`
	Users      int    `json:"users"`
	Active     int    `json:"active"`
	Offline    string `json:"offline"`
	Persistent bool   `json:"persistent"`
}

// Year is what holds after some years of growth.
type Year struct {
	Year       int   `json:"year"` // 0 is now
	Users      int   `json:"users"`
	Active     int   `json:"active"`
	Instances  int   `json:"instances"`
	Classic    int   `json:"classic"`
	Events     int64 `json:"events"`     // bytes of all events databases
	Repository int64 `json:"repository"` // bytes of all repositories
}

// Warning is something that an architect should look at.
type Warning struct {
	// Path is a field of the file; empty for what came out of the plan.
	Path string `json:"path,omitzero"`
	Text string `json:"text"`
}

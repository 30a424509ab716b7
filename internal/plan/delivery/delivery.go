// Package delivery says how images reach people: which repositories there are
// and where, what they hold, how long a first delivery and an update take at
// each site, and which sites need media or pre-staging instead.
//
// It is a domain package and does no input or output.
package delivery

import (
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
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
	Name string `json:"name"`
	Site string `json:"site"`
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
	Site       string `json:"site"`
	Network    string `json:"network,omitzero"`
	Instance   string `json:"instance"`
	Repository string `json:"repository"`
	Clients    int    `json:"clients"` // that are on at the busiest time, travellers too
	// Link is the narrowest usable bandwidth to the repository in bits a second, Latency of a round trip in seconds.
	Link    float64                     `json:"link"`
	Latency float64                     `json:"latency"`
	Way     organization.DeliveryChoice `json:"way"` // network, media or preStaged
	Peers   bool                        `json:"neighbours"`
	Images  []Transfer                  `json:"images"`
	Reasons []string                    `json:"reasons"`
}

// Transfer is one image at one site. Times are in seconds, first without and
// then with neighbours; Met is by the way that the plan chose.
type Transfer struct {
	Image           string          `json:"image"`
	Clients         int             `json:"clients"`
	First           float64         `json:"first"`
	FirstNeighbours float64         `json:"firstNeighbours"`
	Update          float64         `json:"update"`
	UpdateNeighbour float64         `json:"updateNeighbours"`
	One             float64         `json:"one"` // one person alone, at an idle time, until the workspace starts
	Met             bool            `json:"met"`
	Missed          []Miss          `json:"missed,omitzero"`
	Figures         []figure.Figure `json:"figures"`
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

// Package placement says how many instances an organization needs, which, and
// why: by the procedure of the classic guide, and as the smallest set that
// satisfies all conditions.
//
// It is a domain package and does no input or output.
//
// A server stands in one domain and serves people whom that domain accepts:
// its own, and those of the domains that it trusts. A trust in one direction is
// enough, if the server stands on the side that trusts. Domains whose people one
// domain accepts, be it theirs or another one, are a group; of all ways to
// divide domains into groups the one with fewest counts. The assumed instance of
// the guide stands in the group of the first domain with people, and each other
// group is one that does not trust it.
//
// Its words: a circle is people whom networks and separations keep apart from
// all others; a party are those of them who are alike in domain and country. A
// kind of instance is a domain that it stands in, with the country where it must
// stand; it decides which parties it may serve.
//
// The smallest set is found by counting kinds: people can be dealt out exactly
// where for each set of parties the instances that may serve any of them hold all
// of these (a maximum flow says which set lacks room). Numbers grow from one that
// is surely needed until one suffices, so that the first answer is the smallest.
package placement

// Condition is a kind of reason for instances.
type Condition string

// The conditions, in the order in which the classic guide counts them.
const (
	Assumed      Condition = "assumed"  // there is always one
	Capacity     Condition = "capacity" // concurrently active clients
	Domain       Condition = "domain"   // no trust
	Network      Condition = "network"  // isolated
	Organization Condition = "organization"
	Law          Condition = "law"
)

// Step is one row of the classic count.
type Step struct {
	Condition Condition `json:"condition"`
	// About names the domain, network or separation; empty for Assumed and Capacity.
	About string `json:"about,omitzero"`
	// Adds is how many instances the condition adds.
	Adds int `json:"adds"`
	// Numbers is how it was counted, as "ceil((12,700 - 5,000) / 5,000)"; Reason is a sentence.
	Numbers string `json:"numbers"`
	Reason  string `json:"reason"`
}

// Classic is the number of instances by the procedure of the classic guide.
type Classic struct {
	Count int    `json:"count"`
	Steps []Step `json:"steps"`
}

// Reason is why an instance exists and is not one with another.
type Reason struct {
	Condition Condition `json:"condition"`
	About     string    `json:"about,omitzero"`
	Text      string    `json:"text"`
}

// Part is some people of one group who are served by an instance.
type Part struct {
	Group      int    `json:"-"` // position in the model
	Site       string `json:"site"`
	Domain     string `json:"domain"`
	Network    string `json:"network,omitzero"`
	Department string `json:"department,omitzero"`
	Users      int    `json:"users"`
	Active     int    `json:"active"`
}

// Instance is one instance of the placement.
type Instance struct {
	Name string `json:"name"`
	// Site is where the server stands: of the sites that the conditions allow the
	// one with the best links to its clients; Seat is why, with the figures of its links.
	Site     int    `json:"-"`
	SiteName string `json:"site"`
	Seat     string `json:"seat"`
	// Domain that the server is in; Accepts are the domains of its people.
	Domain  string   `json:"domain"`
	Accepts []string `json:"accepts"`
	// Network is organization.Connected or a position in the model.
	Network     int    `json:"-"`
	NetworkName string `json:"network,omitzero"`
	// Country that its server, databases and repository must stay in; empty: any.
	Country string   `json:"country,omitzero"`
	Parts   []Part   `json:"parts"`
	Users   int      `json:"users"`
	Active  int      `json:"active"`
	Reasons []Reason `json:"reasons"`
}

// Split says which condition keeps two instances from being one.
type Split struct {
	Between   [2]string `json:"between"` // names of instances
	Condition Condition `json:"condition"`
	About     string    `json:"about,omitzero"`
	Text      string    `json:"text"`
}

// Placement is the smallest set of instances.
type Placement struct {
	Classic   Classic    `json:"classic"`
	Instances []Instance `json:"instances"`
	// Smallest: it was proven that fewer do not satisfy the conditions.
	Smallest bool    `json:"smallest"`
	Splits   []Split `json:"splits"`
	// Difference explains why the two answers differ, or agree for other reasons;
	// empty where they agree.
	Difference []string `json:"difference,omitzero"`
}

// Change is what one condition more or less would do.
type Change struct {
	// What is the condition, as "if lab.example.test were trusted by corp.example.test".
	What string `json:"what"`
	// Instances and Classic are the numbers then; no instances where it cannot be.
	Instances int    `json:"instances"`
	Classic   int    `json:"classic"`
	Text      string `json:"text"`
}

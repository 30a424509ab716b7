package simulation

import "github.com/dormer-project/dormer/internal/plan/figure"

// Result is what came out. Times are in seconds; those without another
// beginning are counted from Result.From on.
type Result struct {
	Seed      uint64     `json:"seed"`
	From      float64    `json:"from"` // seconds after midnight
	Length    float64    `json:"length"`
	Sample    Sample     `json:"sample"`
	Instances []Instance `json:"instances"` // in the order of the placement
	Rollout   *Progress  `json:"rollout,omitzero"`
	Checks    []Check    `json:"checks"`
}

// Sample is how many clients were played.
type Sample struct {
	Clients int `json:"clients"`
	Played  int `json:"played"`
}

// Instance is how an instance fared.
type Instance struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
	Played  int    `json:"played"`
	Cores   int    `json:"cores"`
	// Step is the time between two points.
	Step   float64 `json:"step"`
	Points []Point `json:"points"`
	// Most is the largest value of each series.
	Most   Point  `json:"most"`
	Answer Answer `json:"answer"`
	// Counts of the whole time: Created = Stored + Journalled + Lost but for
	// rounding of samples. Polls are those that were answered, Failed those that
	// were not.
	Polls      int64 `json:"polls"`
	Failed     int64 `json:"failed"`
	Created    int64 `json:"created"`
	Stored     int64 `json:"stored"`
	Journalled int64 `json:"journalled"` // still on clients at the end
	Lost       int64 `json:"lost"`       // since journals were full
	// Outages in the order of their time.
	Outages []Recovery `json:"outages,omitzero"`
}

// Point is what held in one step of time. At is its end.
type Point struct {
	At     float64 `json:"at"`
	Polls  float64 `json:"polls"`  // answered a second
	Events float64 `json:"events"` // stored a second
	Online float64 `json:"online"` // clients in touch with the server, at the end
	Load   float64 `json:"load"`   // share of the processors
	Held   float64 `json:"held"`   // events in journals of clients, at the end
}

// Answer is how long clients waited for answers to polls.
type Answer struct {
	Middle float64 `json:"p50"`
	Most   float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// Recovery is an outage and how it ended.
type Recovery struct {
	Start  float64 `json:"start"`
	Length float64 `json:"length"`
	// Backlog is how many events came together in journals meanwhile, not
	// counting those that were there before.
	Backlog int64 `json:"backlog"`
	// LastBack is when the last client was in touch again, and Drained when all
	// that had been kept was stored, from the server's return on; -1: not within
	// the simulated time.
	LastBack float64 `json:"last_back"`
	Drained  float64 `json:"drained"`
	// Stopped are the workspaces that people could not go on with.
	Stopped []Stopped `json:"stopped,omitzero"`
}

// Stopped is the people whose workspace reached its off-line limit.
type Stopped struct {
	Workspace string `json:"workspace"`
	Users     int    `json:"users"`
	// First is when the first of them was stopped, from the outage's start on.
	First float64 `json:"first"`
	Hours float64 `json:"hours"` // of all of them together
}

// Progress is how a roll-out went. Its times are counted from its start on, and
// hours without delivery count.
type Progress struct {
	Image  string     `json:"image,omitzero"` // empty: all
	First  bool       `json:"first"`
	Sites  []Arrival  `json:"sites"`
	Lines  []Load     `json:"lines,omitzero"` // the busiest first
	Points []Reached  `json:"points"`
	All    float64    `json:"all"` // when the last client had everything
	Left   []LeftOver `json:"left,omitzero"`
}

// Arrival is when the clients of one site and instance had an image.
type Arrival struct {
	Site     string  `json:"site"`
	Network  string  `json:"network,omitzero"`
	Instance string  `json:"instance"`
	Image    string  `json:"image"`
	Clients  int     `json:"clients"`
	Bytes    int64   `json:"bytes"` // of each
	Half     float64 `json:"p50"`
	Most     float64 `json:"p90"`
	All      float64 `json:"p100"`
	// Narrow is what held it up at its end: the narrowest place of its way.
	Narrow string `json:"narrow"`
}

// Load is what a roll-out brings to one direction of a link, or to the network
// within a site.
type Load struct {
	From  string  `json:"from"`
	To    string  `json:"to"` // that of From: within the site
	Bytes float64 `json:"bytes"`
	// Busy is when it carried the last of it; Share how much of what it may carry
	// until then was used.
	Busy  float64 `json:"busy"`
	Share float64 `json:"share"`
}

// Reached is the share of all deliveries that had arrived by a time.
type Reached struct {
	At    float64 `json:"at"`
	Share float64 `json:"share"`
}

// LeftOver is the clients of a site that a roll-out over the network leaves out.
type LeftOver struct {
	Site     string `json:"site"`
	Instance string `json:"instance"`
	Reason   string `json:"reason"`
}

// Check is a closed formula beside what came out of the simulation.
type Check struct {
	// Figure is the closed formula.
	figure.Figure
	// About names the instance, or the site with its instance and image.
	About     string  `json:"about"`
	Simulated float64 `json:"simulated"`
	// Deviation is by which share of the closed value the simulated one is off.
	Deviation float64 `json:"deviation"`
	// Tolerance is how far it may be off. Where AtMost is true the formula is an
	// upper bound, and less is always right.
	Tolerance float64 `json:"tolerance"`
	AtMost    bool    `json:"at_most,omitzero"`
	Within    bool    `json:"within"`
}

// held holds a simulated value against a closed formula.
func held(f figure.Figure, about string, simulated, tolerance float64, atMost bool) Check {
	c := Check{Figure: f, About: about, Simulated: tidy(simulated), Tolerance: tidy(tolerance), AtMost: atMost}
	switch {
	case f.Value != 0:
		c.Deviation = (simulated - f.Value) / f.Value
	case simulated != 0:
		c.Deviation = 1
	}
	c.Within = c.Deviation <= tolerance && (atMost || c.Deviation >= -tolerance)
	c.Deviation = tidy(c.Deviation)
	return c
}

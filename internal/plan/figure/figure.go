// Package figure is the numbers of a plan, each with the formula that it comes
// from, so that people can work it out again by hand.
//
// It is a domain package and does no input or output.
package figure

// Unit is what a number counts.
type Unit string

// The units of figures.
const (
	Count    Unit = ""
	Clients  Unit = "clients"
	Size     Unit = "bytes"
	Memory   Unit = "bytes of memory" // written in binary units, as it is sold
	Seconds  Unit = "seconds"
	PerSec   Unit = "1/s"
	BitsASec Unit = "bit/s"
	Cores    Unit = "cores"
	Share    Unit = "share" // 1 is all
)

// Basis is where a formula comes from.
type Basis string

// The bases of formulas.
const (
	Classic    Basis = "classic"    // the guide of the classic suite
	Measured   Basis = "measured"   // on Dormer itself; Source says how
	Assumption Basis = "assumption" // said so in Source
	Derived    Basis = "derived"    // follows from others
)

// Guide begins the source of what comes from the classic guide itself.
const Guide = "the guide of the classic suite"

// Figure is one number of a plan.
type Figure struct {
	// Name tells figures apart in JSON and comparisons, as events.bytes. It never changes.
	Name string `json:"name"`
	// Title is for people.
	Title string  `json:"title"`
	Value float64 `json:"value"`
	Unit  Unit    `json:"unit"`
	// Formula is in words, as "clients x events a day x bytes x days".
	Formula string `json:"formula,omitzero"`
	// Numbers is the formula with the numbers of this plan, as "5,000 x 20 x 200 B x 365".
	Numbers string `json:"numbers,omitzero"`
	Basis   Basis  `json:"basis,omitzero"`
	// Source says where a constant of the formula comes from.
	Source string `json:"source,omitzero"`
}

// Find returns the figure of that name, and none where there is no such figure.
func Find(list []Figure, name string) Figure {
	for _, f := range list {
		if f.Name == name {
			return f
		}
	}
	return Figure{}
}

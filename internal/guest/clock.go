package guest

import (
	"regexp"
	"time"

	"github.com/dormer-project/dormer"
)

// closeEnough is a difference of clocks that is not worth a step.
const closeEnough = 200 * time.Millisecond

// zonePattern is the form of names in the IANA database: no dots, so that none
// leads out of its folder.
var zonePattern = regexp.MustCompile(`^[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}$`)

// Clocks that are set to outside of these years are wrong.
const (
	firstYear = 2020
	lastYear  = 2200
)

func checkClock(t time.Time) error {
	if y := t.UTC().Year(); y < firstYear || y > lastYear {
		return dormer.Invalidf("time", "must be between the years %d and %d", firstYear, lastYear)
	}
	return nil
}

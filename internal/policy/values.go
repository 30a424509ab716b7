package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones in documents are known whatever the host has installed

	"github.com/dormer-project/dormer/internal/document"
)

// errForm is replaced by a message that names the form; it is never shown.
var errForm = errors.New("wrong form")

// Duration is a length of time, written as 30m, 8h or 3d (a day is 24 hours).
type Duration = document.Duration

// Size is an amount of memory or disk in bytes, written as 512MiB or 4GiB.
type Size = document.Size

// The units of sizes.
const (
	MiB = document.MiB
	GiB = document.GiB
	TiB = document.TiB
)

// Date is a day, written as 2027-03-31, optionally with a time zone after it:
// 2027-03-31 Europe/Berlin. It stands for the end of that day.
type Date struct {
	Year, Day int
	Month     time.Month
	// Zone is a name of the IANA time zone database, or empty: the zone of
	// the instance.
	Zone string
}

var dateForm = regexp.MustCompile(`^([0-9]{4})-([0-9]{2})-([0-9]{2})( [A-Za-z][A-Za-z0-9_+/-]{0,59})?$`)

// ParseDate reads a day with an optional zone.
func ParseDate(s string) (Date, error) {
	m := dateForm.FindStringSubmatch(s)
	if m == nil {
		return Date{}, errForm
	}
	t, err := time.Parse(time.DateOnly, s[:10])
	if err != nil || t.Year() < 1970 {
		return Date{}, errForm
	}
	d := Date{Year: t.Year(), Month: t.Month(), Day: t.Day(), Zone: strings.TrimPrefix(m[4], " ")}
	if d.Zone == "Local" {
		return Date{}, errForm
	}
	if d.Zone != "" {
		if _, err := time.LoadLocation(d.Zone); err != nil {
			return Date{}, errForm
		}
	}
	return d, nil
}

// String returns the form that ParseDate reads.
func (d Date) String() string {
	s := fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
	if d.Zone != "" {
		s += " " + d.Zone
	}
	return s
}

// End returns the first instant after the day: 24:00 in its own zone, or in
// instance when it names none.
func (d Date) End(instance *time.Location) (time.Time, error) {
	zone := instance
	if d.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(d.Zone); err != nil {
			return time.Time{}, fmt.Errorf("end of a date: %w", err)
		}
	}
	end := time.Date(d.Year, d.Month, d.Day+1, 0, 0, 0, 0, zone)
	if end.Day() == d.Day {
		// Clocks skip midnight there, and an hour before it was taken.
		_, end = end.ZoneBounds()
	}
	return end, nil
}

// MarshalText writes the form that ParseDate reads.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDate reads.
func (d *Date) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDate(string(b))
	return err
}

// Form describes the form in words.
func (Date) Form() string {
	return "a day such as 2027-03-31, optionally with a time zone as in 2027-03-31 Europe/Berlin"
}

// Pattern is a regular expression that every such text matches.
func (Date) Pattern() string { return dateForm.String() }

// TimeOfDay is minutes after midnight, written as 02:30.
type TimeOfDay int

var timeForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)

// String returns the form 02:30.
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// MarshalText writes the form 02:30.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the form 02:30.
func (t *TimeOfDay) UnmarshalText(b []byte) error {
	m := timeForm.FindStringSubmatch(string(b))
	if m == nil {
		return errForm
	}
	hours, err := strconv.Atoi(m[1])
	if err != nil {
		return errForm
	}
	minutes, err := strconv.Atoi(m[2])
	if err != nil {
		return errForm
	}
	*t = TimeOfDay(hours*60 + minutes)
	return nil
}

// Form describes the form in words.
func (TimeOfDay) Form() string { return "a time of day such as 02:30" }

// Pattern is a regular expression that every such text matches.
func (TimeOfDay) Pattern() string { return timeForm.String() }

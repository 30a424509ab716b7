package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones in documents are known whatever the host has installed
)

// enumerated is implemented by every type with a closed list of values.
type enumerated interface{ values() []string }

// written is implemented by values that are written as text of a fixed form.
type written interface {
	// form describes the form in words, for messages and the reference.
	form() string
	// pattern is a regular expression that every such text matches.
	pattern() string
}

// Duration is a length of time, written as 30m, 8h or 3d (a day is 24 hours).
type Duration time.Duration

// errForm is replaced by a message that names the form; it is never shown.
var errForm = errors.New("wrong form")

const maxDuration = 10 * 366 * 24 * time.Hour

var durationUnits = []struct {
	letter byte
	unit   time.Duration
}{{'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

var durationForm = regexp.MustCompile(`^([0-9]{1,9}[dhms])+$`)

// ParseDuration reads 30m, 8h, 3d, or 1d12h with the units descending.
func ParseDuration(s string) (Duration, error) {
	if len(s) > 40 || !durationForm.MatchString(s) {
		return 0, errForm
	}
	var total time.Duration
	last := -1
	for s != "" {
		end := strings.IndexAny(s, "dhms")
		n, err := strconv.ParseInt(s[:end], 10, 64)
		if err != nil {
			return 0, errForm
		}
		for i, u := range durationUnits {
			if u.letter != s[end] {
				continue
			}
			if i <= last || n > int64(maxDuration/u.unit) {
				return 0, errForm
			}
			last = i
			total += time.Duration(n) * u.unit
		}
		s = s[end+1:]
	}
	if total > maxDuration {
		return 0, errForm
	}
	return Duration(total), nil
}

// String returns the canonical form: one number with the largest unit that
// divides it.
func (d Duration) String() string {
	for _, u := range durationUnits {
		if d != 0 && time.Duration(d)%u.unit == 0 {
			return fmt.Sprintf("%d%c", time.Duration(d)/u.unit, u.letter)
		}
	}
	return fmt.Sprintf("%ds", time.Duration(d)/time.Second)
}

// Duration returns d as the standard library has it.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

// MarshalText writes the canonical form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

func (Duration) form() string    { return "a length of time such as 30m, 8h or 3d" }
func (Duration) pattern() string { return `^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$` }

// Size is an amount of memory or disk in bytes, written as 512MiB or 4GiB.
type Size int64

// The units of sizes.
const (
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

var sizeUnits = []struct {
	name string
	unit Size
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}}

var sizeForm = regexp.MustCompile(`^([0-9]{1,9})(MiB|GiB|TiB)$`)

// ParseSize reads a whole number with MiB, GiB or TiB.
func ParseSize(s string) (Size, error) {
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errForm
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, errForm
	}
	for _, u := range sizeUnits {
		if u.name == m[2] {
			if n > int64(1024*TiB/u.unit) {
				return 0, errForm
			}
			return Size(n) * u.unit, nil
		}
	}
	return 0, errForm
}

// String returns the canonical form: the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.unit == 0 {
			return fmt.Sprintf("%d%s", s/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%dMiB", s/MiB)
}

// MiB returns the size in whole MiB.
func (s Size) MiB() int { return int(s / MiB) }

// MarshalText writes the canonical form.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSize reads.
func (s *Size) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSize(string(b))
	return err
}

func (Size) form() string    { return "a size such as 512MiB, 4GiB or 1TiB" }
func (Size) pattern() string { return sizeForm.String() }

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

func (Date) form() string {
	return "a day such as 2027-03-31, optionally with a time zone as in 2027-03-31 Europe/Berlin"
}
func (Date) pattern() string { return dateForm.String() }

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

func (TimeOfDay) form() string    { return "a time of day such as 02:30" }
func (TimeOfDay) pattern() string { return timeForm.String() }

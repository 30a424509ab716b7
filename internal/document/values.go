package document

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// errForm is replaced by a message that names the form; it is never shown.
var errForm = errors.New("wrong form")

// Duration is a length of time, written as 30m, 8h or 3d (a day is 24 hours).
type Duration time.Duration

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

// Form describes the form in words.
func (Duration) Form() string { return "a length of time such as 30m, 8h or 3d" }

// Pattern is a regular expression that every such text matches.
func (Duration) Pattern() string { return `^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$` }

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

// parseSize reads a whole number with MiB, GiB or TiB.
func parseSize(s string) (Size, error) {
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

// UnmarshalText reads what parseSize reads.
func (s *Size) UnmarshalText(b []byte) (err error) {
	*s, err = parseSize(string(b))
	return err
}

// Form describes the form in words.
func (Size) Form() string { return "a size such as 512MiB, 4GiB or 1TiB" }

// Pattern is a regular expression that every such text matches.
func (Size) Pattern() string { return sizeForm.String() }

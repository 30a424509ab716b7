package document

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Rate is a bandwidth in bits a second, written as 512kbit/s, 10Mbit/s or
// 2.5Gbit/s, in decimal units. Zero stands for not set where a field is left
// out.
type Rate int64

// The units of rates.
const (
	Kbit Rate = 1e3
	Mbit Rate = 1e6
	Gbit Rate = 1e9
)

const maxRate = 1_000_000 * Gbit

var rateUnits = []struct {
	name string
	unit Rate
}{{"Gbit/s", Gbit}, {"Mbit/s", Mbit}, {"kbit/s", Kbit}}

var rateForm = regexp.MustCompile(`^([0-9]{1,9})(\.([0-9]{1,3}))?([kMG]bit/s)$`)

// parseRate reads a number of at most three decimal places with kbit/s, Mbit/s
// or Gbit/s.
func parseRate(s string) (Rate, error) {
	m := rateForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errForm
	}
	whole, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, errForm
	}
	thousandths, err := strconv.ParseInt((m[3] + "000")[:3], 10, 64)
	if err != nil {
		return 0, errForm
	}
	for _, u := range rateUnits {
		if u.name != m[4] {
			continue
		}
		if whole > int64(maxRate/u.unit) {
			return 0, errForm
		}
		r := Rate(whole)*u.unit + Rate(thousandths)*u.unit/1000
		if r > maxRate {
			return 0, errForm
		}
		return r, nil
	}
	return 0, errForm
}

// String returns the canonical form: the largest unit of which it is at least
// one and that needs no more than three decimal places.
func (r Rate) String() string {
	for _, u := range rateUnits {
		if r < u.unit || r%(u.unit/1000) != 0 {
			continue
		}
		text := strconv.FormatInt(int64(r/u.unit), 10)
		if rest := int64(r % u.unit / (u.unit / 1000)); rest > 0 {
			text += "." + trimZeros(fmt.Sprintf("%03d", rest))
		}
		return text + u.name
	}
	if r <= 0 {
		return "0kbit/s"
	}
	return "0." + trimZeros(fmt.Sprintf("%03d", int64(r%Kbit))) + "kbit/s"
}

func trimZeros(s string) string {
	for s != "" && s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	return s
}

// MarshalText writes the canonical form.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what parseRate reads.
func (r *Rate) UnmarshalText(b []byte) (err error) {
	*r, err = parseRate(string(b))
	return err
}

// Form describes the form in words.
func (Rate) Form() string { return "a bandwidth such as 512kbit/s, 10Mbit/s or 2.5Gbit/s" }

// Pattern is a regular expression that every such text matches.
func (Rate) Pattern() string { return rateForm.String() }

// Latency is the time of a round trip, written as 40ms, 1500us or 2s. Zero
// stands for not set where a field is left out.
type Latency time.Duration

const maxLatency = time.Hour

var latencyUnits = []struct {
	name string
	unit time.Duration
}{{"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}}

var latencyForm = regexp.MustCompile(`^([0-9]{1,10})(us|ms|s)$`)

// parseLatency reads a whole number with us, ms or s.
func parseLatency(s string) (Latency, error) {
	m := latencyForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errForm
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, errForm
	}
	for _, u := range latencyUnits {
		if u.name == m[2] && n <= int64(maxLatency/u.unit) {
			return Latency(time.Duration(n) * u.unit), nil
		}
	}
	return 0, errForm
}

// String returns the canonical form: the largest unit that divides it.
func (l Latency) String() string {
	for _, u := range latencyUnits {
		if l != 0 && time.Duration(l)%u.unit == 0 {
			return fmt.Sprintf("%d%s", time.Duration(l)/u.unit, u.name)
		}
	}
	return fmt.Sprintf("%dms", time.Duration(l)/time.Millisecond)
}

// Duration returns l as the standard library has it.
func (l Latency) Duration() time.Duration { return time.Duration(l) }

// MarshalText writes the canonical form.
func (l Latency) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what parseLatency reads.
func (l *Latency) UnmarshalText(b []byte) (err error) {
	*l, err = parseLatency(string(b))
	return err
}

// Form describes the form in words.
func (Latency) Form() string { return "a time of a round trip such as 40ms" }

// Pattern is a regular expression that every such text matches.
func (Latency) Pattern() string { return latencyForm.String() }

// Percent is a share or a factor in per cent, written as 30%, from 0% to
// 1000%. Fields where 0% is something else than not set are pointers.
type Percent int

const maxPercent = 1000

var percentForm = regexp.MustCompile(`^([0-9]{1,4})%$`)

// parsePercent reads a whole number followed by %.
func parsePercent(s string) (Percent, error) {
	m := percentForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errForm
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > maxPercent {
		return 0, errForm
	}
	return Percent(n), nil
}

// String returns the form that parsePercent reads.
func (p Percent) String() string { return strconv.Itoa(int(p)) + "%" }

// MarshalText writes the form that parsePercent reads.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what parsePercent reads.
func (p *Percent) UnmarshalText(b []byte) (err error) {
	*p, err = parsePercent(string(b))
	return err
}

// Form describes the form in words.
func (Percent) Form() string { return "a share in per cent such as 30%" }

// Pattern is a regular expression that every such text matches.
func (Percent) Pattern() string { return percentForm.String() }

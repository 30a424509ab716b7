package figure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Number writes a number for people: 12,400, and with four digits that count
// where it is no whole one, as 1.157.
func Number[T number](n T) string { return digits(float64(n), 4) }

// Counted writes a number with its noun: 1 client, 12,400 clients.
func Counted[T number](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// List writes names as people say them, A, B and C; of many the first: A, B
// and 12 more.
func List(names []string, most int) string {
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return names[0]
	case n <= most+1:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	default:
		return strings.Join(names[:most], ", ") + " and " + Number(n-most) + " more"
	}
}

// digits writes n with so many digits that count, and never fewer than its
// whole part has.
func digits(n float64, count int) string {
	switch {
	case math.IsInf(n, 0) || math.IsNaN(n):
		return "without limit"
	case n < 0:
		return "-" + digits(-n, count)
	case n == math.Trunc(n) && n < 1e15:
		return grouped(strconv.FormatFloat(n, 'f', 0, 64))
	}
	places := 0
	if n > 0 {
		places = max(count-1-int(math.Floor(math.Log10(n))), 0)
	}
	if places > 9 {
		return strconv.FormatFloat(n, 'g', count, 64)
	}
	s := strconv.FormatFloat(n, 'f', places, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	whole, rest, some := strings.Cut(s, ".")
	if some {
		return grouped(whole) + "." + rest
	}
	return grouped(whole)
}

// grouped puts commas between thousands.
func grouped(whole string) string {
	var b strings.Builder
	for i, r := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// scaled writes n in the largest unit in which it is at least one, with three
// digits that count.
func scaled(n, step float64, units ...string) string {
	if n < 0 {
		return "-" + scaled(-n, step, units...)
	}
	for _, u := range units[:len(units)-1] {
		if s := digits(n, 3); n < step && (n < step/2 || s != digits(step, 3)) {
			return s + " " + u
		}
		n /= step
	}
	return digits(n, 3) + " " + units[len(units)-1]
}

// Bytes writes a size in decimal units, as the classic guide counts: 7.3 GB
// are 7,300,000,000 bytes.
func Bytes(n float64) string { return scaled(n, 1000, "B", "kB", "MB", "GB", "TB", "PB") }

// Binary writes a size in binary units, as people write them in files: 4 GiB.
func Binary(n float64) string { return scaled(n, 1024, "B", "KiB", "MiB", "GiB", "TiB", "PiB") }

// Rate writes bits a second, as 100 Mbit/s.
func Rate(bits float64) string {
	return scaled(bits, 1000, "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s")
}

// Percent writes a share of one, as 15 %.
func Percent(share float64) string { return digits(share*100, 3) + " %" }

// Duration writes seconds in two units at most, as 2 h 10 min.
func Duration(seconds float64) string {
	const minute, hour, day = 60, 3600, 86400
	switch {
	case math.IsInf(seconds, 0) || math.IsNaN(seconds):
		return "never"
	case seconds < 0:
		return "-" + Duration(-seconds)
	case seconds == 0:
		return "0 s"
	case seconds < 0.9995:
		return digits(seconds*1000, 3) + " ms"
	case seconds < 59.5:
		return digits(seconds, 3) + " s"
	case seconds < hour-0.5:
		return two(seconds, minute, "min", 1, "s")
	case seconds < day-minute/2:
		return two(seconds, hour, "h", minute, "min")
	default:
		s := two(seconds, day, "days", hour, "h")
		if rest, one := strings.CutPrefix(s, "1 days"); one {
			return "1 day" + rest
		}
		return s
	}
}

// Clock writes seconds after midnight as a time of day; those of a later day as
// 10:00 on day 2.
func Clock(seconds float64) string {
	minutes := int(seconds / 60)
	clock := fmt.Sprintf("%02d:%02d", minutes/60%24, minutes%60)
	if days := minutes / (24 * 60); days > 0 {
		clock += " on day " + Number(days+1)
	}
	return clock
}

// two writes seconds in a large and a small unit, rounded to the small one.
func two(seconds, large float64, name string, small float64, rest string) string {
	n := math.Round(seconds / small)
	each := large / small
	s := digits(math.Floor(n/each), 3) + " " + name
	if left := math.Mod(n, each); left > 0 {
		s += " " + digits(left, 3) + " " + rest
	}
	return s
}

// Text writes a value of the unit for people.
func (u Unit) Text(value float64) string {
	switch u {
	case Size:
		return Bytes(value)
	case Memory:
		return Binary(value)
	case Seconds:
		return Duration(value)
	case PerSec:
		return Number(value) + " a second"
	case BitsASec:
		return Rate(value)
	case Share:
		return Percent(value)
	case Clients:
		return Counted(value, "client", "clients")
	case Cores:
		return Counted(value, "core", "cores")
	default:
		return Number(value)
	}
}

// Text writes the value of a figure for people.
func (f Figure) Text() string { return f.Unit.Text(f.Value) }

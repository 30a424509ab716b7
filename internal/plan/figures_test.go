package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/organization"
)

// span is all numbers that a written one may stand for: 7.3 GB is anything from
// 7.295 to 7.305 GB.
type span struct{ low, high float64 }

// byHand works out a formula with numbers as a person does who has only what is
// written. It knows nothing of package figure.
type byHand struct {
	left string
	err  error
}

func worked(numbers string) (span, error) {
	h := byHand{left: numbers}
	out := h.sum()
	if h.left = strings.TrimSpace(h.left); h.left != "" && h.err == nil {
		h.err = fmt.Errorf("%q is left", h.left)
	}
	return out, h.err
}

func (h *byHand) next(sign string) bool {
	trimmed := strings.TrimLeft(h.left, " ")
	rest, ok := strings.CutPrefix(trimmed, sign)
	if ok {
		h.left = rest
	}
	return ok
}

func (h *byHand) sum() span {
	out := h.product()
	for h.err == nil {
		switch {
		case h.next("+ "):
			b := h.product()
			out = span{out.low + b.low, out.high + b.high}
		case h.next("- "):
			b := h.product()
			out = span{out.low - b.high, out.high - b.low}
		default:
			return out
		}
	}
	return out
}

func (h *byHand) product() span {
	out := h.factor()
	for h.err == nil {
		var b span
		switch {
		case h.next("x "):
			b = h.factor()
		case h.next("/ "):
			b = h.factor()
			b = span{1 / b.high, 1 / b.low}
		default:
			return out
		}
		all := []float64{out.low * b.low, out.low * b.high, out.high * b.low, out.high * b.high}
		out = span{all[0], all[0]}
		for _, n := range all {
			out = span{min(out.low, n), max(out.high, n)}
		}
	}
	return out
}

func (h *byHand) factor() span {
	for name, work := range map[string]func(a, b float64) float64{
		"ceil(":  func(a, _ float64) float64 { return math.Ceil(a - 1e-9) },
		"floor(": func(a, _ float64) float64 { return math.Floor(a + 1e-9) },
		"min(":   math.Min,
		"max(":   math.Max,
		"(":      func(a, _ float64) float64 { return a },
	} {
		if !h.next(name) {
			continue
		}
		out := h.sum()
		list := []span{out}
		for h.next(", ") {
			list = append(list, h.sum())
		}
		out = span{work(out.low, out.low), work(out.high, out.high)}
		for _, b := range list[1:] {
			out = span{work(out.low, b.low), work(out.high, b.high)}
		}
		if !h.next(")") {
			h.err = fmt.Errorf("a parenthesis is open at %q", h.left)
		}
		return out
	}
	return h.quantity()
}

var (
	quantity = regexp.MustCompile(`^\s*(-?[0-9][0-9,]*[0-9]|-?[0-9])(\.[0-9]+)?(?: ([kMGTP]?B|[KMGTP]iB|[kMGT]?bit/s|ms|s|min|h|days|day|%|a second|clients?|cores?)\b| (%))?`)
	// remark is what stands behind an amount for people, as the link that it is of.
	remark = regexp.MustCompile(`^ \([a-z][^()]*\)`)
)

var units = map[string]float64{
	"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50,
	"bit/s": 1, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, "Tbit/s": 1e12,
	"ms": 1e-3, "s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400, "%": 0.01,
	"a second": 1, "client": 1, "clients": 1, "core": 1, "cores": 1,
}

// quantity reads a number with its unit; lengths of time may have two.
func (h *byHand) quantity() span {
	value, unsure := 0.0, 0.0
	for first := true; ; first = false {
		m := quantity.FindStringSubmatch(h.left)
		if m == nil || !first && m[3] != "h" && m[3] != "min" && m[3] != "s" {
			if first {
				h.err = fmt.Errorf("no number at %q", h.left)
			}
			break
		}
		h.left = h.left[len(m[0]):]
		unit := m[3] + m[4]
		n, err := strconv.ParseFloat(strings.ReplaceAll(m[1], ",", "")+m[2], 64)
		if err != nil {
			h.err = err
		}
		value += n * units[unit]
		switch unit {
		case "day", "days", "h", "min":
			// Rounded to the next smaller unit, which is left out where it is nought.
			unsure = map[string]float64{"day": 1800, "days": 1800, "h": 30, "min": 0.5}[unit]
			if !first {
				unsure = units[unit] / 2
			}
			if unit != "min" || first {
				continue
			}
		default:
			digits := 3.0
			if unit == "" || unit == "a second" || unit == "client" || unit == "clients" || unit == "core" || unit == "cores" {
				digits = 4
			}
			if unit == "B" || unit == "" && m[2] == "" && n < 1000 {
				break // in full
			}
			if n != 0 {
				step := math.Pow(10, min(math.Floor(math.Log10(math.Abs(n)))-digits+1, 0))
				unsure = 0.5 * step * units[unit]
			}
			if !first {
				unsure = units[unit] / 2
			}
		}
		break
	}
	h.left = strings.TrimPrefix(h.left, remark.FindString(h.left))
	return span{value - unsure, value + unsure}
}

// holds is whether a value is what the numbers give.
func (s span) holds(value float64) bool {
	slack := 1e-9 * max(math.Abs(value), 1)
	return value >= s.low-slack && value <= s.high+slack
}

// formulas looks at all formulas with numbers of a plan as it is in JSON.
func formulas(t *testing.T, at string, part any, names map[string]int) {
	t.Helper()
	switch v := part.(type) {
	case []any:
		for i, each := range v {
			formulas(t, fmt.Sprintf("%s[%d]", at, i), each, names)
		}
	case map[string]any:
		for name, each := range v {
			formulas(t, at+"."+name, each, names)
		}
		numbers, _ := v["numbers"].(string)
		name, _ := v["name"].(string)
		value, isFigure := v["value"].(float64)
		if adds, isStep := v["adds"].(float64); isStep {
			value, name = adds, "adds"
		} else if !isFigure || numbers == "" || value < 0 || strings.Contains(numbers, "no workspace") {
			return
		}
		names[name]++
		// What is worked out first stands before a semicolon with its own value.
		steps := strings.Split(numbers, "; ")
		for i, step := range steps {
			left, right, whole := strings.Cut(step, " = ")
			got, err := worked(left)
			if err != nil || i == len(steps)-1 && !got.holds(value) {
				t.Errorf("%s: %s is %v, and %q is %v (%v)", at, name, value, numbers, got, err)
			}
			if said, err := worked(right); whole && (err != nil || got.low > said.high || got.high < said.low) {
				t.Errorf("%s: %s: %q is %v, and it says %v (%v)", at, name, left, got, said, err)
			}
		}
	}
}

// TestNumbersGiveTheValue: every formula that a plan shows with its numbers
// gives the value that stands beside it, worked out from what is written.
func TestNumbersGiveTheValue(t *testing.T) {
	names := map[string]int{}
	for name, spec := range audited() {
		t.Run(name, func(t *testing.T) {
			o := organized(t, spec)
			p := computed(t, o)
			raw, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var all any
			if err := json.Unmarshal(raw, &all); err != nil {
				t.Fatal(err)
			}
			formulas(t, "plan", all, names)
		})
	}
	example, err := organization.Decode(organization.Example(), "example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compute(context.WithoutCancel(t.Context()), example)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(p)
	var all any
	_ = json.Unmarshal(raw, &all)
	formulas(t, "example", all, names)
	if len(names) < 50 {
		t.Errorf("only %d kinds of formulas were looked at: %v", len(names), names)
	}
}

// audited are organizations that differ in what formulas they need.
func audited() map[string]string {
	const images = `
  images: [{name: office, packed: 4GiB, update: 333MiB, every: 7d, versions: 5}, {name: lab, packed: 7GiB, base: office, shared: 35%}]
  workspaces: [{name: Office, image: office, offline: 8h}, {name: Lab, image: lab, share: 37%, offline: none, policies: 3}]
`
	return map[string]string{
		"nobody":       "  sites: [{name: Office, people: [{users: 0}]}]" + images,
		"one person":   "  sites: [{name: Office, people: [{users: 1}]}]" + images,
		"one too many": "  sites: [{name: Office, people: [{users: 5001}]}]" + images,
		"a limit and a rare poll": `
  sites: [{name: Office, people: [{users: 5000}]}]
  images: [{name: office, packed: 4GiB}]
  workspaces: [{name: Office, image: office, offline: 4h}]
  events: {perDay: 17, keep: 90d}
  service: {poll: 90s}`,
		"slow links": `
  sites: [{name: Berlin, people: [{users: 9999, active: 7777}]}, {name: Bern, servers: false, people: [{users: 113}]}, {name: Oslo, people: [{users: 71}]}]
  links: [{from: Berlin, to: Bern, bandwidth: 3Mbit/s, back: 700kbit/s, latency: 133ms, usable: 17%}, {from: Bern, to: Oslo, bandwidth: 64kbit/s}]
  travel: [{from: Oslo, to: Bern, users: 9, days: 3}]
  events: {perDay: 17, bytes: 321, keep: 91d, bursts: 33%, overhead: 7%, hours: 7, database: postgresql, place: remote, site: Oslo}
  service: {poll: 37s, deliveryHours: 11, neighbours: true, loss: 0s, criticalUpdate: 3h}
  consoles: [{site: Bern, operators: 13, reports: 41, images: true}]
  clients: {freeDisk: 50GiB, memory: 3GiB}
  growth: {yearly: 13%}` + images,
		"shared database": `
  sites: [{name: Berlin, country: DE, people: [{users: 12345}, {users: 77, department: Payroll}]}, {name: Bern, country: CH, people: [{users: 500}, {users: 12, network: Lab}]}]
  networks: [{name: Lab}]
  links: [{from: Berlin, to: Bern, bandwidth: 33Mbit/s}]
  separations: [{name: Pay, kind: management, who: {departments: [Payroll]}}, {name: Swiss, kind: law, who: {sites: [Bern]}, country: CH}]
  events: {shareOne: true, perDay: 2000}
  capacity: {clients: 4321, hardware: three cores, cores: 3, memory: 3GiB}` + images,
	}
}

package figure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Amount is a number of a formula and how it is written there.
type Amount struct {
	Value float64
	Text  string
}

// number is what a formula may be given.
type number interface{ ~int | ~int64 | ~float64 }

// N is an amount that is a mere number.
func N[T number](n T) Amount { return Amount{float64(n), Number(float64(n))} }

// In is an amount in a unit: In(Size, 200) is 200 B.
func In[T number](u Unit, n T) Amount { return Amount{float64(n), u.Text(float64(n))} }

// Given is a figure that no formula leads to.
func Given(name, title string, unit Unit, value float64) Figure {
	return Figure{Name: name, Title: title, Value: value, Unit: unit}
}

// Work works out a figure from its formula, in which the words in braces stand
// for the amounts in their order; words that come again mean the same amount:
//
//	Work("events.rows", "Rows of events", Size,
//		"{clients} x {events a day} x {bytes an event} x {days}", N(5000), N(20), In(Size, 200), N(365))
//
// A formula has + - x / and parentheses, numbers, ceil, floor, round, min and
// max. Formulas are written in programs, so one that cannot be read is a
// mistake there: Work panics.
func Work(name, title string, unit Unit, formula string, amounts ...Amount) Figure {
	r := reader{left: formula, amounts: amounts, known: map[string]Amount{}}
	value := r.sum()
	if r.skip(); r.left != "" || r.taken != len(amounts) {
		r.fail("%d of %d amounts were used, and %q is left", r.taken, len(amounts), r.left)
	}
	return Figure{
		Name: name, Title: title, Value: value, Unit: unit, Basis: Derived,
		Formula: unbraced.Replace(formula), Numbers: r.numbers(formula),
	}
}

// unbraced makes the formula for people of that for the reader.
var unbraced = strings.NewReplacer("{", "", "}", "")

// From says where the formula comes from, and where its constants do.
func (f Figure) From(basis Basis, source string) Figure {
	f.Basis, f.Source = basis, source
	return f
}

// reader is a formula that is being worked out.
type reader struct {
	left    string
	amounts []Amount
	taken   int
	known   map[string]Amount
}

func (r *reader) fail(format string, args ...any) {
	panic("figure: formula cannot be read: " + fmt.Sprintf(format, args...))
}

func (r *reader) skip() { r.left = strings.TrimLeft(r.left, " ") }

// take reads one of the signs, if one of them is next.
func (r *reader) take(signs string) byte {
	r.skip()
	if r.left == "" || !strings.Contains(signs, r.left[:1]) {
		return 0
	}
	sign := r.left[0]
	r.left = r.left[1:]
	return sign
}

func (r *reader) want(sign string) {
	if r.take(sign) == 0 {
		r.fail("%q is missing before %q", sign, r.left)
	}
}

func (r *reader) sum() float64 {
	value := r.product()
	for {
		switch r.take("+-") {
		case '+':
			value += r.product()
		case '-':
			value -= r.product()
		default:
			return value
		}
	}
}

func (r *reader) product() float64 {
	value := r.factor()
	for {
		switch r.take("x/") {
		case 'x':
			value *= r.factor()
		case '/':
			value /= r.factor()
		default:
			return value
		}
	}
}

func (r *reader) factor() float64 {
	switch {
	case r.take("(") != 0:
		value := r.sum()
		r.want(")")
		return value
	case r.take("{") != 0:
		words, rest, ok := strings.Cut(r.left, "}")
		if !ok {
			r.fail("a brace is not closed before %q", r.left)
		}
		r.left = rest
		return r.amount(words).Value
	}
	end := 0
	for end < len(r.left) && (r.left[end] >= '0' && r.left[end] <= '9' || r.left[end] == '.' ||
		r.left[end] == ',' && end+1 < len(r.left) && r.left[end+1] != ' ') {
		end++
	}
	if end == 0 {
		return r.function()
	}
	value, err := strconv.ParseFloat(strings.ReplaceAll(r.left[:end], ",", ""), 64)
	if err != nil {
		r.fail("no number at %q", r.left)
	}
	r.left = r.left[end:]
	return value
}

func (r *reader) function() float64 {
	name, rest, _ := strings.Cut(r.left, "(")
	work, ok := functions[name]
	if !ok {
		r.fail("no number and no function at %q", r.left)
	}
	r.left = rest
	value := r.sum()
	for r.take(",") != 0 {
		value = work(value, r.sum())
	}
	r.want(")")
	return work(value, value)
}

// functions take the last two values of a list; those of one value take it
// twice.
var functions = map[string]func(a, b float64) float64{
	"ceil":  func(a, _ float64) float64 { return math.Ceil(a) },
	"floor": func(a, _ float64) float64 { return math.Floor(a) },
	"round": func(a, _ float64) float64 { return math.Round(a) },
	"min":   math.Min,
	"max":   math.Max,
}

// amount is that of words: the next one, unless they were there before.
func (r *reader) amount(words string) Amount {
	if a, ok := r.known[words]; ok {
		return a
	}
	if r.taken == len(r.amounts) {
		r.fail("there is no amount for %q", words)
	}
	a := r.amounts[r.taken]
	r.taken++
	r.known[words] = a
	return a
}

// numbers is the formula with numbers in place of words.
func (r *reader) numbers(formula string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(formula, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		words, after, _ := strings.Cut(rest, "}")
		b.WriteString(r.known[words].Text)
		formula = after
	}
}

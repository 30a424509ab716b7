package design

import (
	"fmt"
	"math"
	"strconv"
)

// drawing is a picture in shapes, in pixels from the top left. Colours are
// classes of the page's style sheet, so that light, dark and print differ there
// alone.
type drawing struct {
	Width, Height px
	Patterns      []pattern
	Shapes        []shape
}

// px is a length or a place in a picture.
type px float64

// String writes a tenth of a pixel at most.
func (p px) String() string { return strconv.FormatFloat(math.Round(float64(p)*10)/10, 'f', -1, 64) }

// pattern fills what has no colour of its own any more: one of the colours with
// lines over it.
type pattern struct {
	ID, Class, Path string
}

// shape is one element: line (X, Y to X2, Y2), circle (X, Y, R), rect (X, Y, W,
// H), path (D) or text (X, Y).
type shape struct {
	Kind, Class     string
	X, Y, X2, Y2, R px
	W, H            px
	Stroke          px // width; 0 is that of the class
	D, Text, Anchor string
	Fill            string // the identifier of a pattern
	Title           string // shown where the pointer rests
}

func (d *drawing) line(class string, x, y, x2, y2 px) {
	d.Shapes = append(d.Shapes, shape{Kind: "line", Class: class, X: x, Y: y, X2: x2, Y2: y2})
}

func (d *drawing) rect(class, title string, x, y, w, h px) {
	d.Shapes = append(d.Shapes, shape{Kind: "rect", Class: class, Title: title, X: x, Y: y, W: w, H: h})
}

func (d *drawing) text(class, anchor string, x, y px, text string) {
	d.Shapes = append(d.Shapes, shape{Kind: "text", Class: class, Anchor: anchor, X: x, Y: y, Text: clean(text)})
}

// hues is how many colours the style sheet has for things that are told apart.
const hues = 8

// strokes are the lines over a colour, in turns of all colours.
var strokes = []string{"", "M0 6L6 0", "M0 3H6", "M0 0L6 6M0 6L6 0", "M3 0V6"}

// fill is the class of the n-th thing, or beyond the colours its pattern.
func (d *drawing) fill(id string, n int) (class, fill string) {
	hue := "hue" + strconv.Itoa(n%hues)
	turn := n / hues % len(strokes)
	if turn == 0 {
		return hue, ""
	}
	fill = fmt.Sprintf("%s-fill-%d-%d", id, n%hues, turn)
	for _, p := range d.Patterns {
		if p.ID == fill {
			return "patterned", fill
		}
	}
	d.Patterns = append(d.Patterns, pattern{ID: fill, Class: hue, Path: strokes[turn]})
	return "patterned", fill
}

// textWidth is about how wide a label is.
func textWidth(s string) px { return px(cells(s)) * 6.4 }

// short cuts a label.
func short(s string, most int) string {
	s = clean(s)
	if cells(s) <= most {
		return s
	}
	return cut(s, most-1) + "…"
}

// slice is a sector of a circle from one share of it to another.
func slice(x, y, r px, from, to float64) string {
	if to-from >= 0.9999 {
		return fmt.Sprintf("M%s %sm-%s 0a%[3]s %[3]s 0 1 0 %[4]s 0a%[3]s %[3]s 0 1 0 -%[4]s 0", x, y, r, 2*r)
	}
	at := func(share float64) (px, px) {
		a := 2*math.Pi*share - math.Pi/2
		return x + r*px(math.Cos(a)), y + r*px(math.Sin(a))
	}
	x1, y1 := at(from)
	x2, y2 := at(to)
	large := 0
	if to-from > 0.5 {
		large = 1
	}
	return fmt.Sprintf("M%s %sL%s %sA%s %s 0 %d 1 %s %sZ", x, y, x1, y1, r, r, large, x2, y2)
}

// ceiling is the next round number: where an axis ends.
func ceiling(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8, 10} {
		if v <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// divisions is into how many equal parts such an axis is divided so that their
// ends are round, too.
func divisions(end float64) int {
	power := math.Pow(10, math.Floor(math.Log10(end)+1e-9))
	switch math.Round(10 * end / power) {
	case 15, 30:
		return 3
	case 20, 40, 80:
		return 4
	case 60:
		return 6
	default:
		return 5
	}
}

package design

import (
	"fmt"
	"math"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/figure"
)

const chartWidth = px(960)

// peopleBars is a bar for each instance: its people, within it those that are
// on at the busiest time, and what an instance holds as a line across.
func peopleBars(p *plan.Plan, id string) drawing {
	row := px(30)
	if len(p.Instances) > 25 {
		row = 20
	}
	const begin, end, top = px(250), chartWidth - 70, px(30)
	d := drawing{Width: chartWidth, Height: top + row*px(len(p.Instances)) + 30}
	most := p.Capacity.Clients
	for _, in := range p.Instances {
		most = max(most, in.Users)
	}
	axis := ceiling(float64(most))
	at := func(n float64) px { return begin + (end-begin)*px(n/axis) }
	bottom := d.Height - 26
	parts := divisions(axis)
	for i := range parts + 1 {
		v := axis * float64(i) / float64(parts)
		d.line("grid", at(v), top-6, at(v), bottom)
		d.text("small", "middle", at(v), bottom+14, figure.Number(v))
	}
	for i, in := range p.Instances {
		y := top + row*px(i)
		class, fill := d.fill(id, i)
		d.text("label", "end", begin-8, y+row/2+1, fmt.Sprintf("%d  %s", i+1, short(in.Name, 32)))
		title := fmt.Sprintf("%s: %s people, %s clients at the busiest time", in.Name, figure.Number(in.Users), figure.Number(in.Active))
		d.Shapes = append(d.Shapes,
			shape{Kind: "rect", Class: "outline", X: begin, Y: y + 3, W: max(at(float64(in.Users))-begin, 1), H: row - 9, Title: title},
			shape{Kind: "rect", Class: class, Fill: fill, X: begin, Y: y + 3, W: max(at(float64(in.Active))-begin, 1), H: row - 9, Title: title})
		d.text("small", "start", at(float64(max(in.Users, in.Active)))+5, y+row/2+1, figure.Number(in.Active))
	}
	limit := at(float64(p.Capacity.Clients))
	d.line("limit", limit, top-8, limit, bottom)
	d.text("small", "middle", limit, top-13, "holds "+figure.Number(p.Capacity.Clients))
	return d
}

// growthBars are three rows of bars over the years, each with a scale of its
// own: people, events, repositories.
func growthBars(p *plan.Plan, _ string) drawing {
	panels := []struct {
		title, class string
		value        func(plan.Year) float64
		text         func(float64) string
	}{
		{"Events databases", "hue0", func(y plan.Year) float64 { return float64(y.Events) }, figure.Bytes},
		{"Repositories", "hue1", func(y plan.Year) float64 { return float64(y.Repository) }, figure.Bytes},
		{"Instances", "hue2", func(y plan.Year) float64 { return float64(y.Instances) }, figure.Number[float64]},
	}
	const height, gapBetween, top, bottom = px(240), px(30), px(34), px(26)
	width := (chartWidth - 2*gapBetween) / 3
	d := drawing{Width: chartWidth, Height: height}
	for i, panel := range panels {
		begin := px(i) * (width + gapBetween)
		most := 0.0
		for _, y := range p.Years {
			most = max(most, panel.value(y))
		}
		axis := ceiling(most)
		base := height - bottom
		d.text("panel", "start", begin, 16, panel.title)
		for j := range 3 {
			y := base - (base-top)*px(j)/2
			d.line("grid", begin, y, begin+width, y)
		}
		each := width / px(len(p.Years))
		for j, year := range p.Years {
			v := panel.value(year)
			h := (base - top) * px(v/axis)
			x := begin + px(j)*each + each*0.15
			d.rect(panel.class, fmt.Sprintf("%s, %s: %s", panel.title, yearText(year.Year), panel.text(v)), x, base-h, each*0.7, max(h, 1))
			if len(p.Years) <= 6 {
				d.text("small", "middle", x+each*0.35, base-h-4, panel.text(v))
			}
			if len(p.Years) <= 12 || j%2 == 0 {
				d.text("small", "middle", x+each*0.35, base+15, figure.Number(year.Year))
			}
		}
		if len(p.Years) > 6 {
			d.text("small halo", "start", begin+2, top+12, panel.text(axis))
		}
	}
	return d
}

func yearText(y int) string {
	switch y {
	case 0:
		return "now"
	case 1:
		return "after 1 year"
	default:
		return fmt.Sprintf("after %d years", y)
	}
}

// curve is a share of clients over time.
type curve struct {
	title, class string
	share        func(seconds float64) float64
}

// moments are where the time axis of a roll-out has its marks.
var moments = []float64{60, 600, 3600, 4 * 3600, 8 * 3600, 86400, 3 * 86400, 7 * 86400, 30 * 86400, 90 * 86400, 365 * 86400}

// rollOutLines draws curves over a time axis on which each mark is some times
// the one before, with the expectations as lines across.
func rollOutLines(curves []curve, levels []plan.ServiceLevel, last float64) drawing {
	const begin, end, top, bottom = px(50), chartWidth - 20, px(44), px(284)
	d := drawing{Width: chartWidth, Height: 334}
	first := moments[0] / 2
	last = max(last, 3600) * 1.3
	at := func(seconds float64) px {
		return begin + (end-begin)*px(math.Log(max(seconds, first)/first)/math.Log(last/first))
	}
	for i := range 5 {
		y := bottom - (bottom-top)*px(i)/4
		d.line("grid", begin, y, end, y)
		d.text("small", "end", begin-6, y+4, figure.Percent(float64(i)/4))
	}
	previous := px(0)
	for _, m := range moments {
		if x := at(m); m < last && x-previous > 50 {
			d.line("grid", x, top, x, bottom)
			d.text("small", "middle", x, bottom+16, figure.Duration(m))
			previous = x
		}
	}
	for i, l := range levels {
		if l.Seconds <= 0 || l.Seconds > last {
			continue
		}
		x := at(l.Seconds)
		d.line("limit", x, 10+px(i)*14, x, bottom)
		d.text("small", "end", x-5, 18+px(i)*14, short(l.Title, 60))
	}
	for i, c := range curves {
		path := ""
		for n := range 241 {
			t := first * math.Pow(last/first, float64(n)/240)
			step := "L"
			if n == 0 {
				step = "M"
			}
			path += fmt.Sprintf("%s%s %s", step, at(t), bottom-(bottom-top)*px(c.share(t)))
		}
		d.Shapes = append(d.Shapes, shape{Kind: "path", Class: "curve " + c.class, D: path, Title: c.title})
		x := begin + px(i)*(end-begin)/px(len(curves))
		d.Shapes = append(d.Shapes, shape{Kind: "path", Class: "curve " + c.class, D: fmt.Sprintf("M%s %sh24", x, bottom+38)})
		d.text("label", "start", x+30, bottom+42, c.title)
	}
	return d
}

package design

import (
	"fmt"
	"math"
	"testing"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/placement"
)

// linked is a plan of so many sites with links between them; every tenth site
// has a server.
func linked(sites int, links ...[2]int) *plan.Plan {
	p := &plan.Plan{}
	for i := range sites {
		name := fmt.Sprintf("Site %d", i)
		p.Scope.Sites = append(p.Scope.Sites, plan.ScopeSite{Site: name, Users: 10 * i})
		if i%10 == 0 {
			p.Instances = append(p.Instances, placement.Instance{Name: name, SiteName: name})
		}
		in := &p.Instances[i/10]
		in.Parts = append(in.Parts, placement.Part{Site: name, Users: 10 * i})
	}
	for _, l := range links {
		p.Scope.Links = append(p.Scope.Links, plan.ScopeLink{From: p.Scope.Sites[l[0]].Site, To: p.Scope.Sites[l[1]].Site, Bandwidth: 1e8, Back: 1e7})
	}
	return p
}

func star(sites int) (out [][2]int) {
	for i := 1; i < sites; i++ {
		out = append(out, [2]int{0, i})
	}
	return out
}

func chain(sites int) (out [][2]int) {
	for i := 1; i < sites; i++ {
		out = append(out, [2]int{i - 1, i})
	}
	return out
}

func mesh(sites int) (out [][2]int) {
	for i := range sites {
		for j := range i {
			out = append(out, [2]int{i, j})
		}
	}
	return out
}

func TestMapsStayWithinTheirPicture(t *testing.T) {
	for name, p := range map[string]*plan.Plan{
		"no people":  linked(1),
		"two":        linked(2, chain(2)...),
		"apart":      linked(60),
		"star":       linked(200, star(200)...),
		"chain":      linked(40, chain(40)...),
		"mesh":       linked(20, mesh(20)...),
		"two chains": linked(20, append(chain(10), [2]int{10, 11}, [2]int{11, 12}, [2]int{15, 16})...),
		"very many":  linked(2000, star(2000)...),
	} {
		t.Run(name, func(t *testing.T) {
			d := sitesMap(p, "map")
			inside := func(x, y px) bool {
				return x >= -1 && y >= -1 && x <= d.Width+1 && y <= d.Height+1 && !math.IsNaN(float64(x+y))
			}
			circles := 0
			for _, s := range d.Shapes {
				if !inside(s.X, s.Y) || s.Kind == "line" && !inside(s.X2, s.Y2) || s.Kind == "rect" && !inside(s.X+s.W, s.Y+s.H) {
					t.Fatalf("outside of %s x %s: %+v", d.Width, d.Height, s)
				}
				if s.Kind == "circle" || s.Kind == "path" {
					circles++
				}
			}
			if circles != len(p.Scope.Sites) {
				t.Errorf("%d sites are drawn, want %d", circles, len(p.Scope.Sites))
			}
			if d.Height > 60*d.Width {
				t.Errorf("the picture is %s high", d.Height)
			}
		})
	}
}

func TestSitesStandApart(t *testing.T) {
	for name, p := range map[string]*plan.Plan{"star": linked(60, star(60)...), "chain": linked(12, chain(12)...), "apart": linked(40)} {
		a := newAtlas(p)
		a.place()
		for i, n := range a.nodes {
			for j := range i {
				m := a.nodes[j]
				if math.Hypot(float64(n.x-m.x), float64(n.y-m.y)) < 5 {
					t.Errorf("%s: sites %d and %d stand at one place", name, i, j)
				}
			}
		}
	}
}

func TestCeiling(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 1: 1, 1.1: 1.5, 12_700: 15_000, 5001: 6000, 8.5e9: 1e10, 0.03: 0.03} {
		if got := ceiling(v); math.Abs(got-want) > want/1e6 {
			t.Errorf("ceiling(%v) = %v, want %v", v, got, want)
		}
	}
}

func TestDivisions(t *testing.T) {
	for end, want := range map[float64]int{10: 5, 15_000: 3, 2000: 4, 300: 3, 4: 4, 50_000: 5, 600: 6, 8000: 4, 1: 5, 1e9: 5} {
		if got := divisions(end); got != want {
			t.Errorf("divisions(%v) = %d, want %d", end, got, want)
		}
	}
}

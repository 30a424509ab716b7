package organization

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/document"
)

// network is an organization of sites A, B, C ... with links.
func network(t *testing.T, sites int, links ...string) *Model {
	t.Helper()
	var raw strings.Builder
	raw.WriteString("apiVersion: dormer/v1\nkind: Organization\nmetadata: {name: n}\nspec:\n  service: {usable: 100%}\n  sites:\n")
	for i := range sites {
		fmt.Fprintf(&raw, "    - {name: %c, lan: 10Gbit/s, people: [{users: 1}]}\n", 'A'+i)
	}
	raw.WriteString("  links:\n")
	for _, l := range links {
		fmt.Fprintf(&raw, "    - {%s}\n", l)
	}
	raw.WriteString("  images: [{name: i, packed: 1GiB}]\n  workspaces: [{name: w, image: i}]\n")
	return Resolve(decoded(t, raw.String()))
}

func TestRoutes(t *testing.T) {
	for name, c := range map[string]struct {
		sites    int
		links    []string
		from, to int
		want     string // usable, bandwidth, latency, links
	}{
		"within a site":   {2, []string{"from: A, to: B, bandwidth: 1Mbit/s"}, 0, 0, "10Gbit/s 10Gbit/s 0s []"},
		"one link":        {2, []string{"from: A, to: B, bandwidth: 1Mbit/s, latency: 7ms"}, 0, 1, "1Mbit/s 1Mbit/s 7ms [0]"},
		"back is another": {2, []string{"from: A, to: B, bandwidth: 1Mbit/s, back: 300kbit/s, latency: 7ms"}, 1, 0, "300kbit/s 300kbit/s 7ms [0]"},
		"the share that may be used": {
			2, []string{"from: A, to: B, bandwidth: 1Mbit/s, usable: 25%"}, 0, 1, "250kbit/s 1Mbit/s 10ms [0]",
		},
		// Over B there are 5 Mbit/s, directly 2.
		"the wider way": {
			3,
			[]string{"from: A, to: C, bandwidth: 2Mbit/s, latency: 1ms", "from: A, to: B, bandwidth: 5Mbit/s, latency: 20ms", "from: B, to: C, bandwidth: 8Mbit/s, latency: 20ms"},
			0, 2, "5Mbit/s 5Mbit/s 40ms [1 2]",
		},
		// What may be used of 10 Mbit/s is less than all of 5.
		"the wider way by what may be used": {
			3,
			[]string{"from: A, to: C, bandwidth: 10Mbit/s, usable: 20%", "from: A, to: B, bandwidth: 5Mbit/s", "from: B, to: C, bandwidth: 5Mbit/s"},
			0, 2, "5Mbit/s 5Mbit/s 20ms [1 2]",
		},
		"the quicker of two": {
			3,
			[]string{"from: A, to: C, bandwidth: 5Mbit/s, latency: 50ms", "from: A, to: B, bandwidth: 5Mbit/s, latency: 20ms", "from: B, to: C, bandwidth: 8Mbit/s, latency: 20ms"},
			0, 2, "5Mbit/s 5Mbit/s 40ms [1 2]",
		},
		// To B the wide way over D is the best; but what goes on to C is narrow all
		// the same, so that the quick one is.
		"the quicker way to a narrow place": {
			4,
			[]string{
				"from: A, to: B, bandwidth: 2Mbit/s, latency: 1ms", "from: A, to: D, bandwidth: 9Mbit/s, latency: 50ms", "from: D, to: B, bandwidth: 9Mbit/s, latency: 50ms",
				"from: B, to: C, bandwidth: 1Mbit/s, latency: 3ms",
			},
			0, 2, "1Mbit/s 1Mbit/s 4ms [0 3]",
		},
		"of both directions": {
			3,
			[]string{"from: B, to: A, bandwidth: 9Mbit/s, back: 4Mbit/s, latency: 1ms", "from: C, to: B, bandwidth: 9Mbit/s, back: 6Mbit/s, latency: 2ms"},
			0, 2, "4Mbit/s 4Mbit/s 3ms [0 1]",
		},
	} {
		m := network(t, c.sites, c.links...)
		r := m.Route(c.from, c.to)
		got := fmt.Sprint(r.Usable, " ", r.Bandwidth, " ", r.Latency, " ", r.Lines())
		if !r.OK || got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNoRoute(t *testing.T) {
	m := Resolve(decoded(t, country)) // Bern is isolated
	if r := m.Route(0, 2); r.OK || r.Lines() != nil {
		t.Errorf("%+v", r)
	}
}

// TestRoutesAtOnce: several may ask at the same time, also of one that has grown.
func TestRoutesAtOnce(t *testing.T) {
	m := Resolve(large(30, 3000, 60))
	grown := m.Grown(2)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for from := range m.Sites {
				a, b := m.Route(from, (from+i)%30), grown.Route(from, (from+i)%30)
				if a.Usable != b.Usable || !slices.Equal(a.Lines(), b.Lines()) {
					t.Errorf("%+v and %+v", a, b)
				}
			}
		})
	}
	wg.Wait()
}

// TestRoutesAgainstAllWays compares with a search through every way, in small
// random networks.
func TestRoutesAgainstAllWays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		m := &Model{Sites: make([]Place, 6)}
		for range 9 {
			from, to := r.IntN(6), r.IntN(6)
			if from == to {
				continue
			}
			rate := func() document.Rate { return document.Rate(1+r.IntN(4)) * document.Mbit }
			l := Line{From: from, To: to, There: 10 * document.Mbit, Back: 10 * document.Mbit, UsableThere: rate(), UsableBack: rate(), Latency: time.Duration(1+r.IntN(9)) * time.Millisecond}
			m.Lines = append(m.Lines, l)
		}
		m.ways = newWays(m)
		for from := range 6 {
			for to := range 6 {
				if from == to {
					continue
				}
				var best way
				for _, w := range allWays(m, from, to, []int{from}) {
					if cmp.Or(cmp.Compare(best.usable, w.usable), cmp.Compare(w.latency, best.latency)) < 0 {
						best = w
					}
				}
				got := m.Route(from, to)
				if got.OK != (best.usable > 0) || got.Usable != best.usable || got.Latency != best.latency {
					t.Fatalf("%d to %d: %v %v %v, want %+v\n%+v", from, to, got.OK, got.Usable, got.Latency, best, m.Lines)
				}
			}
		}
	}
}

// way is one way between two sites.
type way struct {
	usable  document.Rate
	latency time.Duration
}

// allWays tries every way that visits no site twice.
func allWays(m *Model, at, to int, seen []int) []way {
	if at == to {
		return []way{{unlimited, 0}}
	}
	var out []way
	for _, l := range m.Lines {
		next, usable := l.To, l.UsableThere
		if l.To == at {
			next, usable = l.From, l.UsableBack
		} else if l.From != at {
			continue
		}
		if slices.Contains(seen, next) {
			continue
		}
		for _, w := range allWays(m, next, to, append(slices.Clone(seen), next)) {
			out = append(out, way{min(usable, w.usable), l.Latency + w.latency})
		}
	}
	return out
}

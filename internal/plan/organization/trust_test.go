package organization

import (
	"strings"
	"testing"
)

func TestTrust(t *testing.T) {
	for name, c := range map[string]struct {
		domains string // the fields of domains, a line each
		// accepts is "a<-b": servers in a take people of b. All others are not,
		// but for each domain's own.
		accepts string
	}{
		"strangers":            {"{name: a}\n{name: b}", ""},
		"a forest":             {"{name: a}\n{name: b, parent: a}\n{name: c, parent: B}\n{name: d}", "a<-b a<-c b<-a b<-c c<-a c<-b"},
		"both ways":            {"{name: a, trusts: [{domain: b}]}\n{name: b}", "a<-b b<-a"},
		"one way":              {"{name: a, trusts: [{domain: b, bothWays: false}]}\n{name: b}", "a<-b"},
		"no chain":             {"{name: a, trusts: [{domain: b}]}\n{name: b, trusts: [{domain: c}]}\n{name: c}", "a<-b b<-a b<-c c<-b"},
		"no chain by a forest": {"{name: a, trusts: [{domain: b}]}\n{name: b}\n{name: c, parent: b}", "a<-b b<-a b<-c c<-b"},
		"transitive forests": {
			"{name: a, trusts: [{domain: b, transitive: true, bothWays: false}]}\n{name: a1, parent: a}\n{name: b}\n{name: b1, parent: b}",
			"a<-a1 a1<-a b<-b1 b1<-b a<-b a<-b1 a1<-b a1<-b1",
		},
		"transitive from below the top": {
			"{name: a}\n{name: a1, parent: a, trusts: [{domain: b, transitive: true, bothWays: false}]}\n{name: b}",
			"a<-a1 a1<-a a<-b a1<-b",
		},
		"a transitive chain": {
			"{name: a, trusts: [{domain: b, transitive: true, bothWays: false}]}\n{name: b, trusts: [{domain: c, transitive: true, bothWays: false}]}\n{name: c}",
			"a<-b b<-c a<-c",
		},
		"a chain that ends at what is not transitive": {
			"{name: a, trusts: [{domain: b, transitive: true, bothWays: false}]}\n{name: b, trusts: [{domain: c, bothWays: false}]}\n{name: c}",
			"a<-b b<-c",
		},
		"a circle": {
			"{name: a, trusts: [{domain: b, transitive: true, bothWays: false}]}\n{name: b, trusts: [{domain: c, transitive: true, bothWays: false}]}\n{name: c, trusts: [{domain: a, transitive: true, bothWays: false}]}",
			"a<-b a<-c b<-a b<-c c<-a c<-b",
		},
		"both ways from either side": {
			"{name: a, trusts: [{domain: b, bothWays: false}]}\n{name: b, trusts: [{domain: a, bothWays: false}]}",
			"a<-b b<-a",
		},
		"transitive both ways over a third": {
			"{name: a}\n{name: hub, trusts: [{domain: a, transitive: true}, {domain: b, transitive: true}]}\n{name: b}",
			"a<-hub hub<-a hub<-b b<-hub a<-b b<-a",
		},
		"distrust that nothing contradicts": {"{name: a, distrusts: [b]}\n{name: b, trusts: [{domain: a, bothWays: false}]}", "b<-a"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := strings.Replace(small, "  images:", "  domains:\n    - "+strings.ReplaceAll(c.domains, "\n", "\n    - ")+"\n  images:", 1)
			m := Resolve(decoded(t, raw))
			want := map[string]bool{}
			for pair := range strings.FieldsSeq(c.accepts) {
				want[pair] = true
			}
			for i, a := range m.Domains {
				for j, b := range m.Domains {
					if got := m.Accepts(i, j); got != (i == j || want[a+"<-"+b]) {
						t.Errorf("a server in %s takes people of %s: %v", a, b, got)
					}
				}
			}
		})
	}
}

// TestDistrustIsFoundWheneverItMatters: for every pair of domains in webs of
// trust, a distrust is refused exactly where the domain accepts the other one,
// and the reason names both.
func TestDistrustIsFoundWheneverItMatters(t *testing.T) {
	domains := []Domain{
		{Name: "a", Trusts: []Trust{{Domain: "b", Transitive: new(true), BothWays: new(false)}}},
		{Name: "a1", Parent: "a"},
		{Name: "b", Trusts: []Trust{{Domain: "c"}}},
		{Name: "b1", Parent: "b", Trusts: []Trust{{Domain: "d1", Transitive: new(true)}}},
		{Name: "c"},
		{Name: "d"},
		{Name: "d1", Parent: "d"},
		{Name: "e", Trusts: []Trust{{Domain: "a1", BothWays: new(false)}}},
	}
	accepts := accepted(domains)
	w := newWeb(domains)
	n := 0
	for i, a := range domains {
		for j, b := range domains {
			if i == j {
				continue
			}
			why := w.why(i, j)
			if (why != "") != accepts[i][j] {
				t.Errorf("%s accepts %s: %v, because %q", a.Name, b.Name, accepts[i][j], why)
			}
			if why != "" && w.forest[i] != w.forest[j] && (!strings.Contains(why, a.Name) || !strings.Contains(why, b.Name)) {
				t.Errorf("%s accepts %s: %q does not name both", a.Name, b.Name, why)
			}
			if accepts[i][j] {
				n++
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d pairs", n)
	}
	if got, want := w.why(1, 6), "a1 and a are in one forest; a trusts b transitively; b and b1 are in one forest; b1 trusts d1 transitively"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := w.why(5, 2), "d and d1 are in one forest; b1 and d1 trust each other both ways and transitively; b1 and b are in one forest"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

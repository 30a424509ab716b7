package design

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// large is an organization of 200 sites and 300,000 users: regions with a hub
// each, some isolated networks, some domains without trust.
func large(t testing.TB) *organization.Organization {
	t.Helper()
	var b strings.Builder
	b.WriteString("apiVersion: dormer/v1\nkind: Organization\nmetadata: {name: Large group}\nspec:\n  domains:\n")
	for i := range 4 {
		fmt.Fprintf(&b, "    - name: d%d.example.test\n", i)
	}
	b.WriteString("  networks:\n    - name: Laboratory 1\n    - name: Laboratory 2\n  sites:\n")
	for i := range 200 {
		fmt.Fprintf(&b, "    - name: Site %03d\n      country: %s\n      people:\n        - {users: %d, active: %d, domain: d%d.example.test}\n",
			i, []string{"DE", "FR", "CH"}[i%3], 1400+i, 1200+i/2, min(i%20, 3))
		if i%90 == 7 {
			fmt.Fprintf(&b, "        - {users: 40, network: Laboratory %d}\n", 1+i/90%2)
		}
	}
	b.WriteString("  links:\n")
	for i := 1; i < 200; i++ {
		hub := i / 20 * 20
		if i%20 == 0 {
			hub = 0
		}
		fmt.Fprintf(&b, "    - {from: Site %03d, to: Site %03d, bandwidth: %dMbit/s, latency: %dms}\n", hub, i, 20+i*5%400, 5+i%40)
	}
	b.WriteString(`  separations:
    - {name: French law, kind: law, who: {countries: [FR]}, country: FR, shared: true}
  images:
    - {name: office, packed: 9GiB, system: Linux}
    - {name: design, packed: 20GiB, system: Linux, base: office}
  workspaces:
    - {name: Office, image: office}
    - {name: Design, image: design, share: 10%, offline: 3d}
  growth: {yearly: 5%}
`)
	o, err := organization.Decode([]byte(b.String()), "large.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

var largeOnce struct {
	sync.Once
	p *plan.Plan
}

// largePlan is its plan, worked out once for all tests.
func largePlan(t testing.TB) *plan.Plan {
	t.Helper()
	largeOnce.Do(func() { largeOnce.p = computed(t, large(t)) })
	if largeOnce.p == nil {
		t.Fatal("there is no plan")
	}
	return largeOnce.p
}

// BenchmarkLarge is a plan of 200 sites and 300,000 users with all documents: 2 s
// at most.
func BenchmarkLarge(b *testing.B) {
	o := large(b)
	for b.Loop() {
		p, err := plan.Compute(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		for _, write := range []func() error{
			func() error { return Text(io.Discard, p, 100) },
			func() error { return Markdown(io.Discard, p) },
			func() error { return HTML(io.Discard, p) },
		} {
			if err := write(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

package simulation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/simulation"
)

// BenchmarkDay is an ordinary day of 5,000 clients.
func BenchmarkDay(b *testing.B) {
	m := model(b, one(5000, "none"))
	p := alone(m, 0)
	for b.Loop() {
		if _, err := simulation.Run(context.Background(), m, p, simulation.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkManyInstances is an ordinary day, and a roll-out, of 300,000 clients
// at 200 sites, who have 60 instances.
func BenchmarkManyInstances(b *testing.B) {
	var sites, links strings.Builder
	for i := range 200 {
		fmt.Fprintf(&sites, "- {name: S%d, people: [{users: 1500}]}\n", i)
		fmt.Fprintf(&links, "- {from: Berlin, to: S%d, bandwidth: %dMbit/s}\n", i, 10+i%7*30)
	}
	m := model(b, branches(sites.String(), links.String(), ""))
	p, err := placement.Place(context.Background(), m)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := simulation.Run(context.Background(), m, p, simulation.Options{Rollout: &simulation.Rollout{}}); err != nil {
			b.Fatal(err)
		}
	}
}

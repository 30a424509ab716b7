package simulation_test

import (
	"context"
	"testing"

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

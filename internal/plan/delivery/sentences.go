package delivery

import (
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/plan/figure"
)

// summed writes a sum of many terms: the first of them.
func summed(terms []string) string {
	const most = 8
	if len(terms) == 0 {
		return "0"
	}
	if len(terms) > most {
		terms = append(slices.Clone(terms[:most]), figure.Number(len(terms)-most)+" more")
	}
	return strings.Join(terms, " + ")
}

// exact is an amount of bytes to the byte.
func exact(n float64) figure.Amount {
	return figure.Amount{Value: n, Text: figure.Number(n) + " B"}
}

// be is the verb after a number of things.
func be(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

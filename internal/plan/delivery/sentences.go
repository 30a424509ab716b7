package delivery

import (
	"slices"
	"strings"

	"github.com/dormer-project/dormer/internal/plan/figure"
)

// listed writes at most most names, as "A, B and 12 more".
func listed(names []string, most int) string {
	switch n := len(names); {
	case n == 0:
		return "none"
	case n == 1:
		return names[0]
	case n > most+1:
		return strings.Join(names[:most], ", ") + " and " + figure.Number(float64(n-most)) + " more"
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// summed writes a sum of many terms: the first of them.
func summed(terms []string) string {
	const most = 8
	if len(terms) == 0 {
		return "0"
	}
	if len(terms) > most {
		terms = append(slices.Clone(terms[:most]), figure.Number(float64(len(terms)-most))+" more")
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

package organization

import "github.com/dormer-project/dormer/internal/name"

// accepted works out which domain accepts people of which: itself, its forest,
// what it trusts, and over transitive trusts the forests on the other side and
// what these trust transitively. Distrusts take nothing away: Validate refuses a
// file where there is anything to take.
func accepted(domains []Domain) [][]bool {
	n := len(domains)
	number := map[string]int{}
	for i, d := range domains {
		number[name.Fold(d.Name)] = i
	}
	find := func(s string) (int, bool) { i, ok := number[name.Fold(s)]; return i, ok }
	forest := forests(domains, find)
	out := make([][]bool, n)
	over := make([][]bool, n) // forest trusts forest, by the number of a domain in each
	for i := range out {
		out[i], over[i] = make([]bool, n), make([]bool, n)
		over[i][i] = true
	}
	for i, d := range domains {
		for _, t := range d.Trusts {
			j, ok := find(t.Domain)
			if !ok {
				continue
			}
			both := t.BothWays == nil || *t.BothWays
			if t.Transitive != nil && *t.Transitive {
				over[forest[i]][forest[j]] = true
				over[forest[j]][forest[i]] = over[forest[j]][forest[i]] || both
				continue
			}
			out[i][j] = true
			out[j][i] = out[j][i] || both
		}
	}
	for k := range n {
		for i := range n {
			if !over[i][k] {
				continue
			}
			for j := range n {
				over[i][j] = over[i][j] || over[k][j]
			}
		}
	}
	for i := range domains {
		for j := range domains {
			out[i][j] = out[i][j] || over[forest[i]][forest[j]]
		}
	}
	return out
}

// forests gives each domain the number of the domain at the root of its
// forest. A circle of parents ends where it began.
func forests(domains []Domain, find func(string) (int, bool)) []int {
	out := make([]int, len(domains))
	for i := range domains {
		at := i
		for range domains {
			above, ok := find(domains[at].Parent)
			if domains[at].Parent == "" || !ok {
				break
			}
			at = above
		}
		out[i] = at
	}
	return out
}

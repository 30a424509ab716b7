package placement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	dormer "github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// mostOfKind is how many changes of one kind are worked out, so that a large
// organization is explained in bounded time; the largest are.
const mostOfKind = 20

// ExplainWith says what some suppositions together would change. Suppositions
// that name what is not there, and those that cannot be met, are a
// *dormer.InvalidError.
func ExplainWith(ctx context.Context, m *organization.Model, with ...Supposition) (Change, error) {
	now := termsOf(ctx, m)
	then, what := now, ""
	for _, s := range with {
		var words string
		var err error
		if then, words, err = then.suppose(s); err != nil {
			return Change{}, err
		}
		if what != "" {
			words = " and " + strings.TrimPrefix(words, "if ")
		}
		what += words
	}
	if err := cmp.Or(ctx.Err(), then.check()); err != nil {
		return Change{}, err
	}
	was, _ := now.count()
	return then.change(cmp.Or(what, "as it is"), was, now.classic().Count), ctx.Err()
}

// change holds the numbers of these terms against those that were.
func (t *terms) change(what string, was, classic int) Change {
	is, proven := t.count()
	out := Change{What: what, Instances: is, Classic: t.classic().Count}
	switch {
	case is == was && out.Classic == classic:
		out.Text = fmt.Sprintf("Nothing changes: %s, and %s by the guide.", figure.Counted(is, "instance", "instances"), figure.Number(classic))
	case is == was:
		out.Text = fmt.Sprintf("%s as before; the guide counts %s instead of %s.", figure.Counted(is, "instance", "instances"), figure.Number(out.Classic), figure.Number(classic))
	case out.Classic == classic:
		out.Text = fmt.Sprintf("%s instead of %s; the guide counts %s as before.", figure.Counted(is, "instance", "instances"), figure.Number(was), figure.Number(classic))
	default:
		out.Text = fmt.Sprintf("%s instead of %s; the guide counts %s instead of %s.", figure.Counted(is, "instance", "instances"), figure.Number(was), figure.Number(out.Classic), figure.Number(classic))
	}
	if !proven {
		out.Text += " Whether fewer would do was not found out."
	}
	return out
}

// Explain says what each condition that is there costs, and what one more would
// change. Of large organizations not everything is worked out; the last change
// then says what was left out.
func Explain(ctx context.Context, m *organization.Model, p *Placement) ([]Change, error) {
	t := termsOf(ctx, m)
	e := explanation{terms: t}
	e.costs()
	e.trusts()
	e.apart()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []Change
	was, _ := t.count()
	t.work.left = 4 * mostWork // for all of them
	for _, s := range e.with {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		then, what, err := t.suppose(s)
		if err != nil {
			return nil, err
		}
		var bad *dormer.InvalidError
		if err := then.check(); errors.As(err, &bad) {
			out = append(out, Change{What: what, Text: "This cannot be: " + bad.Fields[0].Message + "."})
			continue
		}
		out = append(out, then.change(what, was, p.Classic.Count))
	}
	more, err := e.room(ctx, was, p.Classic.Count)
	if err != nil {
		return nil, err
	}
	out = append(out, more...)
	if len(e.left) > 0 {
		out = append(out, Change{
			What: "what was left out", Instances: len(p.Instances), Classic: p.Classic.Count,
			Text: "Only the largest were worked out: left out are " + list(e.left) + ". Ask about one of them by itself.",
		})
	}
	return out, ctx.Err()
}

// explanation gathers what is worth asking about.
type explanation struct {
	*terms
	with []Supposition
	left []string
}

// some adds the first of several suppositions and takes note of the others.
func (e *explanation) some(what string, with []Supposition) {
	if n := len(with); n > mostOfKind {
		e.left = append(e.left, fmt.Sprintf("%s %s", figure.Number(n-mostOfKind), what))
		with = with[:mostOfKind]
	}
	e.with = append(e.with, with...)
}

// costs are the conditions of the file, each without it, and other capacities.
func (e *explanation) costs() {
	var networks, demands []Supposition
	for n, network := range e.Networks {
		if e.users(func(g int) bool { return e.Groups[g].Network == n }) >= 0 {
			networks = append(networks, Supposition{verb: "without", of: "network", name: network.Name})
		}
	}
	for i, d := range e.Demands {
		if e.counted(i) {
			demands = append(demands, Supposition{verb: "without", of: "separation", name: d.Name})
		}
	}
	e.some("networks", networks)
	e.some("separations", demands)
	for _, n := range []int{organization.ClassicCapacity, 10_000, 25_000} {
		if n != e.Capacity.Clients {
			e.with = append(e.with, Supposition{verb: "capacity", number: n})
		}
	}
}

// trusts are those between domains with people, each turned round, those of
// most people first.
func (e *explanation) trusts() {
	users := make([]int, len(e.Domains))
	for g, group := range e.Groups {
		if e.people(g) {
			users[group.Domain] += max(group.Users, 1)
		}
	}
	type pair struct{ a, b int }
	var none, some []pair
	for a := range e.Domains {
		for b := range e.Domains {
			switch {
			case a == b || users[a] == 0 || users[b] == 0:
			case e.accepts[a][b]:
				some = append(some, pair{a, b})
			default:
				none = append(none, pair{a, b})
			}
		}
	}
	turned := func(verb string, pairs []pair) (out []Supposition) {
		slices.SortStableFunc(pairs, func(x, y pair) int {
			return cmp.Compare(users[y.a]+users[y.b], users[x.a]+users[x.b])
		})
		for _, p := range pairs {
			out = append(out, Supposition{verb: verb, name: e.Domains[p.a], other: e.Domains[p.b]})
		}
		return out
	}
	e.some("trusts that might be added", turned("trust", none))
	e.some("trusts that might end", turned("distrust", some))
}

// apart are departments and countries that nothing keeps apart yet, and sites
// that might be isolated, the largest first.
func (e *explanation) apart() {
	for _, kind := range []struct{ verb, of, many string }{
		{"separate", "department", "departments that might be served apart"},
		{"separate", "country", "countries that data might not leave"},
		{"isolate", "site", "sites that might be isolated"},
	} {
		names := e.names(kind.of)
		users, groups := map[string]int{}, map[string]int{}
		held := map[string]bool{}
		for g, group := range e.Groups {
			key := name.Fold(e.called(kind.of, g))
			groups[key]++
			if key == "" || !e.people(g) {
				continue
			}
			users[key] += max(group.Users, 1)
			held[key] = held[key] || kind.of == "site" && group.Network != organization.Connected
		}
		for _, d := range e.Demands {
			for _, g := range d.Groups {
				key := name.Fold(e.called(kind.of, g))
				held[key] = held[key] || kind.of == "country" && d.Country != "" || kind.of == "department" && d.Alone && len(d.Groups) == groups[key]
			}
		}
		var with []Supposition
		seen := map[string]bool{}
		for _, n := range names {
			key := name.Fold(n)
			if users[key] == 0 || held[key] || seen[key] {
				continue
			}
			seen[key] = true
			with = append(with, Supposition{verb: kind.verb, of: kind.of, name: n})
		}
		if len(with) == 1 && kind.of == "country" {
			continue // everybody's
		}
		sort.SliceStable(with, func(i, j int) bool { return users[name.Fold(with[i].name)] > users[name.Fold(with[j].name)] })
		e.some(kind.many, with)
	}
}

func (e *explanation) called(of string, g int) string {
	switch of {
	case "department":
		return e.Groups[g].Department
	case "country":
		return e.Sites[e.Groups[g].Site].Country
	default:
		return e.Sites[e.Groups[g].Site].Name
	}
}

// room says how many more clients make one more instance necessary, for those
// who hang together, and at which number the guide counts one more.
func (e *explanation) room(ctx context.Context, now, classic int) ([]Change, error) {
	var out []Change
	total := e.active()
	add := func(g, n int) *terms {
		then := *e.terms
		then.Groups = slices.Clone(e.Groups)
		then.Groups[g].Users += n
		then.Groups[g].Active += n
		return &then
	}
	left := 0
	for _, c := range e.circles() {
		q := e.cover(&c)
		parts := q.parts()
		for _, part := range parts {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if len(out) == mostOfKind {
				left++
				continue
			}
			g := largest(e.terms, &c, q, part)
			n := 1 + sort.Search(e.Capacity.Clients, func(n int) bool {
				count, _ := add(g, n+1).count()
				return count > now
			})
			then := add(g, n)
			is, _ := then.count()
			change := Change{
				What:      fmt.Sprintf("if %s were active in %s", figure.Counted(n, "more client", "more clients"), e.partName(&c, q, part, len(parts))),
				Instances: is, Classic: then.classic().Count,
			}
			change.Text = fmt.Sprintf("%s more and instance number %s is needed; the guide counts %s", figure.Counted(n, "active client", "active clients"), figure.Number(is), figure.Number(change.Classic))
			if change.Classic == classic {
				change.Text += " as before"
			}
			change.Text += "."
			out = append(out, change)
		}
	}
	if left > 0 {
		e.left = append(e.left, fmt.Sprintf("%s groups of people that might grow", figure.Number(left)))
	}
	// N + n is more than the next full number of instances.
	holds := e.Capacity.Clients
	n := max(begun(total, holds), 1)*holds - total + 1
	out = append(out, Change{
		What: fmt.Sprintf("if %s were active anywhere", figure.Counted(n, "more client", "more clients")), Instances: now, Classic: classic + 1,
		Text: fmt.Sprintf("The guide counts %s: %s clients begin another %s. Where they are decides whether an instance more is needed.", figure.Number(classic+1), figure.Number(total+n), figure.Number(holds)),
	})
	return out, nil
}

// largest is the group with most active clients of those who hang together.
func largest(t *terms, c *circle, q cover, p part) int {
	best := -1
	for j, party := range c.parties {
		if !slices.ContainsFunc(p.kinds, func(k int) bool { return q.kinds[k][j] }) {
			continue
		}
		for _, g := range party.groups {
			if best < 0 || t.Groups[g].Active > t.Groups[best].Active {
				best = g
			}
		}
	}
	return best
}

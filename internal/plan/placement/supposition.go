package placement

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	dormer "github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// Supposition is one thing that might be otherwise than the file says. People
// write it as one of these:
//
//	users=+2000@Berlin             2,000 more people there, all of them active; - for fewer
//	separate=department:Payroll    nobody else on their instances; of a country: and their data stays there
//	isolate=site:Plant             an isolated network of their own
//	trust=a.example.test:b.example.test      the first accepts people of the second
//	distrust=a.example.test:b.example.test   it does not
//	capacity=20000                 clients that one instance holds
//	without=separation:Payroll     the demand is dropped
//	without=network:Laboratory     its people are connected
//
// After separate= and isolate= stands a site, country, domain, department or
// network.
type Supposition struct {
	verb   string
	of     string // what name is the name of; empty where the verb says it
	name   string
	other  string // second domain of a trust
	number int
}

// verbs are how suppositions begin, with examples for people.
var verbs = []struct{ verb, example string }{
	{"users", "users=+2000@Berlin"},
	{"separate", "separate=department:Payroll"},
	{"isolate", "isolate=site:Plant"},
	{"trust", "trust=a.example.test:b.example.test"},
	{"distrust", "distrust=a.example.test:b.example.test"},
	{"capacity", "capacity=20000"},
	{"without", "without=separation:Payroll"},
}

// ParseSupposition reads the form in which people write one. What it names is
// looked up when it is used. Errors are *dormer.InvalidError.
func ParseSupposition(text string) (Supposition, error) {
	verb, rest, ok := strings.Cut(text, "=")
	s := Supposition{verb: verb}
	var examples []string
	for _, v := range verbs {
		if v.verb == verb && ok {
			return s.read(rest, v.example)
		}
		examples = append(examples, v.example)
	}
	return Supposition{}, dormer.Invalidf("", "%q is no supposition; write one as %s", text, strings.Join(examples, ", "))
}

func (s Supposition) read(rest, example string) (Supposition, error) {
	wrong := func(what string) (Supposition, error) {
		return Supposition{}, dormer.Invalidf("", "%s=%s: %s, as in %s", s.verb, rest, what, example)
	}
	var ok bool
	switch s.verb {
	case "users":
		var n string
		n, s.name, ok = strings.Cut(rest, "@")
		if !ok || s.name == "" {
			return wrong("after the number stands @ and a site")
		}
		if !strings.HasPrefix(n, "+") && !strings.HasPrefix(n, "-") {
			return wrong("the number begins with + or -")
		}
		if s.number, ok = amount(n[1:]); !ok {
			return wrong("give a number from 1 to 10000000")
		}
		if n[0] == '-' {
			s.number = -s.number
		}
	case "capacity":
		if s.number, ok = amount(rest); !ok {
			return wrong("give a number from 1 to 10000000")
		}
	case "trust", "distrust":
		s.name, s.other, ok = strings.Cut(rest, ":")
		if !ok || s.name == "" || s.other == "" {
			return wrong("give two domains with : between them")
		}
		if name.Fold(s.name) == name.Fold(s.other) {
			return wrong("a domain accepts its own people always")
		}
	default:
		kinds := []string{"site", "country", "domain", "department", "network"}
		if s.verb == "without" {
			kinds = []string{"separation", "network"}
		}
		s.of, s.name, ok = strings.Cut(rest, ":")
		if !ok || s.name == "" || !slices.Contains(kinds, s.of) {
			return wrong("begin with one of " + strings.Join(kinds, ", ") + ", then : and its name")
		}
	}
	return s, nil
}

// amount reads a number of people: digits only.
func amount(digits string) (int, bool) {
	n, err := strconv.ParseUint(digits, 10, 32)
	return int(n), err == nil && n > 0 && n <= organization.MaxPeople
}

// String is the form in which it is written.
func (s Supposition) String() string {
	switch s.verb {
	case "users":
		return fmt.Sprintf("users=%+d@%s", s.number, s.name)
	case "capacity":
		return fmt.Sprintf("capacity=%d", s.number)
	case "trust", "distrust":
		return fmt.Sprintf("%s=%s:%s", s.verb, s.name, s.other)
	default:
		return fmt.Sprintf("%s=%s:%s", s.verb, s.of, s.name)
	}
}

// suppose returns terms with that difference, and the condition in words: "if
// ...". What is named must be there.
func (t *terms) suppose(s Supposition) (*terms, string, error) {
	out := *t
	switch s.verb {
	case "users":
		return t.supposeUsers(s)
	case "capacity":
		out.Capacity = organization.Holds{Clients: s.number, Measured: s.number != organization.ClassicCapacity}
		return &out, fmt.Sprintf("if one instance held %s", figure.Counted(s.number, "client", "clients")), nil
	case "trust", "distrust":
		a, err := t.find("domain", s.name, s)
		if err != nil {
			return nil, "", err
		}
		b, err := t.find("domain", s.other, s)
		if err != nil {
			return nil, "", err
		}
		out.accepts = slices.Clone(t.accepts)
		out.accepts[a] = slices.Clone(t.accepts[a])
		out.accepts[a][b] = s.verb == "trust"
		if s.verb == "trust" {
			return &out, fmt.Sprintf("if people of %s were accepted by %s", t.Domains[b], t.Domains[a]), nil
		}
		return &out, fmt.Sprintf("if people of %s were not accepted by %s", t.Domains[b], t.Domains[a]), nil
	case "without":
		return t.supposeWithout(s)
	}
	groups, called, err := t.selected(s)
	if err != nil {
		return nil, "", err
	}
	if s.verb == "isolate" {
		out.Networks = append(slices.Clone(t.Networks), organization.Network{Name: called})
		out.Groups = slices.Clone(t.Groups)
		for _, g := range groups {
			out.Groups[g].Network = len(t.Networks)
		}
		return &out, fmt.Sprintf("if the people of %s were in an isolated network of their own", called), nil
	}
	d := organization.Demand{Name: called, Kind: organization.Security, Groups: groups, Alone: true, Path: s.String()}
	what := fmt.Sprintf("if the people of %s were served apart from all others", called)
	if s.of == "country" {
		d.Kind, d.Country = organization.Law, called
		what = fmt.Sprintf("if the data of people in %s might not leave it, and nobody else were on their instances", called)
	}
	out.Demands = append(slices.Clone(t.Demands), d)
	return &out, what, nil
}

// supposeUsers adds people, all of them active, or takes some away, in
// proportion to those who are connected there.
func (t *terms) supposeUsers(s Supposition) (*terms, string, error) {
	site, err := t.find("site", s.name, s)
	if err != nil {
		return nil, "", err
	}
	out := *t
	out.Groups = slices.Clone(t.Groups)
	groups := slices.Clone(t.Sites[site].Groups)
	connected := slices.DeleteFunc(slices.Clone(groups), func(g int) bool { return t.Groups[g].Network != organization.Connected })
	if len(connected) > 0 {
		groups = connected
	}
	users := 0
	for _, g := range groups {
		users += t.Groups[g].Users
	}
	switch {
	case s.number < 0 && users < -s.number:
		return nil, "", dormer.Invalidf("", "%s: only %s there", s, figure.Counted(users, "person is", "people are"))
	case len(groups) == 0:
		groups = []int{len(out.Groups)}
		out.Groups = append(out.Groups, organization.Group{Site: site, Network: organization.Connected})
		out.Sites = slices.Clone(t.Sites)
		out.Sites[site].Groups = groups
	}
	left, of := s.number, users
	for i, g := range groups {
		// Each gets its share of what is left; the last one the rest.
		group := &out.Groups[g]
		n := left
		if of > 0 && i < len(groups)-1 {
			n = int(int64(left) * int64(group.Users) / int64(of))
		}
		left, of = left-n, of-group.Users
		group.Users += n
		group.Active = min(max(group.Active+n, 0), group.Users)
	}
	if s.number < 0 {
		return &out, fmt.Sprintf("if %s fewer worked in %s", figure.Counted(-s.number, "person", "people"), t.Sites[site].Name), nil
	}
	return &out, fmt.Sprintf("if %s more worked in %s", figure.Counted(s.number, "person", "people"), t.Sites[site].Name), nil
}

func (t *terms) supposeWithout(s Supposition) (*terms, string, error) {
	out := *t
	at, err := t.find(s.of, s.name, s)
	if err != nil {
		return nil, "", err
	}
	if s.of == "separation" {
		out.Demands = slices.Delete(slices.Clone(t.Demands), at, at+1)
		return &out, fmt.Sprintf("if %s were not demanded", t.Demands[at].Name), nil
	}
	out.Groups = slices.Clone(t.Groups)
	for g := range out.Groups {
		if out.Groups[g].Network == at {
			out.Groups[g].Network = organization.Connected
		}
	}
	return &out, fmt.Sprintf("if network %s were connected", t.Networks[at].Name), nil
}

// selected are the groups that a supposition names, and the name as the file
// writes it.
func (t *terms) selected(s Supposition) (groups []int, called string, err error) {
	at, err := t.find(s.of, s.name, s)
	if err != nil {
		return nil, "", err
	}
	called = t.names(s.of)[at]
	for g, group := range t.Groups {
		in := false
		switch s.of {
		case "site":
			in = group.Site == at
		case "country":
			in = t.Sites[group.Site].Country == called
		case "domain":
			in = group.Domain == at
		case "network":
			in = group.Network == at
		case "department":
			in = name.Fold(group.Department) == name.Fold(called)
		}
		if in && t.people(g) {
			groups = append(groups, g)
		}
	}
	if len(groups) == 0 {
		return nil, "", dormer.Invalidf("", "%s: nobody is there", s)
	}
	return groups, called, nil
}

// names are what the file calls things of a kind; a thing may be there more
// than once.
func (t *terms) names(of string) []string {
	var out []string
	switch of {
	case "site":
		for _, s := range t.Sites {
			out = append(out, s.Name)
		}
	case "country":
		for _, s := range t.Sites {
			out = append(out, s.Country)
		}
	case "domain":
		out = t.Domains
	case "network":
		for _, n := range t.Networks {
			out = append(out, n.Name)
		}
	case "separation":
		for _, d := range t.Demands {
			out = append(out, d.Name)
		}
	case "department":
		for _, g := range t.Groups {
			out = append(out, g.Department)
		}
	}
	return out
}

func (t *terms) find(of, wanted string, s Supposition) (int, error) {
	names := t.names(of)
	key := name.Fold(wanted)
	if at := slices.IndexFunc(names, func(n string) bool { return n != "" && name.Fold(n) == key }); at >= 0 {
		return at, nil
	}
	names = slices.DeleteFunc(unique(names), func(n string) bool { return n == "" })
	if len(names) == 0 {
		return 0, dormer.Invalidf("", "%s: the file names no %s", s, of)
	}
	return 0, dormer.Invalidf("", "%s: no %s is called %s; the file names %s", s, of, wanted, list(names))
}

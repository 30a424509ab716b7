package httpapi

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// foundOf is what a search found as it is answered, and its error unless that
// only says which directories are left out.
func foundOf(found []access.Entry, err error) (rest.Found, error) {
	answer := rest.Found{Items: make([]rest.Entry, len(found))}
	for i, e := range found {
		answer.Items[i] = rest.Entry(e)
	}
	if away, ok := errors.AsType[*access.UnansweredError](err); ok {
		answer.Unanswered, err = away.Directories, nil
	}
	return answer, err
}

func (a *API) findPrincipals(c *call, _ rest.None) (rest.Found, error) {
	_, limit, err := c.page()
	if err != nil {
		return rest.Found{}, err
	}
	return foundOf(a.Access.Find(c.ctx(), c.r.URL.Query().Get("prefix"), limit))
}

func (a *API) resolvePrincipal(c *call, _ rest.None) (dormer.Principal, error) {
	q := c.r.URL.Query()
	if q.Get("name") == "" {
		return dormer.Principal{}, dormer.Invalidf("name", "is missing")
	}
	kind := dormer.PrincipalKind(q.Get("kind"))
	p, err := a.Access.Resolve(c.ctx(), kind, q.Get("name"))
	if err != nil {
		return dormer.Principal{}, fmt.Errorf("check the name: %w", a.meant(c, kind, q.Get("name"), err))
	}
	return p, nil
}

// maxMeant is how many are listed who may be meant by a name.
const maxMeant = 20

// meant adds to an ErrNotFound about an account name who goes by that name
// otherwise: it is an *access.AmbiguousError when they are several. Nobody is
// taken for somebody else by it.
func (a *API) meant(c *call, kind dormer.PrincipalKind, name string, err error) error {
	if !errors.Is(err, dormer.ErrNotFound) {
		return err
	}
	found, unsearched := a.Access.Match(c.ctx(), kind, name, maxMeant)
	switch {
	case unsearched != nil || len(found) == 0:
		return err
	case len(found) > 1:
		return &access.AmbiguousError{Candidates: found}
	}
	return fmt.Errorf("that is no account name; %s goes by it: %w", found[0].Principal.Qualified(), dormer.ErrNotFound)
}

// checkPrincipal lists who goes by a name. Nobody is an answer too.
func (a *API) checkPrincipal(c *call, _ rest.None) (rest.Found, error) {
	none := rest.Found{}
	q := c.r.URL.Query()
	kinds := []dormer.PrincipalKind{dormer.PrincipalKind(q.Get("kind"))}
	switch kinds[0] {
	case "":
		kinds = []dormer.PrincipalKind{dormer.KindUser, dormer.KindGroup}
	case dormer.KindUser, dormer.KindGroup:
	default:
		return none, dormer.Invalidf("kind", "is %q or %q, or absent for both", dormer.KindUser, dormer.KindGroup)
	}
	if q.Get("name") == "" {
		return none, dormer.Invalidf("name", "is missing")
	}
	_, limit, err := c.page()
	if err != nil {
		return none, err
	}
	all := rest.Found{Items: []rest.Entry{}}
	for _, kind := range kinds {
		found, err := foundOf(a.Access.Match(c.ctx(), kind, q.Get("name"), limit-len(all.Items)))
		if err != nil {
			return none, fmt.Errorf("check the name: %w", err)
		}
		for _, away := range found.Unanswered {
			if !slices.Contains(all.Unanswered, away) {
				all.Unanswered = append(all.Unanswered, away)
			}
		}
		if all.Items = append(all.Items, found.Items...); len(all.Items) >= limit {
			break
		}
	}
	return all, nil
}

func (a *API) testDirectories(c *call, _ rest.None) (rest.List[rest.DirectoryTest], error) {
	all, err := a.Access.Test(c.ctx())
	l := rest.List[rest.DirectoryTest]{Items: make([]rest.DirectoryTest, len(all))}
	for i, d := range all {
		l.Items[i] = DirectoryTestOf(d)
	}
	return l, err
}

// DirectoryTestOf is what was found of one directory as it is answered.
func DirectoryTestOf(d access.DirectoryFindings) rest.DirectoryTest {
	t := rest.DirectoryTest{Directory: d.Directory, Findings: make([]rest.Finding, len(d.Findings))}
	for i, f := range d.Findings {
		t.Findings[i] = rest.Finding{Setting: f.Setting, What: f.What, Problem: f.Problem, Millis: f.Took.Milliseconds()}
	}
	return t
}

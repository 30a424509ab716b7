package httpapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func apiTokenOf(t access.APIToken) rest.APIToken {
	areas := make([]string, len(t.Areas))
	for i, a := range t.Areas {
		areas[i] = string(a)
	}
	return rest.APIToken{
		ID: t.ID, Name: t.Name, Owner: t.Owner, Role: t.Role, Areas: areas,
		Created: t.Created, Expires: t.Expires, LastUsed: t.LastUsed, Revoked: t.Revoked,
	}
}

func (a *API) listAPITokens(c *call, _ rest.None) (rest.List[rest.APIToken], error) {
	all, err := a.Access.APITokens(c.ctx())
	items := make([]rest.APIToken, len(all))
	for i, t := range all {
		items[i] = apiTokenOf(t)
	}
	return rest.List[rest.APIToken]{Items: items}, err
}

func (a *API) createAPIToken(c *call, in rest.NewAPIToken) (rest.APITokenCreated, error) {
	const most = int(access.MaxAPITokenLifetime / time.Hour)
	if in.LifetimeHours < 0 || in.LifetimeHours > most { // before it is multiplied
		return rest.APITokenCreated{}, dormer.Invalidf("lifetime_hours", "must be from 1 to %d", most)
	}
	n := access.NewAPIToken{Name: in.Name, Role: in.Role, Lifetime: time.Duration(in.LifetimeHours) * time.Hour}
	for _, area := range in.Areas {
		n.Areas = append(n.Areas, access.Area(area))
	}
	t, text, err := a.Access.CreateAPIToken(c.ctx(), c.caller, n)
	if err != nil {
		return rest.APITokenCreated{}, err
	}
	made := apiTokenOf(t)
	where := "everywhere"
	if len(made.Areas) > 0 {
		where = strings.Join(made.Areas, ", ")
	}
	detail := fmt.Sprintf("%s, %s, until %s", t.Role, where, t.Expires.UTC().Format(time.RFC3339))
	if err := c.audit("api-token.create", named(t.Name, t.ID), detail); err != nil {
		return rest.APITokenCreated{}, errors.Join(err, a.Access.RevokeAPIToken(c.ctx(), t.ID)) // nobody has been shown it
	}
	return rest.APITokenCreated{APIToken: made, Token: text}, nil
}

func (a *API) revokeAPIToken(c *call, _ rest.None) (rest.None, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.None{}, err
	}
	all, err := a.Access.APITokens(c.ctx())
	if err != nil {
		return rest.None{}, err
	}
	i := slices.IndexFunc(all, func(t access.APIToken) bool { return t.ID == id })
	if i < 0 {
		return rest.None{}, fmt.Errorf("no such API token: %w", dormer.ErrNotFound)
	}
	if err := a.Access.RevokeAPIToken(c.ctx(), id); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("api-token.revoke", named(all[i].Name, id), "of "+all[i].Owner.Name)
}

// keepsOperators refuses changes to users and groups of the embedded directory
// by which an API token without the area access would reach what it is not for:
// with the password of an operator, or with a member more in a group of
// operators.
func (a *API) keepsOperators(c *call, changed access.Member) error {
	if c.caller.Allows(access.AreaAccess, dormer.RoleFull) {
		return nil
	}
	operators, err := a.Access.Operators(c.ctx())
	if err != nil {
		return err
	}
	// Whoever is in a group of operators is one, and so is who is in a group in it.
	var todo []access.Member
	for _, o := range operators {
		if o.Principal.Directory == dormer.EmbeddedDirectory {
			todo = append(todo, access.Member{Kind: o.Principal.Kind, ID: o.Principal.Key})
		}
	}
	seen := map[access.Member]bool{}
	for len(todo) > 0 {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if m == changed {
			return fmt.Errorf("this concerns operators, so that an API token needs the area %s too: %w", access.AreaAccess, dormer.ErrDenied)
		}
		if seen[m] || m.Kind != dormer.KindGroup {
			continue
		}
		seen[m] = true
		members, err := a.Accounts.Members(c.ctx(), m.ID)
		if err != nil && !errors.Is(err, dormer.ErrNotFound) { // the role may outlive its group
			return err
		}
		todo = append(todo, members...)
	}
	return nil
}

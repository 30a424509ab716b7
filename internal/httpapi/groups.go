package httpapi

import (
	"context"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func (a *API) listGroups(c *call, _ rest.None) (rest.List[rest.Group], error) {
	none := rest.List[rest.Group]{}
	groups, err := a.Accounts.Groups(c.ctx())
	if err != nil {
		return none, err
	}
	names := map[access.Member]string{}
	for _, g := range groups {
		names[access.Member{Kind: dormer.KindGroup, ID: g.ID}] = g.Name
	}
	accounts, err := a.Accounts.All(c.ctx())
	if err != nil {
		return none, err
	}
	for _, u := range accounts {
		names[access.Member{Kind: dormer.KindUser, ID: u.ID}] = u.Name
	}
	items := make([]rest.Group, len(groups))
	for i, g := range groups {
		members, err := a.members(c.ctx(), g.ID, names)
		if err != nil {
			return none, err
		}
		items[i] = rest.Group{ID: g.ID, Name: g.Name, Members: members}
	}
	return rest.List[rest.Group]{Items: items}, nil
}

func (a *API) members(ctx context.Context, group string, names map[access.Member]string) ([]rest.Member, error) {
	members, err := a.Accounts.Members(ctx, group)
	if err != nil {
		return nil, err
	}
	out := make([]rest.Member, len(members))
	for i, m := range members {
		out[i] = rest.Member{Kind: m.Kind, ID: m.ID, Name: names[m]}
	}
	return out, nil
}

func (a *API) createGroup(c *call, in rest.NewGroup) (rest.Group, error) {
	g, err := a.Accounts.CreateGroup(c.ctx(), in.Name)
	if err != nil {
		return rest.Group{}, err
	}
	return rest.Group{ID: g.ID, Name: g.Name, Members: []rest.Member{}}, c.audit("group.create", named(g.Name, g.ID), "")
}

func (a *API) deleteGroup(c *call, _ rest.None) (rest.None, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.None{}, err
	}
	if err := a.keepsOperators(c, access.Member{Kind: dormer.KindGroup, ID: id}); err != nil {
		return rest.None{}, err
	}
	g, err := a.Accounts.Group(c.ctx(), id)
	if err != nil {
		return rest.None{}, err
	}
	if err := a.Access.Forget(c.ctx(), principalOf(dormer.KindGroup, id, g.Name)); err != nil {
		return rest.None{}, err
	}
	if err := a.Accounts.DeleteGroup(c.ctx(), id); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("group.delete", named(g.Name, id), "")
}

func (a *API) addMember(c *call, _ rest.None) (rest.None, error) {
	return rest.None{}, a.setMember(c, true)
}

func (a *API) removeMember(c *call, _ rest.None) (rest.None, error) {
	return rest.None{}, a.setMember(c, false)
}

func (a *API) setMember(c *call, present bool) error {
	group, err := c.id("id")
	if err != nil {
		return err
	}
	member, err := c.id("member")
	if err != nil {
		return err
	}
	if err := a.keepsOperators(c, access.Member{Kind: dormer.KindGroup, ID: group}); err != nil {
		return err
	}
	g, err := a.Accounts.Group(c.ctx(), group)
	if err != nil {
		return err
	}
	m := access.Member{Kind: dormer.PrincipalKind(c.r.PathValue("kind")), ID: member}
	if err := a.Accounts.SetMember(c.ctx(), group, m, present); err != nil {
		return err
	}
	action := "group.add-member"
	if !present {
		action = "group.remove-member"
	}
	return c.audit(action, named(g.Name, group), string(m.Kind)+" "+m.ID)
}

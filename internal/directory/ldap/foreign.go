package ldap

import (
	"context"
	"fmt"
	"slices"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
)

// Principals of another domain are in groups of Active Directory by stand-ins:
// objects of class foreignSecurityPrincipal that have their SID.

// ForeignGroups returns the groups that hold one of the principals of another
// directory. Only those with SIDs can be in one.
func (d *Directory) ForeignGroups(ctx context.Context, of []dormer.Principal) ([]dormer.Principal, error) {
	var groups []dormer.Principal
	sids := d.foreignSIDs(of)
	if len(sids) == 0 {
		return nil, nil
	}
	err := d.pool.search(ctx, func(c *conn) error {
		from, err := d.standIns(ctx, c, sids)
		if err != nil || len(from) == 0 {
			groups = nil
			return err
		}
		groups, err = d.climb(ctx, c, from)
		return err
	})
	if err != nil {
		return nil, err
	}
	return groups, nil
}

// ForeignChain says through which groups one of the principals of another
// directory is in group.
func (d *Directory) ForeignChain(ctx context.Context, from []dormer.Principal, group dormer.Principal) ([]dormer.Principal, error) {
	none := fmt.Errorf("find a way from another directory into group %s of %s: %w", group.Name, d.config.Name, dormer.ErrNotFound)
	sids := d.foreignSIDs(from)
	if len(sids) == 0 || group.Directory != d.config.Name || group.Kind != dormer.KindGroup {
		return nil, none
	}
	var chain []dormer.Principal
	err := d.pool.search(ctx, func(c *conn) error {
		nodes, err := d.standIns(ctx, c, sids)
		if err != nil {
			return err
		}
		if len(nodes) == 0 {
			return none
		}
		chain, err = d.chain(ctx, c, nodes, nil, group)
		return err
	})
	if err != nil {
		return nil, err
	}
	return chain, nil
}

func (d *Directory) foreignSIDs(of []dormer.Principal) []string {
	if d.config.Kind != ActiveDirectory {
		return nil
	}
	var sids []string
	for _, p := range of {
		if p.Directory != d.config.Name && isSID(p.Key) {
			sids = append(sids, p.Key)
		}
	}
	return sids
}

// standIns finds the objects that stand for those SIDs.
func (d *Directory) standIns(ctx context.Context, c *conn, sids []string) ([]node, error) {
	// They are in a container of the domain, not below the base.
	domain, err := d.domain(ctx, c)
	if err != nil {
		return nil, err
	}
	var nodes []node
	for part := range slices.Chunk(sids, chunk) {
		oneOf := make([]filter, len(part))
		for i, sid := range part {
			oneOf[i] = equal("objectSid", sid)
		}
		found, _, err := c.find(ctx, request{
			base: domain, scope: goldap.ScopeWholeSubtree, limit: len(part), attributes: []string{"1.1"},
			filter: every(filter{"(objectClass=foreignSecurityPrincipal)"}, either(oneOf...)),
		})
		if err != nil {
			return nil, d.explain(c, err)
		}
		for _, e := range found {
			nodes = append(nodes, node{dn: e.DN, value: e.DN})
		}
	}
	return nodes, nil
}

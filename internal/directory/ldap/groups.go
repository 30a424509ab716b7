package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
)

// Groups returns the groups that user is in, nested ones too.
func (d *Directory) Groups(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error) {
	if user.Kind != dormer.KindUser {
		return nil, fmt.Errorf("find groups of a user of %s: %w", d.config.Name, dormer.ErrNotFound)
	}
	var groups []dormer.Principal
	err := d.pool.search(ctx, func(c *conn) (err error) {
		if d.config.Kind == ActiveDirectory {
			groups, err = d.tokenGroups(ctx, c, user)
			return err
		}
		e, err := d.byKey(ctx, c, user, d.schema.state...)
		if err != nil {
			return err
		}
		if err := d.usableNow(ctx, c, e); err != nil {
			return err
		}
		groups, err = d.climb(ctx, c, []node{d.nodeOf(d.schema.userName, e)})
		return err
	})
	if err != nil {
		return nil, err
	}
	return groups, nil
}

// usableNow is usable, and asks whether the account fits the filter of those
// that may not be used.
func (d *Directory) usableNow(ctx context.Context, c *conn, e *goldap.Entry) error {
	disabled := false
	if d.schema.disabled.text != "" {
		found, _, err := c.find(ctx, request{base: e.DN, scope: goldap.ScopeBaseObject, filter: d.schema.disabled, attributes: []string{"1.1"}, limit: 1})
		if err != nil && resultCode(err) != goldap.LDAPResultNoSuchObject {
			return d.explain(c, err)
		}
		disabled = len(found) > 0
	}
	return d.usable(e, disabled)
}

// tokenGroups asks Active Directory for the SIDs of all groups of a user, its
// primary group's among them, and for the names that go with them.
func (d *Directory) tokenGroups(ctx context.Context, c *conn, user dormer.Principal) ([]dormer.Principal, error) {
	e, err := d.accountBySID(ctx, c, user, append([]string{"tokenGroups", "sAMAccountType"}, d.schema.state...)...)
	if err != nil {
		return nil, err
	}
	if err := d.usable(e, false); err != nil {
		return nil, err
	}
	raw := e.GetEqualFoldRawAttributeValues("tokenGroups")
	if len(raw) == 0 {
		// Everybody has a primary group at least.
		return nil, fmt.Errorf("%s: the service account may not read tokenGroups of %s; put it into the group Windows Authorization Access Group: %w", settingBindUser, e.DN, dormer.ErrUnavailable)
	}
	if len(raw) > MaxGroups {
		return nil, fmt.Errorf("%s is in more than %d groups: %w", e.DN, MaxGroups, dormer.ErrTooLarge)
	}
	sids := make([]string, 0, len(raw))
	for _, b := range raw {
		sid, err := parseSID(b)
		if err != nil {
			return nil, fmt.Errorf("read tokenGroups of %s: %w: %w", e.DN, err, dormer.ErrUnavailable)
		}
		sids = append(sids, sid)
	}
	return d.groupsBySID(ctx, c, sids)
}

// accountBySID reads one account by its SID, in one exchange, with attributes
// that only the reading of a single object gives.
func (d *Directory) accountBySID(ctx context.Context, c *conn, user dormer.Principal, attributes ...string) (*goldap.Entry, error) {
	none := fmt.Errorf("find the user by its key in directory %s: %w", d.config.Name, dormer.ErrNotFound)
	if user.Directory != d.config.Name || !isSID(user.Key) {
		return nil, none
	}
	base, err := d.base(ctx, c)
	if err != nil {
		return nil, err
	}
	found, _, err := c.find(ctx, request{base: "<SID=" + user.Key + ">", scope: goldap.ScopeBaseObject, filter: anything, attributes: attributes, limit: 1})
	switch {
	case err != nil && resultCode(err) != goldap.LDAPResultNoSuchObject:
		return nil, d.explain(c, err)
	case err == nil && len(found) > 0 && isBelow(found[0].DN, base) && found[0].GetEqualFoldAttributeValue("sAMAccountType") == userAccount:
		return found[0], nil
	}
	// Nobody is gone because of a base that is not there.
	_, _, err = c.find(ctx, request{base: base, scope: goldap.ScopeBaseObject, filter: anything, attributes: []string{"1.1"}, limit: 1})
	if err != nil {
		return nil, d.explain(c, err)
	}
	return nil, none
}

// groupsBySID returns the groups of those SIDs. SIDs without an object, as that
// of everybody who signed in, are left out.
func (d *Directory) groupsBySID(ctx context.Context, c *conn, sids []string) ([]dormer.Principal, error) {
	groups := make([]dormer.Principal, 0, len(sids))
	var unknown []string
	for _, sid := range sids {
		name, known := d.names.get(sid)
		switch {
		case !known:
			unknown = append(unknown, sid)
		case name != "":
			groups = append(groups, dormer.Principal{Directory: d.config.Name, Kind: dormer.KindGroup, Key: sid, Name: name})
		}
	}
	for part := range slices.Chunk(unknown, chunk) {
		oneOf := make([]filter, len(part))
		for i, sid := range part {
			oneOf[i] = equal(d.schema.key, sid)
		}
		found, _, err := d.below(ctx, c, every(d.schema.groups, either(oneOf...)), len(part), d.schema.key, d.schema.groupName)
		if err != nil {
			return nil, err
		}
		named := make(map[string]string, len(found))
		for _, e := range found {
			g, err := d.principal(dormer.KindGroup, e)
			if err != nil {
				return nil, err
			}
			groups = append(groups, g)
			named[g.Key] = g.Name
		}
		for _, sid := range part {
			d.names.put(sid, named[sid])
		}
	}
	return groups, nil
}

// groupNames remembers the names of groups for a minute: a re-read asks for the
// same ones user after user. What a user is in is never taken from it.
type groupNames struct {
	now func() time.Time

	mu sync.Mutex
	// guards the field below
	bySID map[string]groupName
}

// groupName is "" for a SID that is no group's.
type groupName struct {
	name  string
	until time.Time
}

const (
	groupNameLife = time.Minute
	maxGroupNames = 20_000
)

func newGroupNames(now func() time.Time) *groupNames {
	return &groupNames{now: now, bySID: make(map[string]groupName)}
}

func (n *groupNames) get(sid string) (name string, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	g, ok := n.bySID[sid]
	if !ok || !n.now().Before(g.until) {
		return "", false
	}
	return g.name, true
}

func (n *groupNames) put(sid, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.bySID) >= maxGroupNames {
		clear(n.bySID)
	}
	n.bySID[sid] = groupName{name: name, until: n.now().Add(groupNameLife)}
}

// node is a user or group on the way up through groups.
type node struct {
	dn string
	// value is what the member attribute of its groups holds; empty: nothing
	// can.
	value string
	group dormer.Principal // zero for where the way began
	below *node
}

func (d *Directory) nodeOf(nameAttribute string, e *goldap.Entry) node {
	if d.schema.memberByName {
		return node{dn: e.DN, value: e.GetEqualFoldAttributeValue(nameAttribute)}
	}
	return node{dn: e.DN, value: e.DN}
}

// parents returns the groups that name one of the nodes as a member.
func (d *Directory) parents(ctx context.Context, c *conn, base string, of []node) ([]node, error) {
	var oneOf []filter
	for _, n := range of {
		if n.value != "" {
			oneOf = append(oneOf, equal(d.schema.member, n.value))
		}
	}
	if len(oneOf) == 0 {
		return nil, nil
	}
	found, more, err := c.find(ctx, request{
		base: base, scope: goldap.ScopeWholeSubtree, filter: every(d.schema.groups, either(oneOf...)), limit: MaxGroups,
		attributes: []string{d.schema.key, d.schema.groupName},
	})
	if err != nil {
		return nil, d.explain(c, err)
	}
	if more {
		return nil, errTooManyGroups
	}
	up := make([]node, 0, len(found))
	for _, e := range found {
		g, err := d.principal(dormer.KindGroup, e)
		if err != nil {
			return nil, err
		}
		n := node{dn: e.DN, value: e.DN, group: g}
		if d.schema.memberByName {
			n.value = "" // groups of names hold no groups
		}
		up = append(up, n)
	}
	return up, nil
}

var errTooManyGroups = fmt.Errorf("more than %d groups on the way up: %w", MaxGroups, dormer.ErrTooLarge)

// climb returns all groups above the nodes, level by level. Groups that are in
// each other are met once.
func (d *Directory) climb(ctx context.Context, c *conn, from []node) ([]dormer.Principal, error) {
	base, err := d.base(ctx, c)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	var groups []dormer.Principal
	level := from
	for depth := 0; len(level) > 0 && depth < MaxDepth; depth++ {
		var next []node
		for part := range slices.Chunk(level, chunk) {
			up, err := d.parents(ctx, c, base, part)
			if err != nil {
				return nil, err
			}
			for _, n := range up {
				if id := idOfDN(n.dn); !seen[id] {
					seen[id] = true
					next = append(next, n)
					groups = append(groups, n.group)
				}
			}
		}
		if len(groups) > MaxGroups {
			return nil, errTooManyGroups
		}
		level = next
	}
	return groups, nil
}

// chain finds the shortest way up from the nodes to group. first are groups
// that the beginning is in without being named as a member.
func (d *Directory) chain(ctx context.Context, c *conn, from, first []node, group dormer.Principal) ([]dormer.Principal, error) {
	base, err := d.base(ctx, c)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	level := from
	for depth := 0; len(level) > 0 && depth < MaxDepth; depth++ {
		var next []node
		for i := range level {
			up, err := d.parents(ctx, c, base, level[i:i+1])
			if err != nil {
				return nil, err
			}
			if depth == 0 && i == 0 {
				up = append(up, first...)
			}
			for _, n := range up {
				id := idOfDN(n.dn)
				if seen[id] {
					continue
				}
				seen[id] = true
				if depth > 0 {
					n.below = &level[i]
				}
				if strings.EqualFold(n.group.Key, group.Key) {
					return n.chain(), nil
				}
				next = append(next, n)
			}
			if len(seen) > MaxGroups {
				return nil, errTooManyGroups
			}
		}
		level = next
	}
	return nil, fmt.Errorf("find a way into group %s of directory %s: %w", group.Name, d.config.Name, dormer.ErrNotFound)
}

// chain lists the groups up to this one.
func (n *node) chain() []dormer.Principal {
	var list []dormer.Principal
	for ; n != nil; n = n.below {
		list = append(list, n.group)
	}
	slices.Reverse(list)
	return list
}

// Chain says through which groups a user or a group is in group.
func (d *Directory) Chain(ctx context.Context, member, group dormer.Principal) ([]dormer.Principal, error) {
	if group.Directory != d.config.Name || group.Kind != dormer.KindGroup {
		return nil, fmt.Errorf("find a group of directory %s: %w", d.config.Name, dormer.ErrNotFound)
	}
	var chain []dormer.Principal
	err := d.pool.search(ctx, func(c *conn) error {
		e, err := d.byKey(ctx, c, member, "primaryGroupID")
		if err != nil {
			return err
		}
		first, err := d.primaryGroup(ctx, c, member, e)
		if err != nil {
			return err
		}
		from := d.nodeOf(d.schema.userName, e)
		if d.schema.memberByName && member.Kind == dormer.KindGroup {
			from.value = "" // groups of names hold no groups, only users of the same name
		}
		chain, err = d.chain(ctx, c, []node{from}, first, group)
		return err
	})
	return chain, err
}

// primaryGroup is the group that an account of Active Directory is in by a
// number of its own, without being among its members.
func (d *Directory) primaryGroup(ctx context.Context, c *conn, user dormer.Principal, e *goldap.Entry) ([]node, error) {
	if d.config.Kind != ActiveDirectory || user.Kind != dormer.KindUser {
		return nil, nil
	}
	sid, ok := sibling(user.Key, e.GetEqualFoldAttributeValue("primaryGroupID"))
	if !ok {
		return nil, nil
	}
	found, _, err := d.below(ctx, c, every(d.schema.groups, equal(d.schema.key, sid)), 1, d.schema.key, d.schema.groupName)
	if err != nil {
		return nil, err
	}
	var first []node
	for _, e := range found {
		g, err := d.principal(dormer.KindGroup, e)
		if err != nil {
			return nil, err
		}
		first = append(first, node{dn: e.DN, value: e.DN, group: g})
	}
	return first, nil
}

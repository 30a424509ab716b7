package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
)

// goesBy reports whether one of the attributes is that name. Servers find more
// than that: they overlook spaces, Active Directory accents too.
func goesBy(e *goldap.Entry, who string, attributes []string) bool {
	folded := name.Fold(who)
	return slices.ContainsFunc(attributes, func(attribute string) bool {
		return slices.ContainsFunc(e.GetEqualFoldAttributeValues(attribute), func(value string) bool { return name.Fold(value) == folded })
	})
}

// beginsWith reports whether one of the attributes begins so.
func beginsWith(e *goldap.Entry, prefix string, attributes []string) bool {
	folded := name.Fold(prefix)
	return slices.ContainsFunc(attributes, func(attribute string) bool {
		return slices.ContainsFunc(e.GetEqualFoldAttributeValues(attribute), func(value string) bool { return strings.HasPrefix(name.Fold(value), folded) })
	})
}

// Resolve finds the principal of that kind and exact account name. Two of the
// same name, which only plain LDAP has, are an *access.AmbiguousError.
func (d *Directory) Resolve(ctx context.Context, kind dormer.PrincipalKind, who string) (dormer.Principal, error) {
	ofKind, nameAttribute, err := d.schema.ofKind(kind)
	if err != nil {
		return dormer.Principal{}, err
	}
	none := fmt.Errorf("find the %s in directory %s: %w", kind, d.config.Name, dormer.ErrNotFound)
	if !askable(who) {
		return dormer.Principal{}, none
	}
	var entries []access.Entry
	err = d.pool.search(ctx, func(c *conn) error {
		found, _, err := d.below(ctx, c, every(ofKind, called(who, nameAttribute)), MaxFound, d.schema.described(nameAttribute)...)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(e *goldap.Entry) bool { return !goesBy(e, who, []string{nameAttribute}) })
		entries, err = d.entries(kind, found)
		return err
	})
	switch {
	case err != nil:
		return dormer.Principal{}, err
	case len(entries) == 0:
		return dormer.Principal{}, none
	case len(entries) > 1:
		return dormer.Principal{}, &access.AmbiguousError{Candidates: entries}
	}
	return entries[0].Principal, nil
}

// entries describes objects.
func (d *Directory) entries(kind dormer.PrincipalKind, found []*goldap.Entry) ([]access.Entry, error) {
	all := make([]access.Entry, 0, len(found))
	for _, e := range found {
		p, err := d.principal(kind, e)
		if err != nil {
			return nil, err
		}
		entry := access.Entry{Principal: p, DisplayName: e.GetEqualFoldAttributeValue(d.schema.display), Detail: e.DN}
		if entry.DisplayName == "" {
			entry.DisplayName = e.GetEqualFoldAttributeValue(d.schema.common)
		}
		if mail := e.GetEqualFoldAttributeValue(d.schema.mail); mail != "" {
			entry.Detail = mail + ", " + e.DN
		}
		if kind == dormer.KindGroup && entry.DisplayName == p.Name {
			entry.DisplayName = ""
		}
		if kind == dormer.KindUser {
			entry.State = d.stateOf(e)
		}
		all = append(all, entry)
	}
	slices.SortStableFunc(all, access.CompareNames)
	return all, nil
}

// shown lists what is read of an entry to list it among others.
func (d *Directory) shown(kind dormer.PrincipalKind, nameAttribute string) []string {
	attributes := d.schema.described(nameAttribute)
	if kind != dormer.KindUser {
		return attributes
	}
	if d.config.Kind == ActiveDirectory {
		attributes = append(attributes, controlNow)
	}
	return append(attributes, d.schema.state...)
}

// stateOf is the State of the entry of an account, as far as the attributes say
// that were read. The filter of disabled accounts would be another question.
func (d *Directory) stateOf(e *goldap.Entry) string {
	if refused, ok := errors.AsType[*access.RefusedError](d.usable(e, false)); ok {
		return refused.Reason.State()
	}
	if now, err := strconv.ParseInt(e.GetEqualFoldAttributeValue(controlNow), 10, 64); err == nil && now&accountLocked != 0 {
		return access.ReasonLocked.State()
	}
	return ""
}

// Match lists the principals of that kind that go by exactly this name.
func (d *Directory) Match(ctx context.Context, kind dormer.PrincipalKind, who string, limit int) ([]access.Entry, error) {
	ofKind, nameAttribute, err := d.schema.ofKind(kind)
	if err != nil {
		return nil, err
	}
	if !askable(who) || limit <= 0 {
		return nil, nil
	}
	names := d.schema.described(nameAttribute)[1:] // but for the key
	var entries []access.Entry
	err = d.pool.search(ctx, func(c *conn) error {
		found, _, err := d.below(ctx, c, every(ofKind, called(who, names...)), MaxFound, d.shown(kind, nameAttribute)...)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(e *goldap.Entry) bool { return !goesBy(e, who, names) })
		entries, err = d.entries(kind, found)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries[:min(len(entries), limit)], nil
}

// Find lists principals whose account name, name for people or mail address
// begins with prefix. Active Directory sorts them, so that a few more than limit
// are looked at; of other servers at most MaxFound users and as many groups are.
func (d *Directory) Find(ctx context.Context, prefix string, limit int) ([]access.Entry, error) {
	if limit <= 0 || prefix != "" && !askable(prefix) {
		return nil, nil
	}
	var all []access.Entry
	err := d.pool.search(ctx, func(c *conn) error {
		all = nil
		for _, kind := range []dormer.PrincipalKind{dormer.KindUser, dormer.KindGroup} {
			ofKind, nameAttribute, err := d.schema.ofKind(kind)
			if err != nil {
				return err
			}
			names := []string{nameAttribute, d.schema.display, d.schema.common, d.schema.mail}
			base, err := d.base(ctx, c)
			if err != nil {
				return err
			}
			r := request{
				base: base, scope: goldap.ScopeWholeSubtree, filter: every(ofKind, calledLike(prefix, names...)),
				attributes: d.shown(kind, nameAttribute), limit: MaxFound,
			}
			if d.config.Kind == ActiveDirectory {
				// More, since its order and its idea of a prefix are not quite these.
				r.limit, r.sortedBy = min(MaxFound, 2*limit+100), nameAttribute
			}
			found, _, err := c.find(ctx, r)
			if err != nil {
				return d.explain(c, err)
			}
			found = slices.DeleteFunc(found, func(e *goldap.Entry) bool { return !beginsWith(e, prefix, names) })
			entries, err := d.entries(kind, found)
			if err != nil {
				return err
			}
			all = append(all, entries...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, access.CompareNames)
	return all[:min(len(all), limit)], nil
}

// Lookup finds a principal by its key.
func (d *Directory) Lookup(ctx context.Context, p dormer.Principal) (dormer.Principal, error) {
	var now dormer.Principal
	err := d.pool.search(ctx, func(c *conn) error {
		e, err := d.byKey(ctx, c, p)
		if err != nil {
			return err
		}
		now, err = d.principal(p.Kind, e)
		return err
	})
	if err != nil {
		return dormer.Principal{}, err
	}
	return now, nil
}

// byKey finds the object of a principal. ErrNotFound when it is gone.
func (d *Directory) byKey(ctx context.Context, c *conn, p dormer.Principal, more ...string) (*goldap.Entry, error) {
	ofKind, nameAttribute, err := d.schema.ofKind(p.Kind)
	if err != nil {
		return nil, err
	}
	none := fmt.Errorf("find the %s by its key in directory %s: %w", p.Kind, d.config.Name, dormer.ErrNotFound)
	if p.Directory != d.config.Name || !askable(p.Key) || d.schema.binaryKey && !isSID(p.Key) {
		return nil, none
	}
	found, _, err := d.below(ctx, c, every(ofKind, equal(d.schema.key, p.Key)), 2, append(d.schema.described(nameAttribute), more...)...)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if key, err := d.schema.keyOf(e); err == nil && strings.EqualFold(key, p.Key) {
			return e, nil
		}
	}
	return nil, none
}

package ldap

import (
	"context"
	"fmt"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
)

const (
	// pageSize is how many entries are asked for at once; Active Directory gives
	// 1,000 at most.
	pageSize = 500
	// chunk is how many alternatives a filter has at most.
	chunk = 50
)

// request is a search.
type request struct {
	base       string
	scope      int // goldap.ScopeBaseObject, ScopeSingleLevel or ScopeWholeSubtree
	filter     filter
	attributes []string
	// limit is how many entries are wanted at most; more than 0.
	limit int
	// sortedBy is the attribute that the server sorts by if it can; or empty.
	sortedBy string
}

// anything is the filter for reading one object.
var anything = filter{"(objectClass=*)"}

// find searches page by page. It stops when limit entries are there; more says
// that there are others.
func (c *conn) find(ctx context.Context, r request) (found []*goldap.Entry, more bool, err error) {
	paging := goldap.NewControlPaging(uint32(min(pageSize, r.limit+1)))
	s := &goldap.SearchRequest{
		BaseDN: r.base, Scope: r.scope, DerefAliases: goldap.NeverDerefAliases, Filter: r.filter.text, Attributes: r.attributes,
		TimeLimit: int((c.timeout + time.Second - 1) / time.Second),
	}
	if r.scope != goldap.ScopeBaseObject {
		s.Controls = []goldap.Control{paging}
	}
	if r.sortedBy != "" {
		s.Controls = append(s.Controls, goldap.NewControlServerSideSortingWithSortKeys([]*goldap.SortKey{{AttributeType: r.sortedBy}}))
	}
	for {
		var page *goldap.SearchResult
		err := c.with(ctx, func() (err error) {
			page, err = c.ldap.Search(s)
			return err
		})
		if resultCode(err) == goldap.LDAPResultSizeLimitExceeded && len(page.Entries) > 0 {
			// The server gives less than was asked for, and does not page.
			found = append(found, page.Entries...)
			return found[:min(len(found), r.limit)], true, nil
		}
		if err != nil {
			return nil, false, err
		}
		found = append(found, page.Entries...)
		control, _ := goldap.FindControl(page.Controls, goldap.ControlTypePaging).(*goldap.ControlPaging)
		last := control == nil || len(control.Cookie) == 0
		if len(found) > r.limit || len(found) == r.limit && !last {
			if !last {
				// The server keeps a search that was not read to its end.
				paging.PagingSize, paging.Cookie = 0, control.Cookie
				if err := c.with(ctx, func() error {
					_, err := c.ldap.Search(s)
					return err
				}); lost(err) {
					return nil, false, err
				}
			}
			return found[:r.limit], true, nil
		}
		if last {
			return found, false, nil
		}
		paging.SetCookie(control.Cookie)
	}
}

// below searches below the base of the directory.
func (d *Directory) below(ctx context.Context, c *conn, f filter, limit int, attributes ...string) (found []*goldap.Entry, more bool, err error) {
	base, err := d.base(ctx, c)
	if err != nil {
		return nil, false, err
	}
	found, more, err = c.find(ctx, request{base: base, scope: goldap.ScopeWholeSubtree, filter: f, attributes: attributes, limit: limit})
	return found, more, d.explain(c, err)
}

// explain makes what a server answered to a search an error for people.
func (d *Directory) explain(c *conn, err error) error {
	if err == nil || lost(err) {
		return err
	}
	switch code := resultCode(err); code {
	case -1:
		return fmt.Errorf("search directory %s: %w", d.config.Name, err)
	case goldap.LDAPResultNoSuchObject, goldap.LDAPResultReferral, goldap.LDAPResultInvalidDNSyntax:
		return fmt.Errorf("%s: %s has no object %s; the server said: %s: %w", settingBase, c.server.address, d.config.BaseDN, said(err), dormer.ErrUnavailable)
	case goldap.LDAPResultInsufficientAccessRights, goldap.LDAPResultInappropriateAuthentication:
		return fmt.Errorf("%s: the service account may not search on %s; the server said: %s: %w", settingBindUser, c.server.address, said(err), dormer.ErrUnavailable)
	default:
		return fmt.Errorf("search directory %s on %s; the server said: %s: %w", d.config.Name, c.server.address, said(err), dormer.ErrUnavailable)
	}
}

// rootDSE is what a server says about itself.
type rootDSE struct {
	hostName string
	// domain is the default naming context of Active Directory.
	domain string
	// configuration is the naming context that tells of the forest's domains.
	configuration string
	// contexts are the naming contexts.
	contexts []string
	// time is the server's clock; zero if it does not tell.
	time time.Time
}

func (c *conn) readRoot(ctx context.Context) (*rootDSE, error) {
	found, _, err := c.find(ctx, request{
		scope: goldap.ScopeBaseObject, filter: anything, limit: 1,
		attributes: []string{"defaultNamingContext", "configurationNamingContext", "namingContexts", "dnsHostName", "currentTime"},
	})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %s does not say what it holds: %w", c.server.setting, c.server.address, dormer.ErrUnavailable)
	}
	e := found[0]
	root := &rootDSE{
		hostName: e.GetEqualFoldAttributeValue("dnsHostName"), domain: e.GetEqualFoldAttributeValue("defaultNamingContext"),
		configuration: e.GetEqualFoldAttributeValue("configurationNamingContext"), contexts: e.GetEqualFoldAttributeValues("namingContexts"),
	}
	if t, err := time.Parse("20060102150405.0Z", e.GetEqualFoldAttributeValue("currentTime")); err == nil {
		root.time = t
	}
	return root, nil
}

// domain is the base of the whole domain in Active Directory.
func (d *Directory) domain(ctx context.Context, c *conn) (string, error) {
	d.mu.Lock()
	root := d.root
	d.mu.Unlock()
	if root == nil {
		var err error
		if root, err = c.readRoot(ctx); err != nil {
			return "", d.explain(c, err)
		}
		if root.domain == "" {
			return "", fmt.Errorf("%s: %s names no domain, so it is no Active Directory; set type to %q: %w", c.server.setting, c.server.address, Plain, dormer.ErrUnavailable)
		}
		d.mu.Lock()
		d.root = root
		d.mu.Unlock()
	}
	return root.domain, nil
}

func (d *Directory) base(ctx context.Context, c *conn) (string, error) {
	if d.config.BaseDN != "" {
		return d.config.BaseDN, nil
	}
	return d.domain(ctx, c)
}

// isBelow reports whether an object is the base or below it.
func isBelow(dn, base string) bool {
	object, err := goldap.ParseDN(dn)
	if err != nil {
		return false
	}
	top, err := goldap.ParseDN(base)
	return err == nil && (top.EqualFold(object) || top.AncestorOfFold(object))
}

// idOfDN is the same for distinguished names that are.
func idOfDN(dn string) string {
	if parsed, err := goldap.ParseDN(dn); err == nil {
		return strings.ToLower(parsed.String())
	}
	return strings.ToLower(dn)
}

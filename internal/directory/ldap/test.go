package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/kerberos"
)

// exam collects findings.
type exam struct {
	now      func() time.Time
	findings []access.Finding
	// blamed is the setting that an error named instead of the one examined.
	blamed string
}

// check notes how one examination went; it reports whether well.
func (x *exam) check(setting, what string, examine func() (problem string)) bool {
	began := x.now()
	x.blamed = setting
	problem := examine()
	setting = x.blamed
	x.findings = append(x.findings, access.Finding{Setting: setting, What: what, Problem: problem, Took: x.now().Sub(began)})
	return problem == ""
}

// Test tries everything that the directory needs, server by server, on
// connections of its own.
func (d *Directory) Test(ctx context.Context) ([]access.Finding, error) {
	x := &exam{now: d.config.Now}
	for _, s := range d.pool.servers {
		d.testServer(ctx, x, s)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("test directory %s: %w", d.config.Name, err)
		}
	}
	return x.findings, nil
}

func (d *Directory) testServer(ctx context.Context, x *exam, s *server) {
	about := func(what string) string { return s.address + ": " + what }
	var c *conn
	connected := x.check(s.setting, about("connect"), func() string {
		limited, cancel := context.WithTimeout(ctx, d.config.Timeout)
		defer cancel()
		tcp, err := s.openTCP(limited)
		if err == nil {
			closed(tcp)
		}
		return x.problem(err)
	})
	if !connected {
		return
	}
	encrypted := x.check(s.setting, about("encryption and certificate"), func() string {
		var err error
		c, err = s.open(ctx, d.config.Timeout)
		return x.problem(err)
	})
	if !encrypted {
		return
	}
	defer func() { c.close() }()
	var root *rootDSE
	bound := x.check(settingBindUser, about("sign-in of the service account"), func() string {
		return x.problem(d.pool.bindService(ctx, c))
	})
	if !bound {
		return
	}
	if !x.check(s.setting, about("what the server says about itself"), func() string {
		var err error
		if root, err = c.readRoot(ctx); err != nil {
			return said(err)
		}
		if d.config.Kind == ActiveDirectory && root.domain == "" {
			return fmt.Sprintf("it is no Active Directory; set type to %q", Plain)
		}
		return ""
	}) {
		return
	}
	if d.config.Kind == ActiveDirectory {
		x.check(settingDomain, about("the names of the domain"), func() string { return d.testNames(ctx, x, c, root) })
	}
	base := d.config.BaseDN
	if base == "" {
		base = root.domain
	}
	if !x.check(settingBase, about("the object "+base), func() string { return d.testBase(ctx, c, root, base) }) {
		return
	}
	d.testReading(ctx, x, c, base, about)
	if d.config.Kind == ActiveDirectory {
		x.check(settingBindUser, about("when accounts are locked"), func() string { return d.testLockout(ctx, c, root.domain) })
	}
	if !root.time.IsZero() {
		x.check(s.setting, about("time"), func() string {
			skew := root.time.Sub(d.config.Now()).Abs()
			if skew <= kerberos.MaxSkew/2 {
				return ""
			}
			return fmt.Sprintf("its clock and the one here are %s apart; Kerberos takes %s at most: set the time on both", skew.Round(time.Second), kerberos.MaxSkew)
		})
	}
}

// problem is what an error means to who reads a finding. A connectError knows
// best which setting it is about.
func (x *exam) problem(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*connectError](err); ok {
		x.blamed = e.setting
		return e.plain
	}
	return said(err)
}

// testNames compares the names that people type with those of the domain, as
// far as the service account may read them.
func (d *Directory) testNames(ctx context.Context, x *exam, c *conn, root *rootDSE) string {
	if dns := dnsName(root.domain); dns != "" && !strings.EqualFold(dns, d.config.Domain) {
		return fmt.Sprintf("the server is one of the domain %s", dns)
	}
	if d.config.NetBIOS == "" || root.configuration == "" {
		return ""
	}
	x.blamed = settingNetBIOS
	found, _, err := c.find(ctx, request{
		base: "CN=Partitions," + root.configuration, scope: goldap.ScopeSingleLevel, limit: 1,
		filter: every(equal("objectClass", "crossRef"), equal("nCName", root.domain)), attributes: []string{"nETBIOSName"},
	})
	if err != nil || len(found) == 0 {
		return "" // it is for comparison only
	}
	if short := found[0].GetEqualFoldAttributeValue("nETBIOSName"); short != "" && !strings.EqualFold(short, d.config.NetBIOS) {
		return fmt.Sprintf("the domain is called %s", short)
	}
	x.blamed = settingDomain
	return ""
}

// dnsName is the name of the domain with that distinguished name; empty when it
// is none of a domain.
func dnsName(dn string) string {
	parsed, err := goldap.ParseDN(dn)
	if err != nil {
		return ""
	}
	var labels []string
	for _, r := range parsed.RDNs {
		if len(r.Attributes) != 1 || !strings.EqualFold(r.Attributes[0].Type, "DC") {
			return ""
		}
		labels = append(labels, r.Attributes[0].Value)
	}
	return strings.Join(labels, ".")
}

func (d *Directory) testBase(ctx context.Context, c *conn, root *rootDSE, base string) string {
	found, _, err := c.find(ctx, request{base: base, scope: goldap.ScopeBaseObject, filter: anything, attributes: []string{"1.1"}, limit: 1})
	if err == nil && len(found) > 0 {
		return ""
	}
	problem := "the service account may not see it, or it is not there"
	if err != nil {
		problem = "the server said: " + said(err)
	}
	if len(root.contexts) > 0 {
		problem += fmt.Sprintf("; the server holds %s", root.contexts[0])
	}
	return problem
}

// testLockout reads when the domain locks accounts, and its fine-grained policies
// as far as they are to be seen.
func (d *Directory) testLockout(ctx context.Context, c *conn, domain string) string {
	_, ok, err := d.readLockout(ctx, c, "")
	switch {
	case err != nil:
		return said(err)
	case !ok:
		return "the service account may not read lockoutThreshold of the domain; let it read all properties of the domain object"
	}
	container := "CN=Password Settings Container,CN=System," + domain
	found, _, err := c.find(ctx, request{
		base: container, scope: goldap.ScopeWholeSubtree, filter: anything, limit: MaxFound, attributes: []string{"msDS-LockoutThreshold"},
	})
	if err != nil {
		if resultCode(err) == goldap.LDAPResultNoSuchObject || resultCode(err) == goldap.LDAPResultInsufficientAccessRights {
			return ""
		}
		return said(err)
	}
	for _, e := range found {
		if e.GetEqualFoldAttributeValue("msDS-LockoutThreshold") == "" && idOfDN(e.DN) != idOfDN(container) {
			return fmt.Sprintf("the service account may not read %s, so users under it have one attempt only; let it read all properties of that object", e.DN)
		}
	}
	return ""
}

// testReading reads one user and one group, and what only may be read by who is
// allowed to.
func (d *Directory) testReading(ctx context.Context, x *exam, c *conn, base string, about func(string) string) {
	var user *goldap.Entry
	for _, kind := range []dormer.PrincipalKind{dormer.KindUser, dormer.KindGroup} {
		setting, what := settingUsers, "a user"
		if kind == dormer.KindGroup {
			setting, what = settingGroups, "a group"
		}
		if d.config.Kind == ActiveDirectory {
			setting = settingBase
		}
		x.check(setting, about("read "+what), func() string {
			ofKind, nameAttribute, err := d.schema.ofKind(kind)
			if err != nil {
				return err.Error()
			}
			found, _, err := c.find(ctx, request{
				base: base, scope: goldap.ScopeWholeSubtree, filter: ofKind, limit: 1,
				attributes: append(d.schema.described(nameAttribute), d.schema.state...),
			})
			switch {
			case err != nil:
				return "the server said: " + said(err)
			case len(found) == 0:
				return "there is none below " + base + " that the service account may see"
			}
			if kind == dormer.KindUser {
				user = found[0]
			}
			if _, err := d.schema.keyOf(found[0]); err != nil {
				return err.Error()
			}
			if found[0].GetEqualFoldAttributeValue(nameAttribute) == "" {
				return fmt.Sprintf("%s has no attribute %s that the service account may read", found[0].DN, nameAttribute)
			}
			return ""
		})
	}
	if d.config.Kind != ActiveDirectory || user == nil {
		return
	}
	x.check(settingBindUser, about("read the groups of a user"), func() string {
		found, _, err := c.find(ctx, request{base: user.DN, scope: goldap.ScopeBaseObject, filter: anything, attributes: []string{"tokenGroups", "userAccountControl"}, limit: 1})
		switch {
		case err != nil:
			return "the server said: " + said(err)
		case len(found) == 0 || len(found[0].GetEqualFoldRawAttributeValues("tokenGroups")) == 0:
			return "the service account may not read tokenGroups; put it into the group Windows Authorization Access Group"
		case found[0].GetEqualFoldAttributeValue("userAccountControl") == "":
			return "the service account may not read userAccountControl, which says who is disabled"
		}
		return ""
	})
}

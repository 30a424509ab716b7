package ldap

import (
	"context"
	"fmt"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
)

// Session is a connection to one server on which the service account is signed
// in, for packages below directory that change objects. One goroutine at a time
// uses it. Nothing is repeated on another server: who changes something must
// know where.
type Session struct {
	directory *Directory
	conn      *conn
}

// Open connects to the most preferred server that answers. The caller closes
// the session.
func (d *Directory) Open(ctx context.Context) (*Session, error) {
	c, err := d.pool.get(ctx, map[*server]bool{})
	if err != nil {
		return nil, err
	}
	c.fresh = false
	return &Session{directory: d, conn: c}, nil
}

// OpenAt connects to the server of that host name.
func (d *Directory) OpenAt(ctx context.Context, host string) (*Session, error) {
	for _, s := range d.pool.servers {
		if s.host != host {
			continue
		}
		c, err := d.pool.dial(ctx, s)
		if err != nil {
			return nil, err
		}
		c.fresh = false
		return &Session{directory: d, conn: c}, nil
	}
	return nil, fmt.Errorf("server %.200q of directory %s: %w", host, d.config.Name, dormer.ErrNotFound)
}

// Close ends the session.
func (s *Session) Close() { s.conn.close() }

// Host is the name or address of the server, as it is configured.
func (s *Session) Host() string { return s.conn.server.host }

// Hosts are the names of all servers of the directory, that of the session first.
func (s *Session) Hosts() []string {
	hosts := []string{s.Host()}
	for _, other := range s.directory.pool.servers {
		if other.host != hosts[0] {
			hosts = append(hosts, other.host)
		}
	}
	return hosts
}

// Search returns at most two entries. ErrNotFound when there is none, or not
// even what they would be below.
func (s *Session) Search(ctx context.Context, base string, scope int, filter string, attributes ...string) ([]*goldap.Entry, error) {
	const most = 2
	request := goldap.NewSearchRequest(base, scope, goldap.NeverDerefAliases, most, 0, false, filter, attributes, nil)
	var found *goldap.SearchResult
	err := s.conn.with(ctx, func() error {
		var err error
		found, err = s.conn.ldap.Search(request)
		return err
	})
	switch {
	case err != nil:
		return nil, s.say(err)
	case len(found.Entries) == 0:
		return nil, dormer.ErrNotFound
	}
	return found.Entries, nil
}

// Add makes an object. ErrExists, ErrDenied and ErrNotFound (of what it would be
// below) are told apart.
func (s *Session) Add(ctx context.Context, r *goldap.AddRequest) error {
	return s.say(s.conn.with(ctx, func() error { return s.conn.ldap.Add(r) }))
}

// Modify changes an object; errors as of Add.
func (s *Session) Modify(ctx context.Context, r *goldap.ModifyRequest) error {
	return s.say(s.conn.with(ctx, func() error { return s.conn.ldap.Modify(r) }))
}

// Delete removes an object; errors as of Add.
func (s *Session) Delete(ctx context.Context, dn string) error {
	return s.say(s.conn.with(ctx, func() error { return s.conn.ldap.Del(goldap.NewDelRequest(dn, nil)) }))
}

// say gives an answer its kind.
func (s *Session) say(err error) error {
	kind := dormer.ErrUnavailable
	switch resultCode(err) {
	case -1:
		return err // of the connection, which has its kind, or none at all
	case goldap.LDAPResultNoSuchObject:
		kind = dormer.ErrNotFound
	case goldap.LDAPResultEntryAlreadyExists:
		kind = dormer.ErrExists
	case goldap.LDAPResultInsufficientAccessRights:
		kind = dormer.ErrDenied
	case goldap.LDAPResultConstraintViolation, goldap.LDAPResultUnwillingToPerform, goldap.LDAPResultObjectClassViolation,
		goldap.LDAPResultUndefinedAttributeType, goldap.LDAPResultInvalidDNSyntax, goldap.LDAPResultNamingViolation:
		kind = dormer.ErrInvalid
	}
	return fmt.Errorf("%s: %s: %w", s.conn.server.address, said(err), kind)
}

// Escape makes a value fit for a filter.
func Escape(value string) string { return goldap.EscapeFilter(value) }

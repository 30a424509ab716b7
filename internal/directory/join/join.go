// Package join prepares computer accounts in an Active Directory domain
// (Samba's too), so that each can be used for one join. It is an edge, below
// directory: the server composes a Joiner from the table directories.join of
// dormerd.toml. Passwords go over LDAP with checked TLS only, and to programs
// only through files that nobody else reads.
package join

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/domainjoin"
)

// Config says where accounts are made and by whom.
type Config struct {
	// Directory is the domain: servers, authority, names. Its BindUser with
	// Password or Keytab is the service account that prepares computers.
	Directory ldap.Config
	// OU is the distinguished name of where accounts are placed whose policy names
	// no place; empty: the container Computers.
	OU string
	// Instance is marked in each account.
	Instance dormer.InstanceID
	// Net is the program net of Samba, which makes the blobs for Windows, by its
	// path or by its name on the path; empty: "net".
	Net string
}

// Joiner prepares accounts in one domain. It is safe for concurrent use.
type Joiner struct {
	config Config
	own    *ldap.Directory
	base   string // distinguished name of the domain
}

// New returns a Joiner. Nobody is asked yet. *dormer.InvalidError names the
// settings of the directory that are wrong.
func New(c Config) (*Joiner, error) {
	if c.Directory.Kind != ldap.ActiveDirectory || c.Directory.Domain == "" {
		return nil, dormer.Invalidf("", "computers are joined to an Active Directory domain only")
	}
	if c.OU != "" {
		if _, err := goldap.ParseDN(c.OU); err != nil {
			return nil, dormer.Invalidf("ou", "is not a distinguished name, as OU=Guests,DC=corp,DC=example,DC=com")
		}
	}
	if c.Net == "" {
		c.Net = "net"
	}
	own, err := ldap.New(c.Directory)
	if err != nil {
		return nil, err
	}
	base := "DC=" + strings.ReplaceAll(c.Directory.Domain, ".", ",DC=")
	if c.OU == "" {
		c.OU = "CN=Computers," + base
	}
	return &Joiner{config: c, own: own, base: base}, nil
}

// Close ends the connections.
func (j *Joiner) Close() error { return j.own.Close() }

// The attributes of a computer that are read or written.
const (
	attributeName       = "sAMAccountName"
	attributeControl    = "userAccountControl"
	attributeHost       = "dNSHostName"
	attributePassword   = "unicodePwd"
	attributeKeyVersion = "msDS-KeyVersionNumber"
	attributeMark       = "info"
	attributeAbout      = "description"
)

// workstation is the userAccountControl of a computer that is enabled.
const workstation = "4096"

// mark is what an account of this instance bears.
func (j *Joiner) mark(m dormer.MachineID) string {
	return fmt.Sprintf("dormer instance=%s machine=%s", j.config.Instance, m)
}

// marked returns the machine of an account that this instance made.
func (j *Joiner) marked(mark string) (dormer.MachineID, bool) {
	id, ok := strings.CutPrefix(mark, j.mark(""))
	return dormer.MachineID(id), ok && dormer.ValidID(id)
}

// asked returns the directory as who is to prepare a, and what ends it.
func (j *Joiner) asked(a domainjoin.Account) (d *ldap.Directory, done func(), err error) {
	if a.As == nil {
		return j.own, func() {}, nil
	}
	c := j.config.Directory
	c.Keytab, c.BindUser = "", a.As.Account
	if !strings.ContainsAny(c.BindUser, `@\=`) {
		c.BindUser += "@" + c.Domain
	}
	c.Password = func() (string, error) { return a.As.Password, nil }
	if d, err = ldap.New(c); err != nil {
		return nil, nil, err
	}
	return d, func() { _ = d.Close() }, nil // its errors tell nothing
}

// Prepare implements domainjoin.Domain.
func (j *Joiner) Prepare(ctx context.Context, a domainjoin.Account, password string, blob bool, gone func(dormer.MachineID) bool) (domainjoin.Prepared, error) {
	d, done, err := j.asked(a)
	if err != nil {
		return domainjoin.Prepared{}, err
	}
	defer done()
	s, err := d.Open(ctx)
	if err != nil {
		return domainjoin.Prepared{}, err
	}
	defer s.Close()
	if blob {
		if err := j.canProvision(); err != nil {
			return domainjoin.Prepared{}, err
		}
	}
	out := domainjoin.Prepared{Servers: s.Hosts()}
	have, err := j.find(ctx, s, a.Computer)
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		out.Made = true
		err = j.add(ctx, s, a, password)
	case err == nil:
		err = j.reset(ctx, s, a, have, password, gone)
	}
	if err != nil {
		return out, err
	}
	if blob {
		if out.Blob, err = j.provision(ctx, a, s.Host()); err != nil {
			return out, errors.Join(err, j.undo(context.WithoutCancel(ctx), s, a, out.Made))
		}
	}
	if have, err = j.find(ctx, s, a.Computer); err != nil {
		return out, fmt.Errorf("look for the account that was prepared: %w", err)
	}
	out.KeyVersion, err = keyVersion(have)
	return out, err
}

// undo removes what was made for a join that cannot be had.
func (j *Joiner) undo(ctx context.Context, s *ldap.Session, a domainjoin.Account, made bool) error {
	have, err := j.find(ctx, s, a.Computer)
	if err != nil || !made {
		return err
	}
	return s.Delete(ctx, have.DN)
}

// find returns the account of a computer.
func (j *Joiner) find(ctx context.Context, s *ldap.Session, computer string) (*goldap.Entry, error) {
	found, err := s.Search(ctx, j.base, goldap.ScopeWholeSubtree, "(&(objectClass=computer)("+attributeName+"="+ldap.Escape(computer+"$")+"))",
		attributeMark, attributeKeyVersion, attributeControl)
	if err != nil {
		return nil, err
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("the domain has two computers %s: %w", computer, dormer.ErrConflict)
	}
	return found[0], nil
}

func keyVersion(e *goldap.Entry) (int64, error) {
	v, err := strconv.ParseInt(e.GetAttributeValue(attributeKeyVersion), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the domain does not tell the version of the computer's key (%s); let the account that joins read it: %w",
			attributeKeyVersion, dormer.ErrDenied)
	}
	return v, nil
}

// encodePassword is a password as unicodePwd takes it.
func encodePassword(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// add makes the account.
func (j *Joiner) add(ctx context.Context, s *ldap.Session, a domainjoin.Account, password string) error {
	ou := a.OU
	if ou == "" {
		ou = j.config.OU
	}
	r := goldap.NewAddRequest("CN="+goldap.EscapeDN(a.Computer)+","+ou, nil)
	r.Attribute("objectClass", []string{"computer"})
	r.Attribute(attributeName, []string{a.Computer + "$"})
	r.Attribute(attributeControl, []string{workstation})
	r.Attribute(attributeHost, []string{a.FQDN})
	r.Attribute(attributeMark, []string{j.mark(a.Machine)})
	r.Attribute(attributeAbout, []string{"Dormer: " + a.About})
	r.Attribute(attributePassword, []string{encodePassword(password)})
	if err := s.Add(ctx, r); err != nil {
		return fmt.Errorf("make the computer in %s: %w", ou, err)
	}
	return nil
}

// reset gives an account that was made for the same machine, or for one that is
// gone, another password. What the last join left there is of no use then.
func (j *Joiner) reset(ctx context.Context, s *ldap.Session, a domainjoin.Account, have *goldap.Entry, password string, gone func(dormer.MachineID) bool) error {
	owner, ours := j.marked(have.GetAttributeValue(attributeMark))
	if !ours || owner != a.Machine && !gone(owner) {
		return fmt.Errorf("the domain has a computer %s that was not made for this machine; rename or remove it, or change setup.computerName: %w",
			a.Computer, dormer.ErrConflict)
	}
	r := goldap.NewModifyRequest(have.DN, nil)
	r.Replace(attributePassword, []string{encodePassword(password)})
	r.Replace(attributeControl, []string{workstation})
	r.Replace(attributeHost, []string{a.FQDN})
	r.Replace(attributeMark, []string{j.mark(a.Machine)})
	r.Replace(attributeAbout, []string{"Dormer: " + a.About})
	if err := s.Modify(ctx, r); err != nil {
		return fmt.Errorf("reset the computer: %w", err)
	}
	return nil
}

// disabled is the userAccountControl of a computer that is locked out.
const disabled = "4098"

// TakeBack implements domainjoin.Domain.
func (j *Joiner) TakeBack(ctx context.Context, a domainjoin.Account, p domainjoin.Prepared) (claimed bool, err error) {
	d, done, err := j.asked(a)
	if err != nil {
		return false, err
	}
	defer done()
	s, err := d.Open(ctx)
	if err != nil {
		return false, err
	}
	defer s.Close()
	have, err := j.find(ctx, s, a.Computer)
	if errors.Is(err, dormer.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	owner, ours := j.marked(have.GetAttributeValue(attributeMark))
	if !ours || owner != a.Machine {
		return false, nil // somebody else has it by now
	}
	version, err := keyVersion(have)
	switch {
	case err != nil:
		return false, err
	case version > p.KeyVersion:
		return true, nil
	case p.Made:
		err = s.Delete(ctx, have.DN)
	default:
		r := goldap.NewModifyRequest(have.DN, nil)
		r.Replace(attributeControl, []string{disabled})
		err = s.Modify(ctx, r)
	}
	if err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return false, fmt.Errorf("take back computer %s: %w", a.Computer, err)
	}
	return false, nil
}

// Package ldap is access.Directory over LDAP, for Active Directory (Samba's too)
// and for any other LDAP server. It is an edge: the server composes it from a
// [[directories]] table, one Directory for each domain.
//
// Words used here: an account is a user's object; the service account is the
// one that searches; a sign-in binds as the account on a connection of its own.
// Nothing is sent before TLS with a checked certificate stands, and referrals
// are never followed.
package ldap

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// Kind is what sort of server a directory is on.
type Kind string

// The kinds of servers.
const (
	// ActiveDirectory is Microsoft's or Samba's: keys are SIDs, nested groups
	// come from tokenGroups, attributes are known.
	ActiveDirectory Kind = "active-directory"
	// Plain is any other LDAP server: filters and attributes are configured,
	// nested groups are followed by the member attribute.
	Plain Kind = "ldap"
)

// Defaults of a Config.
const (
	DefaultSpareAttempts = 2
	DefaultTimeout       = 5 * time.Second
	DefaultConnections   = 8
)

// Limits of what is read for one question; see docs/limits.md.
const (
	// MaxNameBytes bounds a name that is asked for.
	MaxNameBytes = 512
	// MaxFound bounds how many entries Find and Match look at.
	MaxFound = 2_000
	// MaxGroups bounds how many groups of one user are followed.
	MaxGroups = 5_000
	// MaxDepth bounds how deep groups are nested.
	MaxDepth = 64
	// MaxPasswordBytes bounds a password that is tried.
	MaxPasswordBytes = 1_024
	// MaxAnswerBytes bounds the answer to one request.
	MaxAnswerBytes = 16 << 20
)

// The names of settings, for errors and findings.
const (
	settingServers   = "servers"
	settingAuthority = "authority"
	settingBindUser  = "bind_user"
	settingPassword  = "bind_password_file"
	settingKeytab    = "keytab"
	settingBase      = "base"
	settingDomain    = "domain"
	settingNetBIOS   = "netbios"
	settingKey       = "key"
	settingUsers     = "user_filter"
	settingGroups    = "group_filter"
)

// Config says where a directory is and how it is read. The comments name the
// setting of dormerd.toml.
type Config struct {
	// Name is the directory's name in principals (name).
	Name string
	// Kind is what sort of server it is (type).
	Kind Kind
	// Servers are addresses in the order of preference, ldaps://HOST[:PORT], or
	// ldap://HOST[:PORT] for StartTLS (servers). HOST is what the certificate is
	// checked for. The PDC emulator of a domain comes first, see guard.
	Servers []string
	// Authority holds the certificates, PEM, of the authorities that servers are
	// signed by; empty: those that the system trusts (authority).
	Authority []byte
	// BindUser is the service account (bind_user): a DN, or for Active Directory
	// also user@domain; with a keytab its account name. Empty, with Plain: the
	// directory is searched without signing in.
	BindUser string
	// Password returns the password of the service account (bind_password_file). It
	// is called for each new connection, so that a changed one is picked up.
	// Nil with a keytab.
	Password func() (string, error)
	// Keytab is the path of the service account's keytab, for Kerberos instead
	// of a password (keytab); it is read for each new connection.
	Keytab string
	// Realm is the Kerberos realm of the service account (realm); empty: Domain
	// in capitals.
	Realm string
	// KDCs are the Kerberos servers, HOST:PORT (kdcs); empty: port 88 of Servers.
	KDCs []string
	// BaseDN is below what users and groups are (base). Empty, with Active
	// Directory: the domain.
	BaseDN string
	// Domain is the DNS name that follows the @ in user@domain (domain).
	Domain string
	// NetBIOS is what precedes the \ in DOMAIN\user (netbios).
	NetBIOS string

	// UserFilter and GroupFilter tell what is a user and what a group
	// (user_filter, group_filter). The following are for Plain alone.
	UserFilter, GroupFilter string
	// UserName and GroupName are the attributes of account names (user_name:
	// uid; group_name: cn).
	UserName, GroupName string
	// Member is the attribute of a group that names its members (member:
	// member); with memberUid, by account name, else by DN.
	Member string
	// Key is the attribute that never changes (key: entryUUID).
	Key string
	// DisplayName and Mail are attributes of people (display_name: displayName,
	// and cn where that is not there; mail: mail).
	DisplayName, Mail string
	// DisabledFilter fits accounts that may not be used (disabled_filter); empty:
	// none is.
	DisabledFilter string
	// ExpiresAttribute holds the day on which the account expires, counted from
	// 1970 (expires: shadowExpire); "-": there is none.
	ExpiresAttribute string

	// SpareAttempts is how many wrong passwords must be left before Active
	// Directory locks an account; with fewer no password is tried
	// (guard_attempts: 2). Negative: the guard is off.
	SpareAttempts int
	// Timeout bounds connecting to a server, and each request (timeout: 5 s).
	Timeout time.Duration
	// Connections is how many connections are open for searches at most, and
	// how many for sign-ins (connections: 8).
	Connections int
	// Now is the clock.
	Now func() time.Time
	// Logger is told of servers that do not answer.
	Logger *slog.Logger
}

// Directory is one domain or LDAP tree. It implements access.Directory,
// access.ForeignGrouper and access.Tester. It is safe for concurrent use.
type Directory struct {
	config Config
	schema schema
	pool   *pool
	guard  *guard
	names  *groupNames

	mu sync.Mutex
	// guards the field below
	root *rootDSE
}

var (
	_ access.Directory      = (*Directory)(nil)
	_ access.ForeignGrouper = (*Directory)(nil)
	_ access.Tester         = (*Directory)(nil)
)

// attributePattern is a short name or an OID (RFC 4512).
var attributePattern = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)$`)

// New checks the configuration: *dormer.InvalidError names what is wrong in it.
// It connects when it is first asked something. Close ends it.
func New(c Config) (*Directory, error) {
	setDefaults(&c)
	var wrong []dormer.FieldError
	complain := func(path, format string, args ...any) {
		wrong = append(wrong, dormer.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if c.Name == "" {
		complain("name", "is missing")
	}
	if c.Kind != ActiveDirectory && c.Kind != Plain {
		complain("type", "is %q or %q", ActiveDirectory, Plain)
	}
	servers := make([]*server, 0, len(c.Servers))
	for i, text := range c.Servers {
		s, err := parseServer(text)
		if err != nil {
			complain(fmt.Sprintf("%s[%d]", settingServers, i), "%v", err)
			continue
		}
		s.setting = fmt.Sprintf("%s[%d]", settingServers, i)
		servers = append(servers, s)
	}
	if len(c.Servers) == 0 {
		complain(settingServers, "names no server; write addresses as ldaps://dc1.example.com")
	}
	var roots *x509.CertPool
	if len(c.Authority) > 0 {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(c.Authority) {
			complain(settingAuthority, "holds no certificate in PEM form")
		}
	}
	checkService(&c, complain)
	if c.BaseDN != "" {
		if _, err := goldap.ParseDN(c.BaseDN); err != nil {
			complain(settingBase, "is not a distinguished name, as dc=example,dc=com")
		}
	} else if c.Kind == Plain {
		complain(settingBase, "is missing: the distinguished name that users and groups are below, as dc=example,dc=com")
	}
	if c.Timeout <= 0 || c.Connections <= 0 {
		complain("", "timeout and connections are more than 0")
	}
	s := activeDirectorySchema()
	if c.Kind == Plain {
		s = plainSchema(&c, complain)
	}
	if len(wrong) > 0 {
		return nil, &dormer.InvalidError{Fields: wrong}
	}
	for _, server := range servers {
		server.tls = clientTLS(server.host, roots, c.Now)
	}
	return &Directory{config: c, schema: s, pool: newPool(&c, servers), guard: newGuard(c.SpareAttempts, 2*c.Timeout), names: newGroupNames(c.Now)}, nil
}

func setDefaults(c *Config) {
	for _, d := range []struct {
		field     *string
		otherwise string
	}{
		{&c.UserName, "uid"},
		{&c.GroupName, "cn"},
		{&c.Member, "member"},
		{&c.Key, "entryUUID"},
		{&c.DisplayName, "displayName"},
		{&c.Mail, "mail"},
		{&c.ExpiresAttribute, "shadowExpire"},
		{&c.UserFilter, "(objectClass=inetOrgPerson)"},
		{&c.GroupFilter, "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))"},
		{&c.Realm, strings.ToUpper(c.Domain)},
	} {
		if *d.field == "" {
			*d.field = d.otherwise
		}
	}
	if c.SpareAttempts == 0 {
		c.SpareAttempts = DefaultSpareAttempts
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Connections == 0 {
		c.Connections = DefaultConnections
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// checkService checks how the service account signs in.
func checkService(c *Config, complain func(path, format string, args ...any)) {
	switch {
	case c.BindUser == "" && (c.Kind == ActiveDirectory || c.Keytab != "" || c.Password != nil):
		complain(settingBindUser, "is missing: the account that searches the directory")
	case c.BindUser == "":
	case c.Keytab == "" && c.Password == nil:
		complain(settingPassword, "is missing, and so is %s: one of them proves who %s is", settingKeytab, settingBindUser)
	case c.Keytab != "" && c.Password != nil:
		complain(settingKeytab, "is set, and so is %s: set one of them", settingPassword)
	case c.Keytab != "" && c.Realm == "":
		complain("realm", "is missing: the Kerberos realm of %s", settingBindUser)
	}
}

// parseServer reads ldaps://host[:port] or ldap://host[:port].
func parseServer(text string) (*server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("is not an address as ldaps://dc1.example.com or ldaps://dc1.example.com:636")
	}
	s := &server{address: text, host: u.Hostname()}
	port := u.Port()
	switch u.Scheme {
	case "ldaps":
		if port == "" {
			port = goldap.DefaultLdapsPort
		}
	case "ldap":
		s.startTLS = true
		if port == "" {
			port = goldap.DefaultLdapPort
		}
	default:
		return nil, errors.New("begins with ldaps:// or, for StartTLS, ldap://")
	}
	s.dial = net.JoinHostPort(s.host, port)
	return s, nil
}

// Name is the name of the directory in principals.
func (d *Directory) Name() string { return d.config.Name }

// Close closes the connections. Nothing is asked after it.
func (d *Directory) Close() error {
	d.pool.close()
	return nil
}

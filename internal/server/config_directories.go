package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/join"
	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/directory/openid"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire"
)

// DirectoryConfig is one [[directories]].
type DirectoryConfig struct {
	Name             string    `toml:"name" doc:"Name of the directory in grants, reports and CORP\\user. It cannot be changed later: grants have it in them."`
	Type             ldap.Kind `toml:"type" doc:"\"active-directory\" (Microsoft's or Samba's) or \"ldap\" (any other LDAP server; see directories.schema)."`
	Servers          []string  `toml:"servers" doc:"Servers in the order in which they are asked, as \"ldaps://dc1.corp.example.com\", or \"ldap://...\" for StartTLS. The certificate is checked for this name. Nothing is sent unencrypted."`
	Authority        string    `toml:"authority" doc:"File with the certificates (PEM) of the authority that the servers' certificates are from. Empty: those that this computer trusts."`
	Domain           string    `toml:"domain" doc:"DNS name of the domain, as in user@corp.example.com; in capitals it is the Kerberos realm."`
	NetBIOS          string    `toml:"netbios" doc:"Short name of the domain, as in CORP\\user."`
	UPNSuffixes      []string  `toml:"upn_suffixes" doc:"More that may follow the @ of the domain's users, as \"example.com\"."`
	Base             string    `toml:"base" doc:"Distinguished name that users and groups are below, as \"OU=People,DC=corp,DC=example,DC=com\". Empty: the whole domain (active-directory only)."`
	BindUser         string    `toml:"bind_user" doc:"Service account that searches, as \"svc-dormer@corp.example.com\" or a distinguished name. It needs to read, nothing else. Empty: none (ldap only)."`
	BindPasswordFile string    `toml:"bind_password_file" doc:"File with the password of the service account, readable by the server's user alone. It is read for each connection, so that a new password counts at once."`
	Keytab           string    `toml:"keytab" doc:"Keytab of the service account instead of a password."`
	Realm            string    `toml:"realm" doc:"Kerberos realm of the directory's users and of the service account. Empty: domain in capitals."`
	KDCs             []string  `toml:"kdcs" doc:"Kerberos servers for keytab, as \"dc1.corp.example.com:88\". Empty: port 88 of servers."`
	Timeout          Duration  `toml:"timeout" doc:"Time that a server has to answer; then the next one is asked."`
	Connections      int       `toml:"connections" doc:"How many connections to the directory searches keep open, and how many sign-ins."`
	Trusts           []string  `toml:"trusts" doc:"Names of other directories whose users may be in groups of this one (foreign security principals; active-directory only)."`
	GuardAttempts    int       `toml:"guard_attempts" doc:"How many wrong passwords must be left before the domain locks an account: with fewer none is tried, so that nobody is locked out by way of this server. -1: the guard is off."`

	Schema SchemaConfig `toml:"schema"`
	Join   JoinConfig   `toml:"join"`
}

// JoinConfig is the section [directories.join], of domains that machines of
// workspaces join.
type JoinConfig struct {
	BindUser         string `toml:"bind_user" doc:"Account that prepares computers for one join each, as \"svc-join@corp.example.com\", with the few rights that docs/directories.md names. Empty: this server prepares none. This section is for type \"active-directory\" alone."`
	BindPasswordFile string `toml:"bind_password_file" doc:"File with its password, readable by the server's user alone."`
	Keytab           string `toml:"keytab" doc:"Its keytab instead of a password. Windows guests need a password."`
	OU               string `toml:"ou" doc:"Distinguished name of where computers are placed whose workspace names no place, as \"OU=Guests,DC=corp,DC=example,DC=com\". Empty: the container Computers."`
}

// SchemaConfig is the section [directories.schema], for LDAP servers other
// than Active Directory. Empty settings have the value in brackets.
type SchemaConfig struct {
	UserFilter     string `toml:"user_filter" doc:"Which objects are users [(objectClass=inetOrgPerson)]. This section is for type \"ldap\" alone."`
	GroupFilter    string `toml:"group_filter" doc:"Which objects are groups [(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))]."`
	UserName       string `toml:"user_name" doc:"Attribute with the account name of a user [uid]."`
	GroupName      string `toml:"group_name" doc:"Attribute with the name of a group [cn]."`
	Member         string `toml:"member" doc:"Attribute of a group that names its members [member]; \"memberUid\" names them by account name."`
	Key            string `toml:"key" doc:"Attribute that stays when an object is renamed [entryUUID]. It cannot be changed later: grants have its value in them."`
	DisplayName    string `toml:"display_name" doc:"Attribute with the name for people [displayName, and cn where that is absent]."`
	Mail           string `toml:"mail" doc:"Attribute with the mail address [mail]."`
	DisabledFilter string `toml:"disabled_filter" doc:"Which users may not sign in, as \"(pwdAccountLockedTime=*)\". Empty: all may."`
	Expires        string `toml:"expires" doc:"Attribute with the day on which an account expires, in days since 1970 [shadowExpire]; \"-\": none."`
}

// KerberosConfig is the section [kerberos].
type KerberosConfig struct {
	Keytab   string   `toml:"keytab" doc:"Keytab with the keys of this server's service principal; with it people on domain computers sign in by their tickets. It is read again when it changes. Users of the realms of all directories are let in."`
	Services []string `toml:"services" doc:"Service principals that tickets may be for, as \"HTTP/dormer.corp.example.com\": the name that stands in people's browsers. Empty: all of HTTP/ in the keytab."`
	AllowRC4 bool     `toml:"allow_rc4" doc:"Accept tickets encrypted with RC4 or triple DES. From such a ticket the password of the service's account can be guessed; give the account AES keys instead."`
}

// ProviderConfig is one [[providers]].
type ProviderConfig struct {
	Name             string   `toml:"name" doc:"Name of the OpenID Connect provider, for --provider and, if it is a directory of its own, in grants."`
	Title            string   `toml:"title" doc:"What people call it. Empty: name."`
	Issuer           string   `toml:"issuer" doc:"Address of the provider, as \"https://login.example.com\"."`
	ClientID         string   `toml:"client_id" doc:"What the provider calls this server."`
	ClientSecretFile string   `toml:"client_secret_file" doc:"File with the secret that goes with client_id, readable by the server's user alone. Empty: the provider wants none (public client)."`
	Authority        string   `toml:"authority" doc:"File with the certificates (PEM) of the authority that the provider's certificate is from. Empty: those that this computer trusts."`
	Directory        string   `toml:"directory" doc:"Directory that users are looked up in. Empty: the provider is a directory of its own, with the users who signed in and the groups that it names."`
	UserClaim        string   `toml:"user_claim" doc:"Claim that says which user of directory somebody is, as \"preferred_username\" or \"email\" (which counts only if verified). Leave it empty for a directory of its own."`
	NameClaim        string   `toml:"name_claim" doc:"Claim with the account name. Empty: preferred_username, email or sub, whichever is there."`
	DisplayClaim     string   `toml:"display_claim" doc:"Claim with the name for people. Empty: name."`
	GroupsClaim      string   `toml:"groups_claim" doc:"Claim with the groups, as \"groups\" or \"realm_access.roles\". Empty: groups."`
	Scopes           []string `toml:"scopes" doc:"Scopes to ask for beside openid. Empty: profile, email, groups and offline_access where the provider has them."`
	KnownGroups      []string `toml:"known_groups" doc:"Groups that can be granted to before anybody in them has signed in."`
	RedirectBases    []string `toml:"redirect_bases" doc:"More addresses (https) below which browsers may be sent back, beside public_urls and this computer."`
	Recheck          Duration `toml:"recheck" doc:"How often the provider is asked whether an account is still good and which groups it has."`
	MaxAge           Duration `toml:"max_age" doc:"How long its last answer counts when it cannot be asked; then the user must sign in again. At least recheck."`
}

// sampleDirectory and sampleProvider are what `dormerd config --explain` shows:
// all defaults, and what has none as an example.
func sampleDirectory() DirectoryConfig {
	return DirectoryConfig{
		Name: "corp", Type: ldap.ActiveDirectory, Servers: []string{"ldaps://dc1.corp.example.com"}, Domain: "corp.example.com",
		BindUser: "svc-dormer@corp.example.com", BindPasswordFile: "/etc/dormer/corp.password",
		Timeout: Duration(ldap.DefaultTimeout), Connections: ldap.DefaultConnections, GuardAttempts: ldap.DefaultSpareAttempts,
	}
}

func sampleProvider() ProviderConfig {
	return ProviderConfig{
		Name: "login", Issuer: "https://login.example.com", ClientID: "dormer",
		Recheck: Duration(openid.DefaultRecheck), MaxAge: Duration(openid.DefaultMaxAge),
	}
}

// ldap returns the configuration without what is read from files. What the file
// leaves out has the defaults of package ldap.
func (d DirectoryConfig) ldap() ldap.Config {
	return ldap.Config{
		Name: d.Name, Kind: d.Type, Servers: d.Servers, BindUser: d.BindUser, Keytab: d.Keytab, Realm: d.realm(), KDCs: d.KDCs,
		BaseDN: d.Base, Domain: d.Domain, NetBIOS: d.NetBIOS,
		UserFilter: d.Schema.UserFilter, GroupFilter: d.Schema.GroupFilter, UserName: d.Schema.UserName, GroupName: d.Schema.GroupName,
		Member: d.Schema.Member, Key: d.Schema.Key, DisplayName: d.Schema.DisplayName, Mail: d.Schema.Mail,
		DisabledFilter: d.Schema.DisabledFilter, ExpiresAttribute: d.Schema.Expires,
		SpareAttempts: d.GuardAttempts, Timeout: time.Duration(d.Timeout), Connections: d.Connections,
	}
}

func (d DirectoryConfig) realm() string {
	if d.Realm != "" {
		return d.Realm
	}
	return strings.ToUpper(d.Domain)
}

// domains are the names by which the domains of users are known.
func (c Config) domains() []wire.Domain {
	var out []wire.Domain
	for _, d := range c.Directories {
		n := wire.Domain{Directory: d.Name, Name: d.Domain, NetBIOSName: d.NetBIOS, Realm: d.realm()}
		if n.NetBIOSName != "" || n.Realm != "" {
			out = append(out, n)
		}
	}
	return out
}

// schemaSettings are the settings of package ldap that stand in a section of
// their own here.
var schemaSettings = []string{
	"user_filter", "group_filter", "user_name", "group_name", "member", "key", "display_name", "mail", "disabled_filter", "expires",
}

// directorySetting is the path of a setting of the directory of that number,
// from what package ldap calls it.
func directorySetting(i int, called string) string {
	if slices.Contains(schemaSettings, called) {
		called = "schema." + called
	}
	return inTable("directories", i, called)
}

func inTable(table string, i int, key string) string {
	if key == "" {
		return fmt.Sprintf("%s[%d]", table, i)
	}
	return fmt.Sprintf("%s[%d].%s", table, i, key)
}

// complain notes a wrong setting.
type complain func(path, format string, args ...any)

// fields passes on what another package says of a part of the configuration.
func (add complain) fields(err error, path func(string) string) {
	if err == nil {
		return
	}
	invalid, ok := errors.AsType[*dormer.InvalidError](err)
	if !ok {
		add(path(""), "%v", err)
		return
	}
	for _, f := range invalid.Fields {
		add(path(f.Path), "%s", f.Message)
	}
}

func checkFile(add complain, path, file string, needed bool) {
	if (needed || file != "") && !filepath.IsAbs(file) {
		add(path, "must be the absolute path of a file")
	}
}

// checkPeople checks where users and groups come from.
func (c *Config) checkPeople(all complain) {
	said := map[string]bool{} // by the first who found something wrong with it
	add := complain(func(path, format string, args ...any) {
		if !said[path] {
			all(path, format, args...)
		}
		said[path] = true
	})
	names := map[string]string{name.Fold(dormer.EmbeddedDirectory): ""} // folded, and the setting that has it first
	called := func(path, called string) {
		folded := name.Fold(called)
		first, taken := names[folded]
		switch {
		case folded == "" || strings.ContainsAny(called, `\/@`) || len(called) > dormer.MaxName:
			add(path, `must be a short name without \, / and @`)
		case taken && first == "":
			add(path, "is the name of the embedded directory")
		case taken:
			add(path, "is also that of %s", first)
		default:
			names[folded] = path
		}
	}
	realms := false
	for i, d := range c.Directories {
		called(inTable("directories", i, "name"), d.Name)
		c.checkDirectory(add, i, d)
		realms = realms || d.realm() != ""
	}
	for i, p := range c.Providers {
		if p.Directory == "" {
			called(inTable("providers", i, "name"), p.Name)
		}
	}
	known := func(called string) bool { _, ok := names[name.Fold(called)]; return ok }
	for i, p := range c.Providers {
		c.checkProvider(add, i, p, known)
	}
	for i, d := range c.Directories {
		for j, t := range d.Trusts {
			if !known(t) || name.Fold(t) == name.Fold(d.Name) {
				add(fmt.Sprintf("%s[%d]", inTable("directories", i, "trusts"), j), "must be the name of another directory")
			}
		}
	}
	if !known(c.Access.DefaultDirectory) {
		add("access.default_directory", "names a directory that is not configured; there is %q", dormer.EmbeddedDirectory)
	}
	checkFile(add, "kerberos.keytab", c.Kerberos.Keytab, false)
	switch {
	case c.Kerberos.Keytab != "" && !realms:
		add("kerberos.keytab", "counts only with a directory that has a domain or realm")
	case c.Kerberos.Keytab == "" && (len(c.Kerberos.Services) > 0 || c.Kerberos.AllowRC4):
		add("kerberos.keytab", "is missing")
	}
	for i, s := range c.Kerberos.Services {
		if kind, host, ok := strings.Cut(s, "/"); !ok || kind != "HTTP" || host == "" || strings.ContainsAny(host, "/@") {
			add(fmt.Sprintf("kerberos.services[%d]", i), `must be a service principal without its realm, as "HTTP/dormer.corp.example.com"`)
		}
	}
}

func (c *Config) checkDirectory(add complain, i int, d DirectoryConfig) {
	at := func(key string) string { return inTable("directories", i, key) }
	config := d.ldap()
	if d.BindPasswordFile != "" {
		config.Password = func() (string, error) { return "", nil } // it is only asked whether there is one
	}
	tried, err := ldap.New(config)
	add.fields(err, func(called string) string { return directorySetting(i, called) })
	if err == nil {
		add.fields(tried.Close(), at)
	}
	checkFile(add, at("authority"), d.Authority, false)
	checkFile(add, at("bind_password_file"), d.BindPasswordFile, false)
	checkFile(add, at("keytab"), d.Keytab, false)
	if d.Type == ldap.ActiveDirectory {
		if d.Schema != (SchemaConfig{}) {
			add(at("schema"), `counts only with type "ldap"`)
		}
		if d.Domain == "" {
			add(at("domain"), "is missing: the DNS name of the domain")
		}
	} else if len(d.Trusts) > 0 {
		add(at("trusts"), `counts only with type "active-directory"`)
	}
	d.checkJoin(add, at)
	for j, other := range c.Directories[:i] {
		for key, same := range map[string]bool{
			"domain":  d.Domain != "" && (strings.EqualFold(d.Domain, other.Domain) || containsFold(other.UPNSuffixes, d.Domain)),
			"netbios": d.NetBIOS != "" && strings.EqualFold(d.NetBIOS, other.NetBIOS),
			"realm":   (d.Realm != "" || other.Realm != "") && d.realm() != "" && d.realm() == other.realm(),
			"upn_suffixes": slices.ContainsFunc(d.UPNSuffixes, func(s string) bool {
				return strings.EqualFold(s, other.Domain) || containsFold(other.UPNSuffixes, s)
			}),
		} {
			if same {
				add(at(key), "has what is that of %s", inTable("directories", j, ""))
			}
		}
	}
}

// checkJoin checks the section [directories.join].
func (d DirectoryConfig) checkJoin(add complain, at func(key string) string) {
	j := d.Join
	if j == (JoinConfig{}) {
		return
	}
	checkFile(add, at("join.bind_password_file"), j.BindPasswordFile, false)
	checkFile(add, at("join.keytab"), j.Keytab, false)
	switch {
	case d.Type != ldap.ActiveDirectory:
		add(at("join"), `counts only with type "active-directory"`)
		return
	case j.BindUser == "":
		add(at("join.bind_user"), "is missing: the account that prepares computers")
		return
	}
	config := d.joins("")
	if j.BindPasswordFile != "" {
		config.Directory.Password = func() (string, error) { return "", nil } // it is only asked whether there is one
	}
	tried, err := join.New(config)
	add.fields(err, func(called string) string { return at("join." + called) })
	if err == nil {
		add.fields(tried.Close(), at)
	}
}

// joins returns the configuration of what prepares computers, without what is
// read from files.
func (d DirectoryConfig) joins(instance dormer.InstanceID) join.Config {
	c := d.ldap()
	c.BindUser, c.Keytab = d.Join.BindUser, d.Join.Keytab
	return join.Config{Directory: c, OU: d.Join.OU, Instance: instance}
}

func containsFold(all []string, s string) bool {
	return slices.ContainsFunc(all, func(one string) bool { return strings.EqualFold(one, s) })
}

func (c *Config) checkProvider(add complain, i int, p ProviderConfig, known func(string) bool) {
	at := func(key string) string { return inTable("providers", i, key) }
	checkFile(add, at("client_secret_file"), p.ClientSecretFile, false)
	checkFile(add, at("authority"), p.Authority, false)
	config := p.openid()
	config.Store, config.Key = noAccounts{}, make([]byte, openid.KeySize)
	if p.Directory != "" {
		if !known(p.Directory) {
			add(at("directory"), "names a directory that is not configured")
		}
		config.Lookup = noLookup
	}
	_, err := openid.New(config)
	add.fields(err, at)
	for j, other := range c.Providers[:i] {
		if name.Fold(other.Name) == name.Fold(p.Name) && (p.Directory != "" || other.Directory != "") {
			add(at("name"), "is also that of %s", inTable("providers", j, ""))
		}
	}
}

// openid returns the configuration without what is read from files, and
// without what the instance adds.
func (p ProviderConfig) openid() openid.Config {
	c := openid.Config{
		Name: p.Name, Title: p.Title, Issuer: p.Issuer, ClientID: p.ClientID, RedirectBases: p.RedirectBases,
		UserClaim: p.UserClaim, NameClaim: p.NameClaim, DisplayClaim: p.DisplayClaim, GroupsClaim: p.GroupsClaim,
		Directory: p.Directory, KnownGroups: p.KnownGroups, Recheck: time.Duration(p.Recheck), MaxAge: time.Duration(p.MaxAge),
	}
	if len(p.Scopes) > 0 {
		c.Scopes = p.Scopes
	}
	if c.Recheck == 0 {
		c.Recheck = openid.DefaultRecheck
	}
	if c.MaxAge == 0 {
		c.MaxAge = max(openid.DefaultMaxAge, c.Recheck)
	}
	return c
}

// noAccounts stands for the accounts of a provider where none are asked for.
type noAccounts struct{ access.FederatedStore }

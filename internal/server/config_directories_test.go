package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

// corp is a directory without mistakes, on lines 1 to 6.
const corp = `[[directories]]
name = "corp"
type = "active-directory"
servers = ["ldaps://dc1.corp.example.com"]
domain = "corp.example.com"
bind_user = "svc@corp.example.com"
`

const withPassword = "bind_password_file = \"/p\"\n"

// plainLDAP is one of another kind.
const plainLDAP = "[[directories]]\nname = \"people\"\ntype = \"ldap\"\nservers = [\"ldap://ldap.example.com\"]\nbase = \"dc=example,dc=com\"\n"

// TestDirectoryErrors: each mistake in a table of which there may be several
// names the table, and the line where it is or where the table begins.
func TestDirectoryErrors(t *testing.T) {
	good := corp + withPassword
	provider := "[[providers]]\nname = \"login\"\nissuer = \"https://login.example.com\"\nclient_id = \"dormer\"\n"
	for name, c := range map[string]struct {
		text, path string
		line       int
		says       string
	}{
		"unknown key":              {good + "nmae = \"x\"\n", "directories.nmae", 8, "did you mean directories.name?"},
		"wrong type":               {good + "timeout = 5\n", "directories[0].timeout", 8, "a duration"},
		"wrong type in the second": {good + plainLDAP + "connections = \"many\"\n", "directories[1].connections", 13, "a whole number"},
		"unknown key of a schema":  {plainLDAP + "[directories.schema]\nuser = \"x\"\n", "directories.schema.user", 7, "is not a setting"},
		"no password":              {corp, "directories[0].bind_password_file", 1, "is missing"},
		"password and keytab":      {good + "keytab = \"/k\"\n", "directories[0].keytab", 8, "set one of them"},
		"relative file":            {corp + "bind_password_file = \"p\"\n", "directories[0].bind_password_file", 7, "absolute"},
		"relative authority":       {good + "authority = \"ca.pem\"\n", "directories[0].authority", 8, "absolute"},
		"kind":                     {strings.Replace(good, "active-directory", "ad", 1), "directories[0].type", 3, "active-directory"},
		"unencrypted":              {strings.Replace(good, "ldaps://", "http://", 1), "directories[0].servers[0]", 4, "ldaps://"},
		"no servers":               {strings.Replace(good, `"ldaps://dc1.corp.example.com"`, "", 1), "directories[0].servers", 4, "names no server"},
		"base":                     {good + "base = \"corp\"\n", "directories[0].base", 8, "distinguished name"},
		"no domain":                {strings.Replace(good, "domain =", "netbios =", 1), "directories[0].domain", 1, "is missing"},
		"reserved name":            {strings.Replace(good, `"corp"`, `"Local"`, 1), "directories[0].name", 2, "the embedded directory"},
		"name with a backslash":    {strings.Replace(good, `"corp"`, `'corp\x'`, 1), "directories[0].name", 2, "a short name"},
		"two of a name":            {good + strings.Replace(plainLDAP, `"people"`, `"CORP"`, 1), "directories[1].name", 9, "directories[0].name"},
		"two of a domain":          {good + strings.Replace(good, `"corp"`, `"other"`, 1), "directories[1].domain", 12, "directories[0]"},
		"two of a suffix":          {good + plainLDAP + "upn_suffixes = [\"Corp.Example.com\"]\n", "directories[1].upn_suffixes", 13, "directories[0]"},
		"two of a realm":           {plainLDAP + "realm = \"CORP.EXAMPLE.COM\"\n" + good, "directories[1].realm", 7, "directories[0]"},
		"trust of nobody":          {good + "trusts = [\"other\"]\n", "directories[0].trusts[0]", 8, "another directory"},
		"trust of itself":          {good + "trusts = [\"Corp\"]\n", "directories[0].trusts[0]", 8, "another directory"},
		"trust of plain LDAP":      {good + plainLDAP + "trusts = [\"corp\"]\n", "directories[1].trusts", 13, "active-directory"},
		"schema of AD":             {good + "[directories.schema]\nuser_name = \"cn\"\n", "directories[0].schema", 8, `type "ldap"`},
		"join by nobody":           {good + "[directories.join]\nou = \"OU=x\"\n", "directories[0].join.bind_user", 8, "is missing"},
		"join without a password":  {good + "[directories.join]\nbind_user = \"svc@corp.example.com\"\n", "directories[0].join.bind_password_file", 8, "is missing"},
		"relative file of join":    {good + "[directories.join]\nbind_user = \"svc@corp.example.com\"\nbind_password_file = \"p\"\n", "directories[0].join.bind_password_file", 10, "absolute"},
		"place of join":            {good + "[directories.join]\nbind_user = \"svc@corp.example.com\"\nkeytab = \"/k\"\nou = \"Guests\"\n", "directories[0].join.ou", 11, "distinguished name"},
		"join of plain LDAP":       {plainLDAP + "[directories.join]\nbind_user = \"svc\"\n", "directories[0].join", 6, "active-directory"},
		"filter":                   {plainLDAP + "[directories.schema]\nuser_filter = \"(uid=\"\n", "directories[0].schema.user_filter", 7, ""},
		"attribute":                {plainLDAP + "[directories.schema]\nmember = \"a b\"\n", "directories[0].schema.member", 7, "attribute"},
		"tickets of no realm":      {"[kerberos]\nkeytab = \"/k\"\n" + plainLDAP, "kerberos.keytab", 2, "a directory that has a domain"},
		"relative keytab":          {good + "[kerberos]\nkeytab = \"k\"\n", "kerberos.keytab", 9, "absolute"},
		"services without keys":    {good + "[kerberos]\nservices = [\"HTTP/x\"]\n", "kerberos.keytab", 0, "is missing"},
		"another kind of service":  {good + "[kerberos]\nkeytab = \"/k\"\nservices = [\"HTTP/x\", \"host/x\"]\n", "kerberos.services[1]", 10, "a service principal"},
		"no issuer":                {"[[providers]]\nname = \"login\"\nclient_id = \"dormer\"\n", "providers[0].issuer", 1, "https"},
		"unencrypted issuer":       {strings.Replace(provider, "https", "http", 1), "providers[0].issuer", 3, "https"},
		"for nobody":               {provider + "directory = \"corp\"\nuser_claim = \"email\"\n", "providers[0].directory", 5, "not configured"},
		"a provider called local":  {strings.Replace(provider, `"login"`, `"local"`, 1), "providers[0].name", 2, "the embedded directory"},
		"a provider as directory":  {good + strings.Replace(provider, `"login"`, `"Corp"`, 1), "providers[0].name", 9, "directories[0].name"},
		"claim of its own":         {provider + "user_claim = \"email\"\n", "providers[0].user_claim", 5, "sub"},
		"recheck":                  {provider + "recheck = \"2d\"\nmax_age = \"1d\"\n", "providers[0].recheck", 5, "max_age"},
		"two providers":            {provider + provider, "providers[1].name", 6, "providers[0].name"},
		"default of nobody":        {good + "[access]\ndefault_directory = \"people\"\n", "access.default_directory", 9, "not configured"},
		"age":                      {"[access]\ndirectory_age = \"2d\"\n", "access.directory_age", 2, "from 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseConfig([]byte(c.text))
			invalid, ok := errors.AsType[*dormer.InvalidError](err)
			if !ok {
				t.Fatalf("%v", err)
			}
			if f := invalid.Fields[0]; f.Path != c.path || f.Line != c.line || !strings.Contains(f.Message, c.says) {
				t.Errorf("line %d, %q: %s", f.Line, f.Path, f.Message)
			}
			if len(invalid.Fields) != 1 {
				t.Errorf("one mistake has several errors:\n%v", err)
			}
		})
	}
}

// TestDirectoriesTogether: what fits together is taken, and what is left out has
// its default.
func TestDirectoriesTogether(t *testing.T) {
	c, err := ParseConfig([]byte(`
[access]
default_directory = "Corp"
directory_age = "5m"
[kerberos]
keytab = "/etc/dormer/dormer.keytab"
services = ["HTTP/dormer.corp.example.com"]
` + corp + withPassword + `netbios = "CORP"
upn_suffixes = ["example.com"]
trusts = ["other"]
` + strings.NewReplacer("corp", "other", "Corp", "Other").Replace(corp) + `keytab = "/k"
` + plainLDAP + `[directories.schema]
member = "memberUid"
[[providers]]
name = "corp"
issuer = "https://login.example.com"
client_id = "dormer"
directory = "corp"
user_claim = "email"
[[providers]]
name = "login"
issuer = "https://login.example.com"
client_id = "dormer"
known_groups = ["staff"]
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{c.Directories[0].realm(), c.Directories[1].realm(), c.Directories[2].realm()}; cmp.Diff([]string{"CORP.EXAMPLE.COM", "OTHER.EXAMPLE.COM", ""}, got) != "" {
		t.Errorf("realms %q", got)
	}
	if m := c.Directories[2].ldap().Member; m != "memberUid" {
		t.Errorf("member %q", m)
	}
}

// TestSecretFiles: a secret comes from a file of one line that nobody else can
// read, and never stands in an error.
func TestSecretFiles(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ path, want, says string }{
		"a line":          {write("line", "hunter2\n", 0o600), "hunter2", ""},
		"no newline":      {write("bare", "hunter2", 0o400), "hunter2", ""},
		"of Windows":      {write("crlf", "hunter2\r\n", 0o600), "hunter2", ""},
		"with spaces":     {write("spaces", " hunter2 ", 0o600), " hunter2 ", ""},
		"for the group":   {write("group", "hunter2\n", 0o640), "", "chmod 600 " + filepath.Join(folder, "group")},
		"for all":         {write("all", "hunter2\n", 0o604), "", "others can read"},
		"empty":           {write("empty", "\n", 0o600), "", "in one line"},
		"two lines":       {write("two", "hunter2\nhunter2\n", 0o600), "", "in one line"},
		"too long":        {write("long", strings.Repeat("hunter2", maxSecret), 0o600), "", "too large"},
		"a folder":        {folder, "", "is a folder"},
		"none":            {filepath.Join(folder, "none"), "", "no such file"},
		"not a one-liner": {write("nul", "hunter2\x00", 0o600), "", "in one line"},
	} {
		got, err := readSecret("directories[0].bind_password_file", c.path)
		if got != c.want || (err == nil) != (c.says == "") {
			t.Errorf("%s: %q, %v", name, got, err)
			continue
		}
		if err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "directories[0].bind_password_file") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

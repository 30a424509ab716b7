package testdomain

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/directory/directorytest"
)

// OpenLDAP is a running slapd. It ends with the test.
//
// People are inetOrgPersons named by uid below ou=people, groups groupOfNames
// named by cn below ou=groups, nested by member; memberOf is maintained (direct
// groups only). An account is disabled when its employeeType is "disabled", has
// expired when its shadowExpire (days since 1970) is past. The password policy
// knows of locked (pwdAccountLockedTime) and mustchange (pwdReset). Without TLS
// nobody binds, and nobody reads without a bind.
type OpenLDAP struct {
	// LDAPS and LDAP are the URLs of both ports, LDAP for StartTLS.
	LDAPS, LDAP            string
	BaseDN, BindDN         string
	PasswordFile           string
	AuthorityFile          string
	dir, adminPasswordFile string
}

const (
	openldapBase  = "dc=example,dc=test"
	openldapAdmin = "cn=admin," + openldapBase
)

// StartOpenLDAP starts slapd with its accounts.
func StartOpenLDAP(t testing.TB) *OpenLDAP {
	t.Helper()
	slapd := "/usr/sbin/slapd" // not on everybody's PATH
	if _, err := os.Stat(slapd); err != nil {
		missing(t, "slapd is not installed: run scripts/setup.sh")
	}
	require(t, "ldapmodify")
	address, _ := takeAddress(t, "slapd", loopback, 13, "1636")
	dir := shortDir(t)
	o := &OpenLDAP{
		LDAPS: "ldaps://" + address + ":1636", LDAP: "ldap://" + address + ":1389", BaseDN: openldapBase,
		BindDN: "cn=" + serviceAccount + "," + openldapBase, PasswordFile: filepath.Join(dir, "passwords", serviceAccount),
		AuthorityFile: filepath.Join(dir, "ca.pem"), dir: dir, adminPasswordFile: filepath.Join(dir, "passwords", "admin"),
	}
	issuer := newAuthority(t, pkix.Name{CommonName: "OpenLDAP test authority"})
	writeFile(t, o.AuthorityFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.certificate.Raw}))
	issuer.write(t, dir, CertificateGood, "ldap.example.test", address)
	o.newPassword(t, "admin")
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "slapd.conf")
	writeFile(t, config, []byte(o.config(t)))

	logFile := filepath.Join(dir, "log")
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()                                             // slapd has its own
	cmd := exec.Command(slapd, "-f", config, "-h", o.LDAP+"/ "+o.LDAPS+"/", "-d0") //nolint:noctx // ended by kill
	cmd.Stdout, cmd.Stderr = log, log
	server, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.kill)
	if !server.await(t.Context(), startTime, func() bool {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address+":1636")
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	}) {
		t.Fatalf("slapd does not listen:\n%s", tail(logFile))
	}
	o.Add(t, o.entries(t))
	return o
}

// Password returns an account's password.
func (o *OpenLDAP) Password(t testing.TB, account string) string {
	t.Helper()
	return accountPassword(t, o.dir, account)
}

// DN returns the distinguished name of a user.
func (o *OpenLDAP) DN(uid string) string { return "uid=" + uid + ",ou=people," + openldapBase }

// GroupDN returns the distinguished name of a group.
func (o *OpenLDAP) GroupDN(cn string) string { return "cn=" + cn + ",ou=groups," + openldapBase }

// Add changes the directory as its administrator: entries to add, and changes.
func (o *OpenLDAP) Add(t testing.TB, ldif string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ldapmodify", "-a", "-x", "-H", o.LDAPS, "-D", openldapAdmin, "-y", o.adminPasswordFile)
	cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+o.AuthorityFile, "LDAPCONF=/dev/null", "LDAPTLS_REQCERT=demand")
	cmd.Stdin = strings.NewReader(ldif)
	output(t, cmd)
}

// newPassword makes a random password and keeps it in a file.
func (o *OpenLDAP) newPassword(t testing.TB, account string) string {
	t.Helper()
	password := rand.Text()
	writeFile(t, filepath.Join(o.dir, "passwords", account), []byte(password))
	return password
}

func (o *OpenLDAP) config(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
pidfile %[1]s/pid
TLSCACertificateFile %[1]s/ca.pem
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
security simple_bind=128
disallow bind_anon
require authc
sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited

database mdb
directory %[1]s/data
maxsize 268435456
dbnosync
suffix "%[2]s"
rootdn "%[3]s"
rootpw %[4]s
index objectClass eq
index uid,cn,displayName,mail eq,sub
index member,memberOf,entryUUID eq
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
overlay memberof
memberof-refint true
overlay refint
refint_attributes member
overlay ppolicy
ppolicy_default "cn=policy,%[2]s"
ppolicy_hash_cleartext
ppolicy_use_lockout
`, o.dir, openldapBase, openldapAdmin, accountPassword(t, o.dir, "admin"))
}

// entries are what the directory begins with.
func (o *OpenLDAP) entries(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "dn: %s\nobjectClass: domain\ndc: example\n\n", openldapBase)
	for _, unit := range []string{"people", "groups"} {
		fmt.Fprintf(&b, "dn: ou=%s,%s\nobjectClass: organizationalUnit\nou: %s\n\n", unit, openldapBase, unit)
	}
	// Five wrong passwords lock for half an hour.
	fmt.Fprintf(&b, "dn: cn=policy,%s\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\n"+
		"pwdMustChange: TRUE\npwdLockout: TRUE\npwdMaxFailure: 5\npwdFailureCountInterval: 1800\npwdLockoutDuration: 1800\n\n", openldapBase)
	fmt.Fprintf(&b, "dn: %s\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: %s\nuserPassword: %s\n\n",
		o.BindDN, serviceAccount, o.newPassword(t, serviceAccount))
	for _, u := range []struct {
		uid, display string
		more         []string
	}{
		{uid: directorytest.Alice, display: directorytest.TwinsName},
		{uid: directorytest.Bob, display: directorytest.TwinsName},
		{uid: directorytest.Disabled, display: "Dt Disabled", more: []string{"employeeType: disabled"}},
		{uid: directorytest.Expired, display: "Dt Expired", more: []string{"objectClass: shadowAccount", "shadowExpire: 11323"}}, // 2001
		{uid: "alice", display: "Alice Example", more: []string{"mail: alice.example@example.com"}},
		{uid: "bob", display: "Bob Example", more: []string{"mail: bob.example@example.com"}},
		{uid: "carol", display: "Carol Example"},
		{uid: "erin", display: `Erin "E." Example, (Sales) *`},
		{uid: "locked", display: "Locked Example", more: []string{"pwdAccountLockedTime: 000001010000Z"}},
		{uid: "mustchange", display: "Must Change", more: []string{"pwdReset: TRUE"}},
	} {
		password := directorytest.Password
		if !strings.HasPrefix(u.uid, "dt-") {
			password = o.newPassword(t, u.uid)
		}
		fmt.Fprintf(&b, "dn:: %s\nobjectClass: inetOrgPerson\nuid:: %s\ncn: %s\nsn: Example\ndisplayName: %s\nuserPassword: %s\n",
			encode(o.DN(u.uid)), encode(u.uid), u.display, u.display, password)
		for _, line := range u.more {
			fmt.Fprintln(&b, line)
		}
		fmt.Fprintln(&b)
	}
	for _, g := range []struct{ cn, member string }{
		{directorytest.Inner, o.DN(directorytest.Alice)},
		{directorytest.Outer, o.GroupDN(directorytest.Inner)},
		{directorytest.Outermost, o.GroupDN(directorytest.Outer)},
		{"staff", o.DN("alice")},
		{"office", o.GroupDN("staff")},
		{"everyone-office", o.GroupDN("office")},
	} {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: groupOfNames\ncn: %s\nmember: %s\n\n", o.GroupDN(g.cn), g.cn, g.member)
	}
	return b.String()
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

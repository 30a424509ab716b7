// Package testdomain starts real directory servers for tests: Samba Active
// Directory domain controllers and OpenLDAP, each on a loopback address of its
// own, with certificates of a test authority, and filled with accounts.
//
// Both hold the accounts of directorytest and beside them
//
//	alice          in staff < office < everyone-office
//	bob            in renamable (Active Directory only)
//	carol          in no group
//	erin           with characters in her names that filters and DNs give a
//	               meaning; her user principal name begins with erin.example
//	locked, mustchange   may not sign in before that is mended
//	pwexpired, hours     the password has expired; never is the hour (Active
//	               Directory only)
//	svc-dormer     the service account
//
// CORP has two groups with foreign security principals: partners with oscar of
// OTHER in it, guests-of-office with OTHER's group visitors, in which olga is.
// OTHER has an alice of its own.
//
// Only tests import this package.
package testdomain

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer/internal/directory/directorytest"
)

const (
	// startTime is how long a server may take to start, on a busy machine.
	startTime = 90 * time.Second
	// prepareTime is how long the first provisioning may take.
	prepareTime = 5 * time.Minute
)

// Certificate is which certificate a server shows.
type Certificate int

// The certificates.
const (
	CertificateGood    Certificate = iota
	CertificateExpired             // of the server's authority, for its name, and too old
	CertificateForeign             // of another authority of the same name
)

// Options say what StartDomain starts.
type Options struct {
	// Second makes it OTHER, which CORP does not trust, instead of CORP.
	Second bool
	// Certificate is what it shows on LDAPS and StartTLS.
	Certificate Certificate
	// Reachable puts it on an address that virtual machines with a network of
	// their own reach: 10.53.0.11, or .21 and so on, which this computer has on its
	// loopback interface until the test ends. A guest asks it for names, too: its
	// resolver is Domain.Address.
	Reachable bool
	// Address is where it serves, for guests that reach no loopback; empty is a
	// loopback address of its own. The caller has made it, and uses it alone.
	Address string
}

// Domain is a running domain controller. It ends with the test.
type Domain struct {
	// Name is the domain, corp.example.test.
	Name, NetBIOS, Realm string
	// Address is the address that it serves LDAP, LDAPS, Kerberos and
	// DNS on. The certificate is for it and for Host.
	Address, Host string
	BaseDN        string
	// AuthorityFile holds the certificate of its authority (PEM).
	AuthorityFile string

	dir    string // of the domain controller
	lock   *os.File
	log    *os.File
	server *process // nil while it is stopped
}

// StartDomain starts a domain controller and waits until its service account
// can sign in. Needs root and Samba.
func StartDomain(t testing.TB, o Options) *Domain {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "a domain controller needs root: no Active Directory is tested")
	}
	require(t, "samba", "samba-tool", "ldbmodify")
	name, first := "corp", 11
	if o.Second {
		name, first = "other", 12
	}
	d := &Domain{Name: name + ".example.test", NetBIOS: strings.ToUpper(name), BaseDN: "DC=" + name + ",DC=example,DC=test"}
	d.Realm, d.Host = strings.ToUpper(d.Name), "dc1."+d.Name

	ctx, cancel := context.WithTimeout(t.Context(), prepareTime)
	defer cancel()
	prepared := output(t, exec.CommandContext(ctx, script(t, "samba-dc.sh"), "prepare"))
	folder := shortDir(t)
	d.dir = filepath.Join(folder, "dc")
	d.AuthorityFile = filepath.Join(d.dir, "ca.pem")
	d.Address = o.Address
	if d.Address == "" {
		network := loopback
		if o.Reachable {
			network = reachable
		}
		d.Address, d.lock = takeAddress(t, "samba-dc", network, first, "636")
	}

	arguments := []string{"run", "--address", d.Address}
	if o.Certificate != CertificateGood {
		keys := filepath.Join(folder, "tls")
		issuer := readAuthority(t, filepath.Join(prepared, name))
		issuer.write(t, keys, o.Certificate, d.Host, d.Address)
		arguments = append(arguments, "--tls", keys)
	}
	var err error
	if d.log, err = os.Create(filepath.Join(folder, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.server != nil {
			d.server.kill()
		}
		_ = d.log.Close()
	})
	d.run(t, append(arguments, name, d.dir), o.Certificate == CertificateGood)
	return d
}

// run starts the script and waits until the domain controller is ready.
func (d *Domain) run(t testing.TB, arguments []string, verify bool) {
	t.Helper()
	// Not of the test's context: that ends before the clean-up functions run.
	cmd := exec.Command(script(t, "samba-dc.sh"), arguments...) //nolint:noctx // ended by kill
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if d.lock != nil {
		cmd.ExtraFiles = []*os.File{d.lock}
	}
	var err error
	if d.server, err = startProcess(cmd); err != nil {
		t.Fatal(err)
	}
	var last error
	ready := func() bool {
		last = d.tryService(verify)
		return last == nil
	}
	if !d.server.await(t.Context(), startTime, ready) {
		t.Fatalf("the domain controller %s is not ready: %v\n%s", d.Address, last, tail(d.log.Name()))
	}
}

// tryService signs the service account in.
func (d *Domain) tryService(verify bool) error {
	authority, err := os.ReadFile(d.AuthorityFile)
	if err != nil {
		return err
	}
	password, err := os.ReadFile(filepath.Join(d.dir, "passwords", serviceAccount))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	conn, err := ldap.DialURL(d.LDAPS(), ldap.DialWithDialer(&net.Dialer{Timeout: 2 * time.Second}), ldap.DialWithTLSConfig(&tls.Config{
		RootCAs: roots, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: !verify,
	}))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	conn.SetTimeout(5 * time.Second)
	return conn.Bind(serviceAccount+"@"+d.Name, string(password))
}

const serviceAccount = "svc-dormer"

// LDAPS is the URL of the encrypted port, by the address.
func (d *Domain) LDAPS() string { return "ldaps://" + d.Address + ":636" }

// LDAP is the URL of the plain port, for StartTLS.
func (d *Domain) LDAP() string { return "ldap://" + d.Address + ":389" }

// Service returns the service account and the file with its password.
func (d *Domain) Service() (user, passwordFile string) {
	return serviceAccount + "@" + d.Name, filepath.Join(d.dir, "passwords", serviceAccount)
}

// ServiceKeytab is a file with the service account's Kerberos keys.
func (d *Domain) ServiceKeytab() string { return filepath.Join(d.dir, serviceAccount+".keytab") }

// Krb5Conf is the Kerberos configuration, for KRB5_CONFIG.
func (d *Domain) Krb5Conf() string { return filepath.Join(d.dir, "krb5.conf") }

// Password returns an account's password.
func (d *Domain) Password(t testing.TB, account string) string {
	t.Helper()
	return accountPassword(t, d.dir, account)
}

// DN returns the distinguished name of an account that the domain came with.
func (d *Domain) DN(account string) string { return "CN=" + account + ",OU=People," + d.BaseDN }

// GroupDN returns the distinguished name of a group that the domain came with.
func (d *Domain) GroupDN(group string) string { return "CN=" + group + ",OU=Groups," + d.BaseDN }

// HTTPKeytab makes the web service account answer for HTTP/host and returns a
// file with its keys.
func (d *Domain) HTTPKeytab(t testing.TB, host string) string {
	t.Helper()
	const account = "svc-http"
	d.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\nadd: servicePrincipalName\nservicePrincipalName: HTTP/%s\n", d.DN(account), host))
	file := filepath.Join(t.TempDir(), "http.keytab")
	d.Tool(t, "domain", "exportkeytab", file, "--principal=HTTP/"+host)
	return file
}

// Kinit gets a ticket and returns the credential cache, for KRB5CCNAME.
func (d *Domain) Kinit(t testing.TB, user, password string) string {
	t.Helper()
	require(t, "kinit")
	cache := "FILE:" + filepath.Join(t.TempDir(), "ccache")
	cmd := exec.CommandContext(t.Context(), "kinit", user)
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+d.Krb5Conf(), "KRB5CCNAME="+cache, "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(password + "\n")
	output(t, cmd)
	return cache
}

// Tool runs samba-tool on the domain's database and returns its output.
func (d *Domain) Tool(t testing.TB, arguments ...string) string {
	t.Helper()
	arguments = append(arguments, "--configfile="+d.config())
	if arguments[0] != "domain" {
		arguments = append(arguments, "--URL="+d.database())
	}
	return output(t, exec.CommandContext(t.Context(), "samba-tool", arguments...))
}

// LDIF changes the database: changes, and entries to add.
func (d *Domain) LDIF(t testing.TB, ldif string) {
	t.Helper()
	program := "ldbadd"
	if strings.Contains(ldif, "\nchangetype:") {
		program = "ldbmodify"
	}
	cmd := exec.CommandContext(t.Context(), program, "--configfile="+d.config(), "-H", d.database())
	cmd.Stdin = strings.NewReader(ldif)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	// They succeed when the first entry did.
	if err := cmd.Run(); err != nil || strings.Contains(complaints.String(), "ERR") {
		t.Fatalf("%s: %v\n%s", program, err, complaints.String())
	}
}

func (d *Domain) config() string   { return filepath.Join(d.dir, "etc", "smb.conf") }
func (d *Domain) database() string { return filepath.Join(d.dir, "private", "sam.ldb") }

// AddUser adds a user with a password and returns the distinguished name.
func (d *Domain) AddUser(t testing.TB, account, password string) string {
	t.Helper()
	dn := d.DN(account)
	d.LDIF(t, fmt.Sprintf("dn:: %s\nobjectClass: user\nsAMAccountName:: %s\nunicodePwd:: %s\nuserAccountControl: 512\n",
		base64.StdEncoding.EncodeToString([]byte(dn)), base64.StdEncoding.EncodeToString([]byte(account)), unicodePassword(password)))
	return dn
}

// SetDisabled disables an account or enables it again.
func (d *Domain) SetDisabled(t testing.TB, account string, disabled bool) {
	t.Helper()
	control := 512
	if disabled {
		control = 514
	}
	d.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: %d\n", d.DN(account), control))
}

// AddMember puts something, by distinguished name, into a group.
func (d *Domain) AddMember(t testing.TB, group, member string) {
	t.Helper()
	d.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\nadd: member\nmember: %s\n", d.GroupDN(group), member))
}

// RemoveMember takes something, by distinguished name, out of a group.
func (d *Domain) RemoveMember(t testing.TB, group, member string) {
	t.Helper()
	d.LDIF(t, fmt.Sprintf("dn: %s\nchangetype: modify\ndelete: member\nmember: %s\n", d.GroupDN(group), member))
}

// ComputersOU makes OU=Guests, in which the service account may prepare computers
// with the rights that docs/directories.md names, and returns its distinguished
// name.
func (d *Domain) ComputersOU(t testing.TB) string {
	t.Helper()
	dn := "OU=Guests," + d.BaseDN
	d.LDIF(t, "dn: "+dn+"\nobjectClass: organizationalUnit\n")
	const computer = "bf967a86-0de6-11d0-a285-00aa003049e2" // the class
	cmd := exec.CommandContext(t.Context(), "ldbsearch", "--configfile="+d.config(), "-H", d.database(), "(sAMAccountName="+serviceAccount+")", "objectSid")
	_, rest, _ := strings.Cut(output(t, cmd), "objectSid: ")
	sid, _, _ := strings.Cut(rest, "\n")
	d.Tool(t, "dsacl", "set", "--objectdn="+dn, fmt.Sprintf("--sddl=(OA;CI;CCDC;%[1]s;;%[2]s)(OA;CIIO;RPWPCRLCSD;;%[1]s;%[2]s)", computer, sid))
	return dn
}

// Stop ends the domain controller; its address then refuses connections.
func (d *Domain) Stop() {
	d.server.kill()
	d.server = nil
}

// Start starts it again after Stop, at the same address and with what was
// changed since.
func (d *Domain) Start(t testing.TB) {
	t.Helper()
	d.run(t, []string{"run", "--address", d.Address, strings.ToLower(d.NetBIOS), d.dir}, false)
}

// Pause makes it hang: it takes connections and answers nothing.
func (d *Domain) Pause(t testing.TB) {
	t.Helper()
	d.server.pause(t, true)
}

// Resume ends Pause.
func (d *Domain) Resume(t testing.TB) {
	t.Helper()
	d.server.pause(t, false)
}

// accountPassword is that of directorytest for its accounts, and otherwise in a
// file.
func accountPassword(t testing.TB, dir, account string) string {
	t.Helper()
	if strings.HasPrefix(account, "dt-") {
		return directorytest.Password
	}
	password, err := os.ReadFile(filepath.Join(dir, "passwords", account))
	if err != nil {
		t.Fatal(err)
	}
	return string(password)
}

// unicodePassword is how Active Directory takes a password, in base64.
func unicodePassword(password string) string {
	var out []byte
	for _, r := range `"` + password + `"` {
		out = append(out, byte(r), byte(r>>8))
	}
	return base64.StdEncoding.EncodeToString(out)
}

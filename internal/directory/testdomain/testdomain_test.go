package testdomain

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer/internal/directory/directorytest"
)

// dial connects as a careful client does.
func dial(t *testing.T, url, authorityFile string) (*ldap.Conn, error) {
	t.Helper()
	data, err := os.ReadFile(authorityFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	conn, err := ldap.DialURL(url, ldap.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}), ldap.DialWithTLSConfig(&tls.Config{RootCAs: roots}))
	if err == nil {
		conn.SetTimeout(10 * time.Second)
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

func mustDial(t *testing.T, url, authorityFile string) *ldap.Conn {
	t.Helper()
	conn, err := dial(t, url, authorityFile)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestDomain: the accounts are as the package says.
func TestDomain(t *testing.T) {
	d := StartDomain(t, Options{})
	for account, want := range map[string]string{
		"alice": "", "carol": "", directorytest.Alice: "", directorytest.Bob: "", serviceAccount: "",
		"locked": "data 775", "mustchange": "data 773", "pwexpired": "data 532", "hours": "data 530",
		directorytest.Disabled: "data 533", directorytest.Expired: "data 701",
	} {
		err := mustDial(t, d.LDAPS(), d.AuthorityFile).Bind(account+"@"+d.Name, d.Password(t, account))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", account, err, want)
		}
	}
	if err := mustDial(t, d.LDAP(), d.AuthorityFile).Bind("alice@"+d.Name, d.Password(t, "alice")); !ldap.IsErrorWithCode(err, ldap.LDAPResultStrongAuthRequired) {
		t.Errorf("a bind without TLS: %v", err)
	}
	resolver := net.Resolver{PreferGo: true, Dial: dialTo(d.Address)}
	addresses, err := resolver.LookupHost(t.Context(), d.Host)
	if err != nil || len(addresses) != 1 || addresses[0] != d.Address {
		t.Errorf("%s is at %v, %v", d.Host, addresses, err)
	}
	addresses, err = resolver.LookupHost(t.Context(), d.Name)
	if err != nil || len(addresses) != 1 || addresses[0] != d.Address {
		t.Errorf("%s is at %v, %v", d.Name, addresses, err)
	}

	cache := d.Kinit(t, "alice", d.Password(t, "alice"))
	keytab := d.HTTPKeytab(t, "dormer.corp.example.test")
	cmd := exec.CommandContext(t.Context(), "kvno", "-k", keytab, "HTTP/dormer.corp.example.test")
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+d.Krb5Conf(), "KRB5CCNAME="+cache)
	if got := output(t, cmd); !strings.Contains(got, "keytab entry valid") {
		t.Errorf("a ticket for the web service: %s", got)
	}

	d.AddUser(t, "frank", "a password of Frank's")
	d.AddMember(t, "staff", d.DN("frank"))
	d.SetDisabled(t, "alice", true)
	d.Stop()
	if conn, err := dial(t, d.LDAPS(), d.AuthorityFile); err == nil {
		t.Errorf("a stopped domain controller answers: %v", conn)
	}
	d.Start(t)
	conn := mustDial(t, d.LDAPS(), d.AuthorityFile)
	if err := conn.Bind("frank@"+d.Name, "a password of Frank's"); err != nil {
		t.Errorf("an added user: %v", err)
	}
	if err := conn.Bind("alice@"+d.Name, d.Password(t, "alice")); err == nil || !strings.Contains(err.Error(), "data 533") {
		t.Errorf("a disabled user: %v", err)
	}
	if got := d.Tool(t, "group", "listmembers", "staff"); !strings.Contains(got, "frank") {
		t.Errorf("members of staff: %s", got)
	}
}

// TestTwoDomains: both run side by side, and OTHER's accounts are in groups of
// CORP's.
func TestTwoDomains(t *testing.T) {
	corp, other := StartDomain(t, Options{}), StartDomain(t, Options{Second: true})
	if corp.Address == other.Address {
		t.Fatalf("both are at %s", corp.Address)
	}
	if err := mustDial(t, other.LDAPS(), other.AuthorityFile).Bind("alice@"+other.Name, other.Password(t, "alice")); err != nil {
		t.Error(err)
	}
	if corp.Password(t, "alice") == other.Password(t, "alice") {
		t.Error("the same password in both domains")
	}
	sid := other.Tool(t, "user", "show", "oscar", "--attributes=objectSid")
	_, sid, _ = strings.Cut(sid, "objectSid: ")
	sid, _, _ = strings.Cut(sid, "\n")
	if got := corp.Tool(t, "group", "show", "partners", "--attributes=member"); sid == "" || !strings.Contains(strings.ReplaceAll(got, "\n ", ""), sid) {
		t.Errorf("partners has not %q: %s", sid, got)
	}
}

// TestWrongCertificates: they are refused for the right reason.
func TestWrongCertificates(t *testing.T) {
	d := StartDomain(t, Options{Certificate: CertificateExpired})
	_, err := dial(t, d.LDAPS(), d.AuthorityFile)
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); !ok || invalid.Reason != x509.Expired {
		t.Errorf("expired certificate: %v", err)
	}
	d = StartDomain(t, Options{Certificate: CertificateForeign})
	_, err = dial(t, d.LDAPS(), d.AuthorityFile)
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("foreign certificate: %v", err)
	}
}

// TestPause: a domain controller that hangs takes connections and says nothing.
func TestPause(t *testing.T) {
	d := StartDomain(t, Options{})
	conn := mustDial(t, d.LDAPS(), d.AuthorityFile)
	conn.SetTimeout(300 * time.Millisecond)
	d.Pause(t)
	if err := conn.Bind("alice@"+d.Name, d.Password(t, "alice")); !ldap.IsErrorWithCode(err, ldap.ErrorNetwork) {
		t.Errorf("a bind to a server that hangs: %v", err)
	}
	d.Resume(t)
	if err := mustDial(t, d.LDAPS(), d.AuthorityFile).Bind("alice@"+d.Name, d.Password(t, "alice")); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestOpenLDAP(t *testing.T) {
	o := StartOpenLDAP(t)
	for account, good := range map[string]bool{"alice": true, directorytest.Bob: true, "locked": false} {
		if err := mustDial(t, o.LDAPS, o.AuthorityFile).Bind(o.DN(account), o.Password(t, account)); (err == nil) != good {
			t.Errorf("%s: %v", account, err)
		}
	}
	plain := mustDial(t, o.LDAP, o.AuthorityFile)
	if err := plain.Bind(o.DN("alice"), o.Password(t, "alice")); !ldap.IsErrorWithCode(err, ldap.LDAPResultConfidentialityRequired) {
		t.Errorf("a bind without TLS: %v", err)
	}
	if err := plain.UnauthenticatedBind(""); err == nil {
		t.Error("an anonymous bind is taken")
	}
	service := mustDial(t, o.LDAPS, o.AuthorityFile)
	if err := service.Bind(o.BindDN, o.Password(t, serviceAccount)); err != nil {
		t.Fatal(err)
	}
	found, err := service.Search(ldap.NewSearchRequest(o.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, "(uid=alice)", []string{"memberOf"}, nil))
	if err != nil || len(found.Entries) != 1 || found.Entries[0].GetAttributeValue("memberOf") != o.GroupDN("staff") {
		t.Errorf("alice: %+v, %v", found, err)
	}
}

// dialTo returns a dialer that asks the name server at an address.
func dialTo(address string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address+":53")
	}
}

// TestReachable: on an address that is not of the loopback network it serves
// LDAP, Kerberos and names, and its names lead there.
func TestReachable(t *testing.T) {
	d := StartDomain(t, Options{Reachable: true})
	if !strings.HasPrefix(d.Address, "10.53.0.") {
		t.Fatalf("it listens on %s", d.Address)
	}
	d.Kinit(t, "alice", d.Password(t, "alice"))
	var dialer net.Dialer
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, net.JoinHostPort(d.Address, "53"))
	}}
	_, services, err := resolver.LookupSRV(t.Context(), "ldap", "tcp", d.Name)
	if err != nil || len(services) != 1 || services[0].Target != d.Host+"." {
		t.Errorf("services: %v, %v", services, err)
	}
	for _, name := range []string{d.Host, d.Name} {
		if got, err := resolver.LookupHost(t.Context(), name); err != nil || len(got) != 1 || got[0] != d.Address {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
}

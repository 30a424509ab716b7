package ldap

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/go-ldap/ldap/v3/gssapi"
	"github.com/jcmturner/gokrb5/v8/client"
	krbconfig "github.com/jcmturner/gokrb5/v8/config"

	"github.com/dormer-project/dormer/internal/directory/kerberos"
)

// bindKerberos signs the service account in with a ticket, for which its keytab
// stands. No security layer is negotiated: TLS is there already.
func (p *pool) bindKerberos(ctx context.Context, c *conn) error {
	host, err := c.hostName(ctx)
	if err != nil {
		return err
	}
	realm := strings.ToUpper(p.config.Realm)
	settings, err := krbconfig.NewFromString(p.kerberosSettings(realm))
	if err != nil {
		return fmt.Errorf("make the Kerberos settings: %w", err)
	}
	table, err := kerberos.LoadKeytab(p.config.Keytab)
	if err != nil {
		return err
	}
	user, _, _ := strings.Cut(p.config.BindUser, "@")
	krb := client.NewWithKeytab(user, realm, table, settings, client.DisablePAFXFAST(true))
	// The Kerberos library bounds each exchange by 5 s and knows no contexts:
	// who waits does not wait for it.
	ctx, cancel := context.WithTimeout(ctx, 2*c.timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer krb.Destroy()
		_, _, err := krb.GetServiceTicket("ldap/" + host)
		if err == nil {
			err = c.ldap.GSSAPIBind(&gssapi.Client{Client: krb}, "ldap/"+host, "")
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		closed(c.tcp)
		return &silentError{server: c.server, cause: ctx.Err()}
	}
}

// hostName is what the server calls itself: the name that its tickets are for,
// whatever alias it is reached by. The certificate was checked before.
func (c *conn) hostName(ctx context.Context) (string, error) {
	root, err := c.readRoot(ctx)
	if err != nil {
		return "", err
	}
	if root.hostName == "" {
		return c.server.host, nil
	}
	return root.hostName, nil
}

func (p *pool) kerberosSettings(realm string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n udp_preference_limit = 1\n", realm)
	fmt.Fprintf(&b, "[realms]\n %s = {\n", realm)
	kdcs := p.config.KDCs
	if len(kdcs) == 0 {
		for _, s := range p.servers {
			kdcs = append(kdcs, net.JoinHostPort(s.host, "88"))
		}
	}
	for _, kdc := range kdcs {
		fmt.Fprintf(&b, "  kdc = %s\n", kdc)
	}
	b.WriteString(" }\n")
	return b.String()
}

// plainKerberos says what is wrong with the service account's ticket.
func plainKerberos(err error) string {
	text := err.Error()
	for _, hint := range []struct{ sign, plain string }{
		{"KRB_AP_ERR_SKEW", "the clocks of this computer and of the Kerberos server differ too much; set the time"},
		{"KDC_ERR_C_PRINCIPAL_UNKNOWN", "the realm knows no such account; check bind_user and realm"},
		{"KDC_ERR_PREAUTH_FAILED", "the keytab is not that of the account, or older than its password; export it again"},
		{"KDC_ERR_CLIENT_REVOKED", "the account is disabled or locked"},
		{"KDC_ERR_S_PRINCIPAL_UNKNOWN", "the realm knows no such LDAP server; name the domain controller by its own name in servers"},
		{"matching key not found in keytab", "the keytab holds no key of the account; check bind_user and realm, or export it again"},
		{"80090346", "the server demands channel binding, which a keytab cannot give here; use bind_password_file"},
		{"no such file", "the file is not there"},
		{"communication error with KDC", "no Kerberos server answers; check kdcs"},
	} {
		if strings.Contains(text, hint.sign) {
			return hint.plain + " (" + printable(text) + ")"
		}
	}
	if resultCode(err) >= 0 {
		return plainBind(err)
	}
	return printable(text)
}

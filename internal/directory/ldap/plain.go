package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"

	goldap "github.com/go-ldap/ldap/v3"
)

// printable is text of a server as one line of at most 300 bytes.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return strings.TrimSpace(text)
}

// plainDial says why a server cannot be reached.
func plainDial(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return fmt.Sprintf("there is no computer %s; check the name, and the name servers of this computer", e.Name)
		}
		return fmt.Sprintf("the name servers of this computer do not say where %s is: %s", e.Name, e.Err)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there (connection refused); check address and port"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "there is no way to it (network or host unreachable)"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "it did not answer in time"
	case errors.Is(err, context.Canceled):
		return "given up, since nobody waits any more"
	}
	return err.Error()
}

// plainTLS says why no TLS came about, and which setting to look at.
func (s *server) plainTLS(err error) (setting, plain string) {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired && e.Cert != nil {
			now := s.tls.Time()
			if now.Before(e.Cert.NotBefore) {
				return s.setting, fmt.Sprintf("the certificate is valid from %s on, and here it is %s; check the clock", day(e.Cert.NotBefore), day(now))
			}
			return s.setting, fmt.Sprintf("the certificate of %s expired on %s; renew it on the server", e.Cert.Subject, day(e.Cert.NotAfter))
		}
		return s.setting, "the certificate is not usable for a server: " + e.Error()
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return s.setting, fmt.Sprintf("the certificate is not for %s but for %s; use one of these names in servers", e.Host, namesOf(e.Certificate))
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		by := "an authority"
		if e.Cert != nil {
			by = e.Cert.Issuer.String()
		}
		return settingAuthority, fmt.Sprintf("the certificate is signed by %s, which is not trusted; put the certificate of that authority into the file that authority names", by)
	}
	if e, ok := errors.AsType[*refusedTLSError](err); ok {
		return s.setting, e.Error() + "; use ldaps://, or give the server a certificate"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return s.setting, "it does not speak TLS there; for the port of plain LDAP write ldap://, which uses StartTLS"
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return s.setting, "it accepts connections but does not answer"
	case errors.Is(err, context.Canceled):
		return s.setting, "given up, since nobody waits any more"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return s.setting, "it closed the connection before TLS was there; does it have a certificate?"
	}
	return s.setting, printable(err.Error())
}

const dayLayout = "2006-01-02 15:04 UTC"

func day(t time.Time) string { return t.UTC().Format(dayLayout) }

// namesOf lists what a certificate is for.
func namesOf(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no host at all"
	}
	const most = 8
	if len(names) > most {
		names = append(names[:most], "others")
	}
	return strings.Join(names, ", ")
}

// plainBind says why the service account was not let in.
func plainBind(err error) string {
	switch resultCode(err) {
	case goldap.LDAPResultInvalidCredentials:
		what := "the server does not accept name and password of the service account"
		if reason, ok := bindReason(err); ok {
			what += ": " + string(reason)
		}
		return what + "; the server said: " + said(err)
	case goldap.LDAPResultStrongAuthRequired, goldap.LDAPResultConfidentialityRequired:
		return "the server takes no passwords from the service account; use a keytab, or allow simple binds over TLS; the server said: " + said(err)
	case goldap.LDAPResultInvalidDNSyntax:
		return "bind_user is not a distinguished name; the server said: " + said(err)
	case -1:
		return printable(err.Error())
	}
	return "the server refuses the service account; the server said: " + said(err)
}

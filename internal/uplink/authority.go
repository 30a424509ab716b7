package uplink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/wire"
)

// resumable is how many TLS sessions are kept for resumption.
const resumable = 16

// transport returns a transport of its own: its limits are for one server.
func transport(c *tls.Config) *http.Transport {
	d := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, TLSClientConfig: c,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
}

// tlsConfig trusts one authority, or the system's.
func tlsConfig(authority []byte, now func() time.Time) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, Time: now, ClientSessionCache: tls.NewLRUClientSessionCache(resumable)}
	if len(authority) == 0 {
		return c, nil
	}
	cert, err := x509.ParseCertificate(authority)
	if err != nil {
		return nil, fmt.Errorf("certificate of the instance's authority: %w", dormer.ErrCorrupt)
	}
	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AddCert(cert)
	return c, nil
}

// Enrol enrols a client and returns, beside the answer, the certificate (DER)
// of the authority that the invitation pinned; nil for the system's. Nothing
// is sent to a server whose certificate the pinned authority did not sign.
func Enrol(ctx context.Context, i enroll.Invitation, r wire.EnrolRequest, now func() time.Time, userAgent string) (wire.EnrolAnswer, []byte, error) {
	var out wire.EnrolAnswer
	address, err := url.Parse(i.URL)
	if err != nil {
		return out, nil, dormer.Invalidf("join_token", "its address is not a URL")
	}
	var pinned []byte
	c, err := tlsConfig(nil, now)
	if err != nil {
		return out, nil, err
	}
	if i.Authority != enroll.SystemAuthority {
		if address.Scheme != "https" {
			return out, nil, dormer.Invalidf("join_token", "names an authority, but the address is not https")
		}
		c.InsecureSkipVerify = true // VerifyConnection does it, against the pinned authority
		c.VerifyConnection = func(s tls.ConnectionState) error {
			found, err := verifyPinned(s, address.Hostname(), i.Authority, now())
			pinned = found
			return err
		}
	}
	t := transport(c)
	t.DisableKeepAlives = true
	client := &http.Client{Transport: t, CheckRedirect: noRedirect}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	body, err := json.Marshal(r)
	if err != nil {
		return out, nil, fmt.Errorf("encode request: %w", err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(i.URL, "/")+wire.PathEnrol, bytes.NewReader(body))
	if err != nil {
		return out, nil, fmt.Errorf("make request: %w", err)
	}
	q.Header.Set("Content-Type", "application/json")
	b, err := exchange(client, q, userAgent, wire.MaxBody)
	if err != nil {
		return out, nil, fmt.Errorf("enrol at %s: %w", i.URL, err)
	}
	return out, pinned, decode(b, &out)
}

// verifyPinned checks the presented chain against the certificate in it whose
// SHA-256 is pin, and returns that certificate.
func verifyPinned(s tls.ConnectionState, host, pin string, now time.Time) ([]byte, error) {
	n := slices.IndexFunc(s.PeerCertificates, func(c *x509.Certificate) bool {
		sum := sha256.Sum256(c.Raw)
		return hex.EncodeToString(sum[:]) == pin
	})
	if n < 0 {
		return nil, fmt.Errorf("the server's certificate is not from the authority that the join token names: %w", dormer.ErrDenied)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(s.PeerCertificates[n])
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between, CurrentTime: now}); err != nil {
		return nil, fmt.Errorf("the server's certificate: %w", err)
	}
	return s.PeerCertificates[n].Raw, nil
}

// plain puts what went wrong below HTTP into words; the request's method and
// URL are said elsewhere.
func plain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errors.New("its certificate is not from the authority that this client trusts; if the instance has a new one, enrol again with a new join token")
	}
	return err
}

package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Names in the folder keys/tls.
const (
	tlsAuthorityCert = "ca.crt"
	tlsAuthorityKey  = "ca.key"
	tlsServerCert    = "server.crt"
	tlsServerKey     = "server.key"
)

// Lifetimes of certificates. The authority's is long: clients are enrolled
// under its fingerprint.
const (
	authorityLife  = 30 * 365 * 24 * time.Hour
	serverLife     = 90 * 24 * time.Hour
	serverRenew    = 30 * 24 * time.Hour // before its end
	certificateAgo = time.Hour           // clocks of clients may be behind
)

// authority is the instance's own certificate authority.
type authority struct {
	dir    *dataDir
	now    func() time.Time
	random io.Reader
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// loadAuthority reads the authority, making it when there is none.
func loadAuthority(d *dataDir, instance dormer.InstanceID, now func() time.Time, random io.Reader) (*authority, error) {
	a := &authority{dir: d, now: now, random: random}
	certPath, keyPath := d.file(dirKeys, dirTLS, tlsAuthorityCert), d.file(dirKeys, dirTLS, tlsAuthorityKey)
	key, keyErr := readKey(keyPath)
	cert, certErr := readCertificate(certPath)
	switch {
	case keyErr == nil && certErr == nil:
		a.key, a.cert = key, cert
		return a, nil
	case !errors.Is(certErr, fs.ErrNotExist):
		return nil, fmt.Errorf("read the authority %s: %w", certPath, errors.Join(keyErr, certErr))
	}
	// Without a certificate the authority was never used; a key alone is of a
	// start that was cut short.
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Dormer authority " + string(instance)},
		NotBefore:             now().Add(-certificateAgo),
		NotAfter:              now().Add(authorityLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	var der []byte
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), random); err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	if der, err = a.issue(template, template, &a.key.PublicKey); err != nil {
		return nil, err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	if err := writeKey(keyPath, a.key); err != nil {
		return nil, err
	}
	return a, durable.WriteFile(certPath, encodeCertificates(der))
}

func (a *authority) issue(template, parent *x509.Certificate, public *ecdsa.PublicKey) ([]byte, error) {
	serial := make([]byte, 16)
	if _, err := io.ReadFull(a.random, serial); err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	serial[0] &= 0x7f
	template.SerialNumber = new(big.Int).SetBytes(serial)
	der, err := x509.CreateCertificate(a.random, template, parent, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return der, nil
}

// fingerprint is what join tokens pin: the SHA-256 of the certificate.
func (a *authority) fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// pem is the certificate for those who trust it.
func (a *authority) pem() []byte { return encodeCertificates(a.cert.Raw) }

// certificate returns the server's certificate for names (host names and
// addresses), the one on disk if it still fits, else a new one.
func (a *authority) certificate(names []string) (*tls.Certificate, error) {
	certPath, keyPath := a.dir.file(dirKeys, dirTLS, tlsServerCert), a.dir.file(dirKeys, dirTLS, tlsServerKey)
	if pair, err := tls.LoadX509KeyPair(certPath, keyPath); err == nil && a.fits(pair.Leaf, names) {
		return &pair, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), a.random)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotBefore:   a.now().Add(-certificateAgo),
		NotAfter:    a.now().Add(serverLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := a.issue(template, a.cert, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	// A crash between the two leaves a pair that does not fit, and so a new one.
	if err := writeKey(keyPath, key); err != nil {
		return nil, err
	}
	if err := durable.WriteFile(certPath, encodeCertificates(der, a.cert.Raw)); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certPath, keyPath)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return &pair, nil
}

// loader returns what loads that certificate.
func (a *authority) loader(names []string) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) { return a.certificate(names) }
}

// fits reports whether a certificate is of this authority, for exactly these
// names, and not near its end.
func (a *authority) fits(leaf *x509.Certificate, names []string) bool {
	if leaf == nil || leaf.CheckSignatureFrom(a.cert) != nil || leaf.NotAfter.Sub(a.now()) < serverRenew || a.now().Before(leaf.NotBefore) {
		return false
	}
	has := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		has = append(has, ip.String())
	}
	want := slices.Clone(names)
	slices.Sort(has)
	slices.Sort(want)
	return slices.Equal(has, want)
}

// certificateNames returns the names and addresses that the server answers to,
// each once, the most public first.
func certificateNames(publicURLs, listen, more []string, hostname string) []string {
	var names []string
	add := func(s string) {
		if ip := net.ParseIP(s); ip != nil {
			if ip.IsUnspecified() {
				return
			}
			s = ip.String()
		}
		s = strings.ToLower(strings.TrimSuffix(s, "."))
		if s != "" && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	for _, u := range publicURLs {
		_, rest, _ := strings.Cut(u, "://")
		if host, _, err := net.SplitHostPort(rest); err == nil {
			rest = host
		}
		add(strings.Trim(rest, "[]"))
	}
	for _, m := range more {
		add(m)
	}
	add(hostname)
	add("localhost")
	add("127.0.0.1")
	add("::1")
	for _, l := range listen {
		if host, _, err := net.SplitHostPort(l); err == nil {
			add(host)
		}
	}
	return names
}

func encodeCertificates(ders ...[]byte) []byte {
	var b []byte
	for _, der := range ders {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return b
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return durable.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no key: %w", path, dormer.ErrCorrupt)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another kind: %w", path, dormer.ErrCorrupt)
	}
	return key, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no certificate: %w", path, dormer.ErrCorrupt)
	}
	return cert, nil
}

func readPEM(path string) (*pem.Block, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM: %w", path, dormer.ErrCorrupt)
	}
	return block, nil
}

package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/dormer-project/dormer"
)

// TLSACME is the mode in which an ACME server (RFC 8555) issues the
// certificates.
const TLSACME TLSMode = "acme"

// ACMEConfig is the section [tls.acme].
type ACMEConfig struct {
	DirectoryURL string `toml:"directory_url" doc:"The ACME server's directory, for mode \"acme\". Using the mode means agreeing to its terms."`
	Email        string `toml:"email" doc:"Where the ACME server may write to about the certificates."`
	Authority    string `toml:"authority" doc:"File with the authority (PEM) behind the ACME server's own certificate, where that is a private one. Empty: those that this computer trusts."`
	HTTPListen   string `toml:"http_listen" doc:"Address and port for plain HTTP, as \"0.0.0.0:80\", where the ACME server reaches the public names at port 80. It answers nothing but the ACME server, and sends browsers to the first of public_urls. Empty: the ACME server must reach one of listen at port 443 of the public names."`
}

// checkACME names what is wrong with mode "acme".
func (c *Config) checkACME(add func(path, format string, args ...any)) {
	if len(c.PublicURLs) == 0 {
		add("public_urls", `must be set for tls.mode "acme": the certificates are for the names in it`)
	}
	for i, u := range c.PublicURLs {
		if u, err := url.Parse(u); err == nil && !issuable(u.Hostname()) {
			add(fmt.Sprintf("public_urls[%d]", i), "must have a full name, as dormer.example.com: for others no certificates are issued")
		}
	}
	for i, n := range c.TLS.Names {
		if !issuable(n) {
			add(fmt.Sprintf("tls.names[%d]", i), "must be a full name, as dormer.example.com: for others no certificates are issued")
		}
	}
	a := c.TLS.ACME
	if u, err := url.Parse(a.DirectoryURL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		add("tls.acme.directory_url", "must be the address of a directory, as %q", autocert.DefaultACMEDirectory)
	}
	if a.Email != "" && !strings.Contains(a.Email, "@") {
		add("tls.acme.email", "must be a mail address")
	}
	if a.Authority != "" && !filepath.IsAbs(a.Authority) {
		add("tls.acme.authority", "must be the absolute path of a file")
	}
	if _, port, err := net.SplitHostPort(a.HTTPListen); a.HTTPListen != "" && (err != nil || port == "") {
		add("tls.acme.http_listen", `must be an address and a port, as "0.0.0.0:80"`)
	}
}

// issuable reports whether certificates are issued for a name.
func issuable(name string) bool {
	return net.ParseIP(name) == nil && strings.Contains(strings.Trim(name, "."), ".")
}

// Pauses between two attempts to get a certificate. Public ACME servers take
// only a few failures an hour.
const (
	acmeFirstPause = time.Minute
	acmeMostPause  = time.Hour
	acmeRequest    = 30 * time.Second // one request to the ACME server
)

// acmeCertificates are the certificates that an ACME server issues, one for
// each name, and the answers to its challenges.
type acmeCertificates struct {
	names   []string // the first is for clients that name none
	manager *autocert.Manager
	logger  *slog.Logger
	// identity tells this ACME server's certificates from another's.
	identity string

	mu  sync.Mutex // guards the field below
	has map[string]bool
}

// newACME prepares the certificates for names. It asks the ACME server nothing
// yet: that looks at the listeners, which are not open. Certificates and the
// account's key are kept in folder.
func newACME(c ACMEConfig, folder string, names []string, now func() time.Time, logger *slog.Logger) (*acmeCertificates, error) {
	client := &http.Client{Timeout: acmeRequest}
	authority, err := readAuthority("tls.acme.authority", c.Authority)
	if err != nil {
		return nil, err
	}
	if authority != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(authority) // readAuthority has checked it
		client.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	}
	a := &acmeCertificates{names: names, logger: logger, identity: "acme " + c.DirectoryURL, has: map[string]bool{}}
	cache := autocert.DirCache(folder)
	a.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: cache, HostPolicy: autocert.HostWhitelist(names...), Email: c.Email,
		Client: &acme.Client{DirectoryURL: c.DirectoryURL, HTTPClient: client, UserAgent: "dormerd"},
	}
	// Those of an earlier start count at once. What the folder has of other
	// names is left alone.
	for _, n := range names {
		kept, err := cache.Get(context.Background(), n)
		a.has[n] = err == nil && now().Before(endOf(kept))
	}
	return a, nil
}

// endOf is when a certificate that was kept, with its key before it, ends;
// zero for what is none.
func endOf(kept []byte) time.Time {
	for block, rest := pem.Decode(kept); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			return cert.NotAfter
		}
		break
	}
	return time.Time{}
}

// certificate chooses what a client is shown. A handshake never begins an
// order: then anybody could use up what the ACME server allows.
func (a *acmeCertificates) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto {
		return a.manager.GetCertificate(hello) // a challenge
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if !slices.Contains(a.names, name) { // an address, or none
		name = a.names[0]
	}
	a.mu.Lock()
	has := a.has[name]
	a.mu.Unlock()
	if !has {
		return nil, fmt.Errorf("there is no certificate for %s yet: %w", name, dormer.ErrUnavailable)
	}
	return a.obtain(name)
}

// obtain returns the certificate for a name, from memory, the folder or the
// ACME server. From then on it is renewed by itself.
func (a *acmeCertificates) obtain(name string) (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{
		// One kind of key for all: everybody who speaks TLS 1.3 knows this one.
		ServerName: name, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
}

// keep gets what is missing until ctx ends. It runs while the listeners are
// open.
func (a *acmeCertificates) keep(ctx context.Context) error {
	pause := acmeFirstPause
	for {
		ended := make(chan error, 1)
		// An order may take minutes and cannot be stopped; the end of the server
		// does not wait for it.
		go func() { ended <- a.obtainAll(ctx) }()
		wait := acmeMostPause
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if err == nil {
				pause = acmeFirstPause
				break
			}
			wait, pause = pause, min(2*pause, acmeMostPause)
			a.logger.LogAttrs(ctx, slog.LevelError, "a certificate was not issued", slog.Any("error", err), slog.Duration("again_in", wait))
		}
		again := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			again.Stop()
			return nil
		case <-again.C:
		}
	}
}

func (a *acmeCertificates) obtainAll(ctx context.Context) error {
	var all error
	for _, n := range a.names {
		if ctx.Err() != nil {
			break // whoever asked is gone
		}
		pair, err := a.obtain(n)
		if err != nil {
			all = errors.Join(all, fmt.Errorf("setting tls.mode: get a certificate for %s: %w", n, err))
			continue
		}
		a.mu.Lock()
		first := !a.has[n]
		a.has[n] = true
		a.mu.Unlock()
		if first {
			a.logger.LogAttrs(ctx, slog.LevelInfo, "certificate issued", slog.String("name", n), slog.Time("ends", pair.Leaf.NotAfter))
		}
	}
	return all
}

// challenges answers the ACME server over plain HTTP and sends everybody else
// to publicURL.
func (a *acmeCertificates) challenges(publicURL string) http.Handler {
	h := a.manager.HTTPHandler(http.RedirectHandler(publicURL+"/", http.StatusFound))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The port may be another where port 80 is forwarded to it.
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r = r.Clone(r.Context())
			r.Host = host
		}
		h.ServeHTTP(w, r)
	})
}

// publicNames returns the names of the public URLs, and more, each once.
func publicNames(publicURLs, more []string) []string {
	var names []string
	add := func(n string) {
		if n = strings.ToLower(strings.TrimSuffix(n, ".")); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for _, u := range publicURLs {
		if parsed, err := url.Parse(u); err == nil {
			add(parsed.Hostname())
		}
	}
	for _, n := range more {
		add(n)
	}
	return names
}

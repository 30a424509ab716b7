package server

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
)

// Session tickets. Clients come back each minute with a resumed session, after
// a restart too, so their keys are kept. The newest encrypts, the older ones
// still open for as long as TLS lets a ticket live.
const (
	ticketKeyLife = 24 * time.Hour
	ticketKeys    = 7
)

// certificates is what the server shows, and the keys of its tickets.
type certificates struct {
	dir    *dataDir
	now    func() time.Time
	random io.Reader
	load   func() (*tls.Certificate, error) // nil with acme
	acme   *acmeCertificates                // nil unless tls.mode is "acme"

	current atomic.Pointer[tls.Certificate]
	config  *tls.Config
}

// newCertificates loads certificate and ticket keys.
func newCertificates(d *dataDir, now func() time.Time, random io.Reader, load func() (*tls.Certificate, error)) (*certificates, error) {
	c := &certificates{dir: d, now: now, random: random, load: load}
	c.config = &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
		Time:           now,
	}
	return c, c.Renew()
}

// newACMECertificates shows what an ACME server issues.
func newACMECertificates(d *dataDir, now func() time.Time, random io.Reader, a *acmeCertificates) (*certificates, error) {
	c := &certificates{dir: d, now: now, random: random, acme: a}
	c.config = &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"h2", "http/1.1", acme.ALPNProto},
		GetCertificate: a.certificate,
		Time:           now,
	}
	return c, c.Renew()
}

// Renew loads the certificate again, which makes a new one near the end of the
// old, and changes the key of session tickets once a day.
func (c *certificates) Renew() error {
	var issuer []byte
	if c.acme != nil {
		issuer = []byte(c.acme.identity)
	} else {
		pair, err := c.load()
		if err != nil {
			return err
		}
		c.current.Store(pair)
		issuer = slices.Concat(pair.Leaf.RawIssuer, pair.Leaf.AuthorityKeyId)
	}
	tickets, err := c.tickets(issuer)
	if err != nil {
		return err
	}
	c.config.SetSessionTicketKeys(tickets)
	return nil
}

// tickets returns the keys of session tickets. They depend on the authority
// behind the certificate: who resumes a session does not look at it again, and
// a client must not go on without noticing that it was replaced.
func (c *certificates) tickets(issuer []byte) ([][32]byte, error) {
	path := c.dir.file(dirKeys, keyTickets)
	stored, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read keys of session tickets: %w", err)
	}
	if len(stored)%32 != 0 { // tickets are a convenience: begin anew
		stored = nil
	}
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read keys of session tickets: %w", err)
	}
	if len(stored) == 0 || err != nil || c.now().Sub(info.ModTime()) >= ticketKeyLife {
		fresh := make([]byte, 32)
		if _, err := io.ReadFull(c.random, fresh); err != nil {
			return nil, fmt.Errorf("make key of session tickets: %w", err)
		}
		stored = slices.Concat(fresh, stored)
		stored = stored[:min(len(stored), 32*ticketKeys)]
		if err := durable.WriteFile(path, stored); err != nil {
			return nil, err
		}
	}
	var all [][32]byte
	for ; len(stored) >= 32; stored = stored[32:] {
		all = append(all, sha256.Sum256(slices.Concat(stored[:32], issuer)))
	}
	return all, nil
}

// loadFiles reads the certificate and key that the configuration names.
func loadFiles(c TLSConfig, now func() time.Time) func() (*tls.Certificate, error) {
	return func() (*tls.Certificate, error) {
		for setting, path := range map[string]string{"tls.certificate": c.Certificate, "tls.key": c.Key} {
			f, err := os.Open(path)
			if err != nil {
				return nil, fmt.Errorf("setting %s: %w", setting, err)
			}
			if err := f.Close(); err != nil {
				return nil, fmt.Errorf("setting %s: %w", setting, err)
			}
		}
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("settings tls.certificate and tls.key: %w: %w", dormer.ErrInvalid, err)
		}
		if now().After(pair.Leaf.NotAfter) {
			return nil, fmt.Errorf("setting tls.certificate: the certificate ended on %s: %w", pair.Leaf.NotAfter.Format(time.DateOnly), dormer.ErrInvalid)
		}
		return &pair, nil
	}
}

package server

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/directory/kerberos"
	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/directory/openid"
	"github.com/dormer-project/dormer/internal/name"
)

const (
	// maxAuthority bounds files of certificates that settings name, in bytes.
	maxAuthority = 1 << 20
	// freshExternal is for how long groups of operators count without asking a
	// directory that is elsewhere again.
	freshExternal = time.Minute
)

// people are the directories and the other ways of signing in of one
// configuration. Close ends their connections.
type people struct {
	mounts     []access.Mount
	negotiator access.Negotiator // nil: no tickets are taken
	service    string
	providers  []access.Provider
	// examined are those that can be examined, in the order of the configuration.
	examined []access.Examined
	closers  []func() error
}

// configured is something whose findings name settings as the configuration
// does.
type configured struct {
	access.Tester
	setting func(called string) string
}

// Test is that of the Tester.
func (c configured) Test(ctx context.Context) ([]access.Finding, error) {
	findings, err := c.Tester.Test(ctx)
	for i := range findings {
		findings[i].Setting = c.setting(findings[i].Setting)
	}
	return findings, err
}

// peopleDeps are what directories take from their surroundings.
type peopleDeps struct {
	now    func() time.Time
	random io.Reader
	logger *slog.Logger
	// embedded is the embedded directory; nil where there is no database, so that
	// it is not among the mounts.
	embedded access.Directory
	accounts access.FederatedStore
	once     access.OnceStore
	// key encrypts what is kept of providers.
	key []byte
	// redirectBases are addresses below which browsers may be sent back.
	redirectBases []string
}

// newPeople makes what the configuration names; nobody is asked yet. Errors
// name the setting whose file cannot be used.
func newPeople(cfg Config, deps peopleDeps) (*people, error) {
	p := &people{}
	if deps.embedded != nil {
		p.mounts = append(p.mounts, access.Mount{Directory: deps.embedded})
	}
	for i, d := range cfg.Directories {
		if err := p.addDirectory(i, d, deps); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	if err := p.addKerberos(cfg, deps); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	for i, one := range cfg.Providers {
		if err := p.addProvider(i, one, deps); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// Close ends all connections.
func (p *people) Close() error {
	var all []error
	for _, f := range p.closers {
		all = append(all, f())
	}
	p.closers = nil
	return errors.Join(all...)
}

func (p *people) addDirectory(i int, d DirectoryConfig, deps peopleDeps) error {
	config := d.ldap()
	config.Now, config.Logger = deps.now, deps.logger
	var err error
	if config.Authority, err = readAuthority(directorySetting(i, "authority"), d.Authority); err != nil {
		return err
	}
	if d.BindPasswordFile != "" {
		setting := directorySetting(i, "bind_password_file")
		config.Password = func() (string, error) { return readSecret(setting, d.BindPasswordFile) }
		if _, err := config.Password(); err != nil {
			return err
		}
	}
	if d.Keytab != "" {
		if err := checkKeytab(directorySetting(i, "keytab"), d.Keytab); err != nil {
			return err
		}
	}
	made, err := ldap.New(config)
	if err != nil {
		return fmt.Errorf("setting %s: %w", inTable("directories", i, ""), err)
	}
	p.closers = append(p.closers, made.Close)
	m := access.Mount{Directory: made, Realm: d.realm(), Trusts: d.Trusts, Fresh: freshExternal}
	if d.NetBIOS != "" {
		m.Prefixes = []string{d.NetBIOS}
	}
	for _, s := range append([]string{d.Domain}, d.UPNSuffixes...) {
		if s != "" {
			m.Suffixes = append(m.Suffixes, s)
		}
	}
	p.mounts = append(p.mounts, m)
	p.examined = append(p.examined, access.Examined{Name: d.Name, Tester: configured{
		Tester: made, setting: func(called string) string { return directorySetting(i, called) },
	}})
	return nil
}

func (p *people) addKerberos(cfg Config, deps peopleDeps) error {
	if cfg.Kerberos.Keytab == "" {
		return nil
	}
	const setting = "kerberos.keytab"
	if err := checkPrivate(setting, cfg.Kerberos.Keytab); err != nil {
		return err
	}
	var realms []string
	for _, m := range p.mounts {
		if m.Realm != "" {
			realms = append(realms, m.Realm)
		}
	}
	a, err := kerberos.NewAcceptor(kerberos.Config{
		Keytab: cfg.Kerberos.Keytab, Services: cfg.Kerberos.Services, Realms: realms, AllowRC4: cfg.Kerberos.AllowRC4,
		Now: deps.now, Random: deps.random, Logger: deps.logger,
	})
	if err != nil {
		return fmt.Errorf("setting %s: %w", setting, err)
	}
	p.negotiator = a
	p.examined = append(p.examined, access.Examined{Name: "kerberos", Tester: configured{Tester: a, setting: func(called string) string { return "kerberos." + called }}})
	if services := a.Services(); len(services) == 1 {
		p.service = services[0]
	}
	return nil
}

func (p *people) addProvider(i int, c ProviderConfig, deps peopleDeps) error {
	at := func(key string) string { return inTable("providers", i, key) }
	config := c.openid()
	config.Now, config.Random, config.Logger = deps.now, deps.random, deps.logger
	config.Store, config.Once, config.Key = deps.accounts, deps.once, deps.key
	config.RedirectBases = append(config.RedirectBases, deps.redirectBases...)
	var err error
	if config.Authority, err = readAuthority(at("authority"), c.Authority); err != nil {
		return err
	}
	if c.ClientSecretFile != "" {
		config.Secret = func() (string, error) { return readSecret(at("client_secret_file"), c.ClientSecretFile) }
		if _, err := config.Secret(); err != nil {
			return err
		}
	}
	if c.Directory != "" {
		config.Lookup = noLookup
		for _, m := range p.mounts {
			if name.Fold(m.Name()) == name.Fold(c.Directory) {
				config.Directory, config.Lookup = m.Name(), lookup(m.Directory)
			}
		}
	}
	made, err := openid.New(config)
	if err != nil {
		return fmt.Errorf("setting %s: %w", at(""), err)
	}
	p.providers = append(p.providers, made)
	if own := made.Directory(); own != nil {
		p.mounts = append(p.mounts, access.Mount{Directory: own, NoPasswords: true, Fresh: freshExternal})
	}
	p.examined = append(p.examined, access.Examined{Name: c.Name, Tester: configured{Tester: made, setting: at}})
	return nil
}

// lookup finds the user whom a provider's claim means: by security identifier,
// by account name, or by another name that is one user's alone, but for the
// name for people, which anybody may have.
func lookup(d access.Directory) func(context.Context, string) (dormer.Principal, error) {
	return func(ctx context.Context, claim string) (dormer.Principal, error) {
		if strings.HasPrefix(claim, access.SIDPrefix) {
			return d.Lookup(ctx, dormer.Principal{Directory: d.Name(), Kind: dormer.KindUser, Key: claim})
		}
		p, err := d.Resolve(ctx, dormer.KindUser, claim)
		if !errors.Is(err, dormer.ErrNotFound) || !strings.Contains(claim, "@") {
			return p, err
		}
		found, err := d.Match(ctx, dormer.KindUser, claim, 2)
		if err != nil {
			return dormer.Principal{}, err
		}
		if len(found) != 1 || name.Fold(found[0].DisplayName) == name.Fold(claim) {
			return dormer.Principal{}, fmt.Errorf("user %.200q of directory %s: %w", claim, d.Name(), dormer.ErrNotFound)
		}
		return found[0].Principal, nil
	}
}

// noLookup finds nobody.
func noLookup(context.Context, string) (dormer.Principal, error) {
	return dormer.Principal{}, dormer.ErrNotFound
}

// derive makes a key for one use of one of the instance's keys.
func derive(key []byte, use string) ([]byte, error) {
	b, err := hkdf.Key(sha256.New, key, nil, "dormer "+use, secretSize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of %s: %w", use, err)
	}
	return b, nil
}

// readAuthority reads certificates; an empty path is none.
func readAuthority(setting, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	b, err := readBounded(setting, path, maxAuthority)
	if err != nil {
		return nil, err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("setting %s: %s holds no certificate in PEM form: %w", setting, path, dormer.ErrInvalid)
	}
	return b, nil
}

func checkKeytab(setting, path string) error {
	if err := checkPrivate(setting, path); err != nil {
		return err
	}
	if err := kerberos.CheckKeytab(path); err != nil {
		return fmt.Errorf("setting %s: %w", setting, err)
	}
	return nil
}

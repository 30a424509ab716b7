package ldap

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
)

const (
	// idleLimit is for how long a connection lies unused; Active Directory
	// closes them after 15 minutes.
	idleLimit = 5 * time.Minute
	// lifeLimit is for how long a connection is used, so that what changes on the
	// server's side (groups of the service account, its address) is picked up.
	lifeLimit = 30 * time.Minute
	// deadTime is for how long a server that did not answer comes last.
	deadTime = 30 * time.Second
	// refusedTime is for how long a password of the service account that was
	// refused is not tried again: the account would be locked.
	refusedTime = 30 * time.Second
)

// pool keeps connections on which the service account has signed in.
type pool struct {
	config  *Config
	servers []*server // in the order of preference
	// searches and signIns hold a token for each connection that is in use, so
	// that people who sign in and searches do not keep each other waiting.
	searches, signIns chan struct{}

	mu sync.Mutex
	// guards the fields below and server.deadUntil
	idle   []*conn // the last used last
	closed bool
	// refused is the digest of the service account's password that was refused,
	// until refusedUntil; refusal is what the server said.
	refused      [sha256.Size]byte
	refusedUntil time.Time
	refusal      error
}

func newPool(c *Config, servers []*server) *pool {
	config := *c
	return &pool{
		config: &config, servers: servers,
		searches: make(chan struct{}, c.Connections), signIns: make(chan struct{}, c.Connections),
	}
}

// take waits for one of a bounded number of connections.
func (p *pool) take(ctx context.Context, of chan struct{}) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	select {
	case of <- struct{}{}:
		return func() { <-of }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for one of %d connections to directory %s: %w: %w", cap(of), p.config.Name, dormer.ErrUnavailable, ctx.Err())
	}
}

// search runs f on a connection of the service account. f may run again, on
// another connection, when the first is lost: it only reads.
func (p *pool) search(ctx context.Context, f func(*conn) error) error {
	release, err := p.take(ctx, p.searches)
	if err != nil {
		return err
	}
	defer release()
	tried := make(map[*server]bool, len(p.servers))
	for {
		c, err := p.get(ctx, tried)
		if err != nil {
			return err
		}
		reused := !c.fresh
		c.fresh = false
		err = f(c)
		if !lost(err) {
			p.put(c)
			return err
		}
		c.close()
		if ctx.Err() != nil {
			return err
		}
		if reused {
			// The server may have been started anew since: once more, on a new
			// connection.
			p.drop(c.server)
			continue
		}
		p.dead(c.server, err)
		tried[c.server] = true
		if len(tried) == len(p.servers) {
			return err
		}
	}
}

// get returns a connection to the most preferred server that is not in tried.
func (p *pool) get(ctx context.Context, tried map[*server]bool) (*conn, error) {
	var errs []error
	for _, s := range p.order() {
		if tried[s] {
			continue
		}
		if c := p.reuse(s); c != nil {
			return c, nil
		}
		c, err := p.dial(ctx, s)
		if err == nil {
			p.alive(s)
			return c, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
		if e, ok := errors.AsType[*connectError](err); ok && e.stage == stageBind {
			// Every server knows the same service account.
			break
		}
		tried[s] = true
		p.dead(s, err)
	}
	return nil, &unreachableError{directory: p.config.Name, errs: errs}
}

// unreachableError is what became of each server that was tried. It is
// ErrUnavailable.
type unreachableError struct {
	directory string
	errs      []error
}

func (e *unreachableError) Error() string {
	said := make([]string, len(e.errs))
	for i, err := range e.errs {
		said[i] = err.Error()
	}
	if len(said) == 0 {
		said = []string{"no server is left to ask"}
	}
	return "directory " + e.directory + ": " + strings.Join(said, "; ")
}

// Away names what does not answer, for who asked for something that needs it.
func (e *unreachableError) Away() string { return "directory " + e.directory }

func (e *unreachableError) Unwrap() []error { return append([]error{dormer.ErrUnavailable}, e.errs...) }

// dial opens a connection and signs the service account in.
func (p *pool) dial(ctx context.Context, s *server) (*conn, error) {
	c, err := s.open(ctx, p.config.Timeout)
	if err != nil {
		return nil, err
	}
	if err := p.bindService(ctx, c); err != nil {
		c.close()
		return nil, err
	}
	now := p.config.Now()
	c.made, c.used = now, now
	return c, nil
}

// order returns the servers as they are to be tried: those that are not known
// to be dead first. A dead one whose time is over is tried by one caller; the
// others go on without it meanwhile.
func (p *pool) order() []*server {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.config.Now()
	var first, last []*server
	probing := false
	for _, s := range p.servers {
		switch {
		case s.deadUntil.IsZero():
			first = append(first, s)
		case !now.Before(s.deadUntil) && !probing:
			probing = true
			s.deadUntil = now.Add(deadTime)
			first = append(first, s)
		default:
			last = append(last, s)
		}
	}
	return append(first, last...)
}

// reuse returns an idle connection to a server, or nil.
func (p *pool) reuse(s *server) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.config.Now()
	p.idle = slices.DeleteFunc(p.idle, func(c *conn) bool {
		old := c.ldap.IsClosing() || now.Sub(c.used) > idleLimit || now.Sub(c.made) > lifeLimit
		if old {
			go c.close()
		}
		return old
	})
	for i, c := range slices.Backward(p.idle) {
		if c.server == s {
			p.idle = slices.Delete(p.idle, i, i+1)
			return c
		}
	}
	return nil
}

// put keeps a connection for the next.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.used = p.config.Now()
	if p.closed || c.ldap.IsClosing() || len(p.idle) >= p.config.Connections {
		go c.close()
		return
	}
	p.idle = append(p.idle, c)
}

// drop gives up the idle connections to a server.
func (p *pool) drop(s *server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(c *conn) bool {
		if c.server == s {
			go c.close()
		}
		return c.server == s
	})
}

// dead notes that a server did not answer.
func (p *pool) dead(s *server, err error) {
	p.drop(s)
	p.mu.Lock()
	known := !s.deadUntil.IsZero()
	s.deadUntil = p.config.Now().Add(deadTime)
	p.mu.Unlock()
	if !known {
		p.config.Logger.Warn("server of a directory does not answer", slog.String("directory", p.config.Name),
			slog.String("server", s.address), slog.Any("error", err))
	}
}

// alive notes that a server answered.
func (p *pool) alive(s *server) {
	p.mu.Lock()
	known := !s.deadUntil.IsZero()
	s.deadUntil = time.Time{}
	p.mu.Unlock()
	if known {
		p.config.Logger.Info("server of a directory answers again", slog.String("directory", p.config.Name), slog.String("server", s.address))
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
}

// bindService signs the service account in.
func (p *pool) bindService(ctx context.Context, c *conn) error {
	fail := func(setting, plain string, cause error) error {
		return &connectError{server: c.server, stage: stageBind, setting: setting, plain: plain, cause: cause}
	}
	switch {
	case p.config.BindUser == "":
		return nil
	case p.config.Keytab != "":
		if err := p.bindKerberos(ctx, c); err != nil {
			return fail(settingKeytab, plainKerberos(err), err)
		}
		return nil
	}
	password, err := p.config.Password()
	if err != nil {
		return fail(settingPassword, err.Error(), err)
	}
	if password == "" {
		// A bind without a password would succeed, as nobody.
		return fail(settingPassword, "the file is empty", errors.New("no password"))
	}
	digest := sha256.Sum256([]byte(password))
	if err := p.refusedBefore(digest); err != nil {
		return fail(settingPassword, plainBind(err), err)
	}
	err = c.with(ctx, func() error { return c.ldap.Bind(p.config.BindUser, password) })
	switch {
	case err == nil:
		return nil
	case lost(err):
		return &connectError{server: c.server, stage: stageConnect, setting: c.server.setting, plain: err.Error(), cause: err}
	}
	if resultCode(err) == goldap.LDAPResultInvalidCredentials {
		p.mu.Lock()
		p.refused, p.refusedUntil, p.refusal = digest, p.config.Now().Add(refusedTime), err
		p.mu.Unlock()
		return fail(settingPassword, plainBind(err), err)
	}
	return fail(settingBindUser, plainBind(err), err)
}

// refusedBefore returns what the server said to a password lately.
func (p *pool) refusedBefore(digest [sha256.Size]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal != nil && p.refused == digest && p.config.Now().Before(p.refusedUntil) {
		return p.refusal
	}
	return nil
}

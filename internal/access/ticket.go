package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// MaxTicket is the longest SPNEGO token that is looked at, in bytes; see
// docs/limits.md. Tickets of users in many groups are long.
const MaxTicket = 64 << 10

// What is noted as used once, and for what.
const (
	onceTicket = "kerberos"
	onceNonce  = "openid"
	onceDevice = "device"
	onceCode   = "code"
)

// Methods are the ways of signing in that there are.
type Methods struct {
	// Directories take a password; the first is that of users who name none.
	Directories []string
	// Kerberos says that tickets are taken, for Service.
	Kerberos  bool
	Service   string
	Providers []ProviderInfo
}

// Methods returns the ways of signing in.
func (a *Authenticator) Methods() Methods {
	m := Methods{Directories: []string{}, Kerberos: a.cfg.Negotiator != nil, Service: a.cfg.Service, Providers: []ProviderInfo{}}
	for _, d := range append([]Mount{a.mounts.standard}, a.mounts.all...) {
		if !d.NoPasswords && !slices.Contains(m.Directories, d.Name()) {
			m.Directories = append(m.Directories, d.Name())
		}
	}
	for _, p := range a.cfg.Providers {
		m.Providers = append(m.Providers, p.Info())
	}
	return m
}

// SignInTicket signs in who presents a SPNEGO token. ErrUnauthenticated, with a
// cause that is fit for the audit log, for a token that does not count or was
// used before, on any replica; *RefusedError, beside the user whom it is about,
// when the account may not be used; ErrUnsupported where no tickets are taken;
// *throttle.Error after too many failures. reply is the token that is answered,
// if there is one. Nothing of the ticket is believed but whose it is: groups are
// those of the directory.
func (a *Authenticator) SignInTicket(ctx context.Context, token []byte, remote string) (p dormer.Principal, reply []byte, err error) {
	if a.cfg.Negotiator == nil {
		return dormer.Principal{}, nil, fmt.Errorf("sign in by ticket: %w", dormer.ErrUnsupported)
	}
	p, err = a.prove(ctx, remote, func() (dormer.Principal, error) {
		if len(token) == 0 || len(token) > MaxTicket {
			return dormer.Principal{}, fmt.Errorf("the token has %d bytes: %w", len(token), dormer.ErrUnauthenticated)
		}
		t, err := a.cfg.Negotiator.Accept(ctx, token)
		if err != nil {
			return dormer.Principal{}, err
		}
		if err := a.useOnce(ctx, onceTicket, t.ID, t.Expires); err != nil {
			return dormer.Principal{}, err
		}
		d, ok := a.mounts.ofRealm(t.Realm)
		if !ok {
			return dormer.Principal{}, fmt.Errorf("no directory has the realm %.200q: %w", t.Realm, dormer.ErrUnauthenticated)
		}
		// Services and hosts have no business here, and the name must not be taken
		// for one with a domain in it.
		if t.User == "" || len(t.User) > maxUser || strings.ContainsAny(t.User, "\\/@\x00") {
			return dormer.Principal{}, fmt.Errorf("the ticket of %.200q is not that of a user: %w", t.User, dormer.ErrUnauthenticated)
		}
		p, err := d.Resolve(ctx, dormer.KindUser, t.User)
		if errors.Is(err, dormer.ErrNotFound) {
			return dormer.Principal{}, fmt.Errorf("the user %.200q of the ticket is not in directory %s: %w", t.User, d.Name(), dormer.ErrUnauthenticated)
		}
		if err == nil && !t.isOf(p) {
			return dormer.Principal{}, fmt.Errorf("the ticket says %.200q, but is of another account, number %d: %w", t.User, t.Account, dormer.ErrUnauthenticated)
		}
		reply = t.Reply
		return p, err
	})
	switch {
	case errors.Is(err, dormer.ErrUnauthenticated), errors.Is(err, dormer.ErrDenied):
		return p, nil, err // the cause alone: whoever records it says what it is of
	case err != nil:
		return p, nil, fmt.Errorf("sign in by ticket: %w", err)
	}
	return p, reply, nil
}

// isOf reports whether the ticket is of the account that was found by its name.
// The name is what was asked for: whoever may give an account of theirs another
// name, a user principal name, may get tickets in the name of somebody else.
func (t Ticket) isOf(p dormer.Principal) bool {
	if t.Account == 0 || !strings.HasPrefix(p.Key, SIDPrefix) {
		return true
	}
	return strings.HasSuffix(p.Key, fmt.Sprintf("-%d", t.Account))
}

// prove runs one attempt to sign in by something that is no password, and then
// looks whether the account may be used. Whom a *RefusedError is about is
// returned beside it, for the audit log. A refusal is no guess at an account,
// so that it counts against the address alone.
func (a *Authenticator) prove(ctx context.Context, remote string, check func() (dormer.Principal, error)) (dormer.Principal, error) {
	refund, err := a.proofs.begin(remote)
	if err != nil {
		return dormer.Principal{}, err
	}
	began := a.sessions.begin()
	p, err := check()
	if err == nil {
		err = a.usable(ctx, p)
	}
	if !errors.Is(err, dormer.ErrUnauthenticated) {
		refund()
	}
	if _, refused := errors.AsType[*RefusedError](err); refused {
		return p, err
	}
	if err != nil {
		return dormer.Principal{}, err
	}
	a.proved(p, began)
	return p, nil
}

// usable asks the user's directory whether the account may be used now.
// ErrUnauthenticated when it is gone, *RefusedError when it may not.
func (a *Authenticator) usable(ctx context.Context, p dormer.Principal) error {
	d, ok := a.mounts.of(p)
	if !ok {
		return fmt.Errorf("directory %s is not configured: %w", p.Directory, dormer.ErrUnauthenticated)
	}
	_, err := d.Groups(ctx, p)
	if errors.Is(err, dormer.ErrNotFound) {
		return fmt.Errorf("the user is not in directory %s: %w", d.Name(), dormer.ErrUnauthenticated)
	}
	return err
}

// onceMargin is for how much longer than it counts it is remembered that
// something was used: clocks of replicas differ.
const onceMargin = 5 * time.Minute

// useOnce notes that something is used. ErrUnauthenticated when it was before.
func (a *Authenticator) useOnce(ctx context.Context, purpose string, id [sha256.Size]byte, expires time.Time) error {
	if !a.cfg.Now().Before(expires) {
		return fmt.Errorf("it has expired: %w", dormer.ErrUnauthenticated)
	}
	err := a.cfg.Once.UseOnce(ctx, purpose, id, expires.Add(onceMargin))
	if errors.Is(err, dormer.ErrExists) {
		return fmt.Errorf("it was used before: %w", dormer.ErrUnauthenticated)
	}
	if err != nil {
		return fmt.Errorf("note that it is used: %w", err)
	}
	return nil
}

package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
)

// MaxProof bounds each text of a sign-in by a provider, in bytes; see
// docs/limits.md.
const MaxProof = 4 << 10

// nonceKept is for how long it is remembered that the outcome of a sign-in with
// a browser was used. ID tokens are refused when they are older.
const nonceKept = 24 * time.Hour

func (a *Authenticator) provider(called string) (Provider, error) {
	p, ok := a.providers[called]
	if !ok {
		return nil, fmt.Errorf("OpenID provider %.200q: %w", called, dormer.ErrNotFound)
	}
	return p, nil
}

// checkProof returns an error when one of the texts is longer than any that a
// provider makes.
func checkProof(texts map[string]string) error {
	for field, text := range texts {
		if len(text) > MaxProof {
			return dormer.Invalidf(field, "is longer than %d bytes", MaxProof)
		}
	}
	return nil
}

func (b Authorization) check() error {
	for field, text := range map[string]string{"redirect_uri": b.RedirectURI, "nonce": b.Nonce} {
		if text == "" {
			return dormer.Invalidf(field, "is missing")
		}
	}
	return checkProof(map[string]string{"redirect_uri": b.RedirectURI, "state": b.State, "nonce": b.Nonce, "code_challenge": b.Challenge})
}

// BeginOpenID returns the address at the provider that a browser is sent to.
// ErrNotFound for an unknown provider.
func (a *Authenticator) BeginOpenID(ctx context.Context, provider string, b Authorization) (url string, err error) {
	p, err := a.provider(provider)
	if err != nil {
		return "", err
	}
	if err := b.check(); err != nil {
		return "", err
	}
	if b.State == "" || b.Challenge == "" {
		return "", dormer.Invalidf("code_challenge", "is missing, or state is")
	}
	return p.Begin(ctx, b)
}

// SignInOpenID signs in who brings a code from the provider; b is as it was
// begun. ErrUnauthenticated, with a cause that is fit for the audit log, when it
// does not count or was used before; *RefusedError, beside the user whom it is
// about, when the account may not be used; *throttle.Error after too many failures.
func (a *Authenticator) SignInOpenID(ctx context.Context, provider string, b Authorization, code, verifier, remote string) (dormer.Principal, error) {
	p, err := a.provider(provider)
	if err != nil {
		return dormer.Principal{}, err
	}
	if err := errors.Join(b.check(), checkProof(map[string]string{"code": code, "code_verifier": verifier})); err != nil {
		return dormer.Principal{}, err
	}
	who, err := a.prove(ctx, remote, func() (dormer.Principal, error) {
		who, err := p.Redeem(ctx, b, code, verifier)
		if err != nil {
			return dormer.Principal{}, err
		}
		// The nonce is in the ID token: one that somebody comes with again is not
		// taken, whatever the provider thinks of its code.
		return who, a.useOnce(ctx, onceNonce, used(provider, b.Nonce), a.cfg.Now().Add(nonceKept))
	})
	if err != nil {
		return who, fmt.Errorf("sign in by %s: %w", provider, err)
	}
	return who, nil
}

// BeginDevice begins a sign-in that the user finishes on another device.
// ErrNotFound for an unknown provider, ErrUnsupported where it has no such
// thing, *throttle.Error when too many were begun from that address.
func (a *Authenticator) BeginDevice(ctx context.Context, provider, remote string) (DeviceGrant, error) {
	p, err := a.provider(provider)
	if err != nil {
		return DeviceGrant{}, err
	}
	if err := a.proofs.device(remote); err != nil {
		return DeviceGrant{}, err
	}
	return p.BeginDevice(ctx)
}

// SignInDevice signs in who has finished on another device: *PendingError until
// then. Other errors as of SignInOpenID.
func (a *Authenticator) SignInDevice(ctx context.Context, provider, deviceCode, remote string) (dormer.Principal, error) {
	p, err := a.provider(provider)
	if err != nil {
		return dormer.Principal{}, err
	}
	if err := checkProof(map[string]string{"device_code": deviceCode}); err != nil {
		return dormer.Principal{}, err
	}
	who, err := a.prove(ctx, remote, func() (dormer.Principal, error) {
		id := used(provider, deviceCode)
		if err := a.proofs.poll(id); err != nil {
			return dormer.Principal{}, err
		}
		who, err := p.PollDevice(ctx, deviceCode)
		if err != nil {
			return dormer.Principal{}, err
		}
		return who, a.useOnce(ctx, onceDevice, id, a.cfg.Now().Add(nonceKept))
	})
	if err != nil {
		return who, fmt.Errorf("sign in by %s: %w", provider, err)
	}
	return who, nil
}

// used identifies what a provider gave out.
func used(provider, what string) [sha256.Size]byte {
	return sha256.Sum256([]byte(provider + "\x00" + what))
}

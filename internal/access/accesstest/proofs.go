package accesstest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
)

// Negotiator is an access.Negotiator that takes what Ticket makes.
type Negotiator struct {
	Now func() time.Time
}

var _ access.Negotiator = Negotiator{}

// ticketLife is how long a ticket's authenticator counts.
const ticketLife = 5 * time.Minute

// Ticket returns a token of user at realm. Two of one serial are one
// authenticator.
func Ticket(user, realm string, serial int, made time.Time) []byte {
	return fmt.Appendf(nil, "ticket %s@%s %d %d", user, realm, serial, made.Unix())
}

// Accept implements access.Negotiator.
func (n Negotiator) Accept(ctx context.Context, token []byte) (access.Ticket, error) {
	if err := ctx.Err(); err != nil {
		return access.Ticket{}, err
	}
	var (
		who    string
		serial int
		made   int64
	)
	if _, err := fmt.Sscanf(string(token), "ticket %s %d %d", &who, &serial, &made); err != nil {
		return access.Ticket{}, fmt.Errorf("the token is malformed: %w", dormer.ErrUnauthenticated)
	}
	user, realm, _ := strings.Cut(who, "@")
	expires := time.Unix(made, 0).Add(ticketLife)
	if !n.Now().Before(expires) {
		return access.Ticket{}, fmt.Errorf("the ticket has expired: %w", dormer.ErrUnauthenticated)
	}
	return access.Ticket{User: user, Realm: realm, Reply: []byte("reply to " + user), ID: sha256.Sum256(token), Expires: expires}, nil
}

// Provider is an access.Provider in memory. It is safe for concurrent use.
type Provider struct {
	info access.ProviderInfo
	now  func() time.Time

	mu sync.Mutex
	// guards the fields below
	codes   map[string]dormer.Principal
	devices map[string]*dormer.Principal // nil: not finished
	kept    bool
}

var _ access.Provider = (*Provider)(nil)

// NewProvider returns a provider at which nobody has signed in.
func NewProvider(info access.ProviderInfo, now func() time.Time) *Provider {
	return &Provider{info: info, now: now, codes: map[string]dormer.Principal{}, devices: map[string]*dormer.Principal{}}
}

// Forgetful makes the provider take codes again that were redeemed, as it must
// not.
func (p *Provider) Forgetful() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = true
}

// Finish is what the user does in the browser: it returns the code that comes
// back for the authorization with that nonce.
func (p *Provider) Finish(nonce string, user dormer.Principal) (code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	code = "code for " + nonce
	p.codes[code] = user
	return code
}

// FinishDevice is what the user does on the other device.
func (p *Provider) FinishDevice(deviceCode string, user dormer.Principal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.devices[deviceCode] = &user
}

// Info implements access.Provider.
func (p *Provider) Info() access.ProviderInfo { return p.info }

// Begin implements access.Provider.
func (p *Provider) Begin(ctx context.Context, b access.Authorization) (string, error) {
	return "https://sso.example.com/authorize?state=" + b.State, ctx.Err()
}

// Redeem implements access.Provider.
func (p *Provider) Redeem(ctx context.Context, b access.Authorization, code, verifier string) (dormer.Principal, error) {
	if err := ctx.Err(); err != nil {
		return dormer.Principal{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	user, ok := p.codes[code]
	if !ok || verifier == "" || code != "code for "+b.Nonce {
		return dormer.Principal{}, fmt.Errorf("the provider does not take the code: %w", dormer.ErrUnauthenticated)
	}
	if !p.kept {
		delete(p.codes, code)
	}
	return user, nil
}

// BeginDevice implements access.Provider.
func (p *Provider) BeginDevice(ctx context.Context) (access.DeviceGrant, error) {
	if err := ctx.Err(); err != nil {
		return access.DeviceGrant{}, err
	}
	if !p.info.Device {
		return access.DeviceGrant{}, fmt.Errorf("sign in by another device: %w", dormer.ErrUnsupported)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code := fmt.Sprint("device-", len(p.devices)+1)
	p.devices[code] = nil
	return access.DeviceGrant{
		DeviceCode: code, UserCode: "ABCD-EFGH", VerificationURI: "https://sso.example.com/device", Expires: p.now().Add(10 * time.Minute), Interval: 5 * time.Second,
	}, nil
}

// PollDevice implements access.Provider.
func (p *Provider) PollDevice(ctx context.Context, deviceCode string) (dormer.Principal, error) {
	if err := ctx.Err(); err != nil {
		return dormer.Principal{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	user, ok := p.devices[deviceCode]
	switch {
	case !ok:
		return dormer.Principal{}, fmt.Errorf("the provider does not know the device code: %w", dormer.ErrUnauthenticated)
	case user == nil:
		return dormer.Principal{}, &access.PendingError{Wait: 5 * time.Second}
	}
	if !p.kept {
		delete(p.devices, deviceCode)
	}
	return *user, nil
}

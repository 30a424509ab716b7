// Package uplink is the agent's way to its servers: the client protocol over
// HTTPS with a pinned authority. It is an edge that only the agent uses. It
// carries messages and renews the client's token; what signed answers mean is
// the agent's business.
package uplink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

// requestTime bounds one small request, connecting included.
const requestTime = 30 * time.Second

// Config says whom to talk to and as whom.
type Config struct {
	// Servers are base URLs in the order in which they are tried.
	Servers []string
	// Authority is the certificate (DER) that must have signed the server's;
	// empty: the authorities that the system trusts.
	Authority []byte
	// Client and Key are the client's identity.
	Client dormer.ClientID
	Key    seal.ClientKey
	// Time is what certificates are checked against.
	Time      func() time.Time
	Random    io.Reader
	UserAgent string
}

// Uplink talks to the servers of one instance as one client. Its methods may
// be called by several goroutines.
type Uplink struct {
	cfg     Config
	short   *http.Client // closes after each request and resumes TLS the next time
	objects *http.Client // keeps its connections

	mu      sync.Mutex // guards the fields below
	servers []string
	answers string // the server that answered last
	token   string // every server of the instance takes it
}

// New returns an uplink. Nothing is sent yet.
func New(cfg Config) (*Uplink, error) {
	if len(cfg.Servers) == 0 {
		return nil, dormer.Invalidf("servers", "at least one server is needed")
	}
	tls, err := tlsConfig(cfg.Authority, cfg.Time)
	if err != nil {
		return nil, err
	}
	short, objects := transport(tls), transport(tls)
	short.DisableKeepAlives = true
	return &Uplink{
		cfg: cfg, servers: slices.Clone(cfg.Servers),
		short: &http.Client{Transport: short, CheckRedirect: noRedirect}, objects: &http.Client{Transport: objects, CheckRedirect: noRedirect},
	}, nil
}

// noRedirect keeps tokens from going elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close ends idle connections.
func (u *Uplink) Close() {
	u.short.CloseIdleConnections()
	u.objects.CloseIdleConnections()
}

// SetServers takes the list of a newer key set.
func (u *Uplink) SetServers(servers []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(servers) > 0 {
		u.servers = slices.Clone(servers)
	}
}

// Server returns the base URL that answered last, else the first.
func (u *Uplink) Server() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.answers != "" {
		return u.answers
	}
	return u.servers[0]
}

// Poll sends one poll to the first server that answers. accept verifies the
// answer; when it says ErrFenced, because that server's epoch is over, the
// next server is asked. Any other error, accept's among them, is returned.
func (u *Uplink) Poll(ctx context.Context, r wire.PollRequest, accept func(seal.Envelope) error) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode poll: %w", err)
	}
	return u.inOrder(ctx, func(server string) error {
		b, err := u.authorized(ctx, server, http.MethodPost, wire.PathPoll, body, wire.MaxPollAnswer)
		if err != nil {
			return err
		}
		e, err := seal.ParseEnvelope(b)
		if err != nil {
			return fmt.Errorf("answer to a poll: %w", err)
		}
		return accept(e)
	})
}

// SignIn opens a session of an end user. Password and code are in the body
// only.
func (u *Uplink) SignIn(ctx context.Context, r wire.SignInRequest) (wire.SignInAnswer, error) {
	var out wire.SignInAnswer
	r.Protocol = wire.ProtocolVersion
	return out, u.call(ctx, wire.PathSignIn, r, &out)
}

// SignOut ends one.
func (u *Uplink) SignOut(ctx context.Context, s wire.Session) error {
	return u.call(ctx, wire.PathSignOut, wire.SignOutRequest{Protocol: wire.ProtocolVersion, Session: s}, nil)
}

// Join asks for what one machine needs to join its domain. The secret reaches
// this client sealed to its key, and is nowhere else in the clear.
func (u *Uplink) Join(ctx context.Context, r wire.JoinRequest) (wire.JoinSecret, error) {
	var (
		answer wire.JoinAnswer
		secret wire.JoinSecret
	)
	r.Protocol = wire.ProtocolVersion
	if err := u.call(ctx, wire.PathJoin, r, &answer); err != nil {
		return secret, err
	}
	opened, err := seal.Unseal(u.cfg.Key, wire.JoinInfo(r.Machine), answer.Sealed)
	if err != nil {
		return secret, fmt.Errorf("open what joins the domain: %w", err)
	}
	return secret, decode(opened, &secret)
}

// Override asks whether somebody may let a refused file through. The password
// is in the body only. ErrDenied when they may not, or cannot prove who they are.
func (u *Uplink) Override(ctx context.Context, r wire.OverrideRequest) (wire.OverrideAnswer, error) {
	var out wire.OverrideAnswer
	r.Protocol = wire.ProtocolVersion
	return out, u.call(ctx, wire.PathOverride, r, &out)
}

// Collected sends the archive of diagnostics that an order asks for. ErrNotFound
// when none does, or the server is too old for it.
func (u *Uplink) Collected(ctx context.Context, order string, archive []byte) error {
	return u.inOrder(ctx, func(server string) error {
		_, err := u.authorized(ctx, server, http.MethodPut, wire.PathCollected+url.PathEscape(order), archive, wire.MaxBody)
		return err
	})
}

// Policy fetches the effective policy of that hash and checks the hash.
func (u *Uplink) Policy(ctx context.Context, hash string) ([]byte, error) {
	var body []byte
	err := u.inOrder(ctx, func(server string) error {
		b, err := u.authorized(ctx, server, http.MethodGet, wire.PathPolicy+hash, nil, policy.MaxEffective)
		if err == nil && policy.HashOf(b) != hash {
			err = fmt.Errorf("policy %s: %w", hash, dormer.ErrCorrupt)
		}
		body = b
		return err
	})
	return body, err
}

// Objects returns how to read image objects of the server that answered last:
// a client that keeps its connections, the base URL, and what authorizes a
// request.
func (u *Uplink) Objects() (client *http.Client, baseURL string, authorize func(*http.Request) error) {
	server := u.Server()
	return u.objects, strings.TrimRight(server, "/") + strings.TrimRight(wire.PathObject, "/"), func(r *http.Request) error {
		token, err := u.tokenFor(r.Context(), server, "")
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// inOrder asks the servers in their order until one answers.
func (u *Uplink) inOrder(ctx context.Context, ask func(server string) error) error {
	u.mu.Lock()
	servers := slices.Clone(u.servers)
	u.mu.Unlock()
	var errs []error
	for _, s := range servers {
		err := ask(s)
		if err == nil {
			u.mu.Lock()
			u.answers = s
			u.mu.Unlock()
			return nil
		}
		errs = append(errs, fmt.Errorf("server %s: %w", s, err))
		if ctx.Err() != nil {
			break
		}
		if !errors.Is(err, errNoAnswer) && !errors.Is(err, dormer.ErrFenced) {
			return errs[len(errs)-1]
		}
	}
	return errors.Join(errs...)
}

// call posts a request with the client's token and decodes the answer.
func (u *Uplink) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return u.inOrder(ctx, func(server string) error {
		b, err := u.authorized(ctx, server, http.MethodPost, path, body, wire.MaxBody)
		if err != nil || out == nil {
			return err
		}
		return decode(b, out)
	})
}

// authorized sends a request with the client's token; a token that is not
// accepted any more is renewed once.
func (u *Uplink) authorized(ctx context.Context, server, method, path string, body []byte, limit int64) ([]byte, error) {
	token, err := u.tokenFor(ctx, server, "")
	if err != nil {
		return nil, err
	}
	b, err := u.send(ctx, u.short, server, method, path, token, body, limit)
	if !errors.Is(err, errToken) {
		return b, err
	}
	if token, err = u.tokenFor(ctx, server, token); err != nil {
		return nil, err
	}
	return u.send(ctx, u.short, server, method, path, token, body, limit)
}

// tokenFor returns the token, a new one when there is none or it is refused.
func (u *Uplink) tokenFor(ctx context.Context, server, refused string) (string, error) {
	u.mu.Lock()
	token := u.token
	u.mu.Unlock()
	if token != "" && token != refused {
		return token, nil
	}
	challenge, err := json.Marshal(wire.ChallengeRequest{Protocol: wire.ProtocolVersion, Client: u.cfg.Client})
	if err != nil {
		return "", fmt.Errorf("encode request: %w", err)
	}
	b, err := u.send(ctx, u.short, server, http.MethodPost, wire.PathChallenge, "", challenge, wire.MaxBody)
	if err != nil {
		return "", fmt.Errorf("ask for a challenge: %w", err)
	}
	var ca wire.ChallengeAnswer
	if err := decode(b, &ca); err != nil {
		return "", err
	}
	signature, err := seal.SignChallenge(u.cfg.Random, u.cfg.Key, ca.Challenge)
	if err != nil {
		return "", err
	}
	request, err := json.Marshal(wire.TokenRequest{Protocol: wire.ProtocolVersion, Client: u.cfg.Client, Challenge: ca.Challenge, Signature: signature})
	if err != nil {
		return "", fmt.Errorf("encode request: %w", err)
	}
	if b, err = u.send(ctx, u.short, server, http.MethodPost, wire.PathToken, "", request, wire.MaxBody); err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	var ta wire.TokenAnswer
	if err := decode(b, &ta); err != nil {
		return "", err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.token = ta.Token
	return ta.Token, nil
}

// errNoAnswer marks errors for which another server may be asked; errToken
// those for which a new token may help.
var (
	errNoAnswer = errors.New("the server does not answer")
	errToken    = errors.New("the token is not accepted")
)

// noAnswerError is an error below HTTP. It is ErrUnavailable.
type noAnswerError struct{ cause error }

func (e *noAnswerError) Error() string { return e.cause.Error() }
func (e *noAnswerError) Unwrap() error { return e.cause }
func (e *noAnswerError) Is(target error) bool {
	return target == errNoAnswer || target == dormer.ErrUnavailable
}

// send sends one request and returns the body of a good answer.
func (u *Uplink) send(ctx context.Context, c *http.Client, server, method, path, token string, body []byte, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return exchange(c, r, u.cfg.UserAgent, limit)
}

// exchange does one request and reads its answer whole.
func exchange(c *http.Client, r *http.Request, userAgent string, limit int64) ([]byte, error) {
	r.Header.Set("User-Agent", userAgent)
	resp, err := c.Do(r)
	if err != nil {
		return nil, &noAnswerError{cause: plain(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		err := problem.FromResponse(resp)
		if resp.StatusCode == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
			return nil, fmt.Errorf("%w: %w", errToken, err)
		}
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, &noAnswerError{cause: fmt.Errorf("read the answer: %w", err)}
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("the server's answer has more than %d bytes: %w", limit, dormer.ErrTooLarge)
	}
	return b, nil
}

func decode(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("the server's answer is not as expected: %w", dormer.ErrCorrupt)
	}
	return nil
}

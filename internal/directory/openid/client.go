package openid

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/dormer-project/dormer"
)

const (
	// maxAnswer is the most that the issuer may answer, in bytes.
	maxAnswer = 1 << 20
	// answerWithin is how long it may take for it.
	answerWithin = 10 * time.Second
	maxRedirects = 3
)

// newClient returns a client for one issuer: with time limits, bounded answers
// and no redirects to elsewhere.
func newClient(authority []byte, now func() time.Time) *http.Client {
	c := &tls.Config{MinVersion: tls.VersionTLS12, Time: now}
	if len(authority) > 0 {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM(authority) // New has checked it
	}
	d := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		Timeout: answerWithin, CheckRedirect: stayThere,
		Transport: bounded{&http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, TLSClientConfig: c, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: answerWithin,
			MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		}},
	}
}

var errElsewhere = errors.New("it redirects to another address")

// stayThere follows redirects of reads on the same host only: what is read and
// what is sent counts for the configured issuer.
func stayThere(r *http.Request, via []*http.Request) error {
	if first := via[0]; len(via) > maxRedirects || first.Method != http.MethodGet || r.URL.Scheme != first.URL.Scheme || r.URL.Host != first.URL.Host {
		return errElsewhere
	}
	return nil
}

// statusError is an answer to a read that is not 200.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return fmt.Sprintf("it answers %d %s", e.status, http.StatusText(e.status))
}

// bounded bounds answers, and makes errors of failed reads before a library
// puts their body into one.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet && a.StatusCode >= http.StatusBadRequest {
		_ = a.Body.Close()
		return nil, &statusError{a.StatusCode}
	}
	a.Body = &boundedBody{body: a.Body, left: maxAnswer}
	return a, nil
}

var errTooMuch = fmt.Errorf("it answers more than %d bytes", maxAnswer)

// boundedBody fails beyond its limit instead of ending, so that what is cut is
// not taken for whole.
type boundedBody struct {
	body io.ReadCloser
	left int
}

func (b *boundedBody) Read(into []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooMuch
	}
	if len(into) > b.left+1 {
		into = into[:b.left+1]
	}
	n, err := b.body.Read(into)
	if b.left -= n; b.left < 0 {
		return 0, errTooMuch
	}
	return n, err
}

func (b *boundedBody) Close() error { return b.body.Close() }

// metered is for the issuer's keys: whoever signs with unknown ones does not
// make the server fetch them without end.
type metered struct {
	next  http.RoundTripper
	limit *rate.Limiter
	now   func() time.Time
}

var errTooOften = errors.New("its keys were fetched too often within the last minute")

func (m metered) RoundTrip(r *http.Request) (*http.Response, error) {
	if !m.limit.AllowN(m.now(), 1) {
		return nil, errTooOften
	}
	return m.next.RoundTrip(r)
}

// refusal is an OAuth error answer (RFC 6749, 5.2). Its description is left
// out: some issuers repeat codes and tokens there.
type refusal struct {
	code   string // "invalid_grant"
	status int
}

func (e *refusal) Error() string {
	if e.code == "" {
		return (&statusError{e.status}).Error()
	}
	return "it answers " + e.code
}

// refused returns the code of a refusal, or "".
func refused(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.code
	}
	return ""
}

// The error codes that are acted on.
const (
	codeGrant     = "invalid_grant"
	codePending   = "authorization_pending"
	codeSlowDown  = "slow_down"
	codeDenied    = "access_denied"
	codeTooLate   = "expired_token"
	codeClient    = "invalid_client"
	codeForbidden = "unauthorized_client"
	codeBusy      = "temporarily_unavailable"
	codeBroken    = "server_error"
)

// ofClient reports whether it is the client that is refused, whoever the user
// is.
func (e *refusal) ofClient() bool { return e.code == codeClient || e.code == codeForbidden }

// away reports whether the issuer, or what stands before it, cannot answer
// anybody now.
func (e *refusal) away() bool {
	return e.code == codeBusy || slices.Contains([]int{
		http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}, e.status)
}

// ofToken reports whether a refresh token is refused. It should be
// invalid_grant; dex says invalid_request, and Entra ID names what it would ask
// the user for.
func (e *refusal) ofToken() bool {
	return e.status < http.StatusInternalServerError && slices.Contains([]string{
		codeGrant, "invalid_request", codeDenied, "interaction_required", "login_required", "consent_required",
	}, e.code)
}

// post sends a form of the client to an endpoint of the issuer and decodes the
// answer into out. It fails with a *refusal when the issuer refuses, with an
// ErrUnavailable when it does not answer, broke or refuses the client (then
// there is a *refusal in it too, if it answered), or with the end of ctx.
func (p *Provider) post(ctx context.Context, i *issuer, address string, form url.Values, out any) error {
	form.Set("client_id", p.config.ClientID)
	secret := ""
	if p.config.Secret != nil {
		var err error
		if secret, err = p.config.Secret(); err != nil {
			// The provider is not away, and what is wrong is no fault of who signs in:
			// the error's own kind would show them the file.
			return fmt.Errorf("provider %s: read the client's secret: %s: %w", p.config.Name, err.Error(), dormer.ErrUnavailable)
		}
		if i.secretInForm {
			form.Set("client_secret", secret)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return p.unavailable(ctx, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if secret != "" && !i.secretInForm {
		r.SetBasicAuth(url.QueryEscape(p.config.ClientID), url.QueryEscape(secret))
	}
	a, err := p.http.Do(r)
	if err != nil {
		return p.unavailable(ctx, err)
	}
	defer func() { _ = a.Body.Close() }()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return p.unavailable(ctx, err)
	}
	var problem struct {
		Code string `json:"error"`
	}
	// Some answer 200 with an error in it.
	if err := json.Unmarshal(body, &problem); err == nil && problem.Code != "" || a.StatusCode != http.StatusOK {
		if len(problem.Code) > 64 || !unreserved(problem.Code) {
			problem.Code = ""
		}
		e := &refusal{code: problem.Code, status: a.StatusCode}
		switch {
		case e.ofClient():
			return p.unavailable(ctx, fmt.Errorf("%w (settings client_id and client_secret_file)", e))
		case e.away(), e.status >= http.StatusInternalServerError, e.code == "", e.code == codeBroken:
			return p.unavailable(ctx, e)
		default:
			return e
		}
	}
	if err := json.Unmarshal(body, out); err != nil {
		return p.unavailable(ctx, errors.New("it answers no JSON of the expected form")) // the library's error may have a token in it
	}
	return nil
}

// unavailable says that the issuer does not answer as it should, and which
// setting names it. An end of ctx is returned as such.
func (p *Provider) unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask provider %s: %w", p.config.Name, ctx.Err())
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the address, which may have more in it than people should see
	}
	return &awayError{p.config.Name, fmt.Errorf("ask provider %s (setting issuer, %s): %w", p.config.Name, p.config.Issuer, err)}
}

// awayError says that a provider is not there as it should be. It is
// ErrUnavailable.
type awayError struct {
	provider string
	err      error
}

func (e *awayError) Error() string { return e.err.Error() }

// Away names the provider, for who asked for something that needs it.
func (e *awayError) Away() string { return "provider " + e.provider }

func (e *awayError) Unwrap() []error { return []error{dormer.ErrUnavailable, e.err} }

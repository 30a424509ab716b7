// Package apiclient asks a server's REST API. It is an edge for the command
// line and for whatever else automates Dormer; the types are those of
// wire/rest, the errors match the kinds of the root package.
package apiclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	// maxAnswer is the largest answer that is read into memory, in bytes.
	maxAnswer = 64 << 20
	// headerTime is how long a server may take before it begins to answer.
	// Committing a push reads the signed manifest and the names alone.
	headerTime = 2 * time.Minute
)

// Config says which server is asked, and as whom.
type Config struct {
	// Server is the base URL.
	Server string
	// Authority is the certificate (PEM) that the server's must come from;
	// empty: one of the system's.
	Authority []byte
	// Token of a session, or an API token; empty before sign-in.
	Token     string
	UserAgent string
}

// Client asks one server. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	agent string
	http  *http.Client
}

// New returns a client. ErrInvalid when the address or the authority is not
// what it should be.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Server)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.RawQuery != "" {
		return nil, dormer.Invalidf("server", "is not a URL such as https://dormer.example.com:8443")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if len(c.Authority) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.Authority) {
			return nil, dormer.Invalidf("ca", "holds no certificate in PEM form")
		}
	}
	d := &net.Dialer{Timeout: 10 * time.Second}
	return &Client{
		base: strings.TrimRight(c.Server, "/"), token: c.Token, agent: c.UserAgent,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, TLSClientConfig: config,
				TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: headerTime, ExpectContinueTimeout: 2 * time.Second,
				MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute,
			},
			// The API redirects nobody; whoever does must not get the token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// HTTP returns the client for requests beside the API, to be sent to the base
// URL that Repository returns; Authorize signs them.
func (c *Client) HTTP() *http.Client { return c.http }

// Authorize puts the session's token on a request.
func (c *Client) Authorize(r *http.Request) error {
	if c.token == "" {
		return fmt.Errorf("no session: %w", dormer.ErrUnauthenticated)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	return nil
}

// request is one request to the API.
type request struct {
	method, path string // path below rest.Prefix, escaped
	query        url.Values
	headers      http.Header
	body         io.Reader
	length       int64 // of body; -1: not known
	contentType  string
}

// send sends a request and returns header and body of an answer of success.
func (c *Client) send(ctx context.Context, q request) (http.Header, []byte, error) {
	resp, err := c.open(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(b) > maxAnswer {
		return nil, nil, fmt.Errorf("answer of over %d bytes: %w", maxAnswer, dormer.ErrTooLarge)
	}
	return resp.Header, b, nil
}

// open sends a request and returns an answer of success, whose body the caller
// closes.
func (c *Client) open(ctx context.Context, q request) (*http.Response, error) {
	target := c.base + rest.Prefix + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, q.body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	maps.Copy(r.Header, q.headers)
	if q.body != nil {
		r.Header.Set("Content-Type", q.contentType)
		r.ContentLength = q.length
	}
	r.Header.Set("User-Agent", c.agent)
	if c.token != "" && r.Header.Get("Authorization") == "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.plain(ctx, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, refused(resp)
	}
	return resp, nil
}

// refused is the error that was answered.
func refused(resp *http.Response) error {
	defer resp.Body.Close()
	return problem.FromResponse(resp)
}

// Explain says in words why a request that was sent by HTTP got no answer.
func (c *Client) Explain(ctx context.Context, err error) error { return c.plain(ctx, err) }

// plain puts what went wrong below HTTP into words.
func (c *Client) plain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask %s: %w", c.base, ctx.Err())
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("the certificate of %s is not from an authority that is trusted here; name the server's own with --ca FILE: %w", c.base, dormer.ErrDenied)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the certificate of %s: %w (%w)", c.base, err, dormer.ErrDenied)
	}
	return fmt.Errorf("ask %s: %w (%w)", c.base, err, dormer.ErrUnavailable)
}

// ask sends a JSON body (nil: none) and decodes a JSON answer.
func ask[Out any](ctx context.Context, c *Client, method, path string, query url.Values, in any, headers ...string) (Out, error) {
	var out Out
	q := request{method: method, path: path, query: query, headers: http.Header{}}
	for i := 0; i+1 < len(headers); i += 2 {
		q.headers.Set(headers[i], headers[i+1])
	}
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return out, fmt.Errorf("encode request: %w", err)
		}
		q.body, q.length, q.contentType = bytes.NewReader(b), int64(len(b)), "application/json"
	}
	_, b, err := c.send(ctx, q)
	if err != nil {
		return out, err
	}
	err = decode(b, &out)
	return out, err
}

// decode decodes a JSON answer, if there is one.
func decode(b []byte, out any) error {
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the server's answer is not as expected: %w", dormer.ErrCorrupt)
	}
	return nil
}

// segment escapes a name for a path.
func segment(s string) string { return "/" + url.PathEscape(s) }

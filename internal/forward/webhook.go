package forward

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// Limits of webhooks.
const (
	webhookTime   = 30 * time.Second // of one request
	maxAnswer     = 64 << 10         // bytes of an answer that are read
	secretPrefix  = "whsec_"
	minSecret     = 24 // bytes
	maxSecret     = 64
	maxRetryAfter = time.Hour
)

// WebhookConfig says where a webhook is. Now is needed.
type WebhookConfig struct {
	// URL begins with https://, or with http:// for this computer itself.
	URL string
	// Secret reads what requests are signed with, for each request, so that a new
	// one counts at once; see ParseSecret.
	Secret func() ([]byte, error)
	// Authorities that the receiver's certificate may be from; nil: those that this
	// computer trusts.
	Authorities *x509.CertPool
	// Version of the program.
	Version string
	Now     func() time.Time
}

// Webhook posts events as JSON, signed as the Standard Webhooks say
// (https://www.standardwebhooks.com): HMAC-SHA256 over identity, time and body.
type Webhook struct {
	cfg       WebhookConfig
	host      string
	transport *http.Transport
	client    *http.Client
}

// CheckURL returns an error that says what is wrong with the URL of a webhook,
// without repeating it: it may hold a secret.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Fragment != "":
		return errors.New(`must be a URL, as "https://hooks.example.com/dormer"`)
	case u.User != nil:
		return errors.New("must not hold a name or a password: requests are signed")
	case u.Scheme == "https", u.Scheme == "http" && ownComputer(u.Hostname()):
		return nil
	}
	return errors.New("must begin with https:// (http:// is for this computer alone)")
}

func ownComputer(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ParseSecret reads the secret of a webhook: whsec_ and 24 to 64 bytes in
// base64.
func ParseSecret(s string) ([]byte, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(s), secretPrefix)
	b, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(b) < minSecret || len(b) > maxSecret {
		return nil, fmt.Errorf("the secret of a webhook is %s and %d to %d bytes in base64: %w", secretPrefix, minSecret, maxSecret, dormer.ErrInvalid)
	}
	return b, nil
}

// NewWebhook returns a receiver; the URL was checked.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, dormer.Invalidf("url", "is not a URL")
	}
	w := &Webhook{cfg: cfg, host: u.Host}
	w.transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: cfg.Authorities, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        1,
		IdleConnTimeout:     time.Minute,
	}
	w.client = &http.Client{
		Transport: w.transport, Timeout: webhookTime,
		// What was meant for one receiver goes to no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, nil
}

// webhookBody is what is posted.
type webhookBody struct {
	Type      string      `json:"type"` // dormer.events
	Timestamp time.Time   `json:"timestamp"`
	Data      webhookData `json:"data"`
}

type webhookData struct {
	Instance dormer.InstanceID `json:"instance"`
	Events   []event.Row       `json:"events"`
}

// Send implements Receiver: one request, whose identity is the same when it is
// repeated.
func (w *Webhook) Send(ctx context.Context, i dormer.InstanceID, rows []event.Row) error {
	secret, err := w.cfg.Secret()
	if err != nil {
		return err
	}
	now := w.cfg.Now().UTC()
	body, err := json.Marshal(webhookBody{Type: "dormer.events", Timestamp: now, Data: webhookData{Instance: i, Events: rows}})
	if err != nil {
		return fmt.Errorf("encode events: %w", err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return dormer.Invalidf("url", "is not a URL")
	}
	id, at := messageID(i, rows), strconv.FormatInt(now.Unix(), 10)
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", "dormerd/"+w.cfg.Version)
	// The scheme's headers are written in small letters there; their case does
	// not count.
	q.Header.Set("Webhook-Id", id)
	q.Header.Set("Webhook-Timestamp", at)
	q.Header.Set("Webhook-Signature", "v1,"+Sign(secret, id, at, body))
	r, err := w.client.Do(q)
	if err != nil {
		// The URL, which the library repeats, may hold a secret.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return fmt.Errorf("post events to %s: %w: %w", w.host, dormer.ErrUnavailable, err)
	}
	defer r.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxAnswer)) // so that the connection is used again
	switch {
	case r.StatusCode/100 == 2:
		return nil
	case r.StatusCode == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%s answers %s: %w", w.host, r.Status, dormer.ErrTooLarge)
	case r.StatusCode/100 == 3:
		return fmt.Errorf("%s answers %s: redirections are not followed, name the URL itself: %w", w.host, r.Status, dormer.ErrUnavailable)
	}
	return &LaterError{Reason: fmt.Sprintf("%s answers %s", w.host, r.Status), After: retryAfter(r.Header.Get("Retry-After"))}
}

// retryAfter reads the header of that name, in seconds.
func retryAfter(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxRetryAfter)
}

// messageID is the same for the same events.
func messageID(i dormer.InstanceID, rows []event.Row) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d %d", i, rows[0].ID, rows[len(rows)-1].ID, len(rows)))
	return "msg_" + hex.EncodeToString(sum[:16])
}

// Sign returns the signature of a request without its version, in base64.
func Sign(secret []byte, id, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(h, id+"."+timestamp+".")
	_, _ = h.Write(body)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Close implements Receiver.
func (w *Webhook) Close() error {
	w.transport.CloseIdleConnections()
	return nil
}

package forward

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

var testSecret = []byte("a secret of twenty-four!")

// hook is a receiver of webhooks as somebody else would write it.
type hook struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex // guards the fields below
	answer func(w http.ResponseWriter, n int)
	ids    []string
	events []event.Row
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t}
	h.server = httptest.NewTLSServer(h)
	t.Cleanup(h.server.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
	}
	id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	if want := "v1," + Sign(testSecret, id, at, body); r.Header.Get("webhook-signature") != want || id == "" || r.Method != "POST" {
		h.t.Errorf("%s signed %q, expected %q", r.Method, r.Header.Get("webhook-signature"), want)
	}
	var in struct {
		Type string
		Data struct {
			Instance dormer.InstanceID
			Events   []event.Row
		}
	}
	if err := json.Unmarshal(body, &in); err != nil || in.Type != "dormer.events" || in.Data.Instance != "i" {
		h.t.Errorf("body %s: %v", body, err)
	}
	h.ids = append(h.ids, id)
	if h.answer != nil {
		h.answer(w, len(in.Data.Events))
		return
	}
	h.events = append(h.events, in.Data.Events...)
}

func (h *hook) webhook(change func(*WebhookConfig)) *Webhook {
	h.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(h.server.Certificate())
	cfg := WebhookConfig{
		URL: h.server.URL + "/x?key=hunter2", Authorities: pool, Secret: func() ([]byte, error) { return testSecret, nil },
		Version: "1", Now: func() time.Time { return start },
	}
	if change != nil {
		change(&cfg)
	}
	w, err := NewWebhook(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := w.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return w
}

// TestSign holds the signature against the example of the Standard Webhooks.
func TestSign(t *testing.T) {
	secret, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, expected %s", got, want)
	}
	long := base64.StdEncoding.EncodeToString(make([]byte, maxSecret+1))
	for _, bad := range []string{"", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + long} {
		if _, err := ParseSecret(bad); !errors.Is(err, dormer.ErrInvalid) || strings.Contains(err.Error(), "fKQ9") {
			t.Errorf("secret %q: %v", bad, err)
		}
	}
}

func TestWebhook(t *testing.T) {
	h := newHook(t)
	rows := []event.Row{failure(3), failure(5)}
	ctx := t.Context()
	if err := h.webhook(nil).Send(ctx, "i", rows); err != nil {
		t.Fatal(err)
	}
	if len(h.events) != 2 || h.events[1].ID != 5 || h.events[1].User != rows[1].User || !h.events[1].Time.Equal(start) || h.events[1].Client != "c1" {
		t.Errorf("arrived: %+v", h.events)
	}
	answers := func(status int, header ...string) func(http.ResponseWriter, int) {
		return func(w http.ResponseWriter, _ int) {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(status)
		}
	}
	for _, test := range []struct {
		name   string
		answer func(http.ResponseWriter, int)
		change func(*WebhookConfig)
		kind   error
		after  time.Duration
		says   string
	}{
		{"busy", answers(503, "Retry-After", "120"), nil, dormer.ErrUnavailable, 2 * time.Minute, "503"},
		{"very busy", answers(429, "Retry-After", "999999999"), nil, dormer.ErrUnavailable, time.Hour, "429"},
		{"broken", answers(500, "Retry-After", "soon"), nil, dormer.ErrUnavailable, 0, "500"},
		{"refused", answers(400), nil, dormer.ErrUnavailable, 0, "400"},
		{"too much", answers(413), nil, dormer.ErrTooLarge, 0, "413"},
		{"moved", answers(307, "Location", "https://elsewhere.example.com/"), nil, dormer.ErrUnavailable, 0, "redirections are not followed"},
		{"foreign certificate", nil, func(c *WebhookConfig) { c.Authorities = x509.NewCertPool() }, dormer.ErrUnavailable, 0, "unknown authority"},
		{"no secret", nil, func(c *WebhookConfig) { c.Secret = func() ([]byte, error) { return nil, dormer.ErrNotFound } }, dormer.ErrNotFound, 0, ""},
		{"nobody there", nil, func(c *WebhookConfig) { c.URL = "https://127.0.0.1:1/x?key=hunter2" }, dormer.ErrUnavailable, 0, "refused"},
	} {
		h.mu.Lock()
		h.answer = test.answer
		h.mu.Unlock()
		err := h.webhook(test.change).Send(ctx, "i", rows)
		var after time.Duration
		if later, ok := errors.AsType[*LaterError](err); ok {
			after = later.After
		}
		if !errors.Is(err, test.kind) || after != test.after || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, after %s", test.name, err, after)
		}
	}
	for _, id := range h.ids {
		if id != h.ids[0] {
			t.Errorf("the same events have the identities %s and %s", id, h.ids[0])
		}
	}
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"https://hooks.example.com/a?b=c", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/x"} {
		if err := CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "hooks.example.com", "http://hooks.example.com/", "https://u:hunter2@hooks.example.com", "ftp://127.0.0.1/", "https://", "https://h/#f", "https://%zz/hunter2"} {
		if err := CheckURL(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

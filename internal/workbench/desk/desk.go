// Package desk is what `dormer console` serves on the administrator's computer:
// the console, the REST API of the server that was chosen, and the local API
// with the images of this computer. Only package cli imports it.
//
// It listens on loopback, where other people's programs and any web page that
// the browser shows can knock. So a browser gets in with a secret that counts
// once, is known afterwards by a cookie, and is heard only from the console's
// own pages. The session with the server never reaches the browser: requests
// get it on their way.
package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/console"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workbench"
)

// Account is somebody's at a server.
type Account struct {
	Server    string // base URL
	Authority string // PEM; empty: the system's
	User      string // to sign in as; may be empty
	Token     string // of the session; empty: none
	Expires   time.Time
}

// Accounts keep servers and sessions between two starts, out of the browser's
// reach.
type Accounts interface {
	// Current returns the account that is worked with. Its server is empty where
	// none was chosen yet.
	Current() (Account, error)
	// Known lists the servers that are known, the current one first.
	Known() ([]Account, error)
	// Choose makes the account of a server the current one. An empty authority
	// keeps what is known of it.
	Choose(server, authority string) error
	// Keep keeps what of an account has changed: a session was opened or, without
	// a token, ended. An empty user keeps the one that is known.
	Keep(Account) error
}

// Config is what a desk needs of the program.
type Config struct {
	// Host is what browsers have in the address: 127.0.0.1:PORT.
	Host     string
	Accounts Accounts
	// Ticket opens a session with the server by the Kerberos ticket of the user.
	Ticket func(context.Context) (rest.SignedIn, error)
	Bench  *workbench.Bench
	// Home is the folder that the choice of files begins with.
	Home      string
	UserAgent string
	Random    io.Reader
	Log       *slog.Logger
}

// Desk answers all requests. It is safe for concurrent use; Close ends its
// connections.
type Desk struct {
	config  Config
	gate    *gate
	console *console.Handler
	handler http.Handler

	mu     sync.Mutex // guards the field below
	onward *onward    // to the server that was asked last; may be nil
}

// New returns a desk.
func New(c Config) (*Desk, error) {
	pages, err := console.New(console.Options{Local: true, Random: c.Random})
	if err != nil {
		return nil, err
	}
	g, err := newGate(c.Host, c.Random)
	if err != nil {
		return nil, err
	}
	d := &Desk{config: c, gate: g, console: pages}
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.Handle(r.method+" "+Prefix+r.path, d.serve(r))
	}
	mux.Handle(rest.Prefix+"/", http.HandlerFunc(d.forward))
	mux.Handle("POST "+rest.Prefix+"/sessions", http.HandlerFunc(d.signIn))
	mux.Handle("POST "+rest.Prefix+"/sessions/openid", http.HandlerFunc(d.signIn))
	mux.Handle("POST "+rest.Prefix+"/sessions/device", http.HandlerFunc(d.signIn))
	mux.Handle("POST "+rest.Prefix+"/sessions/kerberos", http.HandlerFunc(d.signInTicket))
	mux.Handle("DELETE "+rest.Prefix+"/sessions/current", http.HandlerFunc(d.signOut))
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, fmt.Errorf("there is nothing here: %w", dormer.ErrNotFound))
	}))
	d.handler = g.guard(mux, pages)
	return d, nil
}

// Built reports whether the console is in this program, and not the page in its
// place.
func (d *Desk) Built() bool { return d.console.Built() }

// Address is what a browser opens to get in. It counts once.
func (d *Desk) Address() string { return d.gate.address() }

// Close ends connections to the server that are idle.
func (d *Desk) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.onward != nil {
		d.onward.client.Close()
	}
}

// ServeHTTP implements http.Handler.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	d.handler.ServeHTTP(w, r)
}

// refuse answers with the problem. Whoever asks sits at this computer, so that
// what its system says is no secret.
func refuse(w http.ResponseWriter, err error) {
	p := problem.Of(err)
	if p.Detail == "" || p.Status >= http.StatusInternalServerError {
		p.Detail = dormer.Plain(err)
	}
	problem.Answer(w, p)
}

// maxBody is the largest body of a request to the local API, in bytes.
const maxBody = 1 << 20

// serve answers one route of the local API.
func (d *Desk) serve(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c := &call{w: w, r: q}
		if err := r.handle(d, c); err != nil && !c.begun {
			refuse(w, err)
		}
	})
}

// call is one request to the local API.
type call struct {
	w http.ResponseWriter
	r *http.Request
	// begun says that the answer has begun or is no longer HTTP.
	begun bool
}

func (c *call) ctx() context.Context { return c.r.Context() }

// decode reads the body into v. Unknown fields are errors.
func (c *call) decode(v any) error {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err = dec.Decode(v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return dormer.Invalidf(wrong.Field, "is a %s, expected a %s", wrong.Value, wrong.Type.Kind())
	}
	if err != nil || dec.More() {
		return dormer.Invalidf("", "is not one JSON object with fields that are known here")
	}
	return nil
}

// json answers with v.
func (c *call) json(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	c.begun = true
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b) // the caller may be gone; nobody is left to be told
	return nil
}

// empty answers without a body.
func (c *call) empty(status int) error {
	c.begun = true
	c.w.WriteHeader(status)
	return nil
}

package cli

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/directory/kerberos"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

const (
	// browserTime is how long a sign-in in the browser may take.
	browserTime = 5 * time.Minute
	// landingPath is where the provider sends the browser back to.
	landingPath = "/signed-in"
	// leastInterval and mostInterval bound how long is waited between two
	// questions whether a sign-in on another device is finished.
	leastInterval = time.Second
	mostInterval  = time.Minute
	// maxTold bounds what is repeated of a provider's own words, in bytes.
	maxTold = 200
)

// proof says how somebody proves who they are: by ticket or by a provider. The
// zero value is neither.
type proof struct {
	kerberos  bool
	provider  string
	device    bool
	noBrowser bool
	port      uint16 // that the browser comes back to; 0: any
}

// flags adds the options that choose a proof.
func (p *proof) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.kerberos, "kerberos", false, "sign in with your Kerberos ticket")
	cmd.Flags().StringVar(&p.provider, "provider", "", "sign in at this OpenID provider, in the browser")
	cmd.Flags().BoolVar(&p.device, "device", false, "with --provider: sign in on another device")
	cmd.Flags().BoolVar(&p.noBrowser, "no-browser", false, "with --provider: print the address, open no browser")
	cmd.Flags().Uint16Var(&p.port, "port", 0, "with --provider: the browser comes back to this port (default: any that is free)")
}

// given reports whether there is a proof at all.
func (p *proof) given() bool {
	return p.kerberos || p.provider != "" || p.device || p.noBrowser || p.port != 0
}

// check returns a usageError for options that do not go together.
func (p *proof) check() error {
	switch {
	case p.kerberos && p.provider != "":
		return usageError{errors.New("--kerberos and --provider are two ways of signing in; use one")}
	case p.provider == "" && (p.device || p.noBrowser || p.port != 0):
		return usageError{errors.New("--device, --no-browser and --port go with --provider NAME")}
	}
	return nil
}

// proofError is a proof that does not count: what to do next is in its text.
type proofError struct{ error }

func (e proofError) Unwrap() error { return e.error }

// prove proves to the server who somebody is. The answer is an operator's
// session, or with forClient a one-time code for that client. c speaks with
// server, the base URL, and needs no session.
func (a *app) prove(ctx context.Context, c *apiclient.Client, server string, p proof, forClient dormer.ClientID) (rest.ProofAnswer, error) {
	if err := p.check(); err != nil {
		return rest.ProofAnswer{}, err
	}
	way := a.proveInBrowser
	switch {
	case p.kerberos:
		way = a.proveByTicket
	case p.device:
		way = a.proveByDevice
	}
	r, err := way(ctx, c, server, p, rest.For{Client: forClient})
	if errors.Is(err, dormer.ErrUnauthenticated) {
		err = proofError{err}
	}
	return r, err
}

// proveByTicket presents the Kerberos ticket of whoever runs the command.
func (a *app) proveByTicket(ctx context.Context, c *apiclient.Client, server string, _ proof, f rest.For) (rest.ProofAnswer, error) {
	m, err := c.SignInMethods(ctx)
	if err != nil {
		return rest.ProofAnswer{}, err
	}
	if !m.Kerberos {
		return rest.ProofAnswer{}, fmt.Errorf("%s takes no Kerberos tickets: %w", server, dormer.ErrUnsupported)
	}
	service, err := ticketFor(server)
	if err != nil {
		return rest.ProofAnswer{}, err
	}
	if m.Service != "" && !strings.EqualFold(m.Service, service) {
		return rest.ProofAnswer{}, fmt.Errorf("%s takes tickets for %.200q only; use the server by that name: %w", server, printable(m.Service), dormer.ErrUnsupported)
	}
	token, err := kerberos.Initiate(ctx, kerberos.Client{
		Cache: a.Env("KRB5CCNAME"), Config: a.Env("KRB5_CONFIG"), UID: os.Getuid(), Now: a.Now,
	}, service)
	if err != nil {
		return rest.ProofAnswer{}, err
	}
	return c.SignInKerberos(ctx, token, f)
}

// ticketFor returns the service that a ticket is asked for: by the name that the
// server's certificate proves, never by one that a server names, which could
// pass the ticket on. Without a certificate whoever answers could.
func ticketFor(server string) (service string, err error) {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return "", dormer.Invalidf("server", "is not a URL")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if here := u.Hostname() == "localhost" || err == nil && ip.IsLoopback(); u.Scheme != "https" && !here {
		return "", fmt.Errorf("a Kerberos ticket is not presented to %s, which is not https: %w", u.Redacted(), dormer.ErrUnsupported)
	}
	return "HTTP/" + u.Hostname(), nil
}

// proveByDevice has the user sign in elsewhere and waits for it.
func (a *app) proveByDevice(ctx context.Context, c *apiclient.Client, _ string, p proof, f rest.For) (rest.ProofAnswer, error) {
	d, err := c.BeginDevice(ctx, p.provider)
	if err != nil {
		return rest.ProofAnswer{}, err
	}
	a.note("Open %s on any device and enter the code %s", printable(d.VerificationURI), printable(d.UserCode))
	if d.Complete != "" {
		a.note("or open %s", printable(d.Complete))
	}
	wait := time.Duration(d.IntervalSeconds) * time.Second
	for {
		wait = min(max(wait, leastInterval), mostInterval)
		if a.Now().Add(wait).After(d.Expires) {
			return rest.ProofAnswer{}, fmt.Errorf("the code was not used in time; begin again: %w", dormer.ErrUnauthenticated)
		}
		if err := pause(ctx, wait); err != nil {
			return rest.ProofAnswer{}, err
		}
		r, err := c.PollDevice(ctx, rest.PollDevice{For: f, Provider: p.provider, DeviceCode: d.DeviceCode})
		var later pending
		if !errors.As(err, &later) || later.ProblemKind() != problem.KindPending {
			return r, err
		}
		wait = max(wait, later.RetryAfter())
	}
}

// pending is an error that says when to ask again.
type pending interface {
	error
	ProblemKind() string
	RetryAfter() time.Duration
}

// pause waits; ctx ends it early.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// proveInBrowser has the user sign in at a provider in the browser, which brings
// the outcome to a listener on this computer (RFC 8252). That it answers this
// very sign-in is held by the state, that nobody else can redeem it by the
// verifier (RFC 7636), and that the ID token is the one that was asked for by
// the nonce.
func (a *app) proveInBrowser(ctx context.Context, c *apiclient.Client, _ string, p proof, f rest.For) (rest.ProofAnswer, error) {
	var random [3]string // state, nonce, verifier
	for i := range random {
		b := make([]byte, 32)
		if _, err := io.ReadFull(a.Rand, b); err != nil {
			return rest.ProofAnswer{}, fmt.Errorf("begin to sign in: %w", err)
		}
		random[i] = base64.RawURLEncoding.EncodeToString(b)
	}
	state, nonce, verifier := random[0], random[1], random[2]
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(p.port))))
	if err != nil {
		return rest.ProofAnswer{}, fmt.Errorf("wait for the browser: %w", err)
	}
	land := newLanding(l, state)
	defer land.close(ctx)
	challenge := sha256.Sum256([]byte(verifier))
	address, err := c.BeginOpenID(ctx, rest.BeginOpenID{
		Provider: p.provider, RedirectURI: land.address(), State: state, Nonce: nonce,
		Challenge: base64.RawURLEncoding.EncodeToString(challenge[:]),
	})
	if err != nil {
		return rest.ProofAnswer{}, err
	}
	if err := a.browse(ctx, address, p.noBrowser); err != nil {
		return rest.ProofAnswer{}, err
	}
	code, err := land.wait(ctx, browserTime)
	if err != nil {
		return rest.ProofAnswer{}, err
	}
	return c.FinishOpenID(ctx, rest.FinishOpenID{
		For: f, Provider: p.provider, RedirectURI: land.address(), Nonce: nonce, Code: code, Verifier: verifier,
	})
}

// browse opens an address in the user's browser, where there is a desktop, and
// prints it in any case. The browser outlives the command.
func (a *app) browse(ctx context.Context, address string, only bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("the server sends the browser to something that is no web address: %w", dormer.ErrUnsupported)
	}
	program := a.browser()
	if only || program == "" {
		a.note("Open this address in a browser on this computer:\n  %s", u)
		return nil
	}
	a.note("Sign in in the browser. If none opens, open this address on this computer:\n  %s", u)
	open := exec.CommandContext(context.WithoutCancel(ctx), program, u.String())
	if open.Start() == nil { // else the address that was printed has to do
		go func() { _ = open.Wait() }()
	}
	return nil
}

// browser returns the program that opens the user's browser; empty where there
// is no desktop.
func (a *app) browser() string {
	if a.Env("DISPLAY") == "" && a.Env("WAYLAND_DISPLAY") == "" {
		return ""
	}
	program, err := exec.LookPath("xdg-open")
	if err != nil {
		return ""
	}
	return program
}

// landing is the listener that a provider sends the browser back to. It takes
// one answer, the one with its state.
type landing struct {
	host   string
	state  string
	server *http.Server
	got    chan landed
	ended  chan error
}

// landed is what the browser brought back.
type landed struct {
	code, refusal string
}

// newLanding serves on l until close.
func newLanding(l net.Listener, state string) *landing {
	n := &landing{host: l.Addr().String(), state: state, got: make(chan landed, 1), ended: make(chan error, 1)}
	n.server = &http.Server{Handler: n, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() { n.ended <- n.server.Serve(l) }()
	return n
}

// address is what the provider is told.
func (n *landing) address() string { return "http://" + n.host + landingPath }

// ServeHTTP takes the browser's visit. Requests of other pages, of programs
// that guess, and under other names for this address are turned away and end
// nothing.
func (n *landing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	q := r.URL.Query()
	switch {
	case r.Host != n.host || r.URL.Path != landingPath:
		http.Error(w, "There is nothing here.", http.StatusNotFound)
		return
	case r.Method != http.MethodGet:
		http.Error(w, "There is nothing to send here.", http.StatusMethodNotAllowed)
		return
	case subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(n.state)) != 1:
		http.Error(w, "This does not belong to the sign-in that dormer waits for. Begin again in the terminal.", http.StatusBadRequest)
		return
	}
	b := landed{code: q.Get("code")}
	if b.code == "" {
		b.refusal = q.Get("error")
		if said := q.Get("error_description"); said != "" {
			b.refusal = said
		}
	}
	select {
	case n.got <- b:
	default:
		http.Error(w, "This sign-in is over.", http.StatusGone)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	// The browser may be gone already; nobody is left to be told.
	_, _ = io.WriteString(w, "<!doctype html>\n<html lang=\"en\"><title>Dormer</title>\n<p>You may close this window and go back to the terminal.</p></html>\n")
}

// wait returns the code that the browser brings back. ErrUnauthenticated when
// the provider refused or nobody came in time.
func (n *landing) wait(ctx context.Context, limit time.Duration) (string, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case b := <-n.got:
		if b.code == "" {
			return "", fmt.Errorf("the provider signs nobody in: %s: %w", printable(fmt.Sprintf("%.*s", maxTold, b.refusal)), dormer.ErrUnauthenticated)
		}
		return b.code, nil
	case <-timer.C:
		return "", fmt.Errorf("nobody signed in within %s; begin again: %w", limit, dormer.ErrUnauthenticated)
	case <-ctx.Done():
		return "", ctx.Err()
	case err := <-n.ended:
		return "", fmt.Errorf("wait for the browser: %w", err)
	}
}

// close ends the listener once the browser has its page.
func (n *landing) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if n.server.Shutdown(ctx) != nil {
		_ = n.server.Close() // a browser that does not take its page gets none
	}
}

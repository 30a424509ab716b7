package desk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// onward is the way to a server.
type onward struct {
	account Account // without user and session
	base    *url.URL
	client  *apiclient.Client
}

// errNoServer says that no server was chosen yet.
var errNoServer = fmt.Errorf("no server is chosen; choose one: %w", dormer.ErrUnauthenticated)

// to returns the current account and the way to its server.
func (d *Desk) to() (Account, *onward, error) {
	a, err := d.config.Accounts.Current()
	if err != nil {
		return a, nil, err
	}
	if a.Server == "" {
		return a, nil, errNoServer
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	where := Account{Server: a.Server, Authority: a.Authority}
	if d.onward != nil && d.onward.account == where {
		return a, d.onward, nil
	}
	o, err := d.wayTo(where)
	if err != nil {
		return a, nil, err
	}
	if d.onward != nil {
		d.onward.client.Close()
	}
	d.onward = o
	return a, o, nil
}

func (d *Desk) wayTo(a Account) (*onward, error) {
	c, err := apiclient.New(apiclient.Config{Server: a.Server, Authority: []byte(a.Authority), UserAgent: d.config.UserAgent})
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(a.Server)
	if err != nil {
		return nil, dormer.Invalidf("server", "is not a URL")
	}
	return &onward{account: a, base: base, client: c}, nil
}

// forward asks the server, with the session that this computer has.
func (d *Desk) forward(w http.ResponseWriter, r *http.Request) {
	d.pass(w, r, true, nil)
}

// pass sends a request on, with the session where signed says so. changed may
// change the answer. What browsers add to requests stays here: cookies are the
// desk's, and where a request comes from was checked.
func (d *Desk) pass(w http.ResponseWriter, r *http.Request, signed bool, changed func(*http.Response) error) {
	account, way, err := d.to()
	if err != nil {
		refuse(w, err)
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(way.base)
			h := p.Out.Header
			for _, name := range []string{"Cookie", "Authorization", "Origin", "Referer", "Forwarded", "Upgrade", "Connection", rest.HeaderSession} {
				h.Del(name)
			}
			for name := range h {
				if strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "X-Forwarded-") {
					h.Del(name)
				}
			}
			h.Set("User-Agent", d.config.UserAgent)
			if signed && account.Token != "" {
				h.Set("Authorization", "Bearer "+account.Token)
			}
			if changed != nil {
				h.Del("Accept-Encoding") // the answer is read here
			}
		},
		Transport: way.client.HTTP().Transport,
		ModifyResponse: func(resp *http.Response) error {
			for _, name := range []string{"Set-Cookie", "Strict-Transport-Security", "Alt-Svc", "Www-Authenticate"} {
				resp.Header.Del(name)
			}
			if changed == nil {
				return nil
			}
			return changed(resp)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if refused, ok := errors.AsType[*refusal](err); ok {
				refuse(w, refused.error)
				return
			}
			refuse(w, way.client.Explain(r.Context(), err))
		},
		ErrorLog: slog.NewLogLogger(d.config.Log.Handler(), slog.LevelDebug),
	}
	// The answer has the server's own headers.
	for _, name := range []string{"Cache-Control", "Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"} {
		w.Header().Del(name)
	}
	proxy.ServeHTTP(w, r)
}

// refusal is an error of this computer, not of the way to the server.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// maxSignedIn is the largest answer to a sign-in, in bytes.
const maxSignedIn = 1 << 20

// signIn has somebody sign in to the server, keeps the session, and tells the
// browser all but its token.
func (d *Desk) signIn(w http.ResponseWriter, r *http.Request) {
	password := r.URL.Path == rest.Prefix+"/sessions"
	d.pass(w, r, false, func(resp *http.Response) error {
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return nil
		}
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxSignedIn))
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		var s rest.ProofAnswer
		if err := json.Unmarshal(b, &s); err != nil {
			return &refusal{fmt.Errorf("the server's answer is not as expected: %w", dormer.ErrCorrupt)}
		}
		server, _, err := d.to()
		if err != nil {
			return &refusal{err}
		}
		if err := d.keep(server.Server, s.SignedIn, password); err != nil {
			return &refusal{err}
		}
		s.Token = ""
		if b, err = json.Marshal(s); err != nil {
			return &refusal{fmt.Errorf("encode answer: %w", err)}
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		resp.Header.Set("Content-Length", strconv.Itoa(len(b)))
		return nil
	})
}

// keep keeps a session. The name that a provider gives is none to sign in with.
func (d *Desk) keep(server string, s rest.SignedIn, password bool) error {
	if s.Token == "" {
		return nil
	}
	user := ""
	if password {
		user = s.Principal.Shown()
	}
	return d.config.Accounts.Keep(Account{Server: server, User: user, Token: s.Token, Expires: s.Expires})
}

// signInTicket opens a session with the ticket of whoever runs the program: the
// browser has none for this address.
func (d *Desk) signInTicket(w http.ResponseWriter, r *http.Request) {
	a, _, err := d.to()
	var s rest.SignedIn
	if err == nil {
		s, err = d.config.Ticket(r.Context())
	}
	if err == nil {
		err = d.keep(a.Server, s, false)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	s.Token = ""
	if err := (&call{w: w, r: r}).json(http.StatusOK, s); err != nil {
		refuse(w, err)
	}
}

// signOut ends the session with the server, and forgets it.
func (d *Desk) signOut(w http.ResponseWriter, r *http.Request) {
	a, _, err := d.to()
	if err != nil {
		refuse(w, err)
		return
	}
	d.pass(w, r, true, func(resp *http.Response) error {
		if resp.StatusCode >= 300 && resp.StatusCode != http.StatusUnauthorized {
			return nil
		}
		if err := d.config.Accounts.Keep(Account{Server: a.Server}); err != nil {
			return &refusal{err}
		}
		return nil
	})
}

// serverTime is how long a server may take to say that it is one.
const serverTime = 10 * time.Second

// chooseServer makes a server the one that everything is asked of, once it has
// answered.
func (d *Desk) chooseServer(c *call, in chooseServer) (state, error) {
	in.URL = strings.TrimRight(strings.TrimSpace(in.URL), "/")
	if in.CA == "" {
		known, err := d.config.Accounts.Known()
		if err != nil {
			return state{}, err
		}
		for _, a := range known {
			if a.Server == in.URL {
				in.CA = a.Authority
			}
		}
	}
	way, err := d.wayTo(Account{Server: in.URL, Authority: in.CA})
	if err != nil {
		return state{}, atServer(err)
	}
	defer way.client.Close()
	ctx, cancel := context.WithTimeout(c.ctx(), serverTime)
	defer cancel()
	switch is, err := way.client.Instance(ctx); {
	case errors.Is(err, dormer.ErrDenied):
		return state{}, dormer.Invalidf("ca", "%s", strings.TrimSuffix(strings.Replace(err.Error(), "name the server's own with --ca FILE", "give the server's own", 1), ": "+dormer.ErrDenied.Error()))
	case err != nil:
		return state{}, dormer.Invalidf("url", "does not answer as a server of Dormer: %s", err)
	case is.ID == "":
		return state{}, dormer.Invalidf("url", "is not the address of a server of Dormer")
	}
	if err := d.config.Accounts.Choose(in.URL, in.CA); err != nil {
		return state{}, err
	}
	return d.state(c, none{})
}

// atServer says at which field of the request what is wrong with an account
// belongs.
func atServer(err error) error {
	invalid, ok := errors.AsType[*dormer.InvalidError](err)
	if !ok {
		return err
	}
	out := &dormer.InvalidError{}
	for _, f := range invalid.Fields {
		if f.Path == "server" {
			f.Path = "url"
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

func (d *Desk) state(*call, none) (state, error) {
	known, err := d.config.Accounts.Known()
	if err != nil {
		return state{}, err
	}
	current, err := d.config.Accounts.Current()
	if err != nil {
		return state{}, err
	}
	s := state{Servers: make([]server, 0, len(known))}
	for _, a := range known {
		s.Servers = append(s.Servers, serverOf(a))
	}
	if current.Server != "" {
		here := serverOf(current)
		s.Server = &here
	}
	s.Folder, s.DiskFree, err = d.config.Bench.Folder()
	return s, err
}

func serverOf(a Account) server {
	s := server{URL: a.Server, Name: a.Server}
	if u, err := url.Parse(a.Server); err == nil {
		s.Name = cmp.Or(u.Host+strings.TrimSuffix(u.Path, "/"), a.Server)
	}
	if a.Token != "" {
		s.User = a.User
	}
	return s
}

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// maxPrinters bounds the printers of a host that a guest gets.
const maxPrinters = 200

// Printers implements agentapi.Exchange.
func (a *Agent) Printers(ctx context.Context, peer agentapi.Peer) ([]guestwire.Printer, error) {
	if err := a.mayUse(peer); err != nil {
		return nil, err
	}
	c, ok := a.desk(peer.UID)
	if !ok {
		return nil, fmt.Errorf("your session process tells your printers, and none is connected; 'dormer session --background' begins one: %w", dormer.ErrUnavailable)
	}
	return deskPrinters(ctx, c)
}

func deskPrinters(ctx context.Context, c *http.Client) ([]guestwire.Printer, error) {
	short, cancel := context.WithTimeout(ctx, deskTime)
	defer cancel()
	all, err := agentapi.AskDesk[[]guestwire.Printer](short, c, http.MethodGet, agentapi.DeskPrinters, nil)
	if len(all) > maxPrinters {
		all = all[:maxPrinters]
	}
	return all, err
}

// arrangePrinters makes the queues of the host's printers in the guest.
func arrangePrinters(ctx context.Context, g guest) error {
	if !g.p.Deployment.Printing {
		if g.first {
			return nil
		}
		err := g.vm.Ask(ctx, guestwire.CapPrinters, guestwire.MethodPrinters, guestwire.PrintersRequest{}, nil)
		if errors.Is(err, dormer.ErrUnsupported) {
			err = nil // then it has none
		}
		return err
	}
	a := g.m.agent
	a.serveChannel(g, guestwire.ChannelPrint, a.printHandler(g.m))
	c, ok := a.desk(g.m.uid)
	if !ok {
		return errNoDesk // it is arranged again when it is
	}
	all, err := deskPrinters(ctx, c)
	if err != nil {
		return err
	}
	return g.vm.Ask(ctx, guestwire.CapPrinters, guestwire.MethodPrinters, guestwire.PrintersRequest{Printers: all}, nil)
}

// printHandler answers a guest that prints: by the session process of the
// machine's user, as long as the policy lets it.
func (a *Agent) printHandler(m *machine) http.Handler {
	to := a.deskProxy(m, func(r *httputil.ProxyRequest) {
		r.Out.URL.Path, r.Out.URL.RawPath = agentapi.DeskPrinters+"/"+strings.TrimPrefix(r.In.URL.Path, guestwire.PrintersPath), ""
	})
	to.ModifyResponse = func(r *http.Response) error {
		if job := r.Header.Get(agentapi.HeaderPrinted); job != "" {
			r.Header.Del(agentapi.HeaderPrinted)
			if what, err := url.QueryUnescape(job); err == nil {
				a.tell(event.New(event.FilePrinted, a.now(), cut(what, maxDetailText)), m)
			}
		}
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := m.policyNow()
		if err == nil && !p.Deployment.Printing {
			err = fmt.Errorf("the policy does not let the guest print: %w", dormer.ErrDenied)
		}
		if err == nil {
			err = m.usable()
		}
		switch {
		case err != nil:
			refuseGuest(w, err)
		case r.Method == http.MethodGet && r.URL.Path == guestwire.PrintersPath:
			a.tellPrinters(w, r, m)
		case r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, guestwire.PrintersPath):
			refuseGuest(w, fmt.Errorf("this of the host's printers: %w", dormer.ErrNotFound))
		default:
			to.ServeHTTP(w, r)
		}
	})
}

func (a *Agent) tellPrinters(w http.ResponseWriter, r *http.Request, m *machine) {
	c, ok := a.desk(m.uid)
	if !ok {
		refuseGuest(w, errNoDesk)
		return
	}
	all, err := deskPrinters(r.Context(), c)
	if err != nil {
		refuseGuest(w, err)
		return
	}
	b, err := json.Marshal(all)
	if err != nil {
		refuseGuest(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the guest may be gone
}

// errNoDesk says that nobody can do what must be done as the user.
var errNoDesk = fmt.Errorf("the user's session on the host is not connected: %w", dormer.ErrUnavailable)

// deskProxy hands requests of a guest on to the session process of the machine's
// user. to says which of its paths is asked.
func (a *Agent) deskProxy(m *machine, to func(r *httputil.ProxyRequest)) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			c, ok := a.desk(m.uid)
			if !ok {
				return nil, errNoDesk
			}
			return c.Transport.RoundTrip(r)
		}),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "session", "session"
			// What the session believes comes from here alone.
			for name := range r.Out.Header {
				if strings.HasPrefix(name, agentapi.HeaderPrefix) {
					r.Out.Header.Del(name)
				}
			}
			to(r)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { refuseGuest(w, err) },
		ErrorLog:     slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

// roundTripper makes a function an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// refuseGuest tells a guest that what it asks is not done.
func refuseGuest(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, dormer.ErrDenied):
		status = http.StatusForbidden
	case errors.Is(err, dormer.ErrNotFound):
		status = http.StatusNotFound
	}
	b, mistake := json.Marshal(guestwire.FromError(err))
	if mistake != nil {
		b = nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the guest may be gone
}

package cli

import (
	"fmt"
	"slices"
	"sync"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/workbench/desk"
)

// accounts are the servers and sessions of the profile, for the console. The
// file is read each time, so that a sign-in on the command line counts here too.
type accounts struct {
	app *app
	// token is the API token of this call, which stands in for the session with
	// server; empty: none.
	token, server string

	mu sync.Mutex // one change at a time
}

// newAccounts keeps the server that the flags of this call name. From then on
// the profile says which it is.
func (a *app) newAccounts() (*accounts, error) {
	p, err := a.loadProfile()
	if err != nil {
		return nil, err
	}
	token, err := a.apiToken()
	if err != nil {
		return nil, err
	}
	if a.serverURL != "" || a.caPath != "" {
		c, err := a.serverOf(p) // says what is wrong with them
		if err != nil {
			return nil, err
		}
		c.Close()
		if err := a.saveProfile(p); err != nil {
			return nil, err
		}
		a.serverURL, a.caPath = "", ""
	}
	return &accounts{app: a, token: token, server: p.Server}, nil
}

func (s *accounts) deskAccount(o Account) desk.Account {
	d := desk.Account{Server: o.Server, Authority: o.CA, User: o.User, Token: o.Token, Expires: o.Expires}
	if s.token != "" && o.Server == s.server {
		d.Token = s.token
	}
	return d
}

// Current implements desk.Accounts.
func (s *accounts) Current() (desk.Account, error) {
	p, err := s.app.loadProfile()
	return s.deskAccount(p.Account), err
}

// Known implements desk.Accounts.
func (s *accounts) Known() ([]desk.Account, error) {
	p, err := s.app.loadProfile()
	if err != nil || p.Server == "" {
		return nil, err
	}
	all := []desk.Account{s.deskAccount(p.Account)}
	for _, o := range p.Others {
		all = append(all, s.deskAccount(o))
	}
	return all, nil
}

// Choose implements desk.Accounts.
func (s *accounts) Choose(server, authority string) error {
	return s.change(func(p *profile) {
		*p = p.choose(server)
		if authority != "" {
			p.CA = authority
		}
	})
}

// Keep implements desk.Accounts.
func (s *accounts) Keep(d desk.Account) error {
	return s.change(func(p *profile) {
		o := &p.Account
		if o.Server != d.Server {
			i := slices.IndexFunc(p.Others, func(o Account) bool { return o.Server == d.Server })
			if i < 0 {
				return // it was forgotten meanwhile
			}
			o = &p.Others[i]
		}
		o.Token, o.Expires = d.Token, d.Expires
		if d.User != "" {
			o.User = d.User
		}
	})
}

// client returns a client of the current server with its session, for the caller
// to close, and the server's address.
func (s *accounts) client() (*apiclient.Client, string, error) {
	d, err := s.Current()
	if err != nil {
		return nil, "", err
	}
	if d.Token == "" {
		return nil, "", fmt.Errorf("nobody is signed in to the server: %w", dormer.ErrUnauthenticated)
	}
	c, err := s.app.serverOf(profile{Account: Account{Server: d.Server, CA: d.Authority, Token: d.Token}})
	return c, d.Server, err
}

func (s *accounts) change(change func(*profile)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.app.loadProfile()
	if err != nil {
		return err
	}
	change(&p)
	return s.app.saveProfile(p)
}

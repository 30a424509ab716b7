package domainjoin_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/domainjoin"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/store/fresh"
	"github.com/dormer-project/dormer/internal/wire"
)

// domain is one in memory: passwords by computer, with the version of each.
type domain struct {
	mu       sync.Mutex
	accounts map[string]*computer
	away     bool
	last     domainjoin.Account
}

type computer struct {
	password string
	version  int64
	disabled bool
}

func (d *domain) Prepare(_ context.Context, a domainjoin.Account, password string, blob bool, _ func(dormer.MachineID) bool) (domainjoin.Prepared, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = a
	if d.away {
		return domainjoin.Prepared{}, dormer.ErrUnavailable
	}
	c, there := d.accounts[a.Computer]
	if !there {
		c = &computer{}
		d.accounts[a.Computer] = c
	}
	c.password, c.disabled = password, false
	c.version++
	p := domainjoin.Prepared{Servers: []string{"dc1"}, KeyVersion: c.version, Made: !there}
	if blob {
		p.Blob = []byte("blob")
	}
	return p, nil
}

func (d *domain) TakeBack(_ context.Context, a domainjoin.Account, p domainjoin.Prepared) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = a
	c, there := d.accounts[a.Computer]
	switch {
	case d.away:
		return false, dormer.ErrUnavailable
	case !there:
		return false, nil
	case c.version > p.KeyVersion:
		return true, nil
	case p.Made:
		delete(d.accounts, a.Computer)
	default:
		c.disabled = true
	}
	return false, nil
}

// claim is what a join does.
func (d *domain) claim(computer string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accounts[computer].version++
}

func (d *domain) account(computer string) *computer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.accounts[computer]
}

type secrets map[string]string

func (s secrets) Open(_ context.Context, name string) (string, error) {
	v, ok := s[name]
	if !ok {
		return "", fmt.Errorf("secret %q: %w", name, dormer.ErrNotFound)
	}
	return v, nil
}

type house struct {
	t       *testing.T
	domain  *domain
	state   *store.State
	now     time.Time
	secrets secrets
	*domainjoin.Service
}

func newHouse(t *testing.T) *house {
	t.Helper()
	state := fresh.State(t)
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{
		t: t, domain: &domain{accounts: map[string]*computer{}}, state: state, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		secrets: secrets{"join": "the account's password"},
	}
	h.Service = h.server()
	return h
}

// server is one of those that work on the same database.
func (h *house) server() *domainjoin.Service {
	return domainjoin.New(domainjoin.Config{
		Domains: []domainjoin.Mount{{Domain: h.domain, Directory: "corp", DNS: "corp.example.test", NetBIOS: "CORP"}},
		Store:   h.state, Secrets: h.secrets, Machine: func(context.Context, dormer.MachineID) (bool, error) { return false, nil },
		Audit: h.state, Now: func() time.Time { return h.now }, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
	})
}

func request(change func(*domainjoin.Request)) domainjoin.Request {
	r := domainjoin.Request{
		Machine: lease.Machine{
			ID: "m1", ComputerName: "PC-1", User: dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "k", Name: "alice"},
		},
		Workspace: "Office", Step: policy.JoinDomain{Domain: "CORP.example.test", Credentials: policy.JoinOneTime}, System: "linux",
	}
	if change != nil {
		change(&r)
	}
	return r
}

func (h *house) join(change func(*domainjoin.Request)) wire.JoinSecret {
	h.t.Helper()
	s, err := h.Join(h.t.Context(), request(change))
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// later lets time pass and looks after what is due.
func (h *house) later(d time.Duration) {
	h.t.Helper()
	h.now = h.now.Add(d)
	if err := h.TakeBack(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// actions are those in the audit log, the newest first.
func (h *house) actions() []string {
	h.t.Helper()
	records, err := h.state.Records(h.t.Context(), 0, 10)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, r := range records {
		out = append(out, r.Action)
	}
	return out
}

func TestJoin(t *testing.T) {
	h := newHouse(t)
	got := h.join(nil)
	if !regexp.MustCompile(`^.{24,}$`).MatchString(got.Password) || got.Password == h.join(nil).Password {
		t.Errorf("password %q", got.Password)
	}
	got.Password = ""
	want := wire.JoinSecret{
		Domain: "corp.example.test", NetBIOSName: "CORP", Computer: "PC-1", FQDN: "pc-1.corp.example.test", Servers: []string{"dc1"}, Expires: h.now.Add(time.Hour),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if blob := h.join(func(r *domainjoin.Request) { r.System = "windows" }); string(blob.Blob) != "blob" || blob.Password != "" {
		t.Errorf("Windows gets %+v", blob)
	}
	h.join(func(r *domainjoin.Request) { r.Step.Domain, r.Step.UserDomain = "", new(true) })
	h.join(func(r *domainjoin.Request) { r.Step.OrganizationalUnit = "OU=Here" })
	if h.domain.last.OU != "OU=Here" || h.domain.last.As != nil {
		t.Errorf("prepared %+v", h.domain.last)
	}
	h.join(func(r *domainjoin.Request) {
		r.Step.Credentials, r.Step.Account, r.Step.PasswordSecret = policy.JoinGiven, "svc-join", "join"
	})
	if as := h.domain.last.As; as == nil || as.Account != "svc-join" || as.Password != "the account's password" {
		t.Error("the given credentials are not those that prepare")
	}
}

func TestJoinRefused(t *testing.T) {
	h := newHouse(t)
	for name, test := range map[string]struct {
		change func(*domainjoin.Request)
		kind   error
	}{
		"another domain":             {func(r *domainjoin.Request) { r.Step.Domain = "other.example.test" }, dormer.ErrUnsupported},
		"the user's, which joins no": {func(r *domainjoin.Request) { r.Step.UserDomain, r.Machine.User.Directory = new(true), "local" }, dormer.ErrUnsupported},
		"the user's credentials":     {func(r *domainjoin.Request) { r.Step.Credentials = policy.JoinUser }, dormer.ErrInvalid},
		"no computer name":           {func(r *domainjoin.Request) { r.Machine.ComputerName = "" }, dormer.ErrInvalid},
		"a name that is too long":    {func(r *domainjoin.Request) { r.Machine.ComputerName = strings.Repeat("X", 16) }, dormer.ErrInvalid},
		"a secret that is gone": {func(r *domainjoin.Request) {
			r.Step.Credentials, r.Step.Account, r.Step.PasswordSecret = policy.JoinGiven, "svc-join", "gone"
		}, dormer.ErrNotFound},
	} {
		if _, err := h.Join(t.Context(), request(test.change)); !errors.Is(err, test.kind) {
			t.Errorf("%s: %v, want %v", name, err, test.kind)
		}
	}
	h.domain.away = true
	if _, err := h.Join(t.Context(), request(nil)); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a domain that is away: %v", err)
	}
	h.later(25 * time.Hour)
	if got := h.actions(); len(got) > 0 {
		t.Errorf("nothing was prepared, and the audit log has %v", got)
	}
}

func TestTakeBack(t *testing.T) {
	for _, test := range []struct {
		name  string
		story func(h *house)
		// there says that the account is left, disabled that it is locked out.
		there, disabled bool
		actions         []string
	}{
		{"within the hour", func(h *house) { h.join(nil); h.later(59 * time.Minute) }, true, false, nil},
		{"claimed", func(h *house) { h.join(nil); h.domain.claim("PC-1"); h.later(time.Hour) }, true, false, []string{"join.claim"}},
		{"never claimed", func(h *house) { h.join(nil); h.later(time.Hour) }, false, false, []string{"join.take-back"}},
		{"looked after once", func(h *house) { h.join(nil); h.later(time.Hour); h.later(time.Hour); h.later(time.Hour) }, false, false, []string{"join.take-back"}},
		{"joined again, never claimed", func(h *house) {
			h.join(nil)
			h.domain.claim("PC-1")
			h.later(time.Hour)
			h.join(nil)
			h.later(time.Hour)
		}, true, true, []string{"join.take-back", "join.claim"}},
		{"prepared anew meanwhile", func(h *house) {
			h.join(nil)
			h.later(50 * time.Minute)
			h.join(nil)
			h.later(20 * time.Minute)
		}, true, false, nil},
		{"the domain is away for a while", func(h *house) {
			h.join(nil)
			h.domain.away = true
			h.later(time.Hour)
			h.later(time.Minute)
			h.domain.away = false
			h.later(time.Minute) // not yet
			if h.domain.account("PC-1") == nil {
				h.t.Error("the domain is asked all the time")
			}
			h.later(10 * time.Minute)
		}, false, false, []string{"join.take-back"}},
		{"the domain is away for good", func(h *house) {
			h.join(nil)
			h.domain.away = true
			for range 27 {
				h.later(time.Hour)
			}
		}, true, false, []string{"join.leave"}},
		{"the server is started again", func(h *house) { h.join(nil); h.Service = h.server(); h.later(time.Hour) }, false, false, []string{"join.take-back"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHouse(t)
			test.story(h)
			c := h.domain.account("PC-1")
			if (c != nil) != test.there || c != nil && c.disabled != test.disabled {
				t.Errorf("the account is %+v", c)
			}
			if diff := cmp.Diff(test.actions, h.actions()); diff != "" {
				t.Errorf("audit log: %s", diff)
			}
		})
	}
}

// TestTakeBackOnTwoServers: one of them looks after an account.
func TestTakeBackOnTwoServers(t *testing.T) {
	h := newHouse(t)
	for i := range 10 {
		h.join(func(r *domainjoin.Request) {
			r.Machine.ID, r.Machine.ComputerName = dormer.MachineID(fmt.Sprint("m", i)), fmt.Sprint("PC-", i)
		})
	}
	h.now = h.now.Add(time.Hour)
	other := h.server()
	var both sync.WaitGroup
	for _, s := range []*domainjoin.Service{h.Service, other} {
		both.Go(func() {
			if err := s.TakeBack(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if n := len(h.actions()); n != 10 {
		t.Errorf("the audit log has %d records of 10 accounts", n)
	}
}

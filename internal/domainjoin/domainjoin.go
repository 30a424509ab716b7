// Package domainjoin lets machines join Active Directory domains with a secret
// that is good for one join of one computer, so that no client ever has a
// password that joins others. It belongs to the server.
//
// The words: an account is a computer's in the domain; it is prepared with a
// one-time password, claimed by the join, which replaces that password, and
// taken back when nobody claimed it in time.
package domainjoin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire"
)

const (
	// ClaimTime is how long a one-time password is good.
	ClaimTime = time.Hour
	// retryEvery is after how long an account is looked after again that could not
	// be taken back.
	retryEvery = 10 * time.Minute
	// giveUpAfter is how long after the claim time that is tried.
	giveUpAfter = 24 * time.Hour
	// maxNetBIOS is the longest name of a computer.
	maxNetBIOS = 15
)

// Account is a computer's account.
type Account struct {
	// Computer is its name, without $, FQDN the full one.
	Computer, FQDN string
	// OU is the distinguished name of where a new one is placed; empty: where the
	// domain's configuration says.
	OU string
	// Machine is whose it is. It is marked in the account together with the
	// instance, so that accounts of others are never taken over.
	Machine dormer.MachineID
	// About tells people what it is for.
	About string
	// As is who prepares it; nil: the service account.
	As *Credentials
}

// Credentials are an account of the domain and its password.
type Credentials struct {
	Account, Password string
}

// Prepared is an account that waits to be claimed.
type Prepared struct {
	// Servers are domain controllers; the first has the account already.
	Servers []string
	// KeyVersion grows with each password of the account.
	KeyVersion int64
	// Made says that the account was not there before.
	Made bool
	// Blob is what Windows takes, where that was asked for.
	Blob []byte
}

// Domain is where accounts are: directory/join.
type Domain interface {
	// Prepare makes the account, or resets one of the same machine, with that
	// password. With blob what Windows takes is made instead, and the password is
	// of no use any more. gone tells whether a machine of the instance, whose
	// account has the name, is there no more. ErrConflict when the account is
	// somebody else's, ErrDenied and ErrNotFound when rights or the place lack,
	// ErrUnsupported when blobs cannot be made here.
	Prepare(ctx context.Context, a Account, password string, blob bool, gone func(dormer.MachineID) bool) (Prepared, error)
	// TakeBack removes a prepared account that was made, and locks one out that
	// was there, unless it was claimed. An account that is gone is no error.
	TakeBack(ctx context.Context, a Account, p Prepared) (claimed bool, err error)
}

// Mount is a domain and the directory that it is of.
type Mount struct {
	Domain
	// Directory is its name in principals.
	Directory string
	// DNS and NetBIOS are the names of the domain.
	DNS, NetBIOS string
}

// Pending is a prepared account as it is kept.
type Pending struct {
	Machine   dormer.MachineID
	Directory string
	Computer  string
	// Account and Secret are those of given credentials; empty: the service account.
	Account, Secret string
	Made            bool
	KeyVersion      int64
	Expires         time.Time
	// Due is when it is looked after next.
	Due time.Time
}

// Store keeps prepared accounts until they are claimed or taken back.
type Store interface {
	// PutJoin keeps one, in place of an earlier one of the machine.
	PutJoin(ctx context.Context, p Pending) error
	// DueJoins returns those to be looked after at now.
	DueJoins(ctx context.Context, now time.Time) ([]Pending, error)
	// TakeJoin sets Due of p to until and reports whether p was still as it is: of
	// several servers one looks after it.
	TakeJoin(ctx context.Context, p Pending, until time.Time) (bool, error)
	// DeleteJoin forgets p, unless another was prepared for the machine since.
	DeleteJoin(ctx context.Context, p Pending) error
}

// Secrets are those of the server: vault.Vault.
type Secrets interface {
	Open(ctx context.Context, name string) (string, error)
}

// Config is what a Service works with. All fields are needed.
type Config struct {
	Domains []Mount
	Store   Store
	Secrets Secrets
	// Machine reports whether the instance has a machine.
	Machine func(ctx context.Context, id dormer.MachineID) (bool, error)
	Audit   audit.Log
	Now     func() time.Time
	Random  io.Reader
	Logger  *slog.Logger
}

// Service prepares accounts and takes them back. It is safe for concurrent use.
type Service struct {
	cfg Config
}

// New returns a service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Request asks for what one machine needs.
type Request struct {
	Machine   lease.Machine
	Workspace string
	Step      policy.JoinDomain
	// System is the guest's, as runtime.GOOS.
	System string
}

// Join prepares the account of a machine and returns what it joins with, once.
// ErrInvalid when the policy does not go with the server, else as Domain.Prepare.
func (s *Service) Join(ctx context.Context, r Request) (wire.JoinSecret, error) {
	m, err := s.domain(r)
	if err != nil {
		return wire.JoinSecret{}, err
	}
	computer := r.Machine.ComputerName
	if computer == "" {
		return wire.JoinSecret{}, dormer.Invalidf("setup.computerName", "is not set: a computer that joins a domain by the server needs a name of its own")
	}
	if len(computer) > maxNetBIOS {
		return wire.JoinSecret{}, dormer.Invalidf("setup.computerName", "gives a name of more than %d characters", maxNetBIOS)
	}
	fqdn := strings.ToLower(computer + "." + m.DNS)
	a := Account{
		Computer: computer, FQDN: fqdn, OU: r.Step.OrganizationalUnit, Machine: r.Machine.ID,
		About: fmt.Sprintf("workspace %s of %s", r.Workspace, r.Machine.User.Shown()),
	}
	pending := Pending{Machine: r.Machine.ID, Directory: m.Directory, Computer: computer}
	if r.Step.Credentials == policy.JoinGiven {
		pending.Account, pending.Secret = r.Step.Account, r.Step.PasswordSecret
	}
	if a.As, err = s.credentials(ctx, pending); err != nil {
		return wire.JoinSecret{}, err
	}
	password, err := newPassword(s.cfg.Random)
	if err != nil {
		return wire.JoinSecret{}, err
	}
	var asking error
	p, err := m.Prepare(ctx, a, password, r.System == "windows", func(id dormer.MachineID) bool {
		there, err := s.cfg.Machine(ctx, id)
		asking = errors.Join(asking, err)
		return err == nil && !there
	})
	if err = errors.Join(err, asking); err != nil {
		return wire.JoinSecret{}, fmt.Errorf("prepare computer %s in domain %s: %w", computer, m.DNS, err)
	}
	now := s.cfg.Now().UTC().Truncate(time.Microsecond)
	pending.Made, pending.KeyVersion, pending.Expires = p.Made, p.KeyVersion, now.Add(ClaimTime)
	pending.Due = pending.Expires
	if err := s.cfg.Store.PutJoin(ctx, pending); err != nil {
		// Nobody would look after it.
		_, back := m.TakeBack(context.WithoutCancel(ctx), a, p)
		return wire.JoinSecret{}, errors.Join(fmt.Errorf("keep prepared computer %s: %w", computer, err), back)
	}
	secret := wire.JoinSecret{
		Domain: m.DNS, NetBIOSName: m.NetBIOS, Computer: computer, FQDN: fqdn, Servers: p.Servers, Expires: pending.Expires, Blob: p.Blob,
	}
	if len(p.Blob) == 0 {
		secret.Password = password
	}
	return secret, nil
}

// domain finds the domain that a step names.
func (s *Service) domain(r Request) (Mount, error) {
	if r.Step.Credentials == policy.JoinUser {
		return Mount{}, dormer.Invalidf("step", "joins with the user's own credentials, not with what the server makes")
	}
	of := func(m Mount) bool { return strings.EqualFold(m.DNS, r.Step.Domain) }
	called := "domain " + r.Step.Domain
	if r.Step.UserDomain != nil && *r.Step.UserDomain {
		of = func(m Mount) bool { return name.Fold(m.Directory) == name.Fold(r.Machine.User.Directory) }
		called = "directory " + r.Machine.User.Directory
	}
	i := slices.IndexFunc(s.cfg.Domains, of)
	if i < 0 {
		return Mount{}, fmt.Errorf("the server joins no computers to %s: its configuration lacks directories.join there: %w", called, dormer.ErrUnsupported)
	}
	return s.cfg.Domains[i], nil
}

// credentials returns those that p was or is prepared with; nil: the service
// account's.
func (s *Service) credentials(ctx context.Context, p Pending) (*Credentials, error) {
	if p.Account == "" {
		return nil, nil
	}
	password, err := s.cfg.Secrets.Open(ctx, p.Secret)
	if err != nil {
		return nil, fmt.Errorf("password of the account that joins: %w", err)
	}
	return &Credentials{Account: p.Account, Password: password}, nil
}

// passwordBytes is the length of a one-time password before it is written as text.
const passwordBytes = 24

// newPassword makes a password that meets every domain's rules.
func newPassword(random io.Reader) (string, error) {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789-_+=.:/"
	b := make([]byte, passwordBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("make one-time password: %w", err)
	}
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)] // 64 of them: none is more likely
	}
	return string(b) + "aZ3-", nil // each kind of character is there
}

// TakeBack looks after the accounts whose claim time is over: who was claimed is
// forgotten, others are removed or locked out. Call it every minute.
func (s *Service) TakeBack(ctx context.Context) error {
	now := s.cfg.Now().UTC()
	due, err := s.cfg.Store.DueJoins(ctx, now)
	if err != nil {
		return fmt.Errorf("list prepared computers: %w", err)
	}
	for _, p := range due {
		mine, err := s.cfg.Store.TakeJoin(ctx, p, now.Add(retryEvery))
		if err != nil {
			return fmt.Errorf("look after prepared computer %s: %w", p.Computer, err)
		}
		if !mine {
			continue
		}
		if err := s.takeBack(ctx, p, now); err != nil {
			return err
		}
	}
	return nil
}

// takeBack looks after one account. That its domain does not answer is logged,
// and tried again later.
func (s *Service) takeBack(ctx context.Context, p Pending, now time.Time) error {
	action := "join.take-back"
	claimed, err := s.tryBack(ctx, p)
	switch {
	case err != nil && now.Before(p.Expires.Add(giveUpAfter)):
		s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a computer account with a one-time password cannot be taken back; it is tried again",
			slog.String("computer", p.Computer), slog.String("directory", p.Directory), slog.Any("error", err))
		return nil
	case err != nil:
		action = "join.leave"
		s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a computer account with a one-time password is left as it is; remove it by hand",
			slog.String("computer", p.Computer), slog.String("directory", p.Directory), slog.Any("error", err))
	case claimed:
		action = "join.claim"
	}
	if err := s.cfg.Audit.Append(ctx, audit.Record{
		Time: now, Who: "server", Action: action, Object: "computer " + p.Computer, Detail: fmt.Sprintf("directory %s, machine %s", p.Directory, p.Machine),
	}); err != nil {
		return fmt.Errorf("record %s in the audit log: %w", action, err)
	}
	if err := s.cfg.Store.DeleteJoin(ctx, p); err != nil {
		return fmt.Errorf("forget prepared computer %s: %w", p.Computer, err)
	}
	return nil
}

func (s *Service) tryBack(ctx context.Context, p Pending) (claimed bool, err error) {
	i := slices.IndexFunc(s.cfg.Domains, func(m Mount) bool { return name.Fold(m.Directory) == name.Fold(p.Directory) })
	if i < 0 {
		return false, fmt.Errorf("directory %s has no directories.join any more: %w", p.Directory, dormer.ErrUnsupported)
	}
	as, err := s.credentials(ctx, p)
	if err != nil {
		return false, err
	}
	return s.cfg.Domains[i].TakeBack(ctx, Account{Computer: p.Computer, Machine: p.Machine, As: as}, Prepared{KeyVersion: p.KeyVersion, Made: p.Made})
}

package clientapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/domainjoin"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire"
)

// Joins prepares computers for their domains: domainjoin.Service.
type Joins interface {
	Join(ctx context.Context, r domainjoin.Request) (wire.JoinSecret, error)
}

// maxSystem bounds the name of a guest's operating system, in bytes.
const maxSystem = 32

// join gives a machine what it needs to join the domain of its policy: for the
// user whose machine it is, and as the policy that is current says.
func (a *API) join(w http.ResponseWriter, r *http.Request, client dormer.ClientID) error {
	var q wire.JoinRequest
	if err := a.read(w, r, &q); err != nil {
		return err
	}
	if err := checkProtocol(q.Protocol); err != nil {
		return err
	}
	if len(q.System) > maxSystem {
		return dormer.Invalidf("system", "is too long")
	}
	ctx := r.Context()
	identity, err := a.cfg.Enrollment.Identity(ctx, client)
	if err != nil {
		return err
	}
	m, e, err := a.machineOf(ctx, client, q)
	if err != nil {
		return err
	}
	if e.RefusesUnmanaged && !identity.Managed {
		return fmt.Errorf("workspace %s is not for agents that belong to a user: %w", e.WorkspaceName, dormer.ErrDenied)
	}
	p, err := a.effective(ctx, e)
	if err != nil {
		return err
	}
	if q.Step < 0 || q.Step >= len(p.Setup.Actions) || p.Setup.Actions[q.Step].JoinDomain == nil {
		return dormer.Invalidf("step", "is not one at which the policy joins a domain; it may have been changed")
	}
	// Each attempt changes the domain, and counts whether it succeeds or not.
	if _, err := a.joined.Take(string(m.ID)); err != nil {
		return err
	}
	secret, err := a.cfg.Joins.Join(ctx, domainjoin.Request{
		Machine: m, Workspace: e.WorkspaceName, Step: *p.Setup.Actions[q.Step].JoinDomain, System: q.System,
	})
	rec := audit.Record{Who: m.User.Name, Principal: string(m.User.ID()), Action: "join.prepare", Object: "computer " + m.ComputerName}
	if err != nil {
		rec.Action, rec.Detail = "join.refuse", fmt.Sprintf("machine %s on client %s: %v", m.ID, client, err)
		a.record(r, rec)
		return denied(err)
	}
	rec.Detail = fmt.Sprintf("domain %s, machine %s on client %s, good until %s", secret.Domain, m.ID, client, secret.Expires.Format("15:04 MST"))
	a.record(r, rec)
	plain, err := json.Marshal(secret)
	if err != nil {
		return fmt.Errorf("encode what joins the domain: %w", err)
	}
	sealed, err := identity.Public.Seal(wire.JoinInfo(m.ID), plain)
	if err != nil {
		return err
	}
	return answer(w, wire.JoinAnswer{Sealed: sealed})
}

// machineOf returns the machine that a request is about and what its user gets
// of its workspace now. The user is signed in on the client.
func (a *API) machineOf(ctx context.Context, client dormer.ClientID, q wire.JoinRequest) (lease.Machine, *lease.Entitlement, error) {
	s, err := a.cfg.People.CheckSession(ctx, access.SessionUser, q.Session.ID, q.Session.Secret)
	if err != nil && !errors.Is(err, dormer.ErrUnauthenticated) {
		return lease.Machine{}, nil, fmt.Errorf("check the session: %w", err)
	}
	if err != nil || s.Client != client {
		return lease.Machine{}, nil, fmt.Errorf("the user is not signed in on this client any more: %w", dormer.ErrDenied)
	}
	m, err := a.cfg.Issuer.Machine(client, q.Machine)
	if err != nil {
		return lease.Machine{}, nil, err
	}
	if m.User.ID() != s.User.ID() {
		return lease.Machine{}, nil, fmt.Errorf("machine %s is another user's: %w", m.ID, dormer.ErrDenied)
	}
	claim, err := a.users.claim(ctx, s.User, client)
	if ended, ok := errors.AsType[*endedError](err); ok {
		return lease.Machine{}, nil, fmt.Errorf("%s: %w", ended.reason, dormer.ErrDenied)
	}
	if err != nil {
		return lease.Machine{}, nil, err
	}
	if claim.Unknown {
		return lease.Machine{}, nil, fmt.Errorf("the directory of %s does not answer: %w", s.User.Name, dormer.ErrUnavailable)
	}
	e, err := a.inForce(claim.Entitlements, m.Workspace)
	return m, e, err
}

// inForce returns what a user gets of a workspace now; ErrDenied when that is
// nothing.
func (a *API) inForce(gets []*lease.Entitlement, w dormer.WorkspaceID) (*lease.Entitlement, error) {
	for _, e := range gets {
		switch {
		case e.Workspace != w:
		case e.Refused != "":
			return nil, fmt.Errorf("%s: %w", e.Refused, dormer.ErrDenied)
		case e.ValidUntil != nil && !a.cfg.Now().Before(*e.ValidUntil):
			return nil, fmt.Errorf("the permission to use workspace %s has ended: %w", e.WorkspaceName, dormer.ErrDenied)
		default:
			return e, nil
		}
	}
	return nil, fmt.Errorf("no grant gives the user this workspace: %w", dormer.ErrDenied)
}

// effective returns the policy of an entitlement.
func (a *API) effective(ctx context.Context, e *lease.Entitlement) (*policy.Effective, error) {
	body, err := a.cfg.Catalog.Policy(ctx, e.PolicyHash)
	if err != nil {
		return nil, err
	}
	return policy.DecodeEffective(body.Plain, e.PolicyHash)
}

// override says whether somebody may let a refused file through: who proves to
// be a user with a grant of the machine's workspace that has mayOverride.
func (a *API) override(w http.ResponseWriter, r *http.Request, client dormer.ClientID) error {
	var q wire.OverrideRequest
	if err := a.read(w, r, &q); err != nil {
		return err
	}
	if err := checkSignIn(&wire.SignInRequest{Protocol: q.Protocol, User: q.User, Password: q.Password}); err != nil {
		return err
	}
	m, err := a.cfg.Issuer.Machine(client, q.Machine)
	if err != nil {
		return err
	}
	who, err := a.whoSignsIn(r, client, &wire.SignInRequest{User: q.User, Password: q.Password})
	if err != nil {
		return err
	}
	err = a.mayOverride(r.Context(), client, who, m.Workspace)
	rec := audit.Record{Who: who.Name, Principal: string(who.ID()), Action: "transfer.override", Object: "machine " + string(m.ID), Detail: "on client " + string(client)}
	if errors.Is(err, dormer.ErrDenied) {
		rec.Action, rec.Detail = "transfer.refuse", rec.Detail+": "+err.Error()
	}
	if err == nil || errors.Is(err, dormer.ErrDenied) {
		a.record(r, rec)
	}
	if err != nil {
		return err
	}
	return answer(w, wire.OverrideAnswer{User: who})
}

func (a *API) mayOverride(ctx context.Context, client dormer.ClientID, who dormer.Principal, w dormer.WorkspaceID) error {
	groups, err := a.cfg.People.GroupsOf(ctx, who)
	if err != nil {
		return err
	}
	var gets catalog.Assignments
	if gets, err = a.cfg.Catalog.Assignments(ctx, who, groups, client); err != nil {
		return err
	}
	e, err := a.inForce(gets.Entitlements, w)
	if err != nil {
		return err
	}
	p, err := a.effective(ctx, e)
	if err != nil {
		return err
	}
	if !p.Deployment.FileTransfer.MayOverride {
		return fmt.Errorf("no grant lets %s override the rules for files of workspace %s (fileTransfer.mayOverride): %w", who.Name, e.WorkspaceName, dormer.ErrDenied)
	}
	return nil
}

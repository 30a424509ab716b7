package httpapi

import (
	"fmt"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Defaults of join tokens.
const (
	defaultJoinUses  = 1
	defaultJoinHours = 24
)

func joinTokenOf(t enroll.JoinToken) rest.JoinToken {
	return rest.JoinToken{
		ID: t.ID, Name: t.Name, Managed: t.AdmitsManaged, Unmanaged: t.AdmitsUnmanaged, MaxUses: t.MaxUses, Uses: t.Uses,
		Created: t.Created, Expires: t.Expires, By: t.By, Revoked: t.Revoked,
	}
}

func (a *API) listJoinTokens(c *call, _ rest.None) (rest.List[rest.JoinToken], error) {
	all, err := a.Enrolment.JoinTokens(c.ctx())
	if err != nil {
		return rest.List[rest.JoinToken]{}, err
	}
	items := make([]rest.JoinToken, len(all))
	for i, t := range all {
		items[i] = joinTokenOf(t)
	}
	return rest.List[rest.JoinToken]{Items: items}, nil
}

func (a *API) createJoinToken(c *call, in rest.NewJoinToken) (rest.JoinTokenCreated, error) {
	if in.MaxUses == 0 {
		in.MaxUses = defaultJoinUses
	}
	if in.LifetimeHours == 0 {
		in.LifetimeHours = defaultJoinHours
	}
	if most := int(enroll.MaxJoinLifetime / time.Hour); in.LifetimeHours < 0 || in.LifetimeHours > most {
		return rest.JoinTokenCreated{}, dormer.Invalidf("lifetime_hours", "must be from 1 to %d", most)
	}
	if in.URL == "" {
		in.URL = a.PublicURL
	}
	t, text, err := a.Enrolment.CreateJoinToken(c.ctx(), enroll.JoinRequest{
		Name: in.Name, URL: in.URL, Authority: a.Authority, AdmitsManaged: in.Managed, AdmitsUnmanaged: in.Unmanaged,
		MaxUses: in.MaxUses, Lifetime: time.Duration(in.LifetimeHours) * time.Hour, By: c.who(),
	})
	if err != nil {
		return rest.JoinTokenCreated{}, err
	}
	return rest.JoinTokenCreated{JoinToken: joinTokenOf(t), Token: text}, c.audit("join-token.create", named(t.Name, t.ID), "")
}

func (a *API) revokeJoinToken(c *call, _ rest.None) (rest.None, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.None{}, err
	}
	if err := a.Enrolment.RevokeJoinToken(c.ctx(), id); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("join-token.revoke", id, "")
}

func clientOf(c enroll.Client) rest.Client {
	out := rest.Client{
		ID: c.ID, Managed: c.Managed, Host: c.Host, AgentVersion: c.AgentVersion, JoinToken: c.JoinToken,
		Enrolled: c.Enrolled, Revoked: c.Revoked, LastSeen: c.LastSeen, Copied: c.Copied, CopiedDetail: c.CopiedDetail,
	}
	if c.ClockAhead != nil {
		seconds := int64(c.ClockAhead.Round(time.Second) / time.Second)
		out.ClockAheadSeconds = &seconds
	}
	return out
}

// clientDetailOf is clientOf with what lists leave out.
func clientDetailOf(c enroll.Client) rest.Client {
	out := clientOf(c)
	out.KeyFingerprint = enroll.Fingerprint(c.PublicKey)
	for _, r := range c.Runs {
		out.Runs = append(out.Runs, rest.ClientRun(r))
	}
	return out
}

func (a *API) listClients(c *call, _ rest.None) (rest.List[rest.Client], error) {
	all, err := a.Enrolment.Clients(c.ctx())
	if err != nil {
		return rest.List[rest.Client]{}, err
	}
	items := make([]rest.Client, len(all))
	for i, one := range all {
		items[i] = clientOf(one)
	}
	return rest.List[rest.Client]{Items: items}, nil
}

func (a *API) getClient(c *call, _ rest.None) (rest.Client, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.Client{}, err
	}
	one, err := a.Enrolment.Client(c.ctx(), dormer.ClientID(id))
	if err != nil {
		return rest.Client{}, err
	}
	return clientDetailOf(one), nil
}

func (a *API) revokeClient(c *call, _ rest.None) (rest.None, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.None{}, err
	}
	one, err := a.Enrolment.Client(c.ctx(), dormer.ClientID(id))
	if err != nil {
		return rest.None{}, err
	}
	if err := a.Enrolment.Revoke(c.ctx(), one.ID); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("client.revoke", named(one.Host.Name, id), "")
}

func (a *API) orderClient(c *call, in rest.NewOrder) (rest.Order, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.Order{}, err
	}
	one, err := a.Enrolment.Client(c.ctx(), dormer.ClientID(id))
	if err != nil {
		return rest.Order{}, err
	}
	r := lease.OrderRequest{
		Client: one.ID, Machine: in.Machine, Kind: lease.OrderKind(in.Kind), Reason: in.Reason, By: c.who(), Confirmed: in.Confirm,
	}
	if in.Grace != nil {
		if most := int64(lease.MaxGrace / time.Second); *in.Grace < 0 || *in.Grace > most {
			return rest.Order{}, dormer.Invalidf("grace_seconds", "must be from 0 to %d", most)
		}
		r.Grace = new(time.Duration(*in.Grace) * time.Second)
	}
	o, err := a.Orders.Order(c.ctx(), r)
	if err != nil {
		return rest.Order{}, err
	}
	detail := string(o.Kind)
	if o.Machine != "" {
		detail += " machine " + string(o.Machine)
	}
	if in.Grace != nil {
		detail += fmt.Sprintf(" after %s", *r.Grace)
	}
	return rest.Order{ID: o.ID}, c.audit("client.order", named(one.Host.Name, id), detail)
}

func (a *API) listMachines(c *call, _ rest.None) (rest.List[rest.Machine], error) {
	all, err := a.Machines.Machines(c.ctx())
	if err != nil {
		return rest.List[rest.Machine]{}, err
	}
	items := make([]rest.Machine, len(all))
	for i, m := range all {
		items[i] = rest.Machine{
			ID: m.ID, Client: m.Client, User: m.User, Workspace: m.Workspace, ComputerName: m.ComputerName, Created: m.Created,
			State: m.State, Detail: m.Detail, Image: m.Image, Guest: m.Guest, Reported: m.Reported,
			PolicyRevision: m.Follows.Revision, Locked: m.Follows.Locked, AtNextStart: m.Follows.AtNextStart, NotEnforced: m.Follows.NotEnforced,
		}
	}
	return rest.List[rest.Machine]{Items: items}, nil
}

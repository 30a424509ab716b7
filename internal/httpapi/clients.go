package httpapi

import (
	"fmt"
	"math"
	"slices"
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

// clientFilters are the parameters that select clients of the list.
var clientFilters = []parameter{
	{name: "search", doc: "part of the name of a host, or of a user of one of its machines; or the whole identity"},
	{name: "state", doc: "active, online, offline, beyond-limit, running, never-seen, copied, clock-wrong or revoked"},
	{name: "version", doc: "of the agent, exactly"},
	{name: "sort", doc: "host (when absent), last-seen, version, enrolled or disk-free"},
	{name: "descending", doc: "the last first", flag: true},
	{name: "offset", doc: "how many to leave out from the beginning", number: true},
	{name: "limit", doc: "at most so many; absent: all", number: true},
}

func (c *call) clientFilter() (enroll.Filter, error) {
	v := c.r.URL.Query()
	f := enroll.Filter{Search: v.Get("search"), State: enroll.State(v.Get("state")), Version: v.Get("version"), Order: enroll.Order(v.Get("sort"))}
	var err error
	if f.Down, err = c.flag("descending"); err != nil {
		return f, err
	}
	offset, err := c.number("offset", math.MaxInt32)
	if err != nil {
		return f, err
	}
	limit, err := c.number("limit", enroll.MaxFound)
	f.Offset, f.Limit = int(offset), int(limit)
	return f, err
}

// listedClient is clientOf with what is worked out for lists.
func (a *API) listedClient(f enroll.Found) rest.Client {
	out := clientOf(f.Client)
	out.Machines, out.Running = f.Machines, f.Running
	away := time.Duration(0)
	if f.LastSeen != nil {
		away = a.Now().Sub(*f.LastSeen)
		out.Online = f.Revoked == nil && away <= a.OnlineWithin
	}
	if f.OfflineLimit != nil {
		out.OfflineLimitSeconds = new(int64(*f.OfflineLimit / time.Second))
		out.BeyondLimit = f.Revoked == nil && f.LastSeen != nil && !out.Online && away >= *f.OfflineLimit
	}
	return out
}

// freshen has what clients said of themselves a moment ago written down, so that
// lists show it.
func (a *API) freshen(c *call) error { return a.Orders.Flush(c.ctx()) }

func (a *API) listClients(c *call, _ rest.None) (rest.ClientList, error) {
	f, err := c.clientFilter()
	if err != nil {
		return rest.ClientList{}, err
	}
	if err := a.freshen(c); err != nil {
		return rest.ClientList{}, err
	}
	found, total, err := a.Enrolment.Find(c.ctx(), f, a.OnlineWithin)
	if err != nil {
		return rest.ClientList{}, err
	}
	out := rest.ClientList{Items: make([]rest.Client, len(found)), Total: total}
	for i, one := range found {
		out.Items[i] = a.listedClient(one)
	}
	return out, nil
}

func (a *API) clientFigures(c *call, _ rest.None) (rest.ClientFigures, error) {
	if err := a.freshen(c); err != nil {
		return rest.ClientFigures{}, err
	}
	f, err := a.Enrolment.Figures(c.ctx(), a.OnlineWithin)
	if err != nil {
		return rest.ClientFigures{}, err
	}
	out := rest.ClientFigures{
		Active: f.States[enroll.StateActive], Online: f.States[enroll.StateOnline], Offline: f.States[enroll.StateOffline],
		BeyondLimit: f.States[enroll.StateBeyond], Running: f.States[enroll.StateRunning], NeverSeen: f.States[enroll.StateNever],
		Copied: f.States[enroll.StateCopied], ClockWrong: f.States[enroll.StateClock], Revoked: f.States[enroll.StateRevoked],
		Machines: f.Machines, RunningMachines: f.Running, OnlineWithinSeconds: int64(a.OnlineWithin / time.Second),
		Versions: make([]rest.VersionCount, len(f.Versions)),
	}
	for i, v := range f.Versions {
		out.Versions[i] = rest.VersionCount(v)
	}
	return out, nil
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
	if err := a.freshen(c); err != nil {
		return rest.Client{}, err
	}
	found, _, err := a.Enrolment.Find(c.ctx(), enroll.Filter{ID: one.ID}, a.OnlineWithin)
	if err != nil {
		return rest.Client{}, err
	}
	out := clientDetailOf(one)
	for _, f := range found {
		worked := a.listedClient(f)
		out.Online, out.BeyondLimit, out.OfflineLimitSeconds = worked.Online, worked.BeyondLimit, worked.OfflineLimitSeconds
		out.Machines, out.Running = worked.Machines, worked.Running
	}
	return out, nil
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
	return orderOf(lease.PendingOrder{Order: o, By: r.By}), c.audit("client.order", named(one.Host.Name, id), detail)
}

// The states of orders.
const (
	orderWaiting   = "waiting"
	orderDone      = "done"
	orderFailed    = "failed"
	orderWithdrawn = "withdrawn"
)

func orderOf(p lease.PendingOrder) rest.Order {
	out := rest.Order{
		ID: p.Order.ID, Client: p.Order.Client, Machine: p.Order.Machine, Kind: string(p.Order.Kind), Reason: p.Order.Reason,
		Issued: p.Order.IssuedAt, By: p.By, Grace: p.Order.Grace, Done: p.Done, Error: p.Error, State: orderDone,
	}
	switch {
	case p.Done == nil:
		out.State = orderWaiting
	case p.Withdrawn:
		out.State = orderWithdrawn
	case p.Error != "":
		out.State = orderFailed
	}
	return out
}

func (a *API) listOrders(c *call, _ rest.None) (rest.List[rest.Order], error) {
	f := lease.OrderFilter{Client: dormer.ClientID(c.r.URL.Query().Get("client"))}
	var err error
	if f.Waiting, err = c.flag("waiting"); err != nil {
		return rest.List[rest.Order]{}, err
	}
	if _, f.Limit, err = c.page(); err != nil {
		return rest.List[rest.Order]{}, err
	}
	all, err := a.Orders.Orders(c.ctx(), f)
	if err != nil {
		return rest.List[rest.Order]{}, err
	}
	clients, machines := make([]dormer.ClientID, len(all)), make([]dormer.MachineID, len(all))
	for i, o := range all {
		clients[i], machines[i] = o.Order.Client, o.Order.Machine
	}
	hosts, err := a.Enrolment.HostNames(c.ctx(), distinct(clients))
	if err != nil {
		return rest.List[rest.Order]{}, err
	}
	found, _, err := a.Machines.FindMachines(c.ctx(), lease.MachineFilter{IDs: distinct(machines)})
	if err != nil {
		return rest.List[rest.Order]{}, err
	}
	of := make(map[dormer.MachineID]lease.Machine, len(found))
	for _, m := range found {
		of[m.ID] = m
	}
	out := rest.List[rest.Order]{Items: make([]rest.Order, len(all))}
	for i, o := range all {
		m := of[o.Order.Machine]
		out.Items[i] = orderOf(o)
		out.Items[i].Host, out.Items[i].Workspace, out.Items[i].User = hosts[o.Order.Client], m.Workspace, m.User.Name
	}
	return out, nil
}

// distinct returns each identity once.
func distinct[T ~string](ids []T) []T {
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (a *API) withdrawOrder(c *call, _ rest.None) (rest.Order, error) {
	id, err := c.id("id")
	if err != nil {
		return rest.Order{}, err
	}
	o, err := a.Orders.Withdraw(c.ctx(), id, c.who())
	if err != nil {
		return rest.Order{}, err
	}
	detail := fmt.Sprintf("%s, order %s", o.Order.Kind, id)
	if o.Order.Machine != "" {
		detail += ", machine " + string(o.Order.Machine)
	}
	return orderOf(o), c.audit("client.withdraw-order", string(o.Order.Client), detail)
}

func (a *API) listMachines(c *call, _ rest.None) (rest.MachineList, error) {
	limit, err := c.number("limit", maxList)
	if err != nil {
		return rest.MachineList{}, err
	}
	if err := a.freshen(c); err != nil {
		return rest.MachineList{}, err
	}
	v := c.r.URL.Query()
	found, total, err := a.Machines.FindMachines(c.ctx(), lease.MachineFilter{
		Client: dormer.ClientID(v.Get("client")), Workspace: dormer.WorkspaceID(v.Get("workspace")), Image: dormer.ImageID(v.Get("image")),
		Limit: int(limit),
	})
	if err != nil {
		return rest.MachineList{}, err
	}
	clients := make([]dormer.ClientID, len(found))
	for i, m := range found {
		clients[i] = m.Client
	}
	hosts, err := a.Enrolment.HostNames(c.ctx(), distinct(clients))
	if err != nil {
		return rest.MachineList{}, err
	}
	out := rest.MachineList{Items: make([]rest.Machine, len(found)), Total: total}
	for i, m := range found {
		out.Items[i] = rest.Machine{
			ID: m.ID, Client: m.Client, Host: hosts[m.Client], User: m.User, Workspace: m.Workspace, ComputerName: m.ComputerName, Created: m.Created,
			State: m.State, Detail: m.Detail, Image: m.Image, Guest: m.Guest, Reported: m.Reported,
			PolicyRevision: m.Follows.Revision, Locked: m.Follows.Locked, AtNextStart: m.Follows.AtNextStart, NotEnforced: m.Follows.NotEnforced,
			OfflineBudgetSeconds: m.OfflineBudget,
		}
	}
	return out, nil
}

package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/policy"
)

// People knows users and their groups, of all directories. A directory that
// does not answer is ErrUnavailable.
type People interface {
	// Resolve finds a user by a name as people write it, with or without a
	// directory. ErrNotFound when there is none.
	Resolve(ctx context.Context, kind dormer.PrincipalKind, who string) (dormer.Principal, error)
	// GroupsOf returns the groups that a user is in, nested ones too, as the
	// directories say now. *access.RefusedError when the account may not be used.
	GroupsOf(ctx context.Context, user dormer.Principal) ([]dormer.Principal, error)
	// Chain returns the groups from that which names the member, a user or a
	// group, to group itself. ErrNotFound when the member is not in it.
	Chain(ctx context.Context, member, group dormer.Principal) ([]dormer.Principal, error)
}

// Question is what Why answers.
type Question struct {
	Workspace dormer.WorkspaceID
	User      string // as people write it
	Client    *Client
	// With are taken for grants of the user, whoever their principals are;
	// Without are principals whose grants are left out: directory ("" is the
	// embedded one), kind and name count.
	With    []policy.Grant
	Without []dormer.Principal
	// AsIfIn are groups that the user is taken to be in, and so in those that
	// hold them: by directory ("" is the embedded one) and key, else name.
	AsIfIn []dormer.Principal
}

// Client is a computer that a question is about.
type Client struct {
	Name    string
	Managed bool
	Revoked bool
}

// Explanation is what a user gets of a workspace, and why.
type Explanation struct {
	Revision Revision // without its document
	User     dormer.Principal
	// Gets says that the user may run the workspace, on the client if one was
	// named; Reason is a sentence about why, or why not.
	Gets   bool
	Reason string
	// Grants are all of the document in its order, then those of With.
	Grants []GrantReason
	// Fields are the effective policy, explained; their From are places in
	// Grants. None when no grant is for the user.
	Fields []policy.Explained
	// PolicyHash is that of a lease; empty when none is issued.
	PolicyHash string
	// Otherwise is what holds without With, Without and AsIfIn; nil when none was
	// asked for.
	Otherwise *Explanation
}

// GrantReason says whether a grant counts for a user, and why.
type GrantReason struct {
	Principal dormer.Principal
	Counts    bool
	Reason    string
	// Chain are the groups from the user's own, or that of Question.AsIfIn, to
	// that of the grant.
	Chain []dormer.Principal
	Added bool // by the question
	gone  bool // the group is not in its directory any more
}

// Why says what a user gets of a workspace on a client and where each value
// comes from. The directories are asked now; what a lease says was decided when
// they were asked last. ErrNotFound without such a workspace or user,
// ErrUnavailable when a directory does not answer.
func (c *Catalog) Why(ctx context.Context, people People, q Question) (Explanation, error) {
	s := c.snapshot.Load()
	w := s.workspaces[q.Workspace]
	if w == nil {
		if _, err := c.Get(ctx, q.Workspace); err != nil {
			return Explanation{}, err
		}
		return Explanation{}, dormer.Unavailablef("workspace %s cannot be read by this server now; try again, and look at the server's health when it stays so", q.Workspace)
	}
	user, err := people.Resolve(ctx, dormer.KindUser, q.User)
	if err != nil {
		return Explanation{}, fmt.Errorf("find user %.200q: %w", q.User, err)
	}
	asked := inquiry{catalog: c, workspace: w, user: user, client: q.Client, now: c.cfg.Now()}
	groups, err := people.GroupsOf(ctx, user)
	refused, isRefused := errors.AsType[*access.RefusedError](err)
	switch {
	case isRefused:
		asked.refused = fmt.Sprintf("%s in directory %s", refused.Reason, user.Directory)
	case err != nil:
		return Explanation{}, fmt.Errorf("ask for the groups of %s in directory %s: %w", user.Name, user.Directory, err)
	default:
		asked.mine = s.grantsOf(user, groups)[w]
	}
	if asked.grants, err = asked.reasons(ctx, people); err != nil {
		return Explanation{}, err
	}
	now, err := asked.explain(nil, nil)
	if err != nil || len(q.With) == 0 && len(q.Without) == 0 && len(q.AsIfIn) == 0 {
		return now, err
	}
	without, err := asked.leftOut(q.Without)
	if err != nil {
		return Explanation{}, err
	}
	if asked, err = asked.asIfIn(ctx, people, q.AsIfIn); err != nil {
		return Explanation{}, err
	}
	then, err := asked.explain(q.With, without)
	then.Reason += asked.idle
	then.Otherwise = &now
	return then, err
}

// inquiry is one question, as far as it is answered.
type inquiry struct {
	catalog   *Catalog
	workspace *workspace
	user      dormer.Principal
	client    *Client
	now       time.Time
	// refused is why the account may not be used, or empty.
	refused string
	mine    []int         // places of the user's grants
	grants  []GrantReason // of the document, as it stands
	// idle names the groups of Question.AsIfIn by which no grant is reached.
	idle string
}

// maxChains bounds how many chains of groups are looked for: each takes several
// questions to a directory.
const maxChains = 100

// reasons says of each grant of the document whether it counts.
func (q *inquiry) reasons(ctx context.Context, people People) ([]GrantReason, error) {
	out := make([]GrantReason, len(q.workspace.doc.Grants))
	chains, lookups := 0, 0
	s := settler{silent: make(map[string]error)}
	for i := range q.workspace.doc.Grants {
		g := &q.workspace.doc.Grants[i]
		r := GrantReason{Principal: g.Principal.Resolved()}
		isGroup := g.Principal.Kind == dormer.KindGroup
		switch mine := slices.Contains(q.mine, i); {
		case q.refused != "":
			r.Reason = q.refused
		case !mine && isGroup:
			r.Reason = fmt.Sprintf("%s is not in this group", q.user.Shown())
			if lookups++; lookups <= maxLookups {
				if err := q.present(ctx, &s, &r); err != nil {
					return nil, err
				}
			}
		case !mine:
			r.Reason = "this is another user"
		case !isGroup:
			r.Reason = "granted to the user"
		case chains < maxChains:
			chains++
			var err error
			r.Chain, err = people.Chain(ctx, q.user, r.Principal)
			if err != nil && !errors.Is(err, dormer.ErrNotFound) {
				return nil, fmt.Errorf("ask how %s is in group %s of directory %s: %w", q.user.Name, r.Principal.Name, r.Principal.Directory, err)
			}
			r.Reason = "through " + q.chain(r)
		default:
			r.Reason = "in the group"
		}
		if err := q.settle(&r, g, slices.Contains(q.mine, i)); err != nil {
			return nil, err
		}
		out[i] = r
	}
	return out, nil
}

// maxLookups bounds how many groups that the user is not in are looked for.
const maxLookups = 100

// present says of a group that nobody is in it any more: it, or its directory,
// is gone. One that does not answer says nothing.
func (q *inquiry) present(ctx context.Context, s *settler, r *GrantReason) error {
	d := q.catalog.directory(r.Principal.Directory)
	if d == nil {
		r.gone, r.Reason = true, fmt.Sprintf("%.80q is not a directory of this instance any more", r.Principal.Directory)
		return nil
	}
	_, err := s.ask(d, func() (dormer.Principal, error) { return d.Lookup(ctx, r.Principal) })
	switch {
	case errors.Is(err, dormer.ErrNotFound):
		r.gone, r.Reason = true, fmt.Sprintf("the group is gone from directory %s; take the grant out, or grant to another group", d.Name())
	case err != nil && !errors.Is(err, dormer.ErrUnavailable):
		return fmt.Errorf("look group %s up in directory %s: %w", r.Principal.Name, d.Name(), err)
	}
	return nil
}

// maxAssumed bounds the chains that are looked for from groups of
// Question.AsIfIn.
const maxAssumed = 500

// asIfIn is the inquiry with the user in further groups.
func (q inquiry) asIfIn(ctx context.Context, people People, groups []dormer.Principal) (inquiry, error) {
	q.mine, q.grants = slices.Clone(q.mine), slices.Clone(q.grants)
	chains := 0
	for n, g := range groups {
		path := fmt.Sprintf("as_if_in[%d]", n)
		x, err := q.catalog.groupOf(ctx, path, g)
		if err != nil {
			return inquiry{}, err
		}
		reached := false
		for i := range q.grants {
			r := &q.grants[i]
			if r.Principal.Kind != dormer.KindGroup || r.gone {
				continue
			}
			chain := []dormer.Principal{x}
			if r.Principal.ID() != x.ID() {
				if chains++; chains > maxAssumed {
					return inquiry{}, dormer.Invalidf(path, "more than %d grants to groups would have to be asked for; ask about fewer groups at once", maxAssumed)
				}
				beyond, err := people.Chain(ctx, x, r.Principal)
				if errors.Is(err, dormer.ErrNotFound) {
					continue
				}
				if err != nil {
					return inquiry{}, fmt.Errorf("ask whether group %s is in group %s: %w", x.Shown(), r.Principal.Shown(), err)
				}
				chain = append(chain, beyond...)
			}
			reached = true
			if q.refused != "" || slices.Contains(q.mine, i) {
				continue
			}
			q.mine, r.Chain = append(q.mine, i), chain
			r.Reason = "as if through " + q.chain(*r)
			if err := q.settle(r, &q.workspace.doc.Grants[i], true); err != nil {
				return inquiry{}, err
			}
		}
		if !reached {
			q.idle += fmt.Sprintf("; no grant is to group %s or to a group that it is in", x.Shown())
		}
	}
	return q, nil
}

// groupOf finds a group of a question by its key, else by its name.
func (c *Catalog) groupOf(ctx context.Context, path string, g dormer.Principal) (dormer.Principal, error) {
	if g.Directory == "" {
		g.Directory = dormer.EmbeddedDirectory
	}
	d := c.directory(g.Directory)
	switch {
	case g.Kind != dormer.KindGroup:
		return g, dormer.Invalidf(path, "is not a group")
	case d == nil:
		return g, dormer.Invalidf(path, "%.80q is not a directory of this instance", g.Directory)
	}
	var found dormer.Principal
	var err error
	if g.Key != "" {
		found, err = d.Lookup(ctx, g)
	} else {
		found, err = d.Resolve(ctx, g.Kind, g.Name)
	}
	if errors.Is(err, dormer.ErrNotFound) {
		return g, dormer.Invalidf(path, "there is no group %.80q in directory %s", g.Name, d.Name())
	}
	if err != nil {
		return g, fmt.Errorf("look group %.80q up in directory %s: %w", g.Name, d.Name(), err)
	}
	return found, nil
}

// settle says whether a grant counts that is the user's.
func (q *inquiry) settle(r *GrantReason, g *policy.Grant, mine bool) error {
	if !mine {
		return nil
	}
	if g.Enabled != nil && !*g.Enabled {
		r.Reason = "the grant is disabled"
		return nil
	}
	if g.Expires != nil {
		end, err := g.Expires.End(q.catalog.cfg.Zone)
		if err != nil {
			return err
		}
		if !q.now.Before(end) {
			r.Reason = "the grant expired at " + q.at(end)
			return nil
		}
	}
	r.Counts = true
	return nil
}

func (q *inquiry) at(t time.Time) string {
	return t.In(q.catalog.cfg.Zone).Format("2006-01-02 15:04 MST")
}

// chain shows how the user is in a group. Groups of the user's own directory go
// by their names alone.
func (q *inquiry) chain(r GrantReason) string {
	groups := r.Chain
	if len(groups) == 0 { // left meanwhile, or the directory does not say
		groups = []dormer.Principal{r.Principal}
	}
	steps := []string{q.user.Name}
	for _, g := range groups {
		if g.Directory == q.user.Directory {
			steps = append(steps, g.Name)
		} else {
			steps = append(steps, g.Shown())
		}
	}
	return strings.Join(steps, " > ")
}

// leftOut finds the grants of principals.
func (q *inquiry) leftOut(principals []dormer.Principal) ([]int, error) {
	var out []int
	for n, p := range principals {
		if p.Directory == "" {
			p.Directory = dormer.EmbeddedDirectory
		}
		i := slices.IndexFunc(q.grants, func(r GrantReason) bool {
			return r.Principal.Kind == p.Kind && name.Fold(r.Principal.Directory) == name.Fold(p.Directory) && name.Fold(r.Principal.Name) == name.Fold(p.Name)
		})
		if i < 0 {
			return nil, dormer.Invalidf(fmt.Sprintf("without[%d]", n), "there is no grant to %s %.80q in workspace %s", p.Kind, p.Shown(), q.workspace.revision.Name)
		}
		out = append(out, i)
	}
	return out, nil
}

// explain answers with grants added and others left out.
func (q *inquiry) explain(with []policy.Grant, without []int) (Explanation, error) {
	w := q.workspace
	out := Explanation{Revision: w.revision, User: q.user, Grants: slices.Clone(q.grants)}
	var grants []policy.Grant // the user's
	var at []int              // their places in out.Grants
	for i := range out.Grants {
		switch {
		case slices.Contains(without, i):
			out.Grants[i] = GrantReason{Principal: out.Grants[i].Principal, Reason: "left out, as asked"}
		case slices.Contains(q.mine, i):
			grants, at = append(grants, w.doc.Grants[i]), append(at, i)
		}
	}
	for i := range with {
		r := GrantReason{Principal: with[i].Principal.Resolved(), Added: true, Reason: "as if it were granted to the user"}
		if r.Principal.Kind == dormer.KindGroup {
			r.Reason = "as if the user were in the group"
		}
		if q.refused != "" {
			r.Reason = q.refused
		} else {
			if err := q.settle(&r, &with[i], true); err != nil {
				return Explanation{}, err
			}
			grants, at = append(grants, with[i]), append(at, len(out.Grants))
		}
		out.Grants = append(out.Grants, r)
	}
	switch {
	case len(grants) == 0 && len(q.mine) > 0:
		out.Reason = q.verdict("does not get") + ": no other grant is for this user"
		return out, nil
	case len(grants) == 0:
		out.Reason = q.nothing(out.Grants)
		return out, nil
	}
	terms, effective, err := q.catalog.terms(w, grants, q.now)
	if err != nil {
		return Explanation{}, fmt.Errorf("workspace %s: %w", w.revision.Name, err)
	}
	inForce, err := policy.InForce(grants, q.now, q.catalog.cfg.Zone)
	if err != nil {
		return Explanation{}, fmt.Errorf("workspace %s: %w", w.revision.Name, err)
	}
	out.Fields = policy.Explain(w.doc.Spec, inForce)
	for i := range out.Fields {
		for j, place := range out.Fields[i].From {
			out.Fields[i].From[j] = at[place]
		}
	}
	if terms.Refused == "" {
		out.PolicyHash = effective.Hash()
	}
	if why := q.against(terms, &effective, out.Grants, at); why != "" {
		out.Reason = q.verdict("does not get") + ": " + why
		return out, nil
	}
	out.Gets = true
	out.Reason = q.verdict("gets") + " " + q.sources(out.Grants)
	if terms.ValidUntil != nil {
		out.Reason += ", until " + q.at(*terms.ValidUntil)
	}
	return out, nil
}

func (q *inquiry) verdict(verb string) string {
	s := q.user.Shown() + " " + verb + " " + q.workspace.revision.Name
	if q.client != nil {
		s += " on " + q.client.Name
	}
	return s
}

// against is why the user's grants give nothing, with what would help, or
// empty.
func (q *inquiry) against(terms *lease.Entitlement, effective *policy.Effective, grants []GrantReason, mine []int) string {
	counts := slices.ContainsFunc(grants, func(r GrantReason) bool { return r.Counts })
	switch {
	case !counts:
		var each []string
		for _, i := range mine[:min(len(mine), maxNamed)] {
			each = append(each, fmt.Sprintf("to %s %s: %s", grants[i].Principal.Kind, grants[i].Principal.Shown(), grants[i].Reason))
		}
		help := "enable it"
		if effective.Deployment.Enabled {
			help = "give it a later day"
		}
		return fmt.Sprintf("no grant of the user is in force (%s); %s, or grant it otherwise", strings.Join(each, "; "), help)
	case q.workspace.image.problem != "":
		return q.workspace.image.problem
	case q.client != nil && q.client.Revoked:
		return fmt.Sprintf("client %s was revoked; enrol it again", q.client.Name)
	case q.client != nil && !q.client.Managed && terms.RefusesUnmanaged:
		return fmt.Sprintf("the workspace is not for agents that belong to a user, and that of %s does (general.unmanagedClients); install the agent as a service", q.client.Name)
	case terms.Refused != "":
		return terms.Refused
	}
	return ""
}

// maxNamed is how many grants a sentence names.
const maxNamed = 3

// sources names the grants that count.
func (q *inquiry) sources(grants []GrantReason) string {
	var each []string
	more := 0
	for _, r := range grants {
		switch {
		case !r.Counts:
		case len(each) == maxNamed:
			more++
		case r.Added:
			each = append(each, fmt.Sprintf("to %s %s (added)", r.Principal.Kind, r.Principal.Shown()))
		case r.Principal.Kind == dormer.KindGroup:
			each = append(each, fmt.Sprintf("to group %s (%s)", r.Principal.Shown(), q.chain(r)))
		default:
			each = append(each, "to user "+r.Principal.Shown())
		}
	}
	noun := "from the grants "
	if len(each) == 1 {
		noun = "from the grant "
	}
	if more > 0 {
		return noun + strings.Join(each, ", ") + fmt.Sprintf(" and %d more", more)
	}
	if n := len(each); n > 1 {
		return noun + strings.Join(each[:n-1], ", ") + " and " + each[n-1]
	}
	return noun + strings.Join(each, "")
}

// nothing is why no grant is the user's, and what would help.
func (q *inquiry) nothing(grants []GrantReason) string {
	if q.refused != "" {
		return q.verdict("does not get") + ": " + q.refused
	}
	var groups, gone []string
	for _, r := range grants {
		if r.gone && len(gone) < maxNamed {
			gone = append(gone, r.Principal.Shown())
		}
		if !r.gone && r.Principal.Kind == dormer.KindGroup && !r.Added && len(groups) < maxNamed {
			groups = append(groups, r.Principal.Shown())
		}
	}
	switch {
	case len(grants) == 0:
		return q.verdict("does not get") + ": nobody is granted it; add a grant"
	case len(groups) == 0 && len(gone) > 0:
		return fmt.Sprintf("%s: none of its grants is for this user, and groups of them are gone (%s); grant it to the user or another group",
			q.verdict("does not get"), strings.Join(gone, ", "))
	case len(groups) == 0:
		return q.verdict("does not get") + ": none of its grants is for this user; add one"
	}
	return fmt.Sprintf("%s: none of its grants is for this user or a group that the user is in; put the user into a group that has one (%s), or add a grant",
		q.verdict("does not get"), strings.Join(groups, ", "))
}

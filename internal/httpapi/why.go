package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// WorkspaceExplainer says who gets what of a workspace, and why.
type WorkspaceExplainer interface {
	// Why asks people, the directories of the instance, now.
	Why(ctx context.Context, people catalog.People, q catalog.Question) (catalog.Explanation, error)
	// Principals says what the directories know of the principals of grants.
	Principals(ctx context.Context, id dormer.WorkspaceID) ([]catalog.PrincipalState, error)
}

// maxWith is how many grants may be added to a question.
const maxWith = 100

// maxAsIfIn is how many groups a user may be taken to be in.
const maxAsIfIn = 10

func (a *API) whyWorkspace(c *call, in rest.AskWhy) (rest.Why, error) {
	id, err := c.workspace()
	if err != nil {
		return rest.Why{}, err
	}
	if in.User == "" {
		return rest.Why{}, dormer.Invalidf("user", "is missing")
	}
	q := catalog.Question{Workspace: id, User: in.User, Without: in.Without, AsIfIn: in.AsIfIn}
	if len(in.AsIfIn) > maxAsIfIn {
		return rest.Why{}, dormer.Invalidf("as_if_in", "has more than %d groups", maxAsIfIn)
	}
	if q.With, err = grantsOf(in.With); err != nil {
		return rest.Why{}, err
	}
	if in.Client != "" {
		client, err := a.Enrolment.Client(c.ctx(), in.Client)
		if err != nil {
			return rest.Why{}, err
		}
		q.Client = &catalog.Client{Name: client.Host.Name, Managed: client.Managed, Revoked: client.Revoked != nil}
	}
	e, err := a.Workspaces.Why(c.ctx(), whyPeople{a.Access, a, c}, q)
	if err != nil {
		return rest.Why{}, err
	}
	return whyOf(e), nil
}

// whyPeople says of a user's name that is nobody's who may be meant.
type whyPeople struct {
	*access.Authenticator
	api  *API
	call *call
}

func (p whyPeople) Resolve(ctx context.Context, kind dormer.PrincipalKind, who string) (dormer.Principal, error) {
	found, err := p.Authenticator.Resolve(ctx, kind, who)
	if err != nil {
		return dormer.Principal{}, p.api.meant(p.call, kind, who, err)
	}
	return found, nil
}

// grantsOf reads grants as a document has them.
func grantsOf(with []map[string]any) ([]policy.Grant, error) {
	if len(with) > maxWith {
		return nil, dormer.Invalidf("with", "has more than %d grants", maxWith)
	}
	var out []policy.Grant
	var wrong []dormer.FieldError
	for i, fields := range with {
		raw, err := json.Marshal(fields)
		if err != nil {
			return nil, fmt.Errorf("read a grant: %w", err)
		}
		g, err := policy.DecodeGrant(raw, ".json", fmt.Sprintf("with[%d]", i))
		if invalid, ok := errors.AsType[*dormer.InvalidError](err); ok {
			for _, f := range invalid.Fields {
				f.Line = 0 // of the grant by itself
				wrong = append(wrong, f)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, *g)
	}
	if len(wrong) > 0 {
		return nil, &dormer.InvalidError{Fields: wrong}
	}
	return out, nil
}

func whyOf(e catalog.Explanation) rest.Why {
	out := rest.Why{
		Workspace: e.Revision.Workspace, Name: e.Revision.Name, Revision: e.Revision.Number, User: e.User, Gets: e.Gets, Reason: e.Reason,
		Grants: make([]rest.WhyGrant, len(e.Grants)), Fields: make([]rest.WhyField, len(e.Fields)),
	}
	for i, g := range e.Grants {
		out.Grants[i] = rest.WhyGrant{Grant: i, Principal: g.Principal, Counts: g.Counts, Reason: g.Reason, Chain: g.Chain, Added: g.Added}
	}
	for i, f := range e.Fields {
		out.Fields[i] = rest.WhyField{Path: f.Path, Value: f.Value, Origin: f.Origin, From: f.From}
	}
	if e.Otherwise != nil {
		otherwise := whyOf(*e.Otherwise)
		out.Otherwise = &otherwise
	}
	return out
}

func (a *API) workspacePrincipals(c *call, _ rest.None) (rest.List[rest.PrincipalState], error) {
	id, err := c.workspace()
	if err != nil {
		return rest.List[rest.PrincipalState]{}, err
	}
	all, err := a.Workspaces.Principals(c.ctx(), id)
	if err != nil {
		return rest.List[rest.PrincipalState]{}, err
	}
	items := make([]rest.PrincipalState, len(all))
	for i, p := range all {
		items[i] = rest.PrincipalState{Grant: p.Grant, Principal: p.Principal, State: string(p.State), Name: p.Name, Detail: p.Detail}
	}
	return rest.List[rest.PrincipalState]{Items: items}, nil
}

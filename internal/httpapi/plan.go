package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/design"
	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/placement"
	"github.com/dormer-project/dormer/internal/plan/simulation"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Limits of plans, which take the server's processors from clients; see
// docs/limits.md.
const (
	// maxPlans is how many plans are worked out at once.
	maxPlans = 1
	// planTime is how long one may take.
	planTime = 20 * time.Second
	// maxCrowds is how many entries of people an organization may have: what a plan
	// costs grows faster than they do.
	maxCrowds = 1000
	// maxConditions is how many conditions one explanation may try.
	maxConditions = 20
	// maxPlayed is how many clients a simulation on the server plays.
	maxPlayed = 20_000
)

// organizationDocument is what package organization decodes.
var organizationDocument = media{typ: workspaceDocument.typ, types: workspaceDocument.types}

// Observer looks at the instance for plans.
type Observer interface {
	// Look observes the last days; 0 is a default. ErrInvalid for a number that it
	// does not look back.
	Look(ctx context.Context, days int) (*observation.Observation, error)
}

// ComparePlans asks what differs between two organizations.
type ComparePlans struct {
	Before json.RawMessage `json:"before" doc:"an organization as JSON"`
	After  json.RawMessage `json:"after" doc:"an organization as JSON"`
}

// SimulatePlan asks for a simulation.
type SimulatePlan struct {
	Organization json.RawMessage    `json:"organization" doc:"an organization as JSON"`
	Options      simulation.Options `json:"options,omitzero"`
}

// planFormats are the forms of documents, by what they are asked for as.
var planFormats = map[string]struct {
	media string
	write func(io.Writer, *plan.Plan) error
}{
	"text":     {"text/plain", func(w io.Writer, p *plan.Plan) error { return design.Text(w, p, design.Width) }},
	"markdown": {"text/markdown", design.Markdown},
	"html":     {"text/html", design.HTML},
}

// FilledPlan is the text of an organization with what this instance has seen in
// it, and what that changed.
type FilledPlan struct {
	Text    string               `json:"text" doc:"in YAML or JSON, as it came; comments stay"`
	Changes []observation.Change `json:"changes"`
	Left    []string             `json:"left" doc:"what was seen and has no place in it"`
}

var observedDays = parameter{name: "days", doc: "so many days back, 30 when nothing is asked", number: true}

// planRoutes are the rows of the table of routes for plans.
func planRoutes() []route {
	document := parameter{name: formatParameter.name, doc: "text, markdown or html"}
	return []route{
		raw("POST", "/plan", readOnly, "Work out the infrastructure of an organization", (*API).plan, organizationDocument, of[plan.Plan]()).with(planned),
		raw("POST", "/plan/document", readOnly, "The same as a document for people", (*API).planDocument, organizationDocument, planMedia()).
			with(planned, query(document)),
		raw("POST", "/plan/explain", readOnly, "What conditions cost, and what others would", (*API).explainPlan, organizationDocument, of[plan.Explained]()).
			with(planned, query(parameter{name: "with", doc: "a condition to try, as capacity=20000; several are tried together"})),
		act("POST", "/plan/compare", readOnly, "What differs between two organizations", (*API).comparePlans).with(planned, limited(2*organization.MaxDocument+maxBody)),
		act("POST", "/plan/simulate", readOnly, "Play a day of an organization, with outages and roll-outs", (*API).simulatePlan).with(planned, limited(organization.MaxDocument+maxBody)),
		act("GET", "/plan/observed", readOnly, "What plans can be told by this instance", (*API).observe).
			with(query(observedDays)),
		raw("POST", "/plan/observed", readOnly, "Put what plans can be told by this instance into an organization", (*API).fillPlan, organizationDocument, of[FilledPlan]()).
			with(planned, query(observedDays)),
	}
}

// planned are routes whose answers follow from their bodies alone.
func planned(r *route) { r.unaudited, r.limit = true, organization.MaxDocument+1 }

func planMedia() media {
	out := media{typ: octets.typ}
	for _, f := range planFormats {
		out.types = append(out.types, f.media)
	}
	slices.Sort(out.types)
	return out
}

func (a *API) organizationSchema(c *call) error {
	return c.bytes(http.StatusOK, "application/schema+json", organization.Schema())
}

// atMost lets few work out plans at once. What decodes an organization belongs
// into work: the largest takes a second as well.
func (a *API) atMost(c *call, work func(context.Context) error) error {
	select {
	case a.plans <- struct{}{}:
		defer func() { <-a.plans }()
	default:
		return dormer.Unavailablef("another plan is being worked out; repeat it when that is done")
	}
	ctx, cancel := context.WithTimeout(c.ctx(), planTime)
	defer cancel()
	err := work(ctx)
	if err != nil && c.ctx().Err() == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return dormer.Invalidf("", "the plan takes longer than the %s that it may take on the server; work it out with the command 'dormer plan', which needs no server", planTime)
	}
	return err
}

// organizationOf decodes what stands in a field of the body; without a field in
// the body itself.
func organizationOf(raw []byte, field string) (*organization.Organization, error) {
	o, err := organization.Decode(raw, "")
	if err == nil {
		err = affordable(o)
	}
	invalid, ok := errors.AsType[*dormer.InvalidError](err)
	if field == "" || !ok {
		return o, err
	}
	within := &dormer.InvalidError{Fields: slices.Clone(invalid.Fields)}
	for i := range within.Fields {
		f := &within.Fields[i]
		f.Line = 0 // that of a part of the body
		f.Path = strings.TrimSuffix(field+"."+f.Path, ".")
	}
	return nil, within
}

// affordable refuses an organization whose plan would take the server's
// memory and one of its processors for too long.
func affordable(o *organization.Organization) error {
	n := 0
	for _, s := range o.Spec.Sites {
		n += len(s.People)
	}
	if n > maxCrowds {
		return dormer.Invalidf("spec.sites", "have %d entries of people, and the server plans for at most %d; the command 'dormer plan' works out the plan without a server", n, maxCrowds)
	}
	return nil
}

// planOf works out the plan of the body, and hands it to then.
func (a *API) planOf(c *call, then func(context.Context, *organization.Organization, *plan.Plan) error) error {
	body, err := c.readBody()
	if err != nil {
		return err
	}
	return a.atMost(c, func(ctx context.Context) error {
		o, err := organizationOf(body, "")
		if err != nil {
			return err
		}
		p, err := plan.Compute(ctx, o)
		if err != nil {
			return err
		}
		return then(ctx, o, p)
	})
}

func (a *API) plan(c *call) error {
	return a.planOf(c, func(_ context.Context, _ *organization.Organization, p *plan.Plan) error {
		return c.json(http.StatusOK, p)
	})
}

func (a *API) planDocument(c *call) error {
	format, ok := planFormats[c.r.URL.Query().Get(formatParameter.name)]
	if !ok {
		return dormer.Invalidf(formatParameter.name, "must be text, markdown or html")
	}
	return a.planOf(c, func(_ context.Context, _ *organization.Organization, p *plan.Plan) error {
		var b bytes.Buffer
		if err := format.write(&b, p); err != nil {
			return err
		}
		// Names in it are other people's: it may not do anything where it is opened.
		c.w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
		return c.bytes(http.StatusOK, format.media+"; charset=utf-8", b.Bytes())
	})
}

func (a *API) explainPlan(c *call) error {
	with := c.r.URL.Query()["with"]
	if len(with) > maxConditions {
		return dormer.Invalidf("with", "must be there at most %d times", maxConditions)
	}
	suppositions := make([]placement.Supposition, len(with))
	for i, text := range with {
		var err error
		if suppositions[i], err = placement.ParseSupposition(text); err != nil {
			return err
		}
	}
	body, err := c.readBody()
	if err != nil {
		return err
	}
	return a.atMost(c, func(ctx context.Context) error {
		o, err := organizationOf(body, "")
		if err != nil {
			return err
		}
		answer, err := plan.Explain(ctx, o, suppositions...)
		if err != nil {
			return err
		}
		return c.json(http.StatusOK, answer)
	})
}

func (a *API) comparePlans(c *call, in ComparePlans) (*plan.Comparison, error) {
	var answer *plan.Comparison
	err := a.atMost(c, func(ctx context.Context) error {
		before, err := organizationOf(in.Before, "before")
		if err != nil {
			return err
		}
		after, err := organizationOf(in.After, "after")
		if err != nil {
			return err
		}
		was, err := plan.Compute(ctx, before)
		if err != nil {
			return fmt.Errorf("before: %w", err)
		}
		is, err := plan.Compute(ctx, after)
		if err != nil {
			return fmt.Errorf("after: %w", err)
		}
		answer = plan.Compare(was, is)
		return nil
	})
	return answer, err
}

func (a *API) simulatePlan(c *call, in SimulatePlan) (*simulation.Result, error) {
	options := in.Options
	if options.MaxClients > maxPlayed {
		return nil, dormer.Invalidf("options.max_clients", "must be at most %d on the server", maxPlayed)
	}
	if options.MaxClients == 0 {
		options.MaxClients = maxPlayed
	}
	options.Processors = 1 // the others are for clients
	var answer *simulation.Result
	err := a.atMost(c, func(ctx context.Context) error {
		o, err := organizationOf(in.Organization, "organization")
		if err != nil {
			return err
		}
		p, err := plan.Compute(ctx, o)
		if err != nil {
			return err
		}
		answer, err = plan.Simulate(ctx, o, p, options)
		return err
	})
	return answer, err
}

func (a *API) observe(c *call, _ rest.None) (*observation.Observation, error) {
	days, err := c.number("days", observation.MaxDays)
	if err != nil {
		return nil, err
	}
	return a.Observer.Look(c.ctx(), int(days))
}

func (a *API) fillPlan(c *call) error {
	body, err := c.readBody()
	if err != nil {
		return err
	}
	// What is wrong with the organization is said before anything is looked up.
	if err := a.atMost(c, func(context.Context) error {
		_, err := organizationOf(body, "")
		return err
	}); err != nil {
		return err
	}
	seen, err := a.observe(c, rest.None{})
	if err != nil {
		return err
	}
	filled, err := observation.Fill(body, "", seen)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, FilledPlan{Text: string(filled.Text), Changes: filled.Changes, Left: filled.Left})
}

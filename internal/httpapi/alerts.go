package httpapi

import (
	"context"
	"fmt"
	"strconv"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Alerts looks after alerts and their rules.
type Alerts interface {
	Alerts(ctx context.Context, q alert.Query) ([]alert.Alert, error)
	// Acknowledge returns ErrNotFound, or ErrConflict when somebody did before.
	Acknowledge(ctx context.Context, id int64, by, note string) (alert.Alert, error)
	RuleList(ctx context.Context) ([]alert.Listed, error)
	Rule(ctx context.Context, name string) (alert.Listed, error)
	SetRule(ctx context.Context, r alert.Rule, by string) error
	// DeleteRule returns ErrConflict for a rule of the program that is as it comes.
	DeleteRule(ctx context.Context, name string) error
}

func (a *API) listAlerts(c *call, _ rest.None) (rest.List[rest.Alert], error) {
	before, limit, err := c.page()
	if err != nil {
		return rest.List[rest.Alert]{}, err
	}
	all, err := c.flag("all")
	if err != nil {
		return rest.List[rest.Alert]{}, err
	}
	alerts, err := a.Alerts.Alerts(c.ctx(), alert.Query{Open: !all, Before: before, Limit: limit})
	if err != nil {
		return rest.List[rest.Alert]{}, err
	}
	l := rest.List[rest.Alert]{Items: make([]rest.Alert, len(alerts))}
	for i, one := range alerts {
		l.Items[i] = rest.Alert(one)
	}
	if len(alerts) == limit {
		l.Next = alerts[limit-1].ID
	}
	return l, nil
}

func (a *API) acknowledgeAlert(c *call, in rest.AcknowledgeAlert) (rest.Alert, error) {
	id, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return rest.Alert{}, fmt.Errorf("that is not the number of an alert: %w", dormer.ErrNotFound)
	}
	one, err := a.Alerts.Acknowledge(c.ctx(), id, c.who(), in.Note)
	if err != nil {
		return rest.Alert{}, err
	}
	return rest.Alert(one), c.audit("alert.acknowledge", fmt.Sprintf("alert %d (%s)", one.ID, one.Rule), one.Note)
}

func restRule(r alert.Rule) rest.AlertRule {
	out := rest.AlertRule{Name: r.Name, Enabled: r.Enabled, Severity: r.Severity, Text: r.Text, ClearAfter: r.ClearAfter}
	if e := r.Events; e != nil {
		out.Events = &rest.AlertEvents{
			Codes: e.Codes, Severity: e.Severity, Category: e.Category, Counts: string(e.Counts), Threshold: e.Threshold, Window: e.Window, By: string(e.By),
		}
	}
	if s := r.State; s != nil {
		out.State = &rest.AlertState{Observed: string(s.Observed), Comparison: string(s.Comparison), Value: s.Value, For: s.For}
	}
	return out
}

func alertRule(r rest.AlertRule) alert.Rule {
	out := alert.Rule{Name: r.Name, Enabled: r.Enabled, Severity: r.Severity, Text: r.Text, ClearAfter: r.ClearAfter}
	if e := r.Events; e != nil {
		out.Events = &alert.EventCondition{
			Codes: e.Codes, Severity: e.Severity, Category: e.Category, Counts: alert.Counted(e.Counts), Threshold: e.Threshold, Window: e.Window, By: alert.Grouping(e.By),
		}
	}
	if s := r.State; s != nil {
		out.State = &alert.StateCondition{Observed: alert.Kind(s.Observed), Comparison: alert.Comparison(s.Comparison), Value: s.Value, For: s.For}
	}
	return out
}

func listedRule(l alert.Listed) rest.ListedAlertRule {
	out := rest.ListedAlertRule{AlertRule: restRule(l.Rule), Origin: string(l.Origin), By: l.By}
	if !l.Changed.IsZero() {
		out.Changed = &l.Changed
	}
	return out
}

func (a *API) listAlertRules(c *call, _ rest.None) (rest.List[rest.ListedAlertRule], error) {
	rules, err := a.Alerts.RuleList(c.ctx())
	items := make([]rest.ListedAlertRule, len(rules))
	for i, r := range rules {
		items[i] = listedRule(r)
	}
	return rest.List[rest.ListedAlertRule]{Items: items}, err
}

func (a *API) getAlertRule(c *call, _ rest.None) (rest.ListedAlertRule, error) {
	r, err := a.Alerts.Rule(c.ctx(), c.r.PathValue("name"))
	if err != nil {
		return rest.ListedAlertRule{}, err
	}
	return listedRule(r), nil
}

func (a *API) setAlertRule(c *call, in rest.AlertRule) (rest.None, error) {
	if name.Fold(in.Name) != name.Fold(c.r.PathValue("name")) {
		return rest.None{}, dormer.Invalidf("name", "must be that of the path")
	}
	if err := a.Alerts.SetRule(c.ctx(), alertRule(in), c.who()); err != nil {
		return rest.None{}, err
	}
	detail := "enabled"
	if !in.Enabled {
		detail = "turned off"
	}
	return rest.None{}, c.audit("alert-rule.set", "rule "+in.Name, detail)
}

func (a *API) deleteAlertRule(c *call, _ rest.None) (rest.None, error) {
	called := c.r.PathValue("name")
	if !alert.ValidName(called) {
		return rest.None{}, fmt.Errorf("that is not the name of a rule: %w", dormer.ErrNotFound)
	}
	if err := a.Alerts.DeleteRule(c.ctx(), called); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("alert-rule.delete", "rule "+called, "")
}

func (a *API) validateAlertRule(_ *call, in rest.AlertRule) (rest.None, error) {
	return rest.None{}, alertRule(in).Check()
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// maxRuleFile is the largest file of a rule, in bytes.
const maxRuleFile = 64 << 10

func newAlert(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use: "alert", Short: "What needs somebody",
		Long: `An alert says that the condition of a rule holds: many errors of one client, an
image that does not start, a disk that fills up. It is raised once however often
the condition repeats, and clears by itself when the condition is over.
Acknowledge it to say that you look after it.`,
	}, newAlertList(a), newAlertShow(a), newAlertAcknowledge(a), newAlertRules(a), newAlertRule(a))
}

func alertState(l rest.Alert) string {
	switch {
	case l.Cleared != nil:
		return "cleared"
	case l.Acknowledged != nil:
		return "acknowledged by " + l.AcknowledgedBy
	}
	return "open"
}

func newAlertList(a *app) *cobra.Command {
	var q apiclient.AlertQuery
	cmd := &cobra.Command{
		Use: "list", Short: "List those that are open, newest first", Args: noArgs,
		Example: "  dormer alert list\n  dormer alert list --all --limit 20",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			l, err := c.Alerts(ctx, q)
			if err != nil {
				return err
			}
			rows := make([][]string, len(l.Items))
			for i, one := range l.Items {
				rows[i] = []string{
					strconv.FormatInt(one.ID, 10), string(one.Severity), when(one.Raised), when(one.Last), strconv.FormatInt(one.Count, 10), alertState(one), one.Rule, one.Text,
				}
			}
			if err := a.print(l, []string{"ID", "SEVERITY", "RAISED", "LAST", "COUNT", "STATE", "RULE", "TEXT"}, rows); err != nil {
				return err
			}
			if l.Next > 0 && !a.json && !a.quiet {
				a.note("Older ones: repeat with --before %d.", l.Next)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&q.All, "all", false, "those that were cleared too")
	cmd.Flags().Int64Var(&q.Before, "before", 0, "only alerts older than this one")
	cmd.Flags().IntVar(&q.Limit, "limit", 0, "at most so many (default 100)")
	return cmd
}

// alertID reads the number of an alert.
func alertID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, usageError{errors.New("ID is the number that 'dormer alert list' shows")}
	}
	return id, nil
}

func newAlertShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one with its rule and its note", Args: exactArgs(1),
		Example: "  dormer alert show 12",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			id, err := alertID(args[0])
			if err != nil {
				return err
			}
			l, err := c.Alerts(ctx, apiclient.AlertQuery{All: true, Before: id + 1, Limit: 1})
			if err != nil {
				return err
			}
			if len(l.Items) == 0 || l.Items[0].ID != id {
				return fmt.Errorf("alert %d: %w", id, dormer.ErrNotFound)
			}
			one := l.Items[0]
			rows := [][]string{
				{"Alert", strconv.FormatInt(one.ID, 10)},
				{"Rule", one.Rule},
				{"Of", one.Key},
				{"Severity", string(one.Severity)},
				{"Text", one.Text},
				{"State", alertState(one)},
				{"Raised", when(one.Raised)},
				{"Last", when(one.Last)},
				{"Count", strconv.FormatInt(one.Count, 10)},
			}
			if one.Acknowledged != nil {
				rows = append(rows, []string{"Acknowledged", when(*one.Acknowledged) + " by " + one.AcknowledgedBy}, []string{"Note", one.Note})
			}
			if one.Cleared != nil {
				rows = append(rows, []string{"Cleared", when(*one.Cleared)})
			}
			return a.print(one, nil, rows)
		}),
	}
}

func newAlertAcknowledge(a *app) *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use: "acknowledge ID", Short: "Say that you look after one", Args: exactArgs(1),
		Long:    "Notes your name beside the alert, and what you say. The others see it, and\nwho is told of alerts elsewhere is told of that too. The alert stays open until\nits condition is over.",
		Example: "  dormer alert acknowledge 12 --note 'the image is being corrected'",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			id, err := alertID(args[0])
			if err != nil {
				return err
			}
			one, err := c.AcknowledgeAlert(ctx, id, note)
			if err != nil {
				return err
			}
			return a.say(one, "Alert %d is acknowledged: %s", one.ID, printable(one.Text))
		}),
	}
	cmd.Flags().StringVar(&note, "note", "", "what you found, or do about it")
	return cmd
}

func newAlertRules(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rules", Short: "List the rules", Args: noArgs,
		Example: "  dormer alert rules",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.AlertRules(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, r := range all {
				enabled := "yes"
				if !r.Enabled {
					enabled = "no"
				}
				rows[i] = []string{r.Name, enabled, string(r.Severity), condition(r.AlertRule), r.ClearAfter, r.Origin, r.By}
			}
			return a.print(all, []string{"NAME", "ENABLED", "SEVERITY", "WHEN", "CLEARS AFTER", "ORIGIN", "BY"}, rows)
		}),
	}
}

// condition says for people when a rule raises an alert.
func condition(r rest.AlertRule) string {
	switch {
	case r.Events != nil:
		what := "event"
		if r.Events.Counts == "clients" {
			what = "client"
		}
		if r.Events.Threshold != 1 {
			what += "s"
		}
		of := r.Events.By
		if of == "instance" {
			of = "all together"
		} else {
			of = "of one " + of
		}
		return fmt.Sprintf("%d %s within %s, %s", r.Events.Threshold, what, r.Events.Window, of)
	case r.State != nil:
		s := fmt.Sprintf("%s %s %s", r.State.Observed, r.State.Comparison, strconv.FormatFloat(r.State.Value, 'f', -1, 64))
		if r.State.For != "" {
			s += " for " + r.State.For
		}
		return s
	}
	return ""
}

func newAlertRule(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use: "rule", Short: "One rule: set, show, delete",
		Long: `A rule is a JSON document; show the one that is nearest, change it, and set it.
docs/alerts.md explains the fields.`,
	}, newAlertRuleSet(a), newAlertRuleShow(a), newAlertRuleDelete(a))
}

func newAlertRuleSet(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "set FILE", Short: "Make a rule, or change one", Args: exactArgs(1),
		Long:    "Makes the rule that the file holds, or puts it in the place of the one of its\nname. - stands for the standard input. What is wrong in it is named by field,\nand nothing is changed then.",
		Example: "  dormer alert rule set rule.json",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			b, err := a.readRule(args[0])
			if err != nil {
				return err
			}
			var named struct {
				Name string `json:"name"`
			}
			if err := json.Unmarshal(b, &named); err != nil {
				return fmt.Errorf("%s: %w", args[0], dormer.Invalidf("", "is not a JSON document of a rule"))
			}
			if named.Name == "" {
				return fmt.Errorf("%s: %w", args[0], dormer.Invalidf("name", "a rule needs a name"))
			}
			if err := c.SetAlertRule(ctx, named.Name, b); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return a.say(named, "Rule %s is set.", named.Name)
		}),
	}
}

// readRule reads the file of a rule, or the standard input.
func (a *app) readRule(path string) ([]byte, error) {
	in := a.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open rule: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxRuleFile+1))
	if err != nil {
		return nil, fmt.Errorf("read rule: %w", err)
	}
	if len(b) > maxRuleFile {
		return nil, fmt.Errorf("rule %s: %w (at most %d bytes)", path, dormer.ErrTooLarge, maxRuleFile)
	}
	return b, nil
}

func newAlertRuleShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a rule as 'rule set' takes it", Args: exactArgs(1),
		Example: "  dormer alert rule show errors-of-one-client",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			r, err := c.AlertRule(ctx, args[0])
			if err != nil {
				return err
			}
			return a.printJSON(r.AlertRule)
		}),
	}
}

func newAlertRuleDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a rule, or undo the changes of one of the program's", Args: exactArgs(1),
		Long:    "Deletes a rule that an operator wrote; its alerts clear. A rule that comes with\nthe program counts again as it comes; to have it not count, set it with\n\"enabled\": false.",
		Example: "  dormer alert rule delete failures",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			if err := a.confirm("Rule "+args[0], "deleted", args[0], yes); err != nil {
				return err
			}
			if err := c.DeleteAlertRule(ctx, args[0]); err != nil {
				return err
			}
			return a.say(secretName{args[0]}, "Rule %s deleted.", args[0])
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/document"
	"github.com/dormer-project/dormer/internal/plan"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/plan/simulation"
)

// everything stands for all instances, and for all images.
const everything = "all"

func newPlanSimulate(a *app) *cobra.Command {
	var o simulation.Options
	var outages []string
	var rollout, from, length string
	var first bool
	cmd := &cobra.Command{
		Use: "simulate FILE", Short: "Play a day: polls, events, outages and roll-outs, beside the formulas", Args: exactArgs(1),
		Long: `Plays a day of the organization's clients, servers and links, and holds the closed
formulas of the plan against what comes out. The same file, flags and seed give
the same result.`,
		Example: "  dormer plan simulate organization.yaml --outage all=2h@10:00\n  dormer plan simulate organization.yaml --rollout all --seed 7",
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.From, err = timeOfDay(from); err != nil {
				return usageError{fmt.Errorf("--from %s: %w", from, err)}
			}
			if length != "" {
				if o.Length, err = document.ParseDuration(length); err != nil {
					return usageError{fmt.Errorf("--length %s: expected %s", length, document.Duration(0).Form())}
				}
			}
			for _, text := range outages {
				outage, err := parseOutage(text)
				if err != nil {
					return usageError{fmt.Errorf("--outage %s: %w", text, err)}
				}
				o.Outages = append(o.Outages, outage)
			}
			if rollout != "" {
				o.Rollout = &simulation.Rollout{Image: unlessAll(rollout), First: first}
			} else if first {
				return usageError{errors.New("--first needs --rollout")}
			}
			organized, p, err := a.computed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := plan.Simulate(cmd.Context(), organized, p, o)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(r)
			}
			return a.printSimulation(organized, r)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&outages, "outage", nil, "an instance (or all) does not answer for a time, from a time of day on: 'Berlin=2h@10:00'; may be repeated")
	flags.StringVar(&rollout, "rollout", "", "an image (or all) that is updated everywhere, from the beginning on")
	flags.BoolVar(&first, "first", false, "the roll-out is a first delivery and no update")
	flags.StringVar(&from, "from", "00:00", "time of day at which it begins")
	flags.StringVar(&length, "length", "", "how long it lasts, as 12h or 3d (default: a day)")
	flags.Uint64Var(&o.Seed, "seed", 0, "of the random numbers")
	flags.IntVar(&o.MaxClients, "max-clients", 0, fmt.Sprintf("play a sample of so many clients where there are more (default %d)", simulation.DefaultClients))
	_ = cmd.RegisterFlagCompletionFunc("rollout", a.completeImages) // the flag is there
	return cmd
}

// completeImages offers the images of the file that is on the command line already.
func (a *app) completeImages(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	names := []cobra.Completion{everything}
	if len(args) > 0 && args[0] != "-" {
		if o, err := a.organization(args[0]); err == nil {
			for _, i := range o.Spec.Images {
				names = append(names, i.Name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func unlessAll(name string) string {
	if name == everything {
		return ""
	}
	return name
}

// timeOfDay reads 10:00.
func timeOfDay(s string) (document.Duration, error) {
	hours, minutes, ok := strings.Cut(s, ":")
	if ok && len(hours) <= 2 && len(minutes) == 2 {
		if d, err := document.ParseDuration(hours + "h" + minutes + "m"); err == nil {
			return d, nil
		}
	}
	return 0, errors.New("expected a time of day such as 10:00")
}

// parseOutage reads INSTANCE=2h@10:00. Names may have both signs in them.
func parseOutage(s string) (simulation.Outage, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return simulation.Outage{}, errors.New("expected INSTANCE=LENGTH@TIME, as Berlin=2h@10:00")
	}
	equal := strings.LastIndexByte(s[:at], '=')
	if equal < 1 {
		return simulation.Outage{}, errors.New("expected INSTANCE=LENGTH@TIME, as Berlin=2h@10:00; all stands for every instance")
	}
	length, err := document.ParseDuration(s[equal+1 : at])
	if err != nil {
		return simulation.Outage{}, fmt.Errorf("the length is %s", length.Form())
	}
	start, err := timeOfDay(s[at+1:])
	if err != nil {
		return simulation.Outage{}, err
	}
	return simulation.Outage{Instance: unlessAll(s[:equal]), Start: start, Length: length}, nil
}

func seconds(s float64) string {
	if s < 0 {
		return "not within the simulated time"
	}
	return figure.Duration(s)
}

// printSimulation prints the result as tables, each with what it is about.
func (a *app) printSimulation(o *organization.Organization, r *simulation.Result) error {
	sample := figure.Number(r.Sample.Clients) + " clients"
	if r.Sample.Played < r.Sample.Clients {
		sample = fmt.Sprintf("%s of %s as a sample", figure.Number(r.Sample.Played), sample)
	}
	a.tell("%s: %s from %s on, %s, seed %d", printable(o.Metadata.Name), figure.Duration(r.Length), figure.Clock(r.From), sample, r.Seed)
	rows := make([][]string, len(r.Instances))
	var outages [][]string
	for i, x := range r.Instances {
		rows[i] = []string{
			x.Name, figure.Number(x.Clients), figure.Number(x.Most.Polls), figure.Number(x.Most.Events), figure.Percent(x.Most.Load),
			seconds(x.Answer.Middle), seconds(x.Answer.Most), figure.Number(x.Stored), figure.Number(x.Journalled), figure.Number(x.Lost),
		}
		for _, out := range x.Outages {
			outages = append(outages, []string{
				x.Name, fmt.Sprintf("%s at %s", figure.Duration(out.Length), figure.Clock(r.From+out.Start)), figure.Number(out.Backlog), seconds(out.LastBack), seconds(out.Drained), stoppedPeople(out.Stopped),
			})
		}
	}
	if err := a.section("Instances (the most of each; answers to polls)", []string{
		"INSTANCE", "CLIENTS", "POLLS/S", "EVENTS/S", "PROCESSORS", "ANSWER", "99 OF 100", "STORED", "ON CLIENTS", "LOST",
	}, rows); err != nil {
		return err
	}
	if err := a.section("Outages", []string{"INSTANCE", "OUTAGE", "EVENTS KEPT", "LAST CLIENT BACK", "ALL STORED", "STOPPED"}, outages); err != nil {
		return err
	}
	if err := a.rolledOut(r.Rollout); err != nil {
		return err
	}
	checks := make([][]string, len(r.Checks))
	for i, c := range r.Checks {
		within := "yes"
		if !c.Within {
			within = "no"
		}
		formula := c.Text()
		if c.AtMost {
			formula = "at most " + formula
		}
		checks[i] = []string{c.Title, c.About, formula, c.Unit.Text(c.Simulated), fmt.Sprintf("%+.1f %%", 100*c.Deviation), figure.Percent(c.Tolerance), within}
	}
	return a.section("Formulas", []string{"FIGURE", "OF", "FORMULA", "SIMULATED", "OFF BY", "ALLOWED", "AGREES"}, checks)
}

// section is a table under a title; without rows it is left out.
func (a *app) section(title string, headers []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	a.tell("\n%s", title)
	return a.print(nil, headers, rows)
}

func stoppedPeople(list []simulation.Stopped) string {
	if len(list) == 0 {
		return "nobody"
	}
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = fmt.Sprintf("%s people of %s after %s", figure.Number(s.Users), s.Workspace, figure.Duration(s.First))
	}
	return strings.Join(texts, "; ")
}

func (a *app) rolledOut(p *simulation.Progress) error {
	if p == nil {
		return nil
	}
	var rows [][]string
	for _, s := range p.Sites {
		rows = append(rows, []string{s.Site, s.Image, figure.Number(s.Clients), figure.Bytes(float64(s.Bytes)), seconds(s.Half), seconds(s.Most), seconds(s.All), s.Narrow})
	}
	kind := "update"
	if p.First {
		kind = "first delivery"
	}
	title := fmt.Sprintf("Roll-out (%s): everybody has everything after %s", kind, seconds(p.All))
	if err := a.section(title, []string{"SITE", "IMAGE", "CLIENTS", "EACH", "HALF", "90 OF 100", "ALL", "HELD UP BY"}, rows); err != nil {
		return err
	}
	var lines [][]string
	for _, l := range p.Lines[:min(len(p.Lines), busiestLines)] {
		lines = append(lines, []string{l.From, l.To, figure.Bytes(l.Bytes), figure.Percent(l.Share), seconds(l.Busy)})
	}
	if err := a.section("Busiest lines", []string{"FROM", "TO", "CARRIED", "OF ITS SHARE", "UNTIL"}, lines); err != nil {
		return err
	}
	var left [][]string
	for _, l := range p.Left {
		left = append(left, []string{l.Site, l.Instance, l.Reason})
	}
	return a.section("Not over the network", []string{"SITE", "INSTANCE", "REASON"}, left)
}

// busiestLines is how many lines are shown; --json has all.
const busiestLines = 10

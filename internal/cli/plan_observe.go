package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/plan/figure"
	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/plan/organization"
)

// observed is what --json prints.
type observed struct {
	*observation.Observation
	// Changes are those of the file.
	Changes []observation.Change `json:"changes,omitzero"`
}

func newPlanObserve(a *app) *cobra.Command {
	var days int
	var output string
	cmd := &cobra.Command{
		Use: "observe [FILE]", Short: "Take figures for the file from the running instance", Args: maxArgs(1),
		Long: `Asks the server for events a day, what an event takes, how many clients are
on-line at once, and sizes of images and their updates. Without a file it prints
them as a part of one. With a file it prints the file with these figures in it and
says what it changed; comments stay. The file itself stays as it is unless
--output names it.`,
		Example: "  dormer plan observe --days 14\n  dormer plan observe organization.yaml --output organization.yaml",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			var raw []byte
			if len(args) > 0 {
				var err error
				if raw, err = a.readUpTo(args[0], organization.MaxDocument); err != nil {
					return err
				}
				if _, err := organization.Decode(raw, args[0]); err != nil {
					return inFile(args[0], err)
				}
			}
			seen, err := c.Observed(ctx, days)
			if err != nil {
				return err
			}
			text := seen.Fragment()
			var filled *observation.Filled
			if len(args) > 0 {
				if filled, err = observation.Fill(raw, args[0], seen); err != nil {
					return inFile(args[0], err)
				}
				text = filled.Text
			}
			a.tellObserved(seen, filled)
			switch {
			case output != "" && output != "-":
				return a.writeFile(output, text)
			case a.json && filled != nil:
				return a.printJSON(observed{Observation: seen, Changes: filled.Changes})
			case a.json:
				return a.printJSON(observed{Observation: seen})
			default:
				return a.write(text)
			}
		}),
	}
	cmd.Flags().IntVar(&days, "days", 0, fmt.Sprintf("how many days back (default %d)", observation.DefaultDays))
	cmd.Flags().StringVar(&output, "output", "", "write it to this file, which may be FILE itself")
	return cmd
}

// tellObserved says beside the output what was seen and what changes.
func (a *app) tellObserved(seen *observation.Observation, filled *observation.Filled) {
	if a.quiet || a.json {
		return
	}
	a.note("Looked at %s of %s: %s, %s of them on-line at once%s, %s.", figure.Counted(seen.Days, "day", "days"), printable(seen.Server), figure.Counted(seen.Clients, "client", "clients"),
		figure.Number(seen.Peak), peakAt(seen.PeakAt), figure.Counted(int(seen.Events.Received), "event", "events"))
	for _, m := range seen.Missing {
		a.note("%s", printable(m))
	}
	if filled == nil {
		return
	}
	for _, l := range filled.Left {
		a.note("%s", printable(l))
	}
	for _, c := range filled.Changes {
		if c.From == "" {
			a.note("%s: set to %s", c.Path, printable(c.To))
		} else {
			a.note("%s: %s becomes %s", c.Path, printable(c.From), printable(c.To))
		}
	}
}

func peakAt(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (" + when(t) + ")"
}

package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/export"
)

func newAudit(a *app) *cobra.Command {
	var q apiclient.AuditQuery
	var s shownAs
	cmd := &cobra.Command{
		Use: "audit", Short: "Who changed what, newest first", Args: noArgs,
		Example: "  dormer audit --limit 20\n  dormer audit --since 2026-11-01 --action workspace. --output changes.csv",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			if q.Zone == "" {
				q.Zone = a.localZone()
			}
			if s.output != "" || s.format != "" {
				return a.writeTable(s, func(f export.Format, w io.Writer) error { return c.ExportAudit(ctx, q, f, w) })
			}
			l, err := c.FindAudit(ctx, q)
			if err != nil {
				return err
			}
			rows := make([][]string, len(l.Items))
			for i, r := range l.Items {
				who := r.Who
				if directory, _, ok := strings.Cut(r.Principal, "/"); ok {
					who = dormer.Principal{Directory: directory, Name: who}.Shown()
				}
				rows[i] = []string{when(r.Time), who, r.Action, r.Object, r.Detail, r.Remote}
			}
			if err := a.print(l, []string{"TIME", "WHO", "ACTION", "OBJECT", "DETAIL", "FROM"}, rows); err != nil {
				return err
			}
			if l.Next > 0 && !a.json && !a.quiet {
				a.note("Older ones: repeat with --before %d.", l.Next)
			}
			return nil
		}),
	}
	flags := cmd.Flags()
	flags.Int64Var(&q.Before, "before", 0, "only records older than this one")
	flags.IntVar(&q.Limit, "limit", 50, "at most so many; a file has all")
	flags.StringVar(&q.Since, "since", "", "from this time on: 2026-11-22, 2026-11-22T08:00, or as in RFC 3339")
	flags.StringVar(&q.Until, "until", "", "before this time; a date includes that day")
	flags.StringVar(&q.Who, "who", "", "only what somebody did whose name contains this")
	flags.StringVar(&q.Action, "action", "", "only actions that contain this, as workspace. or .refuse")
	flags.StringVar(&q.Object, "object", "", "only what was done to something whose name contains this")
	flags.StringVar(&q.Zone, "tz", "", "time zone of dates, as Europe/Berlin (default: that of this computer)")
	s.fileFlags(flags)
	return cmd
}

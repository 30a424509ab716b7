package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newReport(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "report", Short: "What runs where, and what happened"}
	var q apiclient.ReportQuery
	flags := cmd.PersistentFlags()
	flags.IntVar(&q.Days, "days", 0, "how many days back (default 7)")
	flags.StringVar(&q.User, "user", "", "only users whose name contains this")
	flags.StringVar(&q.Host, "host", "", "only hosts whose name contains this")
	flags.IntVar(&q.Limit, "limit", 0, "at most so many rows (default 100)")
	flags.Int64Var(&q.Before, "before", 0, "only rows older than the one with this identity")

	status := &cobra.Command{
		Use: "status", Short: "Every user's workspaces: where, since when, which versions", Args: noArgs,
		Example: "  dormer report status --user alice",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.StatusReport(ctx, q)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, r := range all {
				rows[i] = statusRow(r, a.Now())
			}
			return a.print(all, []string{"TIME", "USER", "HOST", "WORKSPACE", "GUEST", "STATE", "SINCE", "CONNECTED", "CLIENT", "POLICY", "IMAGE"}, rows)
		}),
	}
	activity := a.newEvents("activity", "What happened, newest received first", &q, (*apiclient.Client).ActivityReport)
	errorLog := a.newEvents("errors", "What went wrong, newest received first", &q, (*apiclient.Client).ErrorReport)
	return group(cmd, status, activity, errorLog)
}

func statusRow(r rest.StatusRow, now time.Time) []string {
	connected := "yes"
	if !r.Connected {
		connected = since(now, r.LastConnected)
	}
	changed := r.Started
	if changed == nil {
		changed = r.Stopped
	}
	at := "-"
	if changed != nil {
		at = when(*changed)
	}
	revision := "-"
	if r.PolicyRevision > 0 {
		revision = strconv.Itoa(int(r.PolicyRevision))
	}
	if r.HeldRevision > 0 && r.HeldRevision != r.PolicyRevision {
		revision = fmt.Sprintf("%d (holds %d)", r.PolicyRevision, r.HeldRevision)
	}
	if len(r.AtNextStart) > 0 {
		revision += ", rest at next start"
	}
	if len(r.NotEnforced) > 0 {
		revision += fmt.Sprintf(", %d fields without effect", len(r.NotEnforced))
	}
	state := r.State
	if r.Locked {
		state += ", locked"
	}
	return []string{when(r.Time), r.User, r.Host, r.Workspace, r.Guest, state, at, connected, r.ClientVersion, revision, r.Image}
}

type eventReport func(*apiclient.Client, context.Context, apiclient.ReportQuery) (rest.List[rest.EventRow], error)

func (a *app) newEvents(use, short string, q *apiclient.ReportQuery, report eventReport) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		Example: "  dormer report " + use + " --days 1 --user alice",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			l, err := report(c, ctx, *q)
			if err != nil {
				return err
			}
			rows := make([][]string, len(l.Items))
			for i, r := range l.Items {
				rows[i] = []string{when(r.Received), when(r.Time), string(r.Severity), r.Category, r.User, r.Host, r.WorkspaceName, strconv.Itoa(r.Code), r.Description}
			}
			if err := a.print(l, []string{"RECEIVED", "HAPPENED", "SEVERITY", "CATEGORY", "USER", "HOST", "WORKSPACE", "EVENT", "DESCRIPTION"}, rows); err != nil {
				return err
			}
			if l.Next > 0 && !a.json && !a.quiet {
				a.note("Older ones: repeat with --before %d.", l.Next)
			}
			return nil
		}),
	}
}

func newAudit(a *app) *cobra.Command {
	var before int64
	var limit int
	cmd := &cobra.Command{
		Use: "audit", Short: "Who changed what, newest first", Args: noArgs,
		Example: "  dormer audit --limit 20",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			l, err := c.Audit(ctx, before, limit)
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
	cmd.Flags().Int64Var(&before, "before", 0, "only records older than this one")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many")
	return cmd
}

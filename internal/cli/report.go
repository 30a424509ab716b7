package cli

import (
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/export"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newReport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "report", Short: "What runs where, and what happened",
		Long: `Reports are tables that can be narrowed, sorted by any column, grouped by any
columns and written to files. Their columns are described in docs/reports.md.`,
	}
	var all []*cobra.Command
	for _, k := range report.Kinds() {
		all = append(all, newReportOf(a, k))
	}
	return group(cmd, append(all, newTrends(a), newDelivery(a), newReportEvents(a), newReportSave(a), newReportList(a), newReportRun(a), newReportDelete(a))...)
}

// reportExamples are the examples of the commands of reports.
var reportExamples = map[report.Kind]string{
	report.Status:   "  dormer report status --user alice\n  dormer report status --group client_version",
	report.Activity: "  dormer report activity --days 1 --user alice\n  dormer report activity --since 2026-11-22T08:00 --group category --output activity.xlsx",
	report.Errors:   "  dormer report errors --days 7 --host pc\n  dormer report errors --group code,host --sort -count",
	report.Setup:    "  dormer report setup --workspace Office",
}

// reportFlags are the flags of a query.
func reportFlags(flags *pflag.FlagSet, q *rest.ReportQuery, kind report.Kind) {
	flags.IntVar(&q.Days, "days", 0, "how many days back (default 7)")
	flags.StringVar(&q.Since, "since", "", "from this time on: 2026-11-22, 2026-11-22T08:00, or as in RFC 3339")
	flags.StringVar(&q.Until, "until", "", "before this time; a date includes that day")
	flags.StringVar(&q.User, "user", "", "only users whose name contains this")
	flags.StringVar(&q.Host, "host", "", "only hosts whose name contains this")
	flags.StringVar(&q.Workspace, "workspace", "", "only this workspace, by name or identity")
	flags.StringVar(&q.Client, "client", "", "only the client of this identity")
	flags.StringToStringVar(&q.Equal, "equal", nil, "only rows whose `column=value` is exactly this; nothing after the = finds those that have nothing there")
	flags.StringVar(&q.Sort, "sort", "", "sort by a column, with - before it the highest first (-received)")
	flags.StringSliceVar(&q.Group, "group", nil, "group by columns (host,code), with counts")
	flags.StringSliceVar(&q.Columns, "columns", nil, "show these columns, in this order")
	flags.StringVar(&q.Zone, "tz", "", "time zone of dates and times, as Europe/Berlin (default: that of this computer)")
	flags.IntVar(&q.Limit, "limit", 0, "at most so many rows (default 1000; a file has all)")
	if kind == report.Activity || kind == "" {
		flags.StringSliceVar(&q.Severities, "severity", nil, "only these: information, warning, error")
	}
	if kind == report.Activity || kind == report.Errors || kind == "" {
		flags.IntSliceVar(&q.Codes, "code", nil, "only events of these numbers (docs/events.md)")
		flags.StringSliceVar(&q.Categories, "category", nil, "only events of these categories: "+strings.Join(event.Categories(), ", "))
	}
	if kind != report.Status {
		flags.StringSliceVar(&q.Instances, "instances", nil, "instances that share the database of events: all, or their identities")
	}
}

// shownAs is how a report is shown.
type shownAs struct {
	after          string
	wide           bool
	output, format string
}

func (s *shownAs) flags(flags *pflag.FlagSet) {
	flags.StringVar(&s.after, "after", "", "the rows after a page, as its end says")
	flags.BoolVar(&s.wide, "wide", false, "show all columns, however wide the terminal is")
	s.fileFlags(flags)
}

func (s *shownAs) fileFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.output, "output", "", "write all rows to this file (.xlsx, .csv, .json, .ndjson); - is the standard output")
	flags.StringVar(&s.format, "format", "", "format of the file where its name does not say: xlsx, csv, json, ndjson")
}

func newReportOf(a *app, kind report.Kind) *cobra.Command {
	var q rest.ReportQuery
	var s shownAs
	cmd := &cobra.Command{
		Use: string(kind), Short: kind.Summary(), Args: noArgs, Example: reportExamples[kind],
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			return a.report(ctx, c, kind, q, s)
		}),
	}
	reportFlags(cmd.Flags(), &q, kind)
	s.flags(cmd.Flags())
	completeReport(cmd, kind)
	return cmd
}

// completeReport completes the flags that take one of a few words.
func completeReport(cmd *cobra.Command, kind report.Kind) {
	var columns []cobra.Completion
	for _, c := range kind.Columns() {
		columns = append(columns, cobra.CompletionWithDesc(c.Name, c.Title))
	}
	for flag, words := range map[string][]cobra.Completion{
		"sort": columns, "group": columns, "columns": columns, "format": formatNames(),
		"severity": {string(dormer.Information), string(dormer.Warning), string(dormer.Error)}, "category": event.Categories(),
	} {
		// An error says that this report does not have the flag.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

func formatNames() []cobra.Completion {
	var names []cobra.Completion
	for _, f := range export.Formats() {
		names = append(names, string(f))
	}
	return names
}

// reportRows is what --json prints of a report.
type reportRows struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next,omitempty"`
}

// report shows a page of a report, or writes all of it to a file.
func (a *app) report(ctx context.Context, c *apiclient.Client, kind report.Kind, q rest.ReportQuery, s shownAs) error {
	q.After = s.after
	if q.Zone == "" {
		q.Zone = a.localZone()
	}
	if s.output != "" || s.format != "" {
		return a.writeTable(s, func(f export.Format, w io.Writer) error { return c.ExportReport(ctx, kind, q, f, w) })
	}
	page, err := c.Report(ctx, kind, q)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(reportRows{Items: page.Items, Next: page.Next})
	}
	rows, err := cells(page)
	if err != nil {
		return err
	}
	t := textTable{columns: page.Columns, rows: rows, chosen: len(q.Columns) > 0}
	left, err := t.print(a, s.wide)
	if err != nil || a.quiet {
		return err
	}
	if len(left) > 0 {
		a.note("Not shown for want of room: %s. Show them with --wide, or choose with --columns.", strings.Join(left, ", "))
	}
	if page.Next != "" {
		a.note("There are more: repeat with --after %s", page.Next)
	}
	return nil
}

func newReportEvents(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "events", Short: "List the kinds of events: what each means, and what to do", Args: noArgs, Example: "  dormer report events",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.EventKinds(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, k := range all {
				rows[i] = []string{strconv.Itoa(k.Code), string(k.Severity), k.Category, k.Text, k.Action}
			}
			return a.print(all, []string{"CODE", "SEVERITY", "CATEGORY", "EVENT", "WHAT TO DO"}, rows)
		}),
	}
}

func newReportSave(a *app) *cobra.Command {
	var q rest.ReportQuery
	var about string
	cmd := &cobra.Command{
		Use: "save NAME REPORT", Short: "Give a report and its flags a name", Args: exactArgs(2),
		Example: "  dormer report save 'failed starts' errors --days 30 --code 503 --group host",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			saved, err := c.SaveReport(ctx, args[0], rest.SaveReport{Report: args[1], Description: about, Query: q})
			if err != nil {
				return err
			}
			return a.say(saved, "Saved as %s; run it with 'dormer report run'.", printable(saved.Name))
		}),
	}
	reportFlags(cmd.Flags(), &q, "")
	cmd.Flags().StringVar(&about, "description", "", "what it is for")
	return cmd
}

func newReportList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the saved reports", Args: noArgs, Example: "  dormer report list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.SavedReports(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, r := range all {
				asked, err := asked(r.Query)
				if err != nil {
					return err
				}
				rows[i] = []string{r.Name, r.Report, asked, r.Description, r.ChangedBy, when(r.Changed)}
			}
			return a.print(all, []string{"NAME", "REPORT", "ASKS FOR", "DESCRIPTION", "BY", "CHANGED"}, rows)
		}),
	}
}

// asked is a query for people.
func asked(q rest.ReportQuery) (string, error) {
	b, err := json.Marshal(q)
	if err != nil {
		return "", err
	}
	return strings.NewReplacer(`":`, " ", `{`, "", `}`, "", `"`, "", ",", ", ").Replace(string(b)), nil
}

func newReportRun(a *app) *cobra.Command {
	var s shownAs
	cmd := &cobra.Command{
		Use: "run NAME", Short: "Make a saved report", Args: exactArgs(1),
		Example: "  dormer report run 'failed starts'\n  dormer report run 'failed starts' --output starts.xlsx",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			saved, err := c.SavedReport(ctx, args[0])
			if err != nil {
				return err
			}
			return a.report(ctx, c, report.Kind(saved.Report), saved.Query, s)
		}),
	}
	s.flags(cmd.Flags())
	return cmd
}

func newReportDelete(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a saved report", Args: exactArgs(1), Example: "  dormer report delete 'failed starts'",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			if err := c.DeleteSavedReport(ctx, args[0]); err != nil {
				return err
			}
			return a.say(secretName{args[0]}, "Saved report %s deleted.", printable(args[0]))
		}),
	}
}

package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// barWidth is how many characters the longest bar has.
const barWidth = 24

// bar is as long for n as barWidth is for most; what is there is never nothing.
func bar(n, most int64) string {
	if n <= 0 || most <= 0 {
		return ""
	}
	return strings.Repeat("█", int(max(n*barWidth/most, 1)))
}

func newTrends(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "trends", Short: "Events a day, clients on-line by the hour, versions in use",
		Example: "  dormer report trends --days 14",
	}
	byDay(a, cmd, func(ctx context.Context, c *apiclient.Client, days int, zone string) (rest.Trends, error) {
		return c.Trends(ctx, days, zone)
	}, a.printTrends)
	return cmd
}

// byDay makes cmd ask the server for figures of the last days, and show them.
func byDay[T any](a *app, cmd *cobra.Command, ask func(ctx context.Context, c *apiclient.Client, days int, zone string) (T, error), show func(T) error) {
	var days int
	var zone string
	cmd.Args = noArgs
	cmd.RunE = a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
		if zone == "" {
			zone = a.localZone()
		}
		answer, err := ask(ctx, c, days, zone)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(answer)
		}
		return show(answer)
	})
	cmd.Flags().IntVar(&days, "days", 0, "how many days back (default 30)")
	cmd.Flags().StringVar(&zone, "tz", "", "time zone in which days begin, as Europe/Berlin (default: that of this computer)")
}

func (a *app) printTrends(t rest.Trends) error {
	most := int64(0)
	for _, d := range t.Days {
		most = max(most, d.Information+d.Warning+d.Error)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	rows := make([][]string, len(t.Days))
	for i, d := range t.Days {
		all := d.Information + d.Warning + d.Error
		rows[i] = []string{d.Day, number(d.Error), number(d.Warning), number(d.Information), bar(all, most)}
	}
	if err := a.print(nil, []string{"DAY", "ERRORS", "WARNINGS", "INFORMATION", "EVENTS"}, rows); err != nil {
		return err
	}
	if online := lastDay(t.Online); len(online) > 0 {
		most, rows = 0, make([][]string, len(online))
		for _, o := range online {
			most = max(most, o.Clients)
		}
		for i, o := range online {
			rows[i] = []string{o.Time.Format("2006-01-02 15:04"), number(o.Clients), bar(o.Clients, most)}
		}
		fmt.Fprintln(a.Out)
		if err := a.print(nil, []string{"HOUR", "ON-LINE", "CLIENTS"}, rows); err != nil {
			return err
		}
	}
	if len(t.Versions) == 0 {
		return nil
	}
	most, rows = 0, make([][]string, len(t.Versions))
	for _, v := range t.Versions {
		most = max(most, v.Now)
	}
	for i, v := range t.Versions {
		rows[i] = []string{v.Of, v.Version, number(v.Now), bar(v.Now, most)}
	}
	fmt.Fprintln(a.Out)
	return a.print(nil, []string{"OF", "VERSION", "NOW", "IN USE"}, rows)
}

// lastDay are the last 24 hours of what was on-line.
func lastDay(all []rest.TrendOnline) []rest.TrendOnline {
	for i, o := range all {
		if all[len(all)-1].Time.Sub(o.Time) < 24*time.Hour {
			return all[i:]
		}
	}
	return nil
}

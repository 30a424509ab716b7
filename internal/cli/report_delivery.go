package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workbench"
)

func newDelivery(a *app) *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use: "delivery", Short: "What clients fetched of images, and what was saved",
		Long: `Of the bytes that the image versions take which clients got: what came over the
network, and what was saved, because earlier versions or other images had
brought it.`,
		Example: "  dormer report delivery --days 14\n  dormer report delivery --image office/3",
	}
	byDay(a, cmd, func(ctx context.Context, c *apiclient.Client, days int, zone string) (rest.DeliveryReport, error) {
		if version == "" {
			return c.Delivery(ctx, days, zone, "")
		}
		v, err := workbench.FindVersion(ctx, c, version)
		if err != nil {
			return rest.DeliveryReport{}, err
		}
		return c.Delivery(ctx, days, zone, v.Image)
	}, a.printDelivery)
	cmd.Flags().StringVar(&version, "image", "", "only this version, as `name/number`; without the number the newest")
	return cmd
}

// noVersion stands for what was delivered and is no version that the server has.
const noVersion = "(versions that are not here)"

func (a *app) printDelivery(d rest.DeliveryReport) error {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	figures := func(d rest.Delivered) []string {
		return []string{number(d.Deliveries), size(d.Size), size(d.Fetched), savedPart(d)}
	}
	most := int64(0)
	for _, day := range d.Days {
		most = max(most, day.Size)
	}
	headers := []string{"DELIVERIES", "SIZE", "FETCHED", "SAVED"}
	rows := make([][]string, len(d.Days), len(d.Days)+1)
	for i, day := range d.Days {
		rows[i] = append(append([]string{day.Day}, figures(day.Delivered)...), bar(day.Size, most))
	}
	rows = append(rows, append(append([]string{"all"}, figures(d.Total)...), ""))
	if err := a.print(nil, append(append([]string{"DAY"}, headers...), "DELIVERED"), rows); err != nil {
		return err
	}
	if len(d.Images) == 0 {
		return nil
	}
	rows = make([][]string, len(d.Images))
	for i, m := range d.Images {
		called, clients := m.Name, number(m.Clients)
		if m.Image == "" {
			called, clients = noVersion, ""
		}
		rows[i] = append([]string{called, clients}, figures(m.Delivered)...)
	}
	fmt.Fprintln(a.Out)
	return a.print(nil, append([]string{"IMAGE", "CLIENTS"}, headers...), rows)
}

// savedPart says which part of deliveries was saved, rounded down: all of it is
// only what lacks nothing.
func savedPart(d rest.Delivered) string {
	if d.Size <= 0 {
		return ""
	}
	return fmt.Sprintf("%d %%", int64(100*float64(d.Saved)/float64(d.Size)))
}

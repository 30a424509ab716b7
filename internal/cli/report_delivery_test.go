package cli

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestPrintDelivery: the tables people read, with what is no version any more.
func TestPrintDelivery(t *testing.T) {
	var out bytes.Buffer
	a := &app{Streams: Streams{Out: &out}}
	d := rest.Delivered{Deliveries: 2, Size: 4 << 30, Fetched: 1 << 30, Saved: 3 << 30}
	none := rest.Delivered{}
	err := a.printDelivery(rest.DeliveryReport{
		Total: d, Days: []rest.DeliveryDay{{Day: "2026-11-21", Delivered: none}, {Day: "2026-11-22", Delivered: d}},
		Images: []rest.DeliveredImage{{Image: "sha256:0", Name: "office/3", Clients: 2, Delivered: d}, {Delivered: d}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `DAY         DELIVERIES  SIZE     FETCHED  SAVED  DELIVERED
2026-11-21  0           0 B      0 B      -      -
2026-11-22  2           4.0 GiB  1.0 GiB  75 %   ████████████████████████
all         2           4.0 GiB  1.0 GiB  75 %   -

IMAGE               CLIENTS  DELIVERIES  SIZE     FETCHED  SAVED
office/3            2        2           4.0 GiB  1.0 GiB  75 %
(deleted versions)  -        2           4.0 GiB  1.0 GiB  75 %
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

package cli

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestPrintDelivery: the tables people read, with what is no version here.
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

IMAGE                         CLIENTS  DELIVERIES  SIZE     FETCHED  SAVED
office/3                      2        2           4.0 GiB  1.0 GiB  75 %
(versions that are not here)  -        2           4.0 GiB  1.0 GiB  75 %
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSavedPart: it is rounded down, and nothing is lost of what is whole.
func TestSavedPart(t *testing.T) {
	for _, c := range []struct {
		saved, size int64
		want        string
	}{
		{0, 0, ""},
		{0, 100, "0 %"},
		{29, 100, "29 %"},
		{756, 1000, "75 %"},
		{9997, 10000, "99 %"},
		{100, 100, "100 %"},
		{1 << 62, 1 << 62, "100 %"},
	} {
		if got := savedPart(rest.Delivered{Size: c.size, Saved: c.saved}); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.saved, c.size, got, c.want)
		}
	}
}

package storetest

import (
	"math"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/report"
)

func testDeliveriesOfImages(t *testing.T, s State) {
	ctx := t.Context()
	const c1, c2 = dormer.ClientID("c1"), dormer.ClientID("c2")
	quarter := at(0).Truncate(report.Quarter)
	d := func(client dormer.ClientID, image dormer.ImageID, finished, received time.Duration, size, fetched int64) report.Delivery {
		return report.Delivery{
			Client: client, Image: image, Finished: quarter.Add(finished), Received: quarter.Add(received),
			Delivered: report.Delivered{Size: size, Fetched: fetched},
		}
	}
	counts := func(since time.Duration, of dormer.ImageID) []report.DeliveryCount {
		t.Helper()
		return must[[]report.DeliveryCount](t)(s.Deliveries(ctx, quarter.Add(since), of))
	}
	equal(t, len(counts(-time.Hour, "")), 0)
	ok(t, s.KeepDeliveries(ctx, c1, nil))

	first := []report.Delivery{d(c1, "a", 0, time.Minute, 100, 100), d(c1, "b", 0, time.Minute, 100, 20), d(c1, "b", 0, time.Minute, 1, 1)}
	for range 2 { // again it changes nothing, the time of receipt neither
		ok(t, s.KeepDeliveries(ctx, c1, first))
		for i := range first {
			first[i].Received = first[i].Received.Add(time.Hour)
		}
	}
	ok(t, s.KeepDeliveries(ctx, c1, []report.Delivery{d(c1, "a", time.Second, 14*time.Minute, 100, 0)})) // once more
	ok(t, s.KeepDeliveries(ctx, c2, []report.Delivery{d(c2, "a", 0, 15*time.Minute, 100, 30), d(c2, "x\x00\xff", 0, 15*time.Minute, math.MaxInt32, 5)}))
	a1 := report.DeliveryCount{Time: quarter, Image: "a", Count: 2, Delivered: report.Delivered{Size: 200, Fetched: 100}}
	a2 := report.DeliveryCount{Time: quarter.Add(report.Quarter), Image: "a", Count: 1, Delivered: report.Delivered{Size: 100, Fetched: 30}}
	b := report.DeliveryCount{Time: quarter, Image: "b", Count: 1, Delivered: report.Delivered{Size: 100, Fetched: 20}}
	x := report.DeliveryCount{Time: a2.Time, Image: "x\uFFFD\uFFFD", Count: 1, Delivered: report.Delivered{Size: math.MaxInt32, Fetched: 5}}
	equal(t, counts(0, ""), []report.DeliveryCount{a1, b, a2, x})
	equal(t, counts(15*time.Minute, ""), []report.DeliveryCount{a2, x})
	equal(t, counts(0, "a"), []report.DeliveryCount{a1, a2})
	equal(t, must[map[dormer.ImageID]int64](t)(s.Receivers(ctx, quarter, "")), map[dormer.ImageID]int64{"a": 2, "b": 1, x.Image: 1})
	equal(t, must[map[dormer.ImageID]int64](t)(s.Receivers(ctx, quarter.Add(15*time.Minute), "a")), map[dormer.ImageID]int64{"a": 1})

	// The newest of a client are kept, as many as the limit says.
	var many []report.Delivery
	for i := range report.MaxDeliveries {
		many = append(many, d(c1, "m", time.Duration(i), time.Hour, 1, 0))
	}
	for i := range many {
		many[i].Finished = quarter.Add(time.Duration(i) * time.Microsecond)
	}
	ok(t, s.KeepDeliveries(ctx, c1, many))
	equal(t, counts(0, ""), []report.DeliveryCount{a2, x, {
		Time: quarter.Add(time.Hour), Image: "m", Count: report.MaxDeliveries, Delivered: report.Delivered{Size: report.MaxDeliveries},
	}})
	ok(t, s.DeleteDeliveriesBefore(ctx, quarter.Add(time.Hour)))
	equal(t, len(counts(0, "")), 1)
}

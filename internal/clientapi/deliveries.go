package clientapi

import (
	"context"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/report"
	"github.com/dormer-project/dormer/internal/wire"
)

// Deliveries keeps what clients report of images that they got whole.
type Deliveries interface {
	// KeepDeliveries stores deliveries to a client. One that is there already, as
	// client, image and Finished say, is left as it is.
	KeepDeliveries(ctx context.Context, client dormer.ClientID, list []report.Delivery) error
}

// maxDelivered is more than any image takes, in bytes.
const maxDelivered = imageformat.MaxFrames * imageformat.MaxFrameStored

// takeDeliveries stores the deliveries of a poll and puts into the answer how
// many need not be sent again: all, unless they cannot be stored. One that
// cannot be is left out, and is not heard of again.
func (a *API) takeDeliveries(ctx context.Context, client dormer.ClientID, list []wire.Delivery, now time.Time, out *wire.PollAnswer) {
	if len(list) == 0 {
		return
	}
	kept := make([]report.Delivery, 0, len(list))
	for _, d := range list {
		_, err := imageformat.ParseID(d.Image)
		if err != nil || d.Size <= 0 || d.Size > maxDelivered || d.Fetched < 0 {
			continue
		}
		kept = append(kept, report.Delivery{
			Client: client, Image: d.Image, Finished: d.Finished, Received: now,
			Delivered: report.Delivered{Size: d.Size, Fetched: min(d.Fetched, d.Size)},
		})
	}
	if len(kept) > 0 {
		if err := a.cfg.Deliveries.KeepDeliveries(ctx, client, kept); err != nil {
			a.fault(ctx, client, "deliveries of images cannot be stored", err) // they are sent again
			return
		}
	}
	out.DeliveriesTaken = len(list)
}

package agent

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire"
)

// deliveries are the images that came to be whole here, kept in FileDeliveries
// until the server has them. They are guarded by Agent.mu.
type deliveries struct {
	// Begun are images whose fetch has begun and is not at its end yet, however
	// often it was interrupted.
	Begun []begunDelivery `json:"begun,omitempty"`
	// Waiting are those that the server did not take yet, the oldest first.
	Waiting []wire.Delivery `json:"waiting,omitempty"`
}

type begunDelivery struct {
	Image dormer.ImageID `json:"image"`
	// Size is what the image takes as it is stored, Present what of it was here
	// when its first fetch began, in bytes. What is mended has neither: it was
	// delivered before.
	Size    int64 `json:"size"`
	Present int64 `json:"present"`
}

// Limits of what is remembered of deliveries; the oldest give way. See
// docs/limits.md.
const (
	maxBegun   = 256
	maxWaiting = 200
)

// begin notes that the fetch of an image begins, and what of it is here. One
// that goes on changes nothing. It reports whether anything was noted.
func (d *deliveries) begin(b begunDelivery) bool {
	if d.find(b.Image) >= 0 {
		return false
	}
	d.Begun = newest(append(d.Begun, b), maxBegun)
	return true
}

func (d *deliveries) find(id dormer.ImageID) int {
	return slices.IndexFunc(d.Begun, func(b begunDelivery) bool { return b.Image == id })
}

func newest[T any](list []T, most int) []T {
	if n := len(list) - most; n > 0 {
		return slices.Clone(list[n:])
	}
	return list
}

// deliveryBegins notes it for an image of which present of size bytes are here.
func (a *Agent) deliveryBegins(b begunDelivery) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.deliveries.begin(b) {
		a.keepDeliveries()
	}
}

// deliveryEnds notes that an image is here whole, and says for people what of it
// was fetched: ": 12 MB of 640 MB came over the network", "" when that is not
// known.
func (a *Agent) deliveryEnds(id dormer.ImageID) string {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.deliveries.find(id)
	if i < 0 {
		return ""
	}
	b := a.deliveries.Begun[i]
	a.deliveries.Begun = slices.Delete(a.deliveries.Begun, i, i+1)
	said := ""
	if b.Size > 0 {
		d := wire.Delivery{Image: id, Size: b.Size, Fetched: b.Size - b.Present, Finished: now.UTC()}
		a.deliveries.Waiting = newest(append(a.deliveries.Waiting, d), maxWaiting)
		said = fmt.Sprintf(": %s of %s came over the network", megabytes(d.Fetched), megabytes(d.Size))
	}
	a.keepDeliveries()
	return said
}

// deliveriesTaken forgets those of a request that the server has.
func (a *Agent) deliveriesTaken(taken []wire.Delivery) {
	if len(taken) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deliveries.Waiting = slices.DeleteFunc(a.deliveries.Waiting, func(d wire.Delivery) bool {
		return slices.ContainsFunc(taken, func(t wire.Delivery) bool { return t.Image == d.Image && t.Finished.Equal(d.Finished) })
	})
	a.keepDeliveries()
}

// loadDeliveries reads them. Those of a file that cannot be read are lost.
func (a *Agent) loadDeliveries() {
	if err := a.state.readJSON(FileDeliveries, &a.deliveries); err != nil {
		a.deliveries = deliveries{} // what was read before the fault
		a.log.LogAttrs(a.ctx, slog.LevelWarn, "the deliveries that the server does not know yet are lost", slog.Any("error", err))
	}
	a.endDeliveries()
}

// endDeliveries notes the end of deliveries that were whole when the agent was
// killed.
func (a *Agent) endDeliveries() {
	for _, b := range slices.Clone(a.deliveries.Begun) {
		if a.images.Has(b.Image) {
			a.deliveryEnds(b.Image)
		}
	}
}

// forgetDeliveries forgets begun deliveries of images that nobody needs any
// more: what they brought is removed.
func (a *Agent) forgetDeliveries(needed []dormer.ImageID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.deliveries.Begun)
	a.deliveries.Begun = slices.DeleteFunc(a.deliveries.Begun, func(b begunDelivery) bool { return !slices.Contains(needed, b.Image) })
	if len(a.deliveries.Begun) < n {
		a.keepDeliveries()
	}
}

// keepDeliveries writes them; the caller holds mu. Figures are not worth more
// than a line in the log.
func (a *Agent) keepDeliveries() {
	a.logError(a.ctx, "deliveries", a.state.writeJSON(FileDeliveries, &a.deliveries))
}

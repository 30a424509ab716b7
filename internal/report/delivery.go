package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
)

// MaxDeliveries is how many deliveries of one client are kept, the newest; see
// docs/limits.md.
const MaxDeliveries = 1000

// Deliveries is where deliveries of images are kept.
type Deliveries interface {
	// Deliveries counts the deliveries that were received from since on, of every
	// image in each quarter of an hour. of narrows them to an image.
	Deliveries(ctx context.Context, since time.Time, of dormer.ImageID) ([]DeliveryCount, error)
	// Receivers returns how many clients they were to, by image.
	Receivers(ctx context.Context, since time.Time, of dormer.ImageID) (map[dormer.ImageID]int64, error)
}

// Delivery is a version of an image that came to be whole on a client.
type Delivery struct {
	Client dormer.ClientID
	Image  dormer.ImageID
	// Finished is by the client's clock: with client and image it says which
	// delivery it is. Received is by the server's.
	Finished, Received time.Time
	Delivered
}

// Delivered says what deliveries cost, in bytes.
type Delivered struct {
	// Size is what the images take as they are stored, Fetched what of it came
	// over the network.
	Size, Fetched int64
}

// Saved is what did not come over the network: it was there.
func (d Delivered) Saved() int64 { return d.Size - d.Fetched }

func (d *Delivered) add(o Delivered) {
	d.Size += o.Size
	d.Fetched += o.Fetched
}

// DeliveryCount are the deliveries of an image in a quarter of an hour.
type DeliveryCount struct {
	Time  time.Time // its beginning
	Image dormer.ImageID
	Count int64
	Delivered
}

// DeliveryReport is what deliveries of a time cost and saved.
type DeliveryReport struct {
	Zone  *time.Location
	Count int64
	Delivered
	Days []DeliveryDay
	// Images are those that were delivered, the largest saving first.
	Images []DeliveredImage
}

// DeliveryDay is what was delivered on a day.
type DeliveryDay struct {
	Begins time.Time
	Count  int64
	Delivered
}

// DeliveredImage is what the deliveries of one version were.
type DeliveredImage struct {
	// Image is empty for all together that are no version that is known here,
	// unless one was asked for.
	Image dormer.ImageID
	Name  string // NAME/NUMBER
	// Clients is how many have got it, 0 where Image is empty.
	Clients, Count int64
	Delivered
}

// Delivery returns what the deliveries of the last days cost, today included, by
// the day of their receipt; of narrows it to an image. The days begin in the
// zone of that name. 0 days means DefaultTrendDays. ErrInvalid names what is
// wrong; fewer days are to be asked for where it takes too long.
func (r *Reporter) Delivery(ctx context.Context, days int, zone string, of dormer.ImageID) (DeliveryReport, error) {
	begins, in, err := r.lastDays(days, zone)
	d := DeliveryReport{Zone: in}
	if err != nil {
		return d, err
	}
	for _, b := range begins {
		d.Days = append(d.Days, DeliveryDay{Begins: b})
	}
	counts, clients, err := r.delivered(ctx, begins[0], of)
	if err != nil {
		return d, err
	}
	places := map[dormer.ImageID]int{}
	for _, c := range counts {
		d.Count += c.Count
		d.add(c.Delivered)
		day := &d.Days[dayOf(begins, c.Time)]
		day.Count += c.Count
		day.add(c.Delivered)
		called, id := r.c.ImageName(c.Image), c.Image
		if called == "" && of == "" {
			id = "" // deleted, too new, or nothing but a client's word
		}
		i, ok := places[id]
		if !ok {
			i = len(d.Images)
			places[id] = i
			d.Images = append(d.Images, DeliveredImage{Image: id, Name: called, Clients: clients[id]})
		}
		d.Images[i].Count += c.Count
		d.Images[i].add(c.Delivered)
	}
	slices.SortFunc(d.Images, func(a, b DeliveredImage) int {
		return cmp.Or(cmp.Compare(b.Saved(), a.Saved()), cmp.Compare(a.Name, b.Name))
	})
	return d, nil
}

// delivered counts deliveries, and the clients that they were to, within the
// time of a page.
func (r *Reporter) delivered(ctx context.Context, since time.Time, of dormer.ImageID) ([]DeliveryCount, map[dormer.ImageID]int64, error) {
	limited, cancel := context.WithTimeout(ctx, r.c.PageTime)
	defer cancel()
	counts, err := r.c.Deliveries.Deliveries(limited, since, of)
	var clients map[dormer.ImageID]int64
	if err == nil {
		clients, err = r.c.Deliveries.Receivers(limited, since, of)
	}
	switch {
	case err == nil:
		return counts, clients, nil
	case ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded):
		return nil, nil, dormer.Invalidf("days", "asks for a report that takes longer than %s: narrow it with fewer days, or to an image", r.c.PageTime)
	default:
		return nil, nil, fmt.Errorf("count deliveries: %w", err)
	}
}

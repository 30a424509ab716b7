package server

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/store"
)

// reportState is what the status report is made from: the store, with signs of
// life and reports of machines that were not written yet.
type reportState struct {
	*store.State
	enrolment *enroll.Service
	issuer    *lease.Issuer
}

// Machines returns all machines as their clients last reported them: what
// waits in memory is written first.
func (r reportState) Machines(ctx context.Context) ([]lease.Machine, error) {
	if err := r.issuer.Flush(ctx); err != nil {
		return nil, err
	}
	return r.State.Machines(ctx)
}

// Clients returns all clients with their newest signs of life.
func (r reportState) Clients(ctx context.Context) ([]enroll.Client, error) {
	return r.enrolment.Clients(ctx)
}

// Times of imageNames.
const (
	namesAge  = 15 * time.Second // an unknown image is looked for again after so long
	namesTime = 10 * time.Second // reading the names may take so long
)

// imageNames remembers which image is which version, for reports. An image of
// several names has the newest.
type imageNames struct {
	images *imagerepo.Repository
	now    func() time.Time
	logger *slog.Logger

	mu   sync.Mutex // guards the fields below
	byID map[dormer.ImageID]string
	read time.Time
}

// name returns NAME/NUMBER, or "" for an image that no version is.
func (n *imageNames) name(id dormer.ImageID) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.byID[id]
	if ok || n.now().Sub(n.read) < namesAge {
		return name
	}
	ctx, cancel := context.WithTimeout(context.Background(), namesTime)
	defer cancel()
	byID, err := readNames(ctx, n.images)
	if err != nil {
		n.logger.LogAttrs(ctx, slog.LevelWarn, "names of images are not known now", slog.String("error", err.Error()))
		byID = n.byID
	}
	n.byID, n.read = byID, n.now()
	return n.byID[id]
}

func readNames(ctx context.Context, images *imagerepo.Repository) (map[dormer.ImageID]string, error) {
	names, err := images.Names(ctx)
	if err != nil {
		return nil, err
	}
	byID := map[dormer.ImageID]string{}
	newest := map[dormer.ImageID]time.Time{}
	for _, name := range names {
		versions, err := images.Versions(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if !v.Created.Before(newest[v.Image]) {
				byID[v.Image], newest[v.Image] = v.Name+"/"+strconv.Itoa(v.Number), v.Created
			}
		}
	}
	return byID, nil
}

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/imagerepo"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/plan/observation"
	"github.com/dormer-project/dormer/internal/report"
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

// MachinesOf returns those of a client, with "" all, likewise.
func (r reportState) MachinesOf(ctx context.Context, of dormer.ClientID) ([]lease.Machine, error) {
	if err := r.issuer.Flush(ctx); err != nil {
		return nil, err
	}
	return r.State.MachinesOf(ctx, of)
}

// ClientsOf returns a client, with "" all, with the newest signs of life.
func (r reportState) ClientsOf(ctx context.Context, of dormer.ClientID) ([]enroll.Client, error) {
	if of == "" {
		return r.enrolment.Clients(ctx)
	}
	c, err := r.enrolment.Client(ctx, of)
	if errors.Is(err, dormer.ErrNotFound) {
		return nil, nil
	}
	return []enroll.Client{c}, err
}

// Clients returns all clients with their newest signs of life.
func (r reportState) Clients(ctx context.Context) ([]enroll.Client, error) {
	return r.enrolment.Clients(ctx)
}

// makeReports puts together what reports are made from.
func (s *Server) makeReports(ctx context.Context, names *imageNames) error {
	c := report.Config{
		Instance: s.instance, State: s.reportState(), Events: s.events.Reports(),
		Deliveries: s.state, Saved: s.state, ImageName: names.name, ConnectedWithin: s.connectedWithin(), Now: s.deps.Now,
	}
	if s.cfg.Events.ReportsDSN != "" {
		others, err := store.OpenReports(ctx, s.cfg.Events.ReportsDSN, store.Options{})
		if err != nil {
			return fmt.Errorf("setting events.reports_dsn: %w", err)
		}
		s.onClose(others.Close)
		c.Others = others
	}
	s.reports = report.New(c)
	return nil
}

func (s *Server) reportState() reportState {
	return reportState{State: s.state, enrolment: s.enrolment, issuer: s.issuer}
}

// connectedWithin is how long after its last poll a client counts as on-line.
func (s *Server) connectedWithin() time.Duration {
	return 3 * time.Duration(s.cfg.Clients.PollInterval)
}

// observer looks at this instance for plans.
func (s *Server) observer() *observation.Observer {
	return &observation.Observer{
		Instance: s.instance, Server: s.publicURLs[0], Events: s.events.Reports(), State: s.reportState(), Images: s.images,
		ConnectedWithin: s.connectedWithin(), Now: s.deps.Now,
	}
}

// Intervals of trends.
const sampleInterval = 10 * time.Minute

// sampleTrends counts what trends are made of, from the start on.
func (s *Server) sampleTrends(ctx context.Context) error {
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	for {
		if err := s.sample(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sample counts clients and versions now, and events of the time that is over.
func (s *Server) sample(ctx context.Context) error {
	samples, err := s.reports.Sample(ctx)
	if err != nil {
		return err
	}
	if err := s.events.AddSamples(ctx, s.instance, samples); err != nil {
		return err
	}
	if err := s.events.CountEvents(ctx, s.instance, s.deps.Now()); err != nil {
		return err
	}
	before := s.deps.Now().AddDate(0, 0, -report.MaxTrendDays)
	return errors.Join(s.events.DeleteTrendsBefore(ctx, s.instance, before), s.state.DeleteDeliveriesBefore(ctx, before))
}

// retainAudit removes records that are older than the configuration keeps.
func (s *Server) retainAudit(ctx context.Context) error {
	if s.cfg.Audit.RetentionDays == 0 {
		return nil
	}
	n, err := s.state.DeleteRecordsBefore(ctx, s.deps.Now().AddDate(0, 0, -s.cfg.Audit.RetentionDays))
	if err != nil {
		return fmt.Errorf("remove old records of the audit log: %w", err)
	}
	if n > 0 {
		s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "old records of the audit log removed", slog.Int64("records", n))
	}
	return nil
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
	all, err := images.Holdings(ctx)
	if err != nil {
		return nil, err
	}
	byID := map[dormer.ImageID]string{}
	newest := map[dormer.ImageID]time.Time{}
	for _, h := range all {
		for _, v := range h.Versions {
			if !v.Created.Before(newest[v.Image]) {
				byID[v.Image], newest[v.Image] = v.Name+"/"+strconv.Itoa(v.Number), v.Created
			}
		}
	}
	return byID, nil
}

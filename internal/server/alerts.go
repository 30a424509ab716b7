package server

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/alert"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
)

// maxOpenAlerts bounds what is counted of them.
const maxOpenAlerts = 10_000

// makeAlerts makes what looks after alerts.
func (s *Server) makeAlerts(context.Context) error {
	cfg := alert.Config{
		Instance: s.instance, Store: s.events, Events: s.events, Rules: s.state, Observe: s.observeForAlerts,
		Tell: s.tell, Now: s.deps.Now, Logger: s.deps.Logger,
	}
	var err error
	if cfg.Turns, cfg.Holder, err = s.turns(); err != nil {
		return err
	}
	s.alerts = alert.New(cfg)
	s.openAlerts = s.countAlerts
	return nil
}

// turns says how the servers of the instance take turns, and how this one is
// called then; nil where no other server can be.
func (s *Server) turns() (event.Turns, string, error) {
	if strings.HasPrefix(s.cfg.stateDSN(), "sqlite:") {
		return nil, "", nil
	}
	holder, err := dormer.NewID(s.deps.Random)
	return s.events, holder, err
}

// stored is told of what was stored: alerts and forwarding go on.
func (s *Server) stored([]event.Batch) {
	s.alerts.Wake()
	s.forwarding.Wake()
}

// countAlerts counts the open alerts.
func (s *Server) countAlerts(ctx context.Context) (map[dormer.Severity]int, error) {
	list, err := s.alerts.Alerts(ctx, alert.Query{Open: true, Limit: maxOpenAlerts})
	if err != nil {
		return nil, err
	}
	n := map[dormer.Severity]int{dormer.Warning: 0, dormer.Error: 0}
	for _, a := range list {
		n[a.Severity]++
	}
	return n, nil
}

// sweepAlerts removes alerts that were cleared before the events that are kept.
func (s *Server) sweepAlerts(ctx context.Context) error {
	if s.cfg.Events.RetentionDays == 0 {
		return nil
	}
	return s.alerts.Sweep(ctx, s.deps.Now().Add(-time.Duration(s.cfg.Events.RetentionDays)*24*time.Hour))
}

// observeForAlerts says how the server is, in the words of rules.
func (s *Server) observeForAlerts(ctx context.Context) ([]alert.Observation, error) {
	o, err := s.observe(ctx)
	if err != nil {
		return nil, err
	}
	list := observations(o)
	for _, f := range s.forwarding.Receivers() {
		list = append(list, alert.Observation{Kind: alert.ForwardingFails, Subject: f.Name, Value: oneIf(f.Failing)})
	}
	// While the state database does not answer they wait as they did.
	if waiting, err := s.issuer.Deletions(ctx); err == nil {
		halted := int64(0)
		for _, d := range waiting {
			if d.State == lease.DeletionHalted {
				halted++
			}
		}
		s.halted.Store(halted)
	}
	return append(list, alert.Observation{Kind: alert.DeletionsHalted, Subject: "machines", Value: float64(s.halted.Load())}), nil
}

// observations translates what was observed. Of what could not be looked at
// nothing is said.
func observations(o Observed) []alert.Observation {
	const gib = 1 << 30
	var list []alert.Observation
	add := func(kind alert.Kind, subject, shown string, value float64) {
		list = append(list, alert.Observation{Kind: kind, Subject: subject, Shown: shown, Value: value})
	}
	for i, d := range o.Disks {
		// Folders on one disk fill up together, and that is told once.
		told := slices.ContainsFunc(o.Disks[:i], func(e ObservedDisk) bool { return e.Total > 0 && e.system == d.system })
		if d.Total > 0 && !told {
			add(alert.DiskUsed, d.Name, "", 100*(1-float64(d.Free)/float64(d.Total)))
		}
	}
	for _, d := range o.Databases {
		away := !d.Up || d.Name == "events" && o.Ingest.Away
		add(alert.DatabaseAway, d.Name, "", oneIf(away))
		add(alert.DatabaseSize, d.Name, "", float64(d.Bytes)/gib)
	}
	for _, c := range o.Certificates {
		if !c.Ends.IsZero() {
			add(alert.CertificateDays, c.Name, "", math.Floor(c.Ends.Sub(o.At).Hours()/24))
		}
	}
	for _, c := range o.Clients.Beyond {
		add(alert.ClientBeyond, string(c.ID), c.Host, 1)
	}
	if !o.Clients.At.IsZero() {
		add(alert.ClientsConnected, "clients", "", float64(o.Clients.Online))
	}
	if o.Standby.Configured {
		add(alert.ReplicaBehind, "replica", "", math.Floor(o.Standby.Lag.Seconds()))
	}
	for _, d := range o.Directories {
		add(alert.DirectoryAway, d.Name, "", oneIf(d.Problem != ""))
	}
	if o.Ingest.QueueLimit > 0 {
		add(alert.EventsWaiting, "queue", "", 100*float64(o.Ingest.Queued)/float64(o.Ingest.QueueLimit))
	}
	return list
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

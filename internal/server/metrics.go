package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/metrics"
	"github.com/dormer-project/dormer/internal/workspace"
)

// makeMetrics makes what Prometheus reads.
func (s *Server) makeMetrics(context.Context) error {
	var err error
	s.metrics, err = metrics.New(metrics.Config{Version: s.deps.Version, Collect: s.collect, Logger: s.deps.Logger})
	return err
}

// listenForMetrics opens the listener of [metrics]; nil when there is none.
func (s *Server) listenForMetrics(ctx context.Context) (net.Listener, error) {
	if s.cfg.Metrics.Listen == "" {
		return nil, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Metrics.Listen)
	if err != nil {
		return nil, fmt.Errorf("setting metrics.listen: %w", err)
	}
	s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "listening for scrapes of metrics", slog.String("address", l.Addr().String()))
	return l, nil
}

// scraped answers at the listener of [metrics].
func (s *Server) scraped() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	return mux
}

// collect sets the metrics of one scrape.
func (s *Server) collect(ctx context.Context, set metrics.Set) {
	o, err := s.observe(ctx)
	if err != nil {
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "metrics are not complete", slog.String("error", err.Error()))
		return
	}
	set(metrics.Fenced, flag(o.Fenced))
	for _, d := range o.Databases {
		set(metrics.DatabaseUp, flag(d.Up), d.Name)
		set(metrics.DatabaseSize, float64(d.Bytes), d.Name)
		for _, p := range d.Pools {
			set(metrics.DatabaseOpen, float64(p.Open), d.Name, p.Name)
			set(metrics.DatabaseInUse, float64(p.InUse), d.Name, p.Name)
			set(metrics.DatabaseWaits, float64(p.Waits), d.Name, p.Name)
			set(metrics.DatabaseWaitedTime, p.Waited.Seconds(), d.Name, p.Name)
		}
	}
	for _, d := range o.Disks {
		if d.Problem == "" {
			set(metrics.DiskFree, float64(d.Free), d.Name)
			set(metrics.DiskTotal, float64(d.Total), d.Name)
		}
	}
	if !o.Clients.At.IsZero() {
		set(metrics.Clients, float64(o.Clients.Online), "online")
		set(metrics.Clients, float64(o.Clients.Offline), "offline")
		set(metrics.Clients, float64(o.Clients.Revoked), "revoked")
		set(metrics.ClientsBeyondLimit, float64(o.Clients.BeyondLimit))
		for state, n := range machineStates(o.Machines) {
			set(metrics.Machines, float64(n), state)
		}
	}
	for _, c := range o.Certificates {
		if !c.Ends.IsZero() {
			set(metrics.CertificateEnds, seconds(c.Ends), c.Name)
		}
	}
	for _, d := range o.Directories {
		set(metrics.DirectoryUp, flag(d.Problem == ""), d.Name)
	}
	if o.Standby.Configured {
		set(metrics.StandbyUp, flag(o.Standby.Problem == ""))
		set(metrics.StandbyLag, o.Standby.Lag.Seconds())
	}
	for _, t := range o.Tasks {
		set(metrics.TaskRuns, float64(t.Runs), t.Name)
		set(metrics.TaskFailures, float64(t.Failures), t.Name)
		if !t.Success.IsZero() {
			set(metrics.TaskSuccess, seconds(t.Success), t.Name)
		}
	}
	if s.openAlerts != nil {
		if open, err := s.openAlerts(ctx); err == nil { // the events database says what is the matter
			for _, severity := range []dormer.Severity{dormer.Information, dormer.Warning, dormer.Error} {
				set(metrics.Alerts, float64(open[severity]), string(severity))
			}
		}
	}
	s.collectEvents(set)
}

// collectEvents sets what the ingester counts, as it is now.
func (s *Server) collectEvents(set metrics.Set) {
	i := s.ingester.Stats()
	set(metrics.EventsStored, float64(i.Events))
	set(metrics.EventsBatches, float64(i.Batches))
	set(metrics.EventsCommits, float64(i.Commits))
	set(metrics.EventsRepeated, float64(i.Repeats))
	set(metrics.EventsRefused, float64(i.Refused))
	set(metrics.EventsCondensed, float64(i.Condensed))
	set(metrics.EventsBusy, float64(i.Busy))
	set(metrics.EventsQueued, float64(i.Queued))
	set(metrics.EventsQueueLimit, float64(i.QueueLimit))
	set(metrics.EventsAway, flag(i.Away))
	set(metrics.EventsUnsafe, float64(i.Unsafe))
	if !i.LastCommit.IsZero() {
		set(metrics.EventsCommitTime, seconds(i.LastCommit))
		set(metrics.EventsCommitDuration, i.LastDuration.Seconds())
	}
}

// machineStates counts machines by the states that there are: a client may
// report anything.
func machineStates(reported map[string]int) map[string]int {
	by := map[string]int{"unknown": 0}
	for _, s := range workspace.AllStates {
		by[string(s)] = 0
	}
	for state, n := range reported {
		if _, ok := by[state]; !ok {
			state = "unknown"
		}
		by[state] += n
	}
	return by
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

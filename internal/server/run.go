package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/lease"
)

// Times of the listeners.
const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	stopTime   = 20 * time.Second // for requests under way when the server stops
	// maxHeader bounds the headers of a request, in bytes: a Kerberos token of
	// kerberos.MaxToken bytes has a third more in base64.
	maxHeader = 96 << 10
)

// Run listens, serves and does the background work until ctx ends; then it
// lets requests finish and returns nil.
func (s *Server) Run(ctx context.Context) error {
	listeners, err := s.listen(ctx)
	if err != nil {
		return err
	}
	challenges, err := s.listenForChallenges(ctx)
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	scrapes, err := s.listenForMetrics(ctx)
	if err != nil {
		return errors.Join(err, closeAll(append(listeners, challenges)))
	}
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	backgroundDone := make(chan error, 1)
	go func() { backgroundDone <- s.Background(background) }()

	h := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, len(listeners)+2)
	addresses := make([]net.Addr, len(listeners))
	for i, l := range listeners {
		addresses[i] = l.Addr()
		s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("address", l.Addr().String()), slog.Bool("tls", s.certs != nil))
		go func() { failed <- h.Serve(s.secure(l)) }()
	}
	plain := &http.Server{ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader, ErrorLog: h.ErrorLog}
	if challenges != nil {
		plain.Handler = s.certs.acme.challenges(s.publicURLs[0])
		s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "listening for challenges", slog.String("address", challenges.Addr().String()))
		go func() { failed <- plain.Serve(challenges) }()
	}
	if err := s.tellPromoted(); err != nil {
		s.deps.Logger.LogAttrs(ctx, slog.LevelWarn, "the promotion is not told", slog.String("error", err.Error()))
	}
	s.tell(event.ServerStarted, s.deps.Version)
	scraped := &http.Server{Handler: s.scraped(), ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, IdleTimeout: idleTime, ErrorLog: h.ErrorLog}
	if scrapes != nil {
		go func() { failed <- scraped.Serve(scrapes) }()
	}
	if s.deps.Listening != nil {
		s.deps.Listening(addresses)
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	s.stopping.Store(true)
	s.notices.Stop() // or requests would be waited for that never end
	s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "stopping")
	// Background work goes on meanwhile: requests wait for commits of events.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if e := h.Shutdown(stop); e != nil {
		err = errors.Join(err, h.Close())
	}
	err = errors.Join(err, plain.Close(), scraped.Close())
	s.tellStop(stop)
	stopBackground()
	return errors.Join(err, <-backgroundDone)
}

func (s *Server) listen(ctx context.Context) ([]net.Listener, error) {
	var all []net.Listener
	for i, address := range s.cfg.Listen {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("setting listen[%d]: %w", i, err), closeAll(all))
		}
		all = append(all, l)
	}
	return all, nil
}

// listenForChallenges opens the port for an ACME server's requests over plain
// HTTP; nil when there is none.
func (s *Server) listenForChallenges(ctx context.Context) (net.Listener, error) {
	if s.certs == nil || s.certs.acme == nil || s.cfg.TLS.ACME.HTTPListen == "" {
		return nil, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.TLS.ACME.HTTPListen)
	if err != nil {
		return nil, fmt.Errorf("setting tls.acme.http_listen: %w", err)
	}
	return l, nil
}

func closeAll(listeners []net.Listener) error {
	var all error
	for _, l := range listeners {
		if l != nil {
			all = errors.Join(all, l.Close())
		}
	}
	return all
}

func (s *Server) secure(l net.Listener) net.Listener {
	if s.certs == nil {
		return l
	}
	return tls.NewListener(l, s.certs.config)
}

// Intervals of background work.
const (
	refreshInterval = time.Minute
	usersInterval   = 5 * time.Minute
	sweepInterval   = time.Hour
)

// Background does what goes on beside requests until ctx ends: it stores
// events and signs of life, follows what other servers of the instance change,
// renews certificates, and removes what is over. When it returns everything
// accepted is stored.
func (s *Server) Background(ctx context.Context) error {
	tasks := []task{
		{name: "events", run: s.ingester.Run},
		{name: "events of the server", run: func(ctx context.Context) error { return s.journal.run(ctx, s.ingester) }},
		{name: "clients", run: s.clients.Run},
		every("key set", refreshInterval, s.ring.Refresh),
		every("sessions", sweepInterval, s.access.Sweep),
		every("ended sessions", refreshInterval, s.access.Follow),
		every("ended sessions on clients", usersInterval, s.access.FollowUsers),
		every("images", sweepInterval, s.sweepImages),
		every("retention", sweepInterval, s.retain),
		every("retention of the audit log", sweepInterval, s.retainAudit),
		every("retention of diagnostics", sweepInterval, func(ctx context.Context) error {
			return s.state.ExpireDiagnostics(ctx, s.deps.Now().Add(-lease.DiagnosticsAge))
		}),
		{name: "trends", run: s.sampleTrends},
		every("prepared computers", refreshInterval, s.joins.TakeBack),
		every("first operator", sweepInterval, s.first.tidy),
		{name: "directories", run: s.examinePeople},
		{name: "alerts", run: s.alerts.Run},
		{name: "notices", run: s.notices.Run},
		{name: "forwarding", run: s.forwarding.Run},
		every("old alerts", sweepInterval, s.sweepAlerts),
		every("watch", observeAge, s.keepWatch),
	}
	if s.certs != nil {
		tasks = append(tasks, every("certificates", sweepInterval, func(context.Context) error { return s.certs.Renew() }))
		if s.certs.acme != nil {
			tasks = append(tasks, task{name: "issue of certificates", run: s.certs.acme.keep})
		}
	}
	tasks = append(tasks, s.standbyTasks()...)
	supervise(ctx, s.deps.Logger, &s.watch.tasks, tasks)
	return s.access.FlushAPITokens(context.WithoutCancel(ctx))
}

func (s *Server) sweepImages(ctx context.Context) error {
	swept, err := s.images.Sweep(ctx)
	if err != nil {
		return fmt.Errorf("sweep images: %w", err)
	}
	if swept.Deleted > 0 {
		s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "images swept", slog.Int("objects", swept.Deleted), slog.Int64("bytes", swept.Freed))
	}
	return nil
}

// retain removes events that are older than the configuration keeps, by whole
// days: on PostgreSQL each is a table that goes at once.
func (s *Server) retain(ctx context.Context) error {
	if s.cfg.Events.RetentionDays == 0 {
		return nil
	}
	const day = 24 * time.Hour
	before := s.deps.Now().UTC().Truncate(day).Add(-time.Duration(s.cfg.Events.RetentionDays) * day)
	n, err := s.events.DeleteEventsBefore(ctx, s.instance, before)
	if err != nil {
		return fmt.Errorf("remove old events: %w", err)
	}
	if n > 0 {
		s.deps.Logger.LogAttrs(ctx, slog.LevelInfo, "old events removed", slog.Int64("events", n))
		s.tell(event.EventsRemoved, fmt.Sprintf("%d received before %s", n, before.Format(time.DateOnly)))
	}
	return nil
}

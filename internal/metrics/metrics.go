// Package metrics shows to Prometheus how a server is: what the table below
// lists, requests over HTTP, and what the client library knows of the process.
// Only the server's composition root imports it, and nothing else imports the
// client library.
//
// No label ever names a client, a user or a workspace: the number of series
// does not grow with the instance.
package metrics

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of scrapes.
const (
	scrapeTime = 10 * time.Second
	scrapes    = 4 // at once
)

// Config is what metrics are made of. All fields are needed.
type Config struct {
	// Version of the program.
	Version string
	// Collect is called for each scrape and sets what it knows. What it does not
	// set is absent.
	Collect func(ctx context.Context, set Set)
	Logger  *slog.Logger
}

// Set sets a metric of the table to a value; labels are the values of its
// labels in their order.
type Set func(name Name, value float64, labels ...string)

// Metrics are those of one server. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	logger   *slog.Logger

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	received *prometheus.CounterVec
	sent     *prometheus.CounterVec
	inFlight prometheus.Gauge
}

// New returns the metrics of a server.
func New(c Config) (*Metrics, error) {
	route := []string{"method", "route"}
	m := &Metrics{
		registry: prometheus.NewRegistry(), logger: c.Logger,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dormer_http_requests_total", Help: "Requests that were answered, by route and class of the status.",
		}, append(route, "code")),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dormer_http_request_duration_seconds", Help: "Time from the head of a request to the end of its answer.",
			Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 10, 60},
		}, route),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dormer_http_received_bytes_total", Help: "Bytes of the bodies of requests, compressed as they came.",
		}, route),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dormer_http_sent_bytes_total", Help: "Bytes of the bodies of answers.",
		}, route),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dormer_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "dormer_build_info", Help: "Always 1; its labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": c.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	for _, one := range []prometheus.Collector{
		m.requests, m.duration, m.received, m.sent, m.inFlight, build, &collector{collect: c.Collect, described: describe()},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.registry.Register(one); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// Handler answers scrapes. It lets everybody in.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry: m.registry, Timeout: scrapeTime, MaxRequestsInFlight: scrapes, ErrorHandling: promhttp.ContinueOnError,
		ErrorLog: slog.NewLogLogger(m.logger.Handler(), slog.LevelError),
	})
}

// methods are those that stand in labels; a request may name any.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// Measure measures the requests that next answers, under the pattern of the
// innermost http.ServeMux that they reach.
func (m *Metrics) Measure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now() // its monotonic part is what counts
		m.inFlight.Inc()
		out := &answer{ResponseWriter: w}
		in := &body{ReadCloser: r.Body}
		r.Body = in
		ended := false
		defer func() {
			if !ended && out.status == 0 {
				out.status = http.StatusInternalServerError // a panic
			}
			method, route := labels(r)
			m.inFlight.Dec()
			m.requests.WithLabelValues(method, route, strconv.Itoa(max(out.status, http.StatusOK)/100)+"xx").Inc()
			m.duration.WithLabelValues(method, route).Observe(time.Since(began).Seconds())
			m.received.WithLabelValues(method, route).Add(float64(in.bytes))
			m.sent.WithLabelValues(method, route).Add(float64(out.bytes))
		}()
		next.ServeHTTP(out, r)
		ended = true
	})
}

// labels are the method and the route of a request, from sets that no caller
// can make larger.
func labels(r *http.Request) (method, route string) {
	method, route = r.Method, r.Pattern
	if _, path, ok := strings.Cut(route, " "); ok {
		route = path
	}
	if route == "" {
		route = "none"
	}
	if !slices.Contains(methods, method) {
		method = "other"
	}
	return method, route
}

// answer notes what was answered.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// body counts what is read of a request.
type body struct {
	io.ReadCloser
	bytes int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes += int64(n)
	return n, err
}

package httpapi

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
)

// Remote returns the address that a request came from. X-Forwarded-For counts
// as far as it was written by proxies that are trusted.
func Remote(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	isTrusted := func(s string) bool {
		ip, err := netip.ParseAddr(s)
		return err == nil && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for len(hops) > 0 && isTrusted(host) {
		next := strings.TrimSpace(hops[len(hops)-1])
		ip, err := netip.ParseAddr(next)
		if err != nil {
			break
		}
		host, hops = ip.String(), hops[:len(hops)-1]
	}
	return host
}

// Front puts around next what holds for every request: an identity, a time
// limit (which streams extend as bytes flow), headers that keep browsers from
// misusing answers, a line in the log (for people when logged says so, else for
// those who look for mistakes), and an answer when a handler panics. The
// identity is in the answer, in what is logged and audited for the request, and
// is that of a trusted proxy if it gave one.
func Front(next http.Handler, logger *slog.Logger, now func() time.Time, random io.Reader, trusted []netip.Prefix, logged func(*http.Request) bool) http.Handler {
	logger = slog.New(LogRequests(logger.Handler()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := now()
		id := proxied(r, trusted)
		if id == "" {
			var err error
			if id, err = dormer.NewID(random); err != nil {
				problem.Write(w, fmt.Errorf("make request identity: %w", err))
				return
			}
		}
		r = r.WithContext(withRequest(r.Context(), id))
		h := w.Header()
		h.Set(problem.RequestHeader, id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		deadlines(w, requestTime)
		rec := &recorder{ResponseWriter: w}
		defer func() {
			fault := recover()
			aborted := fault == http.ErrAbortHandler //nolint:errorlint // what net/http compares with
			if fault != nil && !aborted {
				logger.LogAttrs(r.Context(), slog.LevelError, "request panicked",
					slog.String("method", r.Method), slog.String("fault", fmt.Sprint(fault)), slog.String("stack", string(debug.Stack())))
				if aborted = rec.status != 0; !aborted {
					problem.Write(rec, fmt.Errorf("request panicked"))
				}
			}
			level := slog.LevelDebug
			if logged(r) {
				level = slog.LevelInfo
			}
			if logger.Enabled(r.Context(), level) {
				logger.LogAttrs(r.Context(), level, "request",
					slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes),
					slog.Duration("took", now().Sub(began)), slog.String("remote", Remote(r, trusted)))
			}
			if aborted {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// deadlines cuts the connection when reading or writing takes longer. What
// serves a request in a test may know no deadlines.
func deadlines(w http.ResponseWriter, d time.Duration) {
	control := http.NewResponseController(w)
	at := time.Now().Add(d)
	_ = control.SetReadDeadline(at)
	_ = control.SetWriteDeadline(at)
}

// Flowing cuts downloads that stand still for longer than stall. They may take
// as long as they need otherwise.
func Flowing(next http.Handler, stall time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&flowingWriter{ResponseWriter: w, stall: stall}, r)
	})
}

type flowingWriter struct {
	http.ResponseWriter
	stall time.Duration
}

func (f *flowingWriter) Write(b []byte) (int, error) {
	deadlines(f.ResponseWriter, f.stall)
	return f.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (f *flowingWriter) Unwrap() http.ResponseWriter { return f.ResponseWriter }

package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
)

// proxyRequestHeader is the identity that a proxy gave a request.
const proxyRequestHeader = "X-Request-Id"

// maxRequestID bounds the identity of a request that a proxy chose, in bytes.
const maxRequestID = 64

// requestKey is the key of a request's identity in its context.
type requestKey struct{}

// withRequest puts the identity of a request into its context.
func withRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// proxied is the identity that a trusted proxy in front of the server gave the
// request, if it can stand in logs and headers; else "".
func proxied(r *http.Request, trusted []netip.Prefix) string {
	id := r.Header.Get(proxyRequestHeader)
	if id == "" || len(id) > maxRequestID {
		return ""
	}
	for _, c := range []byte(id) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return ""
		}
	}
	if !fromProxy(r, trusted) {
		return ""
	}
	return id
}

// fromProxy reports whether a request came from a proxy that is trusted.
func fromProxy(r *http.Request, trusted []netip.Prefix) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) })
}

// LogRequests adds to what is logged on behalf of a request the identity of
// that. Doing it twice is doing it once.
func LogRequests(h slog.Handler) slog.Handler {
	if done, ok := h.(requestHandler); ok {
		return done
	}
	return requestHandler{h}
}

// requestHandler is a slog.Handler that looks into contexts.
type requestHandler struct {
	slog.Handler
}

// Handle implements slog.Handler.
func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if id, ok := ctx.Value(requestKey{}).(string); ok {
		r = r.Clone()
		r.AddAttrs(slog.String("request", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}

package problem

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/dormer-project/dormer/internal/wire"
)

// Write answers with the document for err.
func Write(w http.ResponseWriter, err error) { Answer(w, Of(err)) }

// Answer answers with a document.
func Answer(w http.ResponseWriter, p wire.Problem) {
	p.Request = w.Header().Get(RequestHeader)
	b, mistake := json.Marshal(p)
	if mistake != nil {
		panic("problem: a problem always marshals: " + mistake.Error())
	}
	h := w.Header()
	h.Del("ETag")
	h.Del("Content-Length")
	h.Del("Content-Encoding")
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(p.Status)
	// The caller may be gone; nobody is left to be told.
	_, _ = w.Write(append(b, '\n'))
}

// Handler adapts a handler that returns an error. Faults of the server (status
// 500) are logged, since their text does not reach the caller. An error after
// the answer has begun cuts the connection, so that half an answer is not
// taken for a whole one.
func Handler(logger *slog.Logger, h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &tracked{ResponseWriter: w}
		err := h(t, r)
		if err == nil {
			return
		}
		if Of(err).Status == http.StatusInternalServerError {
			logger.LogAttrs(r.Context(), slog.LevelError, "request met a fault",
				slog.String("method", r.Method), slog.String("route", r.Pattern), slog.String("error", err.Error()))
		}
		if t.begun {
			panic(http.ErrAbortHandler)
		}
		Write(w, err)
	})
}

// RequestHeader carries the identity of a request in its answer.
const RequestHeader = "Dormer-Request"

// tracked notes whether an answer has begun.
type tracked struct {
	http.ResponseWriter
	begun bool
}

func (t *tracked) WriteHeader(status int) {
	t.begun = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(b []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

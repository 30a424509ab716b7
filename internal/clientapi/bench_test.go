package clientapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// discard is a response writer that keeps nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkPoll measures a poll in which nothing changed, without the network:
// routing, token, decoding, session, decision, signature and encoding.
func BenchmarkPoll(b *testing.B) {
	s, c, _ := ready(b)
	c.poll()
	body, err := json.Marshal(c.request())
	if err != nil {
		b.Fatal(err)
	}
	if s.log.Len() > 0 {
		b.Fatal(s.log)
	}
	b.ReportAllocs()
	start := processorTime()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, wire.PathPoll, bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+c.token)
		w := &discard{header: http.Header{}}
		s.http.ServeHTTP(w, r)
		if w.status != 0 && w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
	if used := processorTime() - start; used > 0 {
		b.ReportMetric(float64(b.N)/used.Seconds(), "polls/cpu-s")
	}
}

// BenchmarkSign is the part of a poll that the signature of the answer takes.
func BenchmarkSign(b *testing.B) {
	s := newServer(b)
	payload := bytes.Repeat([]byte{'x'}, 400)
	for b.Loop() {
		_ = s.key.Sign(seal.TypeAnswer, payload).Bytes()
	}
}

package agentapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
)

// serveRecorder serves a on a socket of its own.
func serveRecorder(t *testing.T, a *recorder) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "agent.sock")
	l, err := Listen(t.Context(), socket, false)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(a, slog.New(slog.DiscardHandler))
	// A connection of a session process lives longer than any request.
	s.ReadTimeout = 100 * time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return NewClient(socket)
}

func TestDesk(t *testing.T) {
	desks := make(chan *Desk, 1)
	a := &recorder{take: func(c net.Conn) {
		d, err := NewDesk(t.Context(), c)
		if err != nil {
			t.Error(err)
			return
		}
		desks <- d
		<-d.Done()
	}}
	c := serveRecorder(t, a)
	conn, err := c.ConnectDesk(t.Context(), DeskHello{Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := slog.New(slog.DiscardHandler)
	mux := http.NewServeMux()
	mux.Handle("POST /notify", DeskHandler(log, func(w http.ResponseWriter, r *http.Request) error {
		q, err := ReadDesk[NotifyRequest](w, r)
		if err != nil {
			return err
		}
		return AnswerDesk(w, NotifyResult{Shown: q.Title == "shown"}, nil)
	}))
	mux.HandleFunc("GET /alive", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.Handle("POST /echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	served := make(chan struct{})
	go func() { ServeDesk(ctx, conn, mux); close(served) }()
	d := <-desks
	if err := d.Alive(t.Context()); err != nil {
		t.Error(err)
	}
	<-time.After(150 * time.Millisecond) // longer than the server lets a request take
	r, err := AskDesk[NotifyResult](t.Context(), d.Client(), http.MethodPost, DeskNotify, NotifyRequest{Title: "shown"})
	if err != nil || !r.Shown {
		t.Errorf("answer is %+v, %v", r, err)
	}
	if _, err := AskDesk[NotifyResult](t.Context(), d.Client(), http.MethodPost, DeskNotify, map[string]int{"unknown": 1}); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a wrong request gives %v", err)
	}
	large := strings.Repeat("x", 4<<20)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://session/echo", strings.NewReader(large))
	resp, err := d.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	back, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(back) != large {
		t.Errorf("4 MiB came back as %d bytes, %v", len(back), err)
	}
	stop()
	<-served
	<-d.Done()
	if _, err := AskDesk[NotifyResult](t.Context(), d.Client(), http.MethodPost, DeskNotify, NotifyRequest{}); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("without a session process it is %v", err)
	}
}

func TestDeskRefused(t *testing.T) {
	a := &recorder{err: dormer.ErrExists}
	c := serveRecorder(t, a)
	if _, err := c.ConnectDesk(t.Context(), DeskHello{Version: "1"}); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("error is %v", err)
	}
	a.err = nil
	if s, err := c.DeskStatus(t.Context()); err != nil || s.PID != 7 {
		t.Errorf("status is %+v, %v", s, err)
	}
	if err := c.EndDesk(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := ask[DeskStatus](t.Context(), c, http.MethodPost, pathSession, DeskHello{}); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("without an upgrade it is %v", err)
	}
}

package h2conn_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/h2conn"
)

var limits = h2conn.Limits{Silence: time.Minute, Answer: time.Minute}

// ends returns both ends of a connection.
func ends(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d net.Dialer
	one, err := d.DialContext(t.Context(), "unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = one.Close(); _ = other.Close() })
	return one, other
}

func TestBothEnds(t *testing.T) {
	one, other := ends(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan struct{})
	go func() {
		defer close(served)
		h2conn.Serve(ctx, other, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Proto+" "+r.Host+" ")
			_, _ = io.Copy(w, r.Body)
		}), limits)
	}()
	w := h2conn.Watch(one)
	c, err := h2conn.Client(t.Context(), w, "session", limits)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 { // on the same connection
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://session/echo", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(b) != "HTTP/2.0 session hello" {
			t.Errorf("answer is %q, %v", b, err)
		}
	}
	select {
	case <-w.Closed():
		t.Error("the connection is closed while it is in use")
	default:
	}
	stop()
	<-served
	<-w.Closed()
}

func TestNobodyAnswers(t *testing.T) {
	one, other := ends(t)
	_ = other.Close()
	c, err := h2conn.Client(t.Context(), one, "session", limits)
	if err != nil {
		return // as good
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://session/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := c.RoundTrip(r); err == nil {
		resp.Body.Close()
		t.Error("a connection without another end answers")
	}
}

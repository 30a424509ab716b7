package guestwire_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// pipe is a connection whose halves hold what was written, like a port.
func pipe(t *testing.T) (host, guest net.Conn) {
	t.Helper()
	host, guest = net.Pipe()
	t.Cleanup(func() { _ = host.Close(); _ = guest.Close() })
	return host, guest
}

// Both ends meet behind whatever an earlier connection left, and neither reads
// a byte of what follows.
func TestHandshake(t *testing.T) {
	left := "PRI * HTTP/2.0\r\n\x00\x00\x10" + strings.Repeat("x", 4096) + "\ndormer-channel/1 begin old.0\ndormer-channel/1 here old.0"
	host, guest := pipe(t)
	result := make(chan string, 1)
	go func() {
		_, _ = guest.Write([]byte(left))
		session, err := guestwire.Await(guest)
		if err != nil {
			session = err.Error()
		}
		result <- session
		_, _ = guest.Write([]byte("from the guest"))
	}()
	go func() { _, _ = host.Write([]byte(left)) }()
	if err := guestwire.Greet(t.Context(), host, "session-1"); err != nil {
		t.Fatal(err)
	}
	if got := <-result; got != "session-1" {
		t.Errorf("session %q", got)
	}
	b := make([]byte, 14)
	if _, err := io.ReadFull(host, b); err != nil || string(b) != "from the guest" {
		t.Errorf("the host reads %q, %v", b, err)
	}
}

// A guest that is in the middle of an earlier frame is filled up until it
// listens again.
func TestHandshakeFillsFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, guest := pipe(t)
		result := make(chan string, 1)
		go func() {
			// what is left of the frame is taken for its content
			if _, err := io.CopyN(io.Discard, guest, guestwire.MaxHTTPFrame); err != nil {
				result <- err.Error()
				return
			}
			session, err := guestwire.Await(guest)
			if err != nil {
				session = err.Error()
			}
			result <- session
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := guestwire.Greet(ctx, host, "s"); err != nil {
			t.Fatal(err)
		}
		if got := <-result; got != "s" {
			t.Errorf("session %q", got)
		}
	})
}

// A guest that started anew after its answer is greeted again.
func TestHandshakeStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, guest := pipe(t)
		result := make(chan string, 1)
		go func() {
			r := make([]byte, 256)
			n, _ := guest.Read(r)
			token := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(r[:n])), "dormer-channel/1 greet "))
			_, _ = guest.Write([]byte("\ndormer-channel/1 here " + token + "\n"))
			_, _ = guest.Read(r) // the beginning, which is lost
			session, err := guestwire.Await(guest)
			if err != nil {
				session = err.Error()
			}
			result <- session
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := guestwire.Greet(ctx, host, "s"); err != nil {
			t.Fatal(err)
		}
		if got := <-result; got != "s" {
			t.Errorf("session %q", got)
		}
	})
}

func TestGreetGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, guest := pipe(t)
		go func() { _, _ = io.Copy(io.Discard, guest) }()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := guestwire.Greet(ctx, host, "s"); !errors.Is(err, dormer.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	for _, session := range []string{"", "a.b", "a\nb", strings.Repeat("a", guestwire.MaxSession+1)} {
		host, _ := pipe(t)
		if err := guestwire.Greet(t.Context(), host, session); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("session %q: %v", session, err)
		}
	}
}

func FuzzAwait(f *testing.F) {
	f.Add([]byte("\ndormer-channel/1 greet a.0\n\ndormer-channel/1 begin a.0\n"))
	f.Add([]byte("\ndormer-channel/1 begin .\n\n\ndormer-channel/1 greet .\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		conn := struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(b), io.Discard}
		session, err := guestwire.Await(conn)
		if err == nil && (session == "" || len(session) > guestwire.MaxSession) {
			t.Errorf("session %q", session)
		}
	})
}

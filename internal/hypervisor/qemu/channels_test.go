package qemu

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// pairedChannel is a channel and the guest's end of it.
func pairedChannel(t *testing.T) (*channel, net.Conn) {
	t.Helper()
	ours, guest := net.Pipe()
	c := newChannel(ours)
	t.Cleanup(func() {
		_ = guest.Close()
		c.close()
	})
	return c, guest
}

// A connection that is closed lets go of what it was writing to a guest that
// does not read, and the channel is there for the next.
func TestChannelOutlivesConnections(t *testing.T) {
	c, guest := pairedChannel(t)
	one := c.connect()
	wrote := make(chan error, 1)
	go func() {
		_, err := one.Write([]byte("nobody reads this"))
		wrote <- err
	}()
	two := c.connect()
	if err := <-wrote; err == nil {
		t.Error("a write of a connection that is over must fail")
	}
	if _, err := one.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write after the end: %v", err)
	}
	if _, err := one.Read(make([]byte, 1)); err == nil {
		t.Error("read after the end must fail")
	}
	go func() { _, _ = two.Write([]byte("hello")) }()
	buf := make([]byte, 5)
	if _, err := io.ReadFull(guest, buf); err != nil || string(buf) != "hello" {
		t.Errorf("the guest got %q, %v", buf, err)
	}
	go func() { _, _ = guest.Write([]byte("world")) }()
	if _, err := io.ReadFull(two, buf); err != nil || string(buf) != "world" {
		t.Errorf("the host got %q, %v", buf, err)
	}
	// What comes while nobody is connected is not kept for who comes next.
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := guest.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	// Nothing more is taken before that was dealt with.
	if _, err := guest.Write(nil); err != nil {
		t.Fatal(err)
	}
	three := c.connect()
	go func() { _, _ = guest.Write([]byte("there")) }()
	if _, err := io.ReadFull(three, buf); err != nil || string(buf) != "there" {
		t.Errorf("the next connection got %q, %v", buf, err)
	}
	_ = guest.Close()
	if _, err := io.ReadAll(three); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("end of the channel: %v", err)
	}
}

// The handshake runs over a connection of a channel; the guest's end that closes
// ends it only after that.
func TestChannelHandshake(t *testing.T) {
	c, guest := pairedChannel(t)
	l := c.connect()
	c.guestClosed()
	sessions := make(chan string, 1)
	go func() {
		session, _ := guestwire.Await(guest)
		sessions <- session
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := guestwire.Greet(ctx, l, "SESSION1"); err != nil {
		t.Fatal(err)
	}
	if got := <-sessions; got != "SESSION1" {
		t.Errorf("session %q", got)
	}
	c.mu.Lock()
	l.begun = true
	c.mu.Unlock()
	c.guestClosed()
	if _, err := l.Read(make([]byte, 1)); err == nil {
		t.Error("a connection must end when the guest's end was closed")
	}

	silent := c.connect()
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := guestwire.Greet(short, silent, "SESSION2"); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("guest that does not answer: %v", err)
	}
}

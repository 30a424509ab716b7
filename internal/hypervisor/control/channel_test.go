package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

func TestAsk(t *testing.T) {
	host, _, dir := serve(t)
	c, ctx := NewClient(dir), t.Context()
	if err := c.Ask(ctx, guestwire.CapTimeZone, guestwire.MethodTimeZone, guestwire.TimeZoneRequest{Name: "Europe/Berlin"}, nil); err != nil {
		t.Fatal(err)
	}
	var result guestwire.SignOnResult
	if err := c.Ask(ctx, guestwire.CapSignOn, guestwire.MethodSignOn, guestwire.SignOnRequest{User: "ada", Password: "p"}, &result); err != nil || result.Account != "ada" || !result.Made {
		t.Errorf("sign on: %+v, %v", result, err)
	}
	if g, err := host.Guest(dir); err != nil || g.TimeZone != "Europe/Berlin" || g.SignedOn == nil || g.SignedOn.Password != "p" {
		t.Errorf("guest: %+v, %v", g, err)
	}
	if err := c.Ask(ctx, "flying", guestwire.MethodTimeZone, nil, nil); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("without the capability: %v", err)
	}
	if err := c.Ask(ctx, guestwire.CapTimeZone, guestwire.MethodTimeZone, nil, nil); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("without a body: %v", err)
	}
}

// The bytes of a channel arrive as they are, both ways, those sent at once after
// the handshake too; the end of either side is the end of both.
func TestOpen(t *testing.T) {
	host, m, dir := serve(t)
	c, ctx := NewClient(dir), t.Context()
	if _, err := c.Open(ctx, guestwire.ChannelFiles); !errors.Is(err, dormer.ErrNotFound) {
		t.Fatalf("channel that is not attached: %v", err)
	}
	s := host.Running()[0]
	s.Channels = []guestwire.Channel{guestwire.ChannelFiles}
	if parts, err := c.Apply(ctx, s); err != nil || len(parts) != 0 {
		t.Fatalf("attach: %v, %v", parts, err)
	}
	devices, err := c.Devices(ctx)
	if err != nil || !slices.ContainsFunc(devices, func(d hypervisor.Device) bool {
		return d.ID == hypervisor.DeviceChannel(guestwire.ChannelFiles) && d.Detail == "org.dormer.files.0"
	}) {
		t.Errorf("devices: %+v, %v", devices, err)
	}
	ended := make(chan struct{}, 2)
	host.SetChannel(guestwire.ChannelFiles, func(_ hypervisor.Spec, conn io.ReadWriteCloser) {
		defer func() { ended <- struct{}{} }()
		defer conn.Close()
		if _, err := io.WriteString(conn, "first\n"); err == nil {
			_, _ = io.Copy(conn, conn) // until the other end closes
		}
	})
	deadline, cancel := context.WithTimeout(ctx, 10*time.Second)
	conn, err := c.Open(deadline, guestwire.ChannelFiles)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 6)
	if _, err := io.ReadFull(conn, first); err != nil || string(first) != "first\n" {
		t.Fatalf("%q, %v", first, err)
	}
	want := bytes.Repeat([]byte("0123456789\n"), 100_000)
	wrote := make(chan error, 1)
	go func() {
		_, err := conn.Write(want)
		wrote <- err
	}()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("bytes came back changed (%v)", err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if conn, err = c.Open(ctx, guestwire.ChannelFiles); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, first); err != nil {
		t.Fatal(err)
	}
	if err := m.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(first); err == nil {
		t.Errorf("read %d bytes of a machine that has ended", n)
	}
	<-ended
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

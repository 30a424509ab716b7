package machine_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// clipboard is a connection to the guest's clipboard.
type clipboard struct {
	http *http.ClientConn
	raw  io.Closer
}

func openClipboard(t *testing.T, m hypervisor.Machine) clipboard {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	conn, err := m.Open(ctx, guestwire.ChannelClipboard)
	if err != nil {
		t.Fatalf("open channel: %v", err)
	}
	c, err := guestwire.HTTPClient(ctx, guestwire.Stream(conn, guestwire.ChannelClipboard))
	if err != nil {
		t.Fatalf("speak on the channel: %v", err)
	}
	return clipboard{http: c, raw: conn}
}

func (c clipboard) ask(t *testing.T, method, text string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://guest"+guestwire.ClipboardText, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.http.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = errors.New(answer.Status + ": " + string(b))
	}
	return string(b), err
}

// A channel carries what both ends say, again and again, comes and goes while
// the machine runs, and ends when it is taken away.
func TestChannelOfRealGuest(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.RealGuest, "grants[].clipboard")
	d := driver(t)
	h := harness(t, func(s *hypervisor.Spec) { s.Channels = []guestwire.Channel{guestwire.ChannelClipboard} })
	spec := h.Spec(t, hypervisortest.Dir(t))
	m := h.Start(t, d, spec, secrets())

	c := openClipboard(t, m)
	big := strings.Repeat("0123456789abcdef", 10_000)
	if _, err := c.ask(t, http.MethodPut, big); err != nil {
		t.Fatalf("put: %v", err)
	}
	if got, err := c.ask(t, http.MethodGet, ""); err != nil || got != big {
		t.Fatalf("%d bytes came back, %v", len(got), err)
	}

	// A second connection ends the first.
	again := openClipboard(t, m)
	if got, err := again.ask(t, http.MethodGet, ""); err != nil || got != big {
		t.Errorf("by a second connection: %d bytes, %v", len(got), err)
	}
	if _, err := c.ask(t, http.MethodGet, ""); err == nil {
		t.Error("the connection before must be over")
	}
	// One that is cut in the middle of something leaves the channel usable.
	if err := again.raw.Close(); err != nil {
		t.Error(err)
	}
	third := openClipboard(t, m)
	if got, err := third.ask(t, http.MethodGet, ""); err != nil || got != big {
		t.Errorf("after a cut: %d bytes, %v", len(got), err)
	}

	ports := func() []string {
		t.Helper()
		lines := strings.Fields(h.Output(t, m, []string{"sh", "-c", "cat /sys/class/virtio-ports/*/name"}))
		slices.Sort(lines)
		return lines
	}
	if got, want := ports(), []string{guestwire.ChannelClipboard.PortName(), guestwire.PortName}; !slices.Equal(got, want) {
		t.Errorf("the guest has the ports %q", got)
	}
	without := spec
	without.Channels = nil
	if parts, err := m.Apply(t.Context(), without); err != nil || len(parts) != 0 {
		t.Fatalf("take away: %q, %v", parts, err)
	}
	if _, err := third.ask(t, http.MethodGet, ""); err == nil {
		t.Error("a channel that was taken away still answers")
	}
	if _, err := m.Open(t.Context(), guestwire.ChannelClipboard); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("open it: %v", err)
	}
	if got := ports(); !slices.Equal(got, []string{guestwire.PortName}) {
		t.Errorf("the guest still has the ports %q", got)
	}
	if parts, err := m.Apply(t.Context(), spec); err != nil || len(parts) != 0 {
		t.Fatalf("give back: %q, %v", parts, err)
	}
	last := openClipboard(t, m)
	if _, err := last.ask(t, http.MethodPut, "new"); err != nil {
		t.Fatal(err)
	}
	if got, err := last.ask(t, http.MethodGet, ""); err != nil || got != "new" {
		t.Errorf("given back: %q, %v", got, err)
	}
	h.Shutdown(t, m)
	if _, err := last.ask(t, http.MethodGet, ""); err == nil {
		t.Error("a channel must end with its machine")
	}
}

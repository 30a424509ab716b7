package fake_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
)

// What belongs to the guest's system outlives its machine; what belongs to the
// run does not.
func TestGuestState(t *testing.T) {
	host := fake.NewHost(time.Now)
	s, keys, ctx := spec(t, hypervisortest.Dir(t)), hypervisortest.Secrets(), t.Context()
	m, err := host.Driver().Start(ctx, s, keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		need    guestwire.Capability
		method  guestwire.Method
		request any
	}{
		{guestwire.CapTimeZone, guestwire.MethodTimeZone, guestwire.TimeZoneRequest{Name: "Asia/Tokyo"}},
		{guestwire.CapDNS, guestwire.MethodDNS, guestwire.DNSRequest{Servers: []string{"10.0.0.1"}}},
		{guestwire.CapRegional, guestwire.MethodRegional, guestwire.RegionalRequest{Locale: "de_DE.UTF-8"}},
		{guestwire.CapRegional, guestwire.MethodRegional, guestwire.RegionalRequest{Layout: "de"}},
		{guestwire.CapNotify, guestwire.MethodNotify, guestwire.NotifyRequest{Title: "a", Text: "b"}},
		{guestwire.CapLock, guestwire.MethodLock, nil},
		{guestwire.CapJoin, guestwire.MethodJoin, guestwire.JoinRequest{Domain: "corp.example.test", Computer: "PC-1"}},
		{guestwire.CapAutoSign, guestwire.MethodNoAutoSignOn, nil},
		{guestwire.CapFile, guestwire.MethodWriteFile, guestwire.WriteFileRequest{Path: "/etc/x", Data: []byte("y")}},
	} {
		if err := m.Ask(ctx, q.need, q.method, q.request, nil); err != nil {
			t.Errorf("%s: %v", q.method, err)
		}
	}
	if _, err := m.Exec(ctx, guestwire.ExecRequest{Args: []string{"sleep", "60"}, Detach: true, Application: true}); err != nil {
		t.Fatal(err)
	}
	g, err := host.Guest(s.Dir)
	if err != nil || !g.Locked || len(g.Notes) != 1 || len(g.Applications) != 1 || g.AutoSignOn || g.Regional != (guestwire.RegionalRequest{Locale: "de_DE.UTF-8", Layout: "de"}) {
		t.Errorf("guest: %+v, %v", g, err)
	}
	before, err := m.Status(ctx)
	if err != nil || before.Guest.Applications != 1 || before.Guest.Session == "" {
		t.Errorf("status: %+v, %v", before, err)
	}
	if err := host.RestartGuestAgent(s.Dir); err != nil {
		t.Fatal(err)
	}
	if st, err := m.Status(ctx); err != nil || st.Guest.Session == before.Guest.Session {
		t.Errorf("session after the agent's restart: %q, %v", st.Guest.Session, err)
	}
	if err := m.Ask(ctx, guestwire.CapShutdown, guestwire.MethodRestart, nil, nil); err != nil {
		t.Fatal(err)
	}
	<-m.Done()
	if st, err := m.Status(ctx); err != nil || st.Reason != hypervisor.ReasonRestart {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := host.Driver().Start(ctx, s, keys); err != nil {
		t.Fatal(err)
	}
	if g, err = host.Guest(s.Dir); err != nil || g.TimeZone != "Asia/Tokyo" || g.Joined == nil || g.AutoSignOn || g.Locked || len(g.Notes) != 0 || len(g.Applications) != 0 {
		t.Errorf("guest of the next run: %+v, %v", g, err)
	}
}

func TestChannels(t *testing.T) {
	host := fake.NewHost(time.Now)
	s, ctx := spec(t, hypervisortest.Dir(t)), t.Context()
	s.Channels = []guestwire.Channel{guestwire.ChannelFiles}
	m, err := host.Driver().Start(ctx, s, hypervisortest.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(ctx, guestwire.ChannelPrint); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("channel that is not attached: %v", err)
	}
	if _, err := m.Open(ctx, guestwire.ChannelFiles); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("guest that does not answer: %v", err)
	}
	host.SetChannel(guestwire.ChannelFiles, func(_ hypervisor.Spec, conn io.ReadWriteCloser) {
		_, _ = io.Copy(conn, conn)
	})
	one, err := m.Open(ctx, guestwire.ChannelFiles)
	if err != nil {
		t.Fatal(err)
	}
	two, err := m.Open(ctx, guestwire.ChannelFiles)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2)
	if _, err := one.Read(buf); err == nil {
		t.Error("a new connection must end the one before")
	}
	if _, err := two.Write([]byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(two, buf); err != nil || string(buf) != "hi" {
		t.Errorf("%q, %v", buf, err)
	}
	s.Channels, s.Memory = nil, 128
	parts, err := m.Apply(ctx, s)
	if err != nil || !slices.Equal(parts, []hypervisor.Part{hypervisor.PartMemory}) {
		t.Errorf("parts %v, %v", parts, err)
	}
	if _, err := two.Read(buf); err == nil {
		t.Error("what is taken away must be gone when Apply returns")
	}
}

func TestScriptedRequests(t *testing.T) {
	host := fake.NewHost(time.Now)
	m, err := host.Driver().Start(t.Context(), spec(t, hypervisortest.Dir(t)), hypervisortest.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	host.SetAsk(func(_ context.Context, _ hypervisor.Spec, method guestwire.Method, _ []byte) (any, error, bool) {
		return nil, dormer.ErrDenied, method == guestwire.MethodJoin
	})
	if err := m.Ask(t.Context(), guestwire.CapJoin, guestwire.MethodJoin, guestwire.JoinRequest{}, nil); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("got %v", err)
	}
	if err := m.Ask(t.Context(), guestwire.CapLock, guestwire.MethodLock, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestHostThatLacksSomething(t *testing.T) {
	host := fake.NewHost(time.Now)
	host.SetLacks(func(s hypervisor.Spec) []string {
		if s.Sound == "" {
			return nil
		}
		return []string{"This computer has no sound."}
	})
	s := spec(t, hypervisortest.Dir(t))
	s.Sound, s.Strict = hypervisor.SoundOutput, true
	if _, err := host.Driver().Start(t.Context(), s, hypervisortest.Secrets()); !errors.Is(err, dormer.ErrUnsupported) {
		t.Fatalf("got %v", err)
	}
	s.Strict = false
	m, err := host.Driver().Start(t.Context(), s, hypervisortest.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	if st, err := m.Status(t.Context()); err != nil || len(st.Missing) != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/fake"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
)

// serve serves a machine in memory from a directory whose path is longer than
// the name of a socket may be.
func serve(t *testing.T) (*fake.Host, hypervisor.Machine, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	host := fake.NewHost(time.Now)
	m, err := host.Driver().Start(t.Context(), hypervisor.Spec{
		Machine: hypervisortest.MachineID(t), Dir: dir, Memory: 64, Processors: 1, Layer: "v1",
		Base:    []hypervisor.DiskSource{{Socket: "/s"}},
		Overlay: hypervisor.OverlayKeep, Network: hypervisor.NetworkNone,
	}, hypervisortest.Secrets())
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(dir, hypervisor.FileControl)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- NewServer(m, slog.New(slog.DiscardHandler)).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-served, m.Kill(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return host, m, dir
}

func TestRequests(t *testing.T) {
	_, _, dir := serve(t)
	c, ctx := NewClient(dir), t.Context()
	if st, err := c.Status(ctx); err != nil || st.State != hypervisor.StateRunning || len(st.PIDs) != 1 || st.PIDs[0] != os.Getpid() {
		t.Errorf("status: %+v, %v", st, err)
	}
	if r, err := c.Exec(ctx, guestwire.ExecRequest{Args: []string{"echo", "a"}}); err != nil || string(r.Stdout) != "a\n" {
		t.Errorf("exec: %+v, %v", r, err)
	}
	if _, err := c.Exec(ctx, guestwire.ExecRequest{Args: []string{"nothing"}}); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("unknown program: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(short, guestwire.ExecRequest{Args: []string{"sleep", "60"}}); err == nil {
		t.Error("a command must end with its context")
	}
	if st, err := os.Stat(filepath.Join(dir, hypervisor.FileControl)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", st, err)
	}
}

func TestWatch(t *testing.T) {
	host, _, dir := serve(t)
	got := make(chan hypervisor.Status, 1)
	go func() {
		st, err := NewClient(dir).Watch(context.Background())
		if err != nil {
			t.Errorf("watch: %v", err)
		}
		got <- st
	}()
	if err := host.End(dir, hypervisor.ReasonRestart); err != nil {
		t.Fatal(err)
	}
	if st := <-got; st.Reason != hypervisor.ReasonRestart {
		t.Errorf("got %+v", st)
	}
}

func TestNobodyListens(t *testing.T) {
	if _, err := NewClient(t.TempDir()).Status(t.Context()); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	_, _, dir := serve(t)
	for line, want := range map[string]string{
		"not json\n": `"kind":"invalid"`,
		`{"protocol":0,"method":"status"}` + "\n": `"kind":"unsupported"`,
		`{"protocol":1,"method":"fly"}` + "\n":    `"kind":"unsupported"`,
		`{"protocol":1,"method":"exec"}` + "\n":   `"kind":"invalid"`,
		`{"protocol":1,"method":"ask"}` + "\n":    `"kind":"invalid"`,
		`{"protocol":1,"method":"open"}` + "\n":   `"kind":"invalid"`,
		`{"protocol":1,"method":"apply"}` + "\n":  `"kind":"invalid"`,
	} {
		conn, err := Dial(t.Context(), dir, hypervisor.FileControl)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, line); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("%q: %s, %v", line, answer, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"protocol":1,"method":"exec","timeout_ns":5,"exec":{"args":["a"]}}`))
	f.Add([]byte(`{"protocol":1,"method":"status"}`))
	f.Add([]byte(`{"protocol":1,"method":"ask","ask":{"need":"status","method":"status","body":{}}}`))
	f.Add([]byte(`{"protocol":1,"method":"open","channel":"files"}`))
	f.Add([]byte(`{"protocol":1,"method":"apply","spec":{"memory":64}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := decodeRequest(line)
		bad := r.Method == MethodExec && r.Exec == nil || r.Method == MethodAsk && r.Ask == nil || r.Method == MethodApply && r.Spec == nil
		if err == nil && (bad || r.Method == MethodOpen && r.Channel == "" || r.Timeout < 0) {
			t.Errorf("accepted %q", line)
		}
	})
}

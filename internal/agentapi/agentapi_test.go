package agentapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
)

// recorder is an agent that answers with what it was asked.
type recorder struct {
	Files    // asked in tests of channels
	Exchange // these too
	err      error
	peer     Peer
	asked    []string
	take     func(net.Conn)
}

func (a *recorder) note(p Peer, format string, args ...any) error {
	a.peer = p
	a.asked = append(a.asked, fmt.Sprintf(format, args...))
	return a.err
}

func (a *recorder) Status(_ context.Context, p Peer) (Status, error) {
	return Status{Host: "desk", Workspaces: []Workspace{{Machine: "m", State: "ready"}}}, a.note(p, "status")
}

func (a *recorder) Diagnostics(_ context.Context, p Peer) (Diagnostics, error) {
	return Diagnostics{StateFolder: "/s"}, a.note(p, "diagnostics")
}

func (a *recorder) Refresh(_ context.Context, p Peer) (Status, error) {
	return Status{Online: true}, a.note(p, "refresh")
}

func (a *recorder) Enrol(_ context.Context, p Peer, r EnrolRequest) error {
	return a.note(p, "enrol %s", r.JoinToken)
}

func (a *recorder) SignIn(_ context.Context, p Peer, r SignInRequest) (User, error) {
	return User{Name: r.User}, a.note(p, "sign-in %s %s%s", r.User, r.Password, r.Code)
}

func (a *recorder) SignInInfo(_ context.Context, p Peer) (SignInInfo, error) {
	return SignInInfo{Server: "https://dormer.example.com", Client: "c"}, a.note(p, "sign-in info")
}

func (a *recorder) SetPIN(_ context.Context, p Peer, r PINRequest) (User, error) {
	return User{Name: r.User, Proof: ProofPIN}, a.note(p, "pin %s %s %t", r.User, r.PIN, r.Remove)
}

func (a *recorder) Prove(_ context.Context, p Peer, r ProveRequest) error {
	return a.note(p, "prove %s %s", r.User, r.Secret)
}

func (a *recorder) SignOut(_ context.Context, p Peer, r SignOutRequest) error {
	return a.note(p, "sign-out %s", r.User)
}

func (a *recorder) TakeDesk(_ context.Context, p Peer, hello DeskHello) (func(net.Conn), error) {
	return a.take, a.note(p, "desk %s", hello.Version)
}

func (a *recorder) DeskStatus(_ context.Context, p Peer) (DeskStatus, error) {
	return DeskStatus{Connected: true, PID: 7}, a.note(p, "desk status")
}

func (a *recorder) EndDesk(_ context.Context, p Peer) error { return a.note(p, "end desk") }

func (a *recorder) Workspaces(_ context.Context, p Peer) ([]Workspace, error) {
	state := "starting"
	if len(a.asked) > 1 {
		state = "running"
	}
	return []Workspace{{Machine: "m", State: state}}, a.note(p, "workspaces")
}

func (a *recorder) Act(_ context.Context, p Peer, machine string, c Command) (Workspace, error) {
	return Workspace{Machine: "m"}, a.note(p, "%s %s", c, machine)
}

func (a *recorder) RunApplication(_ context.Context, p Peer, machine string, r RunRequest) (RunResult, error) {
	return RunResult{Stdout: []byte("out"), ExitStatus: 3}, a.note(p, "run %s %s", machine, r.Application)
}

func (a *recorder) Lock(_ context.Context, p Peer, machine string) (Workspace, error) {
	return Workspace{Locked: "by its user"}, a.note(p, "lock %s", machine)
}

func (a *recorder) Unlock(_ context.Context, p Peer, machine string, r UnlockRequest) (Workspace, error) {
	return Workspace{}, a.note(p, "unlock %s %s", machine, r.Secret)
}

func (a *recorder) Update(_ context.Context, p Peer, machine string, r UpdateRequest) (Workspace, error) {
	return Workspace{Earlier: "office/1"}, a.note(p, "update %s back %t now %t", machine, r.Back, r.Now)
}

func (a *recorder) OpenUSB(_ context.Context, p Peer, machine string) (io.ReadWriteCloser, error) {
	ours, theirs := net.Pipe()
	go func() {
		_, _ = io.Copy(theirs, theirs)
		_ = theirs.Close()
	}()
	return ours, a.note(p, "usb %s", machine)
}

func serve(t *testing.T, a Agent) *Client {
	t.Helper()
	// A path of its own: names of sockets are short.
	dir, err := os.MkdirTemp("", "agentapi") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "run", "agent.sock")
	l, err := Listen(t.Context(), socket, true)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(a, slog.New(slog.DiscardHandler))
	ended := make(chan error)
	go func() { ended <- s.Serve(l) }()
	c := NewClient(socket)
	t.Cleanup(func() {
		c.Close()
		_ = s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return c
}

func TestClientAndServer(t *testing.T) {
	a := &recorder{}
	c := serve(t, a)
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := c.Status(ctx)
	check(err)
	if st.Host != "desk" || len(st.Workspaces) != 1 {
		t.Errorf("status %+v", st)
	}
	if a.peer.UID != uint32(os.Getuid()) || a.peer.PID != int32(os.Getpid()) {
		t.Errorf("the peer is %+v", a.peer)
	}
	_, err = c.Diagnostics(ctx)
	check(err)
	_, err = c.Refresh(ctx)
	check(err)
	_, err = c.Enrol(ctx, "dormer1.x")
	check(err)
	u, err := c.SignIn(ctx, "anna", "secret word")
	check(err)
	if u.Name != "anna" {
		t.Errorf("signed in %+v", u)
	}
	info, err := c.SignInInfo(ctx)
	check(err)
	if info.Server != "https://dormer.example.com" || info.Client != "c" {
		t.Errorf("sign-in info %+v", info)
	}
	_, err = c.SignInCode(ctx, "one time")
	check(err)
	if u, err = c.SetPIN(ctx, PINRequest{User: "anna", PIN: "735291"}); u.Proof != ProofPIN {
		t.Errorf("set the PIN of %+v", u)
	}
	check(err)
	check(c.Prove(ctx, ProveRequest{Secret: "735291"}))
	check(c.SignOut(ctx, "anna"))
	_, err = c.Act(ctx, "Büro 1/2", CommandStart)
	check(err)
	r, err := c.Run(ctx, "Büro 1/2", RunRequest{Application: "Editor"})
	check(err)
	if string(r.Stdout) != "out" || r.ExitStatus != 3 {
		t.Errorf("ran %+v", r)
	}
	w, err := c.Await(ctx, "m", func(w Workspace) bool { return w.State == "running" }, nil)
	check(err)
	if w.State != "running" {
		t.Errorf("awaited %+v", w)
	}
	want := []string{
		"status", "diagnostics", "refresh", "enrol dormer1.x", "status", "sign-in anna secret word",
		"sign-in info", "sign-in  one time", "pin anna 735291 false", "prove  735291", "sign-out anna",
		"start Büro 1/2", "run Büro 1/2 Editor", "workspaces",
	}
	if diff := cmp.Diff(want, a.asked); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsKeepTheirKindAndText(t *testing.T) {
	a := &recorder{}
	c := serve(t, a)
	for _, kind := range []error{
		dormer.ErrDenied, dormer.ErrNotFound, dormer.ErrUnavailable, dormer.ErrUnauthenticated, dormer.ErrConflict,
		dormer.ErrUnsupported, dormer.ErrFull, dormer.ErrCorrupt, dormer.ErrExists, dormer.ErrFenced,
	} {
		a.err = fmt.Errorf("the reason why: %w", kind)
		_, err := c.Status(t.Context())
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), "the reason why") {
			t.Errorf("%v arrived as %v", kind, err)
		}
	}
	a.err = errors.New("password=hunter2")
	if _, err := c.Status(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a fault arrived as %v", err)
	}
}

func TestNoAgent(t *testing.T) {
	_, err := NewClient(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
	if !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "no agent answers") {
		t.Errorf("got %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	a := &recorder{}
	h := NewHandler(a, slog.New(slog.DiscardHandler))
	do := func(method, path, body string, peer bool) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		if peer {
			r = r.WithContext(context.WithValue(r.Context(), peerKey{}, Peer{UID: 1000}))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		b, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(b)
	}
	for _, tt := range []struct {
		method, path, body string
		peer               bool
		want               int
	}{
		{"GET", pathStatus, "", false, 403},
		{"GET", "/v2/status", "", true, 404},
		{"POST", "/v1/workspaces/m/delete", "", true, 404},
		{"POST", pathSignIn, "", true, 400},
		{"POST", pathSignIn, `{"user":"anna","password":"hunter2"`, true, 400},
		{"POST", pathSignIn, `{"user":"anna","passwort":"hunter2"}`, true, 400},
		{"POST", pathSignIn, `{"user":"anna","password":"hunter2"} {}`, true, 400},
		{"POST", pathSignIn, `{"user":"` + strings.Repeat("hunter2", maxBody/7+1) + `"}`, true, 413},
	} {
		code, body := do(tt.method, tt.path, tt.body, tt.peer)
		if code != tt.want {
			t.Errorf("%s %s %.40s: status %d, want %d (%s)", tt.method, tt.path, tt.body, code, tt.want, body)
		}
		if strings.Contains(body, "hunter2") {
			t.Errorf("the answer repeats a password: %s", body)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("the answer is not JSON: %s", body)
		}
	}
	if len(a.asked) != 0 {
		t.Errorf("the agent was asked %v", a.asked)
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s", "agent.sock")
	l, err := Listen(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), path, false); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a second agent on the same socket: %v", err)
	}
	for _, f := range []struct {
		path string
		mode os.FileMode
	}{{filepath.Dir(path), 0o700}, {path, 0o600}} {
		fi, err := os.Stat(f.path)
		if err != nil || fi.Mode().Perm() != f.mode {
			t.Errorf("%s: %v, %v", f.path, fi.Mode(), err)
		}
	}
	// As after kill -9: the file stays, nobody listens.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Listen(t.Context(), path, true); err != nil {
		t.Fatalf("the socket of a killed agent is in the way: %v", err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	_ = l.Close()
	if fi, err := os.Stat(filepath.Dir(path)); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("a folder that was there now has %v, %v", fi.Mode(), err)
	}
}

func TestAwaitEnds(t *testing.T) {
	c := serve(t, &recorder{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Await(ctx, "m", func(Workspace) bool { return false }, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Await(t.Context(), "other", func(Workspace) bool { return true }, nil); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "{}", `{"user":"a","password":"b"}`, `{"user":1}`, "[", `{"user":"a"}x`, "\x00", `{"code":"c"}`, `{"pin":"735291","remove":true}`, `{"secret":"s"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		request := func() *http.Request {
			return httptest.NewRequestWithContext(t.Context(), http.MethodPost, pathSignIn, strings.NewReader(body))
		}
		size := 0
		if q, err := decode[SignInRequest](httptest.NewRecorder(), request()); err == nil {
			size = len(q.User) + len(q.Password) + len(q.Code)
		}
		if q, err := decode[PINRequest](httptest.NewRecorder(), request()); err == nil {
			size = max(size, len(q.User)+len(q.PIN))
		}
		if q, err := decode[ProveRequest](httptest.NewRecorder(), request()); err == nil {
			size = max(size, len(q.User)+len(q.Secret))
		}
		if size > 4*len(body)+8 {
			t.Errorf("%d bytes became %d", len(body), size)
		}
	})
}

package guest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor/guestport"
)

// connect runs an agent against the host's side over a pipe.
func connect(t *testing.T) (*guestport.Port, net.Conn) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	g, err := New(Config{Version: "test", Log: log, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	host, port := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, port) }()
	p := guestport.New(host, "test", nil, log)
	t.Cleanup(func() {
		p.Close()
		cancel()
		if err := <-served; err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("serve: %v", err)
		}
	})
	waiting, cancelWait := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancelWait()
	if err := p.WaitUp(waiting); err != nil {
		t.Fatal(err)
	}
	return p, host
}

func TestHandshake(t *testing.T) {
	p, _ := connect(t)
	hello, up := p.Hello()
	if !up || hello.Software != "dormer-guest test" || !hello.Has(guestwire.CapExec) || hello.System == "" {
		t.Errorf("got %+v, %t", hello, up)
	}
	session := p.Session()
	p.Reset()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.WaitUp(ctx); err != nil || p.Session() == session {
		t.Fatalf("after a reset: %v", err)
	}
	var st guestwire.Status
	if err := p.Call(ctx, guestwire.CapStatus, guestwire.MethodStatus, nil, &st); err != nil || st.Hostname == "" || st.Uptime <= 0 || st.DefaultUser == "" {
		t.Errorf("status: %+v, %v", st, err)
	}
	if err := p.Call(ctx, "levitation", "levitate", nil, nil); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("what the guest cannot do: %v", err)
	}
}

// Half a line of whoever had the port before does not spoil the handshake.
func TestHandshakeAfterHalfALine(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	g, err := New(Config{Log: log, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	host, port := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- g.Serve(t.Context(), port) }()
	if _, err := host.Write([]byte(`{"kind":"request","session":"old","id":4,"method":"shutdo`)); err != nil {
		t.Fatal(err)
	}
	p := guestport.New(host, "test", nil, log)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.WaitUp(ctx); err != nil {
		t.Error(err)
	}
	p.Close()
	if err := <-served; !errors.Is(err, io.EOF) {
		t.Errorf("after the host has gone: %v", err)
	}
}

// Requests of another session are not carried out.
func TestOldSessionIsIgnored(t *testing.T) {
	p, host := connect(t)
	file := filepath.Join(t.TempDir(), "written")
	f, err := guestwire.NewFrame(guestwire.KindRequest, "another", 1, guestwire.MethodWriteFile, guestwire.WriteFileRequest{Path: file, Data: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	line, err := guestwire.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := host.Write(line); err != nil {
		t.Fatal(err)
	}
	if err := p.Call(t.Context(), guestwire.CapStatus, guestwire.MethodStatus, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the request was carried out")
	}
}

func self(r guestwire.ExecRequest) guestwire.ExecRequest {
	if r.User == "" {
		r.User = (&Guest{}).defaultUser()
		if os.Geteuid() == 0 {
			r.User = "root"
		}
	}
	return r
}

func TestExec(t *testing.T) {
	p, _ := connect(t)
	tests := []struct {
		name    string
		request guestwire.ExecRequest
		want    guestwire.ExecResult
	}{
		{"output", guestwire.ExecRequest{Args: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}}, guestwire.ExecResult{ExitCode: 3, Stdout: []byte("out\n"), Stderr: []byte("err\n")}},
		{"no shell", guestwire.ExecRequest{Args: []string{"echo", "$HOME;", "*"}}, guestwire.ExecResult{Stdout: []byte("$HOME; *\n")}},
		{"input", guestwire.ExecRequest{Args: []string{"cat"}, Stdin: []byte("abc")}, guestwire.ExecResult{Stdout: []byte("abc")}},
		{"environment", guestwire.ExecRequest{Args: []string{"sh", "-c", "echo $A $LANG"}, Env: []string{"A=1", "A=2", "LANG=x"}}, guestwire.ExecResult{Stdout: []byte("2 x\n")}},
		{"directory", guestwire.ExecRequest{Args: []string{"pwd"}, Dir: "/usr"}, guestwire.ExecResult{Stdout: []byte("/usr\n")}},
		{"signal", guestwire.ExecRequest{Args: []string{"sh", "-c", "kill -9 $$"}}, guestwire.ExecResult{ExitCode: -1, Signal: 9}},
		{"time", guestwire.ExecRequest{Args: []string{"sh", "-c", "sleep 60 & wait"}, Timeout: 100 * time.Millisecond}, guestwire.ExecResult{ExitCode: -1, Signal: 9, TimedOut: true}},
		{"too much", guestwire.ExecRequest{Args: []string{"sh", "-c", "echo 1234567890"}, MaxOutput: 4}, guestwire.ExecResult{Stdout: []byte("1234"), Truncated: true}},
		{"left behind", guestwire.ExecRequest{Args: []string{"sh", "-c", "sleep 60 & echo here"}}, guestwire.ExecResult{Stdout: []byte("here\n")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			got, err := p.Exec(ctx, self(tt.request), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.PID == 0 {
				t.Error("no pid")
			}
			got.PID = 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExecRefusals(t *testing.T) {
	p, _ := connect(t)
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		request guestwire.ExecRequest
		want    error
	}{
		{guestwire.ExecRequest{Args: []string{"no-such-program-anywhere"}}, dormer.ErrNotFound},
		{guestwire.ExecRequest{Args: []string{"/no/such/program"}}, dormer.ErrNotFound},
		{guestwire.ExecRequest{Args: []string{plain}}, dormer.ErrDenied},
		{guestwire.ExecRequest{Args: []string{"true"}, User: "no-such-user"}, dormer.ErrNotFound},
		{guestwire.ExecRequest{Args: []string{"true"}, Dir: "/no/such/dir"}, dormer.ErrNotFound},
	}
	for _, tt := range tests {
		if _, err := p.Exec(t.Context(), self(tt.request), nil); !errors.Is(err, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.request.Args, err, tt.want)
		}
	}
}

func TestExecStreamsAndCancels(t *testing.T) {
	p, _ := connect(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan string, 16)
	file := filepath.Join(t.TempDir(), "pid")
	_, err := p.Exec(ctx, self(guestwire.ExecRequest{
		Args: []string{"sh", "-c", "echo $$ >" + file + "; echo first; sleep 60"}, Stream: true,
	}), func(out guestwire.Output) {
		got <- string(out.Data)
		cancel()
	})
	if !errors.Is(err, context.Canceled) || <-got != "first\n" {
		t.Fatalf("got %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(text)), "stat"))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the command goes on after it was given up")
		}
	}
}

func TestExecAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	p, _ := connect(t)
	got, err := p.Exec(t.Context(), guestwire.ExecRequest{Args: []string{"sh", "-c", "id -un; echo $USER; id -u >&2"}, User: "nobody"}, nil)
	if err != nil || string(got.Stdout) != "nobody\nnobody\n" || string(got.Stderr) == "0\n" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFiles(t *testing.T) {
	p, _ := connect(t)
	file := filepath.Join(t.TempDir(), "f")
	ctx := t.Context()
	write := func(r guestwire.WriteFileRequest) error {
		return p.Call(ctx, guestwire.CapFile, guestwire.MethodWriteFile, r, nil)
	}
	if err := write(guestwire.WriteFileRequest{Path: file, Data: []byte("one"), Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	if err := write(guestwire.WriteFileRequest{Path: file, Data: []byte("two"), Mode: 0o640}); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", st, err)
	}
	var got guestwire.ReadFileResult
	if err := p.Call(ctx, guestwire.CapFile, guestwire.MethodReadFile, guestwire.ReadFileRequest{Path: file}, &got); err != nil || string(got.Data) != "two" {
		t.Errorf("got %q, %v", got.Data, err)
	}
	for want, err := range map[error]error{
		dormer.ErrTooLarge: p.Call(ctx, guestwire.CapFile, guestwire.MethodReadFile, guestwire.ReadFileRequest{Path: file, Max: 2}, nil),
		dormer.ErrNotFound: p.Call(ctx, guestwire.CapFile, guestwire.MethodReadFile, guestwire.ReadFileRequest{Path: file + "x"}, nil),
		dormer.ErrInvalid:  write(guestwire.WriteFileRequest{Path: "relative"}),
	} {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// image is a disk in memory.
type image []byte

func (d image) ReadAt(p []byte, off int64) (int, error)  { return copy(p, d[off:]), nil }
func (d image) WriteAt(p []byte, off int64) (int, error) { return copy(d[off:], p), nil }
func (image) Sync() error                                { return nil }

// A disk is formatted only when nothing is on it, or when formatting it was
// cut short.
func TestInspect(t *testing.T) {
	const size = 16 << 20
	blank := image(make([]byte, size))
	marked := image(make([]byte, size))
	if err := mark(marked, size, formatMark); err != nil {
		t.Fatal(err)
	}
	half := image(make([]byte, size))
	if err := mark(half, size, formatMark); err != nil {
		t.Fatal(err)
	}
	copy(half[100000:], "inode tables")
	ext := image(make([]byte, size))
	ext[extMagicOffset], ext[extMagicOffset+1] = 0x53, 0xef
	extMarked := image(append([]byte{}, ext...))
	if err := mark(extMarked, size, formatMark); err != nil {
		t.Fatal(err)
	}
	partitions := image(make([]byte, size))
	partitions[510], partitions[511] = 0x55, 0xaa
	end := image(make([]byte, size))
	end[size-1] = 1
	for name, tt := range map[string]struct {
		disk image
		want content
	}{
		"blank": {blank, contentBlank}, "marked": {marked, contentMarked}, "half made": {half, contentMarked}, "ext": {ext, contentExt},
		"made, mark left": {extMarked, contentExt}, "partition table": {partitions, contentOther}, "something at the end": {end, contentOther},
		"too small": {make(image, 1<<20), contentOther},
	} {
		got, err := inspect(tt.disk, int64(len(tt.disk)))
		if err != nil || got != tt.want {
			t.Errorf("%s: got %d, %v, want %d", name, got, err, tt.want)
		}
	}
}

func TestEnsureFileSystem(t *testing.T) {
	device := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(device, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(device, 32<<20); err != nil {
		t.Fatal(err)
	}
	g := &Guest{}
	r := guestwire.MountRequest{Label: "dormer-data"}
	if _, err := g.ensureFileSystem(t.Context(), device, r); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("a blank disk that must not be formatted: %v", err)
	}
	r.Format = true
	for _, want := range []bool{true, false} {
		formatted, err := g.ensureFileSystem(t.Context(), device, r)
		if err != nil || formatted != want {
			t.Fatalf("got %t, %v, want %t", formatted, err, want)
		}
	}
	b, err := os.ReadFile(device)
	if err != nil || !strings.HasPrefix(string(b[1024+120:]), "dormer-data\x00") {
		t.Errorf("label: %v", err)
	}
	if strings.Contains(string(b), string(formatMark)) {
		t.Error("the mark is left")
	}
}

func TestFindDisk(t *testing.T) {
	sys := t.TempDir()
	for name, serial := range map[string]string{"vda": "dormer-system\n", "vdb": "dormer-data\n"} {
		if err := os.Mkdir(filepath.Join(sys, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(sys, name, "serial"), []byte(serial), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := findDisk(sys, "dormer-data"); !ok || got != "/dev/vdb" {
		t.Errorf("got %q, %t", got, ok)
	}
	if got, ok := findDisk(sys, "other"); ok {
		t.Errorf("got %q", got)
	}
}

func TestHostsWith(t *testing.T) {
	got := string(hostsWith([]byte("127.0.0.1 localhost\n127.0.1.1 old\n::1 localhost\n"), "new"))
	if want := "127.0.0.1 localhost\n::1 localhost\n127.0.1.1\tnew\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got := string(hostsWith(nil, "new")); got != "127.0.0.1\tlocalhost\n127.0.1.1\tnew\n" {
		t.Errorf("got %q", got)
	}
}

func TestIdle(t *testing.T) {
	now := time.Now().Add(time.Hour) // later than any use of this computer's terminals
	a := newActivity(func() time.Time { return now })
	now = now.Add(time.Minute)
	if got := a.idle(); got != time.Minute {
		t.Errorf("got %s", got)
	}
	a.touch()
	if got := a.idle(); got != 0 {
		t.Errorf("after a use: %s", got)
	}
	now = now.Add(-time.Second)
	if got := a.idle(); got != 0 {
		t.Errorf("after the clock was set back: %s", got)
	}
}

func TestInstall(t *testing.T) {
	root := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Install(root, exe); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(filepath.Join(root, programPath))
	if err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("program: %v, %v", st, err)
	}
	if to, err := os.Readlink(filepath.Join(root, wantsPath)); err != nil || to != unitPath {
		t.Errorf("enabled: %q, %v", to, err)
	}
}

package guesttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/session"
	"github.com/dormer-project/dormer/internal/transfer"
)

// open connects to a channel and returns what asks on it.
func (g guest) open(t *testing.T, c guestwire.Channel) *http.Client {
	t.Helper()
	conn, err := guestwire.HTTPClient(t.Context(), guestwire.Stream(g.stream(t, c), c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &http.Client{Transport: conn}
}

func (g guest) stream(t *testing.T, c guestwire.Channel) io.ReadWriteCloser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := g.m.Open(ctx, c)
	if err != nil {
		t.Fatalf("open %s: %v", c, err)
	}
	return stream
}

func send(t *testing.T, c *http.Client, method, path string, header http.Header, body io.Reader) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://guest"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode == http.StatusOK {
		return b, nil
	}
	var refused guestwire.Error
	if err := json.Unmarshal(b, &refused); err != nil {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
	}
	return nil, refused.Err()
}

func question(t *testing.T, v any) io.Reader {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

// files go there and back as the guest's user, in parts and over several
// connections.
func (g guest) files(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	stage := guestwire.StageRequest{Path: "report.bin", Key: transfer.Key("x", transfer.Entry{}), Size: int64(len(content))}
	write := func(c *http.Client, offset int) error {
		stage.Offset = int64(offset)
		head, err := json.Marshal(stage)
		if err != nil {
			t.Fatal(err)
		}
		_, err = send(t, c, http.MethodPost, guestwire.FilesWrite, http.Header{guestwire.HeaderStage: {string(head)}}, bytes.NewReader(content[offset:min(len(content), offset+len(content)/2)]))
		return err
	}
	if err := write(g.open(t, guestwire.ChannelFiles), 0); err != nil {
		t.Fatal(err)
	}
	// A new connection ends the one before, and what has come is still there.
	c := g.open(t, guestwire.ChannelFiles)
	b, err := send(t, c, http.MethodPost, guestwire.FilesStaged, nil, question(t, stage))
	if err != nil || !strings.Contains(string(b), fmt.Sprintf(`"size":%d`, len(content)/2)) {
		t.Fatalf("staged: %s, %v", b, err)
	}
	if err := write(c, len(content)/2); err != nil {
		t.Fatal(err)
	}
	if _, err := send(t, c, http.MethodPost, guestwire.FilesCommit, nil, question(t, stage)); err != nil {
		t.Fatal(err)
	}
	user := g.status(t).DefaultUser
	if got := g.run(t, "", "stat -c '%U %s %a' ~/report.bin; ls -A ~ | grep -c dormer-part"+" || true"); got != fmt.Sprintf("%s %d 644\n0", user, len(content)) {
		t.Errorf("in the guest it is %q", got)
	}
	back, err := send(t, c, http.MethodPost, guestwire.FilesRead, nil, question(t, guestwire.FileRequest{Path: "report.bin"}))
	if err != nil || !bytes.Equal(back, content) {
		t.Errorf("%d bytes come back, %v", len(back), err)
	}
	// What the user may not reach, nobody does for them.
	g.root(t, "umask 077; echo secret >/root/secret; mkdir -p /root/folder")
	g.run(t, "", "ln -s /root/secret ~/link; ln -s /etc ~/etc")
	for _, bad := range []string{"/root/secret", "link", "etc/hostname", "../../root/secret"} {
		if b, err := send(t, c, http.MethodPost, guestwire.FilesRead, nil, question(t, guestwire.FileRequest{Path: bad})); err == nil {
			t.Errorf("%s is read: %q", bad, b)
		}
	}
	for _, bad := range []string{"/etc/made", "/root/folder/made", "etc/made"} {
		if _, err := send(t, c, http.MethodPost, guestwire.FilesStaged, nil, question(t, guestwire.StageRequest{Path: bad, Key: stage.Key})); !errors.Is(err, dormer.ErrDenied) && !errors.Is(err, dormer.ErrNotFound) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func (g guest) clipboard(t *testing.T) {
	c := g.open(t, guestwire.ChannelClipboard)
	if _, err := send(t, c, http.MethodPut, guestwire.ClipboardText, nil, strings.NewReader("grüße\n")); err != nil {
		t.Fatal(err)
	}
	if got := g.run(t, "", "dormer-guest paste"); got != "grüße" {
		t.Errorf("the user gets %q", got)
	}
	g.run(t, "", "printf 'from the guest' | dormer-guest copy")
	if b, err := send(t, c, http.MethodGet, guestwire.ClipboardText, nil, nil); err != nil || string(b) != "from the guest" {
		t.Errorf("the host gets %q, %v", b, err)
	}
	if r := g.exec(t, guestwire.ExecRequest{Args: []string{"dormer-guest", "paste"}, User: "nobody"}); r.ExitCode == 0 {
		t.Error("somebody else gets it")
	}
}

// desk is a session process of whoever runs the tests, as an agent has it. cups
// is the socket of its CUPS, if it has one.
func desk(t *testing.T, home, cups string) http.RoundTripper {
	t.Helper()
	a := &deskAgent{come: make(chan *agentapi.Desk, 1)}
	socket := filepath.Join(t.TempDir(), "agent.sock")
	l, err := agentapi.Listen(t.Context(), socket, false)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	s := agentapi.NewServer(a, log)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		_ = session.New(session.Config{Agent: agentapi.NewClient(socket), Logger: log, Env: func(name string) string {
			return map[string]string{"HOME": home, "USER": "anna", "CUPS_SERVER": cups}[name]
		}}).Run(ctx, nil)
	}()
	return (<-a.come).Client().Transport
}

type deskAgent struct {
	agentapi.Agent // nothing else is asked
	come           chan *agentapi.Desk
}

// TakeDesk implements agentapi.Desks.
func (a *deskAgent) TakeDesk(context.Context, agentapi.Peer, agentapi.DeskHello) (func(net.Conn), error) {
	return func(c net.Conn) {
		d, err := agentapi.NewDesk(context.Background(), c)
		if err != nil {
			return
		}
		a.come <- d
		<-d.Done()
	}, nil
}

// folders are mounted in the guest, and what is done there happens on the host as
// the user, below the folder and nowhere else.
func (g guest) folders(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "grants[].sharedFolders[].name", "grants[].sharedFolders[].path", "grants[].sharedFolders[].access")
	home := t.TempDir()
	docs, notes := filepath.Join(home, "my docs"), filepath.Join(home, "notes")
	if err := errors.Join(
		os.Mkdir(docs, 0o700), os.Mkdir(notes, 0o700), os.WriteFile(filepath.Join(home, "outside"), []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(docs, "read me.txt"), []byte("hello from the host\n"), 0o600), os.Symlink("../outside", filepath.Join(docs, "link")),
	); err != nil {
		t.Fatal(err)
	}
	shared := map[string]agentapi.SharedFolder{
		"docs": {Name: "docs", Path: "{home}/my docs", ReadOnly: true}, "notes": {Name: "notes", Path: notes},
	}
	proxy := &httputil.ReverseProxy{Transport: desk(t, home, ""), Rewrite: func(r *httputil.ProxyRequest) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.In.URL.Path, "/"), "/")
		b, err := json.Marshal(shared[name])
		if err != nil {
			t.Error(err)
		}
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "session", "session"
		r.Out.URL.Path, r.Out.URL.RawPath = agentapi.DeskFolders+r.In.URL.Path, ""
		r.Out.Header.Set(agentapi.HeaderFolder, url.QueryEscape(string(b)))
	}}
	stream := g.stream(t, guestwire.ChannelFolders)
	go guestwire.ServeHTTP(t.Context(), guestwire.Stream(stream, guestwire.ChannelFolders), proxy)

	var where guestwire.FoldersResult
	both := guestwire.FoldersRequest{Folders: []guestwire.Folder{{Name: "docs", ReadOnly: true}, {Name: "notes"}}}
	g.ask(t, guestwire.CapFolders, guestwire.MethodFolders, both, &where)
	g.ask(t, guestwire.CapFolders, guestwire.MethodFolders, both, &where) // again changes nothing
	if got := g.run(t, "", "cat '"+where.Where["docs"]+"/read me.txt'; ls -I lost+found '"+where.Where["docs"]+"'"); got != "hello from the host\nread me.txt" {
		t.Errorf("the guest reads %q", got)
	}
	if r := g.exec(t, guestwire.ExecRequest{Args: []string{"sh", "-c", "echo x >'" + where.Where["docs"] + "/made'"}}); r.ExitCode == 0 {
		t.Error("a folder that is shared for reading is written to")
	}
	g.run(t, "", "cd '"+where.Where["notes"]+"' && echo 'from the guest' >new && mkdir sub && mv new sub/moved && sync")
	within(t, "the host has it", func() bool {
		b, err := os.ReadFile(filepath.Join(notes, "sub", "moved"))
		return err == nil && string(b) == "from the guest\n"
	})
	if all, err := os.ReadDir(docs); err != nil || len(all) != 2 {
		t.Errorf("the read-only folder has %v, %v", all, err)
	}
	if r := g.exec(t, guestwire.ExecRequest{Args: []string{"ls", where.Where["notes"]}, User: "nobody"}); r.ExitCode == 0 {
		t.Error("another user of the guest reaches the folder")
	}
	g.ask(t, guestwire.CapFolders, guestwire.MethodFolders, guestwire.FoldersRequest{Folders: both.Folders[:1]}, &where)
	if got := g.root(t, "grep -c /media/dormer/ /proc/mounts"); got != "1" {
		t.Errorf("%s folders are mounted", got)
	}
	g.ask(t, guestwire.CapFolders, guestwire.MethodFolders, guestwire.FoldersRequest{}, nil)
}

// printing prints from the guest on a printer of the host's CUPS, by a queue of the
// guest's CUPS and without.
func (g guest) printing(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "grants[].printing")
	socket, printed := startCUPS(t)
	proxy := &httputil.ReverseProxy{Transport: desk(t, t.TempDir(), socket), Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", "session", "session"
		r.Out.URL.Path = agentapi.DeskPrinters + strings.TrimSuffix("/"+strings.TrimPrefix(r.In.URL.Path, guestwire.PrintersPath), "/")
	}}
	stream := g.stream(t, guestwire.ChannelPrint)
	go guestwire.ServeHTTP(t.Context(), guestwire.Stream(stream, guestwire.ChannelPrint), proxy)
	g.run(t, "", "echo 'plain text of the guest' >~/a.txt && dormer-guest print ~/a.txt")
	printed(t, "plain text of the guest")
	if r := g.exec(t, guestwire.ExecRequest{Args: []string{"dormer-guest", "print", "--printer", "none", "/etc/hostname"}}); r.ExitCode == 0 {
		t.Error("a printer that is not there prints")
	}

	// With the guest's CUPS there is a queue.
	g.root(t, "systemctl start cups")
	g.await(t, "CUPS runs", "lpstat -r | grep -q running")
	printers := guestwire.PrintersRequest{Printers: []guestwire.Printer{{Name: "paper", Info: "Paper", Default: true}}}
	g.ask(t, guestwire.CapPrinters, guestwire.MethodPrinters, printers, nil)
	g.ask(t, guestwire.CapPrinters, guestwire.MethodPrinters, printers, nil)
	if got := g.root(t, "lpstat -d; lpstat -v | grep -c paper"); got != "system default destination: paper\n1" {
		t.Errorf("the guest has %q", got)
	}
	g.run(t, "", "echo 'by a queue' >~/b.txt && lp -o raw ~/b.txt")
	printed(t, "by a queue")
	g.ask(t, guestwire.CapPrinters, guestwire.MethodPrinters, guestwire.PrintersRequest{}, nil)
	if got := g.root(t, "lpstat -v 2>/dev/null | grep -c paper || true"); got != "0" {
		t.Errorf("%s queues are left", got)
	}
}

// startCUPS starts CUPS with a printer "paper" and returns its socket and what
// waits until something is printed on it.
func startCUPS(t *testing.T) (socket string, printed func(t *testing.T, text string)) {
	t.Helper()
	if _, err := exec.LookPath("cupsd"); err != nil || os.Geteuid() != 0 {
		missing(t, "printing needs CUPS (cups-daemon, cups-client) and root")
	}
	dir := t.TempDir()
	socket = filepath.Join(dir, "s")
	paper, backend := filepath.Join(dir, "paper"), filepath.Join(dir, "bin", "backend", "paper")
	files := fmt.Sprintf("ServerBin %[1]s/bin\nUser lp\nGroup lp\nSystemGroup root\nServerRoot %[1]s\nRequestRoot %[1]s/spool\nTempDir %[1]s/tmp\nCacheDir %[1]s/cache\nStateDir %[1]s/state\nAccessLog %[1]s/access\nErrorLog %[1]s/error\nPageLog %[1]s/page\n", dir)
	conf := fmt.Sprintf("Listen %s\nBrowsing Off\nDefaultAuthType None\nLogLevel debug\n<Location />\nOrder allow,deny\nAllow all\n</Location>\n<Policy default>\n<Limit All>\nOrder allow,deny\nAllow all\n</Limit>\n</Policy>\n", socket)
	err := errors.Join(os.WriteFile(filepath.Join(dir, "files.conf"), []byte(files), 0o600), os.WriteFile(filepath.Join(dir, "cupsd.conf"), []byte(conf), 0o600))
	for _, sub := range []string{"spool", "tmp", "cache", "state", "ppd", "bin/backend", "bin/filter"} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	// What sends a document to a printer is a program: this one has a file for
	// paper. Those that only root may read run as root.
	program := fmt.Sprintf("#!/bin/sh\n[ $# = 0 ] || cat \"${6:--}\" >>%s\n", paper)
	if err = errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(backend, []byte(program), 0o700), os.Symlink("/usr/lib/cups/daemon", filepath.Join(dir, "bin", "daemon"))); err != nil {
		t.Fatal(err)
	}
	cupsd := exec.CommandContext(context.WithoutCancel(t.Context()), "cupsd", "-f", "-c", filepath.Join(dir, "cupsd.conf"), "-s", filepath.Join(dir, "files.conf"))
	if err := cupsd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cupsd.Process.Kill()
		_ = cupsd.Wait() // killed
	})
	within(t, "CUPS has a printer", func() bool {
		return exec.CommandContext(t.Context(), "lpadmin", "-h", socket, "-p", "paper", "-E", "-v", "paper:/tray", "-m", "raw").Run() == nil
	})
	return socket, func(t *testing.T, text string) {
		t.Helper()
		within(t, "it is printed: "+text, func() bool {
			b, err := os.ReadFile(paper)
			return err == nil && strings.Contains(string(b), text)
		})
	}
}

// within waits until something is so.
func within(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("not so: " + what)
		}
	}
}

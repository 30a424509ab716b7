package cli_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/cli"
	"github.com/dormer-project/dormer/internal/loopback"
	"github.com/dormer-project/dormer/internal/server"
)

// home is a user's: configuration and data of their own.
type home struct{ dir string }

func newHome(t *testing.T) home {
	t.Helper()
	h := home{t.TempDir()}
	for _, sub := range []string{"config", "data", "tmp"} {
		if err := os.Mkdir(filepath.Join(h.dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h home) run(ctx context.Context, in string, out, errs io.Writer, args ...string) int {
	env := map[string]string{"HOME": h.dir, "TMPDIR": filepath.Join(h.dir, "tmp"), "XDG_CONFIG_HOME": filepath.Join(h.dir, "config"), "XDG_DATA_HOME": filepath.Join(h.dir, "data")}
	return cli.Run(ctx, args, cli.Streams{
		In: strings.NewReader(in), Out: out, Err: errs, Now: time.Now, Rand: rand.Reader, Version: "1.2.3",
		Env: func(name string) string { return env[name] },
	})
}

func (h home) must(t *testing.T, in string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := h.run(t.Context(), in, &out, &errs, args...); code != 0 {
		t.Fatalf("dormer %s: exit code %d\n%s%s", strings.Join(args, " "), code, &out, &errs)
	}
	return out.String()
}

// startServer runs a server in this process and returns its URL, the file of
// its authority and the first password.
func startServer(t *testing.T) (address, ca, once string) {
	t.Helper()
	at, err := loopback.Address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg := server.Default()
	cfg.Data, cfg.PublicURLs, cfg.Listen = filepath.Join(t.TempDir(), "server"), []string{"https://" + at}, []string{at}
	ctx, stop := context.WithCancel(context.Background())
	ready := make(chan struct{})
	s, err := server.New(ctx, cfg, server.Deps{
		Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler), Version: "1.2.3",
		Hostname: "server", PasswordCost: access.Cost{MemoryKiB: 64, Passes: 1, Threads: 1},
		Listening: func([]net.Addr) { close(ready) },
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- errors.Join(s.Run(ctx), s.Close()) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-ready
	b, err := os.ReadFile(filepath.Join(cfg.Data, "first-admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	return "https://" + at, filepath.Join(cfg.Data, "keys", "tls", "ca.crt"), strings.TrimSpace(string(b))
}

// browsed is a console that runs, and a browser that was let in.
type browsed struct {
	origin  string
	address string // that let it in
	client  *http.Client
	ended   chan int
	end     context.CancelFunc
	errs    *bytes.Buffer
}

// startConsole starts a console that lets the first browser in that opens its
// address.
func startConsole(t *testing.T, h home, args ...string) *browsed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browsed{ended: make(chan int, 1), end: cancel, errs: &bytes.Buffer{}, client: &http.Client{Jar: jar, Timeout: time.Minute}}
	go func() {
		b.ended <- h.run(ctx, "", write, b.errs, append([]string{"console", "--json", "--no-browser"}, args...)...)
		write.Close()
	}()
	t.Cleanup(func() {
		cancel()
		b.client.CloseIdleConnections()
	})
	var said struct {
		Address string `json:"address"`
	}
	if err := json.NewDecoder(read).Decode(&said); err != nil {
		t.Fatalf("%v: %s", err, b.errs)
	}
	u, err := url.Parse(said.Address)
	if err != nil {
		t.Fatal(err)
	}
	b.address, b.origin = said.Address, "http://"+u.Host
	return b
}

func openConsole(t *testing.T, h home, args ...string) *browsed {
	t.Helper()
	b := startConsole(t, h, args...)
	resp, err := b.client.Get(b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/console/" {
		t.Fatalf("the console opens with %s at %s", resp.Status, resp.Request.URL)
	}
	return b
}

// close ends the console as Ctrl-C does.
func (b *browsed) close(t *testing.T) {
	t.Helper()
	b.client.CloseIdleConnections()
	b.end()
	if code := <-b.ended; code != 0 {
		t.Errorf("exit code %d: %s", code, b.errs)
	}
}

// ask sends JSON and decodes the answer, whose status is returned.
func (b *browsed) ask(t *testing.T, method, path string, in, out any) (status int, raw string) {
	t.Helper()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, b.origin+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", b.origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Dormer-Session", "cookie")
	resp, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	return resp.StatusCode, string(text)
}

// fine asks for what must succeed.
func (b *browsed) fine(t *testing.T, method, path string, in, out any) string {
	t.Helper()
	status, raw := b.ask(t, method, path, in, out)
	if status >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	return raw
}

// wrong asks for what must be refused because of a field.
func (b *browsed) wrong(t *testing.T, method, path string, in any, field string) {
	t.Helper()
	status, raw := b.ask(t, method, path, in, nil)
	var p struct {
		Kind   string `json:"kind"`
		Fields []struct {
			Path string `json:"path"`
		} `json:"fields"`
	}
	if err := json.Unmarshal([]byte(raw), &p); err != nil || status != http.StatusBadRequest || p.Kind != "invalid" || len(p.Fields) != 1 || p.Fields[0].Path != field {
		t.Errorf("%s %s of %v: %d %s, want the field %s", method, path, in, status, raw, field)
	}
}

// jobOfConsole is what of a job is looked at.
type jobOfConsole struct {
	ID       string   `json:"id"`
	State    string   `json:"state"`
	Message  string   `json:"message"`
	Done     int64    `json:"done"`
	Total    int64    `json:"total"`
	Warnings []string `json:"warnings"`
}

// job has a job done and returns what came of it.
func (b *browsed) job(t *testing.T, in map[string]any) jobOfConsole {
	t.Helper()
	var j jobOfConsole
	b.fine(t, http.MethodPost, "/local/v1/jobs", in, &j)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); j.State == "waiting" || j.State == "running"; {
		select {
		case <-limit:
			t.Fatalf("it has not ended: %+v", j)
		case <-tick.C:
			b.fine(t, http.MethodGet, "/local/v1/jobs/"+j.ID, nil, &j)
		}
	}
	return j
}

// TestConsole: an administrator chooses a server, signs in, packs, uploads and
// fetches an image, and no token ever comes by.
func TestConsole(t *testing.T) {
	address, ca, once := startServer(t)
	h := newHome(t)
	b := openConsole(t, h)
	authority, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}

	// the address counts once
	if resp, err := http.Get(b.address); err != nil { //nolint:forbidigo // a browser without the cookie
		t.Fatal(err)
	} else if resp.Body.Close(); resp.StatusCode != http.StatusForbidden {
		t.Errorf("the address counts twice: %s", resp.Status)
	}

	// no server is known
	if status, raw := b.ask(t, http.MethodGet, "/api/v1/sessions/current", nil, nil); status != http.StatusUnauthorized {
		t.Errorf("without a server: %d %s", status, raw)
	}
	var state struct {
		Server *struct {
			URL  string `json:"url"`
			User string `json:"user"`
		} `json:"server"`
		Servers []any  `json:"servers"`
		Folder  string `json:"folder"`
		Free    int64  `json:"disk_free"`
	}
	b.fine(t, http.MethodGet, "/local/v1/state", nil, &state)
	if state.Server != nil || len(state.Servers) != 0 || state.Folder != filepath.Join(h.dir, "data", "dormer", "packed") || state.Free <= 0 {
		t.Errorf("state at first: %+v", state)
	}
	b.wrong(t, http.MethodPut, "/local/v1/server", map[string]any{"url": "dormer.example.com"}, "url")
	b.wrong(t, http.MethodPut, "/local/v1/server", map[string]any{"url": "https://127.0.0.1:1"}, "url")
	b.wrong(t, http.MethodPut, "/local/v1/server", map[string]any{"url": address}, "ca")
	b.wrong(t, http.MethodPut, "/local/v1/server", map[string]any{"url": address, "ca": "nonsense"}, "ca")
	b.fine(t, http.MethodPut, "/local/v1/server", map[string]any{"url": address + "/", "ca": string(authority)}, &state)
	if state.Server == nil || state.Server.URL != address || state.Server.User != "" {
		t.Errorf("state with a server: %+v", state)
	}

	// sign-in: the session is in the profile and nowhere else
	if status, raw := b.ask(t, http.MethodPost, "/api/v1/sessions", map[string]any{"user": "admin", "password": "wrong"}, nil); status != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d %s", status, raw)
	}
	raw := b.fine(t, http.MethodPost, "/api/v1/sessions", map[string]any{"user": "admin", "password": once, "new_password": password}, nil)
	if strings.Contains(raw, "token") || !strings.Contains(raw, `"role":"full"`) {
		t.Errorf("the answer to a sign-in: %s", raw)
	}
	u, err := url.Parse(b.origin)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.client.Jar.Cookies(u); len(got) != 1 || !strings.HasPrefix(got[0].Name, "dormer-console-") {
		t.Errorf("cookies of the browser: %v", got)
	}
	if said := h.must(t, "", "whoami"); !strings.HasPrefix(said, "admin (full)") {
		t.Errorf("the command line is signed in as %s", said)
	}
	b.fine(t, http.MethodGet, "/api/v1/sessions/current", nil, nil)

	b.images(t, h)

	// signing out holds for the command line too
	b.fine(t, http.MethodDelete, "/api/v1/sessions/current", nil, nil)
	if status, raw := b.ask(t, http.MethodGet, "/api/v1/images", nil, nil); status != http.StatusUnauthorized {
		t.Errorf("signed out: %d %s", status, raw)
	}
	var out, errs bytes.Buffer
	if code := h.run(t.Context(), "", &out, &errs, "whoami"); code != 3 {
		t.Errorf("the command line is still signed in: %s", &out)
	}
	if j := b.job(t, map[string]any{"kind": "verify", "name": "office"}); j.State != "failed" || !strings.Contains(j.Message, "signed in") {
		t.Errorf("a job without a session: %+v", j)
	}
	b.close(t)
}

// images packs an image, uploads it and fetches it again.
func (b *browsed) images(t *testing.T, h home) {
	t.Helper()
	h.must(t, "", "publisher", "create", "Desktop team")
	disk := filepath.Join(h.dir, "office.raw")
	content := make([]byte, 4<<20)
	if _, err := rand.Read(content[:1<<20]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(disk, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(disk, filepath.Join(h.dir, "link.raw")); err != nil {
		t.Fatal(err)
	}

	var listed struct {
		Path    string `json:"path"`
		Entries []struct {
			Name   string `json:"name"`
			Folder bool   `json:"folder"`
			Size   int64  `json:"size"`
		} `json:"entries"`
	}
	b.fine(t, http.MethodGet, "/local/v1/files", nil, &listed)
	if got := fmt.Sprint(listed); got != fmt.Sprintf("{%s [{config true 0} {data true 0} {tmp true 0} {office.raw false %d}]}", h.dir, len(content)) {
		t.Errorf("files: %s", got)
	}
	b.wrong(t, http.MethodGet, "/local/v1/files?path=relative", nil, "path")
	b.wrong(t, http.MethodGet, "/local/v1/files?path=/nowhere/at/all", nil, "path")

	b.wrong(t, http.MethodPost, "/local/v1/tests", map[string]any{"name": "../office", "disk": disk}, "name")
	b.wrong(t, http.MethodPost, "/local/v1/tests", map[string]any{"name": "office", "disk": "office.raw"}, "disk")
	b.wrong(t, http.MethodPost, "/local/v1/tests", map[string]any{"name": "office", "disk": disk + ".none"}, "disk")
	b.wrong(t, http.MethodPost, "/local/v1/tests", map[string]any{"name": "office", "disk": disk, "format": "iso"}, "format")
	b.wrong(t, http.MethodPost, "/local/v1/tests", map[string]any{"name": 7}, "name")
	b.wrong(t, http.MethodPost, "/local/v1/tests", map[string]any{"nome": "office"}, "")
	b.fine(t, http.MethodPost, "/local/v1/tests", map[string]any{"name": "office", "disk": disk, "format": "raw"}, nil)
	b.wrong(t, http.MethodPost, "/local/v1/tests", map[string]any{"name": "office", "disk": disk}, "name")
	b.wrong(t, http.MethodPost, "/local/v1/runs", map[string]any{"test": "none"}, "test")
	b.wrong(t, http.MethodPost, "/local/v1/runs", map[string]any{"test": "office", "workspace": "None"}, "workspace")

	b.wrong(t, http.MethodPost, "/local/v1/jobs", map[string]any{"kind": "burn", "name": "office"}, "kind")
	b.wrong(t, http.MethodPost, "/local/v1/jobs", map[string]any{"kind": "pack", "name": "none"}, "test")
	b.wrong(t, http.MethodPost, "/local/v1/jobs", map[string]any{"kind": "upload", "name": "office"}, "name")
	if j := b.job(t, map[string]any{"kind": "pack", "name": "office"}); j.State != "done" || j.Done != j.Total || len(j.Warnings) == 0 {
		t.Errorf("packing: %+v", j)
	}
	if j := b.job(t, map[string]any{"kind": "upload", "name": "office"}); j.State != "done" || j.Message != "office/1 is on the server." {
		t.Errorf("uploading: %+v", j)
	}
	var images struct {
		Tests []struct {
			Name, Disk string
			Size       int64
		} `json:"tests"`
		Packed []struct {
			Name     string `json:"name"`
			Uploaded struct {
				Version int `json:"version"`
			} `json:"uploaded"`
		} `json:"packed"`
	}
	b.fine(t, http.MethodGet, "/local/v1/images", nil, &images)
	if len(images.Tests) != 1 || images.Tests[0].Disk != disk || images.Tests[0].Size != int64(len(content)) || len(images.Packed) != 1 || images.Packed[0].Uploaded.Version != 1 {
		t.Errorf("images: %+v", images)
	}
	if j := b.job(t, map[string]any{"kind": "verify", "name": "office"}); j.State != "done" {
		t.Errorf("verifying: %+v", j)
	}
	if j := b.job(t, map[string]any{"kind": "download", "name": "office", "version": 1}); j.State != "done" {
		t.Errorf("downloading: %+v", j)
	}
	again := filepath.Join(h.dir, "again.raw")
	b.wrong(t, http.MethodPost, "/local/v1/jobs", map[string]any{"kind": "extract", "name": "office", "to": disk}, "to")
	if j := b.job(t, map[string]any{"kind": "extract", "name": "office", "to": again, "format": "raw", "test": "again"}); j.State != "done" {
		t.Errorf("extracting: %+v", j)
	}
	if got, err := os.ReadFile(again); err != nil || !bytes.Equal(got, content) {
		t.Errorf("what was extracted is not what was packed: %v", err)
	}
	if j := b.job(t, map[string]any{"kind": "verify", "name": "office", "version": 9}); j.State != "failed" || !strings.Contains(j.Message, "office/9") {
		t.Errorf("verifying what is not there: %+v", j)
	}
	b.fine(t, http.MethodDelete, "/local/v1/tests/again", nil, nil)
	if _, err := os.Stat(again); err != nil {
		t.Errorf("forgetting a test image has touched its disk: %v", err)
	}
	b.fine(t, http.MethodDelete, "/local/v1/packed/office", nil, nil)
	b.fine(t, http.MethodGet, "/local/v1/images", nil, &images)
	if len(images.Tests) != 1 || len(images.Packed) != 0 {
		t.Errorf("images after deletion: %+v", images)
	}
}

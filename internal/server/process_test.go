package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/server"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// asProgram makes the test's program be dormerd, so that tests can kill it.
const asProgram = "DORMER_TEST_DORMERD"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := server.Command("test", os.Stdin, os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dormerd: "+err.Error())
		os.Exit(server.ExitCode(err))
	}
	os.Exit(0)
}

// instance is a folder, a configuration and a port of a dormerd.
type instance struct {
	t             *testing.T
	dir, data     string
	config        string
	address       string
	adminPassword string
}

func newInstance(t *testing.T, settings string) *instance {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	i := &instance{t: t, dir: dir, data: filepath.Join(dir, "data"), config: filepath.Join(dir, "dormerd.toml"), address: address, adminPassword: "correct horse battery"}
	text := fmt.Sprintf("data = %q\nlisten = [%q]\n%s", i.data, address, settings)
	if err := os.WriteFile(i.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

// command runs dormerd to its end.
func (i *instance) command(args ...string) (stdout, stderr string, err error) {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(i.t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	var out, errOut strings.Builder
	c.Stdout, c.Stderr = &out, &errOut
	err = c.Run()
	return out.String(), errOut.String(), err
}

// start runs dormerd and waits until it is ready.
func (i *instance) start() *exec.Cmd {
	i.t.Helper()
	c := exec.Command(os.Args[0], "serve", "--config", i.config)
	c.Env = append(os.Environ(), asProgram+"=1")
	log, err := os.OpenFile(filepath.Join(i.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		i.t.Fatal(err)
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() {
		_ = c.Process.Kill()
		_, _ = c.Process.Wait()
	})
	i.await(func() error {
		resp, err := i.http().Get(i.url() + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	})
	return c
}

// await looks again and again until ready says nothing, for at most 20 s.
func (i *instance) await(ready func() error) {
	i.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			log, _ := os.ReadFile(filepath.Join(i.dir, "log"))
			i.t.Fatalf("not ready: %v\n%s", err, log)
		case <-tick.C:
		}
	}
}

func (i *instance) url() string { return "https://" + i.address }

func (i *instance) authority() []byte {
	b, err := os.ReadFile(filepath.Join(i.data, "keys", "tls", "ca.crt"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		i.t.Fatal(err)
	}
	return b
}

func (i *instance) http() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(i.authority())
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}}
}

// client signs the first operator in.
func (i *instance) client() *apiclient.Client {
	i.t.Helper()
	c, err := apiclient.New(apiclient.Config{Server: i.url(), Authority: i.authority()})
	if err != nil {
		i.t.Fatal(err)
	}
	in := rest.SignIn{User: "admin", Password: i.adminPassword}
	if once, err := os.ReadFile(filepath.Join(i.data, "first-admin-password")); err == nil {
		in = rest.SignIn{User: "admin", Password: strings.TrimSpace(string(once)), NewPassword: i.adminPassword}
	}
	s, err := c.SignIn(i.t.Context(), in)
	c.Close()
	if err != nil {
		i.t.Fatal(err)
	}
	if c, err = apiclient.New(apiclient.Config{Server: i.url(), Authority: i.authority(), Token: s.Token}); err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(c.Close)
	return c
}

// TestKilledAndStartedAgain: whatever was acknowledged before kill -9 is there
// after the next start, sessions and TLS tickets included.
func TestKilledAndStartedAgain(t *testing.T) {
	i := newInstance(t, "")
	process := i.start()
	c := i.client()
	before, err := c.Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ca := string(i.authority())
	// Users are added until the server is gone in the middle of it.
	made := make(chan string, 1000)
	go func() {
		defer close(made)
		for n := range 1000 {
			name := fmt.Sprint("user", n)
			if _, err := c.CreateGroup(t.Context(), name); err != nil {
				return
			}
			made <- name
		}
	}()
	var names []string
	for name := range made {
		if names = append(names, name); len(names) == 20 {
			if err := process.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_, _ = process.Process.Wait()
	if len(names) < 20 {
		t.Fatalf("only %d groups were made", len(names))
	}
	i.start()
	groups, err := c.Groups(t.Context()) // with the session of before
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, g := range groups {
		have[g.Name] = true
	}
	for _, name := range names {
		if !have[name] {
			t.Errorf("%s was acknowledged and is lost", name)
		}
	}
	after, err := c.Instance(t.Context())
	if err != nil || after != before {
		t.Errorf("instance was %+v, is %+v, %v", before, after, err)
	}
	if string(i.authority()) != ca {
		t.Error("the authority changed")
	}
	audit, err := c.Audit(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	recorded := 0
	for _, r := range audit.Items {
		if r.Action == "group.create" {
			recorded++
		}
	}
	if recorded < len(names) {
		t.Errorf("%d groups were acknowledged, %d are in the audit log", len(names), recorded)
	}
}

// TestSecondServer on the same folder is refused and harms nothing.
func TestSecondServer(t *testing.T) {
	i := newInstance(t, "")
	i.start()
	_, stderr, err := i.command("serve", "--config", i.config)
	if err == nil || !strings.Contains(stderr, "another dormerd is using the folder "+i.data) {
		t.Errorf("second server: %v: %s", err, stderr)
	}
	if _, err := i.client().Groups(t.Context()); err != nil {
		t.Errorf("the first server after it: %v", err)
	}
}

// TestPlainHTTP is not spoken unless it was asked for.
func TestPlainHTTP(t *testing.T) {
	i := newInstance(t, "")
	i.start()
	resp, err := i.http().Get("http://" + i.address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP is answered with %d", resp.StatusCode)
	}

	plain := newInstance(t, "public_urls = [\"http://localhost\"]\n[tls]\nmode = \"off\"\n")
	c := exec.Command(os.Args[0], "serve", "--config", plain.config)
	c.Env = append(os.Environ(), asProgram+"=1")
	var log strings.Builder
	c.Stderr = &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	plain.await(func() error {
		resp, err := plain.http().Get("http://" + plain.address + "/readyz")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "tls.mode") {
		t.Errorf("no warning: %s", log.String())
	}
}

// TestChangedAuthority: a client that knows the old one refuses the server and
// says why, before it sends anything.
func TestChangedAuthority(t *testing.T) {
	i := newInstance(t, "")
	process := i.start()
	c := i.client()
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = process.Process.Wait()
	if err := os.RemoveAll(filepath.Join(i.data, "keys", "tls")); err != nil {
		t.Fatal(err)
	}
	i.start()
	_, err := c.Groups(t.Context())
	if !errors.Is(err, dormer.ErrDenied) || !strings.Contains(err.Error(), "authority") {
		t.Errorf("the old client: %v", err)
	}
}

// TestGracefulStop: a request under way is finished.
func TestGracefulStop(t *testing.T) {
	i := newInstance(t, "")
	process := i.start()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(i.authority())
	conn, err := tls.Dial("tcp", i.address, &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"user":"admin","password":"wrong"}`
	fmt.Fprintf(conn, "POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	buf := make([]byte, 25)
	if _, err := io.ReadFull(conn, buf); err != nil || !strings.Contains(string(buf), "100 Continue") {
		t.Fatalf("%q, %v", buf, err)
	}
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	i.await(func() error { // the listener closes first
		if c, err := net.Dial("tcp", i.address); err == nil {
			return errors.Join(errors.New("still listening"), c.Close())
		}
		return nil
	})
	fmt.Fprint(conn, body)
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "401 Unauthorized") {
		t.Errorf("answer %q, %v", answer, err)
	}
	if state, err := process.Process.Wait(); err != nil || state.ExitCode() != 0 {
		t.Errorf("stopped with %v, %v", state, err)
	}
}

// TestCommands that run to their end.
func TestCommands(t *testing.T) {
	i := newInstance(t, "")
	if out, _, err := i.command("version"); err != nil || out != "dormerd test\n" {
		t.Errorf("version: %q, %v", out, err)
	}
	if out, _, err := i.command("config", "--check", "-c", i.config); err != nil || !strings.Contains(out, "valid") {
		t.Errorf("check: %q, %v", out, err)
	}
	for range 2 {
		out, _, err := i.command("init", "-c", i.config)
		if err != nil || !strings.Contains(out, "ca.crt") {
			t.Errorf("init: %q, %v", out, err)
		}
	}
	once, err := os.ReadFile(filepath.Join(i.data, "first-admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	log, _, _ := i.command("init", "-c", i.config)
	if strings.Contains(log, strings.TrimSpace(string(once))) {
		t.Error("the one-time password was printed")
	}
	out, stderr, err := i.command("user", "reset-password", "Admin", "-c", i.config)
	if err != nil || !strings.HasPrefix(out, "One-time password of Admin: ") {
		t.Fatalf("reset: %q, %q, %v", out, stderr, err)
	}
	i.start()
	if _, err := os.Stat(filepath.Join(i.data, "first-admin-password")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of the first password after it was reset: %v", err)
	}
	c, err := apiclient.New(apiclient.Config{Server: i.url(), Authority: i.authority()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	password := strings.TrimSpace(strings.TrimPrefix(out, "One-time password of Admin: "))
	if _, err := c.SignIn(t.Context(), rest.SignIn{User: "admin", Password: password, NewPassword: "a new horse battery"}); err != nil {
		t.Errorf("with the new password: %v", err)
	}
	if _, stderr, err := i.command("user", "reset-password", "nobody", "-c", i.config); err == nil || !strings.Contains(stderr, "not found") {
		t.Errorf("reset of an unknown user: %q, %v", stderr, err)
	}
	// Everything in the data folder is for its owner alone.
	if err := filepath.WalkDir(i.data, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

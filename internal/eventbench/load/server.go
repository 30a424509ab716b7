package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/loopback"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Files of a Server's folder.
const (
	configFile = "dormerd.toml"
	logFile    = "dormerd.log"
	dataDir    = "data"
)

const (
	adminPassword = "correct horse battery" // of a server that nobody else reaches
	lookEvery     = 20 * time.Millisecond
	probeTime     = 10 * time.Second
)

// Program says how dormerd is run.
type Program struct {
	Path string
	Env  []string // beside those of this process
}

// Server is a dormerd in a process of its own, with a folder, a configuration
// and a port that stay the same when it is started again.
type Server struct {
	Dir     string
	Address string
	metrics string // address of the metrics
	program Program
	cmd     *exec.Cmd
	ended   chan struct{}
	probe   *http.Client
}

// NewServer writes the configuration: settings are lines of dormerd.toml beside
// the folder and the address. Nothing runs yet.
func NewServer(ctx context.Context, dir string, p Program, settings string) (*Server, error) {
	address, err := loopback.Address(ctx)
	if err != nil {
		return nil, err
	}
	metrics, err := loopback.Address(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, Address: address, metrics: metrics, program: p}
	text := fmt.Sprintf("data = %q\nlisten = [%q]\npublic_urls = [%q]\n%s\n[metrics]\nlisten = %q\n",
		s.Data(), s.Address, s.URL(), settings, s.metrics)
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return s, nil
}

// Data is the server's data folder.
func (s *Server) Data() string { return filepath.Join(s.Dir, dataDir) }

// URL is the base URL.
func (s *Server) URL() string { return "https://" + s.Address }

// PID is that of the process that runs, or ran last.
func (s *Server) PID() int { return s.cmd.Process.Pid }

func (s *Server) command(args ...string) *exec.Cmd {
	// It is ended by Kill and Stop, not by a context.
	c := exec.CommandContext(context.Background(), s.program.Path, append(args, "--config", filepath.Join(s.Dir, configFile))...)
	c.Env = append(os.Environ(), s.program.Env...)
	return c
}

// Start runs the server; it may not be ready when this returns.
func (s *Server) Start() error {
	s.cmd = s.command("serve")
	log, err := os.OpenFile(filepath.Join(s.Dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.program.Path, err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func(c *exec.Cmd) {
		defer close(ended)
		_ = c.Wait() // how it ended is in its log
	}(s.cmd)
	return nil
}

// StartReady runs the server and waits until it is ready.
func (s *Server) StartReady(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	return s.AwaitReady(ctx)
}

// AwaitReady waits until the server is ready. Its error says how the log ends.
func (s *Server) AwaitReady(ctx context.Context) error {
	err := Until(ctx, func() error { return s.Ready(ctx) }, s.ended)
	if err != nil {
		return fmt.Errorf("dormerd is not ready: %w\n%s", err, s.Log())
	}
	return nil
}

// Ready asks the server whether it is ready: nil, ErrUnavailable as it says
// itself, or why it does not answer.
func (s *Server) Ready(ctx context.Context) error {
	if s.probe == nil {
		authority, err := s.authority()
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority)
		s.probe = &http.Client{Timeout: probeTime, Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13},
		}}
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := s.probe.Do(q)
	if err != nil {
		return fmt.Errorf("ask whether it is ready: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %w", resp.StatusCode, dormer.ErrUnavailable)
	}
	return nil
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
}

// Stop ends the server as an administrator does.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-s.ended
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("dormerd ended with %d\n%s", code, s.Log())
	}
	return nil
}

// Log returns the end of the server's log.
func (s *Server) Log() string {
	const most = 8 << 10
	b, err := os.ReadFile(filepath.Join(s.Dir, logFile))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}

// Metrics returns what Prometheus would read, by name and labels as they are
// written. Much of it is observed every 15 seconds only.
func (s *Server) Metrics(ctx context.Context) (map[string]float64, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.metrics+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	c := &http.Client{Timeout: probeTime, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(q)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	values := make(map[string]float64)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "} ")
		if ok {
			name += "}"
		} else {
			name, value, ok = strings.Cut(lines.Text(), " ")
		}
		if n, err := strconv.ParseFloat(value, 64); ok && err == nil {
			values[name] = n
		}
	}
	return values, lines.Err()
}

func (s *Server) authority() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.Data(), "keys", "tls", "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	return b, nil
}

// Operator signs the first operator in. The caller closes the client.
func (s *Server) Operator(ctx context.Context) (*apiclient.Client, error) {
	authority, err := s.authority()
	if err != nil {
		return nil, err
	}
	stranger, err := apiclient.New(apiclient.Config{Server: s.URL(), Authority: authority})
	if err != nil {
		return nil, err
	}
	defer stranger.Close()
	in := rest.SignIn{User: "admin", Password: adminPassword}
	if once, err := os.ReadFile(filepath.Join(s.Data(), "first-admin-password")); err == nil {
		in = rest.SignIn{User: "admin", Password: strings.TrimSpace(string(once)), NewPassword: adminPassword}
	}
	session, err := stranger.SignIn(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return apiclient.New(apiclient.Config{Server: s.URL(), Authority: authority, Token: session.Token})
}

// JoinToken makes a join token for so many clients.
func (s *Server) JoinToken(ctx context.Context, clients int) (string, error) {
	c, err := s.Operator(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	t, err := c.CreateJoinToken(ctx, rest.NewJoinToken{Name: "load", Managed: true, MaxUses: clients})
	if err != nil {
		return "", fmt.Errorf("make a join token: %w", err)
	}
	return t.Token, nil
}

// Until looks again and again until ready returns nil, ctx ends, or given up is
// closed; nil never is. The error is the last one of ready.
func Until(ctx context.Context, ready func() error, givenUp <-chan struct{}) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-givenUp:
			return fmt.Errorf("it ended: %w", err)
		case <-tick.C:
		}
	}
}

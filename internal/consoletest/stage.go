// Package consoletest tests the console as people use it: in a browser, on the
// whole product in one process. The journeys are those of web/tests, which
// Playwright runs; Stage gives each of its workers a server of its own and
// computers with real agents, and does what no browser can: pushes images,
// starts machines, lets them crash, lets time go by, takes the server away.
//
// All journeys: go test ./internal/consoletest (scripts/console.sh before it).
// Some, by hand: cd web && npx playwright test tests/together.spec.ts. That
// builds the console and brings a stage of its own (package byhand); one that is
// there already is used when its variables are set: go run ./internal/consoletest/byhand.
// Nothing imports the package but its tests and byhand; package playwright in it
// runs journeys for tests elsewhere, too.
package consoletest

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/producttest/stage"
)

// Variables by which a journey finds its stage.
const (
	// VariableURL is where the stage listens, without a slash at its end.
	VariableURL = "DORMER_STAGE"
	// VariableSecret is what it asks for as Authorization: Bearer SECRET.
	VariableSecret = "DORMER_STAGE_SECRET"
)

// maxRequest bounds what a journey may ask, in bytes.
const maxRequest = 1 << 20

// set is one instance with its computers.
type set struct {
	dir string

	mu        sync.Mutex // guards the fields below; held while one of them changes
	instance  *stage.Instance
	join      string
	computers map[string]*stage.Computer
	benches   map[string]*bench // by folder
	proxies   []*httptest.Server
	pushes    int
}

// Stage makes instances on demand. Make it with New, Close it in the end.
type Stage struct {
	dir    string
	log    *slog.Logger
	secret string
	server *http.Server
	url    string

	mu   sync.Mutex // guards sets
	sets map[string]*set
}

// New starts a stage that keeps all data below dir.
func New(dir string, log *slog.Logger) (*Stage, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Stage{dir: dir, log: log, secret: rand.Text(), url: "http://" + l.Addr().String(), sets: map[string]*set{}}
	s.server = &http.Server{Handler: s.handler(), ReadHeaderTimeout: time.Minute}
	go func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the stage does not listen any more", slog.Any("error", err))
		}
	}()
	return s, nil
}

// Environment is what journeys need to find the stage, as NAME=VALUE.
func (s *Stage) Environment() []string {
	return []string{VariableURL + "=" + s.url, VariableSecret + "=" + s.secret}
}

// Close takes everything down.
func (s *Stage) Close() error {
	err := s.server.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.sets {
		err = errors.Join(err, t.close())
	}
	clear(s.sets)
	return err
}

func (t *set) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	for _, p := range t.proxies {
		p.CloseClientConnections() // of those who listen to notices
		p.Close()
	}
	for _, d := range t.benches {
		err = errors.Join(err, d.close())
	}
	for _, c := range t.computers {
		err = errors.Join(err, c.Shut())
	}
	err = errors.Join(err, t.instance.Shut())
	if t.instance.Admin != nil {
		t.instance.Admin.Close()
	}
	return errors.Join(err, os.RemoveAll(t.dir))
}

// request is what journeys send; each route takes what it needs of it.
type request struct {
	// Name of an image or a computer.
	Name string `json:"name"`
	// User of the server who signs in on the computer.
	User string `json:"user"`
	// Workspace that is meant; empty: the only one.
	Workspace string `json:"workspace"`
	// Application to be run in it.
	Application string `json:"application"`
	// Seconds that go by.
	Seconds int64 `json:"seconds"`
	// Folder of the administrator whose command line is meant, and its arguments.
	Folder    string   `json:"folder"`
	Arguments []string `json:"arguments"`
}

// made is a new instance.
type made struct {
	ID       string `json:"id"`
	URL      string `json:"url"`
	Token    string `json:"token"`    // of the first operator
	Password string `json:"password"` // of the first operator, admin
	Users    string `json:"users"`    // the password that users get to sign in on computers
	// Authority of its certificate, PEM.
	Authority string `json:"authority"`
}

// enrolled is a new computer.
type enrolled struct {
	Client dormer.ClientID `json:"client"`
}

func (s *Stage) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /instances", func(w http.ResponseWriter, _ *http.Request) { answer(w)(s.newInstance()) })
	m.HandleFunc("DELETE /instances/{instance}", func(w http.ResponseWriter, r *http.Request) {
		answer(w)(nil, s.remove(r.PathValue("instance")))
	})
	on := func(pattern string, f func(ctx context.Context, t *set, q request, r *http.Request) (any, error)) {
		m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			t, ok := s.sets[r.PathValue("instance")]
			s.mu.Unlock()
			if !ok {
				answer(w)(nil, errInstance)
				return
			}
			var q request
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&q); err != nil {
				answer(w)(nil, fmt.Errorf("read request: %w", err))
				return
			}
			t.mu.Lock()
			defer t.mu.Unlock()
			answer(w)(f(r.Context(), t, q, r))
		})
	}
	on("POST /instances/{instance}/images", func(ctx context.Context, t *set, q request, _ *http.Request) (any, error) {
		t.pushes++
		dir := filepath.Join(t.dir, "push"+strconv.Itoa(t.pushes))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		return t.instance.Push(ctx, dir, q.Name)
	})
	on("POST /instances/{instance}/ahead", func(_ context.Context, t *set, q request, _ *http.Request) (any, error) {
		t.instance.Ahead.Add(q.Seconds * int64(time.Second))
		return nil, nil
	})
	on("POST /instances/{instance}/server/{action}", func(_ context.Context, t *set, _ request, r *http.Request) (any, error) {
		switch r.PathValue("action") {
		case "stop":
			return nil, t.instance.Shut()
		case "start":
			return nil, t.instance.Start()
		}
		return nil, fmt.Errorf("server: %w", errAction)
	})
	on("POST /instances/{instance}/proxies", func(_ context.Context, t *set, _ request, _ *http.Request) (any, error) {
		return t.newProxy()
	})
	on("POST /instances/{instance}/benches", func(_ context.Context, t *set, _ request, _ *http.Request) (any, error) {
		return t.newBench()
	})
	on("POST /instances/{instance}/benches/dormer", func(ctx context.Context, t *set, q request, _ *http.Request) (any, error) {
		return t.dormer(ctx, q)
	})
	on("POST /instances/{instance}/computers", func(ctx context.Context, t *set, q request, _ *http.Request) (any, error) {
		return t.newComputer(ctx, q, s.log)
	})
	on("POST /instances/{instance}/computers/{computer}/{action}", func(ctx context.Context, t *set, q request, r *http.Request) (any, error) {
		c, ok := t.computers[r.PathValue("computer")]
		if !ok {
			return nil, fmt.Errorf("no such computer: %w", dormer.ErrNotFound)
		}
		do, ok := actions[r.PathValue("action")]
		if !ok {
			return nil, fmt.Errorf("computer: %w", errAction)
		}
		return do(ctx, c, q)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.secret)) != 1 {
			http.Error(w, "the stage has a secret", http.StatusUnauthorized)
			return
		}
		m.ServeHTTP(w, r)
	})
}

var (
	errInstance = errors.New("there is no such instance")
	errAction   = errors.New("there is no such action")
)

// answer returns what sends a result, or an error with all that it says: only
// tests ask.
func answer(w http.ResponseWriter) func(any, error) {
	return func(v any, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // the caller may be gone; nobody is left to be told
	}
}

func (s *Stage) newInstance() (any, error) {
	dir, err := os.MkdirTemp(s.dir, "instance")
	if err != nil {
		return nil, err
	}
	i, err := stage.NewInstance(filepath.Join(dir, "data"), s.log)
	if err != nil {
		return nil, err
	}
	if err := i.Start(); err != nil {
		return nil, err
	}
	t := &set{dir: dir, instance: i, computers: map[string]*stage.Computer{}, benches: map[string]*bench{}}
	if err := i.SignIn(context.Background()); err != nil {
		return nil, errors.Join(err, t.close())
	}
	if t.join, err = i.JoinToken(context.Background()); err != nil {
		return nil, errors.Join(err, t.close())
	}
	authority, err := i.Authority()
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	id := filepath.Base(dir)
	s.mu.Lock()
	s.sets[id] = t
	s.mu.Unlock()
	return made{ID: id, URL: i.Config.PublicURLs[0], Token: i.Token, Password: stage.AdminPassword, Users: stage.UserPassword, Authority: string(authority)}, nil
}

func (s *Stage) remove(id string) error {
	s.mu.Lock()
	t, ok := s.sets[id]
	delete(s.sets, id)
	s.mu.Unlock()
	if !ok {
		return errInstance
	}
	return t.close()
}

// user is who works on every computer: an account of it, not of the server.
const user = 1001

func (t *set) newComputer(ctx context.Context, q request, log *slog.Logger) (any, error) {
	if q.Name == "" || t.computers[q.Name] != nil {
		return nil, fmt.Errorf("a computer needs a name of its own: %w", dormer.ErrExists)
	}
	c := stage.NewComputer(q.Name, filepath.Join(t.dir, "computer"+strconv.Itoa(len(t.computers))), log)
	if err := c.Start(); err != nil {
		return nil, err
	}
	t.computers[q.Name] = c
	if err := c.Enrol(ctx, t.join); err != nil {
		return nil, err
	}
	if q.User != "" {
		if err := c.SignIn(ctx, user, q.User); err != nil {
			return nil, err
		}
	}
	status, err := c.Agent.Status(ctx, stage.Me(0))
	if err != nil {
		return nil, err
	}
	return enrolled{Client: status.Client}, nil
}

// actions are what computers can be told to do. Those of machines return when
// they are done and the server knows of it.
var actions = map[string]func(ctx context.Context, c *stage.Computer, q request) (any, error){
	"poll": func(ctx context.Context, c *stage.Computer, _ request) (any, error) { return nil, c.Refresh(ctx) },
	"start": func(ctx context.Context, c *stage.Computer, q request) (any, error) {
		return nil, command(ctx, c, q, agentapi.CommandStart, "running")
	},
	"stop": func(ctx context.Context, c *stage.Computer, q request) (any, error) {
		return nil, command(ctx, c, q, agentapi.CommandStop, "ready")
	},
	"run": func(ctx context.Context, c *stage.Computer, q request) (any, error) {
		w, err := only(ctx, c, q)
		if err != nil {
			return nil, err
		}
		return c.Agent.RunApplication(ctx, stage.Me(user), string(w.Machine), agentapi.RunRequest{Application: q.Application})
	},
	"crash": func(ctx context.Context, c *stage.Computer, _ request) (any, error) {
		c.Host.PowerCut()
		return nil, c.Refresh(ctx)
	},
	"offline": func(_ context.Context, c *stage.Computer, _ request) (any, error) { return nil, c.Shut() },
	"online": func(ctx context.Context, c *stage.Computer, _ request) (any, error) {
		if err := c.Start(); err != nil {
			return nil, err
		}
		return nil, c.Refresh(ctx)
	},
	"workspaces": func(ctx context.Context, c *stage.Computer, _ request) (any, error) {
		return c.Agent.Workspaces(ctx, stage.Me(user))
	},
}

// only returns the workspace that is meant.
func only(ctx context.Context, c *stage.Computer, q request) (agentapi.Workspace, error) {
	all, err := c.Agent.Workspaces(ctx, stage.Me(user))
	if err != nil {
		return agentapi.Workspace{}, err
	}
	for _, w := range all {
		if q.Workspace == "" || w.Name == q.Workspace {
			return w, nil
		}
	}
	return agentapi.Workspace{}, fmt.Errorf("the computer does not have this workspace: %w", dormer.ErrNotFound)
}

// command tells a machine what to do, as soon as it is there and its image
// complete, and waits until it is in a state.
func command(ctx context.Context, c *stage.Computer, q request, what agentapi.Command, until string) error {
	ctx, cancel := context.WithTimeout(ctx, stage.Patience)
	defer cancel()
	if err := reach(ctx, c, q, ""); err != nil {
		return err
	}
	w, err := only(ctx, c, q)
	if err != nil {
		return err
	}
	if _, err := c.Agent.Act(ctx, stage.Me(user), string(w.Machine), what); err != nil {
		return err
	}
	if err := reach(ctx, c, q, until); err != nil {
		return err
	}
	return c.Refresh(ctx)
}

// settled are states from which a machine can be told something.
var settled = map[string]bool{"ready": true, "running": true, "failed": true}

// reach waits until a workspace is in a state; empty: any that does not pass by itself.
func reach(ctx context.Context, c *stage.Computer, q request, state string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		w, err := only(ctx, c, q)
		switch {
		case errors.Is(err, dormer.ErrNotFound): // comes with one of the next polls
			err = c.Refresh(ctx)
		case err == nil && (w.State == state || state == "" && settled[w.State]):
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("workspace is %s: %w", w.State, dormer.ErrUnavailable)
		}
	}
}

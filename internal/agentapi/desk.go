package agentapi

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/h2conn"
)

// A desk is the session process of a user (`dormer session`) as the agent sees
// it: it connects to the agent, and from then on answers the agent's requests on
// that connection (HTTP/2 without TLS), as its user. What must be done as the
// user is done there.

const (
	pathSession = "/v1/session"
	// deskProtocol is what the connection is upgraded to.
	deskProtocol = "dormer-session/1"
)

// Paths that every session process serves. What it serves beyond them is
// beside its handlers.
const (
	DeskHostCommand = "/host-command" // POST HostCommandRequest -> HostCommandResult
	DeskNotify      = "/notify"       // POST NotifyRequest -> NotifyResult
	DeskEnvironment = "/environment"  // GET -> Environment
	DeskSignIn      = "/sign-in"      // POST -> 204; signs the user in by their ticket, if they have one
	DeskAlive       = "/alive"        // GET -> 204
	DeskEnd         = "/end"          // POST -> 204; the process ends
)

// DeskHello is what a session process says of itself when it connects.
type DeskHello struct {
	Version string `json:"version"`
	// Again says that the process was connected to an agent before: its user has
	// not come just now.
	Again bool `json:"again,omitempty"`
}

// DeskStatus is whether a session process of the user who asks is connected.
type DeskStatus struct {
	Connected bool      `json:"connected"`
	PID       int32     `json:"pid,omitempty"`
	Version   string    `json:"version,omitempty"`
	Since     time.Time `json:"since,omitzero"`
}

// HostCommandRequest runs a command as the user, without a shell.
type HostCommandRequest struct {
	// Args are the program and its arguments.
	Args []string `json:"args"`
	// Timeout ends it and everything that it started.
	Timeout time.Duration `json:"timeout_ns"`
}

// HostCommandResult is how it ended.
type HostCommandResult struct {
	ExitStatus int  `json:"exit_status"`
	TimedOut   bool `json:"timed_out,omitempty"`
	// Problem says why it could not be run at all.
	Problem string `json:"problem,omitempty"`
	// Output is the end of what it printed, for people.
	Output string `json:"output,omitempty"`
}

// NotifyRequest shows a message to the user.
type NotifyRequest struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// NotifyResult says whether a desktop showed it.
type NotifyResult struct {
	Shown bool `json:"shown"`
}

// Notice is a message to the user that no desktop has shown.
type Notice struct {
	Time      time.Time `json:"time"`
	Workspace string    `json:"workspace,omitempty"`
	Title     string    `json:"title"`
	Text      string    `json:"text,omitempty"`
}

// Environment is how the user has set language, formats, keyboard and time
// zone; what is not known is empty.
type Environment struct {
	// Locale is as in $LANG: "de_DE.UTF-8"; Formats as in $LC_TIME, where that
	// is another.
	Locale  string `json:"locale,omitempty"`
	Formats string `json:"formats,omitempty"`
	// Layout and Variant are of XKB: "de", "nodeadkeys".
	Layout  string `json:"layout,omitempty"`
	Variant string `json:"variant,omitempty"`
	// TimeZone is of the IANA database.
	TimeZone string `json:"time_zone,omitempty"`
}

// Desks takes the session processes of users.
type Desks interface {
	// TakeDesk admits a session process of peer and returns what takes its
	// connection over until that ends. ErrExists when another one is connected
	// and answers.
	TakeDesk(ctx context.Context, peer Peer, hello DeskHello) (take func(net.Conn), err error)
	DeskStatus(ctx context.Context, peer Peer) (DeskStatus, error)
	// EndDesk makes the session process of peer end. ErrNotFound when none is
	// connected.
	EndDesk(ctx context.Context, peer Peer) error
}

var deskRoutes = []route{
	{http.MethodPost, pathSession, takeDesk},
	{http.MethodGet, pathSession, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.DeskStatus(r.Context(), p))
	}},
	{http.MethodDelete, pathSession, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		if err := s.agent.EndDesk(r.Context(), p); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}},
}

func takeDesk(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
	if r.Header.Get("Upgrade") != deskProtocol {
		return fmt.Errorf("this agent speaks %s with session processes: %w", deskProtocol, dormer.ErrUnsupported)
	}
	hello, err := decode[DeskHello](w, r)
	if err != nil {
		return err
	}
	take, err := s.agent.TakeDesk(r.Context(), p, hello)
	if err != nil {
		return err
	}
	return takeOver(w, deskProtocol, take)
}

// ConnectDesk makes the caller the session process of their user and returns
// the connection on which to ServeDesk. ErrExists when there is one already.
func (c *Client) ConnectDesk(ctx context.Context, hello DeskHello) (net.Conn, error) {
	return c.upgrade(ctx, pathSession, deskProtocol, hello)
}

// DeskStatus says whether a session process of the caller is connected.
func (c *Client) DeskStatus(ctx context.Context) (DeskStatus, error) {
	return ask[DeskStatus](ctx, c, http.MethodGet, pathSession, nil)
}

// EndDesk makes the caller's session process end.
func (c *Client) EndDesk(ctx context.Context) error {
	_, err := ask[struct{}](ctx, c, http.MethodDelete, pathSession, nil)
	return err
}

// ServeDesk answers the agent's requests on a connection of ConnectDesk until
// it or ctx ends.
func ServeDesk(ctx context.Context, conn net.Conn, h http.Handler) {
	h2conn.Serve(ctx, conn, h, deskLimits)
}

// DeskHandler makes a handler of a session process: an error is answered as a
// problem document, whose text is the error's.
func DeskHandler(log *slog.Logger, serve func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	s := &server{log: log}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// ReadDesk reads the body of a request to a session process strictly.
func ReadDesk[T any](w http.ResponseWriter, r *http.Request) (T, error) { return decode[T](w, r) }

// AnswerDesk sends v, or returns err.
func AnswerDesk(w http.ResponseWriter, v any, err error) error { return answer(w)(v, err) }

// The life of a connection to a session process: when nothing was heard for so
// long it is asked, and given up when it does not answer.
const (
	deskSilence = 20 * time.Second
	deskPing    = 5 * time.Second
)

var deskLimits = h2conn.Limits{Silence: deskSilence, Answer: deskPing, Frame: 1 << 20}

// Desk is the agent's end of the connection to a session process.
type Desk struct {
	http *http.Client
	conn *http.ClientConn
	over <-chan struct{}
}

// NewDesk begins to speak with the session process at the other end of conn,
// which it closes.
func NewDesk(ctx context.Context, conn net.Conn) (*Desk, error) {
	w := h2conn.Watch(conn)
	c, err := h2conn.Client(ctx, w, "session", deskLimits)
	if err != nil {
		return nil, fmt.Errorf("speak with a session process: %w", err)
	}
	return &Desk{conn: c, over: w.Closed(), http: &http.Client{
		Transport: c, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Client is for requests to http://session/..., which go to the process.
func (d *Desk) Client() *http.Client { return d.http }

// Done is closed when the connection has ended.
func (d *Desk) Done() <-chan struct{} { return d.over }

// Alive returns nil when the process answers.
func (d *Desk) Alive(ctx context.Context) error {
	_, err := AskDesk[struct{}](ctx, d.http, http.MethodGet, DeskAlive, nil)
	return err
}

// Close ends the connection.
func (d *Desk) Close() error { return d.conn.Close() }

// AskDesk sends one request to the session process behind c and decodes the
// answer, which is read with a bound. body may be nil. ErrUnavailable when the
// process does not answer, else the process's error.
func AskDesk[T any](ctx context.Context, c *http.Client, method, path string, body any) (T, error) {
	var out T
	r, err := newRequest(ctx, method, "http://session"+path, body)
	if err != nil {
		return out, fmt.Errorf("ask the session process: %w", err)
	}
	resp, err := c.Do(r)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return out, fmt.Errorf("ask the session process: %w", ctx.Err())
	default:
		return out, fmt.Errorf("the session process does not answer (%s): %w", strings.TrimPrefix(err.Error(), "http2: "), dormer.ErrUnavailable)
	}
	defer resp.Body.Close()
	return readAnswer[T](resp, "the session process")
}

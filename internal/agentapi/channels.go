package agentapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/transfer"
)

// Paths of what passes between host and guest.
const (
	pathFile      = "/v1/workspaces/{machine}/files/look"
	pathFiles     = "/v1/workspaces/{machine}/files/list"
	pathFolder    = "/v1/workspaces/{machine}/files/folder"
	pathStaged    = "/v1/workspaces/{machine}/files/staged"
	pathSend      = "/v1/workspaces/{machine}/files/send"
	pathReceive   = "/v1/workspaces/{machine}/files/receive"
	pathReceived  = "/v1/workspaces/{machine}/files/received"
	pathOverride  = "/v1/workspaces/{machine}/override"
	pathClipboard = "/v1/workspaces/{machine}/clipboard"
	pathPrinters  = "/v1/printers"
)

// headerSend carries the SendRequest of a request whose body is a file.
const headerSend = "Dormer-Send"

// Files moves files between a user and the guest of a machine, as its policy
// allows: else ErrDenied. A machine that does not run is ErrUnavailable. Paths
// of the guest are absolute or below its user's home, with slashes.
type Files interface {
	// File says what is there; ErrNotFound when nothing is.
	File(ctx context.Context, peer Peer, machine, path string) (transfer.Entry, error)
	// FilesIn lists a folder. ErrDenied unless files may come from the guest.
	FilesIn(ctx context.Context, peer Peer, machine, path string) ([]transfer.Entry, error)
	// MakeFolder makes a folder; one that is there is as good.
	MakeFolder(ctx context.Context, peer Peer, machine, path string) error
	// StagedFile says what has come of a file in an earlier attempt.
	StagedFile(ctx context.Context, peer Peer, machine string, r SendRequest) (guestwire.StagedFile, error)
	// SendFile moves a file to the guest. It gets its name once all of it is there
	// and nobody refuses it: a refused one leaves nothing, one that was
	// interrupted what has come. ErrExists when there is one already.
	SendFile(ctx context.Context, peer Peer, machine string, r SendRequest, body io.Reader) error
	// ReceiveFile returns the bytes of a file from r.Offset, and how many there
	// are. The caller closes them, and gives the file its name only when Received
	// says so.
	ReceiveFile(ctx context.Context, peer Peer, machine string, r ReceiveRequest) (io.ReadCloser, int64, error)
}

// Exchange is what else passes.
type Exchange interface {
	// Received has the commands of the policy examine a file that has come from the
	// guest. ErrDenied when they refuse it.
	Received(ctx context.Context, peer Peer, machine string, r ReceivedRequest) error
	// Override asks for the permission to let refused files through.
	Override(ctx context.Context, peer Peer, machine string, r OverrideRequest) (OverrideAnswer, error)
	// Clipboard returns the text that the guest has put there.
	Clipboard(ctx context.Context, peer Peer, machine string) ([]byte, error)
	SetClipboard(ctx context.Context, peer Peer, machine string, text []byte) error
	// Printers lists the printers that guests of the user get.
	Printers(ctx context.Context, peer Peer) ([]guestwire.Printer, error)
}

// SendRequest is a file that goes to the guest. Path is where, Source what it is
// called here.
type SendRequest struct {
	guestwire.StageRequest
	Source string `json:"source"`
	// Override is of an OverrideAnswer.
	Override string `json:"override,omitempty"`
}

// ReceiveRequest asks for a file of the guest.
type ReceiveRequest struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset,omitempty"`
	// SHA256 is that of the bytes before Offset, in hexadecimal digits: ErrConflict
	// when the guest's are others.
	SHA256 string `json:"sha256,omitempty"`
	// Target is what it is called here.
	Target   string `json:"target"`
	Override string `json:"override,omitempty"`
}

// ReceivedRequest is a file of the guest that has come.
type ReceivedRequest struct {
	ReceiveRequest
	// Staged is where it is, absolute.
	Staged string `json:"staged"`
	Size   int64  `json:"size"`
}

// OverrideRequest proves who lets refused files through. Both are empty for the
// machine's user, where the policy says that they may.
type OverrideRequest struct {
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
}

// String hides the password.
func (r OverrideRequest) String() string { return "agentapi.OverrideRequest(" + r.User + ")" }

// OverrideAnswer says who does; Token is for the requests that follow, for a
// short time.
type OverrideAnswer struct {
	User  string `json:"user"`
	Token string `json:"token"`
}

// String hides the token.
func (a OverrideAnswer) String() string { return "agentapi.OverrideAnswer(" + a.User + ")" }

// fileQuestion names a path of a guest.
type fileQuestion struct {
	Path string `json:"path"`
}

var channelRoutes = []route{
	{http.MethodPost, pathFile, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[fileQuestion](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.File(r.Context(), p, r.PathValue("machine"), q.Path))
	}},
	{http.MethodPost, pathFiles, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[fileQuestion](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.FilesIn(r.Context(), p, r.PathValue("machine"), q.Path))
	}},
	{http.MethodPost, pathFolder, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[fileQuestion](w, r)
		if err != nil {
			return err
		}
		return done(w, s.agent.MakeFolder(r.Context(), p, r.PathValue("machine"), q.Path))
	}},
	{http.MethodPost, pathStaged, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[SendRequest](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.StagedFile(r.Context(), p, r.PathValue("machine"), q))
	}},
	{http.MethodPost, pathSend, sendFile},
	{http.MethodPost, pathReceive, receiveFile},
	{http.MethodPost, pathReceived, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[ReceivedRequest](w, r)
		if err != nil {
			return err
		}
		if err := patient(w); err != nil {
			return err
		}
		return done(w, s.agent.Received(r.Context(), p, r.PathValue("machine"), q))
	}},
	{http.MethodPost, pathOverride, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[OverrideRequest](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.Override(r.Context(), p, r.PathValue("machine"), q))
	}},
	{http.MethodGet, pathClipboard, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		text, err := s.agent.Clipboard(r.Context(), p, r.PathValue("machine"))
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		// The caller may be gone; nobody is left to be told.
		_, _ = w.Write(text)
		return nil
	}},
	{http.MethodPut, pathClipboard, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, guestwire.MaxClipboard))
		if err != nil {
			return fmt.Errorf("text for the clipboard: %w", err)
		}
		return done(w, s.agent.SetClipboard(r.Context(), p, r.PathValue("machine"), text))
	}},
	{http.MethodGet, pathPrinters, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.Printers(r.Context(), p))
	}},
}

// done answers a request that has nothing to say.
func done(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// patient lifts the time limit for reading the request.
func patient(w http.ResponseWriter) error {
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for a file: %w", err)
	}
	return nil
}

func sendFile(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
	var q SendRequest
	if err := json.Unmarshal([]byte(r.Header.Get(headerSend)), &q); err != nil {
		return dormer.Invalidf(headerSend, "is not the JSON document that is expected there")
	}
	if err := patient(w); err != nil {
		return err
	}
	return done(w, s.agent.SendFile(r.Context(), p, r.PathValue("machine"), q, r.Body))
}

func receiveFile(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
	q, err := decode[ReceiveRequest](w, r)
	if err != nil {
		return err
	}
	if err := patient(w); err != nil {
		return err
	}
	body, size, err := s.agent.ReceiveFile(r.Context(), p, r.PathValue("machine"), q)
	if err != nil {
		return err
	}
	defer body.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	// Whoever gets less than that asks for the rest.
	_, _ = io.Copy(w, body)
	return nil
}

func channelPath(path, machine string) string {
	return strings.Replace(path, "{machine}", url.PathEscape(machine), 1)
}

// File says what is at a path of the guest.
func (c *Client) File(ctx context.Context, machine, path string) (transfer.Entry, error) {
	return ask[transfer.Entry](ctx, c, http.MethodPost, channelPath(pathFile, machine), fileQuestion{path})
}

// FilesIn lists a folder of the guest.
func (c *Client) FilesIn(ctx context.Context, machine, path string) ([]transfer.Entry, error) {
	return ask[[]transfer.Entry](ctx, c, http.MethodPost, channelPath(pathFiles, machine), fileQuestion{path})
}

// MakeFolder makes a folder in the guest.
func (c *Client) MakeFolder(ctx context.Context, machine, path string) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, channelPath(pathFolder, machine), fileQuestion{path})
	return err
}

// StagedFile says what has come of a file in an earlier attempt.
func (c *Client) StagedFile(ctx context.Context, machine string, r SendRequest) (guestwire.StagedFile, error) {
	return ask[guestwire.StagedFile](ctx, c, http.MethodPost, channelPath(pathStaged, machine), r)
}

// SendFile moves a file to the guest; body are its bytes from r.Offset.
func (c *Client) SendFile(ctx context.Context, machine string, r SendRequest, body io.Reader) error {
	head, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	resp, err := c.stream(ctx, http.MethodPost, channelPath(pathSend, machine), http.Header{headerSend: {string(head)}}, body)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// ReceiveFile returns the bytes of a file of the guest and how many follow. The
// caller closes them.
func (c *Client) ReceiveFile(ctx context.Context, machine string, r ReceiveRequest) (io.ReadCloser, int64, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, 0, fmt.Errorf("encode request: %w", err)
	}
	resp, err := c.stream(ctx, http.MethodPost, channelPath(pathReceive, machine), nil, strings.NewReader(string(b)))
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}

// Received says that a file of the guest has come, and returns whether it may
// get its name.
func (c *Client) Received(ctx context.Context, machine string, r ReceivedRequest) error {
	_, err := ask[struct{}](ctx, c, http.MethodPost, channelPath(pathReceived, machine), r)
	return err
}

// Override asks for the permission to let refused files through.
func (c *Client) Override(ctx context.Context, machine string, r OverrideRequest) (OverrideAnswer, error) {
	return ask[OverrideAnswer](ctx, c, http.MethodPost, channelPath(pathOverride, machine), r)
}

// Clipboard returns the text that the guest has put on the clipboard.
func (c *Client) Clipboard(ctx context.Context, machine string) ([]byte, error) {
	resp, err := c.stream(ctx, http.MethodGet, channelPath(pathClipboard, machine), nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, guestwire.MaxClipboard))
	if err != nil {
		return nil, fmt.Errorf("read the clipboard: %w", err)
	}
	return text, nil
}

// SetClipboard gives the guest a text.
func (c *Client) SetClipboard(ctx context.Context, machine string, text []byte) error {
	resp, err := c.stream(ctx, http.MethodPut, channelPath(pathClipboard, machine), nil, strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Printers lists the printers that the caller's guests get.
func (c *Client) Printers(ctx context.Context) ([]guestwire.Printer, error) {
	return ask[[]guestwire.Printer](ctx, c, http.MethodGet, pathPrinters, nil)
}

// stream sends one request whose body or answer is no JSON. The caller closes the
// answer's body.
func (c *Client) stream(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the agent: %w", err)
	}
	maps.Copy(r.Header, header)
	resp, err := c.http.Do(r)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, fmt.Errorf("ask the agent: %w", ctx.Err())
	default:
		return nil, fmt.Errorf("the agent does not answer (%w): %w", errors.Unwrap(err), dormer.ErrUnavailable)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		defer resp.Body.Close()
		return nil, problem.FromResponse(resp)
	}
	return resp, nil
}

// What session processes serve of channels: folders by WebDAV below
// DeskFolders/NAME/, with the folder in HeaderFolder, and printers by IPP below
// DeskPrinters/NAME.
const (
	DeskFolder   = "/folder"   // POST SharedFolder -> 204 when it can be served
	DeskFolders  = "/folders"  // WebDAV
	DeskPrinters = "/printers" // GET -> []guestwire.Printer; POST: IPP
)

// Headers between the agent and session processes. Those of a guest's requests
// are dropped. Values are query-escaped.
const (
	HeaderPrefix  = "Dormer-"
	HeaderFolder  = "Dormer-Folder"  // a SharedFolder as JSON
	HeaderPrinted = "Dormer-Printed" // what was printed, for an event
)

// SharedFolder is a folder of the user that a guest sees. Path may begin with
// {home}.
type SharedFolder struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

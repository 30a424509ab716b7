package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/notice"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Times of a stream of notices.
const (
	// noticeKeepAlive is how often something is sent at least, so that proxies and
	// consoles know that the stream is alive.
	noticeKeepAlive = 15 * time.Second
	// noticeCheck is how often it is looked whether the session still counts.
	noticeCheck = time.Minute
	// noticeRetry is after how long a console comes again whose stream ended.
	noticeRetry = time.Second
	// leaveTime is for noting that a console has gone.
	leaveTime = 5 * time.Second
)

// Lengths of what consoles say of themselves, in bytes; see docs/limits.md.
const (
	maxConsole = 64
	maxWhere   = 400
)

// Notices tell operators what others change and where they are.
type Notices interface {
	// Listen begins a stream; ErrConflict or ErrUnavailable when there are too
	// many. The caller closes it.
	Listen(ctx context.Context, l notice.Listener) (*notice.Stream, error)
	// Be notes that a console shows a page; Renew that it still shows what it did;
	// Leave that its stream has ended.
	Be(ctx context.Context, p notice.Presence) error
	Renew(ctx context.Context, c notice.Console) error
	Leave(ctx context.Context, c notice.Console) error
}

// noticeRoutes are those of several consoles at once.
func noticeRoutes() []route {
	return in(access.AreaReports,
		raw("GET", "/notices", readOnly, "What others change and where they are, as it happens: server-sent events named change, present and missed", (*API).notices,
			media{}, media{typ: of[rest.NoticeEvents]().typ, types: []string{"text/event-stream"}}).with(streaming(maxBody), headers(lastEvent), query(
			parameter{name: "console", doc: "what this console calls itself: 8 to 64 letters, digits, hyphens; needed to be seen by others"},
			parameter{name: "where", doc: "path of the page that it shows, as workspaces/ID"},
			parameter{name: "editing", doc: "something was entered there that is not committed", flag: true})),
		act("PUT", "/presence", readOnly, "Say which page a console shows while it listens to notices", (*API).setPresence).with(unaudited),
	)
}

// lastEvent is what browsers send when a stream is begun again.
var lastEvent = parameter{name: "Last-Event-ID", doc: "the id of the last event that came: what came after it is told, too"}

// placed is where the caller's console is, as it says.
func (c *call) placed(in rest.SetPresence) (notice.Presence, error) {
	if len(in.Console) < 8 || len(in.Console) > maxConsole || !isPlainName(in.Console) {
		return notice.Presence{}, dormer.Invalidf("console", "must be 8 to %d letters, digits and hyphens", maxConsole)
	}
	if len(in.Where) > maxWhere || !utf8.ValidString(in.Where) {
		return notice.Presence{}, dormer.Invalidf("where", "must be text of at most %d bytes", maxWhere)
	}
	now := c.api.Now().UTC()
	return notice.Presence{
		Console: notice.Console{Principal: c.caller.User.ID(), Name: in.Console},
		Who:     c.caller.User.Name, Where: in.Where, Editing: in.Editing, Since: now, Seen: now,
	}, nil
}

// isPlainName reports whether s has nothing but ASCII letters, digits and
// hyphens.
func isPlainName(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') {
			return false
		}
	}
	return true
}

func (a *API) setPresence(c *call, in rest.SetPresence) (rest.None, error) {
	p, err := c.placed(in)
	if err != nil {
		return rest.None{}, err
	}
	return rest.None{}, a.Notices.Be(c.ctx(), p)
}

// notices answers with a stream that ends when the server stops, the session
// does, or the operator's role.
func (a *API) notices(c *call) error {
	l := listening{call: c, listener: notice.Listener{Console: notice.Console{Principal: c.caller.User.ID()}, After: c.lastEvent()}}
	v := c.r.URL.Query()
	var p notice.Presence
	if v.Has("console") {
		editing, err := c.flag("editing")
		if err != nil {
			return err
		}
		if p, err = c.placed(rest.SetPresence{Console: v.Get("console"), Where: v.Get("where"), Editing: editing}); err != nil {
			return err
		}
		l.listener.Console = p.Console
	}
	var err error
	if l.stream, err = a.Notices.Listen(c.ctx(), l.listener); err != nil {
		return err
	}
	// Only who hears the others is seen by them.
	if p.Console.Name != "" {
		if err := a.Notices.Be(c.ctx(), p); err != nil {
			l.stream.Close()
			return err
		}
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // what proxies call not to wait until there is more
	c.w.WriteHeader(http.StatusOK)
	l.tell()
	l.stream.Close()
	if l.listener.Console.Name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx()), leaveTime)
	defer cancel()
	_ = a.Notices.Leave(ctx, l.listener.Console) // or it is forgotten in a minute
	return nil
}

// lastEvent is the number of the last change that the caller was told; 0: of
// none. What was not written here says nothing.
func (c *call) lastEvent() int64 {
	n, err := strconv.ParseInt(c.r.Header.Get(lastEvent.name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// listening is one stream of notices on its way.
type listening struct {
	*call
	listener notice.Listener
	stream   *notice.Stream
}

// tell writes until the stream is over, for whatever reason: nobody is left who
// could be told why.
func (l listening) tell() {
	if !l.write(fmt.Appendf(nil, "retry: %d\n\n", noticeRetry.Milliseconds())) {
		return
	}
	check := time.NewTicker(noticeCheck)
	defer check.Stop()
	renew := time.NewTicker(notice.PresenceInterval)
	defer renew.Stop()
	for {
		select {
		case <-check.C:
			if l.authenticate() != nil {
				return
			}
		case <-renew.C:
			if l.listener.Console.Name != "" && l.api.Notices.Renew(l.ctx(), l.listener.Console) != nil {
				return
			}
		default:
		}
		ctx, cancel := context.WithTimeout(l.ctx(), noticeKeepAlive)
		told, err := l.stream.Next(ctx)
		cancel()
		text := []byte(": still here\n\n")
		switch {
		case l.ctx().Err() != nil || err != nil && !errors.Is(err, context.DeadlineExceeded):
			return
		case err == nil:
			if slices.ContainsFunc(told.Changes, aboutOperators) && l.authenticate() != nil {
				return
			}
			if text, err = l.events(told); err != nil {
				return
			}
		}
		if !l.write(text) {
			return
		}
	}
}

// present is who is where, for this listener.
func (l listening) present(all []notice.Presence) []rest.Present {
	list := make([]rest.Present, len(all))
	for i, p := range all {
		list[i] = rest.Present{
			Who: p.Who, Principal: string(p.Console.Principal), Where: p.Where, Editing: p.Editing, Since: p.Since, Own: p.Console == l.listener.Console,
		}
	}
	return list
}

// aboutOperators reports whether a change may have been of the listener's role.
func aboutOperators(c notice.Change) bool {
	return c.Kind == "operator" || c.Kind == "user" || c.Kind == "group" || c.Kind == "api-token"
}

// write sends text at once; false: nobody takes it any more.
func (l listening) write(text []byte) bool {
	deadlines(l.w, requestTime)
	if _, err := l.w.Write(text); err != nil {
		return false
	}
	return http.NewResponseController(l.w).Flush() == nil
}

// events are what is told, as server-sent events.
func (l listening) events(t notice.Told) ([]byte, error) {
	var out bytes.Buffer
	event := func(name string, id int64, data any) error {
		b, err := json.Marshal(data)
		if err != nil {
			return fmt.Errorf("encode notice: %w", err)
		}
		if id > 0 {
			fmt.Fprintf(&out, "id: %d\n", id)
		}
		fmt.Fprintf(&out, "event: %s\ndata: %s\n\n", name, b)
		return nil
	}
	if t.Missed {
		if err := event("missed", 0, struct{}{}); err != nil {
			return nil, err
		}
	}
	for _, c := range t.Changes {
		if err := event("change", c.ID, rest.Notice(c)); err != nil {
			return nil, err
		}
	}
	if t.Moved {
		if err := event("present", 0, l.present(t.Present)); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

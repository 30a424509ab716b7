package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/notice"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// background lets the server do what it does beside requests, until the test
// ends.
func (h *harness) background() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.server.Background(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

// told is one event of a stream.
type told struct{ id, name, data string }

// stream is a console that listens.
type stream struct {
	t      *testing.T
	header http.Header
	events chan told
	close  func()
}

// listen begins a stream. It ends with the test.
func (h *harness) listen(t *testing.T, token, query string, headers ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+rest.Prefix+"/notices"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{t: t, header: resp.Header, events: make(chan told, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer resp.Body.Close()
		defer close(s.events)
		var e told
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e.name != "" {
					s.events <- e
				}
				e = told{}
			}
		}
	}()
	s.close = func() { cancel(); <-ended }
	t.Cleanup(s.close)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	return s
}

// next returns the next event of a name; false when the stream ends first.
func (s *stream) next(name string) (told, bool) {
	s.t.Helper()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		select {
		case e, ok := <-s.events:
			if !ok || e.name == name {
				return e, ok
			}
		case <-late.C:
			s.t.Fatalf("no %s came", name)
		}
	}
}

func (s *stream) change() rest.Notice {
	s.t.Helper()
	e, ok := s.next("change")
	var n rest.Notice
	if !ok {
		s.t.Fatal("the stream has ended")
	} else if err := json.Unmarshal([]byte(e.data), &n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// until waits for who is where to be as wanted: WHO WHERE, * for who edits and
// ! for the listener itself.
func (s *stream) until(want string) {
	s.t.Helper()
	var got string
	for got != want {
		e, ok := s.next("present")
		if !ok {
			s.t.Fatalf("the stream has ended; last there was %q, want %q", got, want)
		}
		var all []rest.Present
		if err := json.Unmarshal([]byte(e.data), &all); err != nil {
			s.t.Fatal(err)
		}
		var list []string
		for _, p := range all {
			text := p.Who + " " + p.Where
			if p.Editing {
				text += "*"
			}
			if p.Own {
				text += "!"
			}
			list = append(list, text)
		}
		got = strings.Join(list, ", ")
	}
}

func TestNotices(t *testing.T) {
	h := newHarness(t)
	h.background()
	s := h.listen(t, h.reader, "")
	if got := s.header.Get("Content-Type") + " " + s.header.Get("X-Accel-Buffering"); got != "text/event-stream no" {
		t.Errorf("the answer is %q", got)
	}
	h.signIn("reader", readerPassword) // is no news
	a := h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "finance"}, nil)
	n := s.change()
	if n.Kind != "group" || n.Action != "group.create" || n.Who != "admin" || n.Name != "finance" || n.Object == "" || n.Request != a.header.Get("Dormer-Request") {
		t.Errorf("it told %+v", n)
	}
	s.close()

	// Who comes again is told what happened meanwhile.
	h.must("POST", "/directory/groups", h.admin, rest.NewGroup{Name: "sales"}, nil)
	s = h.listen(t, h.reader, "", "Last-Event-ID", "1")
	for range 20 {
		if n = s.change(); n.Name == "sales" {
			break
		}
	}
	if n.Name != "sales" {
		t.Errorf("the last it told was %+v", n)
	}
}

func TestPresence(t *testing.T) {
	h := newHarness(t)
	h.background()
	one := h.listen(t, h.reader, "?console=console-of-reader&where=workspaces/x")
	one.until("reader workspaces/x!")
	two := h.listen(t, h.admin, "?console=console-of-admin&where=workspaces/x&editing=true")
	one.until("reader workspaces/x!, admin workspaces/x*")
	two.until("reader workspaces/x, admin workspaces/x*!")
	// Nobody speaks for another's console.
	h.must("PUT", "/presence", h.admin, rest.SetPresence{Console: "console-of-reader", Where: "images"}, nil)
	one.until("admin images, reader workspaces/x!, admin workspaces/x*")
	h.must("PUT", "/presence", h.admin, rest.SetPresence{Console: "console-of-reader"}, nil)
	h.must("PUT", "/presence", h.admin, rest.SetPresence{Console: "console-of-admin", Where: "images"}, nil)
	one.until("admin images, reader workspaces/x!")
	two.close()
	one.until("reader workspaces/x!")

	for name, in := range map[string]rest.SetPresence{
		"console": {Console: "short", Where: "x"},
		"where":   {Console: "console-of-admin", Where: strings.Repeat("x", 401)},
	} {
		a := h.ask("PUT", rest.Prefix+"/presence", h.admin, in)
		if p := a.problem(t); a.status != http.StatusBadRequest || len(p.Fields) != 1 || p.Fields[0].Path != name {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

// TestNoticesEnd: streams end with the role of who listens, and with the
// server; nobody can open more than the limit.
func TestNoticesEnd(t *testing.T) {
	h := newHarness(t)
	h.background()
	reader, admin := h.listen(t, h.reader, ""), h.listen(t, h.admin, "")
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "reader", Role: ""}, nil)
	if e, ok := reader.next("change"); ok {
		t.Errorf("who is no operator any more was told %+v", e)
	}
	if n := admin.change(); n.Action != "operator.set" {
		t.Errorf("it told %+v", n)
	}
	for range notice.MaxStreamsOfPrincipal - 1 {
		h.listen(t, h.admin, "")
	}
	if a := h.ask("GET", rest.Prefix+"/notices?console=one-too-many&where=images", h.admin, nil); a.status != http.StatusConflict || !strings.Contains(string(a.body), "close some") {
		t.Errorf("one too many: status %d: %s", a.status, a.body)
	}
	// Who is refused is nowhere.
	h.must("PUT", "/presence", h.admin, rest.SetPresence{Console: "console-of-admin", Where: "alerts"}, nil)
	admin.until("admin alerts")
}

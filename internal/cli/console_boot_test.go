package cli_test

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestConsoleOfARealGuest: a test image runs through the local API, its screen
// comes by the websocket, and a key goes in. Ctrl-C ends the machine with the
// console.
func TestConsoleOfARealGuest(t *testing.T) {
	t.Parallel()
	r := newTrial(t)
	before := r.hash(t)
	h := newHome(t)
	b := openConsole(t, h)
	b.fine(t, http.MethodPost, "/local/v1/tests", map[string]any{"name": "tiny", "disk": r.description}, nil)
	var run struct {
		ID      string `json:"id"`
		State   string `json:"state"`
		Screen  bool   `json:"screen"`
		Message string `json:"message"`
	}
	b.fine(t, http.MethodPost, "/local/v1/runs", map[string]any{"test": "tiny"}, &run)
	if status, raw := b.ask(t, http.MethodPost, "/local/v1/runs", map[string]any{"test": "tiny"}, nil); status != http.StatusConflict {
		t.Errorf("the same test image twice: %d %s", status, raw)
	}
	if status, raw := b.ask(t, http.MethodDelete, "/local/v1/tests/tiny", nil, nil); status != http.StatusConflict {
		t.Errorf("forgetting what runs: %d %s", status, raw)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(5 * time.Minute); !run.Screen; {
		var all struct {
			Items []struct{ State, Message string }
		}
		b.fine(t, http.MethodGet, "/local/v1/runs", nil, &all)
		run.State, run.Message = all.Items[0].State, all.Items[0].Message
		if run.Screen = run.State == "running"; !run.Screen && run.State != "starting" {
			t.Fatalf("the run: %+v", run)
		}
		select {
		case <-limit:
			t.Fatalf("the machine has not started: %+v", run)
		case <-tick.C:
		}
	}
	address := "ws" + strings.TrimPrefix(b.origin, "http") + "/local/v1/runs/" + run.ID + "/screen"
	dial := func(origin string) (*websocket.Conn, error) {
		c, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{
			HTTPClient: b.client, Subprotocols: []string{"binary"}, HTTPHeader: http.Header{"Origin": {origin}},
		})
		return c, err
	}
	if c, err := dial("http://example.com"); err == nil {
		_ = c.CloseNow()
		t.Error("another site sees the screen")
	}
	c, err := dial(b.origin)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subprotocol() != "binary" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	c.SetReadLimit(64 << 20)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s := &rfb{t: t, c: websocket.NetConn(ctx, c, websocket.MessageBinary)}
	s.begin()
	for written := false; !written; {
		written = s.look()
	}
	s.press('a')
	b.close(t) // ends the machine too
	if _, err := io.Copy(io.Discard, s.c); err != nil {
		t.Logf("the screen ended with %v", err) // in order or not, it ended
	}
	if left, err := os.ReadDir(filepath.Join(h.dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if after := r.hash(t); after != before {
		t.Errorf("the disk has changed: %s, was %s", after, before)
	}
}

// rfb is as much of a viewer as is needed to see whether there is anything on a
// screen (RFC 6143).
type rfb struct {
	t             *testing.T
	c             io.ReadWriter
	width, height int
}

func (s *rfb) read(n int) []byte {
	s.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(s.c, b); err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *rfb) write(b ...byte) {
	s.t.Helper()
	if _, err := s.c.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// begin shakes hands and asks for the whole screen.
func (s *rfb) begin() {
	s.t.Helper()
	if hello := string(s.read(12)); !strings.HasPrefix(hello, "RFB 003.") {
		s.t.Fatalf("not RFB: %q", hello)
	}
	s.write([]byte("RFB 003.008\n")...)
	kinds := s.read(int(s.read(1)[0]))
	if len(kinds) == 0 || kinds[0] != 1 {
		s.t.Fatalf("security of the screen: %v", kinds)
	}
	s.write(1)
	if result := binary.BigEndian.Uint32(s.read(4)); result != 0 {
		s.t.Fatalf("the screen refuses: %d", result)
	}
	s.write(1) // others may look too
	start := s.read(24)
	s.size(int(binary.BigEndian.Uint16(start)), int(binary.BigEndian.Uint16(start[2:])))
	s.read(int(binary.BigEndian.Uint32(start[20:])))
	// 32 bits a pixel, raw encoding and changes of the size alone
	s.write(0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0)
	s.write(2, 0, 0, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21)
	s.ask(0)
}

func (s *rfb) size(width, height int) { s.width, s.height = width, height }

// ask asks for the screen, or what has changed of it.
func (s *rfb) ask(changed byte) {
	b := []byte{3, changed, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(s.width))
	b = binary.BigEndian.AppendUint16(b, uint16(s.height))
	s.write(b...)
}

// look reads one update and reports whether pixels of it differ.
func (s *rfb) look() bool {
	s.t.Helper()
	switch kind := s.read(1)[0]; kind {
	case 0:
	case 2: // the bell
		return false
	default:
		s.t.Fatalf("a message of kind %d", kind)
	}
	differ := false
	for range binary.BigEndian.Uint16(s.read(3)[1:]) {
		head := s.read(12)
		width, height := int(binary.BigEndian.Uint16(head[4:])), int(binary.BigEndian.Uint16(head[6:]))
		if encoding := int32(binary.BigEndian.Uint32(head[8:])); encoding == -223 {
			s.size(width, height)
			continue
		}
		pixels := s.read(width * height * 4)
		for i := 4; i+3 <= len(pixels); i += 4 {
			differ = differ || string(pixels[i:i+3]) != string(pixels[:3])
		}
	}
	s.ask(1)
	return differ
}

// press presses a key and lets it go.
func (s *rfb) press(key byte) {
	s.write(4, 1, 0, 0, 0, 0, 0, key)
	s.write(4, 0, 0, 0, 0, 0, 0, key)
}

package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/transfer"
)

// channel is the host's end of a channel of an agent: a port that stays open
// from one connection to the next.
func channel(t *testing.T, g *Guest, c guestwire.Channel) net.Conn {
	t.Helper()
	host, port := net.Pipe()
	t.Cleanup(func() { _ = host.Close() })
	go g.keepChannel(t.Context(), c, port)
	return host
}

func greet(t *testing.T, conn net.Conn, session string) *http.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := guestwire.Greet(ctx, conn, session); err != nil {
		t.Fatal(err)
	}
	cc, err := guestwire.HTTPClient(t.Context(), guestwire.Stream(kept{conn}, guestwire.ChannelFiles))
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: cc}
}

// kept is a connection that its user does not close.
type kept struct{ net.Conn }

func (kept) Close() error { return nil }

func newGuest(t *testing.T) *Guest {
	t.Helper()
	g, err := New(Config{Version: "test", User: self(guestwire.ExecRequest{}).User, Log: slog.New(slog.DiscardHandler), Now: time.Now, Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func ask(t *testing.T, c *http.Client, path string, question, answer any) error {
	t.Helper()
	b, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Post("http://guest"+path, "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return answered(body)
	}
	if answer == nil {
		return nil
	}
	if out, ok := answer.(*[]byte); ok {
		*out = body
		return nil
	}
	return json.Unmarshal(body, answer)
}

// Files go there and back, part by part, and the port serves one host after the
// other.
func TestFilesChannel(t *testing.T) {
	dir := t.TempDir()
	conn := channel(t, newGuest(t), guestwire.ChannelFiles)
	c := greet(t, conn, "one")
	target := filepath.Join(dir, "report.txt")
	stage := guestwire.StageRequest{Path: target, Key: transfer.Key("x", transfer.Entry{}), Size: 11}
	var staged guestwire.StagedFile
	write := func(c *http.Client, offset int64, text string) error {
		stage.Offset = offset
		head, err := json.Marshal(stage)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://guest"+guestwire.FilesWrite, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(guestwire.HeaderStage, string(head))
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			return answered(b)
		}
		return json.Unmarshal(b, &staged)
	}
	if err := write(c, 0, "hello "); err != nil {
		t.Fatal(err)
	}
	// Another host, in the middle of what the guest takes for HTTP/2.
	c = greet(t, conn, "two")
	if err := ask(t, c, guestwire.FilesStaged, stage, &staged); err != nil || staged.Size != 6 {
		t.Fatalf("staged %+v, %v", staged, err)
	}
	if err := ask(t, c, guestwire.FilesCommit, stage, nil); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("half a file: %v", err)
	}
	if err := write(c, 6, "world"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(staged.File); err != nil || string(b) != "hello world" {
		t.Errorf("staged: %q, %v", b, err)
	}
	if err := ask(t, c, guestwire.FilesCommit, stage, nil); err != nil {
		t.Fatal(err)
	}
	var e transfer.Entry
	if err := ask(t, c, guestwire.FilesStat, guestwire.FileRequest{Path: target}, &e); err != nil || e.Size != 11 || e.Kind != transfer.KindFile {
		t.Errorf("stat: %+v, %v", e, err)
	}
	var got []byte
	if err := ask(t, c, guestwire.FilesRead, guestwire.FileRequest{Path: target, Offset: 6}, &got); err != nil || string(got) != "world" {
		t.Errorf("read: %q, %v", got, err)
	}
	if err := ask(t, c, guestwire.FilesFolder, guestwire.FileRequest{Path: dir + "/folder"}, nil); err != nil {
		t.Error(err)
	}
	var list []transfer.Entry
	if err := ask(t, c, guestwire.FilesList, guestwire.FileRequest{Path: dir}, &list); err != nil {
		t.Error(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"folder", "report.txt"}, names); diff != "" {
		t.Error(diff)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{dir + "/link", "../../../../etc/passwd", dir + "/none", "", "a\x00b"} {
		if err := ask(t, c, guestwire.FilesRead, guestwire.FileRequest{Path: bad}, nil); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestClipboardChannel(t *testing.T) {
	g := newGuest(t)
	c := greet(t, channel(t, g, guestwire.ChannelClipboard), "one")
	put := func(text string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://guest"+guestwire.ClipboardText, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if put("grüße") != http.StatusOK || string(g.channels.clipboard.get()) != "grüße" {
		t.Errorf("the guest has %q", g.channels.clipboard.get())
	}
	for _, bad := range []string{"\xff", strings.Repeat("x", guestwire.MaxClipboard+1)} {
		if put(bad) == http.StatusOK {
			t.Errorf("%.5q is taken", bad)
		}
	}
	g.channels.clipboard.set([]byte("from the guest"))
	resp, err := c.Get("http://guest" + guestwire.ClipboardText)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "from the guest" {
		t.Errorf("the host gets %q, %v", b, err)
	}
}

func TestParseShares(t *testing.T) {
	got := parseShares("proc /proc proc rw 0 0\n" +
		`http://127.0.0.1:4000/my%20docs /media/dormer/my\040docs fuse rw,nosuid,nodev,relatime,user_id=1000,group_id=1000,allow_other 0 0` + "\n" +
		"http://127.0.0.1:4000/a /media/dormer/a fuse ro,user_id=0 0 0\n")
	want := []share{
		{at: "/media/dormer/my docs", from: "http://127.0.0.1:4000/my%20docs", owner: 1000},
		{at: "/media/dormer/a", from: "http://127.0.0.1:4000/a", readOnly: true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(share{})); diff != "" {
		t.Error(diff)
	}
}

func TestChoosePrinter(t *testing.T) {
	two := []guestwire.Printer{{Name: "a"}, {Name: "b", Default: true}}
	for _, tt := range []struct {
		all          []guestwire.Printer
		called, want string
		bad          bool
	}{{two, "", "b", false}, {two, "a", "a", false}, {two, "c", "", true}, {nil, "", "", true}, {two[:1], "", "a", false}, {[]guestwire.Printer{{Name: "a"}, {Name: "c"}}, "", "", true}} {
		got, err := choosePrinter(tt.all, tt.called)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%v, %q: %q, %v", tt.all, tt.called, got, err)
		}
	}
}

package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/cli"
	"github.com/dormer-project/dormer/internal/event"
	inside "github.com/dormer-project/dormer/internal/guest"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/transfer"
)

// copying is a user with a running workspace, whose guest is this computer with
// the real agent of guests.
type copying struct {
	*desk
	client      *agentapi.Client
	name        string // of the workspace
	host, guest string // folders
}

func newCopying(t *testing.T, change func(*policy.EffectiveDeployment)) *copying {
	t.Helper()
	d := readyDesk(t, func(p *policy.Effective) { change(&p.Deployment) })
	g, err := inside.New(inside.Config{Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, Root: t.TempDir(), User: "root"})
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("a guest on this computer needs root")
		}
		t.Skip("a guest on this computer needs root")
	}
	for _, c := range guestwire.Channels {
		d.host.SetChannel(c, func(_ hypervisor.Spec, conn io.ReadWriteCloser) { g.ServeChannel(t.Context(), c, conn) })
	}
	d.host.SetAnswer(func(ctx context.Context, _ hypervisor.Spec, r guestwire.ExecRequest) (guestwire.ExecResult, error, bool) {
		err := exec.CommandContext(ctx, r.Args[0], r.Args[1:]...).Run()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return guestwire.ExecResult{ExitCode: exit.ExitCode()}, nil, true
		}
		return guestwire.ExecResult{}, err, true
	})
	d.anna("words")
	d.poll()
	if err := d.startMachine(); err != nil {
		t.Fatal(err)
	}
	c := &copying{desk: d, client: d.serveLocal(), name: string(d.machine().id), host: t.TempDir(), guest: t.TempDir()}
	return c
}

// dormer runs a command line as the user would.
func (c *copying) dormer(input string, args ...string) (code int, out string) {
	c.t.Helper()
	var said bytes.Buffer
	code = cli.Run(c.t.Context(), append(args, "--quiet", "--agent", c.client.Socket()), cli.Streams{
		In: strings.NewReader(input), Out: &said, Err: &said, Env: func(string) string { return "" }, Now: time.Now, Version: "1",
	})
	return code, said.String()
}

func (c *copying) write(dir, file, text string) string {
	c.t.Helper()
	full := filepath.Join(dir, file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o700), os.WriteFile(full, []byte(text), 0o600)); err != nil {
		c.t.Fatal(err)
	}
	return full
}

// tree is what is in a folder: content by name.
func (c *copying) tree(dir string) map[string]string {
	c.t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(b)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func both(d *policy.EffectiveDeployment) {
	d.FileTransfer.HostToGuest.Allowed, d.FileTransfer.GuestToHost.Allowed, d.Clipboard = true, true, policy.DirectionBoth
}

func TestCopy(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].fileTransfer.direction")
	c := newCopying(t, both)
	one := c.write(c.host, "one.txt", "from the host")
	c.write(c.host, "tree/a/b.txt", "deep")
	if err := os.Symlink("/etc/passwd", filepath.Join(c.host, "tree", "link")); err != nil {
		t.Fatal(err)
	}
	if code, out := c.dormer("", "copy", "-r", one, filepath.Join(c.host, "tree"), c.name+":"+c.guest); code != 0 || !strings.Contains(out, "2 files") || !strings.Contains(out, "left out") {
		t.Fatalf("%d: %s", code, out)
	}
	want := map[string]string{"one.txt": "from the host", "tree/a/b.txt": "deep"}
	if diff := cmp.Diff(want, c.tree(c.guest)); diff != "" {
		t.Error(diff)
	}
	// Nothing is overwritten without asking.
	c.write(c.host, "one.txt", "newer")
	if code, out := c.dormer("", "copy", one, c.name+":"+c.guest+"/"); code != 6 || !strings.Contains(out, "--overwrite") {
		t.Errorf("%d: %s", code, out)
	}
	if code, out := c.dormer("", "copy", "--overwrite", one, c.name+":"+c.guest+"/"); code != 0 || c.tree(c.guest)["one.txt"] != "newer" {
		t.Errorf("%d: %s", code, out)
	}
	// And back.
	back := t.TempDir()
	if code, out := c.dormer("", "copy", "-r", c.name+":"+c.guest, back); code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	want["one.txt"] = "newer"
	if diff := cmp.Diff(want, c.tree(filepath.Join(back, filepath.Base(c.guest)))); diff != "" {
		t.Error(diff)
	}
	if code, out := c.dormer("", "copy", c.name+":"+c.guest+"/one.txt", filepath.Join(back, "two.txt"), "--json"); code != 0 || !strings.Contains(out, `"bytes": 5`) {
		t.Errorf("%d: %s", code, out)
	}
	if c.told(event.FileSent) == 0 || c.told(event.FileReceived) == 0 {
		t.Error("no event tells")
	}
}

// Names that a hostile guest makes up lead nowhere.
func TestCopyHostileNames(t *testing.T) {
	c := newCopying(t, both)
	for _, bad := range []string{"a\u202excod.exe", "a:stream", "con.txt", "dot.", "new\nline", "back\\slash", "A", "a"} {
		c.write(c.guest, bad, "x")
	}
	c.write(c.guest, "good", "x")
	code, out := c.dormer("", "copy", "-r", c.name+":"+c.guest, c.host)
	if code == 0 {
		t.Errorf("all is said to be well: %s", out)
	}
	got := c.tree(filepath.Join(c.host, filepath.Base(c.guest)))
	if diff := cmp.Diff(map[string]string{"good": "x", "A": "x"}, got); diff != "" {
		t.Error(diff)
	}
	for _, target := range []string{c.name + ":" + c.guest + "/a:b", c.name + ":" + c.guest + "/nul.txt"} {
		if code, out := c.dormer("", "copy", c.write(c.host, "x", "x"), target); code != 2 {
			t.Errorf("%s: %d: %s", target, code, out)
		}
	}
}

func TestCopyRules(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].fileTransfer.direction", "grants[].fileTransfer.hostToGuest.extensions")
	c := newCopying(t, func(d *policy.EffectiveDeployment) {
		d.FileTransfer.HostToGuest = policy.EffectiveTransfer{Allowed: true, Extensions: []string{"pdf"}}
	})
	if code, out := c.dormer("", "copy", c.write(c.host, "a.PDF", "x"), c.name+":"+c.guest); code != 0 {
		t.Errorf("%d: %s", code, out)
	}
	for _, args := range [][]string{
		{c.write(c.host, "a.exe", "x"), c.name + ":" + c.guest},
		{c.write(c.host, "b.exe", "x"), c.name + ":" + c.guest + "/b.pdf"},
		{c.name + ":" + c.guest + "/a.PDF", c.host + "/back.pdf"},
	} {
		if code, out := c.dormer("", append([]string{"copy"}, args...)...); code != 4 {
			t.Errorf("%v: %d: %s", args, code, out)
		}
	}
	if diff := cmp.Diff(map[string]string{"a.PDF": "x"}, c.tree(c.guest)); diff != "" {
		t.Error(diff)
	}
	if c.told(event.FileRefused) == 0 {
		t.Error("no event tells")
	}
	// Whoever may not override does not.
	if code, out := c.dormer("", "copy", "--override", filepath.Join(c.host, "a.exe"), c.name+":"+c.guest); code != 4 {
		t.Errorf("override: %d: %s", code, out)
	}
}

func TestCopyExamined(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].fileTransfer.hostToGuest.command", "grants[].fileTransfer.guestToHost.command", "grants[].fileTransfer.mayOverride")
	commands := []string{"false {file}", "grep -q clean {file}"}
	c := newCopying(t, func(d *policy.EffectiveDeployment) {
		both(d)
		d.FileTransfer.MayOverride = true
		d.FileTransfer.HostToGuest.Commands, d.FileTransfer.GuestToHost.Commands = commands, commands
	})
	good, bad := c.write(c.host, "good.txt", "clean"), c.write(c.host, "bad.txt", "evil")
	r := agentapi.ReceivedRequest{ReceiveRequest: agentapi.ReceiveRequest{Path: good, Target: "good.txt"}, Staged: good}
	if err := c.client.Received(t.Context(), c.name, r); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("without a session: %v", err)
	}
	c.session(c.client, nil)
	if code, out := c.dormer("", "copy", good, c.name+":"+c.guest); code != 0 {
		t.Errorf("%d: %s", code, out)
	}
	if code, out := c.dormer("", "copy", bad, c.name+":"+c.guest); code != 4 || !strings.Contains(out, "refused") {
		t.Errorf("%d: %s", code, out)
	}
	if diff := cmp.Diff(map[string]string{"good.txt": "clean"}, c.tree(c.guest)); diff != "" {
		t.Errorf("something stays of what is refused: %s", diff)
	}
	if code, out := c.dormer("", "copy", "--override", bad, c.name+":"+c.guest); code != 0 || c.told(event.FileOverridden) == 0 {
		t.Errorf("override: %d: %s", code, out)
	}
	back := t.TempDir()
	if code, out := c.dormer("", "copy", c.name+":"+c.guest+"/good.txt", c.name+":"+c.guest+"/bad.txt", back); code != 4 || !strings.Contains(out, "bad.txt") {
		t.Errorf("%d: %s", code, out)
	}
	if diff := cmp.Diff(map[string]string{"good.txt": "clean"}, c.tree(back)); diff != "" {
		t.Errorf("something stays of what is refused: %s", diff)
	}
}

// What was interrupted goes on where it ended, if it is still the same file.
func TestCopyResumes(t *testing.T) {
	c := newCopying(t, both)
	big := c.write(c.guest, "big", strings.Repeat("0123456789", 10_000))
	body, size, err := c.client.ReceiveFile(t.Context(), string(c.machine().id), agentapi.ReceiveRequest{Path: big, Target: "big"})
	if err != nil || size != 100_000 {
		t.Fatalf("%d, %v", size, err)
	}
	_ = body.Close()
	if _, _, err := c.client.ReceiveFile(t.Context(), string(c.machine().id), agentapi.ReceiveRequest{Path: big, Target: "big", Offset: 10, SHA256: "other"}); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("other bytes: %v", err)
	}
	here := c.write(c.host, "here", strings.Repeat("abcdefghij", 10_000))
	info, err := os.Stat(here)
	if err != nil {
		t.Fatal(err)
	}
	e := transfer.Entry{Size: info.Size(), Modified: info.ModTime().UTC()}
	r := agentapi.SendRequest{StageRequest: guestwire.StageRequest{Path: c.guest + "/here", Key: transfer.Key(here, e), Size: e.Size}, Source: "here"}
	if err := c.client.SendFile(t.Context(), c.name, r, strings.NewReader(strings.Repeat("abcdefghij", 3000))); !errors.Is(err, dormer.ErrUnavailable) {
		t.Fatalf("a part of it: %v", err)
	}
	if code, out := c.dormer("", "copy", "--json", here, c.name+":"+c.guest); code != 0 || !strings.Contains(out, `"resumed": 30000`) {
		t.Errorf("%d: %s", code, out)
	}
	// And back: a part of it is here, or what looks like one.
	place, err := transfer.OpenPlace(c.host)
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close()
	for i, part := range []string{strings.Repeat("0123456789", 5000), "something else"} {
		target := []string{"one", "two"}[i]
		e, err := c.client.File(t.Context(), c.name, big)
		if err != nil {
			t.Fatal(err)
		}
		s, err := place.Stage(target, transfer.Key(c.name+":"+big, e))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(strings.NewReader(part), 0, e.Size); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		code, out := c.dormer("", "copy", "--json", c.name+":"+big, filepath.Join(c.host, target))
		if resumed := strings.Contains(out, `"resumed": 50000`); code != 0 || resumed != (i == 0) || len(c.tree(c.host)[target]) != 100_000 {
			t.Errorf("%s: %d: %s", target, code, out)
		}
	}
}

func TestClipboard(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].clipboard")
	c := newCopying(t, both)
	if code, out := c.dormer("grüße", "clipboard", "push", c.name); code != 0 {
		t.Fatalf("%d: %s", code, out)
	}
	if code, out := c.dormer("", "clipboard", "pull", c.name); code != 0 || out != "grüße" {
		t.Errorf("%d: %q", code, out)
	}
	c.house.set(func(h *house) { h.policy.Deployment.Clipboard = policy.DirectionHostToGuest })
	c.terms(func(l *lease.Lease) { l.PolicyRevision = 9 })
	if code, out := c.dormer("", "clipboard", "pull", c.name); code != 4 {
		t.Errorf("the wrong way: %d: %s", code, out)
	}
}

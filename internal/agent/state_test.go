package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/wire"
)

func TestFolder(t *testing.T) {
	f, err := makeFolder(filepath.Join(t.TempDir(), "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.read("none"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
	type pair struct{ A, B string }
	got := pair{A: "stays"}
	if err := f.readJSON("none", &got); err != nil || got.A != "stays" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, want := range []pair{{"1", "2"}, {"3", strings.Repeat("x", 10000)}, {"", ""}} {
		if err := f.writeJSON("file", want); err != nil {
			t.Fatal(err)
		}
		got = pair{}
		if err := f.readJSON("file", &got); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
	// What a crash leaves behind is not in the way.
	if err := os.WriteFile(f.path("file"+suffixNew), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.writeJSON("file", pair{"5", "6"}); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(f.path("file"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.readJSON("file", &got); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("half a file: %v", err)
	}
	if err := os.Truncate(f.path("file"), maxStateFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read("file"); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("a huge file: %v", err)
	}
	if err := folder(f.path("gone")).write("file", nil); err == nil {
		t.Error("written into no folder")
	}
}

func TestSecretsOf(t *testing.T) {
	key, err := seal.NewFileKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := seal.MarshalClientPublic(key)
	if err != nil {
		t.Fatal(err)
	}
	p, err := seal.ParseClientPublic(public)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := p.Seal(wire.KeyInfo("disk m"), []byte("the key of the disks"))
	if err != nil {
		t.Fatal(err)
	}
	keys := wire.SealedKeys{Keys: []wire.SealedKey{{Name: "disk m", Sealed: sealed}, {Name: "disk n", Sealed: sealed}}}
	if got, err := openKey(key, keys, "disk m"); err != nil || string(got) != "the key of the disks" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := openKey(key, keys, "disk n"); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("a key sealed for another machine: %v", err)
	}
	if _, err := openKey(key, keys, "disk o"); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a key that is not there: %v", err)
	}
}

func TestUsers(t *testing.T) {
	mk := func(uid uint32, key, id string) session {
		return session{UID: uid, User: dormer.Principal{Directory: "local", Key: key, Name: key}, ID: id, Expires: time.Unix(1, 0)}
	}
	var u users
	u = u.with(mk(1, "anna", "s1"))
	u = u.with(mk(2, "ben", "s2"))
	u = u.with(mk(1, "anna", "s3"))
	if len(u.Sessions) != 2 || len(u.of(1)) != 1 || u.of(1)[0].ID != "s3" {
		t.Errorf("%+v", u)
	}
	if s, ok := u.find("local/ben"); !ok || s.UID != 2 {
		t.Errorf("%+v, %t", s, ok)
	}
	before := u
	rest := u.without(func(s session) bool { return s.ID == "s2" })
	if len(rest.Sessions) != 1 || len(before.Sessions) != 2 {
		t.Error("without changes what it is called on")
	}
}

func TestFewer(t *testing.T) {
	var seen []int
	take := wire.MaxEventsPerPoll
	for range 11 {
		seen = append(seen, take)
		take = fewer(take)
	}
	want := []int{500, 250, 125, 62, 31, 15, 7, 3, 1, takeNone, 1}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 5, ""},
		{"short", 5, "short"},
		{"longer", 5, "longe"},
		{"a\x00b\nc\u0085d", 20, "a b c d"},
		{"ääää", 5, "ää"},
		{"\xff\xfe", 9, "?"},
		{strings.Repeat("x", 5000), maxGuestText, strings.Repeat("x", maxGuestText)},
	} {
		if got := cut(tt.in, tt.limit); got != tt.want {
			t.Errorf("%q at %d: %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func TestPause(t *testing.T) {
	said := func(p wire.Problem) error { return fmt.Errorf("server x: %w", &problem.Error{Problem: p}) }
	for _, tt := range []struct {
		failures int
		err      error
		want     time.Duration
	}{
		{1, dormer.ErrUnavailable, 5 * time.Second},
		{2, dormer.ErrUnavailable, 10 * time.Second},
		{4, dormer.ErrUnavailable, 40 * time.Second},
		{1000, dormer.ErrUnavailable, 5 * time.Minute},
		{9, said(wire.Problem{Kind: "unavailable", RetryAfter: 2}), 2 * time.Second},
		{1, said(wire.Problem{Kind: "unavailable", RetryAfter: 90000}), time.Hour},
		{1, said(wire.Problem{Kind: "denied"}), 5 * time.Minute},
		{1, said(wire.Problem{Kind: "internal"}), 5 * time.Second},
	} {
		if got := pause(tt.failures, tt.err); got != tt.want {
			t.Errorf("%d failures, %v: %s, want %s", tt.failures, tt.err, got, tt.want)
		}
	}
}

func TestProblemEvents(t *testing.T) {
	for _, tt := range []struct {
		err  error
		told bool
	}{
		{dormer.ErrUnavailable, false},
		{dormer.ErrFenced, true},
		{dormer.ErrCorrupt, true},
		{&problem.Error{Problem: wire.Problem{Kind: "denied"}}, false},
	} {
		if got := problemEvent(tt.err) != 0; got != tt.told {
			t.Errorf("%v: told is %t", tt.err, got)
		}
	}
}

func TestConfigFile(t *testing.T) {
	env := func(name string) string {
		return map[string]string{"HOME": "/home/anna", "XDG_RUNTIME_DIR": "/run/user/7", "XDG_STATE_HOME": "/s"}[name]
	}
	got := DefaultFile(true, env)
	want := File{
		State: "/s/dormer/agent", Images: "/home/anna/.local/share/dormer/images", Socket: "/run/user/7/dormer/agent.sock",
		Bridges: []string{}, OpticalDrive: "/dev/sr0", LogLevel: "info", LogFormat: "text",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var b strings.Builder
	if err := got.Explain(&b); err != nil {
		t.Fatal(err)
	}
	// What explain prints is a valid file once it is not commented out.
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "# ") {
			lines[i] = l[1:]
		}
	}
	if again, err := ParseFile([]byte(strings.Join(lines, "\n")), DefaultFile(false, env)); err != nil || !cmp.Equal(again, want) {
		t.Errorf("%+v, %v", again, err)
	}
	for _, tt := range []struct {
		text, path string
		line       int
	}{
		{"\nstat = \"/x\"", "stat", 2},
		{"state = 5", "", 1},
		{"state = \"x\"", "state", 0},
		{"log_level = \"loud\"", "log_level", 0},
		{"log_format = \"xml\"", "log_format", 0},
	} {
		_, err := ParseFile([]byte(tt.text), DefaultFile(false, env))
		invalid, ok := errors.AsType[*dormer.InvalidError](err)
		if !ok || len(invalid.Fields) != 1 || invalid.Fields[0].Path != tt.path || invalid.Fields[0].Line != tt.line {
			t.Errorf("%q: %v", tt.text, err)
		}
	}
	if _, err := ParseFile(nil, DefaultFile(true, func(string) string { return "" })); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("without any environment: %v", err)
	}
}

func FuzzParseFile(f *testing.F) {
	for _, s := range []string{"", "state = \"/x\"", "x = 1", "[a]", "state = [", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseFile(b, DefaultFile(false, func(string) string { return "" })); err == nil && c.Validate() != nil {
			t.Error("an invalid configuration was taken")
		}
	})
}

// TestWithdrawDuringRemoval: a machine whose folder is gone has nothing to keep.
func TestWithdrawDuringRemoval(t *testing.T) {
	f, err := makeFolder(filepath.Join(t.TempDir(), "machine"))
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{
		host:  func() wire.Host { return wire.Host{} },
		clock: lease.NewClock(lease.TimeSources{Wall: time.Now, Boot: func() time.Duration { return 0 }, BootID: "boot"}, lease.ClockState{}),
	}
	m := &machine{agent: a, folder: f, record: record{Machine: "m"}}
	if err := os.RemoveAll(string(f)); err != nil {
		t.Fatal(err)
	}
	if err := m.withdraw("signed out", time.Time{}); err == nil {
		t.Error("the record of a machine that is to stay was lost without a word")
	}
	m.record.Removing = "order"
	if err := m.withdraw("signed out", time.Time{}); err != nil {
		t.Errorf("while it is removed: %v", err)
	}
}

// TestSecondAgent: whoever starts an agent twice is told so.
func TestSecondAgent(t *testing.T) {
	dir := t.TempDir()
	images, err := OpenImages(filepath.Join(dir, "images"))
	if err != nil {
		t.Fatal(err)
	}
	defer images.Close()
	config := filepath.Join(dir, "agent.toml")
	text := fmt.Sprintf("state = %q\nimages = %q\nsocket = %q\n", filepath.Join(dir, "state"), filepath.Join(dir, "images"), filepath.Join(dir, "agent.sock"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Command("test", strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" })
	c.SetArgs([]string{"run", "--config", config})
	if err := c.ExecuteContext(t.Context()); !errors.Is(err, dormer.ErrConflict) || !strings.Contains(err.Error(), "another agent runs here") {
		t.Errorf("a second agent: %v", err)
	}
}

package guest

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// TestOnce: a command with a name runs once, whoever asks and however it ends; one
// that cannot be started has not begun.
func TestOnce(t *testing.T) {
	dir := t.TempDir()
	g, err := New(Config{Root: dir, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	request := guestwire.ExecRequest{Args: []string{"/bin/sh", "-c", "echo x >>" + out + "; exit 3"}, User: "root", Once: "abc-1"}
	if os.Getuid() != 0 {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("needs root: commands of the guest's administrator")
		}
		t.Skip("needs root: commands of the guest's administrator")
	}
	result, err := g.exec(t.Context(), request, nil)
	if err != nil || result.ExitCode != 3 {
		t.Fatalf("%+v, %v", result, err)
	}
	again, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.exec(t.Context(), request, nil); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("a second time: %v", err)
	}
	if b, err := os.ReadFile(out); err != nil || string(b) != "x\n" {
		t.Errorf("ran as %q, %v", b, err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		request.Args, request.Once = []string{text}, "abc-2"
		if _, err := g.exec(t.Context(), request, nil); err == nil || errors.Is(err, dormer.ErrExists) {
			t.Errorf("what cannot be started: %v", err)
		}
	}
	for _, bad := range []string{"../x", "a/b", "-a", "ö"} {
		request.Once = bad
		if err := request.Validate(); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("name %q: %v", bad, err)
		}
	}
}

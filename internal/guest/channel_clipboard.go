package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// clipboard is the text that passes between host and guest. Where the user has
// a desktop it is the desktop's too.
type clipboard struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (c *clipboard) get() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text
}

func (c *clipboard) set(text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = text
}

// Programs that reach the clipboard of a desktop: for Wayland, and for X.
var (
	pasters = [][]string{{"wl-paste", "--no-newline", "--type", "text"}, {"xclip", "-selection", "clipboard", "-out"}}
	copiers = [][]string{{"wl-copy", "--type", "text/plain"}, {"xclip", "-selection", "clipboard", "-in"}}
)

// hostClipboard answers the host on the channel of the clipboard.
func (g *Guest) hostClipboard(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != guestwire.ClipboardText {
		reply(w, nil, fmt.Errorf("request on the clipboard: %w", dormer.ErrNotFound))
		return
	}
	switch r.Method {
	case http.MethodGet:
		text := g.channels.clipboard.get()
		if shown, err := g.desktopClipboard(r.Context()); err == nil {
			text = shown
		}
		sendText(w, text)
	case http.MethodPut:
		text, err := readText(w, r)
		if err == nil {
			g.channels.clipboard.set(text)
			g.setDesktopClipboard(r.Context(), text)
		}
		reply(w, nil, err)
	default:
		reply(w, nil, fmt.Errorf("request on the clipboard: %w", dormer.ErrUnsupported))
	}
}

// sendText answers with a text.
func sendText(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// Who asked may be gone.
	_, _ = w.Write(text)
}

// readText reads a text that somebody puts on the clipboard.
func readText(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, guestwire.MaxClipboard))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, fmt.Errorf("the clipboard takes %d bytes: %w", guestwire.MaxClipboard, dormer.ErrTooLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("read text: %w", err)
	}
	if !utf8.Valid(text) {
		return nil, dormer.Invalidf("text", "is not valid UTF-8")
	}
	return text, nil
}

// errNoDesktop says that no program reaches a desktop's clipboard.
var errNoDesktop = fmt.Errorf("the clipboard of a desktop: %w", dormer.ErrNotFound)

// desktopClipboard is the text on the clipboard of the user's desktop.
func (g *Guest) desktopClipboard(ctx context.Context) ([]byte, error) {
	result, err := g.onDesktop(ctx, pasters, nil)
	if err != nil {
		return nil, err
	}
	if result.ExitCode != 0 || result.Truncated || !utf8.Valid(result.Stdout) {
		return nil, errNoDesktop
	}
	return result.Stdout, nil
}

// setDesktopClipboard puts a text on the clipboard of the user's desktop, if
// there is one.
func (g *Guest) setDesktopClipboard(ctx context.Context, text []byte) {
	_, err := g.onDesktop(ctx, copiers, text)
	if err != nil && !errors.Is(err, dormer.ErrNotFound) {
		g.cfg.Log.Info("the desktop's clipboard was not set", slog.Any("error", err))
	}
}

// onDesktop runs the first of some programs that the guest has, where the user
// has a desktop.
func (g *Guest) onDesktop(ctx context.Context, programs [][]string, stdin []byte) (guestwire.ExecResult, error) {
	who, err := g.channelAccount()
	if err != nil {
		return guestwire.ExecResult{}, err
	}
	if len(who.desktop()) == 0 {
		return guestwire.ExecResult{}, errNoDesktop
	}
	for _, args := range programs {
		result, err := g.exec(ctx, guestwire.ExecRequest{Args: args, User: who.name, Stdin: stdin, Interactive: true, Timeout: desktopPatience, MaxOutput: guestwire.MaxClipboard}, nil)
		if errors.Is(err, dormer.ErrNotFound) || err == nil && result.ExitCode != 0 {
			continue
		}
		return result, err
	}
	return guestwire.ExecResult{}, errNoDesktop
}

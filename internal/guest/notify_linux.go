package guest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer/internal/guestwire"
)

// notify shows a message on the desktops and terminals of who is signed on.
// Nobody being there is no error.
func (g *Guest) notify(ctx context.Context, r guestwire.NotifyRequest) error {
	if err := checkNote(r); err != nil {
		return err
	}
	title, text := printable(r.Title), printable(r.Text)
	var showing sync.WaitGroup
	for _, who := range g.desktopUsers() {
		showing.Go(func() {
			_, err := tool{who: &who, args: []string{
				"busctl", "--user", "--timeout=5", "call", "org.freedesktop.Notifications", "/org/freedesktop/Notifications",
				"org.freedesktop.Notifications", "Notify", "susssasa{sv}i", "--", "Dormer", "0", "", title, text, "0", "0", "-1",
			}}.run(ctx)
			if err != nil {
				g.cfg.Log.Debug("desktop does not show a message", slog.String("user", who.name), slog.Any("error", err))
			}
		})
	}
	for _, path := range terminals() {
		writeTerminal(path, "\r\n"+strings.TrimSpace(title+": "+strings.ReplaceAll(text, "\n", "\r\n"))+"\r\n")
	}
	showing.Wait()
	return nil
}

// desktopUsers are the users with a session bus.
func (g *Guest) desktopUsers() []account {
	paths, err := filepath.Glob("/run/user/*/bus")
	if err != nil {
		return nil
	}
	var users []account
	for _, path := range paths {
		uid, err := strconv.ParseUint(filepath.Base(filepath.Dir(path)), 10, 32)
		if err != nil || uid < firstRegularUser {
			continue
		}
		if who, err := g.accountOf(uint32(uid)); err == nil {
			users = append(users, who)
		}
	}
	return users
}

// terminals are those that belong to regular users.
func terminals() []string {
	var out []string
	for _, pattern := range []string{"/dev/pts/[0-9]*", "/dev/tty[0-9]*", "/dev/ttyS[0-9]*", "/dev/hvc[0-9]*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, path := range paths {
			var st unix.Stat_t
			if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Uid >= firstRegularUser {
				out = append(out, path)
			}
		}
	}
	return out
}

// writeTerminal writes to a terminal that may be held: then the message is lost.
func writeTerminal(path, text string) {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = unix.Write(int(f.Fd()), []byte(text))
}

package session

import (
	"context"
	"errors"
	"html"
	"log/slog"
	"net/http"

	"github.com/godbus/dbus/v5"

	"github.com/dormer-project/dormer/internal/agentapi"
)

// The desktop's notifications, https://specifications.freedesktop.org/notification-spec/.
const (
	notifyName   = "org.freedesktop.Notifications"
	notifyPath   = "/org/freedesktop/Notifications"
	notifyMethod = notifyName + ".Notify"
	// notifyIcon is of every desktop's icon theme.
	notifyIcon = "computer"
	// desktopDecides is the expiry that leaves it to the desktop.
	desktopDecides = int32(-1)
)

// errNoBus says that the user has no desktop.
var errNoBus = errors.New("there is no session bus")

// notify shows a message on the user's desktop. Without one it is in the log,
// and the agent keeps it for `dormer status`.
func (s *Session) notify(w http.ResponseWriter, r *http.Request) error {
	q, err := agentapi.ReadDesk[agentapi.NotifyRequest](w, r)
	if err != nil {
		return err
	}
	if err := s.show(r.Context(), q); err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "no desktop shows a message",
			slog.String("title", q.Title), slog.String("text", q.Text), slog.Any("error", err))
		return agentapi.AnswerDesk(w, agentapi.NotifyResult{}, nil)
	}
	return agentapi.AnswerDesk(w, agentapi.NotifyResult{Shown: true}, nil)
}

func (s *Session) show(ctx context.Context, q agentapi.NotifyRequest) error {
	address := s.cfg.Env("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		return errNoBus
	}
	bus, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer bus.Close()
	return bus.Object(notifyName, notifyPath).CallWithContext(ctx, notifyMethod, 0,
		"Dormer", uint32(0), notifyIcon, q.Title, html.EscapeString(q.Text), []string{}, map[string]dbus.Variant{}, desktopDecides).Err
}

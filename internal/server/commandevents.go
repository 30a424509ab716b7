package server

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

// commandJournal is the journal of events that commands tell of. The server's
// own is open in the server.
const commandJournal = "commands"

// commandEvents tells events of commands, which do not run in the server.
type commandEvents struct {
	events   *store.Events
	instance dormer.InstanceID
	version  string
	now      func() time.Time
}

// tell stores an event at once.
func (c commandEvents) tell(ctx context.Context, code event.Code, detail string) error {
	at, err := c.events.Watermark(ctx, c.instance, "", commandJournal)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("ask for this computer's name: %w", err)
	}
	e := event.New(code, c.now(), strings.ReplaceAll(detail, "\n", "; ")) // several errors in one
	e.Host, e.User, e.ClientVersion = host, systemUser, c.version
	if _, err = c.events.AppendEvents(ctx, []event.Batch{{
		Instance: c.instance, Journal: commandJournal, Received: c.now(), Host: host, ClientVersion: c.version,
		Events: []wire.NumberedEvent{{Sequence: at + 1, Event: e}},
	}}); err != nil {
		return fmt.Errorf("store the event: %w", err)
	}
	return nil
}

package clientapi

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/enroll"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/wire"
)

// reportCopy records that two agents work with the identity of one client: with
// the client, in the audit log and among the events. Each is tried whatever
// becomes of the others. The poll is answered in any case, since nobody knows
// which of the two is the right one.
func (a *API) reportCopy(ctx context.Context, c enroll.Copied, agentVersion, from string) {
	ctx = context.WithoutCancel(ctx) // it is not found again so soon
	a.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a client's identity is used twice",
		slog.String("client", string(c.Client)), slog.String("detail", c.String()))
	if err := a.cfg.Enrollment.MarkCopied(ctx, c); err != nil {
		a.fault(ctx, c.Client, "a copied identity cannot be recorded", err)
	}
	a.keep(ctx, audit.Record{
		Who: c.This.Host, Principal: string(c.Client), Action: "client.copied", Object: c.This.Host + " (" + string(c.Client) + ")",
		Detail: c.String(), Remote: from,
	})
	if err := a.tellCopy(ctx, c, agentVersion); err != nil {
		a.fault(ctx, c.Client, "the event of a copied identity cannot be stored", err)
	}
}

// copyEventTime bounds how long a poll waits for the event of a copy.
const copyEventTime = 10 * time.Second

// tellCopy stores the event, as the only one of a journal of its own: those of
// the client are numbered by its agents.
func (a *API) tellCopy(ctx context.Context, c enroll.Copied, agentVersion string) error {
	journal, err := dormer.NewID(a.cfg.Random)
	if err != nil {
		return fmt.Errorf("name a journal: %w", err)
	}
	e := event.New(event.IdentityCopied, c.Time, c.String())
	e.Host, e.User, e.ClientVersion = c.This.Host, "SYSTEM", agentVersion
	ctx, cancel := context.WithTimeout(ctx, copyEventTime)
	defer cancel()
	_, err = a.cfg.Events.Submit(ctx, event.Batch{
		Instance: a.cfg.Instance, Client: c.Client, Journal: dormer.JournalID(journal), Events: []wire.NumberedEvent{{Sequence: 1, Event: e}},
	})
	return err
}

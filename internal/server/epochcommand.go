package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire"
)

func (p *program) epoch() *cobra.Command {
	raise := &cobra.Command{
		Use: "raise", Short: "Raise the epoch of the instance", Args: cobra.NoArgs,
		Long: "raise is for a database that took over in a way that dormerd had no part in: a PostgreSQL standby that\n" +
			"was promoted, a copy that was restored by other means. Servers with the epoch of before end their\n" +
			"service when they hear of it, and clients send again what this database does not have. Run it while\n" +
			"no dormerd of the instance runs. backup restore and standby promote do it by themselves.",
		Example: "  dormerd epoch raise --config /etc/dormer/dormerd.toml",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			return p.raiseEpoch(c.Context(), cfg)
		},
	}
	c := &cobra.Command{Use: "epoch", Short: "Which server of an instance counts"}
	c.AddCommand(raise)
	return c
}

func (p *program) raiseEpoch(ctx context.Context, cfg Config) (err error) {
	data, err := openDataDir(cfg.Data) // no server may run on it
	if err != nil {
		return err
	}
	defer func() { err = joined(err, data.Close()) }()
	if data.fresh {
		return fmt.Errorf("setting data: %s holds no instance: %w", cfg.Data, dormer.ErrNotFound)
	}
	o := store.Options{Readers: 1, KeepWAL: cfg.Standby.Target != ""}
	state, err := store.OpenState(ctx, cfg.stateDSN(), o)
	if err != nil {
		return fmt.Errorf("setting state.dsn: open the database: %w", err)
	}
	defer func() { err = joined(err, state.Close()) }()
	id, err := dormer.NewID(rand.Reader)
	if err != nil {
		return err
	}
	instance, epoch, err := state.Instance(ctx, dormer.InstanceID(id))
	if err != nil {
		return fmt.Errorf("read the identity of the instance: %w", err)
	}
	heard, err := data.fence()
	if err != nil {
		return err
	}
	epoch = max(epoch, heard) + 1
	if err := state.RaiseEpoch(ctx, epoch); err != nil {
		return err
	}
	detail := "epoch " + strconv.FormatUint(uint64(epoch), 10)
	if err := state.Append(ctx, audit.Record{
		Time: time.Now().UTC().Truncate(time.Microsecond), Who: systemUser, Action: "instance.epoch", Object: string(instance), Detail: detail,
	}); err != nil {
		return err
	}
	events, err := store.OpenEvents(ctx, cfg.eventsDSN(), o)
	if err != nil {
		return fmt.Errorf("setting events.dsn: open the database: %w", err)
	}
	defer func() { err = joined(err, events.Close()) }()
	c := commandEvents{events: events, instance: instance, version: p.version, now: time.Now}
	_, printing := io.WriteString(p.out, "The epoch of instance "+string(instance)+" is "+strconv.FormatUint(uint64(epoch), 10)+".\n")
	return errors.Join(c.tell(ctx, event.ServerPromoted, detail), printing)
}

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

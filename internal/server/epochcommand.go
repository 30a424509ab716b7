package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/store"
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

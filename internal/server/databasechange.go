package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/durable"
	"github.com/dormer-project/dormer/internal/store"
)

func (p *program) databaseClear() *cobra.Command {
	d := &databaseCommand{program: p, which: storeEvents}
	var (
		olderThan string
		whole     bool
	)
	c := &cobra.Command{
		Use: "clear (--older-than TIME | --all)", Short: "Remove events of this instance", Args: cobra.NoArgs,
		Long: "clear removes events of this instance from the events database, those of other instances stay. The\n" +
			"server may run. What clients have sent is not taken a second time.",
		Example: "  dormerd database clear --older-than 30d\n  dormerd database clear --all --confirm events.db",
		RunE: d.with(func(ctx context.Context) error {
			if whole == (olderThan != "") {
				return dormer.Invalidf("--all", "is missing: either --older-than or --all says what is removed")
			}
			return d.clear(ctx, olderThan)
		}),
	}
	c.Flags().StringVar(&olderThan, "older-than", "", `remove events that were received longer ago than that, as "30d" or "12h"`)
	c.Flags().BoolVar(&whole, "all", false, "remove all events")
	d.confirmFlag(c)
	d.jsonFlag(c)
	return c
}

func (d *databaseCommand) clear(ctx context.Context, olderThan string) (err error) {
	what, before := "all events", time.Time{}
	if olderThan != "" {
		var age Duration
		if err := age.UnmarshalText([]byte(olderThan)); err != nil {
			return dormer.Invalidf("--older-than", "%v", err)
		}
		before = time.Now().Add(-time.Duration(age))
		what = "events received before " + before.UTC().Format(time.RFC3339)
	}
	i, err := d.instance(ctx)
	if err != nil {
		return err
	}
	name, err := nameOf(d.cfg.eventsDSN())
	if err != nil {
		return err
	}
	if err := d.ask(fmt.Sprintf("This removes %s of instance %s from %s.", what, i, name), name); err != nil {
		return err
	}
	s, err := store.OpenEvents(ctx, d.cfg.eventsDSN(), d.beside())
	if err != nil {
		return fmt.Errorf("setting events.dsn: %w", err)
	}
	defer func() { err = joined(err, s.Close()) }()
	var n int64
	if before.IsZero() {
		n, err = s.ClearEvents(ctx, i)
	} else {
		n, err = s.DeleteEventsBefore(ctx, i, before)
	}
	if err := joined(d.note(ctx, d.beside(), "events.clear", name, fmt.Sprintf("%s: %d", what, n)), err); err != nil {
		return err
	}
	if d.asJSON {
		return d.printJSON(struct {
			Removed int64 `json:"removed"`
		}{n})
	}
	_, err = fmt.Fprintf(d.out, "%d events removed\n", n)
	return err
}

func (p *program) databaseDrop() *cobra.Command {
	d := &databaseCommand{program: p}
	c := &cobra.Command{
		Use: "drop --store STORE", Short: "Remove a database with everything in it", Args: cobra.NoArgs,
		Long: "drop removes a database: the file, or on PostgreSQL the tables. Of an events database that instances\n" +
			"share it removes what is this instance's. There is no way back but a backup. The server must not run.",
		Example: "  dormerd database drop --store events\n  dormerd database drop --store both --confirm events.db --confirm-state state.db",
		RunE:    nil,
	}
	confirmState := ""
	c.RunE = d.with(func(ctx context.Context) error {
		if d.which == "" {
			return dormer.Invalidf("--store", "must say which database is dropped")
		}
		return d.drop(ctx, confirmState)
	})
	d.storeFlag(c, "")
	d.confirmFlag(c)
	c.Flags().StringVar(&confirmState, "confirm-state", "", "name of the state database, where both are dropped")
	return c
}

func (d *databaseCommand) drop(ctx context.Context, confirmState string) (err error) {
	var dsns []string
	if d.about(storeState) {
		dsns = append(dsns, d.cfg.stateDSN())
	}
	if d.about(storeEvents) {
		dsns = append(dsns, d.cfg.eventsDSN())
	}
	data, err := d.stopped(ctx, dsns...)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, data.Close()) }()
	// Whose events they are is in the state, which goes last.
	if d.about(storeEvents) {
		if err := d.dropEvents(ctx); err != nil {
			return err
		}
	}
	if !d.about(storeState) {
		return nil
	}
	if d.which == storeBoth {
		d.confirm = confirmState
	}
	name, err := nameOf(d.cfg.stateDSN())
	if err != nil {
		return err
	}
	if err := d.ask("This removes the state database: users, workspaces, clients, keys of machines, the audit log.", name); err != nil {
		return err
	}
	if err := store.DropState(ctx, d.cfg.stateDSN()); err != nil {
		return fmt.Errorf("setting state.dsn: %w", err)
	}
	_, err = fmt.Fprintf(d.out, "state: %s dropped\n", name)
	return err
}

func (d *databaseCommand) dropEvents(ctx context.Context) (err error) {
	i, err := d.instance(ctx)
	if err != nil {
		return err
	}
	dsn := d.cfg.eventsDSN()
	name, err := nameOf(dsn)
	if err != nil {
		return err
	}
	if err := d.ask(fmt.Sprintf("This removes all events of instance %s, and what was acknowledged of them, from %s.", i, name), name); err != nil {
		return err
	}
	s, err := store.OpenEvents(ctx, dsn, store.Options{})
	if err != nil {
		return fmt.Errorf("setting events.dsn: %w", err)
	}
	err = s.DropInstance(ctx, i)
	left, e := s.Instances(ctx)
	if err = errors.Join(err, e, s.Close()); err != nil {
		return fmt.Errorf("setting events.dsn: %w", err)
	}
	whole := isFile(dsn) && len(left) == 0
	if whole {
		if err := store.RemoveFile(strings.TrimPrefix(dsn, "sqlite:")); err != nil {
			return err
		}
	}
	if err := d.note(ctx, store.Options{}, "events.drop", name, "all events"); err != nil {
		return err
	}
	told := "events: %s dropped\n"
	if !whole {
		told = "events: everything of this instance is removed from %s; the database itself stays\n"
	}
	_, err = fmt.Fprintf(d.out, told, name)
	return err
}

// databaseMove is a move of databases to other places.
type databaseMove struct {
	databaseCommand
	state, stateFile, events, eventsFile string
	writeConfig                          bool
}

func (p *program) databaseMove() *cobra.Command {
	m := &databaseMove{databaseCommand: databaseCommand{program: p}}
	c := &cobra.Command{
		Use: "move", Short: "Copy the databases to another place or engine", Args: cobra.NoArgs,
		Long: "move copies the databases of the configuration into empty ones, of either engine, reads the copies\n" +
			"back and compares. Then it says which settings to change, or changes them. Until then the old\n" +
			"databases are what counts, and they stay as they are; a move that was interrupted is repeated. The\n" +
			"server must not run; clients go on meanwhile, keep their events, and send them when it is back.\n\n" +
			"A URL with a password goes into a file that nobody else can read.",
		Example: "  dormerd database move --state-file /root/state.url --events-file /root/events.url\n" +
			"  dormerd database move --events sqlite:/srv/dormer/events.db --write-config",
		RunE: m.with(m.move),
	}
	f := c.Flags()
	f.StringVar(&m.state, "state", "", `new state database: "sqlite:PATH", or a postgres:// URL without a password`)
	f.StringVar(&m.stateFile, "state-file", "", "file with the URL of the new state database")
	f.StringVar(&m.events, "events", "", `new events database: "sqlite:PATH", or a postgres:// URL without a password`)
	f.StringVar(&m.eventsFile, "events-file", "", "file with the URL of the new events database")
	f.BoolVar(&m.writeConfig, "write-config", false, "change the configuration file, but for its other lines")
	m.jsonFlag(c)
	return c
}

// movedDatabase is what was moved of a database.
type movedDatabase struct {
	Store string `json:"store"`
	From  string `json:"from"`
	To    string `json:"to"`
	Rows  int64  `json:"rows"`
}

// target returns where a database is to go, "" for nowhere.
func target(flag, dsn, file string) (string, error) {
	switch {
	case dsn != "" && file != "":
		return "", dormer.Invalidf(flag, "goes without %s-file", flag)
	case file != "":
		return urlInFile(flag+"-file", file)
	}
	return dsn, withoutPassword(flag, dsn)
}

func (m *databaseMove) move(ctx context.Context) (err error) {
	state, err := target("--state", m.state, m.stateFile)
	if err != nil {
		return err
	}
	events, err := target("--events", m.events, m.eventsFile)
	if err != nil {
		return err
	}
	cfg := m.cfg
	var from []string
	if state != "" {
		from, cfg.State.DSN = append(from, m.cfg.stateDSN()), state
	}
	if events != "" {
		from, cfg.Events.DSN = append(from, m.cfg.eventsDSN()), events
	}
	if len(from) == 0 {
		return dormer.Invalidf("--state", "is missing: --state or --events must say where a database is to go")
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	for _, dsn := range from {
		if dsn == state || dsn == events {
			return dormer.Invalidf("", "the database is there already")
		}
	}
	data, err := m.stopped(ctx, from...)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, data.Close()) }()
	i, err := m.instance(ctx)
	if err != nil {
		return err
	}
	list, err := m.copy(ctx, i, state, events)
	if err != nil {
		return err
	}
	if m.writeConfig {
		if err := writeDSNs(m.configFile, state, events); err != nil {
			return err
		}
	}
	if m.asJSON {
		return m.printJSON(list)
	}
	return m.sayMoved(list, state, events)
}

func (m *databaseMove) copy(ctx context.Context, i dormer.InstanceID, state, events string) (list []movedDatabase, err error) {
	add := func(which, from, to string, rows int64) error {
		d := movedDatabase{Store: which, Rows: rows}
		if d.From, err = nameOf(from); err != nil {
			return err
		}
		d.To, err = nameOf(to)
		list = append(list, d)
		return err
	}
	bar := m.newBar("move")
	defer bar.done()
	if state != "" {
		s, err := store.MoveState(ctx, m.cfg.stateDSN(), state, bar.member)
		if err != nil {
			return nil, err
		}
		if err := add(storeState, m.cfg.stateDSN(), state, s.Rows()); err != nil {
			return nil, err
		}
	}
	if events != "" {
		s, err := store.MoveEvents(ctx, i, m.cfg.eventsDSN(), events, bar.member)
		if err != nil {
			return nil, err
		}
		if err := add(storeEvents, m.cfg.eventsDSN(), events, s.Rows()); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (m *databaseMove) sayMoved(list []movedDatabase, state, events string) error {
	for _, d := range list {
		fmt.Fprintf(m.out, "%s: %d rows copied from %s to %s, and the same there\n", d.Store, d.Rows, d.From, d.To)
	}
	if m.writeConfig {
		fmt.Fprintf(m.out, "%s now names the new place.\n", m.configFile)
		info, err := os.Stat(m.configFile)
		if err == nil && info.Mode().Perm()&0o007 != 0 && (withoutPassword("", state) != nil || withoutPassword("", events) != nil) {
			fmt.Fprintf(m.err, "%s has a password in it now and others can read it: give it to the server's group and run chmod 640\n", m.configFile)
		}
	} else {
		fmt.Fprintf(m.out, "Change %s before the server starts:\n", m.configFile)
		for section, dsn := range map[string]string{storeState: state, storeEvents: events} {
			switch {
			case dsn == "":
			case withoutPassword("", dsn) != nil:
				fmt.Fprintf(m.out, "  [%s]\n  dsn = the URL in your file\n", section)
			default:
				fmt.Fprintf(m.out, "  [%s]\n  dsn = %s\n", section, strconv.Quote(dsn))
			}
		}
	}
	_, err := fmt.Fprintln(m.out, "The old databases are as they were. Remove them once the server runs well with the new ones.")
	return err
}

// writeDSNs changes the settings of databases in the configuration file and
// nothing else in it; an empty one stays.
func writeDSNs(path, state, events string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("change configuration: %w", err)
	}
	values := map[string]string{}
	for section, dsn := range map[string]string{storeState: state, storeEvents: events} {
		if dsn != "" {
			values[section+".dsn"] = dsn
		}
	}
	b, err := editSettings(old, values)
	if err != nil {
		return fmt.Errorf("change configuration %s, or set dsn in [state] and [events] yourself: %w", path, err)
	}
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file // the file itself is replaced, not a link to it
	}
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("change configuration: %w", err)
	}
	if err := durable.WriteFile(path, b); err != nil {
		return fmt.Errorf("change configuration: %w", err)
	}
	if info == nil {
		return nil
	}
	// Who could read it still can: the server may be another user.
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("change configuration: %w", err)
		}
	}
	return os.Chmod(path, info.Mode().Perm())
}

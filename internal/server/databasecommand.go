package server

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/store"
)

// Which databases a command is about.
const (
	storeState  = "state"
	storeEvents = "events"
	storeBoth   = "both"
)

// databaseCommand is what the commands about databases share.
type databaseCommand struct {
	*program
	cfg       Config
	which     string
	adminFile string
	confirm   string
	asJSON    bool
}

func (p *program) database() *cobra.Command {
	c := &cobra.Command{Use: "database", Short: "The two databases: make, test, migrate, clear, drop, move"}
	c.AddCommand(p.databaseCreate(), p.databaseTest(), p.databaseMigrate(), p.databaseClear(), p.databaseDrop(), p.databaseMove())
	return c
}

// with returns what a command runs: f with the configuration read and the
// flags checked.
func (d *databaseCommand) with(f func(ctx context.Context) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) (err error) {
		if !slices.Contains([]string{storeState, storeEvents, storeBoth, ""}, d.which) {
			return dormer.Invalidf("--store", "must be %q, %q or %q", storeState, storeEvents, storeBoth)
		}
		if d.cfg, err = d.load(c); err != nil {
			return err
		}
		return f(c.Context())
	}
}

// about says whether the command is about a database.
func (d *databaseCommand) about(which string) bool { return d.which == which || d.which == storeBoth }

func (d *databaseCommand) storeFlag(c *cobra.Command, by string) {
	c.Flags().StringVar(&d.which, "store", by, `which database: "state", "events" or "both"`)
}

func (d *databaseCommand) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&d.asJSON, "json", false, "print JSON")
}

func (d *databaseCommand) adminFlag(c *cobra.Command) {
	c.Flags().StringVar(&d.adminFile, "admin-url-file", "",
		"file with the postgres:// URL of a role that may make roles and databases; without it the URL is asked for")
}

func (d *databaseCommand) confirmFlag(c *cobra.Command) {
	c.Flags().StringVar(&d.confirm, "confirm", "", "name of the database, for scripts; without it the name is asked for")
}

// nameOf is how people call a database: the file's name, or that of the
// database on PostgreSQL.
func nameOf(dsn string) (string, error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return filepath.Base(path), nil
	}
	p, err := store.PlaceOf(dsn)
	return p.Database, err
}

func isFile(dsn string) bool { return strings.HasPrefix(dsn, "sqlite:") }

// ask lets somebody type the name of what is about to be destroyed.
func (d *databaseCommand) ask(what, name string) error {
	typed := d.confirm
	if typed == "" {
		fmt.Fprintf(d.err, "%s\nType the name of the database (%s) to go on: ", what, name)
		line, err := bufio.NewReader(io.LimitReader(d.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the name: %w", err)
		}
		typed = strings.TrimSpace(line)
	}
	if typed != name {
		return dormer.Invalidf("--confirm", "is not the name of the database (%s): nothing was changed", name)
	}
	return nil
}

// admin returns the URL of the administrator.
func (d *databaseCommand) admin() (string, error) {
	if d.adminFile != "" {
		return urlInFile("--admin-url-file", d.adminFile)
	}
	f, ok := d.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", dormer.Invalidf("--admin-url-file", "is needed where nobody can be asked for the administrator's URL")
	}
	fmt.Fprint(d.err, "URL of an administrator of the PostgreSQL server (postgres://...): ")
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(d.err)
	if err != nil {
		return "", fmt.Errorf("read the administrator's URL: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// instance returns whose databases these are.
func (d *databaseCommand) instance(ctx context.Context) (dormer.InstanceID, error) {
	i, _, err := store.Identity(ctx, d.cfg.stateDSN())
	if errors.Is(err, dormer.ErrNotFound) {
		return "", fmt.Errorf("setting state.dsn: there is no instance yet, run `dormerd init`: %w", err)
	}
	return i, err
}

// stopped locks the data folder, so that no server starts, and looks that none
// runs elsewhere. The caller closes what it returns.
func (d *databaseCommand) stopped(ctx context.Context, dsns ...string) (*dataDir, error) {
	data, err := openDataDir(d.cfg.Data)
	if err != nil {
		if errors.Is(err, dormer.ErrConflict) {
			err = fmt.Errorf("stop the server first: %w", err)
		}
		return nil, err
	}
	for _, dsn := range dsns {
		n, err := store.Users(ctx, dsn)
		if err == nil && n > 0 {
			err = fmt.Errorf("a server is connected to the database (%d connections): stop it first: %w", n, dormer.ErrConflict)
		}
		if err != nil {
			return nil, errors.Join(err, data.Close())
		}
	}
	return data, nil
}

func (p *program) databaseCreate() *cobra.Command {
	d := &databaseCommand{program: p}
	shared := false
	c := &cobra.Command{
		Use: "create", Short: "Make the databases that the configuration names", Args: cobra.NoArgs,
		Long: "create makes the databases of state.dsn and events.dsn. On PostgreSQL it makes the database and the\n" +
			"role of the URL, with the rights of an administrator; the role can do nothing but use its database.\n" +
			"What is there already stays as it is.\n\n" +
			"With --shared the events database is for several instances: run it for each of them. Every role\n" +
			"then reads and changes the rows of its own instance alone. The role of events.reports_dsn, if it is\n" +
			"set, reads those of all.",
		Example: "  dormerd database create --admin-url-file /root/postgres-admin.url\n" +
			"  dormerd database create --store events --shared --admin-url-file /root/postgres-admin.url",
		RunE: d.with(func(ctx context.Context) error { return d.create(ctx, shared) }),
	}
	d.storeFlag(c, storeBoth)
	d.adminFlag(c)
	d.jsonFlag(c)
	c.Flags().BoolVar(&shared, "shared", false, "instances share the events database")
	return c
}

// created is what create did of a database.
type created struct {
	Store string `json:"store"`
	Name  string `json:"name"`
	store.Creation
	Shared bool `json:"shared,omitempty"`
}

func (d *databaseCommand) create(ctx context.Context, shared bool) error {
	if shared && (!d.about(storeEvents) || isFile(d.cfg.eventsDSN())) {
		return dormer.Invalidf("--shared", "needs events.dsn to be a postgres:// URL: a file has the events of one instance")
	}
	if isFile(d.cfg.stateDSN()) || isFile(d.cfg.eventsDSN()) {
		if err := os.MkdirAll(d.cfg.Data, 0o700); err != nil {
			return fmt.Errorf("setting data: make the folder: %w", err)
		}
	}
	admin := ""
	for which, dsn := range map[string]string{storeState: d.cfg.stateDSN(), storeEvents: d.cfg.eventsDSN()} {
		if d.about(which) && !isFile(dsn) && admin == "" {
			var err error
			if admin, err = d.admin(); err != nil {
				return err
			}
		}
	}
	var list []created
	if d.about(storeState) {
		c, err := d.createOne(ctx, storeState, d.cfg.stateDSN(), admin, false)
		if err != nil {
			return fmt.Errorf("setting state.dsn: %w", err)
		}
		list = append(list, c)
	}
	if d.about(storeEvents) {
		c, err := d.createOne(ctx, storeEvents, d.cfg.eventsDSN(), admin, shared)
		if err != nil {
			return fmt.Errorf("setting events.dsn: %w", err)
		}
		list = append(list, c)
	}
	if shared && d.cfg.Events.ReportsDSN != "" {
		if _, err := store.GrantReports(ctx, admin, d.cfg.Events.ReportsDSN); err != nil {
			return fmt.Errorf("setting events.reports_dsn: %w", err)
		}
	}
	if d.asJSON {
		return d.printJSON(list)
	}
	for _, c := range list {
		if err := d.sayCreated(c); err != nil {
			return err
		}
	}
	return nil
}

func (d *databaseCommand) sayCreated(c created) error {
	made := "was there already"
	if c.MadeDatabase {
		made = "made"
	}
	if c.Role == "" {
		_, err := fmt.Fprintf(d.out, "%s: %s %s\n", c.Store, c.Name, made)
		return err
	}
	role := "was there already"
	if c.MadeRole {
		role = "made"
	}
	_, err := fmt.Fprintf(d.out, "%s: database %s %s, role %s %s\n", c.Store, c.Name, made, c.Role, role)
	return err
}

// createOne makes one database and its schema.
func (d *databaseCommand) createOne(ctx context.Context, which, dsn, admin string, shared bool) (c created, err error) {
	c.Store, c.Shared = which, shared
	if c.Name, err = nameOf(dsn); err != nil {
		return c, err
	}
	if isFile(dsn) {
		_, e := os.Stat(strings.TrimPrefix(dsn, "sqlite:"))
		c.MadeDatabase = errors.Is(e, os.ErrNotExist)
	} else if c.Creation, err = store.CreateDatabase(ctx, admin, dsn, shared); err != nil {
		return c, err
	}
	if shared {
		i, err := d.identity(ctx)
		if err != nil {
			return c, err
		}
		if err := store.MigrateShared(ctx, admin, dsn); err != nil {
			return c, err
		}
		if err := store.GrantInstance(ctx, admin, dsn, i); err != nil {
			return c, err
		}
	}
	return c, migrateOne(ctx, which, dsn)
}

// identity returns whose databases these are, and decides it if nobody has.
func (d *databaseCommand) identity(ctx context.Context) (i dormer.InstanceID, err error) {
	id, err := dormer.NewID(rand.Reader)
	if err != nil {
		return "", err
	}
	s, err := store.OpenState(ctx, d.cfg.stateDSN(), store.Options{})
	if err != nil {
		return "", fmt.Errorf("setting state.dsn: %w", err)
	}
	i, _, err = s.Instance(ctx, dormer.InstanceID(id))
	return i, joined(err, s.Close())
}

// migrateOne opens a database, which migrates it.
func migrateOne(ctx context.Context, which, dsn string) error {
	var (
		s   io.Closer
		err error
	)
	if which == storeState {
		s, err = store.OpenState(ctx, dsn, store.Options{})
	} else {
		s, err = store.OpenEvents(ctx, dsn, store.Options{})
	}
	if err != nil {
		return err
	}
	return s.Close()
}

func (p *program) databaseTest() *cobra.Command {
	d := &databaseCommand{program: p}
	c := &cobra.Command{
		Use: "test", Short: "Try what the server needs of its databases", Args: cobra.NoArgs,
		Long: "test connects to the databases as the server does, looks at their versions, their schema and the\n" +
			"rights of the role, and stores something. It says what is wrong and what to do. It changes nothing,\n" +
			"and the server may run. Its exit code is 0 only when all is well.",
		Example: "  dormerd database test\n  dormerd database test --store events --json",
		RunE:    d.with(d.test),
	}
	d.storeFlag(c, storeBoth)
	d.jsonFlag(c)
	return c
}

// testedDatabase is what test found of a database.
type testedDatabase struct {
	Store  string   `json:"store"`
	Name   string   `json:"name"`
	Engine string   `json:"engine,omitempty"`
	Schema int      `json:"schema"`
	Newest int      `json:"newest,omitempty"`
	Bytes  int64    `json:"bytes,omitempty"`
	Commit string   `json:"commit,omitempty"`
	Wrong  []string `json:"wrong"`
	Odd    []string `json:"odd"`
}

func (d *databaseCommand) test(ctx context.Context) error {
	var list []testedDatabase
	wrong := 0
	for _, which := range []string{storeState, storeEvents} {
		if !d.about(which) {
			continue
		}
		dsn, look := d.cfg.stateDSN(), store.ExamineState
		if which == storeEvents {
			dsn, look = d.cfg.eventsDSN(), store.ExamineEvents
		}
		t := testedDatabase{Store: which, Wrong: []string{}, Odd: []string{}}
		x, err := look(ctx, dsn)
		if name, e := nameOf(dsn); e == nil {
			t.Name = name
		}
		t.Engine, t.Schema, t.Newest, t.Bytes = x.Engine, x.Schema, x.Newest, x.Bytes
		t.Wrong, t.Odd = append(t.Wrong, x.Wrong...), append(t.Odd, x.Odd...)
		switch {
		case errors.Is(err, dormer.ErrNotFound):
			t.Wrong = append(t.Wrong, "it is not there yet; run: dormerd database create")
		case err != nil:
			t.Wrong = append(t.Wrong, fmt.Sprintf("setting %s.dsn: %v", which, err))
		case x.Schema == 0:
			t.Odd = append(t.Odd, "it has no tables yet; the server makes them when it starts")
		case x.Schema < x.Newest:
			t.Odd = append(t.Odd, "its schema is older than this program; the server migrates it when it starts")
		}
		if x.Commit > 0 {
			t.Commit = x.Commit.Round(10 * time.Microsecond).String()
		}
		wrong += len(t.Wrong)
		list = append(list, t)
	}
	if d.asJSON {
		if err := d.printJSON(list); err != nil {
			return err
		}
	} else if err := d.printTested(list); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d problems were found", wrong)
	}
	return nil
}

func (d *databaseCommand) printTested(list []testedDatabase) error {
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STORE\tNAME\tENGINE\tSCHEMA\tSIZE\tCOMMIT")
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%s\t%s\n", t.Store, t.Name, t.Engine, t.Schema, t.Newest, sizeText(t.Bytes), t.Commit)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, t := range list {
		for _, text := range t.Wrong {
			fmt.Fprintf(d.out, "wrong: %s: %s\n", t.Store, text)
		}
		for _, text := range t.Odd {
			fmt.Fprintf(d.out, "note: %s: %s\n", t.Store, text)
		}
	}
	return nil
}

func (p *program) databaseMigrate() *cobra.Command {
	d := &databaseCommand{program: p}
	c := &cobra.Command{
		Use: "migrate", Short: "Bring the databases to the schema of this program", Args: cobra.NoArgs,
		Long: "migrate does what the server does when it starts. An events database that instances share is its\n" +
			"owner's to migrate: give the administrator's URL. Each step is done whole or not at all; a process\n" +
			"that dies within one leaves the database as it was, and migrate goes on from there.",
		Example: "  dormerd database migrate\n  dormerd database migrate --store events --admin-url-file /root/postgres-admin.url",
		RunE:    d.with(d.migrate),
	}
	d.storeFlag(c, storeBoth)
	c.Flags().StringVar(&d.adminFile, "admin-url-file", "", "for an events database that instances share: file with the postgres:// URL of an administrator")
	d.jsonFlag(c)
	return c
}

// migrated is what migrate did of a database.
type migrated struct {
	Store string `json:"store"`
	Name  string `json:"name"`
	From  int    `json:"from"`
	To    int    `json:"to"`
}

func (d *databaseCommand) migrate(ctx context.Context) error {
	var list []migrated
	for _, which := range []string{storeState, storeEvents} {
		if !d.about(which) {
			continue
		}
		dsn, look := d.cfg.stateDSN(), store.ExamineState
		if which == storeEvents {
			dsn, look = d.cfg.eventsDSN(), store.ExamineEvents
		}
		m := migrated{Store: which}
		x, err := look(ctx, dsn)
		if err != nil && !errors.Is(err, dormer.ErrNotFound) {
			return fmt.Errorf("setting %s.dsn: %w", which, err)
		}
		m.From = x.Schema
		if m.Name, err = nameOf(dsn); err != nil {
			return fmt.Errorf("setting %s.dsn: %w", which, err)
		}
		if which == storeEvents && d.adminFile != "" {
			admin, err := d.admin()
			if err != nil {
				return err
			}
			if err := store.MigrateShared(ctx, admin, dsn); err != nil {
				return fmt.Errorf("setting events.dsn: %w", err)
			}
		}
		if err := migrateOne(ctx, which, dsn); err != nil {
			return fmt.Errorf("setting %s.dsn: %w", which, err)
		}
		if x, err = look(ctx, dsn); err != nil {
			return fmt.Errorf("setting %s.dsn: %w", which, err)
		}
		m.To = x.Schema
		list = append(list, m)
	}
	if d.asJSON {
		return d.printJSON(list)
	}
	for _, m := range list {
		if _, err := fmt.Fprintf(d.out, "%s: %s was at version %d, is at version %d\n", m.Store, m.Name, m.From, m.To); err != nil {
			return err
		}
	}
	return nil
}

// beside is how a command opens a store while a server may run.
func (d *databaseCommand) beside() store.Options {
	return store.Options{KeepWAL: d.cfg.Standby.Target != "", AsIs: true}
}

// note leaves a record in the audit log.
func (d *databaseCommand) note(ctx context.Context, o store.Options, action, object, detail string) (err error) {
	s, err := store.OpenState(ctx, d.cfg.stateDSN(), o)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, s.Close()) }()
	return s.Append(ctx, audit.Record{
		Time: time.Now().UTC().Truncate(time.Microsecond), Who: "SYSTEM", Action: action, Object: object, Detail: detail + ", on the server's command line",
	})
}

// withoutPassword refuses a URL with a password as an argument, where others
// see it.
func withoutPassword(flag, dsn string) error {
	if holdsPassword(dsn) {
		return dormer.Invalidf(flag, "must not have a password in it, others would see it; put the URL into a file and name it with %s-file", flag)
	}
	return nil
}

// holdsPassword reports whether the address of a database has a password.
func holdsPassword(dsn string) bool {
	u, err := url.Parse(dsn)
	if err != nil || isFile(dsn) {
		return false
	}
	_, set := u.User.Password()
	return set || u.Query().Has("password")
}

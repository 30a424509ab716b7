package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/backup"
)

func (p *program) backup() *cobra.Command {
	c := &cobra.Command{Use: "backup", Short: "Back up the whole instance, and restore it"}
	c.AddCommand(p.backupCreate(), p.backupVerify(), p.backupShow(), p.backupRestore())
	return c
}

func (p *program) backupCreate() *cobra.Command {
	m := &backupMaker{version: p.version, now: time.Now, random: rand.Reader}
	var (
		encrypt, asJSON bool
		passphraseFile  string
		recipients      []string
		keep            int
	)
	c := &cobra.Command{
		Use: "create FILE", Short: "Make a backup, while the server runs or not", Args: cobra.ExactArgs(1),
		Long: "create writes keys, configuration, the files that it names, and both databases into one file; the\n" +
			"images too with --with-repository. FILE must not be there yet; if it is a folder, the backup gets\n" +
			"a name of its own in it. A backup holds every secret of the instance: encrypt it, or keep it where\n" +
			"only the server's owner reads it.",
		Example: "  dormerd backup create /var/backups/dormer/before-upgrade.backup\n" +
			"  dormerd backup create /var/backups/dormer --with-repository --keep 14 \\\n" +
			"    --encrypt --passphrase-file /etc/dormer/backup.passphrase",
		RunE: func(c *cobra.Command, args []string) (err error) {
			if m.recipients, err = recipientsOf(encrypt, passphraseFile, recipients); err != nil {
				return err
			}
			if info, err := os.Stat(args[0]); keep != 0 && (keep < 0 || err != nil || !info.IsDir()) {
				return dormer.Invalidf("--keep", "needs a number from 1 on, and a folder as FILE")
			}
			if m.cfg, err = p.load(c); err != nil {
				return err
			}
			if _, err := os.Stat(p.configFile); err == nil {
				m.configFile = p.configFile
			}
			bar := p.newBar("backup")
			m.progress = bar.member
			made, err := m.create(c.Context(), args[0])
			bar.done()
			if err != nil {
				return err
			}
			if keep > 0 {
				err = made.prune(keep)
			}
			return joined(err, p.showMade(made, asJSON))
		},
	}
	f := c.Flags()
	f.BoolVar(&m.repository, "with-repository", false, "take the images along")
	f.BoolVar(&m.withoutEvents, "without-events", false, "leave the events database out")
	f.BoolVar(&encrypt, "encrypt", false, "encrypt it (age): with --passphrase-file or --recipient")
	f.StringVar(&passphraseFile, "passphrase-file", "", "file with the passphrase in its first line")
	f.StringArrayVar(&recipients, "recipient", nil, "age key that the backup is encrypted for, as age1...; may be repeated")
	f.IntVar(&keep, "keep", 0, "remove older backups of this instance from the folder but for so many, this one included")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func recipientsOf(encrypt bool, passphraseFile string, keys []string) ([]age.Recipient, error) {
	if !encrypt && (passphraseFile != "" || len(keys) > 0) {
		return nil, dormer.Invalidf("--encrypt", "is missing: --passphrase-file and --recipient go with --encrypt")
	}
	if encrypt && passphraseFile == "" && len(keys) == 0 {
		return nil, dormer.Invalidf("--encrypt", "needs --passphrase-file or --recipient")
	}
	passphrase := ""
	if passphraseFile != "" {
		if err := private(passphraseFile); err != nil {
			return nil, fmt.Errorf("--passphrase-file: %w", err)
		}
		var err error
		if passphrase, err = backup.Passphrase(passphraseFile); err != nil {
			return nil, err
		}
	}
	return backup.Recipients(passphrase, keys)
}

// prune removes older backups from the folder of a new one.
func (m *backupMade) prune(keep int) (err error) {
	m.Removed, err = backup.Prune(filepath.Dir(m.File), m.Instance, keep)
	return err
}

func (p *program) showMade(m backupMade, asJSON bool) error {
	if asJSON {
		return p.printJSON(m)
	}
	fmt.Fprintf(p.out, "%s: %s, %d members, epoch %d\n", m.File, sizeText(m.Size), m.Members, m.Epoch)
	for _, f := range m.Missing {
		fmt.Fprintf(p.err, "not in the backup, it cannot be read: %s\n", f)
	}
	if !m.Repository {
		fmt.Fprintln(p.err, "not in the backup: the images (--with-repository)")
	}
	if !m.Encrypted {
		fmt.Fprintln(p.err, "the backup is not encrypted and holds every secret of the instance")
	}
	for _, f := range m.Removed {
		fmt.Fprintf(p.out, "removed %s\n", f)
	}
	return nil
}

// opener reads the backup that a command names.
type opener struct {
	passphraseFile, identityFile string
}

func (o *opener) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.passphraseFile, "passphrase-file", "", "file with the passphrase of an encrypted backup in its first line")
	c.Flags().StringVar(&o.identityFile, "identity", "", "file with the age key that an encrypted backup is for")
}

func (o *opener) file(path string, progress func(done, size int64)) (backupFile, error) {
	f := backupFile{path: path, progress: progress}
	for flag, secret := range map[string]string{"--passphrase-file": o.passphraseFile, "--identity": o.identityFile} {
		if secret == "" {
			continue
		}
		if err := private(secret); err != nil {
			return f, fmt.Errorf("%s: %w", flag, err)
		}
	}
	if o.passphraseFile != "" {
		passphrase, err := backup.Passphrase(o.passphraseFile)
		if err != nil {
			return f, err
		}
		i, err := backup.PassphraseIdentity(passphrase)
		if err != nil {
			return f, err
		}
		f.identities = append(f.identities, i)
	}
	if o.identityFile != "" {
		all, err := backup.ReadIdentities(o.identityFile)
		if err != nil {
			return f, err
		}
		f.identities = append(f.identities, all...)
	}
	return f, nil
}

func (p *program) backupVerify() *cobra.Command {
	var (
		o      opener
		asJSON bool
	)
	c := &cobra.Command{
		Use: "verify FILE", Short: "Check a backup from beginning to end", Args: cobra.ExactArgs(1),
		Long: "verify reads the whole backup: every checksum, every row of the databases, whether keys and\n" +
			"configuration are there and fit together. Its exit code is 0 only if it could be restored.",
		Example: "  dormerd backup verify /var/backups/dormer/before-upgrade.backup\n" +
			"  dormerd backup verify offsite.backup --identity key.txt --json",
		RunE: func(c *cobra.Command, args []string) error {
			bar := p.newBar("verify")
			f, err := o.file(args[0], bar.set)
			if err != nil {
				return err
			}
			found, err := f.verify(c.Context())
			bar.done()
			if err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(found)
			}
			p.showContents(found)
			_, err = fmt.Fprintln(p.out, "The backup is whole.")
			return err
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) backupShow() *cobra.Command {
	var (
		o      opener
		asJSON bool
	)
	c := &cobra.Command{
		Use: "show FILE", Short: "Print what a backup says of itself", Args: cobra.ExactArgs(1),
		Long:    "show reads the beginning of the backup and checks nothing; verify does.",
		Example: "  dormerd backup show /var/backups/dormer/before-upgrade.backup",
		RunE: func(c *cobra.Command, args []string) error {
			f, err := o.file(args[0], nil)
			if err != nil {
				return err
			}
			h, encrypted, err := f.header(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(h)
			}
			p.showHeader(h, encrypted)
			return nil
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) showHeader(h backup.Header, encrypted bool) {
	w := tabwriter.NewWriter(p.out, 0, 8, 2, ' ', 0)
	row := func(what, value string) { fmt.Fprintf(w, "%s:\t%s\n", what, value) }
	row("Instance", string(h.Instance))
	row("Made", h.Made.Format(time.RFC3339)+" by dormerd "+h.Version)
	row("Epoch", fmt.Sprint(h.Epoch))
	var databases []string
	for _, d := range h.Databases {
		databases = append(databases, strings.TrimSuffix(d.Member, ".dump")+" (from "+d.Engine+")")
	}
	row("Databases", strings.Join(databases, ", "))
	row("Images", yesNo(h.Repository))
	row("Encrypted", yesNo(encrypted))
	for _, f := range h.Files {
		what := f.Path
		if f.Member == "" {
			what += ", not in the backup: " + f.Missing
		}
		row("File of "+f.Setting, what)
	}
	_ = w.Flush() // to a terminal or a pipe: there is nobody to tell
}

func (p *program) showContents(c *backupContents) {
	p.showHeader(c.Header, c.Encrypted)
	fmt.Fprintf(p.out, "Members: %d, %s\n", c.Members, sizeText(c.Size))
	fmt.Fprintf(p.out, "State: %d rows, schema %d\n", c.State.Rows(), c.State.Header.Schema)
	if c.Events != nil {
		fmt.Fprintf(p.out, "Events: %d rows, schema %d\n", c.Events.Rows(), c.Events.Header.Schema)
	}
	if c.Header.Repository {
		fmt.Fprintf(p.out, "Objects of images: %d, %s\n", c.Objects, sizeText(c.ObjectsSize))
	}
}

func (p *program) backupRestore() *cobra.Command {
	r := &restorer{version: p.version, now: time.Now, random: rand.Reader}
	var (
		o                       opener
		dryRun, asJSON          bool
		stateFile, eventsFile   string
		data, repository, write string
	)
	c := &cobra.Command{
		Use: "restore FILE", Short: "Restore an instance from a backup", Args: cobra.ExactArgs(1),
		Long: "restore checks the whole backup before it writes anything, and restores into an empty folder and\n" +
			"empty databases only. Without --config it takes the configuration of the backup, changes the paths\n" +
			"that are given, and writes it into the data folder. With --config that file says where to. The\n" +
			"instance gets a higher epoch: a server of before that still runs ends its service when it hears of it.",
		Example: "  dormerd backup restore nightly.backup --dry-run\n" +
			"  dormerd backup restore nightly.backup --data /srv/dormer\n" +
			"  dormerd backup restore nightly.backup --data /srv/dormer --state-dsn-file state.dsn --events-dsn-file events.dsn",
		RunE: func(c *cobra.Command, args []string) (err error) {
			if c.Flags().Changed("config") {
				if data != "" || repository != "" || write != "" || stateFile != "" || eventsFile != "" {
					return dormer.Invalidf("--config", "says where to; leave the other paths out")
				}
				cfg, err := p.load(c)
				if err != nil {
					return err
				}
				r.config = &cfg
			}
			for to, path := range map[*string]string{&r.data: data, &r.repository: repository, &r.writeConfig: write} {
				if *to, err = absolute(path); err != nil {
					return err
				}
			}
			if stateFile != "" {
				if r.stateDSN, err = urlInFile("--state-dsn-file", stateFile); err != nil {
					return err
				}
			}
			if eventsFile != "" {
				if r.eventsDSN, err = urlInFile("--events-dsn-file", eventsFile); err != nil {
					return err
				}
			}
			bar := p.newBar("verify")
			if r.file, err = o.file(args[0], bar.set); err != nil {
				return err
			}
			plan, err := r.plan(c.Context())
			bar.done()
			if err != nil {
				return err
			}
			if !asJSON {
				p.showPlan(plan)
			}
			if !dryRun {
				if err := p.restore(c.Context(), r, plan); err != nil {
					return err
				}
			}
			if asJSON {
				return p.printJSON(plan)
			}
			return p.showRestored(plan, dryRun)
		},
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&data, "data", "", "data folder to restore into; it must be empty or not there (default: the one of before)")
	f.StringVar(&repository, "repository", "", "folder for the images; it must be empty or not there")
	f.StringVar(&stateFile, "state-dsn-file", "", "file with the address of the state database, as sqlite:PATH or postgres://...")
	f.StringVar(&eventsFile, "events-dsn-file", "", "file with the address of the events database")
	f.StringVar(&write, "write-config", "", "where to write the configuration (default: dormerd.toml in the data folder)")
	f.BoolVar(&r.withoutEvents, "without-events", false, "leave the events database as it is")
	f.BoolVar(&r.withoutRepository, "without-repository", false, "leave the repository as it is")
	f.BoolVar(&dryRun, "dry-run", false, "check everything, print what would be done, and write nothing")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) restore(ctx context.Context, r *restorer, plan *restorePlan) error {
	bar := p.newBar("restore")
	r.file.progress = bar.set
	err := r.restore(ctx, plan)
	bar.done()
	return err
}

func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}

func (p *program) showPlan(plan *restorePlan) {
	p.showContents(plan.Backup)
	w := tabwriter.NewWriter(p.out, 0, 8, 2, ' ', 0)
	row := func(what, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t-> %s\n", what, value)
		}
	}
	row("data folder", plan.Data)
	row("configuration", plan.Config)
	row("state database", plan.State)
	row("events database", plan.Events)
	row("images", plan.Repository)
	for _, f := range plan.Files {
		row(f.Setting, f.Path)
	}
	row("epoch", fmt.Sprint(plan.Epoch))
	_ = w.Flush() // as above
}

func (p *program) showRestored(plan *restorePlan, dryRun bool) error {
	if dryRun {
		_, err := fmt.Fprintln(p.out, "Nothing was written.")
		return err
	}
	for _, f := range plan.Files {
		if f.Path == "" {
			fmt.Fprintf(p.out, "Put back by hand: %s (setting %s)\n", f.Was, f.Setting)
		}
	}
	if plan.Repository == "" {
		fmt.Fprintf(p.out, "The images were not restored: put them into %s, or push them again.\n", plan.cfg.repositoryFolder())
	}
	config := plan.Config
	if config == "" {
		config = p.configFile
	}
	_, err := fmt.Fprintf(p.out, "The instance is restored. Start it with\n  dormerd serve --config %s\n", config)
	return err
}

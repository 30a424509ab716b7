package server

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/store"
)

// defaultConfigFile is read where --config names no other. It need not exist.
const defaultConfigFile = "/etc/dormer/dormerd.toml"

// program is what the commands share.
type program struct {
	version    string
	out, err   io.Writer
	in         io.Reader
	configFile string
	// acceptSplitBrain is as in Deps.
	acceptSplitBrain bool
}

// Command returns the command line of dormerd.
func Command(version string, in io.Reader, out, errOut io.Writer) *cobra.Command {
	p := &program{version: version, in: in, out: out, err: errOut}
	root := &cobra.Command{
		Use:           "dormerd",
		Short:         "The server of Dormer",
		Example:       "  dormerd config --explain > dormerd.toml\n  dormerd serve --config dormerd.toml",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			unix.Umask(0o077) // whatever is made is for the owner alone
		},
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	root.PersistentFlags().StringVarP(&p.configFile, "config", "c", defaultConfigFile, "configuration file")
	root.AddCommand(p.serve(), p.init(), p.config(), p.user(), p.directory(), p.doctor(), p.forward(), p.backup(), p.database(), p.epoch(), p.standby(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs, Example: "  dormerd version",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(out, "dormerd", version)
			return err
		},
	})
	markUsage(root)
	return root
}

// load reads the configuration. The default file need not exist.
func (p *program) load(c *cobra.Command) (Config, error) {
	if !c.Flags().Changed("config") {
		if _, err := os.Stat(p.configFile); os.IsNotExist(err) {
			cfg := Default()
			return cfg, cfg.Validate()
		}
	}
	return LoadConfig(p.configFile)
}

func (p *program) logger(cfg LogConfig) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // Validate has refused anything else
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(p.err, o))
	}
	return slog.New(slog.NewTextHandler(p.err, o))
}

// deps are what a server takes from this program.
func (p *program) deps(c *cobra.Command, cfg Config) Deps {
	d := Deps{Now: time.Now, Random: rand.Reader, Logger: p.logger(cfg.Log), Version: p.version, Terminal: p.out, AcceptSplitBrain: p.acceptSplitBrain}
	if _, err := os.Stat(p.configFile); err == nil || c.Flags().Changed("config") {
		d.ConfigFile = p.configFile
	}
	return d
}

func (p *program) open(ctx context.Context, c *cobra.Command) (*Server, error) {
	cfg, err := p.load(c)
	if err != nil {
		return nil, err
	}
	if err := cfg.checkReaders(p.configFile); err != nil {
		return nil, err
	}
	return New(ctx, cfg, p.deps(c, cfg))
}

func (p *program) serve() *cobra.Command {
	c := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: cobra.NoArgs,
		Long:    "serve runs the server until it is told to stop (SIGTERM or SIGINT). The first start makes the\ninstance: its keys, its databases and the first operator.",
		Example: "  dormerd serve\n  dormerd serve --config /etc/dormer/dormerd.toml",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			s, err := p.open(c.Context(), c)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, s.Close()) }()
			return s.Run(c.Context())
		},
	}
	c.Flags().BoolVar(&p.acceptSplitBrain, "accept-split-brain", false, "start even if the standby's target cannot say that no other server has taken over")
	return c
}

func (p *program) init() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make the instance without running it", Args: cobra.NoArgs,
		Long:    "init does what the first start does and prints where the authority's certificate is. Repeating\nit changes nothing.",
		Example: "  dormerd init --config /etc/dormer/dormerd.toml",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			s, err := p.open(c.Context(), c)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, s.Close()) }()
			if s.authority != nil {
				fmt.Fprintf(p.out, "Certificate of the authority: %s\n", s.data.file(dirKeys, dirTLS, tlsAuthorityCert))
			}
			_, err = fmt.Fprintf(p.out, "Instance: %s\n", s.instance)
			return err
		},
	}
}

func (p *program) config() *cobra.Command {
	var explain, check bool
	c := &cobra.Command{
		Use: "config", Short: "Explain or check the configuration", Args: cobra.NoArgs,
		Example: "  dormerd config --explain > dormerd.toml\n  dormerd config --check --config dormerd.toml",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case explain:
				return Explain(p.out)
			case check:
				if _, err := p.load(c); err != nil {
					return err
				}
				_, err := fmt.Fprintln(p.out, "The configuration is valid.")
				return err
			}
			return c.Help()
		},
	}
	c.Flags().BoolVar(&explain, "explain", false, "print a configuration file that explains every setting")
	c.Flags().BoolVar(&check, "check", false, "check the configuration file")
	return c
}

func (p *program) user() *cobra.Command {
	var fromInput bool
	reset := &cobra.Command{
		Use: "reset-password NAME", Short: "Give a user of the embedded directory a new password", Args: cobra.ExactArgs(1),
		Long: "reset-password is for operators who cannot sign in any more. It works on the database, also while\n" +
			"the server runs, and needs the rights of the server's owner. The password is generated, printed,\n" +
			"and must be changed at the next sign-in. The user's sessions end: as an operator within a minute,\n" +
			"on clients within an hour, or at once when the server is started again.",
		Example: "  dormerd user reset-password admin\n  dormerd user reset-password admin --stdin < password-file",
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := p.load(c)
			if err != nil {
				return err
			}
			password := ""
			if fromInput {
				line, err := bufio.NewReader(io.LimitReader(p.in, 4096)).ReadString('\n')
				if err != nil && err != io.EOF {
					return fmt.Errorf("read the password: %w", err)
				}
				if password = strings.TrimRight(line, "\r\n"); password == "" {
					return dormer.Invalidf("password", "is missing on the standard input")
				}
			}
			return p.resetPassword(c.Context(), cfg, args[0], password)
		},
	}
	reset.Flags().BoolVar(&fromInput, "stdin", false, "read the password from the standard input")
	c := &cobra.Command{Use: "user", Short: "Users of the embedded directory"}
	c.AddCommand(reset)
	return c
}

func (p *program) resetPassword(ctx context.Context, cfg Config, name, password string) (err error) {
	state, err := store.OpenState(ctx, cfg.stateDSN(), store.Options{KeepWAL: cfg.Standby.Target != "", AsIs: true})
	if err != nil {
		return fmt.Errorf("setting state.dsn: open the database: %w", err)
	}
	defer func() { err = joined(err, state.Close()) }()
	generated, err := resetPassword(ctx, state, access.DefaultCost, name, password)
	if err != nil {
		return err
	}
	if generated != "" {
		_, err = fmt.Fprintf(p.out, "One-time password of %s: %s\n", name, generated)
	}
	return err
}

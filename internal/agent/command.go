package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/hostpower"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/process"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagesync"
	"github.com/dormer-project/dormer/internal/lease"
	machineproc "github.com/dormer-project/dormer/internal/machine"
	"github.com/dormer-project/dormer/internal/nbd"
)

// machineCommand is the subcommand that one machine runs in.
const machineCommand = "machine"

// readyFile is the open file on which a machine process says that it runs.
const readyFile = 3

// program is what the commands share.
type program struct {
	version  string
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	user     bool
	config   string
}

// Command returns the command line of dormer-agent.
func Command(version string, in io.Reader, out, errOut io.Writer, env func(string) string) *cobra.Command {
	p := &program{version: version, in: in, out: out, err: errOut, env: env}
	root := &cobra.Command{
		Use:           "dormer-agent",
		Short:         "The agent of Dormer: runs workspaces on this computer",
		Example:       "  dormer-agent run\n  dormer-agent run --user",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			unix.Umask(0o077) // whatever is made is for the owner alone
		},
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	root.AddCommand(p.run(), p.explain(), p.machine(), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs, Example: "  dormer-agent version",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(out, "dormer-agent", version)
			return err
		},
	})
	return root
}

// flags are those of the commands that read the configuration.
func (p *program) flags(c *cobra.Command) *cobra.Command {
	c.Flags().BoolVar(&p.user, "user", false, "run for one user, without rights, with the folders of that user")
	c.Flags().StringVarP(&p.config, "config", "c", "", "configuration file (default: /etc/dormer/agent.toml, or dormer/agent.toml in the user's configuration folder)")
	return c
}

func (p *program) load() (File, error) {
	path, must := p.config, p.config != ""
	if !must {
		path = DefaultFilePath(p.user, p.env)
	}
	return LoadFile(path, must, DefaultFile(p.user, p.env))
}

func (p *program) explain() *cobra.Command {
	var explain bool
	c := &cobra.Command{
		Use: "config", Short: "Explain or check the configuration", Args: cobra.NoArgs,
		Example: "  dormer-agent config --explain\n  dormer-agent config --config agent.toml",
		RunE: func(*cobra.Command, []string) error {
			if explain {
				return DefaultFile(p.user, p.env).Explain(p.out)
			}
			if _, err := p.load(); err != nil {
				return err
			}
			_, err := fmt.Fprintln(p.out, "The configuration is valid.")
			return err
		},
	}
	c.Flags().BoolVar(&explain, "explain", false, "print a configuration file that explains every setting")
	return p.flags(c)
}

func (p *program) run() *cobra.Command {
	return p.flags(&cobra.Command{
		Use: "run", Short: "Run the agent", Args: cobra.NoArgs,
		Long: "run polls the server, enforces what it has signed, and runs the workspaces of the users of this\n" +
			"computer, until it is told to stop (SIGTERM or SIGINT). Workspaces that run go on running; the next\n" +
			"agent finds them again.",
		Example: "  dormer-agent run\n  dormer-agent run --user",
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := p.load()
			if err != nil {
				return err
			}
			log, err := f.logger(p.err)
			if err != nil {
				return err
			}
			return p.serve(c.Context(), f, log)
		},
	})
}

// serve runs the agent and its local interface until ctx ends.
func (p *program) serve(ctx context.Context, f File, log *slog.Logger) (err error) {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	clocks, err := lease.SystemTime()
	if err != nil {
		return err
	}
	// Machines outlive the agent and open the store by its path.
	images, err := OpenImages(filepath.Clean(f.Images))
	if errors.Is(err, dormer.ErrConflict) {
		return fmt.Errorf("another agent runs here: %w", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.Close()) }()
	driver := process.New(process.Config{
		Command: []string{executable, machineCommand}, ProbeFile: filepath.Join(f.State, FileProbe), Bridges: f.Bridges, Log: log, Now: time.Now,
	})
	a, err := New(Config{StateDir: filepath.Clean(f.State), Managed: !p.user, Version: p.version, Built: built(), Optical: f.OpticalDrive}, Deps{
		WatchNetwork: watchNetwork(f.Bridges), WatchSleep: hostpower.Watcher{Logger: log}.Watch,
		Driver: driver, Images: images, Time: clocks, Random: rand.Reader, Logger: log, Host: ThisHost, OwnUID: uint32(os.Getuid()),
	})
	if err != nil {
		return err
	}
	listener, err := agentapi.Listen(ctx, f.Socket, !p.user)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	local := agentapi.NewServer(a, log)
	served := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop() // without its interface the agent is of no use
		served <- local.Serve(listener)
	}()
	log.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("socket", f.Socket), slog.Bool("managed", !p.user))
	err = a.Run(running)
	err = errors.Join(err, local.Close())
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve local users: %w", e))
	}
	return err
}

// built is when this program was made, or a time before which it cannot have
// been.
func built() time.Time {
	t := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if made, err := time.Parse(time.RFC3339, s.Value); err == nil && made.After(t) {
				return made
			}
		}
	}
	return t
}

// machine is the process of one machine. People do not call it: the keys come
// through its standard input.
func (p *program) machine() *cobra.Command {
	return &cobra.Command{
		Use: machineCommand, Short: "Run one machine (for the agent's own use)", Hidden: true,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			log := slog.New(slog.NewTextHandler(p.err, nil))
			return machineproc.Main(c.Context(), machineproc.Config{
				Secrets: p.in, Ready: os.NewFile(readyFile, "ready"), OpenBase: openBase, QEMU: qemu.Default(), Log: log, Now: time.Now,
			}, args)
		},
	}
}

// base is a disk of an image in a store, for the machine that reads it.
type base struct {
	*imagesync.Disk
	image *imagesync.Image
}

// Close lets go of the image.
func (b base) Close() error { return b.image.Close() }

// Extents implements nbd.Source.
func (b base) Extents(off, length int64) ([]nbd.Extent, error) {
	list := b.Disk.Extents(off, length)
	out := make([]nbd.Extent, len(list))
	for i, e := range list {
		out[i] = nbd.Extent{Length: e.Length, Zero: e.Hole}
	}
	return out, nil
}

// openBase opens a disk of an image in a store. The store's folder and the
// image come from the machine's specification, which the agent wrote.
func openBase(_ context.Context, d hypervisor.ImageDisk, repositoryKey []byte) (machineproc.Base, error) {
	store, err := imagesync.ReadStore(d.Store)
	if err != nil {
		return nil, err
	}
	var key *imageformat.RepositoryKey
	if len(repositoryKey) > 0 {
		if key, err = imageformat.ParseRepositoryKey(repositoryKey); err != nil {
			return nil, err
		}
	}
	image, err := store.Open(d.Image, key)
	if err != nil {
		return nil, err
	}
	disks := image.Disks()
	if d.Index >= len(disks) {
		return nil, errors.Join(fmt.Errorf("image has %d disks, not %d", len(disks), d.Index+1), image.Close())
	}
	return base{Disk: disks[d.Index], image: image}, nil
}

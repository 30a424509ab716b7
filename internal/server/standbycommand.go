package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/standby"
)

func (p *program) standby() *cobra.Command {
	c := &cobra.Command{Use: "standby", Short: "Follow a server on SQLite, and take its place"}
	c.AddCommand(p.standbyFollow(), p.standbyStatus(), p.standbyRehearse(), p.standbyPromote())
	return c
}

// standbyDeps are deps with the name of this computer.
func (p *program) standbyDeps(c *cobra.Command) (Config, Deps, error) {
	cfg, err := p.load(c)
	if err != nil {
		return cfg, Deps{}, err
	}
	d := p.deps(c, cfg)
	if d.Hostname, err = os.Hostname(); err != nil {
		return cfg, d, fmt.Errorf("ask for this computer's name: %w", err)
	}
	return cfg, d, nil
}

func (p *program) standbyFollow() *cobra.Command {
	return &cobra.Command{
		Use: "follow", Short: "Keep this computer ready to take over", Args: cobra.NoArgs,
		Long: "follow brings databases, keys, the primary's configuration and images from standby.target into the\n" +
			"data folder as the primary ships them, until it is told to stop, or the folder is promoted.",
		Example: "  dormerd standby follow --config /etc/dormer/dormerd.toml",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			cfg, deps, err := p.standbyDeps(c)
			if err != nil {
				return err
			}
			f, err := openFollowing(cfg, deps)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, f.Close()) }()
			return f.follow(c.Context())
		},
	}
}

// follow follows until ctx ends or the folder is to be promoted.
func (f *following) follow(ctx context.Context) error {
	if _, begun, err := f.finishing(); err != nil || begun {
		return joined(err, fmt.Errorf("a promotion of the folder %s was begun; repeat `dormerd standby promote`: %w", f.data.path, dormer.ErrConflict))
	}
	if err := os.Remove(f.file(filePromote)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("setting data: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if address := f.cfg.Standby.HealthListen; address != "" {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("setting standby.health_listen: %w", err)
		}
		h := &http.Server{Handler: problem.Handler(f.deps.Logger, f.health), ReadHeaderTimeout: headerTime}
		defer h.Close()
		go func() { _ = h.Serve(l) }() // ends with Close
	}
	f.deps.Logger.Info("following")
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			if f.asked() {
				f.deps.Logger.Info("following no more: this computer is promoted")
				stop()
			}
		}
	}
}

func (f *following) health(w http.ResponseWriter, _ *http.Request) error {
	r, problem := f.State()
	if problem != "" || r.Time.IsZero() || r.Behind > behindAfter {
		return dormer.ErrUnavailable
	}
	plain(w, "following\n")
	return nil
}

// standbyStatus is what `dormerd standby status` prints.
type standbyStatus struct {
	Target string         `json:"target"`
	Record standby.Record `json:"record"`
	// Shipped is when the server of the data at the target told last that it
	// lives; Safe is when it had shipped all that it had.
	Shipped   time.Time                `json:"shipped,omitzero"`
	Safe      time.Time                `json:"safe,omitzero"`
	Followers []standby.FollowerReport `json:"followers"`
}

func (p *program) standbyStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "status", Short: "Show who ships to the target and who follows", Args: cobra.NoArgs,
		Long:    "status reads the target, on the primary or on a standby, and prints which server rules there, when\nit shipped last, and how far each follower is.",
		Example: "  dormerd standby status\n  dormerd standby status --json",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			cfg, deps, err := p.standbyDeps(c)
			if err != nil {
				return err
			}
			if cfg.Standby.Target == "" {
				return dormer.Invalidf("standby.target", "is not set")
			}
			target, _, err := cfg.openTarget(deps)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, target.Close()) }()
			s := standbyStatus{Target: target.String()}
			if s.Record, err = target.ReadRecord(c.Context()); err != nil {
				return err
			}
			if s.Shipped, s.Safe, err = target.Alive(c.Context(), s.Record.Source); err != nil {
				return err
			}
			if s.Followers, err = target.Followers(c.Context()); err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(s)
			}
			return p.showStandby(s, deps.Now())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) showStandby(s standbyStatus, now time.Time) error {
	ago := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return now.Sub(t).Round(time.Second).String() + " ago"
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Target:\t%s\nInstance:\t%s\nRules:\t%s, epoch %d, since %s\n", s.Target, s.Record.Instance, s.Record.Host, s.Record.Epoch, s.Record.Time.Format(time.RFC3339))
	switch s.Record.Source {
	case 0:
		fmt.Fprintln(w, "Data:\tnot whole yet: nobody can take over")
	case s.Record.Epoch:
		fmt.Fprintf(w, "Data:\twhole; sign of life %s, everything shipped %s\n", ago(s.Shipped), ago(s.Safe))
	default:
		fmt.Fprintf(w, "Data:\tof epoch %d; the server that rules has not shipped its own yet\n", s.Record.Source)
	}
	for _, f := range s.Followers {
		state := "has everything"
		if f.Behind >= time.Second {
			state = "is " + f.Behind.Round(time.Second).String() + " behind"
		} else if f.Behind > 0 {
			state = "is less than a second behind"
		}
		fmt.Fprintf(w, "Follower:\t%s %s, told %s\n", f.Host, state, ago(f.Time))
	}
	if len(s.Followers) == 0 {
		fmt.Fprintln(w, "Follower:\tnone")
	}
	return w.Flush()
}

func (p *program) standbyRehearse() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "rehearse", Short: "Prove that this computer could take over", Args: cobra.NoArgs,
		Long: "rehearse restores everything from standby.target into a throw-away folder in the data folder, starts\n" +
			"a server there on a loopback port, enrols a client that polls and fetches from an image, and throws\n" +
			"it all away. The primary and a follower go on meanwhile; nothing changes at the target.",
		Example: "  dormerd standby rehearse",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, deps, err := p.standbyDeps(c)
			if err != nil {
				return err
			}
			r, err := rehearse(c.Context(), cfg, deps, p.saying())
			if err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(r)
			}
			_, err = fmt.Fprint(p.out, r.text())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) standbyPromote() *cobra.Command {
	var o promoteOptions
	var asJSON bool
	c := &cobra.Command{
		Use: "promote", Short: "Make this computer the server", Args: cobra.NoArgs,
		Long: "promote stops the follower that runs here, fetches what the primary shipped last, raises the epoch at\n" +
			"the target, so that the primary serves nobody any more, and makes the data folder a server's:\n" +
			"`dormerd serve` goes on from there. It can be repeated when it was cut short. Of two that are promoted\n" +
			"at once one wins.",
		Example: "  dormerd standby promote --config /etc/dormer/dormerd.toml\n  dormerd serve --config /etc/dormer/dormerd.toml",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			cfg, deps, err := p.standbyDeps(c)
			if err != nil {
				return err
			}
			o.say = p.saying()
			f, err := release(c.Context(), cfg, deps)
			if err != nil {
				return err
			}
			defer func() { err = joined(err, f.Close()) }()
			done, err := f.promote(c.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(done)
			}
			_, err = fmt.Fprintf(p.out, "This computer is the server now, with epoch %d. Start it: dormerd serve\n"+
				"Its own configuration counts. The primary's is in %s, for comparison.\n", done.Epoch, done.Config)
			return err
		},
	}
	c.Flags().BoolVar(&o.instead, "instead", false, "take the place of another that was promoted, and has not shipped anything since")
	c.Flags().BoolVar(&o.acceptSplitBrain, "accept-split-brain", false, "promote what is here without asking the target; events that were safe there may be lost, and the primary must be off")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// saying tells a person at the terminal what goes on.
func (p *program) saying() func(format string, args ...any) {
	return func(format string, args ...any) { fmt.Fprintf(p.err, format+" ...\n", args...) }
}

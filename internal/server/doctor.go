package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Times and limits of dormerd doctor.
const (
	doctorTime     = 30 * time.Second // one check
	doctorSample   = 256 << 20        // bytes of image objects that are read
	slowCommit     = 100 * time.Millisecond
	clockWarning   = 5 * time.Second
	backupWarning  = 7 * 24 * time.Hour
	fewOpenFiles   = 16_384
	busyDay        = 500_000 // events
	overdueRetain  = 48 * time.Hour
	slowSync       = 100 * time.Millisecond
	warnEarlyFiles = 30 * 24 * time.Hour // certificates that nobody renews
)

// doctor examines what a server of one configuration needs. It changes nothing
// and works beside a server that runs.
type doctor struct {
	cfg        Config
	configFile string
	now        func() time.Time
	random     io.Reader
	hostname   string
	// lookup finds the addresses of a name.
	lookup func(ctx context.Context, name string) ([]string, error)

	parts []rest.HealthPart
	// pid is the process that has locked the data folder: 0 for none, -1 for one
	// that cannot be seen.
	pid int
	// instance and epoch are known once the state database was read.
	instance dormer.InstanceID
	epoch    dormer.Epoch
}

func (d *doctor) well(part, format string, args ...any) {
	d.parts = append(d.parts, rest.HealthPart{Part: part, Status: rest.HealthOK, Found: fmt.Sprintf(format, args...)})
}

func (d *doctor) warn(part, todo, format string, args ...any) {
	d.parts = append(d.parts, rest.HealthPart{Part: part, Status: rest.HealthWarning, Found: fmt.Sprintf(format, args...), ToDo: todo})
}

func (d *doctor) wrong(part, todo, format string, args ...any) {
	d.parts = append(d.parts, rest.HealthPart{Part: part, Status: rest.HealthError, Found: fmt.Sprintf(format, args...), ToDo: todo})
}

// pick chooses a number below n.
func (d *doctor) pick(n int) int {
	i, err := rand.Int(d.random, big.NewInt(int64(n)))
	if err != nil {
		return 0
	}
	return int(i.Int64())
}

// examine runs all checks, each for a bounded time. It returns an error only
// when ctx ends.
func (d *doctor) examine(ctx context.Context) error {
	for _, check := range []func(context.Context){
		d.checkSecrets, d.checkData, d.checkDisks, d.checkCertificates, d.checkListeners, d.checkNames, d.checkClock,
		d.checkState, d.checkEvents, d.checkRepository, d.checkStandby, d.checkLimits,
	} {
		limited, cancel := context.WithTimeout(ctx, doctorTime)
		check(limited)
		cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("examine the server: %w", context.Cause(ctx))
		}
	}
	return d.checkPeople(ctx) // has limits of its own
}

func (p *program) doctor() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong with the server, and say what to do", Args: cobra.NoArgs,
		Long: "doctor examines the configuration, secrets, data folder, disks, certificates, listeners, clock,\n" +
			"databases, repository, directories, backups and limits, and says what to do where something is\n" +
			"not well. It changes nothing and works while the server runs, and when it does not start. Run\n" +
			"it as the user that the server runs as. Its exit code is 1 when an error was found.",
		Example: "  dormerd doctor --config /etc/dormer/dormerd.toml\n  dormerd doctor --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.examineAll(c.Context(), c, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (p *program) examineAll(ctx context.Context, c *cobra.Command, asJSON bool) error {
	d := &doctor{configFile: p.configFile, now: time.Now, random: rand.Reader, lookup: net.DefaultResolver.LookupHost}
	var err error
	if d.cfg, err = p.load(c); err != nil {
		todo := "Correct the setting; `dormerd config --explain` explains all of them."
		if errors.Is(err, fs.ErrNotExist) {
			todo = "Say with --config where the server's configuration is."
		}
		d.wrong("configuration", todo, "%s", strings.TrimSuffix(err.Error(), ": "+dormer.ErrInvalid.Error()))
	} else {
		d.well("configuration", "is valid (%s)", d.source())
		if d.hostname, err = os.Hostname(); err != nil {
			return fmt.Errorf("ask for this computer's name: %w", err)
		}
		if err := d.examine(ctx); err != nil {
			return err
		}
	}
	found := rest.Health{Status: worst(d.parts), At: d.now().UTC(), Parts: d.parts}
	if asJSON {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(found)
	} else {
		err = printParts(p.out, d.parts)
	}
	if err != nil {
		return fmt.Errorf("print what was found: %w", err)
	}
	if found.Status == rest.HealthError {
		return errors.New("errors were found")
	}
	return nil
}

// source says which file the configuration is from.
func (d *doctor) source() string {
	if _, err := os.Stat(d.configFile); err != nil {
		return "all defaults: there is no " + d.configFile
	}
	return d.configFile
}

// printParts writes a table, and below it what to do.
func printParts(out io.Writer, parts []rest.HealthPart) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATUS\tPART\tFOUND")
	var todo strings.Builder
	for _, p := range parts {
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Status, p.Part, oneLine(p.Found))
		if p.Status != rest.HealthOK && p.ToDo != "" {
			fmt.Fprintf(&todo, "\n%s: %s\n", p.Part, p.ToDo)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, todo.String())
	return err
}

// oneLine keeps what other programs said from breaking the table.
func oneLine(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' })
	return strings.ReplaceAll(strings.Join(words, "; "), ":; ", ": ")
}

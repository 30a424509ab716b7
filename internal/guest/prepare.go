package guest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// checkOrPrepare is what the commands of these names do.
func checkOrPrepare(ctx context.Context, version string, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	user := flags.String("user", "", "user who uses the machine (default: the first regular user)")
	asJSON := flags.Bool("json", false, "print JSON")
	really := false
	if args[0] == "prepare" {
		flags.BoolVar(&really, "yes", false, "do it; without, only say what would be done")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	g, err := New(Config{User: *user, Version: version, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return err
	}
	if really {
		if err := onlyPrepare(); err != nil {
			return err
		}
	}
	var p Preparation
	if args[0] == "prepare" {
		p, err = g.prepare(ctx, really)
	} else {
		p.Findings = g.check(ctx)
	}
	if err != nil {
		return err
	}
	switch {
	case *asJSON && args[0] == "prepare":
		err = json.NewEncoder(stdout).Encode(p)
	case *asJSON:
		err = json.NewEncoder(stdout).Encode(guestwire.CheckResult{Findings: p.Findings})
	default:
		err = p.print(stdout, args[0] == "prepare", really)
	}
	if bad := unready(p.Findings); err == nil && len(bad) > 0 && (really || args[0] == "check") {
		return fmt.Errorf("not ready to become an image (%d of %d): %w", len(bad), len(p.Findings), dormer.ErrConflict)
	}
	return err
}

// print shows findings as a table, and what was done.
func (p Preparation) print(w io.Writer, prepare, really bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range p.Findings {
		good := "ok"
		if !f.Good {
			good = "NO"
		}
		if _, err := fmt.Fprintf(t, "%s\t%s\t%s\n", good, f.ID, strings.TrimSpace(f.Text+" "+f.Remedy)); err != nil {
			return err
		}
	}
	err := t.Flush()
	var done string
	switch {
	case !prepare:
	case really:
		done = "Prepared. Shut the guest down now and pack its disk; do not start it before.\n"
	case len(p.Set) > 0:
		done = "With --yes these are set: " + strings.Join(p.Set, ", ") + ". Do it last: what follows is kept in the image.\n"
	default:
		done = "With --yes a preparation record is written, for packing to find. Do it last.\n"
	}
	_, werr := io.WriteString(w, done)
	return errors.Join(err, werr)
}

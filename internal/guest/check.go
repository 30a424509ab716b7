package guest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/preparation"
)

// condition is one thing that an image needs.
type condition struct {
	// id names it in findings and on the command line.
	id string
	// look says how it is now, in a sentence without the id, and what to do when
	// that is not good.
	look func(ctx context.Context, g *Guest) (good bool, text, remedy string, err error)
	// set makes it good; nil where people have to. It may be repeated.
	set func(ctx context.Context, g *Guest) error
	// last is set for what the system takes back while it runs: it is done at
	// the end, shortly before the guest is shut down.
	last bool
}

// check says how fit the guest is to become an image.
func (g *Guest) check(ctx context.Context) []guestwire.Finding {
	var out []guestwire.Finding
	for _, c := range conditions {
		out = append(out, c.finding(ctx, g))
	}
	return out
}

func (c condition) finding(ctx context.Context, g *Guest) guestwire.Finding {
	good, text, remedy, err := c.look(ctx, g)
	if err != nil {
		return guestwire.Finding{ID: c.id, Text: "Cannot be checked: " + err.Error() + "."}
	}
	if good {
		remedy = ""
	} else if c.set != nil {
		remedy = "Run 'dormer-guest prepare'."
	}
	return guestwire.Finding{ID: c.id, Good: good, Text: text, Remedy: remedy}
}

// Preparation is what was done to prepare a guest.
type Preparation struct {
	// Set lists what was made good, or would be.
	Set []string `json:"set"`
	// Findings are what was checked afterwards; before, when nothing was done.
	Findings []guestwire.Finding `json:"findings"`
	// Record is where the preparation record lies; empty when nothing was done.
	Record string `json:"record,omitempty"`
}

// prepare makes good what it can and writes the preparation record. Without
// really it only says what it would do.
func (g *Guest) prepare(ctx context.Context, really bool) (Preparation, error) {
	var p Preparation
	before := g.check(ctx)
	if !really {
		p.Findings = before
		for i, c := range conditions {
			if !before[i].Good && c.set != nil {
				p.Set = append(p.Set, c.id)
			}
		}
		return p, nil
	}
	for _, last := range []bool{false, true} {
		for i, c := range conditions {
			if before[i].Good || c.set == nil || c.last != last {
				continue
			}
			if err := c.set(ctx, g); err != nil {
				return p, fmt.Errorf("prepare %s: %w", c.id, err)
			}
			p.Set = append(p.Set, c.id)
		}
	}
	p.Findings = g.check(ctx)
	if err := g.writeRecord(p.Findings); err != nil {
		return p, err
	}
	p.Record = g.path(recordPath)
	return p, nil
}

func (g *Guest) writeRecord(findings []guestwire.Finding) error {
	now := g.cfg.Now().UTC()
	r := preparation.Record{
		State: preparation.StatePrepared, Sequence: 1, Prepared: now, Changed: now, Boot: bootID(),
		System: systemName(), Software: "dormer-guest " + g.cfg.Version, Findings: findings,
	}
	path := g.path(recordPath)
	if before, err := readRecord(path); err == nil {
		r.Sequence = before.Sequence + 1
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fileError("write", path, err)
	}
	return keepRecord(path, r)
}

// markUsed notes that a prepared guest was started: its disk is no longer as it
// was prepared. Then it gets what every computer has for itself.
func (g *Guest) markUsed(ctx context.Context) error {
	path := g.path(recordPath)
	r, err := readRecord(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read preparation record: %w", err)
	}
	if r.State == preparation.StateUsed || r.Boot == bootID() {
		return nil
	}
	r.State, r.Sequence, r.Changed = preparation.StateUsed, r.Sequence+1, g.cfg.Now().UTC()
	if err := keepRecord(path, r); err != nil {
		return err
	}
	return firstStart(ctx, g)
}

func readRecord(path string) (preparation.Record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return preparation.Record{}, err
	}
	return preparation.Decode(b)
}

// keepRecord writes a record in place, so that an older one does not stay
// behind in a free block.
func keepRecord(path string, r preparation.Record) (err error) {
	block, err := preparation.Encode(r, rand.Reader)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fileError("write", path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(block, 0); err != nil {
		return fileError("write", path, err)
	}
	if err := f.Truncate(preparation.Size); err != nil {
		return fileError("write", path, err)
	}
	if err := f.Sync(); err != nil {
		return fileError("write", path, err)
	}
	return nil
}

// onlyPrepare says that a command needs the administrator.
func onlyPrepare() error {
	if runtime.GOOS != "windows" && os.Geteuid() != 0 {
		return fmt.Errorf("preparing a guest is for its administrator: %w", dormer.ErrDenied)
	}
	return nil
}

// unready are the findings that are not good.
func unready(findings []guestwire.Finding) []guestwire.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f guestwire.Finding) bool { return f.Good })
}

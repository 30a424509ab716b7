package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

const zones = "/usr/share/zoneinfo"

// setTimeZone sets the time zone as timedatectl does, and as Debian keeps it.
func (g *Guest) setTimeZone(_ context.Context, r guestwire.TimeZoneRequest) error {
	if !zonePattern.MatchString(r.Name) {
		return dormer.Invalidf("name", "must be a name of the IANA time zone database")
	}
	if err := isZone(g.path(zones), r.Name); err != nil {
		return err
	}
	link := g.path("/etc/localtime")
	if err := replaceLink(filepath.Join("..", zones, r.Name), link); err != nil {
		return fmt.Errorf("set time zone: %w", err)
	}
	if name := g.path("/etc/timezone"); isFile(name) {
		return replaceFile(name, []byte(r.Name+"\n"), 0o644, "")
	}
	return nil
}

func isZone(folder, name string) error {
	f, err := os.OpenInRoot(folder, name)
	if errors.Is(err, fs.ErrNotExist) {
		if !isDir(folder) {
			return fmt.Errorf("the guest has no time zone database: %w", dormer.ErrUnsupported)
		}
		return fmt.Errorf("time zone %s: %w in the guest", name, dormer.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("time zone %s: %w", name, err)
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil || string(head) != "TZif" {
		return fmt.Errorf("time zone %s: %w in the guest", name, dormer.ErrNotFound)
	}
	return nil
}

// replaceLink makes path a symbolic link, at once.
func replaceLink(target, path string) error {
	temporary := filepath.Join(filepath.Dir(path), ".dormer-"+filepath.Base(path))
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// setClock sets the clock, unless it is right.
func (g *Guest) setClock(_ context.Context, r guestwire.ClockRequest) error {
	if err := checkClock(r.Time); err != nil {
		return err
	}
	if g.cfg.Now().Round(0).Sub(r.Time).Abs() < closeEnough {
		return nil
	}
	ts := unix.NsecToTimespec(r.Time.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
		return fmt.Errorf("set clock: %w", err)
	}
	return nil
}

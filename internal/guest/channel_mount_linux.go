package guest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// Where shared folders are in the guest, and what mounts them.
const (
	sharesDir  = "/media/dormer"
	davDir     = "/run/dormer-guest/folders"
	davConf    = "davfs2.conf"
	davSecrets = "secrets"
)

// davSettings are those of davfs2: what is written is uploaded when the file is
// closed, and what changes on the host shows soon.
const davSettings = `secrets %s
ask_auth 0
use_locks 0
delay_upload 0
dir_refresh 5
file_refresh 1
gui_optimize 0
use_expect100 0
n_cookies 0
`

// mountShares mounts folders by davfs2 and unmounts others.
func (g *Guest) mountShares(ctx context.Context, l *listener, who account, folders []guestwire.Folder) (guestwire.FoldersResult, error) {
	mounted, err := mountedShares()
	if err != nil {
		return guestwire.FoldersResult{}, err
	}
	result := guestwire.FoldersResult{Where: map[string]string{}}
	var failed []error
	want := map[string]bool{}
	for _, f := range folders {
		at := filepath.Join(sharesDir, f.Name)
		result.Where[f.Name] = at
		s := share{at: at, from: l.address("http", "/"+url.PathEscape(f.Name)), readOnly: f.ReadOnly, owner: who.uid}
		if slices.Contains(mounted, s) {
			want[at] = true
		}
	}
	for _, s := range mounted {
		if want[s.at] {
			continue
		}
		if err := unmountShare(ctx, s.at); err != nil {
			failed = append(failed, err)
		}
	}
	for _, f := range folders {
		at := result.Where[f.Name]
		if want[at] {
			continue
		}
		s := share{at: at, from: l.address("http", "/"+url.PathEscape(f.Name)), readOnly: f.ReadOnly, owner: who.uid}
		if err := s.mount(ctx, l, who); err != nil {
			delete(result.Where, f.Name)
			failed = append(failed, fmt.Errorf("shared folder %s: %w", f.Name, err))
		}
	}
	return result, errors.Join(failed...)
}

// share is a mounted folder.
type share struct {
	at, from string
	readOnly bool
	owner    uint32
}

// mountedShares reads what is mounted below sharesDir.
func mountedShares() ([]share, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return parseShares(string(text)), nil
}

var escaped = regexp.MustCompile(`\\[0-7]{3}`)

// parseShares reads lines as those of /proc/self/mounts.
func parseShares(text string) []share {
	plain := func(s string) string {
		return escaped.ReplaceAllStringFunc(s, func(e string) string {
			n, err := strconv.ParseUint(e[1:], 8, 8)
			if err != nil {
				return e
			}
			return string([]byte{byte(n)})
		})
	}
	var out []share
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(plain(f[1]), sharesDir+"/") {
			continue
		}
		s := share{from: plain(f[0]), at: plain(f[1])}
		for option := range strings.SplitSeq(f[3], ",") {
			s.readOnly = s.readOnly || option == "ro"
			if v, ok := strings.CutPrefix(option, "user_id="); ok {
				if n, err := strconv.ParseUint(v, 10, 32); err == nil {
					s.owner = uint32(n)
				}
			}
		}
		out = append(out, s)
	}
	return out
}

func (s share) mount(ctx context.Context, l *listener, who account) error {
	if err := errors.Join(os.MkdirAll(s.at, 0o755), os.MkdirAll(davDir, 0o700)); err != nil {
		return fmt.Errorf("make folder to mount to: %w", err)
	}
	secrets := filepath.Join(davDir, davSecrets)
	err := replaceFile(secrets, fmt.Appendf(nil, "%s %s %s\n", s.at, loopbackUser, l.secret), 0o600, "")
	if err == nil {
		err = replaceFile(filepath.Join(davDir, davConf), fmt.Appendf(nil, davSettings, secrets), 0o600, "")
	}
	if err != nil {
		return err
	}
	options := fmt.Sprintf("uid=%d,gid=%d,file_mode=600,dir_mode=700,nosuid,nodev,conf=%s", who.uid, who.gid, filepath.Join(davDir, davConf))
	if s.readOnly {
		options += ",ro"
	}
	_, err = tool{args: []string{"mount.davfs", s.from, s.at, "-o", options}}.run(ctx)
	return errors.Join(err, os.Remove(secrets))
}

// unmountShare unmounts a folder; one that is in use is let go of as soon as it
// is not.
func unmountShare(ctx context.Context, at string) error {
	_, err := tool{args: []string{"umount", at}}.run(ctx)
	if err != nil {
		_, err = tool{args: []string{"umount", "--lazy", at}}.run(ctx)
	}
	if err != nil {
		return err
	}
	// Somebody may have put something below: it stays.
	_ = os.Remove(at)
	return nil
}

// ourQueue finds a queue that makeQueues made in what lpstat -v prints.
var ourQueue = regexp.MustCompile(`(?m)^[^:]*\b([A-Za-z0-9_.+-]+): (ipp://127\.0\.0\.1:[0-9]+` + guestwire.PrintersPath + `[^\s]+)$`)

// makeQueues makes queues of CUPS and removes others that it made.
func (g *Guest) makeQueues(ctx context.Context, l *listener, printers []guestwire.Printer) error {
	if _, err := lookPath("lpadmin", toolEnvironment()); err != nil {
		return nil //nolint:nilerr // a guest without CUPS has no queues
	}
	have := map[string]string{}
	out, err := tool{args: []string{"lpstat", "-v"}}.run(ctx)
	var none *exec.ExitError
	if err != nil && !errors.As(err, &none) {
		return err
	}
	for _, q := range ourQueue.FindAllSubmatch(out, -1) {
		have[string(q[1])] = string(q[2])
	}
	var failed []error
	for _, p := range printers {
		from := l.address("ipp", guestwire.PrintersPath+p.Name)
		if have[p.Name] != from {
			failed = append(failed, makeQueue(ctx, p, from))
		}
		delete(have, p.Name)
		if p.Default {
			_, err := tool{args: []string{"lpadmin", "-d", p.Name}}.run(ctx)
			failed = append(failed, err)
		}
	}
	for name := range have {
		_, err := tool{args: []string{"lpadmin", "-x", name}}.run(ctx)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// makeQueue makes one: the host's CUPS converts what it gets, and where it does
// not say what it takes, everything goes there as it is.
func makeQueue(ctx context.Context, p guestwire.Printer, from string) error {
	var err error
	for _, model := range []string{"everywhere", "raw"} {
		_, err = tool{args: []string{"lpadmin", "-p", p.Name, "-E", "-v", from, "-D", queueInfo(p), "-m", model, "-o", "printer-error-policy=retry-job"}}.run(ctx)
		if err == nil {
			return nil
		}
	}
	if errors.Is(err, dormer.ErrUnsupported) {
		return nil
	}
	return fmt.Errorf("queue of printer %s: %w", p.Name, err)
}

func queueInfo(p guestwire.Printer) string {
	info := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, p.Info)
	return strings.TrimSpace(info + " (of the host)")
}

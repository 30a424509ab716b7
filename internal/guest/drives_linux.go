package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// drivesFolder holds a folder for each user with their drives. It belongs to
// the administrator, so that no link of a user's leads a drive elsewhere.
const drivesFolder = "/media"

// mapDrives mounts network drives for a user, and unmounts those that are not
// listed. A drive that cannot be mapped does not keep the others from it.
func (g *Guest) mapDrives(ctx context.Context, r guestwire.DrivesRequest) (guestwire.DrivesResult, error) {
	if err := checkDrives(r); err != nil {
		return guestwire.DrivesResult{}, err
	}
	who, err := g.account(r.Account)
	if err != nil {
		return guestwire.DrivesResult{}, fmt.Errorf("network drives: %w", err)
	}
	g.arranging.Lock()
	defer g.arranging.Unlock()
	result := guestwire.DrivesResult{Drives: make([]guestwire.DriveResult, len(r.Drives))}
	keep := map[string]string{}
	var mapping sync.WaitGroup
	paths := make([]sharePath, len(r.Drives))
	for i, d := range r.Drives {
		result.Drives[i].Letter = d.Letter
		if paths[i], err = parseShare(d.Path); err != nil {
			result.Drives[i].Problem = err.Error()
			continue
		}
		result.Drives[i].Where = filepath.Join(drivesFolder, who.name, driveFolder(d))
		keep[result.Drives[i].Where] = paths[i].slashes()
	}
	if err := unmapDrives(ctx, who, keep); err != nil {
		return result, fmt.Errorf("network drives: %w", err)
	}
	for i := range r.Drives {
		d := &result.Drives[i]
		if d.Problem != "" {
			continue
		}
		mapping.Go(func() {
			if err := mapDrive(ctx, who, paths[i], d.Where, r); err != nil {
				d.Where, d.Problem = "", err.Error()
			}
		})
	}
	mapping.Wait()
	return result, nil
}

// mapDrive mounts a share: with the user's ticket where there is one, else
// with the password, which goes through a pipe.
func mapDrive(ctx context.Context, who account, path sharePath, where string, r guestwire.DrivesRequest) error {
	if on, err := mountedOn(where); err != nil || on == path.slashes() {
		return err
	}
	for _, dir := range []string{filepath.Join(drivesFolder, who.name), where} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fileError("make", dir, err)
		}
	}
	uid, gid := strconv.FormatUint(uint64(who.uid), 10), strconv.FormatUint(uint64(who.gid), 10)
	options := "uid=" + uid + ",gid=" + gid + ",file_mode=0600,dir_mode=0700,nosuid,nodev,soft"
	cache := ticketFile(who.uid)
	var problems []error
	if isFile(cache) {
		_, err := tool{
			args: []string{"mount.cifs", path.slashes(), where, "-o", options + ",sec=krb5,cruid=" + uid},
			env:  []string{"KRB5CCNAME=FILE:" + cache},
		}.run(ctx)
		if err == nil {
			return nil
		}
		problems = append(problems, fmt.Errorf("with the ticket: %w", err))
	}
	if r.Password != "" {
		name := r.User
		if name == "" {
			name = who.name
		}
		options += ",sec=ntlmssp,username=" + name
		if r.Domain != "" {
			options += ",domain=" + r.Domain
		}
		// mount.cifs takes all of its input for the password.
		_, err := tool{
			args: []string{"mount.cifs", path.slashes(), where, "-o", options},
			env:  []string{"PASSWD_FD=0"}, stdin: []byte(r.Password),
		}.run(ctx)
		if err == nil {
			return nil
		}
		problems = append(problems, fmt.Errorf("with the password: %w", err))
	}
	if len(problems) == 0 {
		problems = append(problems, fmt.Errorf("there is neither a ticket nor a password for it: %w", dormer.ErrUnauthenticated))
	}
	return fmt.Errorf("mount %s: %w", path.slashes(), errors.Join(problems...))
}

// unmapDrives unmounts the drives of a user but those in keep: where a drive
// is, and of what share. What is busy goes as soon as it is not.
func unmapDrives(ctx context.Context, who account, keep map[string]string) error {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return fmt.Errorf("read mounts: %w", err)
	}
	folder := filepath.Join(drivesFolder, who.name) + "/"
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[2] != "cifs" {
			continue
		}
		where := unescapeMount(f[1])
		if !strings.HasPrefix(where, folder) || keep[where] == unescapeMount(f[0]) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := unix.Unmount(where, unix.UMOUNT_NOFOLLOW); err != nil {
			if err := unix.Unmount(where, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
				return fmt.Errorf("unmount %s: %w", where, err)
			}
		}
		// A folder with something in it is somebody's.
		_ = os.Remove(where)
	}
	return nil
}

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// recordPath is where the preparation record lies.
	recordPath = "/var/lib/dormer-guest/preparation"
	machineID  = "/etc/machine-id"
	unitFolder = "/etc/systemd/system"
	dconfPath  = "/etc/dconf/db/local.d/00-dormer"
)

// conditions are what an image needs of a Linux system.
var conditions = []condition{
	{id: "agent", look: lookAgent},
	{id: "user", look: lookUser},
	{id: "virtio", look: lookDrivers},
	{id: "data-disk", look: lookDataDisk},
	{id: "power-saving", look: lookSleep, set: setSleep},
	{id: "sounds", look: lookSounds, set: setDesktop},
	{id: "services", look: lookServices, set: setServices},
	{id: "domain", look: lookDomain},
	{id: "identity", look: lookIdentity, set: setIdentity, last: true},
	{id: "history", look: lookHistory, set: setHistory, last: true},
	{id: "temporary-files", look: lookTemporary, set: setTemporary, last: true},
	{id: "machine-id", look: lookMachineID, set: setMachineID, last: true},
}

func lookAgent(_ context.Context, g *Guest) (bool, string, string, error) {
	if !isFile(g.path(programPath)) {
		return false, "The guest agent is not installed.", "Run 'dormer-guest install'.", nil
	}
	if !isDir(g.path(unitFolder)) {
		return true, "The guest agent is installed; the system has no systemd that starts it.", "", nil
	}
	if target, _ := os.Readlink(g.path(wantsPath)); target != unitPath {
		return false, "The guest agent is not started with the system.", "Run 'dormer-guest install'.", nil
	}
	return true, "The guest agent is installed and starts with the system.", "", nil
}

// lookUser looks for who uses the machine, and at a desktop whether it asks for
// them at its first start.
func lookUser(_ context.Context, g *Guest) (bool, string, string, error) {
	name := g.defaultUser()
	who, err := g.account(name)
	if err != nil {
		return false, "", "", err
	}
	if who.uid < firstRegularUser || who.uid > lastRegularUser {
		return false, "There is no account for the user of the machine.", "Make one, with 'useradd --create-home user'.", nil
	}
	files, err := g.signsOn()
	if err != nil {
		return false, "", "", err
	}
	manager := g.displayManager()
	switch {
	case manager == "":
		return true, fmt.Sprintf("The account is %s; there is no desktop that signs on.", name), "", nil
	case len(files) == 0:
		return false, fmt.Sprintf("%s asks who signs on: applications cannot show windows before somebody did.", manager),
			fmt.Sprintf("Let %s sign %s on automatically; first-time setup can end that.", manager, name), nil
	default:
		return true, fmt.Sprintf("%s signs %s on.", manager, name), "", nil
	}
}

func (g *Guest) displayManager() string {
	target, err := os.Readlink(g.path(unitFolder + "/display-manager.service"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(target), ".service")
}

// drivers are those without which a machine does not start or is of little use.
var drivers = []string{"virtio_pci", "virtio_blk", "virtio_net", "virtio_console"}

func lookDrivers(_ context.Context, g *Guest) (bool, string, string, error) {
	folders, err := filepath.Glob(g.path("/lib/modules/*"))
	if err != nil {
		return false, "", "", err
	}
	if len(folders) == 0 {
		return true, "The system has no kernel of its own.", "", nil
	}
	for _, folder := range folders {
		var known []byte
		for _, file := range []string{"modules.builtin", "modules.dep"} {
			b, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, "", "", fileError("read", filepath.Join(folder, file), err)
			}
			known = append(known, b...)
		}
		if len(known) == 0 {
			continue // what an old kernel has left
		}
		var missing []string
		for _, d := range drivers {
			if !bytes.Contains(known, []byte("/"+d+".ko")) {
				missing = append(missing, d)
			}
		}
		if len(missing) > 0 {
			return false, fmt.Sprintf("The kernel %s lacks the drivers %s.", filepath.Base(folder), strings.Join(missing, ", ")), "Install a kernel for virtual machines.", nil
		}
	}
	return true, "The kernel has the drivers for virtual machines.", "", nil
}

func lookDataDisk(context.Context, *Guest) (bool, string, string, error) {
	if _, err := lookPath("mke2fs", []string{"PATH=" + defaultPath}); err == nil {
		return true, "The file system of the user's data disk can be made.", "", nil
	}
	return false, "There is no mke2fs to make the file system of the user's data disk.", "Install e2fsprogs.", nil
}

// sleepUnits are what would hold the machine behind the host's back.
var sleepUnits = []string{"sleep.target", "suspend.target", "hibernate.target", "hybrid-sleep.target"}

func lookSleep(_ context.Context, g *Guest) (bool, string, string, error) {
	if !isDir(g.path(unitFolder)) {
		return true, "The system has no power saving of systemd.", "", nil
	}
	for _, u := range sleepUnits {
		if !g.masked(u) {
			return false, fmt.Sprintf("The guest may go to sleep by itself (%s).", u), "", nil
		}
	}
	if g.hasDesktopSettings() && !isFile(g.path(dconfPath)) {
		return false, "The desktop turns its screen off and goes to sleep.", "", nil
	}
	return true, "The guest does not go to sleep by itself.", "", nil
}

func setSleep(ctx context.Context, g *Guest) error {
	if err := g.mask(sleepUnits...); err != nil {
		return err
	}
	return setDesktop(ctx, g)
}

func (g *Guest) masked(unit string) bool {
	target, err := os.Readlink(g.path(filepath.Join(unitFolder, unit)))
	return err == nil && target == os.DevNull
}

// mask keeps units of systemd from being started.
func (g *Guest) mask(units ...string) error {
	for _, u := range units {
		if err := replaceLink(os.DevNull, g.path(filepath.Join(unitFolder, u))); err != nil {
			return err
		}
	}
	return nil
}

// dconfText are settings of GNOME and its relatives, for all users.
const dconfText = written + `[org/gnome/desktop/session]
idle-delay=uint32 0
[org/gnome/desktop/sound]
event-sounds=false
[org/gnome/settings-daemon/plugins/power]
sleep-inactive-ac-type='nothing'
sleep-inactive-battery-type='nothing'
`

func (g *Guest) hasDesktopSettings() bool { return isDir(g.path("/etc/dconf")) }

func lookSounds(_ context.Context, g *Guest) (bool, string, string, error) {
	switch {
	case !g.hasDesktopSettings():
		return true, "There is no desktop with sounds.", "", nil
	case isFile(g.path(dconfPath)):
		return true, "The sounds of the desktop are off.", "", nil
	default:
		return false, "The desktop makes sounds.", "", nil
	}
}

func setDesktop(ctx context.Context, g *Guest) error {
	if !g.hasDesktopSettings() {
		return nil
	}
	if err := g.dropIn(dconfPath, dconfText); err != nil {
		return err
	}
	profile := g.path("/etc/dconf/profile/user")
	if !isFile(profile) {
		if err := g.dropIn("/etc/dconf/profile/user", "user-db:user\nsystem-db:local\n"); err != nil {
			return err
		}
	}
	if _, err := (tool{args: []string{"dconf", "update"}}).run(ctx); err != nil {
		return fmt.Errorf("settings of the desktop: %w", err)
	}
	return nil
}

// unneeded are services that only cost in a machine whose system is delivered
// anew with each version, and whose hardware and clock are the host's.
var unneeded = []string{
	"apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service", "dnf-automatic.timer", "packagekit.service", "fwupd-refresh.timer",
	"e2scrub_all.timer", "fstrim.timer", "man-db.timer", "plocate-updatedb.timer", "systemd-timesyncd.service", "chrony.service", "ntpsec.service",
	"ModemManager.service", "bluetooth.service", "smartmontools.service", "whoopsie.service", "apport.service",
}

func (g *Guest) running() ([]string, error) {
	var out []string
	for _, u := range unneeded {
		links, err := filepath.Glob(g.path(filepath.Join(unitFolder, "*.wants", u)))
		if err != nil {
			return nil, err
		}
		if len(links) > 0 && !g.masked(u) {
			out = append(out, u)
		}
	}
	return out, nil
}

func lookServices(_ context.Context, g *Guest) (bool, string, string, error) {
	found, err := g.running()
	if err != nil {
		return false, "", "", err
	}
	if len(found) > 0 {
		return false, "Services start that a virtual machine does not need: " + strings.Join(found, ", ") + ".", "", nil
	}
	return true, "No service starts that a virtual machine does not need.", "", nil
}

func setServices(_ context.Context, g *Guest) error {
	found, err := g.running()
	if err != nil {
		return err
	}
	return g.mask(found...)
}

func lookDomain(_ context.Context, g *Guest) (bool, string, string, error) {
	if isFile(g.path(keytab)) {
		return false, "The guest is in a domain: every machine made from it would be the same computer there.", "Leave the domain; first-time setup joins each machine for itself.", nil
	}
	return true, "The guest is in no domain.", "", nil
}

// identityFiles are what makes one computer known from others, beside its machine-id.
var identityFiles = []string{
	"/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_*_key.pub", "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret",
	"/var/lib/dhcp/*.leases", "/var/lib/NetworkManager/*.lease", "/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/timestamps",
	"/etc/iscsi/initiatorname.iscsi", "/var/lib/dbus/machine-id",
}

func lookIdentity(_ context.Context, g *Guest) (bool, string, string, error) {
	return g.lookFiles(identityFiles, "Files make this computer known: %s.", "No file makes this computer known.")
}

func setIdentity(_ context.Context, g *Guest) error { return g.removeFiles(identityFiles) }

var historyFiles = []string{
	"/root/.*_history", "/home/*/.*_history", "/root/.lesshst", "/home/*/.lesshst", "/root/.viminfo", "/home/*/.viminfo",
	"/home/*/.local/share/recently-used.xbel", "/root/.local/share/recently-used.xbel", "/root/.cache/*", "/home/*/.cache/*",
	"/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/journal/*", "/var/log/*.gz", "/var/log/*.[0-9]",
}

func lookHistory(_ context.Context, g *Guest) (bool, string, string, error) {
	return g.lookFiles(historyFiles, "The guest remembers who used it: %s.", "The guest does not remember who used it.")
}

func setHistory(_ context.Context, g *Guest) error { return g.removeFiles(historyFiles) }

var temporaryFiles = []string{
	"/tmp/*", "/var/tmp/*", "/var/cache/apt/archives/*.deb", "/var/cache/apt/*.bin", "/var/lib/apt/lists/*_*", "/var/cache/dnf/*", "/var/cache/yum/*",
	"/var/crash/*", "/var/lib/systemd/coredump/*",
}

func lookTemporary(_ context.Context, g *Guest) (bool, string, string, error) {
	return g.lookFiles(temporaryFiles, "There are temporary files: %s.", "There are no temporary files.")
}

func setTemporary(_ context.Context, g *Guest) error { return g.removeFiles(temporaryFiles) }

func lookMachineID(_ context.Context, g *Guest) (bool, string, string, error) {
	b, err := os.ReadFile(g.path(machineID))
	if errors.Is(err, fs.ErrNotExist) {
		return true, "The system has no machine-id.", "", nil
	}
	if err != nil {
		return false, "", "", fileError("read", machineID, err)
	}
	if id := strings.TrimSpace(string(b)); id != "" && id != "uninitialized" {
		return false, "The machine-id is set: all machines made from the image would have the same one.", "", nil
	}
	return true, "The machine-id is empty: each machine makes its own.", "", nil
}

// setMachineID empties it; the next start makes a new one.
func setMachineID(_ context.Context, g *Guest) error {
	return replaceFile(g.path(machineID), nil, 0o444, "")
}

// shownFiles is how many files a finding names.
const shownFiles = 5

// matching lists the files that match one of patterns. Those that are in use
// while somebody works in the guest do not count.
func (g *Guest) matching(patterns []string) ([]string, error) {
	var out []string
	for _, p := range patterns {
		files, err := filepath.Glob(g.path(p))
		if err != nil {
			return nil, err
		}
		out = append(out, slices.DeleteFunc(files, func(f string) bool { return passing(f) })...)
	}
	return out, nil
}

// passing says whether a file is gone after the guest's end anyway, or empty.
func passing(path string) bool {
	st, err := os.Lstat(path)
	if err != nil {
		return true
	}
	if strings.HasPrefix(filepath.Base(path), "systemd-private-") || st.Mode()&(fs.ModeSocket|fs.ModeNamedPipe) != 0 {
		return true
	}
	if st.Mode().IsRegular() && st.Size() == 0 {
		return true
	}
	if st.IsDir() {
		// The folders for sockets of the X server, and others that are empty.
		entries, err := os.ReadDir(path)
		return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Type()&fs.ModeSocket == 0 })
	}
	var fsys unix.Statfs_t
	return unix.Statfs(filepath.Dir(path), &fsys) == nil && fsys.Type == unix.TMPFS_MAGIC
}

func (g *Guest) lookFiles(patterns []string, bad, good string) (bool, string, string, error) {
	files, err := g.matching(patterns)
	if err != nil {
		return false, "", "", err
	}
	if len(files) == 0 {
		return true, good, "", nil
	}
	shown := strings.Join(files[:min(len(files), shownFiles)], ", ")
	if n := len(files) - shownFiles; n > 0 {
		shown += fmt.Sprintf(" and %d more", n)
	}
	return false, fmt.Sprintf(bad, shown), "", nil
}

func (g *Guest) removeFiles(patterns []string) error {
	files, err := g.matching(patterns)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.Contains(f, "/var/log/wtmp") || strings.Contains(f, "/var/log/btmp") || strings.Contains(f, "/var/log/lastlog") {
			// Their owner and mode matter to who writes them.
			err = os.Truncate(f, 0)
		} else {
			err = os.RemoveAll(f)
		}
		if err != nil {
			return fileError("remove", f, err)
		}
	}
	return nil
}

// bootID names the start of the system.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// firstStart makes what prepare has taken from the image and nothing else makes.
func firstStart(ctx context.Context, g *Guest) error {
	if isFile(g.path("/etc/ssh/sshd_config")) {
		if _, err := (tool{args: []string{"ssh-keygen", "-A"}}).run(ctx); err != nil {
			return fmt.Errorf("host keys of the SSH server: %w", err)
		}
	}
	return nil
}

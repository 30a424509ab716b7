package guest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

func capabilities() []guestwire.Capability {
	return []guestwire.Capability{
		guestwire.CapExec, guestwire.CapStream, guestwire.CapShutdown, guestwire.CapIdle,
		guestwire.CapStatus, guestwire.CapMount, guestwire.CapFile, guestwire.CapHostname,
		guestwire.CapTimeZone, guestwire.CapClock, guestwire.CapDNS, guestwire.CapRegional, guestwire.CapNotify, guestwire.CapLock,
		guestwire.CapSignOn, guestwire.CapDrives, guestwire.CapJoin, guestwire.CapConnect, guestwire.CapAutoSign, guestwire.CapCheck,
		guestwire.CapSecret, guestwire.CapCount, guestwire.CapOnce, guestwire.CapChannels, guestwire.CapFolders, guestwire.CapPrinters,
	}
}

// Regular users have numbers in this range.
const (
	firstRegularUser = 1000
	lastRegularUser  = 59999
)

// account is a user of the guest who runs a command.
type account struct {
	name, home string
	uid, gid   uint32
	groups     []uint32
	// self says that the agent itself is that user, so that nothing changes.
	self bool
}

// account finds a user by name; empty is the guest's user.
func (g *Guest) account(name string) (account, error) {
	if name == "" {
		name = g.defaultUser()
	}
	u, err := user.Lookup(name)
	if err != nil {
		return domainAccount(name)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	a := account{name: u.Username, home: u.HomeDir, uid: uint32(uid), gid: uint32(gid), self: int(uid) == os.Geteuid()}
	ids, err := u.GroupIds()
	if err != nil {
		ids = nil // a guest without /etc/group has no further groups
	}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			a.groups = append(a.groups, uint32(n))
		}
	}
	return a, nil
}

// defaultUser is the configured user, else the first regular one, else whoever
// the agent runs as.
func (g *Guest) defaultUser() string {
	if g.cfg.User != "" {
		return g.cfg.User
	}
	best, name := uint64(lastRegularUser+1), ""
	if os.Geteuid() == 0 {
		passwd, err := os.ReadFile("/etc/passwd")
		if err != nil {
			passwd = nil
		}
		for line := range strings.Lines(string(passwd)) {
			f := strings.Split(line, ":")
			if len(f) < 7 {
				continue
			}
			uid, err := strconv.ParseUint(f[2], 10, 32)
			if err == nil && uid >= firstRegularUser && uid < best {
				best, name = uid, f[0]
			}
		}
	}
	if name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}

func (a account) environment() []string {
	env := []string{"PATH=" + defaultPath, "HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "SHELL=/bin/sh", "LANG=" + locale()}
	if dir := fmt.Sprintf("/run/user/%d", a.uid); isDir(dir) {
		env = append(env, "XDG_RUNTIME_DIR="+dir)
	}
	if cache := ticketFile(a.uid); isFile(cache) {
		env = append(env, "KRB5CCNAME=FILE:"+cache)
	}
	return env
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// apply makes a command run as the user, in a session of its own.
func (a account) apply(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !a.self {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups}
	}
	return nil
}

// killGroup ends a command and everything it has started in its session's group.
func killGroup(pid int) {
	// It may have ended just now: there is nothing to do about an error.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

func ended(st *os.ProcessState) (code, signal int) {
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return -1, int(ws.Signal())
	}
	return st.ExitCode(), 0
}

func executableNames(path string) []string { return []string{path} }

func executable(st fs.FileInfo) bool { return st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0 }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func chown(path, owner string) error {
	u, err := user.Lookup(owner)
	if err != nil {
		return fmt.Errorf("user %s: %w in the guest", owner, dormer.ErrNotFound)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (g *Guest) status() (guestwire.Status, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return guestwire.Status{}, fmt.Errorf("host name: %w", err)
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return guestwire.Status{}, fmt.Errorf("uptime: %w", err)
	}
	g.mu.Lock()
	mounted := slices.Clone(g.ofSystem.mounted)
	applications, account, locked := g.applications, g.signed.account, g.locked
	g.mu.Unlock()
	return guestwire.Status{
		Hostname: hostname, System: systemName(), Users: signedOn(), Uptime: time.Duration(info.Uptime) * time.Second,
		Idle: g.input.idle(), DefaultUser: g.defaultUser(), Mounted: mounted,
		Applications: applications, SignedOn: account, Locked: locked,
	}, nil
}

// systemName is the guest system's name for people.
func systemName() string {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return runtime.GOOS
	}
	s := bufio.NewScanner(bytes.NewReader(release))
	for s.Scan() {
		if v, ok := strings.CutPrefix(s.Text(), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return runtime.GOOS
}

// signedOn reads the sessions that systemd-logind knows.
func signedOn() []string {
	files, err := filepath.Glob("/run/systemd/sessions/*")
	if err != nil {
		return nil
	}
	var users []string
	for _, file := range files {
		if !isFile(file) {
			continue // a pipe by which systemd-logind sees the session's end
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		name, class := "", ""
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, "USER="); ok {
				name = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "CLASS="); ok {
				class = strings.TrimSpace(v)
			}
		}
		if name == "" || class != "user" {
			continue
		}
		if u, err := user.LookupId(name); err == nil {
			name = u.Username
		}
		if !slices.Contains(users, name) {
			users = append(users, name)
		}
	}
	slices.Sort(users)
	return users
}

func inputDevices() []string {
	paths, err := filepath.Glob("/dev/input/event*")
	if err != nil {
		return nil
	}
	return paths
}

// lastTerminalUse is when somebody last typed on a terminal.
func lastTerminalUse() time.Time {
	var last time.Time
	for _, pattern := range []string{"/dev/pts/[0-9]*", "/dev/tty[0-9]*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, path := range paths {
			var st unix.Stat_t
			if unix.Stat(path, &st) != nil || st.Uid == 0 && strings.HasPrefix(path, "/dev/tty") {
				continue
			}
			if t := time.Unix(st.Atim.Unix()); t.After(last) {
				last = t
			}
		}
	}
	return last
}

// setHostname renames the computer now and for later starts.
func (*Guest) setHostname(_ context.Context, r guestwire.HostnameRequest) error {
	name := r.Name
	if !hostnamePattern.MatchString(name) {
		return dormer.Invalidf("name", "must be letters, digits and hyphens, at most 63")
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := replaceFile("/etc/hostname", []byte(name+"\n"), 0o644, ""); err != nil {
		return err
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read /etc/hosts: %w", err)
	}
	return replaceFile("/etc/hosts", hostsWith(hosts, name), 0o644, "")
}

// hostsWith returns a hosts file in which 127.0.1.1 is name, as Debian does it.
func hostsWith(hosts []byte, name string) []byte {
	var b strings.Builder
	local := false
	for line := range strings.Lines(string(hosts)) {
		f := strings.Fields(line)
		if len(f) > 0 && f[0] == "127.0.1.1" {
			continue
		}
		local = local || len(f) > 1 && f[0] == "127.0.0.1"
		b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
	}
	head := ""
	if !local {
		head = "127.0.0.1\tlocalhost\n"
	}
	return []byte(head + b.String() + "127.0.1.1\t" + name + "\n")
}

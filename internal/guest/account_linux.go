package guest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
)

// lookPatience is how long the guest's own directories may take to find a user.
const lookPatience = 15 * time.Second

// domainAccount finds a user whom only the guest's name services know, as those
// of a domain.
func domainAccount(name string) (account, error) {
	unknown := fmt.Errorf("user %s: %w in the guest", name, dormer.ErrNotFound)
	if strings.HasPrefix(name, "-") {
		return account{}, unknown
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookPatience)
	defer cancel()
	line, err := tool{args: []string{"getent", "passwd", name}}.run(ctx)
	if err != nil {
		return account{}, unknown
	}
	a, ok := parseAccount(string(line))
	if !ok {
		return account{}, unknown
	}
	groups, err := tool{args: []string{"id", "-G", "--", a.name}}.run(ctx)
	if err != nil {
		groups = nil // the user has the group of the line above at least
	}
	for id := range bytes.FieldsSeq(groups) {
		if n, err := strconv.ParseUint(string(id), 10, 32); err == nil {
			a.groups = append(a.groups, uint32(n))
		}
	}
	return a, nil
}

// accountOf finds a user by number.
func (g *Guest) accountOf(uid uint32) (account, error) {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return account{}, fmt.Errorf("user %d: %w", uid, err)
	}
	for line := range strings.Lines(string(text)) {
		if a, ok := parseAccount(line); ok && a.uid == uid {
			return g.account(a.name)
		}
	}
	return domainAccount(strconv.FormatUint(uint64(uid), 10))
}

// parseAccount reads a line of passwd.
func parseAccount(line string) (account, bool) {
	f := strings.Split(strings.TrimSpace(line), ":")
	if len(f) < 7 || f[0] == "" {
		return account{}, false
	}
	uid, err := strconv.ParseUint(f[2], 10, 32)
	if err != nil {
		return account{}, false
	}
	gid, err := strconv.ParseUint(f[3], 10, 32)
	if err != nil {
		return account{}, false
	}
	return account{name: f[0], home: f[5], uid: uint32(uid), gid: uint32(gid), self: int(uid) == os.Geteuid()}, true
}

// desktopVariables are those that lead a program to its user's desktop.
var desktopVariables = []string{
	"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_SESSION_ID", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP", "XDG_DATA_DIRS",
}

// desktop returns the variables of the desktop where the user is signed on, as
// a program there has them; none without one.
func (a account) desktop() []string {
	processes, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil
	}
	// The newest process is of the newest desktop.
	slices.SortFunc(processes, func(x, y string) int { return processNumber(y) - processNumber(x) })
	for _, path := range processes {
		st, err := os.Stat(filepath.Dir(path))
		if err != nil {
			continue
		}
		if owner, ok := st.Sys().(*syscall.Stat_t); !ok || owner.Uid != a.uid {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if env := desktopOf(string(text)); env != nil {
			return env
		}
	}
	return nil
}

func processNumber(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
	if err != nil {
		return 0
	}
	return n
}

// desktopOf picks the variables of a desktop out of a process's environment.
func desktopOf(environ string) []string {
	var out []string
	shown := false
	for v := range strings.SplitSeq(environ, "\x00") {
		name, value, _ := strings.Cut(v, "=")
		if value != "" && slices.Contains(desktopVariables, name) {
			out = append(out, v)
			shown = shown || name == "DISPLAY" || name == "WAYLAND_DISPLAY"
		}
	}
	if !shown {
		return nil
	}
	return out
}

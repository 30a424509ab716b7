package guest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// The agent on Windows is a service of the system's account. What it does as a
// user it does with the token of their session, or of their sign-on by the host.
func capabilities() []guestwire.Capability {
	return []guestwire.Capability{
		guestwire.CapExec, guestwire.CapStream, guestwire.CapShutdown, guestwire.CapStatus, guestwire.CapFile, guestwire.CapHostname,
		guestwire.CapTimeZone, guestwire.CapClock, guestwire.CapDNS, guestwire.CapRegional, guestwire.CapNotify, guestwire.CapLock,
		guestwire.CapSignOn, guestwire.CapDrives, guestwire.CapJoin, guestwire.CapConnect, guestwire.CapAutoSign, guestwire.CapCheck,
		guestwire.CapCount, guestwire.CapSecret, guestwire.CapOnce,
	}
}

// ofSystem is what the agent of this system keeps.
type ofSystem struct {
	token windows.Token // of who is signed on by the host; 0 is nobody
}

func findPort() (string, error) { return findPortNamed(guestwire.PortName) }

func findPortNamed(port string) (string, error) { return `\\.\Global\` + port, nil }

func openPort(path string) (io.ReadWriteCloser, error) { return os.OpenFile(path, os.O_RDWR, 0) }

func reopensItself(io.ReadWriteCloser) bool { return false }

// account is a user of the guest who runs a command.
type account struct {
	name, home string
	token      windows.Token // 0 is the service's own
}

// account finds a user: "root" is the service's account, empty who is at the
// console, and the user whom the host has signed on has their own.
func (g *Guest) account(name string) (account, error) {
	g.mu.Lock()
	signedOn, token := g.signed.account, g.ofSystem.token
	g.mu.Unlock()
	if name != "" && name == signedOn {
		return account{name: name, home: profileFolder(token), token: token}, nil
	}
	if name != "root" {
		var console windows.Token
		if err := windows.WTSQueryUserToken(windows.WTSGetActiveConsoleSessionId(), &console); err == nil {
			who := tokenUser(console)
			_, short, _ := strings.Cut(who, `\`)
			if name == "" || strings.EqualFold(name, who) || strings.EqualFold(name, short) {
				return account{name: who, home: profileFolder(console), token: console}, nil
			}
			_ = console.Close()
		}
		if name != "" && name != g.cfg.User {
			return account{}, fmt.Errorf("user %s is not signed on: %w in the guest", name, dormer.ErrNotFound)
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return account{}, fmt.Errorf("home folder: %w", err)
	}
	return account{name: name, home: home}, nil
}

func profileFolder(token windows.Token) string {
	dir, err := token.GetUserProfileDirectory()
	if err != nil {
		return os.Getenv("PUBLIC")
	}
	return dir
}

func (a account) environment() []string {
	if a.token == 0 {
		return os.Environ()
	}
	env, err := a.token.Environ(false)
	if err != nil {
		return os.Environ()
	}
	return env
}

func (a account) apply(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP, Token: syscall.Token(a.token)}
	return nil
}

// desktop: a token of a session leads to its desktop by itself.
func (account) desktop() []string { return nil }

func killGroup(pid int) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	// It may have ended just now: there is nothing to do about an error.
	_ = p.Kill()
}

func ended(st *os.ProcessState) (code, signal int) { return st.ExitCode(), 0 }

func executableNames(path string) []string { return []string{path, path + ".exe"} }

func executable(st fs.FileInfo) bool {
	return st.Mode().IsRegular() && strings.EqualFold(filepath.Ext(st.Name()), ".exe")
}

func isFull(err error) bool { return errors.Is(err, windows.ERROR_DISK_FULL) }

func chown(string, string) error { return fmt.Errorf("owner of a file: %w", dormer.ErrUnsupported) }

func syncDir(string) error { return nil }

// secretFile puts a secret where only the system and who can read it, and
// returns how to remove it.
func secretFile(secret []byte, who account) (name string, remove func() error, err error) {
	reader := "SY" // the system's account
	if who.token != 0 {
		u, err := who.token.GetTokenUser()
		if err != nil {
			return "", nil, fmt.Errorf("keep a secret for a command: %w", err)
		}
		reader = u.User.Sid.String()
	}
	// Protected against what the folder gives: the system, administrators, the reader.
	sd, err := windows.SecurityDescriptorFromString("D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FR;;;" + reader + ")")
	if err != nil {
		return "", nil, fmt.Errorf("keep a secret for a command: %w", err)
	}
	if err := os.MkdirAll(dataFolder(), 0o755); err != nil {
		return "", nil, fmt.Errorf("keep a secret for a command: %w", err)
	}
	attributes := windows.SecurityAttributes{SecurityDescriptor: sd}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	path := filepath.Join(dataFolder(), "secret-"+rand.Text())
	const temporary = windows.FILE_ATTRIBUTE_TEMPORARY // kept in memory as long as there is room
	handle, err := windows.CreateFile(text(path), windows.GENERIC_WRITE, 0, &attributes, windows.CREATE_NEW, temporary, 0)
	if err != nil {
		return "", nil, fmt.Errorf("keep a secret for a command: %w", err)
	}
	f := os.NewFile(uintptr(handle), path)
	remove = func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a command's secret: %w", err)
		}
		return nil
	}
	_, err = f.Write(secret)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", nil, errors.Join(fmt.Errorf("keep a secret for a command: %w", err), remove())
	}
	return path, remove, nil
}

func (g *Guest) status() (guestwire.Status, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return guestwire.Status{}, fmt.Errorf("host name: %w", err)
	}
	sessions, err := activeSessions()
	if err != nil {
		return guestwire.Status{}, err
	}
	var users []string
	for _, s := range sessions {
		users = append(users, s.user)
	}
	slices.Sort(users)
	g.mu.Lock()
	defer g.mu.Unlock()
	return guestwire.Status{
		Hostname: hostname, System: systemName(), Users: slices.Compact(users), Uptime: windows.DurationSinceBoot(), Idle: g.input.idle(),
		DefaultUser: g.cfg.User, Applications: g.applications, SignedOn: g.signed.account, Locked: g.locked,
	}, nil
}

// systemName is the guest system's name for people.
func systemName() string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Windows NT\CurrentVersion`, registry.QUERY_VALUE)
	if err != nil {
		return "Windows"
	}
	defer key.Close()
	name, _, err := key.GetStringValue("ProductName")
	if err != nil {
		return "Windows"
	}
	build, _, err := key.GetStringValue("CurrentBuild")
	if err != nil {
		return name
	}
	return name + " (" + build + ")"
}

func (*Guest) mount(context.Context, guestwire.MountRequest) (guestwire.MountResult, error) {
	return guestwire.MountResult{}, fmt.Errorf("mount data disk: %w on this guest", dormer.ErrUnsupported)
}

func inputDevices() []string { return nil }

func (*Guest) powerOff(restart bool) error {
	flag := "/s"
	if restart {
		flag = "/r"
	}
	if err := exec.Command("shutdown.exe", flag, "/t", "0").Run(); err != nil { //nolint:noctx // must go on when the port closes
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// lastTerminalUse: the host sees the console's keyboard itself.
func lastTerminalUse() time.Time { return time.Time{} }

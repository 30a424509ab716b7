package guest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

// toolEnvironment is the environment of what the agent runs for itself.
func toolEnvironment() []string { return os.Environ() }

// run runs a script of PowerShell's with values, as who or as the agent itself.
// hide is what an error must not repeat.
func (s script) run(ctx context.Context, who *account, values any, hide string) (string, error) {
	in, err := s.input(values)
	if err != nil {
		return "", err
	}
	// The secret has a line of its own, so that it is known as one.
	out, err := tool{args: s.arguments(), stdin: append(append(in, '\n'), hide...), who: who}.run(ctx)
	return string(out), err
}

// Procedures of Windows that golang.org/x/sys does not have.
var (
	setSystemTime     = windows.NewLazySystemDLL("kernel32.dll").NewProc("SetSystemTime")
	setComputerNameEx = windows.NewLazySystemDLL("kernel32.dll").NewProc("SetComputerNameExW")
	logonUser         = windows.NewLazySystemDLL("advapi32.dll").NewProc("LogonUserW")
	sendMessage       = windows.NewLazySystemDLL("wtsapi32.dll").NewProc("WTSSendMessageW")
	disconnectSession = windows.NewLazySystemDLL("wtsapi32.dll").NewProc("WTSDisconnectSession")
	joinOffline       = windows.NewLazySystemDLL("netapi32.dll").NewProc("NetRequestOfflineDomainJoin")
	windowsZone       = windows.NewLazySystemDLL("icu.dll").NewProc("ucal_getWindowsTimeZoneID")
)

// call calls a procedure that returns 0 when it has failed.
func call(proc *windows.LazyProc, args ...uintptr) error {
	if err := proc.Find(); err != nil {
		return err
	}
	if ok, _, err := proc.Call(args...); ok == 0 {
		return fmt.Errorf("%s: %w", proc.Name, err)
	}
	return nil
}

// text is a string as Windows takes it; a text with a zero byte is empty.
func text(s string) *uint16 {
	p, err := windows.UTF16PtrFromString(s)
	if err != nil {
		return new(uint16)
	}
	return p
}

func pointer[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// session is a session of somebody who is signed on.
type session struct {
	id   uint32
	user string
}

// activeSessions are the sessions that somebody uses.
func activeSessions() ([]session, error) {
	var first *windows.WTS_SESSION_INFO
	var count uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &first, &count); err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(first)))
	var out []session
	for _, s := range unsafe.Slice(first, count) {
		if s.State != windows.WTSActive {
			continue
		}
		var token windows.Token
		if windows.WTSQueryUserToken(s.SessionID, &token) != nil {
			continue // nobody is signed on there
		}
		out = append(out, session{s.SessionID, tokenUser(token)})
		_ = token.Close()
	}
	return out, nil
}

// tokenUser is the name of a token's user: DOMAIN\name.
func tokenUser(token windows.Token) string {
	u, err := token.GetTokenUser()
	if err != nil {
		return ""
	}
	name, domain, _, err := u.User.Sid.LookupAccount("")
	if err != nil {
		return ""
	}
	return domain + `\` + name
}

// dataFolder is where the agent keeps what is its own.
func dataFolder() string { return filepath.Join(os.Getenv("ProgramData"), "Dormer") }

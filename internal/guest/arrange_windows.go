package guest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// setHostname renames the computer; that counts after a restart.
func (*Guest) setHostname(_ context.Context, r guestwire.HostnameRequest) error {
	if !hostnamePattern.MatchString(r.Name) {
		return dormer.Invalidf("name", "must be letters, digits and hyphens, at most 63")
	}
	const physicalDNSHostname = 5
	return call(setComputerNameEx, physicalDNSHostname, pointer(text(r.Name)))
}

// setTimeZone finds Windows' name of a zone through its ICU and sets it.
func (*Guest) setTimeZone(ctx context.Context, r guestwire.TimeZoneRequest) error {
	if !zonePattern.MatchString(r.Name) {
		return dormer.Invalidf("name", "must be a name of the IANA time zone database")
	}
	if err := windowsZone.Find(); err != nil {
		return fmt.Errorf("time zone: this Windows knows no IANA names: %w", dormer.ErrUnsupported)
	}
	var name [128]uint16
	var status int32
	n, _, _ := windowsZone.Call(pointer(text(r.Name)), uintptr(len(r.Name)), pointer(&name[0]), uintptr(len(name)), pointer(&status))
	if status > 0 || n == 0 || int(n) >= len(name) {
		return fmt.Errorf("time zone %s: %w in the guest", r.Name, dormer.ErrNotFound)
	}
	if _, err := (tool{args: []string{"tzutil.exe", "/s", windows.UTF16ToString(name[:n])}}).run(ctx); err != nil {
		return fmt.Errorf("set time zone: %w", err)
	}
	return nil
}

func (g *Guest) setClock(_ context.Context, r guestwire.ClockRequest) error {
	if err := checkClock(r.Time); err != nil {
		return err
	}
	if g.cfg.Now().Round(0).Sub(r.Time).Abs() < closeEnough {
		return nil
	}
	t := r.Time.UTC()
	st := windows.Systemtime{
		Year: uint16(t.Year()), Month: uint16(t.Month()), Day: uint16(t.Day()), Hour: uint16(t.Hour()), Minute: uint16(t.Minute()),
		Second: uint16(t.Second()), Milliseconds: uint16(t.Nanosecond() / int(time.Millisecond)),
	}
	return call(setSystemTime, pointer(&st))
}

func (*Guest) setDNS(ctx context.Context, r guestwire.DNSRequest) error {
	if err := checkDNS(r); err != nil {
		return err
	}
	if _, err := scriptDNS.run(ctx, nil, r, ""); err != nil {
		return fmt.Errorf("name servers: %w", err)
	}
	return nil
}

func (*Guest) setRegional(ctx context.Context, r guestwire.RegionalRequest) error {
	if err := checkRegional(r); err != nil {
		return err
	}
	tip, ok := inputTips[r.Layout]
	if _, err := scriptRegional.run(ctx, nil, map[string]string{"language": languageTag(r.Locale), "keyboard": tip}, ""); err != nil {
		return fmt.Errorf("language and keyboard: %w", err)
	}
	if r.Layout != "" && !ok {
		return fmt.Errorf("keyboard layout %s: %w in the guest", r.Layout, dormer.ErrNotFound)
	}
	return nil
}

// notify shows a message to everybody who is signed on.
func (g *Guest) notify(_ context.Context, r guestwire.NotifyRequest) error {
	if err := checkNote(r); err != nil {
		return err
	}
	sessions, err := activeSessions()
	if err != nil {
		return err
	}
	title, body := windows.StringToUTF16(printable(r.Title)), windows.StringToUTF16(printable(r.Text))
	for _, s := range sessions {
		var answer uint32
		// Lengths are in bytes, without the zero at the end; nobody waits for an answer.
		err := call(sendMessage, 0, uintptr(s.id), pointer(&title[0]), uintptr(2*(len(title)-1)), pointer(&body[0]), uintptr(2*(len(body)-1)),
			windows.MB_ICONINFORMATION, 0, pointer(&answer), 0)
		if err != nil {
			g.cfg.Log.Debug("session does not show a message", slog.Any("error", err))
		}
	}
	return nil
}

// lock locks the sessions by disconnecting them: a service cannot lock another
// session's desktop.
func (g *Guest) lock(context.Context) error {
	sessions, err := activeSessions()
	if err != nil {
		return err
	}
	for _, s := range sessions {
		err = errors.Join(err, call(disconnectSession, 0, uintptr(s.id), 0))
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	g.setLocked(true)
	return nil
}

// unlock only notes it: Windows has the user prove again who they are.
func (g *Guest) unlock(context.Context) error {
	g.setLocked(false)
	return nil
}

const winlogonKey = `SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon`

func (*Guest) noAutoSignOn(context.Context) error {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, winlogonKey, registry.SET_VALUE)
	if err != nil {
		return fmt.Errorf("automatic sign-on: %w", err)
	}
	defer key.Close()
	err = key.SetStringValue("AutoAdminLogon", "0")
	for _, name := range []string{"DefaultPassword", "AutoLogonCount", "ForceAutoLogon"} {
		if gone := key.DeleteValue(name); gone != nil && !errors.Is(gone, registry.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	if err != nil {
		return fmt.Errorf("automatic sign-on: %w", err)
	}
	return nil
}

// join joins the guest to a domain; that counts after a restart.
func (g *Guest) join(ctx context.Context, r guestwire.JoinRequest) (guestwire.JoinResult, error) {
	if err := checkJoin(r); err != nil {
		return guestwire.JoinResult{}, err
	}
	g.arranging.Lock()
	defer g.arranging.Unlock()
	if len(r.Blob) > 0 {
		return g.joinOffline(r)
	}
	secret := r.Password
	if r.User != "" {
		secret = r.UserPassword
	}
	server := ""
	if len(r.Servers) > 0 {
		server = r.Servers[0]
	}
	said, err := scriptJoin.run(ctx, nil, map[string]string{
		"domain": r.Domain, "computer": r.Computer, "user": r.User, "password": secret, "unit": r.OrganizationalUnit, "server": server,
	}, secret)
	if err != nil {
		return guestwire.JoinResult{}, fmt.Errorf("join %s: %w", r.Domain, err)
	}
	if strings.Contains(said, "already") {
		return guestwire.JoinResult{Already: true}, nil
	}
	return guestwire.JoinResult{Restart: true}, nil
}

// joinOffline takes over what a domain controller or its tools have prepared.
// The blob, which holds the computer's password, goes through memory only.
func (g *Guest) joinOffline(r guestwire.JoinRequest) (guestwire.JoinResult, error) {
	if name, err := joinedDomain(); err == nil && strings.EqualFold(name, r.Domain) {
		return guestwire.JoinResult{Already: true}, nil
	}
	if err := joinOffline.Find(); err != nil {
		return guestwire.JoinResult{}, fmt.Errorf("join %s: %w", r.Domain, err)
	}
	const onlineCaller = 0x40000000 // NETSETUP_PROVISION_ONLINE_CALLER
	root, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return guestwire.JoinResult{}, fmt.Errorf("join %s: %w", r.Domain, err)
	}
	code, _, _ := joinOffline.Call(pointer(&r.Blob[0]), uintptr(len(r.Blob)), onlineCaller, pointer(text(root)))
	if code != 0 {
		return guestwire.JoinResult{}, fmt.Errorf("join %s: %w", r.Domain, windows.Errno(code))
	}
	return guestwire.JoinResult{Restart: true}, nil
}

// joinedDomain is the domain that the computer is in.
func joinedDomain() (string, error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`, registry.QUERY_VALUE)
	if err != nil {
		return "", err
	}
	defer key.Close()
	name, _, err := key.GetStringValue("Domain")
	return name, err
}

// mapDrives maps network drives in the user's sessions.
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
	type drive struct {
		Local  string `json:"local"`
		Remote string `json:"remote"`
	}
	values := struct {
		Drives   []drive `json:"drives"`
		User     string  `json:"user"`
		Password string  `json:"password"`
	}{User: r.User, Password: r.Password}
	if r.Domain != "" {
		values.User = r.Domain + `\` + r.User
	}
	result := guestwire.DrivesResult{Drives: make([]guestwire.DriveResult, len(r.Drives))}
	for i, d := range r.Drives {
		result.Drives[i].Letter = d.Letter
		path, err := parseShare(d.Path)
		if err != nil {
			result.Drives[i].Problem = err.Error()
			continue
		}
		values.Drives = append(values.Drives, drive{strings.ToUpper(d.Letter) + ":", path.unc()})
	}
	out, err := scriptDrives.run(ctx, &who, values, r.Password)
	if err != nil {
		return result, fmt.Errorf("network drives: %w", err)
	}
	problems := driveAnswers(out)
	for i := range result.Drives {
		d := &result.Drives[i]
		if d.Problem != "" {
			continue
		}
		local := strings.ToUpper(d.Letter) + ":"
		switch problem, said := problems[local]; {
		case said && problem == "":
			d.Where = local + `\`
		case said:
			d.Problem = problem
		default:
			d.Problem = "Windows does not say whether it is mapped"
		}
	}
	return result, nil
}

// signOn finds or makes the account of a user of no domain, and signs the user
// on for the commands that run under that account.
func (g *Guest) signOn(ctx context.Context, r guestwire.SignOnRequest) (guestwire.SignOnResult, error) {
	if err := checkSignOn(r); err != nil {
		return guestwire.SignOnResult{}, err
	}
	g.arranging.Lock()
	defer g.arranging.Unlock()
	domain, result := r.Domain, guestwire.SignOnResult{Account: r.User}
	if domain == "" {
		domain = "."
		said, err := scriptAccount.run(ctx, nil, map[string]string{"user": r.User, "password": r.Password}, r.Password)
		if err != nil {
			return guestwire.SignOnResult{}, fmt.Errorf("sign on: account %s: %w", r.User, err)
		}
		result.Made = strings.Contains(said, "made")
	} else {
		result.Account = domain + `\` + r.User
	}
	const interactive, standardProvider = 2, 0 // LOGON32_LOGON_INTERACTIVE, LOGON32_PROVIDER_DEFAULT
	var token windows.Token
	if err := call(logonUser, pointer(text(r.User)), pointer(text(domain)), pointer(text(r.Password)), interactive, standardProvider, uintptr(unsafe.Pointer(&token))); err != nil {
		return guestwire.SignOnResult{}, fmt.Errorf("sign on: %w", err)
	}
	result.Ticket = r.Domain != ""
	g.mu.Lock()
	before := g.ofSystem.token
	g.signed = signed{account: result.Account, password: passwordHash(r.Password)}
	g.ofSystem.token = token
	g.mu.Unlock()
	return result, closeToken(before)
}

// signOff forgets the user.
func (g *Guest) signOff(context.Context) error {
	g.mu.Lock()
	token := g.ofSystem.token
	g.signed, g.ofSystem.token = signed{}, 0
	g.mu.Unlock()
	return closeToken(token)
}

func closeToken(token windows.Token) error {
	if token == 0 {
		return nil
	}
	return token.Close()
}

// care does what is to be done at the start.
func (g *Guest) care(ctx context.Context) {
	if err := g.markUsed(ctx); err != nil {
		g.cfg.Log.Error("cannot note the first start", slog.Any("error", err))
	}
}

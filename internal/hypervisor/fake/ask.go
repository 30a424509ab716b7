package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// AskFunc answers a request in the place of the built-in agent; body is the
// request as JSON. It returns false to leave the request to the built-in agent.
// It runs without locks held and must return when ctx ends.
type AskFunc func(ctx context.Context, spec hypervisor.Spec, method guestwire.Method, body []byte) (answer any, err error, ok bool)

// SetAsk replaces what answers requests; nil restores the built-in agent.
func (h *Host) SetAsk(f AskFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scripted = f
}

// capabilities are all that a guest can have.
var capabilities = []guestwire.Capability{
	guestwire.CapExec, guestwire.CapStream, guestwire.CapShutdown, guestwire.CapIdle, guestwire.CapStatus, guestwire.CapMount,
	guestwire.CapFile, guestwire.CapHostname, guestwire.CapTimeZone, guestwire.CapClock, guestwire.CapDNS, guestwire.CapRegional,
	guestwire.CapNotify, guestwire.CapLock, guestwire.CapSignOn, guestwire.CapDrives, guestwire.CapJoin, guestwire.CapConnect,
	guestwire.CapAutoSign, guestwire.CapCheck, guestwire.CapSecret, guestwire.CapCount, guestwire.CapChannels, guestwire.CapFolders,
	guestwire.CapPrinters, guestwire.CapOnce,
}

// Ask implements hypervisor.Machine.
func (m *machine) Ask(ctx context.Context, need guestwire.Capability, method guestwire.Method, request, answer any) error {
	if err := m.ask(ctx, need, method, request, answer); err != nil {
		return fmt.Errorf("ask guest for %s: %w", method, err)
	}
	return nil
}

func (m *machine) ask(ctx context.Context, need guestwire.Capability, method guestwire.Method, request, answer any) error {
	if err := m.waitUp(ctx); err != nil {
		return err
	}
	if !slices.Contains(capabilities, need) {
		return fmt.Errorf("it cannot do it: %w", dormer.ErrUnsupported)
	}
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return err
		}
	}
	m.host.mu.Lock()
	scripted := m.host.scripted
	m.host.mu.Unlock()
	result, err, ok := any(nil), error(nil), false
	if scripted != nil {
		result, err, ok = scripted(ctx, m.spec, method, body)
	}
	if !ok {
		result, err = m.builtIn(ctx, method, body)
	}
	if err != nil || answer == nil {
		return err
	}
	text := []byte(nil)
	if result != nil {
		if text, err = json.Marshal(result); err != nil {
			return err
		}
	}
	if raw, ok := answer.(*json.RawMessage); ok {
		*raw = text
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("its answer: %w", dormer.ErrInvalid)
	}
	return nil
}

// handlers are the requests that only change or read the state. Host.mu is held.
var handlers = map[guestwire.Method]func(m *machine, body []byte) (any, error){
	guestwire.MethodStatus: func(m *machine, _ []byte) (any, error) { return m.guest.status(m, m.host.now()), nil },
	guestwire.MethodMount: with(func(m *machine, r guestwire.MountRequest) (any, error) {
		already := slices.Contains(m.guest.Mounted, r.MountPoint)
		if !already {
			m.guest.Mounted = append(m.guest.Mounted, r.MountPoint)
		}
		return guestwire.MountResult{Already: already}, nil
	}),
	guestwire.MethodReadFile: with(func(m *machine, r guestwire.ReadFileRequest) (any, error) {
		text, ok := m.filesLocked(r.Path)[r.Path]
		if !ok {
			return nil, fmt.Errorf("file %s: %w", r.Path, dormer.ErrNotFound)
		}
		return guestwire.ReadFileResult{Data: []byte(text)}, nil
	}),
	guestwire.MethodWriteFile: with(func(m *machine, r guestwire.WriteFileRequest) (any, error) {
		m.filesLocked(r.Path)[r.Path] = string(r.Data)
		return nil, nil
	}),
	guestwire.MethodHostname: with(func(m *machine, r guestwire.HostnameRequest) (any, error) {
		m.guest.Hostname = r.Name
		return nil, nil
	}),
	guestwire.MethodTimeZone: with(func(m *machine, r guestwire.TimeZoneRequest) (any, error) {
		if r.Name == "" || strings.Contains(r.Name, "..") {
			return nil, dormer.Invalidf("name", "is no time zone")
		}
		m.guest.TimeZone = r.Name
		return nil, nil
	}),
	guestwire.MethodClock: with(func(m *machine, r guestwire.ClockRequest) (any, error) {
		m.guest.Clock = r.Time
		return nil, nil
	}),
	guestwire.MethodDNS: with(func(m *machine, r guestwire.DNSRequest) (any, error) {
		m.guest.DNS = r
		return nil, nil
	}),
	guestwire.MethodRegional: with(func(m *machine, r guestwire.RegionalRequest) (any, error) {
		for _, f := range []struct {
			to   *string
			from string
		}{{&m.guest.Regional.Locale, r.Locale}, {&m.guest.Regional.Layout, r.Layout}, {&m.guest.Regional.Variant, r.Variant}} {
			if f.from != "" {
				*f.to = f.from
			}
		}
		return nil, nil
	}),
	guestwire.MethodNotify: with(func(m *machine, r guestwire.NotifyRequest) (any, error) {
		m.guest.Notes = append(m.guest.Notes, r)
		return nil, nil
	}),
	guestwire.MethodLock: func(m *machine, _ []byte) (any, error) {
		m.guest.Locks++
		m.guest.Locked = true
		return nil, nil
	},
	guestwire.MethodSignOn: with(signOn),
	guestwire.MethodSignOff: func(m *machine, _ []byte) (any, error) {
		m.guest.SignedOn = nil
		return nil, nil
	},
	guestwire.MethodDrives: with(func(m *machine, r guestwire.DrivesRequest) (any, error) {
		m.guest.Drives = r
		result := guestwire.DrivesResult{}
		for _, d := range r.Drives {
			result.Drives = append(result.Drives, guestwire.DriveResult{Letter: d.Letter, Where: m.home(r.Account) + "/" + d.Letter})
		}
		return result, nil
	}),
	guestwire.MethodJoin: with(func(m *machine, r guestwire.JoinRequest) (any, error) {
		if r.Domain == "" || r.Computer == "" {
			return nil, dormer.Invalidf("domain", "is missing")
		}
		if j := m.guest.Joined; j != nil && j.Domain == r.Domain && j.Computer == r.Computer {
			return guestwire.JoinResult{Already: true}, nil
		}
		m.guest.Joined = &r
		return guestwire.JoinResult{}, nil
	}),
	guestwire.MethodConnect: with(func(m *machine, r guestwire.ConnectRequest) (any, error) {
		m.guest.Connects = append(m.guest.Connects, r)
		return nil, nil
	}),
	guestwire.MethodNoAutoSignOn: func(m *machine, _ []byte) (any, error) {
		m.guest.AutoSignOn = false
		return nil, nil
	},
	guestwire.MethodCheck: func(m *machine, _ []byte) (any, error) {
		return guestwire.CheckResult{Findings: slices.Clone(m.guest.Findings)}, nil
	},
	guestwire.MethodReopen: with(func(m *machine, r guestwire.ReopenRequest) (any, error) {
		m.guest.Reopened = append(m.guest.Reopened, r.Channels...)
		return nil, nil
	}),
	guestwire.MethodFolders: with(func(m *machine, r guestwire.FoldersRequest) (any, error) {
		m.guest.Folders = r
		result := guestwire.FoldersResult{Where: map[string]string{}}
		for _, f := range r.Folders {
			result.Where[f.Name] = m.home(r.Account) + "/" + f.Name
		}
		return result, nil
	}),
	guestwire.MethodPrinters: with(func(m *machine, r guestwire.PrintersRequest) (any, error) {
		m.guest.Printers = r.Printers
		return nil, nil
	}),
}

// with decodes a request for its handler.
func with[R any](handle func(m *machine, r R) (any, error)) func(*machine, []byte) (any, error) {
	return func(m *machine, body []byte) (any, error) {
		var r R
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("request is not valid: %w", dormer.ErrInvalid)
		}
		return handle(m, r)
	}
}

func signOn(m *machine, r guestwire.SignOnRequest) (any, error) {
	if r.User == "" {
		return nil, dormer.Invalidf("user", "needs a name")
	}
	result := guestwire.SignOnResult{Account: r.User, Ticket: r.Realm != "" && r.Password != ""}
	if !slices.Contains(m.guest.Accounts, r.User) && r.Realm == "" {
		m.guest.Accounts = append(m.guest.Accounts, r.User)
		result.Made = true
	}
	m.guest.SignedOn = &r
	return result, nil
}

// home is the home folder of an account; empty is the guest's user.
func (m *machine) home(account string) string {
	if account == "" {
		account = "user"
	}
	return "/home/" + account
}

func (m *machine) builtIn(ctx context.Context, method guestwire.Method, body []byte) (any, error) {
	switch method {
	case guestwire.MethodExec:
		var r guestwire.ExecRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("request is not valid: %w", dormer.ErrInvalid)
		}
		return m.Exec(ctx, r)
	case guestwire.MethodShutdown, guestwire.MethodRestart:
		m.host.mu.Lock()
		defer m.host.mu.Unlock()
		m.guest.Asked = append(m.guest.Asked, method)
		reason := hypervisor.ReasonShutdown
		if method == guestwire.MethodRestart {
			reason = hypervisor.ReasonRestart
		}
		m.endLocked(reason)
		return nil, nil
	}
	handle, ok := handlers[method]
	if !ok {
		return nil, fmt.Errorf("it does not know the request: %w", dormer.ErrUnsupported)
	}
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	m.guest.Asked = append(m.guest.Asked, method)
	return handle(m, body)
}

package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/setup"
	"github.com/dormer-project/dormer/internal/wire"
)

// setupGuest is the guest of a machine as the first-time setup sees it.
type setupGuest struct {
	m        *machine
	vm       hypervisor.Machine
	user     dormer.Principal
	computer string
	// system is the guest's, as runtime.GOOS; can is what it can do.
	system string
	can    []string
	// session is the guest's agent's, the next best to the name of a boot.
	session string
}

// setupGuest returns the guest of a machine that is ready.
func (m *machine) setupGuest(vm hypervisor.Machine) (*setupGuest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lease == nil {
		return nil, fmt.Errorf("there is no lease: %w", dormer.ErrDenied)
	}
	st := m.status.Guest
	g := &setupGuest{m: m, vm: vm, user: m.record.User, computer: m.lease.ComputerName, system: "linux", can: st.Capabilities, session: st.Session}
	if g.computer == "" {
		g.computer = st.Hostname
	}
	if strings.Contains(strings.ToLower(st.System), "windows") {
		g.system = "windows"
	}
	return g, nil
}

func (g *setupGuest) variables() setup.Variables {
	d := g.m.agent.domainOf(g.user)
	return setup.Variables{User: g.user.Name, Domain: cmp.Or(d.NetBIOSName, d.Name), Computer: g.computer}
}

// setupVariables is the same without a guest.
func (m *machine) setupVariables() setup.Variables {
	m.mu.Lock()
	user, computer := m.record.User, m.status.Guest.Hostname
	if m.lease != nil && m.lease.ComputerName != "" {
		computer = m.lease.ComputerName
	}
	m.mu.Unlock()
	d := m.agent.domainOf(user)
	return setup.Variables{User: user.Name, Domain: cmp.Or(d.NetBIOSName, d.Name), Computer: computer}
}

// bootFile names the start of a Linux system.
const bootFile = "/proc/sys/kernel/random/boot_id"

// Boot implements setup.System.
func (g *setupGuest) Boot(ctx context.Context) (string, error) {
	if g.system == "linux" {
		var file guestwire.ReadFileResult
		err := g.vm.Ask(ctx, guestwire.CapFile, guestwire.MethodReadFile, guestwire.ReadFileRequest{Path: bootFile, Max: 128}, &file)
		switch id := strings.TrimSpace(string(file.Data)); {
		case err == nil && id != "":
			return id, nil
		case err != nil && (ctx.Err() != nil || errors.Is(err, dormer.ErrUnavailable)):
			return "", err
		}
	}
	st, err := g.vm.Status(ctx)
	if err != nil {
		return "", fmt.Errorf("look at the guest: %w", err)
	}
	return fmt.Sprintf("%s %s", st.Started.UTC().Format(time.RFC3339Nano), st.Guest.Session), nil
}

// Rename implements setup.System.
func (g *setupGuest) Rename(ctx context.Context) error {
	if g.computer == "" {
		return fmt.Errorf("the server has given the machine no name: %w", dormer.ErrConflict)
	}
	return g.vm.Ask(ctx, guestwire.CapHostname, guestwire.MethodHostname, guestwire.HostnameRequest{Name: g.computer}, nil)
}

// Restart implements setup.System.
func (g *setupGuest) Restart(ctx context.Context) error {
	return g.vm.Ask(ctx, guestwire.CapShutdown, guestwire.MethodRestart, nil, nil)
}

// NoAutomaticSignOn implements setup.System.
func (g *setupGuest) NoAutomaticSignOn(ctx context.Context) error {
	return g.vm.Ask(ctx, guestwire.CapAutoSign, guestwire.MethodNoAutoSignOn, nil, nil)
}

// Connect implements setup.Guest.
func (g *setupGuest) Connect(ctx context.Context, address string, port int, timeout time.Duration) error {
	st, err := g.vm.Status(ctx)
	if err == nil && !st.Guest.Up {
		return fmt.Errorf("the guest does not answer: %w", dormer.ErrUnavailable)
	}
	r := guestwire.ConnectRequest{Address: address, Port: port, Timeout: timeout}
	err = g.vm.Ask(ctx, guestwire.CapConnect, guestwire.MethodConnect, r, nil)
	if errors.Is(err, dormer.ErrUnavailable) && ctx.Err() == nil {
		return fmt.Errorf("%w at %s, port %d, within %s", setup.ErrUnreachable, address, port, timeout)
	}
	return err
}

// errNoPassword says that a step waits for the user's password.
var errNoPassword = fmt.Errorf("the user's password is needed, and not known here; 'dormer sign-in' or 'dormer unlock' with the password gives it: %w", setup.ErrLater)

// Join implements setup.Guest. The secret goes from the server, or from memory,
// to the guest and is nowhere else.
func (g *setupGuest) Join(ctx context.Context, s setup.Step) error {
	j := s.Action.JoinDomain
	r := guestwire.JoinRequest{Computer: g.computer, OrganizationalUnit: j.OrganizationalUnit}
	if j.Credentials == policy.JoinUser {
		password, ok := g.m.agent.password(g.user.ID())
		if !ok {
			return errNoPassword
		}
		d := g.m.agent.domainOf(g.user)
		r.Domain, r.NetBIOSName = cmp.Or(j.Domain, d.Name), j.NetBIOSName
		if j.Domain == "" {
			r.NetBIOSName = d.NetBIOSName
		}
		if r.Domain == "" {
			return fmt.Errorf("the user's directory %s is no domain: %w", g.user.Directory, dormer.ErrConflict)
		}
		r.FQDN = strings.ToLower(g.computer + "." + r.Domain)
		r.User, r.UserPassword = g.user.Name, password
	} else {
		secret, err := g.joinSecret(ctx, s.Number)
		if err != nil {
			return err
		}
		r.Domain, r.NetBIOSName, r.Computer, r.FQDN = secret.Domain, secret.NetBIOSName, secret.Computer, secret.FQDN
		r.Servers, r.Password, r.Blob = secret.Servers, secret.Password, secret.Blob
	}
	var result guestwire.JoinResult
	return g.vm.Ask(ctx, guestwire.CapJoin, guestwire.MethodJoin, r, &result)
}

// joinSecret asks the server for what joins this one computer.
func (g *setupGuest) joinSecret(ctx context.Context, step int) (wire.JoinSecret, error) {
	a := g.m.agent
	a.mu.Lock()
	link, key := a.link, a.key
	own, ok := a.users.find(g.user.ID())
	a.mu.Unlock()
	switch {
	case link == nil:
		return wire.JoinSecret{}, fmt.Errorf("the client is not enrolled: %w", setup.ErrLater)
	case !ok:
		return wire.JoinSecret{}, fmt.Errorf("the user is not signed in ('dormer sign-in'), and the server joins only for who is: %w", setup.ErrLater)
	}
	proof, err := seal.Unseal(key, wire.SessionInfo(own.ID), own.Sealed)
	if err != nil {
		return wire.JoinSecret{}, fmt.Errorf("session of %s: %w", g.user.Name, err)
	}
	secret, err := link.Join(ctx, wire.JoinRequest{
		Session: wire.Session{ID: own.ID, Secret: string(proof)}, Machine: g.m.id, Step: step, System: g.system,
	})
	switch {
	case err == nil:
		return secret, nil
	case errors.Is(err, dormer.ErrUnavailable):
		return secret, fmt.Errorf("the server gives what joins the domain, and does not answer (%w): %w", err, setup.ErrLater)
	case errors.Is(err, dormer.ErrUnauthenticated):
		return secret, fmt.Errorf("the server does not know the user's session any more; 'dormer sign-in' again (%w): %w", err, setup.ErrLater)
	default:
		return secret, fmt.Errorf("the server gives nothing to join the domain with: %w", err)
	}
}

// domainJoined says which domain a machine joined.
func (m *machine) domainJoined(j policy.JoinDomain) string {
	m.mu.Lock()
	user := m.record.User
	m.mu.Unlock()
	domain := cmp.Or(j.Domain, m.agent.domainOf(user).Name)
	if j.OrganizationalUnit != "" {
		domain += ", " + j.OrganizationalUnit
	}
	return domain
}

// What is kept of the output of a command of the setup, in bytes, and shown of
// it, in characters.
const (
	setupOutput = 4 << 10
	setupDetail = 200
)

// Run implements setup.Guest.
func (g *setupGuest) Run(ctx context.Context, c setup.Command) (setup.Result, error) {
	r := guestwire.ExecRequest{Args: c.Args, User: "root", Detach: !c.Wait, Interactive: c.Interactive, MaxOutput: setupOutput}
	password := ""
	if c.Password == policy.PasswordStdin || c.Password == policy.PasswordFile {
		var ok bool
		if password, ok = g.m.agent.password(g.user.ID()); !ok {
			return setup.Result{}, errNoPassword
		}
	}
	switch c.Password {
	case policy.PasswordStdin:
		r.Stdin = []byte(password + "\n")
	case policy.PasswordFile:
		if !slices.Contains(g.can, string(guestwire.CapSecret)) {
			return setup.Result{}, fmt.Errorf("the guest's agent is too old to hand a password to a command: %w", dormer.ErrUnsupported)
		}
		r.SecretFile = []byte(password)
	case policy.PasswordNone:
	}
	if c.Once != "" {
		switch keeps := slices.Contains(g.can, string(guestwire.CapOnce)); {
		case keeps:
			r.Once = c.Once
		case c.Again:
			return setup.Result{}, setup.ErrBegun
		}
	}
	if until, ok := ctx.Deadline(); ok && c.Wait {
		r.Timeout = min(max(time.Until(until), time.Second), guestwire.MaxTimeout)
	}
	result, err := g.vm.Exec(ctx, r)
	if errors.Is(err, dormer.ErrExists) && r.Once != "" {
		return setup.Result{}, setup.ErrBegun
	}
	if err != nil {
		return setup.Result{}, err
	}
	said := lastLine(result.Stderr)
	if said == "" {
		said = lastLine(result.Stdout)
	}
	if password != "" {
		said = strings.ReplaceAll(said, password, "(hidden)")
	}
	return setup.Result{Status: result.ExitCode, Detail: cut(said, setupDetail)}, nil
}

// lastLine returns the last line of an output that has anything on it.
func lastLine(b []byte) string {
	lines := strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' || r == '\r' })
	for _, l := range slices.Backward(lines) {
		if l = strings.TrimSpace(l); l != "" {
			return l
		}
	}
	return ""
}

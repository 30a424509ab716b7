// Package fake is a hypervisor in memory. The whole product runs on it in
// tests; programs may import it for demonstrations without hardware.
//
// A Host is the computer: machines live in it and survive the driver that
// started them, as real ones survive the agent. Restart an agent in a test by
// giving its successor a new Driver of the same Host.
//
// The guest is a small interpreter with a file system of strings: it knows
// echo, cat, write, rm, true, false, sleep and whoami; Host.SetAnswer replaces it.
// Its agent takes every request of guestwire, and Guest says what came of them.
package fake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Host is a computer that runs machines in memory. The zero value is not
// usable; see NewHost.
type Host struct {
	now func() time.Time

	mu       sync.Mutex // guards the fields below and the fields of every machine
	machines map[string]*machine
	disks    map[string]*disks // by directory
	caps     hypervisor.Capabilities
	answer   AnswerFunc
	startErr func(hypervisor.Spec) error
	bootTime time.Duration
	ignoring bool
	saveErr  func(hypervisor.Spec) error
	applyErr func(hypervisor.Spec) error
	starts   int
	scripted AskFunc
	channels map[guestwire.Channel]ChannelFunc
	lacks    func(hypervisor.Spec) []string
}

// AnswerFunc answers a command in the place of the built-in guest. It returns
// false to leave the command to the built-in guest. It runs without locks held
// and must return when ctx ends.
type AnswerFunc func(ctx context.Context, spec hypervisor.Spec, request guestwire.ExecRequest) (guestwire.ExecResult, error, bool)

// disks are what stays when a machine ends.
type disks struct {
	layers map[string]map[string]string // layer -> path -> content
	guests map[string]*Guest            // layer -> what is kept in it beside files
	data   map[string]string
	key    string
	saved  *savedMachine // nil for none
}

// NewHost returns a host without machines whose guests are up at once.
func NewHost(now func() time.Time) *Host {
	return &Host{
		now:      now,
		machines: map[string]*machine{},
		disks:    map[string]*disks{},
		channels: map[guestwire.Channel]ChannelFunc{},
		caps: hypervisor.Capabilities{
			Hypervisor: "fake 1", Accelerator: "fake", Accelerated: true,
			MachineTypes: []string{"fake-1"}, CPU: "fake",
			Networks:  []hypervisor.Network{hypervisor.NetworkNone, hypervisor.NetworkNAT},
			Firmwares: []hypervisor.Firmware{hypervisor.FirmwareBIOS, hypervisor.FirmwareUEFI},
		},
	}
}

// Driver returns a driver of the host. All drivers of a host see the same machines.
func (h *Host) Driver() *Driver { return &Driver{host: h} }

// SetAnswer replaces what answers commands; nil restores the built-in guest.
func (h *Host) SetAnswer(f AnswerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = f
}

// SetStartError makes Start return f's error unless it is nil.
func (h *Host) SetStartError(f func(hypervisor.Spec) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.startErr = f
}

// SetBootTime makes guests of machines started from now on come up after d.
func (h *Host) SetBootTime(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bootTime = d
}

// SetCapabilities replaces what Probe answers.
func (h *Host) SetCapabilities(c hypervisor.Capabilities) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.caps = c
}

// IgnoreShutdown makes guests that do not react to Shutdown.
func (h *Host) IgnoreShutdown(ignore bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ignoring = ignore
}

// SetLacks makes a host that cannot give what f says, a sentence each.
func (h *Host) SetLacks(f func(hypervisor.Spec) []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lacks = f
}

// Starts is how many machines have been started on the host so far.
func (h *Host) Starts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.starts
}

// Running are the specs of the machines that run, ordered by directory.
func (h *Host) Running() []hypervisor.Spec {
	h.mu.Lock()
	defer h.mu.Unlock()
	var specs []hypervisor.Spec
	for _, m := range h.machines {
		specs = append(specs, m.spec)
	}
	slices.SortFunc(specs, func(a, b hypervisor.Spec) int {
		if a.Dir < b.Dir {
			return -1
		}
		return 1
	})
	return specs
}

// Pause pauses the machine in dir for a reason, as a full disk does. An empty
// reason lets it go on.
func (h *Host) Pause(dir string, reason hypervisor.Reason) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[dir]
	if !ok {
		return fmt.Errorf("pause machine: %w", dormer.ErrNotFound)
	}
	m.status.State, m.status.Reason = hypervisor.StateRunning, reason
	if reason != "" {
		m.status.State = hypervisor.StatePaused
	}
	return nil
}

// End ends the machine in dir from the inside or by accident: ReasonShutdown,
// ReasonRestart or ReasonCrashed.
func (h *Host) End(dir string, reason hypervisor.Reason) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[dir]
	if !ok {
		return fmt.Errorf("end machine: %w", dormer.ErrNotFound)
	}
	m.endLocked(reason)
	return nil
}

// SetIdle sets since when nobody has used the guest in dir.
func (h *Host) SetIdle(dir string, since time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[dir]
	if !ok {
		return fmt.Errorf("set idle time of machine: %w", dormer.ErrNotFound)
	}
	m.used = since
	return nil
}

// PowerCut ends every machine at once, as a computer that loses its power.
func (h *Host) PowerCut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.machines {
		m.endLocked(hypervisor.ReasonCrashed)
	}
}

// Driver implements hypervisor.Driver on a Host.
type Driver struct {
	host *Host
}

var _ hypervisor.Driver = (*Driver)(nil)

// Probe implements hypervisor.Driver.
func (d *Driver) Probe(ctx context.Context) (hypervisor.Capabilities, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	return d.host.caps, ctx.Err()
}

// Start implements hypervisor.Driver.
func (d *Driver) Start(ctx context.Context, spec hypervisor.Spec, secrets hypervisor.Secrets) (hypervisor.Machine, error) {
	if err := errors.Join(ctx.Err(), spec.Validate(), spec.Supported(), secrets.Validate()); err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	for _, base := range spec.Base {
		if base.File == "" {
			continue
		}
		if _, err := os.Stat(base.File); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("start machine: base disk %s: %w", filepath.Base(base.File), dormer.ErrNotFound)
		}
	}
	h := d.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.machines[spec.Dir]; ok {
		return nil, fmt.Errorf("start machine: it runs already: %w", dormer.ErrExists)
	}
	if h.startErr != nil {
		if err := h.startErr(spec); err != nil {
			return nil, fmt.Errorf("start machine: %w", err)
		}
	}
	var missing []string
	if h.lacks != nil {
		missing = h.lacks(spec)
	}
	if spec.Strict && len(missing) > 0 {
		return nil, fmt.Errorf("start machine: %w: %s", dormer.ErrUnsupported, strings.Join(missing, " "))
	}
	kept, err := h.disksLocked(spec, secrets)
	if err != nil {
		return nil, err
	}
	m := newMachine(h, spec, kept)
	m.status.Missing = missing
	if err := m.goOnLocked(kept); err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	h.machines[spec.Dir] = m
	h.starts++
	return m, nil
}

// disksLocked returns the disks of a directory, new ones when the directory was deleted since.
func (h *Host) disksLocked(spec hypervisor.Spec, secrets hypervisor.Secrets) (*disks, error) {
	if _, err := os.Stat(spec.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("start machine: its directory: %w", dormer.ErrNotFound)
	}
	marker := filepath.Join(spec.Dir, hypervisor.FileSpec)
	_, err := os.Stat(marker)
	kept, ok := h.disks[spec.Dir]
	if !ok || errors.Is(err, fs.ErrNotExist) {
		kept = &disks{layers: map[string]map[string]string{}, guests: map[string]*Guest{}, data: map[string]string{}, key: string(secrets.DiskKey)}
		h.disks[spec.Dir] = kept
	}
	if kept.key != string(secrets.DiskKey) {
		return nil, fmt.Errorf("start machine: the key does not open its disks: %w", dormer.ErrCorrupt)
	}
	if err := os.WriteFile(marker, []byte("{}\n"), 0o600); err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	return kept, nil
}

// Adopt implements hypervisor.Driver.
func (d *Driver) Adopt(ctx context.Context, dir string) (hypervisor.Machine, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	m, ok := d.host.machines[dir]
	if !ok {
		return nil, fmt.Errorf("adopt machine: %w", dormer.ErrNotFound)
	}
	return m, nil
}

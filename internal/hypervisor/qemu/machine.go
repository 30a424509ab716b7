package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/guestport"
	"github.com/dormer-project/dormer/internal/hypervisor/hostlink"
)

const (
	// resumeTick is how often a paused machine is looked at.
	resumeTick = time.Second
	// spaceToResume is what must be free for a machine that a full disk has
	// paused to go on, in bytes.
	spaceToResume = 8 << 20
	// guestTick is how often a guest is asked how it is.
	guestTick = 3 * time.Second
	// guestTime is how long a guest may take to answer or to set itself up.
	guestTime = 2 * time.Minute
	// quitTime is how long QEMU may take to end when it is told to.
	quitTime = 3 * time.Second
	// awayTime is how long a guest that has closed its end of the port may take
	// to come back, or to power itself off, before it counts as lost.
	awayTime = 30 * time.Second
	// guestPortID is the name of the guest port's device.
	guestPortID = hypervisor.DeviceGuestPort
)

// machine is one running QEMU.
type machine struct {
	spec    hypervisor.Spec
	log     *slog.Logger
	now     func() time.Time
	process *child
	said    *tail
	monitor *monitor
	port    *guestport.Port
	network *nat // nil without a network
	lock    *os.File
	done    chan struct{}
	holding holding
	// refuseBridge says why an adapter of the host cannot be had.
	refuseBridge func(adapter string) string
	// media counts the discs that were inserted while it runs; medium names the
	// present one, empty for none. noUSB says that USB is not allowed although the
	// guest has not let go of the controller. holding.changing guards them.
	media  int
	medium string
	noUSB  bool

	mu     sync.Mutex // guards the fields below, and spec
	status hypervisor.Status
	wanted hypervisor.Spec // as it was asked for, with what Apply has changed
	// channels are those that are attached, slots the redirected USB devices;
	// unplugging are the devices whose end is waited for.
	channels   map[guestwire.Channel]*channel
	slots      map[int]*slot
	unplugging map[string]chan struct{}
	nics       []nic

	killed bool
	held   bool              // Suspend or Save holds it
	saved  bool              // it ends because it was saved
	ending hypervisor.Reason // what QEMU said last about why it ends
	away   time.Time         // since when the guest's end of the port is closed; zero while it is open
}

var _ hypervisor.Machine = (*machine)(nil)

// run starts what goes on beside the machine until it ends.
func (m *machine) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var beside sync.WaitGroup
	if m.network != nil {
		beside.Go(func() { m.network.run(ctx) })
	}
	beside.Go(func() { m.care(ctx) })
	go func() {
		m.follow(ctx)
		cancel()
		_ = m.port.Close()
		_ = m.monitor.close()
		m.closeChannels()
		beside.Wait()
		m.finish()
	}()
}

// follow takes QEMU's events until it ends.
func (m *machine) follow(ctx context.Context) {
	tick := time.NewTicker(resumeTick)
	defer tick.Stop()
	for {
		select {
		case <-m.process.done:
			// What it said last is in the queue.
			<-m.monitor.done
			m.takeEvents()
			return
		case <-m.monitor.arrived:
			m.takeEvents()
		case <-tick.C:
			m.miss()
			m.resume(ctx)
		}
	}
}

func (m *machine) takeEvents() {
	for _, e := range m.monitor.take() {
		m.takeEvent(e)
	}
}

// The data of the events that matter.
type (
	eventShutdown struct {
		Reason string `json:"reason"`
	}
	eventIOError struct {
		NoSpace bool   `json:"nospace"`
		Reason  string `json:"reason"`
		Action  string `json:"action"`
	}
	eventPort struct {
		ID   string `json:"id"`
		Open bool   `json:"open"`
	}
)

func (m *machine) takeEvent(e event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e.Name {
	case "SHUTDOWN":
		var d eventShutdown
		_ = json.Unmarshal(e.Data, &d) // without a reason it counts as a crash
		m.ending = endReasons[d.Reason]
	case "BLOCK_IO_ERROR":
		var d eventIOError
		if json.Unmarshal(e.Data, &d) != nil || d.Action != "stop" || m.held {
			return
		}
		reason := hypervisor.ReasonDisk
		if d.NoSpace {
			reason = hypervisor.ReasonNoSpace
		}
		if m.status.State == hypervisor.StateRunning {
			m.log.Warn("machine is paused", slog.String("reason", string(reason)), slog.String("error", d.Reason))
		}
		m.status.State, m.status.Reason, m.status.Detail = hypervisor.StatePaused, reason, d.Reason
	case "RESUME":
		if m.status.State == hypervisor.StatePaused && !m.held {
			m.log.Info("machine goes on")
			m.status.State, m.status.Reason, m.status.Detail = hypervisor.StateRunning, "", ""
		}
	case "DEVICE_DELETED":
		m.takeDeleted(e.Data)
	case "GUEST_PANICKED":
		m.ending = hypervisor.ReasonCrashed
	case "VSERPORT_CHANGE":
		var d eventPort
		if json.Unmarshal(e.Data, &d) != nil {
			return
		}
		if d.ID != guestPortID {
			m.channelChanged(d)
			return
		}
		if d.Open {
			m.away = time.Time{}
			m.port.Greet()
			return
		}
		// A guest that powers off closes its port first: that is not the loss of it.
		m.away, m.status.Guest.Ready = m.now(), false
		m.port.Reset()
	}
}

// miss notices that the guest does not come back.
func (m *machine) miss() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.away.IsZero() && m.now().Sub(m.away) >= awayTime {
		m.status.Guest.Up = false
	}
}

// endReasons are QEMU's reasons for a shutdown.
var endReasons = map[string]hypervisor.Reason{
	"guest-shutdown":        hypervisor.ReasonShutdown,
	"guest-reset":           hypervisor.ReasonRestart,
	"guest-panic":           hypervisor.ReasonCrashed,
	"host-qmp-quit":         hypervisor.ReasonKilled,
	"host-signal":           hypervisor.ReasonKilled,
	"host-ui":               hypervisor.ReasonKilled,
	"host-error":            hypervisor.ReasonCrashed,
	"host-qmp-system-reset": hypervisor.ReasonRestart,
}

// resume lets a paused machine go on when the cause may have gone. When it has
// not, the machine pauses again at its next write.
func (m *machine) resume(ctx context.Context) {
	if !m.holding.changing.TryLock() {
		return
	}
	defer m.holding.changing.Unlock()
	m.mu.Lock()
	paused, reason := m.status.State == hypervisor.StatePaused && !m.held, m.status.Reason
	m.mu.Unlock()
	if !paused {
		return
	}
	if reason == hypervisor.ReasonNoSpace {
		if free, err := freeSpace(m.spec.Dir); err != nil || free < spaceToResume {
			return
		}
	}
	if err := m.monitor.execute(ctx, "cont", nil, nil); err != nil {
		m.log.Warn("cannot let machine go on", slog.Any("error", err))
	}
}

// finish records how the machine ended and takes away what it leaves behind.
func (m *machine) finish() {
	m.mu.Lock()
	reason := m.ending
	switch {
	case m.saved:
		reason = hypervisor.ReasonSaved
	case m.killed:
		reason = hypervisor.ReasonKilled
	case reason == "":
		reason = hypervisor.ReasonCrashed
		m.status.Detail = m.said.last()
	}
	m.status.State, m.status.Reason, m.status.PIDs = hypervisor.StateStopped, reason, nil
	m.status.Guest.Up, m.status.Guest.Ready = false, false
	spec := m.spec
	m.mu.Unlock()
	m.log.Info("machine has ended", slog.String("reason", string(reason)), slog.String("qemu", m.said.last()))
	// The sockets of base disks are their server's to remove.
	if err := errors.Join(keepSockets(spec), closeLinks(m.nicsNow()), hostlink.CleanUp(spec.Dir), m.lock.Close()); err != nil {
		m.log.Warn("cannot clean up after machine", slog.Any("error", err))
	}
	close(m.done)
}

// Done implements hypervisor.Machine.
func (m *machine) Done() <-chan struct{} { return m.done }

// Status implements hypervisor.Machine.
func (m *machine) Status(context.Context) (hypervisor.Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status, nil
}

// Exec implements hypervisor.Machine.
func (m *machine) Exec(ctx context.Context, request guestwire.ExecRequest) (guestwire.ExecResult, error) {
	return m.port.Exec(ctx, request, nil)
}

// Shutdown implements hypervisor.Machine. A guest without its agent is asked
// by the power button.
func (m *machine) Shutdown(ctx context.Context) error {
	select {
	case <-m.done:
		return nil
	default:
	}
	// A guest that is held cannot end.
	if err := m.Resume(ctx); err != nil {
		m.log.Info("resume machine to shut it down", slog.Any("error", err))
	}
	asked, cancel := context.WithTimeout(ctx, guestTime)
	err := m.port.Call(asked, guestwire.CapShutdown, guestwire.MethodShutdown, nil, nil)
	cancel()
	if err != nil {
		m.log.Info("guest agent does not shut down; pressing the power button", slog.Any("error", err))
		if err := m.monitor.execute(ctx, "system_powerdown", nil, nil); err != nil {
			m.log.Info("power button", slog.Any("error", err))
		}
	}
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("shut machine down: the guest goes on: %w", dormer.ErrUnavailable)
	}
}

// Kill implements hypervisor.Machine.
func (m *machine) Kill(ctx context.Context) error {
	select {
	case <-m.done:
		return nil
	default:
	}
	m.mu.Lock()
	m.killed = true
	m.mu.Unlock()
	m.quit(ctx)
	return nil
}

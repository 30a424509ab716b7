// Package agent is the program dormer-agent: it owns a client's identity, its
// leases, its images and its machines, and enforces what the server has signed
// whether the server is there or not. It is a composition root; only
// cmd/dormer-agent and tests import it.
//
// Words: the trust is the identity with its opened key set; a session is a user
// of the instance who is signed in for a user of the computer; a record is what
// is kept of one machine.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/uplink"
	"github.com/dormer-project/dormer/internal/wire"
)

// enforces lists what this agent can enforce beyond what every agent can
// (policy.Effective.Requires). A policy that needs more does not start here.
var enforces = []string{
	policy.RequiresAudio, policy.RequiresBridgedNetwork, policy.RequiresClipboard, policy.RequiresComputerName, policy.RequiresDNS,
	policy.RequiresDelete, policy.RequiresFileTransfer, policy.RequiresForceUpdates, policy.RequiresGuestSignOn, policy.RequiresGuestUpdates,
	policy.RequiresHostCommand, policy.RequiresLastWindow, policy.RequiresLockAtLimit, policy.RequiresLockIdle, policy.RequiresLockSleep,
	policy.RequiresMicrophone, policy.RequiresNetworkDrives, policy.RequiresOpticalDrive, policy.RequiresPrinting, policy.RequiresRegional,
	policy.RequiresSaveState, policy.RequiresSetupScript, policy.RequiresSharedFolders, policy.RequiresStartApplications, policy.RequiresStartSignOn,
	policy.RequiresSuspendIdle, policy.RequiresTimeZone, policy.RequiresUSB, policy.RequiresUserCredentials,
}

// Config says how an agent works. Zero durations take their defaults.
type Config struct {
	// StateDir is the agent's own folder.
	StateDir string
	// Managed says that the agent is a system service, out of reach of users.
	Managed bool
	// Version is the agent's, Built when it was made: no certificate is checked
	// against an earlier time.
	Version string
	Built   time.Time

	// StopTime is how long a guest has to shut down before it is killed.
	StopTime time.Duration
	// LookEvery is how often running machines are looked at.
	LookEvery time.Duration
	// LimitsEvery is how often leases are held against the clock.
	LimitsEvery time.Duration
	// Optical is the drive, or the file with the image of a disc, that guests get
	// where their policy allows it; "" for none.
	Optical string
	// Cost is what checking a password or PIN off-line takes; zero:
	// access.DefaultCost.
	Cost access.Cost
}

// The defaults of Config.
const (
	DefaultStopTime    = 3 * time.Minute
	DefaultLookEvery   = 2 * time.Second
	DefaultLimitsEvery = 15 * time.Second
)

// Deps are what an agent works with.
type Deps struct {
	Driver hypervisor.Driver
	Images Images
	Time   lease.TimeSources
	Random io.Reader
	Logger *slog.Logger
	// Host describes this computer.
	Host func() wire.Host
	// OwnUID is the user the agent runs as.
	OwnUID uint32
	// Zone names the host's time zone, "" when it cannot be known; nil: HostZone.
	Zone func() string
	// WatchNetwork calls changed with the host's network, at once and whenever it
	// has changed, until ctx ends; nil: it is not followed.
	WatchNetwork func(ctx context.Context, changed func(HostNetwork)) error
	// WatchSleep calls with true before the computer goes to sleep, which waits for
	// it to return, and with false after; nil: it is not followed.
	WatchSleep func(ctx context.Context, changed func(sleeping bool)) error
}

// Agent is one client. Its methods may be called by several goroutines.
type Agent struct {
	cfg     Config
	driver  hypervisor.Driver
	images  Images
	clock   *lease.Clock
	time    lease.TimeSources
	random  io.Reader
	run     string // of this start; see wire.PollRequest.Run
	hasher  *access.Hasher
	log     *slog.Logger
	host    func() wire.Host
	ownUID  uint32
	zone    func() string
	watches []func(context.Context)
	state   folder
	lock    *os.File
	journal *event.Journal
	repeats *event.Repeats // into journal
	desks   desks
	words   words

	ctx     context.Context //nolint:containedctx // the life of the agent: machines outlive requests
	stop    context.CancelFunc
	running sync.WaitGroup // everything that was started
	polls   chan chan error

	// changing is held by whoever changes the identity, a poll's answer among
	// them. It is taken before mu, and guards collected: when images were last
	// looked through.
	changing  sync.Mutex
	collected time.Time

	links links
	usb   usbSlots
	size  imagesSize

	mu       sync.Mutex // guards the fields below
	key      *seal.FileKey
	trust    *trust // nil before enrolment
	link     *uplink.Uplink
	users    users
	sealed   wire.SealedKeys
	machines map[dormer.MachineID]*machine
	orders   orders
	// deliveries are what the server is told of fetches.
	deliveries deliveries
	turns      turns
	poll       pollState
	network    HostNetwork
	hostZone   string                  // as of the last look
	able       hypervisor.Capabilities // what the hypervisor can do, once probed
	unable     string                  // why it cannot
}

// New opens the state folder, finds the machines that run, and returns an agent
// that is complete; Run makes it work. Close it if it is not run.
func New(cfg Config, d Deps) (_ *Agent, err error) {
	cfg.StopTime = orDefault(cfg.StopTime, DefaultStopTime)
	cfg.LookEvery = orDefault(cfg.LookEvery, DefaultLookEvery)
	cfg.LimitsEvery = orDefault(cfg.LimitsEvery, DefaultLimitsEvery)
	if cfg.Cost == (access.Cost{}) {
		cfg.Cost = access.DefaultCost
	}
	run, err := dormer.NewID(d.Random)
	if err != nil {
		return nil, fmt.Errorf("name this start of the agent: %w", err)
	}
	hasher, err := access.NewHasher(d.Random, cfg.Cost, 1)
	if err != nil {
		return nil, err
	}
	state, lock, err := openState(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &Agent{
		cfg: cfg, driver: d.Driver, images: d.Images, time: d.Time, random: d.Random, run: run, hasher: hasher, log: d.Logger, host: d.Host, ownUID: d.OwnUID,
		state: state, lock: lock, ctx: ctx, stop: stop, polls: make(chan chan error),
		machines: map[dormer.MachineID]*machine{}, turns: turns{busy: map[dormer.ImageID]chan struct{}{}},
	}
	a.follows(d)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if err := a.load(d); err != nil {
		return nil, err
	}
	return a, nil
}

// follows notes what of the host the agent follows while it runs.
func (a *Agent) follows(d Deps) {
	a.zone = d.Zone
	if a.zone == nil {
		a.zone = HostZone
	}
	a.hostZone = a.zone()
	if d.WatchNetwork != nil {
		a.watches = append(a.watches, func(ctx context.Context) {
			a.logWatch(ctx, "network", d.WatchNetwork(ctx, a.networkChanged))
		})
	}
	if d.WatchSleep != nil {
		a.watches = append(a.watches, func(ctx context.Context) {
			a.logWatch(ctx, "sleep", d.WatchSleep(ctx, a.hostSleepsOrWakes))
		})
	}
}

// logWatch logs that something of the host cannot be followed any more.
func (a *Agent) logWatch(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "something of the host cannot be followed", slog.String("what", what), slog.Any("error", err))
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// load reads the state folder.
func (a *Agent) load(d Deps) error {
	var saved lease.ClockState
	if err := a.state.readJSON(FileClock, &saved); err != nil {
		// Leases still bound the time from below.
		a.log.LogAttrs(a.ctx, slog.LevelWarn, "the state of the clock is lost", slog.Any("error", err))
	}
	a.clock = lease.NewClock(d.Time, saved)
	var err error
	if a.journal, err = event.OpenJournal(a.state.path(DirJournal), event.JournalOptions{Random: d.Random, Now: a.now}); err != nil {
		return err
	}
	a.repeats = event.NewRepeats(a.journal, a.now)
	if a.key, a.trust, err = loadIdentity(a.state); err != nil {
		return err
	}
	for name, into := range map[string]any{FileUsers: &a.users, FileKeys: &a.sealed, FileOrders: &a.orders, FileSettings: &a.words.settings} {
		if err := a.state.readJSON(name, into); err != nil {
			return err
		}
	}
	if a.trust != nil {
		if a.link, err = a.newLink(a.trust, a.key); err != nil {
			return err
		}
	}
	a.loadDeliveries()
	return a.loadMachines()
}

func (a *Agent) loadMachines() error {
	entries, err := os.ReadDir(a.state.path(DirMachines))
	if err != nil {
		return fmt.Errorf("list machines: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || !dormer.ValidID(e.Name()) {
			continue
		}
		m, err := a.loadMachine(folder(a.state.path(DirMachines, e.Name())), a.trust)
		if err != nil {
			// One machine that cannot be read must not stop the others.
			a.log.LogAttrs(a.ctx, slog.LevelError, "a machine is passed over",
				slog.String("machine", e.Name()), slog.Any("error", err))
			continue
		}
		if string(m.id) == e.Name() {
			a.machines[m.id] = m
		}
	}
	_, all := a.all()
	a.growJournal(all) // before anything is told
	for _, m := range all {
		m.begin(a.ctx)
	}
	a.enforceAll()
	return nil
}

// newLink connects to the servers of an identity.
func (a *Agent) newLink(t *trust, key *seal.FileKey) (*uplink.Uplink, error) {
	return uplink.New(uplink.Config{
		Servers: t.keys.Servers, Authority: t.Authority, Client: t.Client, Key: key,
		Time: a.tlsTime, Random: a.random, UserAgent: a.userAgent(),
	})
}

func (a *Agent) userAgent() string { return "dormer-agent/" + a.cfg.Version }

func (a *Agent) tlsTime() time.Time { return a.clock.ForTLS(a.cfg.Built) }

// now is the time as far as this computer can be sure of it.
func (a *Agent) now() time.Time { return a.clock.Read().Now }

// Run polls and enforces until ctx ends. Machines that run go on running; the
// next agent finds them again. The agent is closed when Run returns.
func (a *Agent) Run(ctx context.Context) error {
	a.tell(event.New(event.AgentStarted, a.now(), a.cfg.Version), nil)
	a.running.Go(func() { a.pollLoop(a.ctx) })
	a.running.Go(func() { a.limitsLoop(a.ctx) })
	a.running.Go(func() { a.probe(a.ctx) })
	for _, w := range a.watches {
		a.running.Go(func() { w(a.ctx) })
	}
	<-ctx.Done()
	a.flushRepeats(true)
	a.tell(event.New(event.AgentStopped, a.now(), ""), nil)
	return a.Close()
}

// probe asks what the hypervisor can do, which may take seconds.
func (a *Agent) probe(ctx context.Context) {
	able, err := a.driver.Probe(ctx)
	if ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.able = able
	if err != nil {
		a.unable = "machines cannot run here: " + err.Error()
	}
}

// Close ends everything but the machines, and lets go of the state folder.
func (a *Agent) Close() error {
	a.stop()
	a.running.Wait()
	a.mu.Lock()
	link, lock, journal, repeats := a.link, a.lock, a.journal, a.repeats
	a.link, a.lock, a.journal, a.repeats = nil, nil, nil, nil
	a.mu.Unlock()
	if lock == nil {
		return nil
	}
	if link != nil {
		link.Close()
	}
	var errs []error
	if journal != nil {
		errs = append(errs, a.saveClock(), repeats.Flush(true), journal.Close())
	}
	return errors.Join(append(errs, lock.Close())...)
}

func (a *Agent) saveClock() error { return a.state.writeJSON(FileClock, a.clock.State()) }

// clockEvery is how often the clock's state is kept.
const clockEvery = time.Minute

// limitsLoop holds leases against the clock.
func (a *Agent) limitsLoop(ctx context.Context) {
	t := time.NewTicker(a.cfg.LimitsEvery)
	defer t.Stop()
	saved := a.clock.State()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		r := a.enforceAll()
		a.flushRepeats(false)
		a.maintain()
		a.followHost()
		back := a.clock.SetBack()
		if back > 0 {
			a.tell(event.New(event.ClockSetBack, r.Now, "by "+back.Round(time.Second).String()), nil)
		}
		if s := a.clock.State(); back > 0 || s.Elapsed-saved.Elapsed >= clockEvery || s.Elapsed < saved.Elapsed {
			if err := a.saveClock(); err != nil {
				a.log.LogAttrs(ctx, slog.LevelError, "the state of the clock cannot be kept", slog.Any("error", err))
				continue
			}
			saved = s
		}
	}
}

// enforceAll holds all leases against the clock and returns its reading.
func (a *Agent) enforceAll() lease.Reading {
	r := a.clock.Read()
	t, all := a.all()
	for _, m := range all {
		m.enforce(t, r)
	}
	return r
}

// all returns the trust and the machines.
func (a *Agent) all() (*trust, []*machine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*machine, 0, len(a.machines))
	for _, m := range a.machines {
		out = append(out, m)
	}
	return a.trust, out
}

// systemUser is the user of events that happen before anybody signs on.
const systemUser = "SYSTEM"

// tell puts an event into the journal, about a machine unless that is nil. An
// event that cannot be kept is logged: nothing is stopped for it. The caller
// holds neither mu of the agent nor that of the machine.
func (a *Agent) tell(e dormer.Event, m *machine) {
	e.Host, e.ClientVersion = a.host().Name, a.cfg.Version
	e.Description = strings.ReplaceAll(e.Description, "\n", "; ") // several errors in one
	if e.User == "" {
		e.User = systemUser
	}
	if m != nil {
		m.mu.Lock()
		e.User, e.WorkspaceName = m.record.User.Name, m.record.Name
		e.Guest = m.status.Guest.Hostname
		if l := m.lease; l != nil {
			e.Workspace, e.PolicyRevision = l.Workspace, l.PolicyRevision
			if e.Image == "" {
				e.Image = m.imageName()
			}
			if e.Guest == "" {
				e.Guest = l.ComputerName
			}
		}
		m.mu.Unlock()
	}
	e.Guest = cut(e.Guest, maxGuestText) // it is the guest's word
	a.mu.Lock()
	repeats := a.repeats
	a.mu.Unlock()
	if repeats == nil {
		return
	}
	if err := repeats.Append(e); err != nil {
		a.log.LogAttrs(a.ctx, slog.LevelError, "an event cannot be kept",
			slog.Int("code", e.Code), slog.String("description", e.Description), slog.Any("error", err))
	}
}

// flushRepeats writes what was counted of events that came again and again: of
// minutes that are over, or all.
func (a *Agent) flushRepeats(all bool) {
	a.mu.Lock()
	repeats := a.repeats
	a.mu.Unlock()
	if repeats == nil {
		return
	}
	if err := repeats.Flush(all); err != nil {
		a.log.LogAttrs(a.ctx, slog.LevelError, "the count of repeated events cannot be kept", slog.Any("error", err))
	}
}

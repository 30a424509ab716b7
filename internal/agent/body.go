package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/workspace"
)

// Fetch implements workspace.Body.
func (m *machine) Fetch(ctx context.Context, progress func(string)) error {
	a := m.agent
	m.mu.Lock()
	l, id, name := m.lease, m.image(), m.imageName()
	m.mu.Unlock()
	if l == nil {
		return fmt.Errorf("there is no lease: %w", dormer.ErrDenied)
	}
	done, err := a.takeTurn(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	if a.images.Has(id) {
		return nil
	}
	return m.fetch(ctx, l, id, name, progress)
}

// fetch gets what is missing of an image; the caller has the turn for it.
func (m *machine) fetch(ctx context.Context, l *lease.Lease, id dormer.ImageID, name string, progress func(string)) error {
	a := m.agent
	a.mu.Lock()
	key, sealed, t, link := a.key, a.sealed, a.trust, a.link
	a.mu.Unlock()
	if t == nil {
		return fmt.Errorf("the client is not enrolled: %w", dormer.ErrUnavailable)
	}
	k, _, err := repositoryKey(key, sealed, l)
	if err != nil {
		return err
	}
	m.tellFetch(event.ImageStarted, id, name)
	err = a.images.Fetch(ctx, id, Fetch{
		Source: objects(link), Trust: t.keys, Key: k,
		Progress: func(done, total int64) { progress(percent(done, total)) },
	})
	switch {
	case err == nil:
		m.tellFetch(event.ImageFinished, id, name)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	code := event.ImageFailed
	if errors.Is(err, dormer.ErrDenied) || errors.Is(err, dormer.ErrCorrupt) {
		code = event.ImageRefused
	}
	m.tellFetch(code, id, name+": "+err.Error())
	return fmt.Errorf("fetch image %s: %w", name, err)
}

// tellFetch tells of an image once: a fetch that fails is tried again at every
// poll.
func (m *machine) tellFetch(code event.Code, id dormer.ImageID, detail string) {
	m.mu.Lock()
	if m.fetchOf != id {
		m.fetchOf, m.fetchTold = id, nil
	}
	again := slices.Contains(m.fetchTold, code)
	if !again {
		m.fetchTold = append(m.fetchTold, code)
	}
	if code == event.ImageFinished {
		again, m.fetchTold = false, nil
	}
	m.mu.Unlock()
	if !again {
		m.agent.tell(event.New(code, m.agent.now(), detail), m)
	}
}

// Start implements workspace.Body.
func (m *machine) Start(ctx context.Context) error {
	a := m.agent
	t, _ := a.all()
	if err := m.judge(t, a.clock.Read()).Err(); err != nil {
		return err
	}
	if err := m.settle(); err != nil {
		return err
	}
	err := m.launch(ctx)
	if errors.Is(err, dormer.ErrCorrupt) && m.mend(ctx) == nil {
		err = m.launch(ctx)
	}
	return err
}

// launch starts the machine from what is on the disk.
func (m *machine) launch(ctx context.Context) error {
	a := m.agent
	a.mu.Lock()
	key, sealed := a.key, a.sealed
	a.mu.Unlock()
	m.mu.Lock()
	l, p, id, name, overlay := m.lease, m.policy, m.image(), m.imageName(), m.record.Overlay
	m.mu.Unlock()
	if l == nil || p == nil {
		return fmt.Errorf("the workspace's lease or policy is not here: %w", dormer.ErrUnavailable)
	}
	secrets, repository, err := secretsOf(key, sealed, l)
	if err != nil {
		return err
	}
	for _, d := range []string{m.disks(), m.folder.path(DirBoot)} {
		if _, err := makeFolder(d); err != nil {
			return err
		}
	}
	hw, err := a.images.Describe(ctx, id, repository, m.folder.path(DirBoot))
	if err != nil {
		return fmt.Errorf("open image %s: %w", name, err)
	}
	vm, err := a.driver.Start(ctx, m.spec(l, p, id, overlay, hw), secrets)
	if errors.Is(err, dormer.ErrExists) {
		vm, err = a.driver.Adopt(ctx, m.disks())
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.vm, m.status = vm, hypervisor.Status{}
	m.mu.Unlock()
	a.running.Go(func() { m.watch(a.ctx, vm) })
	return nil
}

// mend looks for damage to the image on this computer's disk and fetches what is
// damaged again. Without damage to it, or without the server, it is an error.
func (m *machine) mend(ctx context.Context) error {
	a := m.agent
	m.mu.Lock()
	l, id, name := m.lease, m.image(), m.imageName()
	m.mu.Unlock()
	if l == nil {
		return fmt.Errorf("there is no lease: %w", dormer.ErrDenied)
	}
	done, err := a.takeTurn(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	// Manifest and map are not looked at by Verify, but by a fetch.
	if err := a.images.Verify(ctx, id); err != nil {
		if !errors.Is(err, dormer.ErrCorrupt) {
			return err
		}
		a.tell(event.New(event.ImageBlockCorrupt, a.now(), name+": "+err.Error()), m)
	}
	return m.fetch(ctx, l, id, name, func(string) {})
}

// mendEvery is the shortest time between two looks for damage to the image of a
// machine that runs.
const mendEvery = time.Minute

// mendRunning looks for damage to the image of a machine that waits for a disk;
// the machine reads again by itself.
func (m *machine) mendRunning(ctx context.Context) {
	m.mu.Lock()
	now := time.Now()
	due := m.mended.IsZero() || now.Sub(m.mended) >= mendEvery
	if due {
		m.mended = now
	}
	m.mu.Unlock()
	if !due {
		return
	}
	m.agent.running.Go(func() {
		if err := m.mend(ctx); err != nil && ctx.Err() == nil {
			m.agent.log.LogAttrs(ctx, slog.LevelError, "the image of a machine that waits for a disk cannot be mended",
				slog.String("machine", string(m.id)), slog.Any("error", err))
		}
	})
}

// settle decides at the first start what stays for the life of the machine:
// whether its changes are kept, and over which image.
func (m *machine) settle() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.policy == nil || m.lease == nil || m.record.Overlay != "" {
		return nil
	}
	m.record.Overlay = hypervisor.OverlayKeep
	if m.policy.Machine.Revertible {
		m.record.Overlay = hypervisor.OverlayDiscard
	} else {
		m.record.Base, m.record.BaseName = m.lease.Image, m.lease.ImageName
	}
	return m.save()
}

// layerDigits is how much of an image's hash names the machine layer over it.
const layerDigits = 16

// spec puts lease, policy, image and host together. What the policy does not
// allow is not in it.
func (m *machine) spec(l *lease.Lease, p *policy.Effective, id dormer.ImageID, overlay hypervisor.Overlay, hw Hardware) hypervisor.Spec {
	host := m.agent.host()
	digits := strings.TrimPrefix(string(id), "sha256:")
	s := hypervisor.Spec{
		Machine: l.Machine, Dir: m.disks(), Name: l.WorkspaceName, ComputerName: l.ComputerName,
		Memory: p.GuestMemory(host.MemoryMiB), Processors: p.GuestProcessors(host.Processors),
		Firmware: hw.Firmware, Base: hw.Base, Boot: hw.Boot, DiskBus: hw.DiskBus, TPM: hw.TPM,
		Layer: digits[:min(len(digits), layerDigits)], Overlay: overlay,
		Network: hypervisor.NetworkNone, Display: true,
	}
	if p.Network.Mode == policy.NetworkNAT {
		s.Network = hypervisor.NetworkNAT
	}
	if hw.Data != nil {
		s.Data = &hypervisor.DataDisk{Size: int64(p.Machine.DataDisk.Size), Label: hw.Data.Label, MountPoint: hw.Data.MountPoint}
	}
	return s
}

// Stop implements workspace.Body.
func (m *machine) Stop(ctx context.Context) error {
	vm := m.machineNow()
	if vm == nil {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, m.agent.cfg.StopTime)
	defer cancel()
	err := vm.Shutdown(short)
	switch {
	case err == nil:
		m.ended(vm)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return m.Kill(ctx)
}

// Kill implements workspace.Body.
func (m *machine) Kill(ctx context.Context) error {
	vm := m.machineNow()
	if vm == nil {
		return nil
	}
	if err := vm.Kill(ctx); err != nil {
		return err
	}
	m.ended(vm)
	return nil
}

func (m *machine) machineNow() hypervisor.Machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.vm
}

// ended forgets vm and reports whether it was still the machine's.
func (m *machine) ended(vm hypervisor.Machine) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.vm != vm {
		return false
	}
	m.vm, m.status = nil, hypervisor.Status{}
	return true
}

// Remove implements workspace.Body. The record goes last, so that a removal
// that was interrupted is finished at the next start.
func (m *machine) Remove(ctx context.Context) error {
	// One that did not answer when it was looked for may run.
	vm, err := m.agent.driver.Adopt(ctx, m.disks())
	if err == nil {
		err = vm.Kill(ctx)
	}
	if err != nil && !errors.Is(err, dormer.ErrNotFound) {
		return fmt.Errorf("end machine before its disks are deleted: %w", err)
	}
	for _, d := range []string{DirDisks, DirBoot} {
		if err := os.RemoveAll(m.folder.path(d)); err != nil {
			return fmt.Errorf("delete disks of machine: %w", err)
		}
	}
	if err := os.RemoveAll(string(m.folder)); err != nil {
		return fmt.Errorf("delete machine: %w", err)
	}
	return syncDir(m.agent.state.path(DirMachines))
}

// statusTime bounds one look at a machine.
const statusTime = 5 * time.Second

// watch follows a running machine until it ends.
func (m *machine) watch(ctx context.Context, vm hypervisor.Machine) {
	t := time.NewTicker(m.agent.cfg.LookEvery)
	defer t.Stop()
	m.look(ctx, vm)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			m.look(ctx, vm)
		case <-vm.Done():
			m.over(ctx, vm)
			return
		}
	}
}

// look takes a machine's status. One that does not answer is looked at again.
func (m *machine) look(ctx context.Context, vm hypervisor.Machine) {
	short, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	st, err := vm.Status(short)
	if err != nil {
		return
	}
	m.mu.Lock()
	if m.vm != vm {
		m.mu.Unlock()
		return
	}
	was := m.status
	m.status = st
	m.mu.Unlock()
	switch {
	case st.Guest.Up && !was.Guest.Up:
		m.agent.tell(event.New(event.GuestConnected, m.agent.now(), st.Guest.Hostname), m)
	case was.Guest.Up && !st.Guest.Up && st.State == hypervisor.StateRunning:
		m.agent.tell(event.New(event.GuestLost, m.agent.now(), ""), m)
	}
	switch st.State {
	case hypervisor.StatePaused:
		m.rec.Paused(strings.TrimSpace(string(st.Reason) + " " + st.Detail))
		if st.Reason == hypervisor.ReasonDisk {
			m.mendRunning(ctx)
		}
	case hypervisor.StateRunning:
		if was.State == hypervisor.StatePaused {
			m.rec.Paused("")
		}
	case hypervisor.StateStarting, hypervisor.StateStopped:
	}
}

// over handles the end of a machine that nobody here asked for.
func (m *machine) over(ctx context.Context, vm hypervisor.Machine) {
	// The reconciler may not have noted yet that it runs.
	if _, err := m.rec.Await(ctx, func(s workspace.Snapshot) bool { return s.State != workspace.Starting }); err != nil {
		return
	}
	short, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	st, err := vm.Status(short)
	if !m.ended(vm) {
		return // who stopped it tells
	}
	reason := st.Reason
	if err != nil {
		reason = hypervisor.ReasonCrashed
	}
	switch reason {
	case hypervisor.ReasonShutdown, hypervisor.ReasonKilled:
		m.rec.Ended(false, nil)
	case hypervisor.ReasonRestart:
		m.rec.Ended(true, nil)
	default:
		m.rec.Ended(false, fmt.Errorf("the machine ended by itself (%s) %s: %w", reason, st.Detail, dormer.ErrUnavailable))
	}
}

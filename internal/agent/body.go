package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
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
	m.tellFetch(event.ImageStarted, id, name, "")
	begun := false
	err = a.images.Fetch(ctx, id, Fetch{
		Source: objects(link), Trust: t.keys, Key: k,
		Progress: func(done, total int64) {
			if !begun {
				begun = true
				a.deliveryBegins(begunDelivery{Image: id, Size: total, Present: done})
			}
			progress(percent(done, total))
		},
	})
	switch {
	case err == nil:
		m.tellFetch(event.ImageFinished, id, name, a.deliveryEnds(id))
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	code := event.ImageFailed
	if errors.Is(err, dormer.ErrDenied) || errors.Is(err, dormer.ErrCorrupt) {
		code = event.ImageRefused
	}
	m.tellFetch(code, id, name, ": "+err.Error())
	return fmt.Errorf("fetch image %s: %w", name, err)
}

// tellFetch tells of an image once: a fetch that fails is tried again at every
// poll. The event is about that image, though the machine may still run another.
func (m *machine) tellFetch(code event.Code, id dormer.ImageID, name, said string) {
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
		e := event.New(code, m.agent.now(), name+said)
		e.Image = name
		m.agent.tell(e, m)
	}
}

// Start implements workspace.Body.
func (m *machine) Start(ctx context.Context) error {
	a := m.agent
	t, _ := a.all()
	if err := m.judge(t, a.clock.Read()).Err(); err != nil {
		return err
	}
	if err := a.hostCommand(ctx, m); err != nil {
		return err
	}
	m.examineUpdate(ctx)
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
	l, p, id, name := m.lease, m.policy, m.image(), m.imageName()
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
	spec := m.spec(l, p, hw)
	vm, err := a.driver.Start(ctx, spec, secrets)
	if errors.Is(err, dormer.ErrExists) {
		vm, err = a.driver.Adopt(ctx, m.disks())
	}
	if err != nil {
		if spec.Strict && errors.Is(err, dormer.ErrUnsupported) {
			a.tell(event.New(event.HostLacks, a.now(), dormer.Plain(err)), m)
		}
		return err
	}
	m.launched(vm, spec, p)
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
		a.tell(event.New(event.ImageBlockCorrupt, a.now(), name+": "+dormer.Plain(err)), m)
	}
	a.deliveryBegins(begunDelivery{Image: id})
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

// Stop implements workspace.Body. What may not run any more is kept as its policy
// says for a stop.
func (m *machine) Stop(ctx context.Context) error {
	if m.rec.Snapshot().Desired == workspace.Halted && m.keepsState() {
		return m.Save(ctx)
	}
	return m.shutDown(ctx)
}

// shutDown lets the guest power off, and ends it after a while. One that is
// suspended goes on for that.
func (m *machine) shutDown(ctx context.Context) error {
	vm := m.machineNow()
	if vm == nil {
		return nil
	}
	m.mu.Lock()
	held := m.held
	m.mu.Unlock()
	if held {
		if err := m.goOn(ctx, vm); err != nil {
			return m.Kill(ctx)
		}
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
	m.vm, m.status, m.held, m.windows, m.empty = nil, hypervisor.Status{}, false, 0, 0
	m.waiting, m.arranged, m.warned = nil, arranged{}, warning{}
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

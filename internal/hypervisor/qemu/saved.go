package qemu

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

const (
	// savedTick is how often a QEMU that saves or loads is asked how far it is.
	savedTick = 10 * time.Millisecond
	// savedReserve is what a save leaves free on the host's disk, in bytes.
	savedReserve = 16 << 20
	// savedPipe is how much may lie between QEMU and the file, in bytes.
	savedPipe = 1 << 20
)

// The names under which QEMU gets the ends of pipes.
const (
	fileSave = "dormer-save"
	fileLoad = "dormer-load"
)

// holding is what Suspend, Resume and Save need of a machine.
type holding struct {
	changing sync.Mutex // held while the machine is held, let go on or saved
	made     plan       // what the machine was started as
	version  string     // of QEMU
	key      []byte     // of saved states
}

// Suspend implements hypervisor.Machine.
func (m *machine) Suspend(ctx context.Context) error {
	m.holding.changing.Lock()
	defer m.holding.changing.Unlock()
	if _, err := m.hold(ctx); err != nil {
		return fmt.Errorf("suspend machine: %w", err)
	}
	return nil
}

// Resume implements hypervisor.Machine.
func (m *machine) Resume(ctx context.Context) error {
	m.holding.changing.Lock()
	defer m.holding.changing.Unlock()
	if err := m.letGo(ctx); err != nil {
		return fmt.Errorf("resume machine: %w", err)
	}
	return nil
}

// hold stops the machine's processors and returns whether they were held
// before.
func (m *machine) hold(ctx context.Context) (bool, error) {
	m.mu.Lock()
	was, state := m.held, m.status.State
	if state != hypervisor.StateStopped {
		// From here on events of disks change nothing, nor does the ticker.
		m.held = true
		m.status.State, m.status.Reason, m.status.Detail = hypervisor.StatePaused, hypervisor.ReasonSuspended, ""
	}
	m.mu.Unlock()
	if state == hypervisor.StateStopped {
		return false, fmt.Errorf("it has ended: %w", dormer.ErrUnavailable)
	}
	if was {
		return true, nil
	}
	if err := m.monitor.execute(ctx, "stop", nil, nil); err != nil {
		return false, errors.Join(err, m.letGo(context.WithoutCancel(ctx)))
	}
	return false, nil
}

// isHeld reports whether the machine is held: its guest answers nothing.
func (m *machine) isHeld() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

// letGo lets the machine go on. When what has paused it before still lasts, it
// pauses again.
func (m *machine) letGo(ctx context.Context) error {
	m.mu.Lock()
	held, state := m.held, m.status.State
	if held && state != hypervisor.StateStopped {
		// Before the command: what comes after it is news.
		m.held = false
		m.status.State, m.status.Reason, m.status.Detail = hypervisor.StateRunning, "", ""
	}
	m.mu.Unlock()
	if state == hypervisor.StateStopped {
		return fmt.Errorf("it has ended: %w", dormer.ErrUnavailable)
	}
	if !held {
		return nil
	}
	if err := m.monitor.execute(ctx, "cont", nil, nil); err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.status.State != hypervisor.StateStopped {
			m.held = true
			m.status.State, m.status.Reason = hypervisor.StatePaused, hypervisor.ReasonSuspended
		}
		return err
	}
	m.port.Greet()
	return nil
}

// Save implements hypervisor.Machine.
func (m *machine) Save(ctx context.Context) error {
	if m.spec.Overlay != hypervisor.OverlayKeep {
		return fmt.Errorf("save machine: %w", dormer.Invalidf("overlay", "is thrown away: only a machine that keeps its layer can be saved"))
	}
	m.holding.changing.Lock()
	defer m.holding.changing.Unlock()
	// Devices of the user's computer do not wait for the next start.
	if err := m.dropSlots(ctx); err != nil {
		return fmt.Errorf("save machine: %w", err)
	}
	was, err := m.hold(ctx)
	if err != nil {
		return fmt.Errorf("save machine: %w", err)
	}
	started := time.Now()
	size, err := m.save(ctx)
	if err != nil {
		err = errors.Join(err, hypervisor.RemoveSaved(m.spec.Dir))
		if !was {
			err = errors.Join(err, m.letGo(context.WithoutCancel(ctx)))
		}
		return fmt.Errorf("save machine: %w", err)
	}
	m.log.Info("machine is saved", slog.Int64("bytes", size), slog.Duration("took", time.Since(started)))
	m.mu.Lock()
	m.saved = true
	m.mu.Unlock()
	m.quit(ctx)
	return nil
}

// quit ends QEMU in good order, so that its disk files are closed, or else at
// once, and returns when the machine has ended.
func (m *machine) quit(ctx context.Context) {
	quitting, cancel := context.WithTimeout(context.WithoutCancel(ctx), quitTime)
	defer cancel()
	if err := m.monitor.execute(quitting, "quit", nil, nil); err != nil {
		m.log.Debug("quit", slog.Any("error", err))
	}
	select {
	case <-m.process.done:
	case <-quitting.Done():
		m.process.kill()
	}
	<-m.done
}

// save writes memory and devices of a machine that is held, and returns how
// long the file is. The description comes last: without it there is no saved
// state.
func (m *machine) save(ctx context.Context) (int64, error) {
	bound, err := m.holding.made.changed(m.spec, m.nicsNow()).bound(m.holding.version)
	if err != nil {
		return 0, err
	}
	description, err := bound.Encode()
	if err != nil {
		return 0, err
	}
	dir := m.spec.Dir
	temporary := filepath.Join(dir, hypervisor.FileSaved+hypervisor.SuffixTemporary)
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, full(err)
	}
	size, err := m.writeSaved(ctx, f, description)
	if err == nil {
		err = full(f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temporary, filepath.Join(dir, hypervisor.FileSaved))
	}
	if err != nil {
		if removeErr := os.Remove(temporary); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return 0, err
	}
	if err := hypervisor.SyncDir(dir); err != nil {
		return 0, err
	}
	return size, full(hypervisor.WriteFile(filepath.Join(dir, hypervisor.FileSavedState), description))
}

// full gives an error of a full disk its kind.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", dormer.ErrFull, err)
	}
	return err
}

// roomyFile refuses to fill up the disk it is on.
type roomyFile struct {
	*os.File
	dir  string
	size int64
}

// Write implements io.Writer.
func (r *roomyFile) Write(p []byte) (int, error) {
	free, err := freeSpace(r.dir)
	if err == nil && free < int64(len(p))+savedReserve {
		err = fmt.Errorf("%d MiB are left: %w", free>>20, dormer.ErrFull)
	}
	if err != nil {
		return 0, err
	}
	n, err := r.File.Write(p)
	r.size += int64(n)
	return n, full(err)
}

// writeSaved lets QEMU write into f, sealed.
func (m *machine) writeSaved(ctx context.Context, f *os.File, description []byte) (int64, error) {
	salt := make([]byte, savedSalt)
	if _, err := rand.Read(salt); err != nil {
		return 0, fmt.Errorf("key of saved state: %w", err)
	}
	file := &roomyFile{File: f, dir: m.spec.Dir}
	sealed, err := newSavedWriter(file, m.holding.key, salt, description)
	if err != nil {
		return 0, err
	}
	r, w, err := pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	err = m.monitor.getFile(ctx, fileSave, w)
	_ = w.Close() // QEMU has its own
	if err != nil {
		return 0, err
	}
	if err := m.monitor.execute(ctx, "migrate-set-parameters", map[string]any{"max-bandwidth": int64(1) << 40}, nil); err != nil {
		return 0, err
	}
	if err := m.monitor.execute(ctx, "migrate", map[string]any{"uri": "fd:" + fileSave}, nil); err != nil {
		return 0, err
	}
	// Closing our end makes QEMU give up.
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = io.CopyBuffer(struct{ io.Writer }{sealed}, struct{ io.Reader }{r}, make([]byte, 256<<10))
	_ = r.Close()
	// Only then can the machine go on, or end, when QEMU is done with it.
	settled, settleErr := settle(context.WithoutCancel(ctx), m.monitor)
	switch {
	case ctx.Err() != nil:
		return 0, fmt.Errorf("it was given up: %w", ctx.Err())
	case err != nil:
		return 0, err
	case settleErr != nil:
		return 0, settleErr
	case settled.Status != "completed":
		return 0, fmt.Errorf("QEMU could not: %s %s: %w", settled.Status, settled.Error, dormer.ErrUnavailable)
	}
	return file.size, sealed.Close()
}

// pipe returns the ends of a pipe with room.
func pipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, fmt.Errorf("pipe to QEMU: %w", err)
	}
	raw, err := w.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			// Less room is only slower.
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, savedPipe)
		})
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("pipe to QEMU: %w", err), r.Close(), w.Close())
	}
	return r, w, nil
}

// migration is how far QEMU says it is.
type migration struct {
	Status string `json:"status"`
	Error  string `json:"error-desc"`
}

// settle waits until QEMU has saved or loaded, or given it up.
func settle(ctx context.Context, mon *monitor) (migration, error) {
	tick := time.NewTicker(savedTick)
	defer tick.Stop()
	for {
		var state migration
		if err := mon.execute(ctx, "query-migrate", nil, &state); err != nil {
			return state, err
		}
		switch state.Status {
		case "completed", "failed", "cancelled":
			return state, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return state, ctx.Err()
		}
	}
}

// changed is the plan of a machine that was changed while it ran.
func (p plan) changed(spec hypervisor.Spec, nics []nic) plan {
	p.nics = nics
	p.spec.Network, p.spec.Bridges, p.spec.Channels = spec.Network, spec.Bridges, spec.Channels
	p.spec.Sound, p.spec.USB, p.spec.Optical = spec.Sound, spec.USB, spec.Optical
	return p
}

// bound is what a saved state of this machine is bound to. The devices are
// those of the arguments: whatever changes one changes the digest too.
func (p plan) bound(version string) (hypervisor.SavedState, error) {
	bound := hypervisor.SavedState{
		Hardware: hypervisor.Hardware{
			Hypervisor: "QEMU " + version, Accelerator: p.accelerator.name, MachineType: p.machineType, CPU: p.accelerator.cpu,
		},
		Memory: p.spec.Memory, Processors: p.spec.Processors, Layer: p.spec.Layer,
	}
	for _, source := range p.spec.Base {
		id, err := baseIdentity(source)
		if err != nil {
			return bound, err
		}
		bound.Base = append(bound.Base, id)
	}
	p.fds, p.opened, p.account, p.saved = descriptors{}, nil, nil, nil
	p.nics = slices.Clone(p.nics)
	for i := range p.nics {
		p.nics[i].fd = 0
	}
	slices.SortFunc(p.nics, func(a, b nic) int { return a.port - b.port })
	h := sha256.New()
	for _, part := range [][]string{p.platform(), p.ports(), p.dataDisk(), p.guestPort(), p.console(), p.network(), p.devices(), p.display()} {
		text, err := json.Marshal(part)
		if err != nil {
			return bound, fmt.Errorf("digest of devices: %w", err)
		}
		h.Write(text)
	}
	bound.Devices = hex.EncodeToString(h.Sum(nil))
	return bound, nil
}

// baseIdentity names what a base disk holds.
func baseIdentity(source hypervisor.DiskSource) (dormer.ImageID, error) {
	if source.Of != "" || source.File == "" {
		return source.Of, nil
	}
	info, err := os.Stat(source.File)
	if err != nil {
		return "", fmt.Errorf("base disk: %w", err)
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", source.File, info.Size(), info.ModTime().UnixNano()))
	return dormer.ImageID("file-" + hex.EncodeToString(h[:])), nil
}

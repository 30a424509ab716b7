package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/guestport"
)

// inherited are the files that QEMU gets beside its standard ones, in order.
type inherited struct {
	files []*os.File
	keys  []*os.File // those of files that are pipes with keys
	// beside are needed until QEMU has started, and not by it.
	beside []*os.File
}

// add returns the number under which QEMU finds f.
func (i *inherited) add(f *os.File) int {
	i.files = append(i.files, f)
	return 2 + len(i.files)
}

func (i *inherited) close() {
	for _, f := range slices.Concat(i.files, i.beside) {
		_ = f.Close() // QEMU has its own
	}
}

// launch starts QEMU and returns when its monitor answers, which it does after
// it has opened the disks.
func (d *Driver) launch(ctx context.Context, p plan, version string, dataKey, layerKey []byte, lock *os.File) (_ *machine, err error) {
	var inherit inherited
	defer inherit.close()
	alive, err := hypervisor.LockForQEMU(p.spec.Dir)
	if err != nil {
		return nil, err
	}
	inherit.add(alive)
	var conns []net.Conn
	defer func() {
		if err != nil {
			for _, c := range conns {
				_ = c.Close()
			}
		}
	}()
	pair := func(name string) (net.Conn, int, error) {
		conn, theirs, err := socketPair(name)
		if err != nil {
			return nil, 0, err
		}
		conns = append(conns, conn)
		return conn, inherit.add(theirs), nil
	}
	monitorConn, fd, err := pair("monitor")
	if err != nil {
		return nil, err
	}
	p.fds.monitor = fd
	guestConn, fd, err := pair("guest")
	if err != nil {
		return nil, err
	}
	p.fds.guest = fd
	consoleConn, fd, err := pair("console")
	if err != nil {
		return nil, err
	}
	p.fds.console = fd
	sockets := map[guestwire.Channel]net.Conn{}
	p.fds.channels = map[guestwire.Channel]int{}
	for _, c := range p.channels() {
		if sockets[c], p.fds.channels[c], err = pair(string(c)); err != nil {
			return nil, err
		}
	}
	if err := p.openOptical(&inherit); err != nil {
		return nil, err
	}
	var network *nat
	if p.spec.Network == hypervisor.NetworkNAT {
		adapter, fd, err := pair("network")
		if err != nil {
			return nil, err
		}
		p.fds.network = fd
		if network, err = newNAT(d.cfg.Passt, p.account, d.cfg.Log, adapter); err != nil {
			return nil, err
		}
	}
	if err := p.openLinks(&inherit); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeLinks(p.nics))
		}
	}()
	if p.fds.layerKey, err = inherit.key(layerKey); err != nil {
		return nil, err
	}
	if p.spec.Data != nil {
		if p.fds.dataKey, err = inherit.key(dataKey); err != nil {
			return nil, err
		}
	}
	for _, key := range inherit.keys {
		if err := p.own(key); err != nil {
			return nil, err
		}
	}
	where, err := p.handOver(&inherit)
	if err != nil {
		return nil, err
	}
	con, err := openConsole(p.spec.Dir)
	if err != nil {
		return nil, fmt.Errorf("open console log: %w", err)
	}

	said := &tail{}
	cmd := exec.Command(d.cfg.QEMU, p.arguments()...) //nolint:noctx // outlives ctx; startChild ties it to this process
	cmd.Dir = where
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=."}
	cmd.ExtraFiles = inherit.files
	cmd.Stderr = said
	cmd.WaitDelay = time.Second
	go con.follow(consoleConn)
	process, err := startChild(cmd, p.account)
	if err != nil {
		if p.account != nil {
			err = fmt.Errorf("as user %d: %w", p.account.ID, err)
		}
		return nil, fmt.Errorf("start QEMU: %w", errors.Join(err, dormer.ErrUnsupported))
	}
	inherit.close()
	defer func() {
		if err != nil {
			process.kill()
			if line := said.last(); line != "" {
				err = fmt.Errorf("%w: QEMU says: %s", err, line)
			}
		}
	}()
	if err := hypervisor.WriteProcess(p.spec.Dir, hypervisor.FileProcess, cmd.Process.Pid); err != nil {
		return nil, err
	}
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-process.done:
			cancel()
		case <-opening.Done():
		}
	}()
	mon, err := openMonitor(opening, monitorConn, d.cfg.Log)
	if err != nil {
		return nil, err
	}
	if p.spec.Overlay == hypervisor.OverlayDiscard {
		// QEMU has it open; without a name nothing can be left of it.
		for _, name := range p.layers {
			if err := os.Remove(filepath.Join(p.spec.Dir, name)); err != nil {
				return nil, fmt.Errorf("unlink throw-away disk: %w", err)
			}
		}
	}
	if err := p.takeBack(); err != nil {
		return nil, err
	}
	if p.saved != nil {
		if err := p.load(ctx, mon, d.cfg.Log); err != nil {
			return nil, err
		}
	}
	m := &machine{
		spec: p.spec, log: d.cfg.Log.With(slog.String("machine", string(p.spec.Machine))), now: d.cfg.Now,
		process: process, said: said, monitor: mon, network: network, lock: lock, done: make(chan struct{}),
		wanted: p.wanted, channels: map[guestwire.Channel]*channel{}, slots: map[int]*slot{}, unplugging: map[string]chan struct{}{},
		status: hypervisor.Status{
			State: hypervisor.StateRunning, Started: d.cfg.Now().UTC(), PIDs: []int{cmd.Process.Pid}, Missing: slices.Concat(p.missing, p.unbridged),
			Hardware: hypervisor.Hardware{
				Hypervisor: "QEMU " + version, Accelerator: p.accelerator.name, MachineType: p.machineType, CPU: p.accelerator.cpu,
			},
		},
	}
	m.nics, m.refuseBridge = p.nics, d.refuseBridge
	m.port = guestport.New(guestConn, d.cfg.Software, nil, m.log)
	for c, conn := range sockets {
		m.channels[c] = newChannel(conn)
	}
	if p.spec.Optical != "" {
		m.medium = mediumID
	}
	m.run()
	return m, nil
}

// key adds a pipe that holds a key.
func (i *inherited) key(key []byte) (int, error) {
	f, err := keyPipe(key)
	if err != nil {
		return 0, err
	}
	i.keys = append(i.keys, f)
	return i.add(f), nil
}

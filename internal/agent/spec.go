package agent

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/policy"
)

// spec puts lease, policy, image and host together. What the policy does not
// allow is not in it.
func (m *machine) spec(l *lease.Lease, p *policy.Effective, hw Hardware) hypervisor.Spec {
	host := m.agent.host()
	m.mu.Lock()
	overlay, name, resume := m.record.Overlay, m.layer(), m.record.Overlay == hypervisor.OverlayKeep && !m.fresh
	m.mu.Unlock()
	d := &p.Deployment
	s := hypervisor.Spec{
		Machine: l.Machine, Dir: m.disks(), Name: l.WorkspaceName, ComputerName: l.ComputerName,
		Memory: p.GuestMemory(host.MemoryMiB), Processors: p.GuestProcessors(host.Processors),
		Firmware: hw.Firmware, Base: hw.Base, Boot: hw.Boot, DiskBus: hw.DiskBus, TPM: hw.TPM,
		Layer: name, Overlay: overlay, Display: true,
		Channels: channelsOf(d), Sound: soundOf(d), Strict: p.Machine.OnMissing == policy.MissingRefuse, Resume: resume,
	}
	s.Network, s.Bridges = m.network(p)
	for _, c := range d.USB {
		s.USB = append(s.USB, hypervisor.USBClass(c))
	}
	if d.OpticalDrive {
		s.Optical = m.agent.cfg.Optical
	}
	if hw.Data != nil {
		s.Data = &hypervisor.DataDisk{Size: int64(p.Machine.DataDisk.Size), Label: hw.Data.Label, MountPoint: hw.Data.MountPoint}
	}
	return s
}

// channelsOf are the ports that a user's grants open.
func channelsOf(d *policy.EffectiveDeployment) []guestwire.Channel {
	var out []guestwire.Channel
	for c, open := range map[guestwire.Channel]bool{
		guestwire.ChannelFiles:     d.FileTransfer.HostToGuest.Allowed || d.FileTransfer.GuestToHost.Allowed,
		guestwire.ChannelClipboard: d.Clipboard != "" && d.Clipboard != policy.DirectionNone,
		guestwire.ChannelFolders:   len(d.SharedFolders) > 0,
		guestwire.ChannelPrint:     d.Printing,
	} {
		if open {
			out = append(out, c)
		}
	}
	slices.Sort(out)
	return out
}

// soundOf is what the guest gets of the host's sound.
func soundOf(d *policy.EffectiveDeployment) hypervisor.Sound {
	switch {
	case d.Audio && d.Microphone:
		return hypervisor.SoundDuplex
	case d.Audio:
		return hypervisor.SoundOutput
	case d.Microphone:
		return hypervisor.SoundInput
	default:
		return hypervisor.SoundNone
	}
}

// network is how the guest reaches the network. Adapters that are named without
// a pattern are asked for even when the host has none such, so that it is told.
func (m *machine) network(p *policy.Effective) (hypervisor.Network, []string) {
	switch p.Network.Mode {
	case policy.NetworkNAT:
		return hypervisor.NetworkNAT, nil
	case policy.NetworkBridged:
	case policy.NetworkNone:
		return hypervisor.NetworkNone, nil
	default:
		return hypervisor.NetworkNone, nil
	}
	there := m.agent.adapters()
	var out []string
	if len(p.Network.Adapters) == 0 {
		out = there
	}
	for _, pattern := range p.Network.Adapters {
		if !strings.Contains(pattern, "*") {
			out = append(out, pattern)
			continue
		}
		for _, name := range there {
			if ok, err := path.Match(literal.Replace(pattern), name); ok && err == nil {
				out = append(out, name)
			}
		}
	}
	out = unique(out)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case p.Network.NewAdapters:
	case len(m.record.Adapters) == 0:
		m.record.Adapters = out // what appears later is not bridged
		m.agent.logError(m.agent.ctx, "record", m.save())
	default:
		out = slices.DeleteFunc(out, func(n string) bool { return !slices.Contains(m.record.Adapters, n) })
	}
	return hypervisor.NetworkBridged, out[:min(len(out), hypervisor.MaxBridges)]
}

// literal leaves only * with a meaning in the patterns of package path.
var literal = strings.NewReplacer(`\`, `\\`, `?`, `\?`, `[`, `\[`)

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// launched notes what a machine was started with.
func (m *machine) launched(vm hypervisor.Machine, spec hypervisor.Spec, p *policy.Effective) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.vm, m.status, m.held, m.fresh = vm, hypervisor.Status{}, false, false
	m.applied, m.startedWith, m.waiting = spec, p, nil
	m.used = m.agent.time.Boot()
	if m.record.Saved {
		m.record.Saved = false
		m.agent.logError(m.agent.ctx, "record", m.save())
	}
}

// changeRunning makes a machine that runs what a new policy says, as far as it
// can change while it runs, and tells what waits. before is the policy until now.
func (m *machine) changeRunning(before *policy.Effective) {
	a := m.agent
	m.mu.Lock()
	vm, l, p, was := m.vm, m.lease, m.policy, m.startedWith
	m.mu.Unlock()
	if vm == nil || l == nil || p == nil || m.rec == nil || a.ctx.Err() != nil {
		return
	}
	if before != nil && before.Hash() == p.Hash() {
		return
	}
	if was == nil { // it was found running
		was = before
		m.mu.Lock()
		m.startedWith = before
		m.mu.Unlock()
	}
	a.running.Go(func() {
		err := m.applyPolicy(a.ctx, vm)
		m.tellWaiting(was, p)
		m.rearrange()
		a.logError(a.ctx, "layers", m.dropLayers())
		m.keepApplying(a.ctx, vm, err)
	})
}

// keepApplying tries again what could not be changed of a running machine, after
// a pause that grows: what a policy takes away must not stay.
func (m *machine) keepApplying(ctx context.Context, vm hypervisor.Machine, err error) {
	pause := m.agent.cfg.LookEvery
	for err != nil && !errors.Is(err, dormer.ErrInvalid) {
		m.agent.logError(ctx, "devices", err)
		pause = min(2*pause, longestArrange)
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-vm.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		err = m.applyPolicy(ctx, vm)
	}
	m.agent.logError(ctx, "devices", err)
}

// applyTime bounds one change of a running machine.
const applyTime = 5 * time.Minute

// tellWaiting notes which fields of the policy count at the next start only.
func (m *machine) tellWaiting(was, p *policy.Effective) {
	var waiting []string
	if was != nil {
		waiting = policy.AtNextStart(was, p)
	}
	m.mu.Lock()
	tell := len(waiting) > 0 && !slices.Equal(waiting, m.waiting)
	m.waiting = waiting
	m.mu.Unlock()
	if tell {
		m.agent.tell(event.New(event.PolicyNextStart, m.agent.now(), strings.Join(waiting, ", ")), m)
	}
}

// applyPolicy changes what is attached to a running machine. What its image says
// stays as it was at the start.
func (m *machine) applyPolicy(ctx context.Context, vm hypervisor.Machine) error {
	m.applying.Lock()
	defer m.applying.Unlock()
	m.mu.Lock()
	l, p, is, was := m.lease, m.policy, m.vm == vm, m.applied
	m.mu.Unlock()
	if l == nil || p == nil || !is {
		return nil
	}
	if was.Machine == "" { // it was found running
		if err := m.folder.readJSON(DirDisks+"/"+hypervisor.FileSpec, &was); err != nil || was.Machine == "" {
			m.agent.logError(ctx, "devices", err)
			return nil // it is not known what it has
		}
	}
	s := m.spec(l, p, Hardware{Firmware: was.Firmware, Base: was.Base, Boot: was.Boot, DiskBus: was.DiskBus, TPM: was.TPM})
	s.Data, s.Layer, s.Resume, s.MachineType = was.Data, was.Layer, was.Resume, was.MachineType
	short, cancel := context.WithTimeout(ctx, applyTime)
	defer cancel()
	if _, err := vm.Apply(short, s); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = s
	return nil
}

// tellNotEnforced tells once for each revision of a policy what in it has no
// effect here.
func (m *machine) tellNotEnforced() {
	m.mu.Lock()
	var fields []string
	if m.policy != nil && m.lease != nil && m.record.NotEnforced != m.lease.PolicyRevision {
		fields = m.policy.NotEnforced()
		m.record.NotEnforced = m.lease.PolicyRevision
		m.agent.logError(m.agent.ctx, "record", m.save())
	}
	m.mu.Unlock()
	if len(fields) > 0 {
		m.agent.tell(event.New(event.PolicyNotEnforced, m.agent.now(), strings.Join(fields, ", ")), m)
	}
}

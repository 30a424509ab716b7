package qemu

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// care waits for the guest, sets it up, and asks it how it is, again and again
// until the machine ends.
func (m *machine) care(ctx context.Context) {
	tick := time.NewTicker(guestTick)
	defer tick.Stop()
	ready := ""
	for {
		if err := m.port.WaitUp(ctx); err != nil {
			return
		}
		if !m.isHeld() {
			session := m.port.Session()
			err := error(nil)
			if ready != session {
				if err = m.setUp(ctx); err == nil {
					ready = session
				}
			}
			m.ask(ctx, ready == session, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// setUp gives the guest its name and its data disk. Each step is harmless to repeat.
func (m *machine) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, guestTime)
	defer cancel()
	if name := m.spec.ComputerName; name != "" {
		var st guestwire.Status
		if err := m.port.Call(ctx, guestwire.CapStatus, guestwire.MethodStatus, nil, &st); err != nil {
			return err
		}
		if st.Hostname != name {
			err := m.port.Call(ctx, guestwire.CapHostname, guestwire.MethodHostname, guestwire.HostnameRequest{Name: name}, nil)
			if err != nil && !errors.Is(err, dormer.ErrUnsupported) {
				return err
			}
		}
	}
	if data := m.spec.Data; data != nil {
		var result guestwire.MountResult
		err := m.port.Call(ctx, guestwire.CapMount, guestwire.MethodMount, guestwire.MountRequest{
			Serial: hypervisor.SerialData, Label: data.Label, MountPoint: data.MountPoint, Format: true,
		}, &result)
		if err != nil {
			return err
		}
		m.log.Info("data disk is mounted", slog.Bool("formatted", result.Formatted), slog.Bool("already", result.Already))
	}
	return nil
}

// ask takes what the guest says of itself into the status.
func (m *machine) ask(ctx context.Context, ready bool, problem error) {
	hello, up := m.port.Hello()
	session := m.port.Session()
	var st guestwire.Status
	var err error
	if up && hello.Has(guestwire.CapStatus) {
		asking, cancel := context.WithTimeout(ctx, guestTime)
		err = m.port.Call(asking, guestwire.CapStatus, guestwire.MethodStatus, nil, &st)
		cancel()
		st = st.Bounded()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.status.State == hypervisor.StateStopped {
		return
	}
	g := &m.status.Guest
	if !m.away.IsZero() {
		return // it went away meanwhile; see miss
	}
	g.Up = up && err == nil
	g.Problem = ""
	if problem != nil {
		g.Problem = problem.Error()
	}
	if err != nil {
		return
	}
	if ready && !g.Ready && g.Since.IsZero() {
		g.Since = m.now().UTC()
	}
	g.Ready = ready && g.Up
	g.Software, g.System = hello.Software, hello.System
	g.Capabilities = nil
	for _, c := range hello.Capabilities {
		g.Capabilities = append(g.Capabilities, string(c))
	}
	if st.System != "" {
		g.System = st.System
	}
	g.Hostname, g.Users, g.Idle, g.Uptime = st.Hostname, slices.Clone(st.Users), st.Idle, st.Uptime
	g.Applications, g.Session = st.Applications, session
}

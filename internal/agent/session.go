package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/workspace"
)

// desks are the session processes that are connected, and what could not be
// shown to users.
type desks struct {
	mu      sync.Mutex // guards the fields below
	of      map[uint32]*sessionProcess
	notices map[uint32][]agentapi.Notice
}

// sessionProcess is that of one user of the computer.
type sessionProcess struct {
	*agentapi.Desk
	status agentapi.DeskStatus
}

// The bounds of what session processes are asked.
const (
	deskAnswers = 3 * time.Second  // one that is alive answers a ping
	deskTime    = 15 * time.Second // short requests
	keptNotices = 20               // for one user
	noticeAge   = 24 * time.Hour
)

// mayBeDesk returns nil for whose session process an agent takes. An agent of
// one user takes that user's alone, not root's either: what it has done there
// is done with the rights of whoever connected.
func (a *Agent) mayBeDesk(peer agentapi.Peer) error {
	if !a.cfg.Managed && peer.UID != a.ownUID {
		return fmt.Errorf("this agent is another user's: %w", dormer.ErrDenied)
	}
	return nil
}

// TakeDesk implements agentapi.Desks. A process that does not answer any more
// gives way to a new one.
func (a *Agent) TakeDesk(ctx context.Context, peer agentapi.Peer, hello agentapi.DeskHello) (func(net.Conn), error) {
	if err := a.mayBeDesk(peer); err != nil {
		return nil, err
	}
	if d := a.deskOf(peer.UID); d != nil && d.status.PID != peer.PID {
		short, cancel := context.WithTimeout(ctx, deskAnswers)
		defer cancel()
		if d.Alive(short) == nil {
			return nil, fmt.Errorf("a session process of yours is connected already (process %d); 'dormer session stop' ends it: %w", d.status.PID, dormer.ErrExists)
		}
	}
	status := agentapi.DeskStatus{Connected: true, PID: peer.PID, Version: cut(hello.Version, maxDetailText), Since: a.now()}
	return func(conn net.Conn) { a.keepDesk(peer.UID, conn, status, hello.Again) }, nil
}

// keepDesk speaks with a session process until it is gone. again says that the
// process was connected before.
func (a *Agent) keepDesk(uid uint32, conn net.Conn, status agentapi.DeskStatus, again bool) {
	connection, err := agentapi.NewDesk(a.ctx, conn)
	if err != nil {
		a.log.LogAttrs(a.ctx, slog.LevelWarn, "a session process is gone already", slog.Any("error", err))
		return
	}
	d := &sessionProcess{connection, status}
	a.desks.mu.Lock()
	if a.desks.of == nil {
		a.desks.of = map[uint32]*sessionProcess{}
	}
	before := a.desks.of[uid]
	a.desks.of[uid] = d
	a.desks.mu.Unlock()
	if before != nil {
		_ = before.Close() // its place is taken
	}
	a.log.LogAttrs(a.ctx, slog.LevelInfo, "a session process is connected", slog.Uint64("uid", uint64(uid)), slog.Int("pid", int(status.PID)))
	if !again {
		a.sessionsBegin(uid)
	}
	a.deskCame(uid)
	select {
	case <-d.Done():
	case <-a.ctx.Done():
	}
	_ = d.Close() // it may be closed already
	a.desks.mu.Lock()
	if a.desks.of[uid] == d {
		delete(a.desks.of, uid)
	}
	a.desks.mu.Unlock()
	a.log.LogAttrs(context.WithoutCancel(a.ctx), slog.LevelInfo, "a session process is gone", slog.Uint64("uid", uint64(uid)), slog.Int("pid", int(status.PID)))
}

// deskOf returns a user's session process, nil when none is connected.
func (a *Agent) deskOf(uid uint32) *sessionProcess {
	a.desks.mu.Lock()
	defer a.desks.mu.Unlock()
	return a.desks.of[uid]
}

// desk returns a client whose requests to http://session/... go to the session
// process of a user of the computer; false when none is connected. What it
// answers is the user's word.
func (a *Agent) desk(uid uint32) (*http.Client, bool) {
	d := a.deskOf(uid)
	if d == nil {
		return nil, false
	}
	return d.Client(), true
}

// environment asks how the user has set language, formats and keyboard.
// ErrUnavailable when no session process can tell.
func (a *Agent) environment(ctx context.Context, uid uint32) (agentapi.Environment, error) {
	c, ok := a.desk(uid)
	if !ok {
		return agentapi.Environment{}, fmt.Errorf("the user's session is not connected, which knows language and keyboard ('dormer session'): %w", dormer.ErrUnavailable)
	}
	short, cancel := context.WithTimeout(ctx, deskTime)
	defer cancel()
	e, err := agentapi.AskDesk[agentapi.Environment](short, c, http.MethodGet, agentapi.DeskEnvironment, nil)
	if err != nil {
		return agentapi.Environment{}, fmt.Errorf("look at the user's session: %w", err)
	}
	return e, nil
}

// DeskStatus implements agentapi.Desks.
func (a *Agent) DeskStatus(_ context.Context, peer agentapi.Peer) (agentapi.DeskStatus, error) {
	if err := a.mayUse(peer); err != nil {
		return agentapi.DeskStatus{}, err
	}
	if d := a.deskOf(peer.UID); d != nil {
		return d.status, nil
	}
	return agentapi.DeskStatus{}, nil
}

// EndDesk implements agentapi.Desks.
func (a *Agent) EndDesk(ctx context.Context, peer agentapi.Peer) error {
	if err := a.mayUse(peer); err != nil {
		return err
	}
	d := a.deskOf(peer.UID)
	if d == nil {
		return fmt.Errorf("no session process of yours is connected: %w", dormer.ErrNotFound)
	}
	short, cancel := context.WithTimeout(ctx, deskTime)
	defer cancel()
	if _, err := agentapi.AskDesk[struct{}](short, d.Client(), http.MethodPost, agentapi.DeskEnd, nil); err != nil {
		return err
	}
	_ = d.Close() // the process waits for that
	return nil
}

// sessionsBegin starts what the policies of a user of the computer want started
// when the user comes.
func (a *Agent) sessionsBegin(uid uint32) {
	_, all := a.all()
	for _, m := range all {
		if m.uid == uid {
			m.sessionBegan()
		}
	}
}

// sessionBegan says that the user has come: their session process has
// connected, or they have signed in. It starts the machine if its policy says
// so and it may run.
func (m *machine) sessionBegan() {
	m.mu.Lock()
	p := m.policy
	m.mu.Unlock()
	if p == nil || p.Machine.Start != policy.StartSignOn || m.rec == nil {
		return
	}
	if s := m.rec.Snapshot(); s.State.Live() || s.Desired == workspace.Run || s.Desired == workspace.Removed {
		return
	}
	if err := m.want(workspace.Run); err != nil {
		m.agent.log.LogAttrs(m.agent.ctx, slog.LevelInfo, "a workspace does not start with its user's session",
			slog.String("machine", string(m.id)), slog.Any("error", err))
	}
}

// signInAgain asks the user's session process to sign the user in by their
// Kerberos ticket, after the server has ended the session. It returns at once.
func (a *Agent) signInAgain(uid uint32) {
	c, ok := a.desk(uid)
	if !ok || a.ctx.Err() != nil {
		return
	}
	a.running.Go(func() {
		short, cancel := context.WithTimeout(a.ctx, time.Minute)
		defer cancel()
		if _, err := agentapi.AskDesk[struct{}](short, c, http.MethodPost, agentapi.DeskSignIn, nil); err != nil {
			a.log.LogAttrs(a.ctx, slog.LevelInfo, "the user is not signed in again by their ticket", slog.Any("error", err))
		}
	})
}

// notifyUser shows the user of a machine a message, on their desktop and in the
// guest. It returns at once. Where there is no desktop, `dormer status` shows
// it.
func (a *Agent) notifyUser(m *machine, title, text string) {
	if a.ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	vm, ready, name := m.vm, m.status.Guest.Ready, m.record.Name
	m.mu.Unlock()
	a.running.Go(func() {
		short, cancel := context.WithTimeout(a.ctx, deskTime)
		defer cancel()
		if !a.notifyDesk(short, m.uid, agentapi.NotifyRequest{Title: title, Text: text}) {
			a.keepNotice(m.uid, agentapi.Notice{Time: a.now(), Workspace: name, Title: title, Text: text})
		}
		if vm != nil && ready {
			notifyGuest(short, a.log, vm, title, text)
		}
	})
}

// notifyDesk reports whether the user's desktop shows a message.
func (a *Agent) notifyDesk(ctx context.Context, uid uint32, r agentapi.NotifyRequest) bool {
	c, ok := a.desk(uid)
	if !ok {
		return false
	}
	result, err := agentapi.AskDesk[agentapi.NotifyResult](ctx, c, http.MethodPost, agentapi.DeskNotify, r)
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "a message cannot be shown to a user", slog.Any("error", err))
	}
	return err == nil && result.Shown
}

func notifyGuest(ctx context.Context, log *slog.Logger, vm hypervisor.Machine, title, text string) {
	err := vm.Ask(ctx, guestwire.CapNotify, guestwire.MethodNotify, guestwire.NotifyRequest{Title: title, Text: text}, nil)
	if err != nil {
		log.LogAttrs(ctx, slog.LevelDebug, "a message is not shown in the guest", slog.Any("error", err))
	}
}

func (a *Agent) keepNotice(uid uint32, n agentapi.Notice) {
	a.desks.mu.Lock()
	defer a.desks.mu.Unlock()
	if a.desks.notices == nil {
		a.desks.notices = map[uint32][]agentapi.Notice{}
	}
	all := append(a.desks.notices[uid], n)
	a.desks.notices[uid] = all[max(0, len(all)-keptNotices):]
}

// noticesOf are the messages of the last day that no desktop has shown.
func (a *Agent) noticesOf(uid uint32) []agentapi.Notice {
	now := a.now()
	a.desks.mu.Lock()
	defer a.desks.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.desks.notices[uid]), func(n agentapi.Notice) bool { return now.Sub(n.Time) > noticeAge })
}

package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
)

const (
	// maxReply is the longest line that QEMU may send, in bytes.
	maxReply = 4 << 20
	// monitorTime is how long QEMU may take to answer a command. Emulated
	// machines on a busy host are slow to reach a point where they can.
	monitorTime = 60 * time.Second
	// maxEvents bounds the events that nobody has taken yet; the oldest go first.
	maxEvents = 1024
)

// event is something that QEMU tells unasked.
type event struct {
	Name string
	Data json.RawMessage
}

// reply is one line from QEMU: a greeting, an event, or an answer.
type reply struct {
	QMP    json.RawMessage `json:"QMP"`
	Event  string          `json:"event"`
	Data   json.RawMessage `json:"data"`
	Return json.RawMessage `json:"return"`
	Error  *qmpError       `json:"error"`
	ID     uint64          `json:"id"`
}

type qmpError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

// decodeReply decodes a line from QEMU.
func decodeReply(line []byte) (reply, error) {
	var r reply
	if err := json.Unmarshal(line, &r); err != nil {
		return reply{}, fmt.Errorf("monitor reply is not valid: %w", dormer.ErrCorrupt)
	}
	set := 0
	for _, is := range []bool{r.QMP != nil, r.Event != "", r.Return != nil, r.Error != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return reply{}, fmt.Errorf("monitor reply is of no known kind: %w", dormer.ErrCorrupt)
	}
	return r, nil
}

// monitor speaks QEMU's monitor protocol. It is the only owner of its
// connection. The reader never waits for anybody: events go into a bounded
// queue, answers into channels with room.
type monitor struct {
	conn net.Conn
	log  *slog.Logger
	done chan struct{} // closed when the connection has ended

	writing sync.Mutex // held while a command is written

	mu      sync.Mutex // guards the fields below
	next    uint64
	calls   map[uint64]chan reply // each with room for one
	events  []event
	arrived chan struct{} // has room for one: there are events
}

// openMonitor takes over conn, waits for the greeting and leaves the
// negotiation mode.
func openMonitor(ctx context.Context, conn net.Conn, log *slog.Logger) (*monitor, error) {
	r := bufio.NewScanner(conn)
	r.Buffer(make([]byte, 0, 64<<10), maxReply)
	deadline := time.Now().Add(monitorTime)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	err := conn.SetReadDeadline(deadline)
	if err == nil && !r.Scan() {
		err = errors.Join(r.Err(), io.ErrUnexpectedEOF)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		var greeting reply
		if greeting, err = decodeReply(r.Bytes()); err == nil && greeting.QMP == nil {
			err = fmt.Errorf("no greeting: %w", dormer.ErrCorrupt)
		}
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("greeting of monitor: %w", err), conn.Close())
	}
	m := &monitor{conn: conn, log: log, done: make(chan struct{}), calls: map[uint64]chan reply{}, arrived: make(chan struct{}, 1)}
	go m.read(r)
	if err := m.execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *monitor) close() error {
	if err := m.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close monitor: %w", err)
	}
	return nil
}

func (m *monitor) read(r *bufio.Scanner) {
	defer close(m.done)
	for r.Scan() {
		line, err := decodeReply(r.Bytes())
		if err != nil {
			m.log.Warn("monitor reply", slog.Any("error", err))
			continue
		}
		m.mu.Lock()
		switch {
		case line.Event != "":
			if len(m.events) >= maxEvents {
				m.events = m.events[1:]
			}
			m.events = append(m.events, event{Name: line.Event, Data: line.Data})
			select {
			case m.arrived <- struct{}{}:
			default:
			}
		case line.QMP == nil:
			if answer, ok := m.calls[line.ID]; ok {
				delete(m.calls, line.ID)
				answer <- line
			}
		}
		m.mu.Unlock()
	}
}

// take returns the events that have come since the last call.
func (m *monitor) take() []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	events := m.events
	m.events = nil
	return events
}

// execute runs a command and decodes what it returns into result, which may be
// nil. ErrUnavailable when QEMU does not answer in time or has gone.
func (m *monitor) execute(ctx context.Context, command string, arguments, result any) error {
	return m.executeWith(ctx, command, arguments, result, nil)
}

// getFile gives QEMU its own descriptor of f, under a name for commands and
// devices that take one.
func (m *monitor) getFile(ctx context.Context, name string, f *os.File) error {
	return m.executeWith(ctx, "getfd", map[string]any{"fdname": name}, nil, f)
}

// executeWith sends a file along, unless it is nil; the caller closes it.
func (m *monitor) executeWith(ctx context.Context, command string, arguments, result any, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, monitorTime)
	defer cancel()
	answer := make(chan reply, 1)
	m.mu.Lock()
	m.next++
	id := m.next
	m.calls[id] = answer
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.calls, id)
		m.mu.Unlock()
	}()
	b, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, arguments, id})
	if err != nil {
		return fmt.Errorf("monitor command %s: %w", command, err)
	}
	if err := m.write(ctx, append(b, '\n'), f); err != nil {
		return fmt.Errorf("monitor command %s: %w: %w", command, dormer.ErrUnavailable, err)
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			return fmt.Errorf("monitor command %s: %s: %s", command, r.Error.Class, r.Error.Desc)
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(r.Return, result); err != nil {
			return fmt.Errorf("answer to monitor command %s: %w", command, dormer.ErrCorrupt)
		}
		return nil
	case <-m.done:
		return fmt.Errorf("monitor command %s: QEMU has gone: %w", command, dormer.ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("monitor command %s: QEMU does not answer: %w", command, dormer.ErrUnavailable)
	}
}

func (m *monitor) write(ctx context.Context, b []byte, f *os.File) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	if d, ok := ctx.Deadline(); ok {
		if err := m.conn.SetWriteDeadline(d); err != nil {
			return err
		}
	}
	if f == nil {
		_, err := m.conn.Write(b)
		return err
	}
	socket, ok := m.conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("hand over a file: %w", dormer.ErrUnsupported)
	}
	// The file goes with the first byte; a short write is gone on with.
	n, _, err := socket.WriteMsgUnix(b, syscall.UnixRights(int(f.Fd())), nil)
	if err == nil && n < len(b) {
		_, err = m.conn.Write(b[n:])
	}
	return err
}

package control

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
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

const (
	// maxClients bounds the connections of a server.
	maxClients = 128
	// requestTime is how long a client may take to send its request.
	requestTime = 10 * time.Second
)

// Server serves one machine.
type Server struct {
	machine hypervisor.Machine
	log     *slog.Logger
}

// NewServer returns a server of machine.
func NewServer(machine hypervisor.Machine, log *slog.Logger) *Server {
	return &Server{machine: machine, log: log}
}

// Serve answers connections until ctx ends, then closes l and returns when the
// last answer was sent. End ctx only after the machine has ended: watchers
// then learn how.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() {
		if err := l.Close(); err != nil {
			s.log.Debug("close control socket", slog.Any("error", err))
		}
	})
	defer stop()
	slots := make(chan struct{}, maxClients)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept on control socket: %w", err)
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = conn.Close() // the client tries again
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := s.serve(ctx, conn); err != nil {
				s.log.Debug("control request", slog.Any("error", err))
			}
		})
	}
}

func (s *Server) serve(serving context.Context, conn net.Conn) (err error) {
	defer func() {
		if closeErr := conn.Close(); !errors.Is(closeErr, net.ErrClosed) {
			err = errors.Join(err, closeErr)
		}
	}()
	if !sameUser(conn) {
		return dormer.ErrDenied
	}
	if err := conn.SetDeadline(time.Now().Add(requestTime)); err != nil {
		return err
	}
	line, err := readLine(bufio.NewReader(conn))
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	// A client that goes away gives its request up. It says nothing more before
	// it has its answer.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_, err := io.Copy(io.Discard, conn)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel()
		}
	}()
	var a answer
	var channel io.ReadWriteCloser
	r, err := decodeRequest(line)
	switch {
	case err != nil:
	case r.Method == MethodOpen:
		channel, err = s.open(ctx, r)
	default:
		a, err = s.do(ctx, r)
	}
	if channel != nil {
		defer func() { _ = channel.Close() }() // again, if the relay has ended
		if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
			return err
		}
		<-watched
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
	}
	a.Error = guestwire.FromError(err)
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(requestTime)); err != nil {
		return err
	}
	if _, err = conn.Write(append(b, '\n')); err != nil || channel == nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	relay(serving, conn, channel)
	return nil
}

// relay carries bytes both ways until either end closes or ctx ends.
func relay(ctx context.Context, one, other io.ReadWriteCloser) {
	end := sync.OnceFunc(func() {
		_ = one.Close()
		_ = other.Close()
	})
	stop := context.AfterFunc(ctx, end)
	defer stop()
	var wg sync.WaitGroup
	for _, way := range []struct {
		to   io.Writer
		from io.Reader
	}{{one, other}, {other, one}} {
		wg.Go(func() {
			defer end()
			_, _ = io.Copy(way.to, way.from) // an end of a channel is no error
		})
	}
	wg.Wait()
}

func (s *Server) open(ctx context.Context, r request) (io.ReadWriteCloser, error) {
	ctx, cancel := r.limit(ctx)
	defer cancel()
	return s.machine.Open(ctx, r.Channel)
}

// limit ends ctx when the caller does not wait any more.
func (r request) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.Timeout > 0 {
		return context.WithTimeout(ctx, r.Timeout)
	}
	return context.WithCancel(ctx)
}

func (s *Server) do(ctx context.Context, r request) (answer, error) {
	ctx, cancel := r.limit(ctx)
	defer cancel()
	if done, err := power(ctx, s.machine, r.Method); done {
		return answer{}, err
	}
	switch r.Method {
	case MethodExec:
		result, err := s.machine.Exec(ctx, *r.Exec)
		return answer{Result: &result}, err
	case MethodAsk:
		var a answer
		var request any
		if r.Ask.Body != nil {
			request = r.Ask.Body
		}
		err := s.machine.Ask(ctx, r.Ask.Need, r.Ask.Method, request, &a.Body)
		return a, err
	case MethodApply:
		parts, err := s.machine.Apply(ctx, *r.Spec)
		return answer{Parts: parts}, err
	case MethodDevices:
		devices, err := s.machine.Devices(ctx)
		return answer{Devices: devices}, err
	case MethodShutdown:
		return answer{}, s.machine.Shutdown(ctx)
	case MethodKill:
		return answer{}, s.machine.Kill(ctx)
	case MethodWatch:
		select {
		case <-s.machine.Done():
		case <-ctx.Done():
			return answer{}, ctx.Err()
		}
	case MethodStatus:
	}
	st, err := s.machine.Status(ctx)
	if st.State != hypervisor.StateStopped {
		st.PIDs = append([]int{os.Getpid()}, st.PIDs...)
	}
	return answer{Status: &st}, err
}

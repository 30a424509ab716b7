package control

import (
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
	maxClients = 64
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
			if err := s.serve(conn); err != nil {
				s.log.Debug("control request", slog.Any("error", err))
			}
		})
	}
}

func (s *Server) serve(conn net.Conn) (err error) {
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
	line, err := readLine(conn)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	// A client that goes away gives its request up.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, conn)
	}()
	var a answer
	r, err := decodeRequest(line)
	if err == nil {
		a, err = s.do(ctx, r)
	}
	a.Error = guestwire.FromError(err)
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(requestTime)); err != nil {
		return err
	}
	_, err = conn.Write(append(b, '\n'))
	return err
}

func (s *Server) do(ctx context.Context, r request) (answer, error) {
	if r.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
		defer cancel()
	}
	switch r.Method {
	case MethodExec:
		result, err := s.machine.Exec(ctx, *r.Exec)
		return answer{Result: &result}, err
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

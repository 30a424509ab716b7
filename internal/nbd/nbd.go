// Package nbd serves one read-only disk over the network block device
// protocol on a Unix socket, to QEMU and its tools. It is an edge; the machine
// process imports it.
//
// It speaks the fixed newstyle negotiation (LIST, INFO, GO, EXPORT_NAME,
// ABORT), structured replies with holes, and block status in the context
// base:allocation. It serves one export, the default one with the empty name,
// to as many connections as come.
package nbd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Source is the disk that is served. Its methods are called by several
// goroutines at once and always give the same bytes.
type Source interface {
	// ReadAt reads within the disk. A source that reads over a network waits
	// and tries again for as long as the network is gone, and returns an error
	// only for what will not mend: the reader sees it as a broken disk, and
	// a guest does not recover from that.
	io.ReaderAt
	// Size is the length of the disk in bytes, a multiple of 512.
	Size() int64
	// Extents says which parts of off..off+length are data and which are
	// zeros. The first extent begins at off; together they need not reach the
	// end, but there is at least one.
	Extents(off, length int64) ([]Extent, error)
}

// Extent is a part of a disk.
type Extent struct {
	Length int64
	Zero   bool // reads as zeros, and nothing is stored for it
}

// Limits of what a client may ask for.
const (
	// maxRequest is the longest read, in bytes; the protocol's customary limit.
	maxRequest = 32 << 20
	// maxOption is the longest data of an option, in bytes.
	maxOption = 64 << 10
	// maxConnections and maxParallel bound the connections of a server and the
	// requests of a connection that are worked on at once.
	maxConnections = 64
	maxParallel    = 16
	// handshakeTime is how long a client may take to get to the transmission.
	handshakeTime = 30 * time.Second
)

// Server serves one disk.
type Server struct {
	source Source
	log    *slog.Logger
}

// NewServer returns a server of source.
func NewServer(source Source, log *slog.Logger) *Server { return &Server{source: source, log: log} }

// Serve accepts connections until ctx ends; it then closes l and all
// connections and waits for requests under way. Temporary failures to accept
// are not waited out: they end Serve with an error.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.close(l) })
	defer stop()
	slots := make(chan struct{}, maxConnections)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept block device client: %w", err)
		}
		select {
		case slots <- struct{}{}:
		default:
			s.log.Warn("too many block device clients")
			s.close(conn)
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := s.ServeConn(ctx, conn); err != nil && ctx.Err() == nil {
				s.log.Debug("block device client has gone", slog.Any("error", err))
			}
		})
	}
}

// ServeConn serves one client and closes conn. It returns nil when the client
// has ended the conversation as the protocol wants it.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) error {
	defer s.close(conn)
	stop := context.AfterFunc(ctx, func() { s.close(conn) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return fmt.Errorf("limit handshake: %w", err)
	}
	c := &client{source: s.source, log: s.log, rw: conn}
	again, err := c.negotiate()
	if err != nil || !again {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("end limit of handshake: %w", err)
	}
	return c.transmit()
}

func (s *Server) close(c io.Closer) {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Debug("close block device connection", slog.Any("error", err))
	}
}

// client is one connection.
type client struct {
	source     Source
	log        *slog.Logger
	rw         io.ReadWriter
	structured bool
	allocation bool // base:allocation was asked for

	writing sync.Mutex // held while a reply is written
}

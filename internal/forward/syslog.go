package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
)

// Protocol is how syslog messages travel.
type Protocol string

// The protocols.
const (
	UDP Protocol = "udp" // RFC 5426: nobody says whether they arrive
	TCP Protocol = "tcp" // RFC 6587, with the count of octets
	TLS Protocol = "tls" // RFC 5425
)

// Times of syslog connections.
const (
	dialTime  = 10 * time.Second
	writeTime = 30 * time.Second // of one message
	// drainTime is how long the receiver's computer may take to confirm.
	drainTime     = 20 * time.Second
	drainInterval = 5 * time.Millisecond
)

// SyslogConfig says where a syslog server is, and how it is spoken to.
type SyslogConfig struct {
	Protocol Protocol
	Address  string // host and port
	Facility string // as Facilities names them
	// Enterprise is the private enterprise number in the name of the structured
	// data.
	Enterprise int
	// Authorities that the server's certificate may be from; nil: those that this
	// computer trusts. The certificate is checked for the host of Address.
	Authorities *x509.CertPool
	// Hostname of this computer, for events that name none.
	Hostname string
	Version  string // of the program
}

// Syslog sends events as messages of RFC 5424.
type Syslog struct {
	cfg      SyslogConfig
	facility int
	conn     *syslogConn // nil: none
}

// NewSyslog returns a receiver. ErrInvalid for a facility that is not known.
func NewSyslog(cfg SyslogConfig) (*Syslog, error) {
	facility, ok := facilities[cfg.Facility]
	if !ok {
		return nil, dormer.Invalidf("facility", "is not known")
	}
	return &Syslog{cfg: cfg, facility: facility}, nil
}

// syslogConn is an open connection.
type syslogConn struct {
	net.Conn
	// plain is the connection below TLS.
	plain net.Conn
	// gone says that the receiver has ended it: what is written is lost.
	gone atomic.Bool
}

// Send implements Receiver. On TCP and TLS it returns when the receiver's
// computer has confirmed all bytes, where the system tells that; the protocol
// has no answers.
func (s *Syslog) Send(ctx context.Context, i dormer.InstanceID, rows []event.Row) error {
	err := s.send(ctx, i, rows)
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("send to %s: %w: %w", s.cfg.Address, dormer.ErrUnavailable, err), s.Close())
}

func (s *Syslog) send(ctx context.Context, i dormer.InstanceID, rows []event.Row) error {
	if s.conn != nil && s.conn.gone.Load() {
		if err := s.Close(); err != nil {
			return err
		}
	}
	if s.conn == nil {
		if err := s.dial(ctx); err != nil {
			return err
		}
	}
	conn := s.conn
	// The end of ctx ends what blocks.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	for _, r := range rows {
		if err := conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return err
		}
		m := s.message(i, r)
		if s.cfg.Protocol == UDP {
			m = cutMessage(m, maxDatagram)
		} else {
			m = append(strconv.AppendInt(nil, int64(len(m)), 10), append([]byte{' '}, m...)...)
		}
		if _, err := conn.Write(m); err != nil {
			return err
		}
	}
	return s.confirm(ctx)
}

func (s *Syslog) dial(ctx context.Context) error {
	network := "tcp"
	if s.cfg.Protocol == UDP {
		network = "udp"
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	plain, err := (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, s.cfg.Address)
	if err != nil {
		return err
	}
	c := &syslogConn{Conn: plain, plain: plain}
	if s.cfg.Protocol == TLS {
		host, _, err := net.SplitHostPort(s.cfg.Address)
		if err != nil {
			return errors.Join(err, plain.Close())
		}
		t := tls.Client(plain, &tls.Config{ServerName: host, RootCAs: s.cfg.Authorities, MinVersion: tls.VersionTLS12})
		if err := t.HandshakeContext(ctx); err != nil {
			return errors.Join(err, plain.Close())
		}
		c.Conn = t
	}
	if s.cfg.Protocol != UDP {
		go c.watch()
	}
	s.conn = c
	return nil
}

// watch notes when the receiver ends the connection; it never says anything.
func (c *syslogConn) watch() {
	var b [256]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			c.gone.Store(true)
			return
		}
	}
}

// confirm waits until the receiver's computer has all bytes.
func (s *Syslog) confirm(ctx context.Context) error {
	if s.cfg.Protocol == UDP {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	for {
		waiting, err := unconfirmed(s.conn.plain)
		switch {
		case err != nil:
			return err
		case s.conn.gone.Load():
			return errors.New("the receiver has ended the connection")
		case waiting == 0:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the receiver does not confirm: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Close implements Receiver.
func (s *Syslog) Close() error {
	if s.conn == nil {
		return nil
	}
	c := s.conn
	s.conn = nil
	err := c.Close()
	if c.gone.Load() || errors.Is(err, net.ErrClosed) {
		return nil // it has ended already
	}
	return err
}

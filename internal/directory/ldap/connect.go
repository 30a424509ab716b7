package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/dormer-project/dormer"
)

// server is one of Config.Servers.
type server struct {
	setting  string // "servers[0]"
	address  string // as configured
	host     string // what the certificate is checked for
	dial     string // host:port
	startTLS bool
	tls      *tls.Config

	// deadUntil is until when others are preferred; guarded by pool.mu.
	deadUntil time.Time
}

// stage is how far a connection came.
type stage string

const (
	stageConnect stage = "connect"
	stageTLS     stage = "TLS"
	stageBind    stage = "bind"
)

// connectError says on what a connection failed. It is ErrUnavailable.
type connectError struct {
	server *server
	stage  stage
	// setting is the one to look at; plain is what is wrong, for people.
	setting, plain string
	cause          error
}

func (e *connectError) Error() string {
	return fmt.Sprintf("%s: %s: %s: %s", e.setting, e.server.address, e.stage, e.plain)
}

func (e *connectError) Unwrap() []error { return []error{dormer.ErrUnavailable, e.cause} }

// clientTLS is how the certificate of a host is checked.
func clientTLS(host string, roots *x509.CertPool, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         host,
		RootCAs:            roots,
		Time:               now,
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
}

// budget is a connection that hands out at most MaxAnswerBytes between two
// calls of renew, since the LDAP library believes any length.
type budget struct {
	net.Conn
	left atomic.Int64
}

var errTooMuch = errors.New("the answer is larger than any should be")

func (b *budget) renew() { b.left.Store(MaxAnswerBytes) }

func (b *budget) Read(p []byte) (int, error) {
	left := b.left.Load()
	if left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), left)])
	b.left.Add(-int64(n))
	return n, err
}

// conn is a connection to one server. One goroutine at a time uses it.
type conn struct {
	ldap   *goldap.Conn
	tcp    net.Conn
	budget *budget
	server *server
	// made and used are when it was made and last used; fresh is until it has
	// answered something.
	made, used time.Time
	fresh      bool
	timeout    time.Duration
}

// open connects to a server and checks its certificate. Nobody has signed in
// yet.
func (s *server) open(ctx context.Context, timeout time.Duration) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tcp, err := s.openTCP(ctx)
	if err != nil {
		return nil, err
	}
	return s.openTLS(ctx, tcp, timeout)
}

func (s *server) openTCP(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	tcp, err := dialer.DialContext(ctx, "tcp", s.dial)
	if err != nil {
		return nil, &connectError{server: s, stage: stageConnect, setting: s.setting, plain: plainDial(err), cause: err}
	}
	return tcp, nil
}

// openTLS takes tcp over, also when it fails.
func (s *server) openTLS(ctx context.Context, tcp net.Conn, timeout time.Duration) (*conn, error) {
	// The library knows no contexts, and StartTLS has no deadline of its own.
	stop := context.AfterFunc(ctx, func() { closed(tcp) })
	defer stop()
	fail := func(err error) (*conn, error) {
		closed(tcp)
		if ctxErr := ctx.Err(); ctxErr != nil {
			err = ctxErr
		}
		setting, plain := s.plainTLS(err)
		return nil, &connectError{server: s, stage: stageTLS, setting: setting, plain: plain, cause: err}
	}
	if s.startTLS {
		if err := startTLS(tcp); err != nil {
			return fail(err)
		}
	}
	encrypted := tls.Client(tcp, s.tls)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return fail(err)
	}
	b := &budget{Conn: encrypted}
	b.renew()
	c := &conn{ldap: goldap.NewConn(b, true), tcp: tcp, budget: b, server: s, fresh: true, timeout: timeout}
	c.ldap.SetTimeout(2 * timeout) // ends what with's deadline should have ended
	c.ldap.Start()
	return c, nil
}

// closed closes what is given up; its errors tell nothing more.
func closed(c io.Closer) { _ = c.Close() }

// The request and the answer of StartTLS (RFC 4511, 4.14).
const startTLSName = "1.3.6.1.4.1.1466.20037"

// maxStartTLSAnswer bounds an answer that nobody has vouched for yet.
const maxStartTLSAnswer = 4 << 10

// refusedTLSError is a server that answers StartTLS with something else than
// success.
type refusedTLSError struct{ code byte }

func (e *refusedTLSError) Error() string {
	return fmt.Sprintf("the server refuses StartTLS with code %d", e.code)
}

// startTLS asks for TLS. Exactly the answer is read: what somebody on the way
// put behind it is taken for the handshake, and fails there.
func startTLS(c net.Conn) error {
	request := []byte{0x30, byte(7 + len(startTLSName)), 0x02, 0x01, 0x01, 0x77, byte(2 + len(startTLSName)), 0x80, byte(len(startTLSName))}
	if _, err := c.Write(append(request, startTLSName...)); err != nil {
		return fmt.Errorf("send StartTLS: %w", err)
	}
	answer, err := readMessage(c)
	if err != nil {
		return fmt.Errorf("read the answer to StartTLS: %w", err)
	}
	code, ok := startTLSCode(answer)
	switch {
	case !ok:
		return errors.New("the answer to StartTLS is not LDAP")
	case code != goldap.LDAPResultSuccess:
		return &refusedTLSError{code: code}
	}
	return nil
}

// readMessage reads one BER sequence and returns its content.
func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := int(head[1])
	if more := size & 0x7f; size > 0x7f {
		if more < 1 || more > 4 {
			return nil, errTooMuch
		}
		long := make([]byte, more)
		if _, err := io.ReadFull(r, long); err != nil {
			return nil, err
		}
		size = 0
		for _, b := range long {
			size = size<<8 | int(b)
		}
	}
	if head[0] != 0x30 || size > maxStartTLSAnswer {
		return nil, errTooMuch
	}
	content := make([]byte, size)
	_, err := io.ReadFull(r, content)
	return content, err
}

// startTLSCode returns the result code of an extended response to message 1.
func startTLSCode(message []byte) (code byte, ok bool) {
	id, rest, ok := element(message, 0x02)
	if !ok || len(id) != 1 || id[0] != 1 {
		return 0, false
	}
	response, _, ok := element(rest, 0x78)
	if !ok {
		return 0, false
	}
	result, _, ok := element(response, 0x0a)
	if !ok || len(result) != 1 {
		return 0, false
	}
	return result[0], true
}

// element splits a BER element with that tag off.
func element(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	size, b := int(b[1]), b[2:]
	if size > 0x7f {
		more := size & 0x7f
		if more < 1 || more > 4 || len(b) < more {
			return nil, nil, false
		}
		size = 0
		for _, c := range b[:more] {
			size = size<<8 | int(c)
		}
		b = b[more:]
	}
	if size < 0 || size > len(b) {
		return nil, nil, false
	}
	return b[:size], b[size:], true
}

// with runs one exchange of at most the time-out. When ctx ends or time is up,
// the connection is closed and no more used.
func (c *conn) with(ctx context.Context, exchange func() error) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := limited.Err(); err != nil {
		return err
	}
	c.budget.renew()
	stop := context.AfterFunc(limited, func() { closed(c.tcp) })
	err := exchange()
	if stop() {
		return c.translate(err)
	}
	switch {
	case ctx.Err() != nil:
		return &silentError{server: c.server, cause: ctx.Err()}
	case err != nil:
		return &silentError{server: c.server, cause: limited.Err()}
	}
	return nil
}

// silentError is a server that did not answer in time. It is ErrUnavailable.
type silentError struct {
	server *server
	cause  error
}

func (e *silentError) Error() string {
	return fmt.Sprintf("%s: %s did not answer in time", e.server.setting, e.server.address)
}

func (e *silentError) Unwrap() []error { return []error{dormer.ErrUnavailable, e.cause} }

// close gives the connection up. It does not wait for the server.
func (c *conn) close() {
	closed(c.tcp)
	closed(c.ldap)
}

// resultCode is what a server answered, -1 for what is no answer.
func resultCode(err error) int {
	if e, ok := errors.AsType[*goldap.Error](err); ok && e.ResultCode < goldap.ErrorNetwork {
		return int(e.ResultCode)
	}
	return -1
}

// said is what a server answered, in one line of bounded length.
func said(err error) string {
	e, ok := errors.AsType[*goldap.Error](err)
	if !ok || e.ResultCode >= goldap.ErrorNetwork {
		return err.Error()
	}
	text := fmt.Sprintf("%s (code %d)", goldap.LDAPResultCodeMap[e.ResultCode], e.ResultCode)
	if e.Err != nil && e.Err.Error() != "" {
		text += ": " + printable(e.Err.Error())
	}
	return text
}

// brokenError is a connection that is of no use any more, or a server that says
// it cannot answer now: another one should be asked. It is ErrUnavailable.
type brokenError struct {
	server *server
	cause  error
}

func (e *brokenError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.server.setting, e.server.address, said(e.cause))
}

func (e *brokenError) Unwrap() []error { return []error{dormer.ErrUnavailable, e.cause} }

// translate tells errors of the connection from answers.
func (c *conn) translate(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*goldap.Error](err); ok {
		switch e.ResultCode {
		case goldap.LDAPResultBusy, goldap.LDAPResultUnavailable, goldap.LDAPResultOperationsError,
			goldap.ErrorNetwork, goldap.ErrorUnexpectedMessage, goldap.ErrorUnexpectedResponse:
		default:
			return err
		}
	}
	return &brokenError{server: c.server, cause: err}
}

// lost reports whether an error is of the connection or the server, not of what
// was asked.
func lost(err error) bool {
	if _, ok := errors.AsType[*silentError](err); ok {
		return true
	}
	_, ok := errors.AsType[*brokenError](err)
	return ok
}

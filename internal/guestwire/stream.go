package guestwire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
)

// A channel is a stream of bytes whose port outlives its openers: neither end
// learns for sure that the other was opened anew, and bytes of an earlier
// connection may come first, in either direction. So each connection begins
// with a handshake of lines:
//
//	host   greet TOKEN   repeated until it is answered
//	guest  here TOKEN    for each greeting
//	host   begin TOKEN   once; then its bytes
//	guest  begin TOKEN   once; then its bytes
//
// Everything else that comes before is skipped. TOKEN is new for each attempt,
// so that no bytes of before, whoever made them, can look like it. A guest that
// is in the middle of an earlier connection takes a greeting for what it is not,
// finds that it makes no sense, ends that connection and awaits the next.

// Words of the handshake. Each line begins with an empty one, which ends what
// was there before.
const (
	wordGreet = "dormer-channel/1 greet "
	wordHere  = "dormer-channel/1 here "
	wordBegin = "dormer-channel/1 begin "
	maxLine   = 160
	// MaxSession is the longest name of a session, in bytes.
	MaxSession = 64
)

// MaxHTTPFrame is the longest frame of HTTP/2 that is taken on a channel. A host
// that is not answered fills up such a frame: the guest may be in the middle of
// one that an earlier connection has left.
const MaxHTTPFrame = 64 << 10

// How long the host waits for an answer before it greets again, and for the
// beginning before it starts over.
const (
	greetEvery  = time.Second
	beginWithin = 5 * time.Second
)

// Greet does the host's part of the handshake on a channel's connection. session
// must be new and not to be guessed: letters, digits and hyphens, at most
// MaxSession. conn is closed when ctx ends before, and after an error is of no
// use. ErrUnavailable when the guest does not answer by the end of ctx.
func Greet(ctx context.Context, conn io.ReadWriteCloser, session string) error {
	if !validSession(session) {
		return dormer.Invalidf("session", "must be 1 to %d letters, digits and hyphens", MaxSession)
	}
	// A connection that is closed already needs no closing.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	g := &greeter{conn: conn, session: session, begun: make(chan struct{}), answer: make(chan string, 16)}
	var sending sync.WaitGroup
	sending.Go(func() { g.send(ctx) })
	err := g.receive(ctx)
	close(g.begun)
	if err != nil {
		_ = conn.Close() // lets go of what is being written
	}
	sending.Wait()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the guest does not answer on the channel: %w: %w", dormer.ErrUnavailable, ctx.Err())
	case err != nil:
		return fmt.Errorf("greet the guest on the channel: %w: %w", dormer.ErrUnavailable, err)
	}
	return nil
}

// greeter is the host's part of one handshake. One goroutine writes, another
// reads: what is written may wait for the guest, which may wait until it is read.
type greeter struct {
	conn    io.ReadWriteCloser
	session string
	begun   chan struct{} // closed when it is over
	answer  chan string   // tokens that the guest has answered

	mu       sync.Mutex // guards the fields below
	attempt  int
	answered time.Time // when the attempt was answered; zero before
}

// send greets until the guest has begun.
func (g *greeter) send(ctx context.Context) {
	tick := time.NewTicker(greetEvery)
	defer tick.Stop()
	next, sent := g.next(), 0
	for {
		if next != "" {
			line := "\n" + wordGreet + next + "\n"
			if sent++; sent%4 == 3 {
				line = strings.Repeat("\n", MaxHTTPFrame) + line
			}
			if _, err := io.WriteString(g.conn, line); err != nil {
				return // reading says why
			}
		}
		select {
		case <-g.begun:
			return
		case <-ctx.Done():
			return
		case token := <-g.answer:
			if _, err := io.WriteString(g.conn, "\n"+wordBegin+token+"\n"); err != nil {
				return
			}
			next = ""
		case <-tick.C:
			next = g.next()
		}
	}
}

// next is the token to greet with now, "" for none: the guest has answered and
// has some time left to begin.
func (g *greeter) next() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.answered.IsZero() {
		if time.Since(g.answered) < beginWithin {
			return ""
		}
		g.attempt, g.answered = g.attempt+1, time.Time{}
	}
	return g.token()
}

// token is that of this attempt. The caller holds mu.
func (g *greeter) token() string { return g.session + "." + strconv.Itoa(g.attempt) }

// receive reads until the guest has begun. What follows is not read: bytes come
// one at a time, since nobody else could have those that are read too much.
func (g *greeter) receive(ctx context.Context) error {
	lines := lineReader{r: g.conn}
	for {
		line, err := lines.next()
		if err != nil {
			return err
		}
		if token, ok := strings.CutPrefix(line, wordHere); ok && g.first(token) {
			select {
			case g.answer <- token:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if token, ok := strings.CutPrefix(line, wordBegin); ok && g.begins(token) {
			return nil
		}
	}
}

// first reports whether this is the first answer to the attempt.
func (g *greeter) first(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if token != g.token() || !g.answered.IsZero() {
		return false
	}
	g.answered = time.Now()
	return true
}

func (g *greeter) begins(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return token == g.token() && !g.answered.IsZero()
}

// Await does the guest's part of the handshake and returns the session that the
// host named. Every error is the connection's; io.EOF means that no host has the
// port open.
func Await(conn io.ReadWriter) (session string, err error) {
	lines := lineReader{r: conn}
	known := ""
	for {
		line, err := lines.next()
		if err != nil {
			return "", err
		}
		if token, ok := strings.CutPrefix(line, wordGreet); ok {
			session, _, _ := strings.Cut(token, ".")
			if !validSession(session) {
				continue
			}
			known = token
			if _, err := io.WriteString(conn, "\n"+wordHere+token+"\n"); err != nil {
				return "", err
			}
		}
		if token, ok := strings.CutPrefix(line, wordBegin); ok && token == known && known != "" {
			if _, err := io.WriteString(conn, "\n"+wordBegin+token+"\n"); err != nil {
				return "", err
			}
			session, _, _ := strings.Cut(token, ".")
			return session, nil
		}
	}
}

func validSession(s string) bool {
	if s == "" || len(s) > MaxSession {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// lineReader reads lines without taking more than it hands out. What is longer
// than a line of the handshake can be is skipped.
type lineReader struct {
	r    io.Reader
	line []byte
	long bool
}

func (l *lineReader) next() (string, error) {
	var b [1]byte
	for {
		n, err := l.r.Read(b[:])
		switch {
		case n == 0 && err != nil:
			return "", err
		case n == 0:
			continue
		case b[0] == '\n':
			line, long := string(bytes.TrimSuffix(l.line, []byte{'\r'})), l.long
			l.line, l.long = l.line[:0], false
			if long || line == "" {
				continue
			}
			return line, nil
		case len(l.line) >= maxLine:
			l.long = true
		default:
			l.line = append(l.line, b[0])
		}
	}
}

// Stream makes a channel's connection a net.Conn, for HTTP/2. Closing it closes
// c. Deadlines are c's own where it has them, else they are not there.
func Stream(c io.ReadWriteCloser, channel Channel) net.Conn {
	return &stream{ReadWriteCloser: c, name: channel}
}

type stream struct {
	io.ReadWriteCloser
	name Channel
	once sync.Once
	err  error
}

// Close closes once; HTTP/2 closes more often.
func (s *stream) Close() error {
	s.once.Do(func() { s.err = s.ReadWriteCloser.Close() })
	return s.err
}

func (s *stream) LocalAddr() net.Addr  { return portAddress(s.name) }
func (s *stream) RemoteAddr() net.Addr { return portAddress(s.name) }

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *stream) SetReadDeadline(t time.Time) error {
	if d, ok := s.ReadWriteCloser.(interface{ SetReadDeadline(t time.Time) error }); ok {
		return d.SetReadDeadline(t)
	}
	return os.ErrNoDeadline
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	if d, ok := s.ReadWriteCloser.(interface{ SetWriteDeadline(t time.Time) error }); ok {
		return d.SetWriteDeadline(t)
	}
	return os.ErrNoDeadline
}

// portAddress is the address of both ends of a channel.
type portAddress Channel

func (portAddress) Network() string  { return "virtio-serial" }
func (a portAddress) String() string { return Channel(a).PortName() }

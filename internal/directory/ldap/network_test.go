package ldap

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/directorytest"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
)

// listen takes connections until the test ends.
func listen(t testing.TB, address string, serve func(net.Conn)) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	var mu sync.Mutex
	var taken []net.Conn
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			taken = append(taken, c)
			mu.Unlock()
			served.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range taken {
			_ = c.Close()
		}
		mu.Unlock()
		served.Wait()
	})
	return l.Addr().String()
}

// silent accepts and says nothing.
func silent(t testing.TB) string {
	return listen(t, "127.0.0.1", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
}

// relay passes connections on to a server while it is on; what comes while it is
// off, and what was there, is cut.
type relay struct {
	address string
	mu      sync.Mutex
	on      bool
	open    []net.Conn
	taken   int
}

func newRelay(t testing.TB, listenOn, to string) *relay {
	r := &relay{on: true}
	r.address = listen(t, listenOn, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		r.mu.Lock()
		on := r.on
		r.taken++
		r.mu.Unlock()
		if !on {
			return
		}
		up, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer func() { _ = up.Close() }()
		r.mu.Lock()
		r.open = append(r.open, c, up)
		r.mu.Unlock()
		go func() { _, _ = io.Copy(up, c); _ = up.Close() }()
		_, _ = io.Copy(c, up)
	})
	return r
}

func (r *relay) set(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = on
	for _, c := range r.open {
		_ = c.Close()
	}
	r.open = nil
}

func (r *relay) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

func address(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	return rest
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// must is an error of that kind whose text says all of that.
func must(t testing.TB, what string, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want an error of kind %q", what, err, kind)
		return
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: the error does not say %q: %v", what, part, err)
		}
	}
}

func TestFailOver(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	ip, _, _ := net.SplitHostPort(address(server.LDAPS))
	first, second := newRelay(t, ip, address(server.LDAPS)), newRelay(t, ip, address(server.LDAPS))
	now := &clock{now: time.Now()}
	c := plainConfig(t, server)
	c.Servers = []string{"ldaps://" + first.address, "ldaps://" + second.address}
	c.Now = now.Now
	d := open(t, c)
	find := func(what string) {
		t.Helper()
		if _, err := d.Resolve(t.Context(), dormer.KindUser, "alice"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	find("both are there")
	find("again")
	if first.count() != 1 || second.count() != 0 {
		t.Errorf("connections: %d to the first, %d to the second", first.count(), second.count())
	}

	// A connection of the pool that was cut is made anew.
	first.set(true)
	find("the connection was cut")
	if first.count() != 2 || second.count() != 0 {
		t.Errorf("connections after the cut: %d to the first, %d to the second", first.count(), second.count())
	}

	first.set(false)
	find("the first is off")
	if second.count() != 1 {
		t.Errorf("%d connections to the second", second.count())
	}
	before := first.count()
	for range 5 {
		find("the first is still off")
	}
	if first.count() != before || second.count() != 1 {
		t.Errorf("a dead server is asked again: %d connections; %d to the second", first.count()-before, second.count())
	}
	if _, err := d.Authenticate(t.Context(), "alice", server.Password(t, "alice")); err != nil {
		t.Errorf("sign-in by the second: %v", err)
	}

	// It is tried again after a while, and preferred when it answers.
	now.advance(deadTime + time.Second)
	find("the first is tried and off")
	first.set(true)
	now.advance(deadTime + time.Second)
	find("the first is back")
	before = second.count()
	find("the first is used again")
	if second.count() != before || first.count() == 0 {
		t.Error("the second is used though the first is back")
	}

	first.set(false)
	second.set(false)
	_, err := d.Resolve(t.Context(), dormer.KindUser, "alice")
	must(t, "both are off", err, dormer.ErrUnavailable, "servers[1]", second.address)
	_, err = d.Authenticate(t.Context(), "alice", server.Password(t, "alice"))
	must(t, "sign-in with both off", err, dormer.ErrUnavailable)
	second.set(true)
	find("the second is back, and nobody waits for the end of a time")
}

// A server that takes connections and says nothing is waited for once; the next
// questions go elsewhere, also while the first still waits.
func TestHangingServer(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	c := plainConfig(t, server)
	c.Timeout = 500 * time.Millisecond
	c.Servers = []string{"ldaps://" + silent(t), server.LDAPS}
	d := open(t, c)
	if _, err := d.Resolve(t.Context(), dormer.KindUser, "alice"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 20 {
		if _, err := d.Resolve(t.Context(), dormer.KindUser, "alice"); err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > c.Timeout {
		t.Errorf("20 questions took %s though the server is known to hang", took)
	}

	c.Servers = c.Servers[:1]
	for _, scheme := range []string{"ldap://", "ldaps://"} {
		c.Servers = []string{scheme + silent(t)}
		d = open(t, c)
		began = time.Now()
		_, err := d.Groups(t.Context(), dormer.Principal{Directory: d.Name(), Kind: dormer.KindUser, Key: "k"})
		must(t, "a hanging server", err, dormer.ErrUnavailable, "servers[0]", "does not answer")
		if took := time.Since(began); took > 4*c.Timeout {
			t.Errorf("%s: it took %s to give up", scheme, took)
		}
	}
}

// The end of the caller's context ends the waiting.
func TestContextEnds(t *testing.T) {
	server := testdomain.StartOpenLDAP(t)
	c := plainConfig(t, server)
	c.Timeout = time.Minute
	c.Servers = []string{"ldaps://" + silent(t)}
	d := open(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := d.Authenticate(ctx, "alice", server.Password(t, "alice"))
	must(t, "the context ended", err, dormer.ErrUnavailable)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// The domain controller hangs in the middle: with connections that were good.
func TestHangsLater(t *testing.T) {
	corp := testdomain.StartDomain(t, testdomain.Options{})
	c := domainConfig(t, corp)
	d := open(t, c)
	alice := resolve(t, d, dormer.KindUser, "alice")
	corp.Pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := d.Groups(ctx, alice)
	must(t, "a domain controller that hangs", err, dormer.ErrUnavailable, "servers[0]")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	corp.Resume(t)
	if got := groupsOf(t, d, alice); len(got) == 0 {
		t.Error("no groups after that")
	}

	// And is started anew: the connections of the pool are stale.
	corp.Stop()
	_, err = d.Groups(t.Context(), alice)
	must(t, "a stopped domain controller", err, dormer.ErrUnavailable, "servers[0]", "connection refused")
	corp.Start(t)
	if got := groupsOf(t, d, alice); len(got) == 0 {
		t.Error("no groups after a new start")
	}
}

// Without TLS nothing is sent but the wish for it.
func TestNothingInTheClear(t *testing.T) {
	var mu sync.Mutex
	var sent []byte
	refuses := listen(t, "127.0.0.1", func(c net.Conn) {
		buffer := make([]byte, 4096)
		for {
			n, err := c.Read(buffer)
			mu.Lock()
			sent = append(sent, buffer[:n]...)
			mu.Unlock()
			if err != nil {
				return
			}
			// An extended response: unwilling to perform.
			_, _ = c.Write([]byte{0x30, 12, 0x02, 1, 1, 0x78, 7, 0x0a, 1, 53, 4, 0, 4, 0})
		}
	})
	c := Config{
		Name: "people", Kind: Plain, Servers: []string{"ldap://" + refuses}, BindUser: "cn=service,dc=example,dc=test", BaseDN: "dc=example,dc=test",
		Password: func() (string, error) { return "the service's secret", nil },
	}
	d := open(t, c)
	_, err := d.Authenticate(t.Context(), "alice", directorytest.Password)
	must(t, "StartTLS refused", err, dormer.ErrUnavailable, "servers[0]", "refuses StartTLS with code 53", "ldaps://")
	mu.Lock()
	defer mu.Unlock()
	if len(sent) != 31 || strings.Contains(string(sent), "secret") || strings.Contains(string(sent), "service") {
		t.Errorf("%d bytes were sent in the clear: %q", len(sent), sent)
	}
}

// An answer that says it is enormous is not waited for.
func TestEnormousAnswers(t *testing.T) {
	for name, answer := range map[string][]byte{
		"length":     {0x30, 0x84, 0x7f, 0xff, 0xff, 0xff},
		"indefinite": {0x30, 0x80},
		"no LDAP":    []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"other id":   {0x30, 12, 0x02, 1, 2, 0x78, 7, 0x0a, 1, 0, 4, 0, 4, 0},
	} {
		at := listen(t, "127.0.0.1", func(c net.Conn) {
			_, _ = c.Write(answer)
			_, _ = io.Copy(io.Discard, c)
		})
		d := open(t, Config{Name: "people", Kind: Plain, Servers: []string{"ldap://" + at}, BaseDN: "dc=example,dc=test"})
		_, err := d.Resolve(t.Context(), dormer.KindUser, "alice")
		must(t, name, err, dormer.ErrUnavailable, "servers[0]")
	}
}

// budget ends answers that are too large within TLS.
func TestBudget(t *testing.T) {
	near, far := net.Pipe()
	t.Cleanup(func() { _ = far.Close() })
	b := &budget{Conn: near}
	b.renew()
	go func() {
		block := make([]byte, 1<<16)
		for {
			if _, err := far.Write(block); err != nil {
				return
			}
		}
	}()
	n, err := io.Copy(io.Discard, b)
	if n != MaxAnswerBytes || !errors.Is(err, errTooMuch) {
		t.Errorf("%d bytes were read, %v", n, err)
	}
	_ = near.Close()
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

// proxy passes TCP connections on and counts what goes through, headers
// included: it knows nothing of the product.
type proxy struct {
	url      string
	listener net.Listener
	server   *http.Server
	target   string
	// down and up count bytes to and from the client, requests the request lines.
	down, up, requests atomic.Int64
}

func startProxy(h http.Handler) (*proxy, error) {
	back, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	front, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), back.Close())
	}
	p := &proxy{url: "http://" + front.Addr().String(), listener: front, target: back.Addr().String(), server: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	go func() { _ = p.server.Serve(back) }() // it ends with close
	go p.accept()
	return p, nil
}

func (p *proxy) close() {
	p.listener.Close()
	p.server.Close()
}

// take returns what was counted since the last call: bytes both ways, requests.
func (p *proxy) take() (wire, requests int64) {
	return p.down.Swap(0) + p.up.Swap(0), p.requests.Swap(0)
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.pass(c)
	}
}

func (p *proxy) pass(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		// Requests have no body, so each line that begins with GET is one.
		r := bufio.NewReader(client)
		for {
			line, err := r.ReadBytes('\n')
			p.up.Add(int64(len(line)))
			if len(line) > 4 && string(line[:4]) == "GET " {
				p.requests.Add(1)
			}
			if _, werr := server.Write(line); werr != nil || err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 256<<10)
	for {
		n, err := server.Read(buf)
		p.down.Add(int64(n))
		if _, werr := client.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// childTime is what finished child processes have used.
func childTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the most memory that this process has held so far, in bytes.
func peakMemory() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss << 10
}

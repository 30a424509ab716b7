package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/ldap"
)

const (
	base    = "DC=corp,DC=example,DC=test"
	dnsName = "corp.example.test"
	// atOnce is how many people sign in, or are read again, side by side.
	atOnce = 8
)

type bench struct {
	domain         string
	server         int
	users, signIns int
	// out takes the rows; printErr is the first failure to write one.
	out      io.Writer
	printErr error

	address  string
	password string // of everybody
	people   []dormer.Principal
	counter  *counter
	// What one after the other gave, for the ratios.
	signInRate float64
	rereadEach time.Duration
}

// row prints a figure.
func (b *bench) row(name string, value any, unit string) {
	format := "directory.ad.%s %v %s\n"
	if _, ok := value.(float64); ok {
		format = "directory.ad.%s %.2f %s\n"
	}
	if _, err := fmt.Fprintf(b.out, format, name, value, unit); err != nil && b.printErr == nil {
		b.printErr = fmt.Errorf("print figure: %w", err)
	}
}

func userName(i int) string { return fmt.Sprintf("bench-%04d", i) }

func (b *bench) run(ctx context.Context) error {
	if b.domain == "" || b.server == 0 || b.users < 1 || b.signIns > b.users {
		return dormer.Invalidf("", "name a domain controller with --domain and --server; no more sign in than there are users")
	}
	address, err := os.ReadFile(filepath.Join(b.domain, "address"))
	if err != nil {
		return fmt.Errorf("read the address: %w", err)
	}
	b.address, b.password = strings.TrimSpace(string(address)), rand.Text()
	if err := b.fill(ctx); err != nil {
		return err
	}
	if b.counter, err = startCounter(ctx, b.address); err != nil {
		return err
	}
	defer b.counter.close()
	for _, side := range []int{1, atOnce} {
		if err := b.measure(ctx, side); err != nil {
			return err
		}
	}
	if err := b.peers(ctx); err != nil {
		return fmt.Errorf("peers: %w", err)
	}
	return b.printErr
}

// open is the directory as the server has it, through the counter.
func (b *bench) open() (*ldap.Directory, error) {
	authority, err := os.ReadFile(filepath.Join(b.domain, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	return ldap.New(ldap.Config{
		Name: "corp", Kind: ldap.ActiveDirectory, Servers: []string{"ldaps://" + b.counter.address()}, Authority: authority,
		BindUser: "svc-dormer@" + dnsName, Domain: dnsName, NetBIOS: "CORP",
		Password: func() (string, error) {
			p, err := os.ReadFile(filepath.Join(b.domain, "passwords", "svc-dormer"))
			return string(p), err
		},
	})
}

// measure lets people sign in, and reads everybody's groups, so many side by
// side.
func (b *bench) measure(ctx context.Context, side int) (err error) {
	d, err := b.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	suffix, alone := "", side == 1
	if !alone {
		suffix = fmt.Sprintf("_%d_at_once", side)
	}
	if b.people == nil {
		for i := range b.users {
			p, err := d.Resolve(ctx, dormer.KindUser, userName(i))
			if err != nil {
				return err
			}
			b.people = append(b.people, p)
		}
	}

	// A sign-in is the password and the groups.
	m, err := b.during(b.signIns, side, func(i int) error {
		p, err := d.Authenticate(ctx, userName(i), b.password)
		if err != nil {
			return err
		}
		_, err = d.Groups(ctx, p)
		return err
	})
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	n := float64(b.signIns)
	if alone {
		b.signInRate = n / m.took.Seconds()
	}
	b.row("dormer.sign_in"+suffix, n/m.took.Seconds(), "1/s")
	b.row("dormer.sign_in"+suffix+".cpu", 1000*m.cpu.Seconds()/n, "ms")
	b.row("dormer.sign_in"+suffix+".server_cpu", 1000*m.server.Seconds()/n, "ms")
	b.row("dormer.sign_in"+suffix+".requests", float64(m.requests)/n, "requests")

	groups := 0
	var mu sync.Mutex
	m, err = b.during(b.users, side, func(i int) error {
		gs, err := d.Groups(ctx, b.people[i])
		mu.Lock()
		groups += len(gs)
		mu.Unlock()
		return err
	})
	if err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	n = float64(b.users)
	if alone {
		b.rereadEach = m.took / time.Duration(b.users)
	}
	name := fmt.Sprintf("dormer.reread_%d_users%s", b.users, suffix)
	b.row(name, m.took.Seconds(), "s")
	b.row(name+".cpu", m.cpu.Seconds(), "s")
	b.row(name+".server_cpu", m.server.Seconds(), "s")
	b.row(name+".each", 1000*m.took.Seconds()/n, "ms")
	b.row(name+".requests_each", float64(m.requests)/n, "requests")
	b.row(name+".groups_each", float64(groups)/n, "groups")
	return nil
}

// measured is what a job took: on the clock, of this process's processor time, of
// the domain controller's, and of requests to it.
type measured struct {
	took, cpu, server time.Duration
	requests          int64
}

// during does n things, so many side by side. The first error ends it.
func (b *bench) during(n, side int, do func(i int) error) (measured, error) {
	serverBefore, err := processTime(b.server)
	if err != nil {
		return measured{}, err
	}
	requests, cpu, start := b.counter.requests.Load(), ownTime(), time.Now()
	next := make(chan int)
	failed := make(chan error, side)
	var all sync.WaitGroup
	for range side {
		all.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case err = <-failed:
		}
		break
	}
	close(next)
	all.Wait()
	select {
	case err = <-failed:
	default:
	}
	if err != nil {
		return measured{}, err
	}
	m := measured{took: time.Since(start), cpu: ownTime() - cpu, requests: b.counter.requests.Load() - requests}
	server, err := processTime(b.server)
	m.server = server - serverBefore
	return m, err
}

// ownTime is the processor time of this process so far.
func ownTime() time.Duration { return usage(syscall.RUSAGE_SELF) }

func usage(of int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(of, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processTime is the processor time of another process so far.
func processTime(pid int) (time.Duration, error) {
	const ticks = 100 // a second, on Linux
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("processor time of the domain controller: %w", err)
	}
	// After the name, which may hold anything: fields 12 and 13 from there.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system int64
	if len(fields) < 13 {
		return 0, fmt.Errorf("processor time of the domain controller: %w", dormer.ErrCorrupt)
	}
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, fmt.Errorf("processor time of the domain controller: %w", err)
	}
	return time.Duration(user+system) * time.Second / ticks, nil
}

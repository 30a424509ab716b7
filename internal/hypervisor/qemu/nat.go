package qemu

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor/account"
)

// The guest's network: addresses that every machine sees, whatever the host's
// are, so that a guest keeps its network when the host changes its own.
const (
	natGuest   = "10.0.2.15"
	natMask    = "24"
	natGateway = "10.0.2.2"
	natDNS     = "10.0.2.3"
)

const (
	// maxFrame is the longest Ethernet frame between QEMU and passt, in bytes.
	maxFrame = 64<<10 + 64
	// natPause and natLongest bound the pauses between starts of a passt that ends.
	natPause   = time.Second
	natLongest = 30 * time.Second
)

// natNetdev is the name of the network of a machine that has one of its own.
const natNetdev = "net"

// nat connects a machine's network adapter to a passt process of its own. It
// stands between the two: passt turns what the guest sends into the host's
// sockets, and whatever its version, packets for the host's loopback never
// reach it. It starts passt again when it ends; without it (a host without
// network, say) the guest's packets are lost, as with a pulled cable.
type nat struct {
	program string
	user    *account.Account // nil for the calling process's
	log     *slog.Logger
	adapter net.Conn // to QEMU

	toAdapter sync.Mutex // held while a frame is written to adapter

	mu     sync.Mutex // guards the fields below
	outer  net.Conn   // to passt; nil while there is none
	closed bool
	silent bool // nothing passes
}

func newNAT(program string, user *account.Account, log *slog.Logger, adapter net.Conn) (*nat, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("network nat: %s is not installed: %w", program, dormer.ErrUnsupported)
	}
	return &nat{program: path, user: user, log: log, adapter: adapter}, nil
}

// arguments of passt. It forwards no port inwards (its default), and answers
// DNS itself, so that a resolver on the host's loopback is reached for names
// and for nothing else.
func natArguments(fd int) []string {
	return []string{
		"--foreground", "--quiet", "--stderr", "--fd", fmt.Sprint(fd),
		"--ipv4-only", "--no-map-gw", "--tcp-ports", "none", "--udp-ports", "none",
		"--address", natGuest, "--netmask", natMask, "--gateway", natGateway,
		"--dns", natDNS, "--dns-forward", natDNS,
	}
}

// run serves until ctx ends.
func (n *nat) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		n.fromAdapter()
	})
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		n.closed = true
		if n.outer != nil {
			_ = n.outer.Close()
		}
		n.mu.Unlock()
		_ = n.adapter.Close()
	})
	defer stop()
	pause := natPause
	for ctx.Err() == nil {
		started := time.Now()
		err := n.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(started) > natLongest {
			pause = natPause
		}
		n.log.Warn("network of the machine has ended; starting it again", slog.Any("error", err), slog.Duration("in", pause))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, natLongest)
	}
	wg.Wait()
}

// once runs passt until it ends.
func (n *nat) once(ctx context.Context) error {
	conn, theirs, err := socketPair("passt")
	if err != nil {
		return err
	}
	var said tail
	cmd := exec.Command(n.program, natArguments(3)...) //nolint:noctx // ended by its connection and by startChild
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = &said
	cmd.Env = []string{}
	cmd.WaitDelay = time.Second
	cmd.Dir = "/"
	process, err := startChild(cmd, n.user)
	_ = theirs.Close()
	if err != nil {
		return errors.Join(fmt.Errorf("start passt: %w", err), conn.Close())
	}
	defer process.kill()
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return errors.Join(ctx.Err(), conn.Close())
	}
	n.outer = conn
	n.mu.Unlock()
	err = n.toGuest(conn)
	n.mu.Lock()
	n.outer = nil
	n.mu.Unlock()
	_ = conn.Close()
	process.kill()
	if line := said.last(); line != "" {
		err = fmt.Errorf("passt: %s: %w", line, err)
	}
	return err
}

// fromAdapter passes on what the guest sends.
func (n *nat) fromAdapter() {
	buf := make([]byte, 4+maxFrame)
	for {
		frame, err := readFrame(n.adapter, buf)
		if err != nil {
			return
		}
		if !mayLeave(frame[4:]) {
			continue
		}
		n.mu.Lock()
		outer, silent := n.outer, n.silent
		n.mu.Unlock()
		if outer != nil && !silent {
			_, _ = outer.Write(frame) // a broken one is noticed by its reader
		}
	}
}

// cut lets nothing pass, or everything again.
func (n *nat) cut(cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = cut
}

func (n *nat) toGuest(outer net.Conn) error {
	buf := make([]byte, 4+maxFrame)
	for {
		frame, err := readFrame(outer, buf)
		if err != nil {
			return err
		}
		n.mu.Lock()
		silent := n.silent
		n.mu.Unlock()
		if silent {
			continue
		}
		n.toAdapter.Lock()
		_, err = n.adapter.Write(frame)
		n.toAdapter.Unlock()
		if err != nil {
			return fmt.Errorf("write to network adapter: %w", err)
		}
	}
}

// readFrame reads a frame with its length before it.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, buf[:4]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(buf)
	if length == 0 || length > maxFrame {
		return nil, fmt.Errorf("frame of %d bytes: %w", length, dormer.ErrCorrupt)
	}
	if _, err := io.ReadFull(r, buf[4:4+length]); err != nil {
		return nil, err
	}
	return buf[:4+length], nil
}

// Ethernet types.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
)

// mayLeave reports whether a frame of the guest may become the host's. Only
// ARP and IPv4 may; not to or from the loopback network, the network 0 (which
// connects to the host itself), or link-local addresses (where clouds serve
// the host's credentials).
func mayLeave(frame []byte) bool {
	if len(frame) < 14 {
		return false
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherARP:
		return true
	case etherIPv4:
	default:
		return false
	}
	ip := frame[14:]
	if len(ip) < 20 || ip[0]>>4 != 4 {
		return false
	}
	source, target := [4]byte(ip[12:16]), [4]byte(ip[16:20])
	if target[0] == 0 || target[0] == 127 || target[0] == 169 && target[1] == 254 {
		return false
	}
	// 0.0.0.0 is the source of who asks for an address by DHCP, of the
	// broadcast address alone.
	if source[0] == 127 || source == [4]byte{} && target != [4]byte{255, 255, 255, 255} {
		return false
	}
	return true
}

package desk

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// OwnConnections takes only connections that programs of this user make.
// Browsers send cookies to every port of a host, so that another user of the
// computer could have the console's; it is of no use to them.
func OwnConnections(l net.Listener) net.Listener { return ownListener{l, os.Getuid()} }

type ownListener struct {
	net.Listener
	user int
}

// Accept implements net.Listener.
func (l ownListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		user, err := peerUser(c)
		if err == nil && user == l.user {
			return c, nil
		}
		_ = c.Close() // whoever it is, they are not heard
	}
}

// socketTable lists the TCP sockets over IPv4, with the users they are of.
const socketTable = "/proc/net/tcp"

// errNoSocket says that the other end is not on this computer, or gone.
var errNoSocket = errors.New("the other end has no socket here")

// peerUser returns the user of this computer who made a connection over
// loopback.
func peerUser(c net.Conn) (int, error) {
	far, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return 0, fmt.Errorf("address of the other end: %w", err)
	}
	near, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return 0, fmt.Errorf("address of this end: %w", err)
	}
	f, err := os.Open(socketTable)
	if err != nil {
		return 0, fmt.Errorf("list sockets: %w", err)
	}
	defer f.Close()
	return socketUser(f, far, near)
}

// socketUser finds a socket by its own and its other address.
func socketUser(table io.Reader, own, other netip.AddrPort) (int, error) {
	local, remote := tableAddress(own), tableAddress(other)
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid ...
		f := strings.Fields(lines.Text())
		if len(f) > 7 && f[1] == local && f[2] == remote {
			user, err := strconv.ParseUint(f[7], 10, 31)
			if err != nil {
				return 0, fmt.Errorf("user of the other end: %w", err)
			}
			return int(user), nil
		}
	}
	return 0, errors.Join(lines.Err(), errNoSocket)
}

// tableAddress is an address as the table writes it: the four bytes as a number
// of this computer, and the port.
func tableAddress(a netip.AddrPort) string {
	ip := a.Addr().Unmap().As4()
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], binary.NativeEndian.Uint32(ip[:]))
	return strings.ToUpper(hex.EncodeToString(b[:])) + fmt.Sprintf(":%04X", a.Port())
}

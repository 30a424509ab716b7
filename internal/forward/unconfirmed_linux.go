package forward

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unconfirmed is how many bytes were written that the other computer has not
// confirmed.
func unconfirmed(c net.Conn) (int, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("look at the connection: %w", err)
	}
	var n int
	var wrong error
	if err := raw.Control(func(fd uintptr) { n, wrong = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		return 0, fmt.Errorf("look at the connection: %w", err)
	}
	if wrong != nil {
		return 0, fmt.Errorf("look at the connection: %w", wrong)
	}
	return n, nil
}

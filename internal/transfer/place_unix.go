//go:build unix

package transfer

import "golang.org/x/sys/unix"

// Flags of opening: nothing waits for the other end of a pipe, and no link is
// followed at the end of a path.
const (
	noWait   = unix.O_NONBLOCK
	noFollow = unix.O_NOFOLLOW
)

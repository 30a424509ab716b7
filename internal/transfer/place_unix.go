//go:build unix

package transfer

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Flags of opening: nothing waits for the other end of a pipe, and no link is
// followed at the end of a path.
const (
	noWait   = unix.O_NONBLOCK
	noFollow = unix.O_NOFOLLOW
)

// ownAlone reports whether a file is the caller's, or the system's as on media
// that know no owners, and has no other name.
func ownAlone(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int64(st.Uid) == int64(os.Geteuid()) || st.Uid == 0) && st.Nlink == 1
}

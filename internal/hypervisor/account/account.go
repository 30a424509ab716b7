// Package account gives each machine a user id of its own, under which its
// hypervisor runs when the agent is a system service. The drivers of package
// hypervisor use it, and nothing else does.
//
// The ids are taken from a range that belongs to Dormer. Which machine has
// which one is kept in a folder of the computer, the registry, so that no two
// machines share one, whichever agents they belong to.
package account

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

const (
	// DefaultRegistry is the registry of a computer.
	DefaultRegistry = "/var/lib/dormer-uids"
	// DefaultFirst is the first user id of the default range, 0x7f000000. It is
	// above what Debian (60000 to 64999), systemd (60001 to 65519, 524288 to
	// 1879048191), subordinate ids (from 100000), and directories (SSSD and
	// FreeIPA: 200000 to 2000200000) give away, and below what systemd
	// uses again (2147352576).
	DefaultFirst = 2130706432
	// DefaultCount is how many the default range has.
	DefaultCount = 10000

	lockName = "lock"
)

// Range are the ids that machines may get. The first is for trying
// accelerators out, and no machine's.
type Range struct {
	// Registry is a folder, made when it is missing.
	Registry string
	// First is the smallest id, Count how many there are.
	First, Count uint32
}

// Fill puts the defaults in the place of what is empty.
func (r Range) Fill() Range {
	if r.Registry == "" {
		r.Registry = DefaultRegistry
	}
	if r.First == 0 {
		r.First, r.Count = DefaultFirst, DefaultCount
	}
	return r
}

// Parse reads a range as "FIRST-LAST".
func Parse(text string) (first, count uint32, err error) {
	from, to, _ := strings.Cut(text, "-")
	a, err := strconv.ParseUint(from, 10, 32)
	b, toErr := strconv.ParseUint(to, 10, 32)
	if err = errors.Join(err, toErr); err != nil || b < a || b-a >= 1<<31 {
		return 0, 0, dormer.Invalidf("uids", "must be FIRST-LAST")
	}
	r := Range{First: uint32(a), Count: uint32(b - a + 1)}
	return r.First, r.Count, r.validate()
}

// String is the range as Parse reads it.
func (r Range) String() string { return fmt.Sprintf("%d-%d", r.First, r.First+r.Count-1) }

// Ids of users that a range must not have: those of people and programs, and
// the one that means nobody.
const (
	lowest  = 1000
	highest = 1<<32 - 2
)

func (r Range) validate() error {
	if r.First < lowest || r.Count < 2 || uint64(r.First)+uint64(r.Count)-1 > highest {
		return dormer.Invalidf("uids", "must be at least two of %d to %d", lowest, uint32(highest))
	}
	return nil
}

// Account is what a process may be: a user, the group of the same number, and
// no other group but the one that may use the accelerator.
type Account struct {
	ID     uint32
	Groups []uint32
}

// Credential is the account as a process gets it.
func (a Account) Credential() *syscall.Credential {
	return &syscall.Credential{Uid: a.ID, Gid: a.ID, Groups: a.Groups}
}

// Own makes a file the account's.
func (a Account) Own(path string) error {
	if err := os.Lchown(path, int(a.ID), int(a.ID)); err != nil {
		return fmt.Errorf("give file to user %d: %w", a.ID, err)
	}
	return nil
}

// Probe is the account for trying accelerators out.
func (r Range) Probe() (Account, error) {
	return Account{ID: r.First, Groups: acceleratorGroups()}, r.validate()
}

// Claim returns the account of the machine in dir, an absolute path. A machine
// keeps it until its directory is deleted. ErrUnavailable when none is left.
func (r Range) Claim(dir string) (Account, error) {
	id, err := r.claim(dir)
	if err != nil {
		return Account{}, fmt.Errorf("user id of machine: %w", err)
	}
	return Account{ID: id, Groups: acceleratorGroups()}, nil
}

func (r Range) claim(dir string) (_ uint32, err error) {
	if err := r.validate(); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(r.Registry, 0o700); err != nil {
		return 0, err
	}
	lock, err := os.OpenFile(filepath.Join(r.Registry, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return 0, fmt.Errorf("lock registry: %w", err)
	}
	taken, err := r.taken()
	if err != nil {
		return 0, err
	}
	for id, owner := range taken {
		if owner == dir && r.has(id) {
			return id, nil
		}
	}
	running, err := runningUsers()
	if err != nil {
		return 0, err
	}
	for i := uint32(1); i < r.Count; i++ {
		id := r.First + i
		if taken[id] != "" || running[id] || known(id) {
			continue
		}
		if err := os.Symlink(dir, filepath.Join(r.Registry, strconv.FormatUint(uint64(id), 10))); err != nil {
			return 0, err
		}
		return id, hypervisor.SyncDir(r.Registry)
	}
	return 0, fmt.Errorf("all of %s are taken: %w", r, dormer.ErrUnavailable)
}

func (r Range) has(id uint32) bool { return id > r.First && id-r.First < r.Count }

// taken reads the registry and forgets machines that were deleted. An entry is
// a symbolic link from the id to the machine's directory: it is there as a
// whole or not at all.
func (r Range) taken() (map[uint32]string, error) {
	entries, err := os.ReadDir(r.Registry)
	if err != nil {
		return nil, err
	}
	taken := map[uint32]string{}
	for _, e := range entries {
		id, err := strconv.ParseUint(e.Name(), 10, 32)
		if err != nil {
			continue
		}
		path := filepath.Join(r.Registry, e.Name())
		owner, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(owner); errors.Is(err, fs.ErrNotExist) {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			continue
		}
		taken[uint32(id)] = owner
	}
	return taken, nil
}

// known reports whether the computer has a user or a group of that id.
func known(id uint32) bool {
	text := strconv.FormatUint(uint64(id), 10)
	_, userErr := user.LookupId(text)
	_, groupErr := user.LookupGroupId(text)
	return userErr == nil || groupErr == nil
}

// runningUsers are the users of all processes: a deleted machine's may still
// be ending.
func runningUsers() (map[uint32]bool, error) {
	lists, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return nil, err
	}
	running := map[uint32]bool{}
	for _, list := range lists {
		f, err := os.Open(list)
		if err != nil {
			continue // it has ended
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			ids, ok := strings.CutPrefix(lines.Text(), "Uid:")
			if !ok {
				continue
			}
			for field := range strings.FieldsSeq(ids) {
				if id, err := strconv.ParseUint(field, 10, 32); err == nil {
					running[uint32(id)] = true
				}
			}
			break
		}
		_ = f.Close() // was only read
	}
	return running, nil
}

// accelerator is the device of the accelerator KVM.
const accelerator = "/dev/kvm"

// acceleratorGroups are the groups that a machine must have to use KVM:
// Debian's "kvm", or none where everybody may use it, or nobody.
func acceleratorGroups() []uint32 {
	st, err := os.Stat(accelerator)
	if err != nil {
		return nil
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || sys.Gid == 0 || st.Mode().Perm()&0o006 == 0o006 || st.Mode().Perm()&0o060 != 0o060 {
		return nil
	}
	return []uint32{sys.Gid}
}

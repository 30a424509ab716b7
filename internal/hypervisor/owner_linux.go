package hypervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dormer-project/dormer"
)

// ProcessID names a process for good: numbers are used again, but not with the
// same start time within one boot.
type ProcessID struct {
	PID int `json:"pid"`
	// Start is when it started, in clock ticks since the boot.
	Start uint64 `json:"start"`
	// Boot names the boot of the computer.
	Boot string `json:"boot"`
}

// IdentifyProcess returns the identity of a running process.
func IdentifyProcess(pid int) (ProcessID, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ProcessID{}, fmt.Errorf("identify process: %w", err)
	}
	start, state, err := parseStat(string(stat))
	if err != nil {
		return ProcessID{}, err
	}
	if state == "Z" || state == "X" {
		return ProcessID{}, fmt.Errorf("identify process: it has ended: %w", os.ErrProcessDone)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ProcessID{}, fmt.Errorf("identify boot: %w", err)
	}
	return ProcessID{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, nil
}

// parseStat takes start time and state from /proc/PID/stat. The program's name
// stands in parentheses and may hold anything.
func parseStat(stat string) (start uint64, state string, err error) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, "", fmt.Errorf("process table is not understood")
	}
	fields := strings.Fields(stat[end+1:])
	const stateField, startField = 0, 19 // fields 3 and 22 of the line
	if len(fields) <= startField {
		return 0, "", fmt.Errorf("process table is not understood")
	}
	start, err = strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("process table is not understood: %w", err)
	}
	return start, fields[stateField], nil
}

// Alive reports whether the very process still runs.
func (p ProcessID) Alive() bool {
	if p.PID <= 0 {
		return false
	}
	now, err := IdentifyProcess(p.PID)
	return err == nil && now == p
}

// Kill ends the very process at once; nothing happens when it has ended.
func (p ProcessID) Kill() error {
	if !p.Alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && p.Alive() {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return nil
}

// WriteProcess writes the identity of a running process to a file in dir.
func WriteProcess(dir, name string, pid int) error {
	id, err := IdentifyProcess(pid)
	if err != nil {
		return err
	}
	b, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return WriteFile(filepath.Join(dir, name), append(b, '\n'))
}

// ReadProcess reads the identity of a process from a file in dir. A file that
// is missing or damaged names no process.
func ReadProcess(dir, name string) ProcessID {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ProcessID{}
	}
	var id ProcessID
	if json.Unmarshal(b, &id) != nil {
		return ProcessID{}
	}
	return id
}

// LockFile takes the lock of a file of a machine's directory, one of the names
// that end in Lock. It returns false when somebody else has it. The lock is held
// until the file is closed or the process ends.
func LockFile(dir, name string) (*os.File, bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("lock machine: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if err == syscall.EWOULDBLOCK {
			return nil, false, nil
		}
		return nil, false, fmt.Errorf("lock machine: %w", err)
	}
	return f, true, nil
}

// goneTime is how long a killed QEMU may take to go.
const goneTime = 15 * time.Second

// LockForQEMU returns a file for a QEMU to inherit. FileQEMULock is locked until
// the last process that has the file has closed it or has ended.
func LockForQEMU(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, FileQEMULock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock machine: %w", err)
	}
	// Shared, and waited for: EndLeftBehind has it for a moment when it looks.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("lock machine: %w", err), f.Close())
	}
	return f, nil
}

// EndLeftBehind ends a QEMU that its owner has left behind and returns when it
// has gone. The kernel kills it with its owner, but not in no time, and its
// disks are locked until then. The lock shows it too where the owner was killed
// before it could write down which process QEMU is.
func EndLeftBehind(dir string) error {
	id := ReadProcess(dir, FileProcess)
	if err := id.Kill(); err != nil {
		return err
	}
	deadline := time.NewTimer(goneTime)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		lock, free, err := LockFile(dir, FileQEMULock)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing runs in a directory that is not there
		}
		if err != nil {
			return err
		}
		if free {
			if err := lock.Close(); err != nil {
				return fmt.Errorf("lock machine: %w", err)
			}
		}
		if free && !id.Alive() {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("QEMU of an earlier start does not end: %w", dormer.ErrUnavailable)
		}
	}
}

package load

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
)

// ticksPerSecond is the unit of times in /proc (USER_HZ), the same on every
// architecture that Linux has today.
const ticksPerSecond = 100

// stat is what /proc says of a process.
type stat struct {
	gone       bool // it has ended, and its parent has not looked yet
	parent     int
	own, ended time.Duration // processor time of itself, of children that ended
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("read the times of process %d: %w", pid, err)
	}
	// The name in parentheses may hold anything; what counts follows it.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("times of process %d: %w", pid, dormer.ErrCorrupt)
	}
	ticks := func(i int) time.Duration {
		n, _ := strconv.ParseInt(fields[i], 10, 64) // the kernel writes numbers
		return time.Duration(n) * (time.Second / ticksPerSecond)
	}
	parent, _ := strconv.Atoi(fields[1])
	return stat{gone: fields[0] == "Z", parent: parent, own: ticks(11) + ticks(12), ended: ticks(13) + ticks(14)}, nil
}

// children returns the processes whose parent is pid.
func children(pid int) ([]int, error) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, dir := range all {
		n, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if s, err := readStat(n); err == nil && s.parent == pid {
			found = append(found, n)
		}
	}
	return found, nil
}

// CPU returns the processor time that a process and its children have used,
// those that ended included.
func CPU(pid int) (time.Duration, error) {
	s, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	total := s.own + s.ended
	list, err := children(pid)
	if err != nil {
		return 0, err
	}
	for _, c := range list {
		s, err := readStat(c)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it ended meanwhile
		case err != nil:
			return 0, err
		default:
			total += s.own + s.ended
		}
	}
	return total, nil
}

// PeakMemory returns the largest resident memory of a process in bytes since it
// began, or since ForgetPeak.
func PeakMemory(pid int) (int64, error) { return memory(pid, "VmHWM:") }

// Memory returns the resident memory of a process in bytes.
func Memory(pid int) (int64, error) { return memory(pid, "VmRSS:") }

func memory(pid int, field string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	_, rest, _ := strings.Cut(string(b), field)
	kib, err := strconv.ParseInt(strings.TrimSpace(strings.SplitN(rest, "kB", 2)[0]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, dormer.ErrCorrupt)
	}
	return kib << 10, nil
}

// ForgetPeak makes PeakMemory count from now on.
func ForgetPeak(pid int) error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("reset the peak memory of process %d: %w", pid, err)
	}
	return nil
}

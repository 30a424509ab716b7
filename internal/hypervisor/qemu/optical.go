package qemu

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/dormer-project/dormer/internal/hypervisor"
)

// isDrive reports whether a path is a drive of the host, and not a file with the
// image of a disc.
func isDrive(path string) bool { return strings.HasPrefix(path, "/dev/") }

// openMedium opens a drive or a disc image for QEMU, which may not do it itself.
// A drive is opened with or without a disc in it.
func openMedium(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !isDrive(path) && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// openOptical opens what is in the drive for QEMU.
func (p *plan) openOptical(inherit *inherited) error {
	if p.spec.Optical == "" {
		return nil
	}
	f, err := openMedium(p.spec.Optical)
	if err != nil {
		return fmt.Errorf("open disc: %w", err)
	}
	p.opened = append(p.opened, openedFile{name: p.spec.Optical, fd: inherit.add(f)})
	return nil
}

// firstMedium is the number of the first set of descriptors that is made while
// the machine runs; those below are of its start.
const firstMedium = 1000

// insert puts what path names into the drive in the place of what is there; an
// empty path leaves the drive empty.
func (m *machine) insert(ctx context.Context, path string) error {
	var f *os.File
	if path != "" {
		var err error
		if f, err = openMedium(path); err != nil {
			return fmt.Errorf("open disc: %w", err)
		}
		defer f.Close()
	}
	drive := map[string]any{"id": hypervisor.DeviceOptical}
	// A guest that has locked the tray is not asked.
	if err := m.monitor.execute(ctx, "blockdev-open-tray", map[string]any{"id": hypervisor.DeviceOptical, "force": true}, nil); err != nil {
		return err
	}
	if m.medium != "" {
		if err := m.monitor.execute(ctx, "blockdev-remove-medium", drive, nil); err != nil {
			return err
		}
		if err := m.monitor.execute(ctx, "blockdev-del", map[string]any{"node-name": m.medium}, nil); err != nil {
			return err
		}
		m.medium = ""
	}
	if f == nil {
		return nil
	}
	m.media++
	name, set := mediumID+"-"+strconv.Itoa(m.media), firstMedium+m.media
	if err := m.monitor.executeWith(ctx, "add-fd", map[string]any{"fdset-id": set}, nil, f); err != nil {
		return err
	}
	n := mediumNode(name, path, fmt.Sprintf("/dev/fdset/%d", set))
	if err := m.monitor.execute(ctx, "blockdev-add", n, nil); err != nil {
		return err
	}
	m.medium = name
	if err := m.monitor.execute(ctx, "blockdev-insert-medium", map[string]any{"id": hypervisor.DeviceOptical, "node-name": name}, nil); err != nil {
		return err
	}
	return m.monitor.execute(ctx, "blockdev-close-tray", drive, nil)
}

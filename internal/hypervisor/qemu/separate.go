package qemu

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// separate reports whether machines run as users of their own. Only root can
// make processes somebody else's.
func separate() bool { return os.Geteuid() == 0 }

// own lets QEMU's user open a pipe by its number.
func (p *plan) own(f *os.File) error {
	if p.account == nil {
		return nil
	}
	if err := f.Chown(int(p.account.ID), int(p.account.ID)); err != nil {
		return fmt.Errorf("hand over key: %w", err)
	}
	return nil
}

// handOver gives a QEMU that is a user of its own what it needs of a directory
// that it cannot reach, and returns the directory it runs in. Disks are handed
// over open: whatever becomes of QEMU, it has these and can open no others.
// What QEMU must find by name is in a directory of its own: the
// sockets of base disks, copies of the boot files, and the display's socket
// until takeBack.
func (p *plan) handOver(inherit *inherited) (string, error) {
	if p.account == nil {
		return p.spec.Dir, nil
	}
	own := filepath.Join(p.spec.Dir, hypervisor.DirQEMU)
	if err := os.Mkdir(own, 0o700); err != nil {
		return "", fmt.Errorf("directory of QEMU: %w", err)
	}
	if err := p.account.Own(own); err != nil {
		return "", err
	}
	for _, name := range p.layers {
		if err := p.handOverFile(inherit, name, os.O_RDWR); err != nil {
			return "", err
		}
	}
	if p.spec.Data != nil {
		if err := p.handOverFile(inherit, hypervisor.FileData, os.O_RDWR); err != nil {
			return "", err
		}
	}
	for _, source := range p.spec.Base {
		switch {
		case source.File != "":
			if err := p.handOverFile(inherit, source.File, os.O_RDONLY); err != nil {
				return "", err
			}
		case !filepath.IsAbs(source.Socket):
			if err := p.link(source.Socket, source.Socket); err != nil {
				return "", err
			}
		}
	}
	if p.spec.Boot != nil {
		boot := *p.spec.Boot
		p.spec.Boot = &boot
		for name, file := range map[string]*string{hypervisor.FileKernel: &boot.Kernel.File, hypervisor.FileInitrd: &boot.Initrd.File} {
			if *file == "" {
				continue
			}
			if err := p.bootFile(*file, name); err != nil {
				return "", err
			}
			*file = name
		}
	}
	d, err := os.Open(own)
	if err != nil {
		return "", fmt.Errorf("directory of QEMU: %w", err)
	}
	inherit.beside = append(inherit.beside, d)
	// By its path nobody but the agent may go there. The process that becomes
	// QEMU goes there while it still has this file.
	return fmt.Sprintf("/proc/self/fd/%d", d.Fd()), nil
}

func (p *plan) handOverFile(inherit *inherited, name string, flag int) error {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.spec.Dir, name)
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return fmt.Errorf("open disk for QEMU: %w", err)
	}
	p.opened = append(p.opened, openedFile{name: name, fd: inherit.add(f)})
	return nil
}

// link puts a file of the machine's directory into QEMU's as well, and makes
// it QEMU's.
func (p *plan) link(file, name string) error {
	to := filepath.Join(p.spec.Dir, hypervisor.DirQEMU, name)
	if err := os.Link(filepath.Join(p.spec.Dir, file), to); err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	return p.account.Own(to)
}

// bootFile gives QEMU a boot file: a copy of one that others may use too.
func (p *plan) bootFile(file, name string) (err error) {
	if filepath.Dir(file) == p.spec.Dir {
		return p.link(filepath.Base(file), name)
	}
	from, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to := filepath.Join(p.spec.Dir, hypervisor.DirQEMU, name)
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	_, err = io.Copy(f, from)
	if err = errors.Join(err, f.Close()); err != nil {
		if free, spaceErr := freeSpace(p.spec.Dir); spaceErr == nil && free < spaceForDisk {
			err = fmt.Errorf("%w: %w", err, dormer.ErrFull)
		}
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	return p.account.Own(to)
}

// takeBack takes what QEMU has opened out of its directory: boot files go, the
// display's socket becomes the agent's.
func (p *plan) takeBack() error {
	if p.account == nil {
		return nil
	}
	own := filepath.Join(p.spec.Dir, hypervisor.DirQEMU)
	for _, name := range []string{hypervisor.FileKernel, hypervisor.FileInitrd} {
		if err := os.Remove(filepath.Join(own, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("take back %s: %w", name, err)
		}
	}
	if !p.spec.Display {
		return nil
	}
	// Moved first and looked at then: here QEMU cannot exchange it any more.
	display := filepath.Join(p.spec.Dir, hypervisor.FileDisplay)
	if err := os.Rename(filepath.Join(own, hypervisor.FileDisplay), display); err != nil {
		return fmt.Errorf("take display: %w", err)
	}
	st, err := os.Lstat(display)
	if err == nil && st.Mode().Type() != fs.ModeSocket {
		err = fmt.Errorf("it is no socket: %w", dormer.ErrCorrupt)
	}
	if err == nil {
		err = os.Lchown(display, os.Geteuid(), os.Getegid())
	}
	if err == nil {
		err = os.Chmod(display, 0o600)
	}
	if err != nil {
		return fmt.Errorf("take display: %w", err)
	}
	return nil
}

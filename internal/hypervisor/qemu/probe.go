package qemu

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/account"
)

// accelerator is a way to run machines.
type accelerator struct {
	name   string
	option string // of -accel
	cpu    string // of -cpu
}

// accelerators lists what is tried, the best first. The processor model of
// emulated machines is named and has what current systems ask for
// (x86-64-v2), so that it is the same with the next QEMU.
func accelerators(system string) []accelerator {
	emulated := accelerator{name: "tcg", option: "tcg,thread=multi", cpu: "Nehalem-v1"}
	switch system {
	case "linux":
		return []accelerator{{name: "kvm", option: "kvm", cpu: "host,migratable=on"}, emulated}
	case "darwin":
		return []accelerator{{name: "hvf", option: "hvf", cpu: "host"}, emulated}
	case "windows":
		return []accelerator{{name: "whpx", option: "whpx,kernel-irqchip=off", cpu: "max"}, emulated}
	default:
		return []accelerator{emulated}
	}
}

const (
	// probeTime is how long the tiny machine may take. It takes half a second
	// emulated on a slow host; an accelerator that needs longer is of no use.
	probeTime = 10 * time.Second
	// emulatedTime is how long it may take emulated, on a host that is very busy:
	// nothing is left to be tried after that.
	emulatedTime = time.Minute
	// probeExit is QEMU's exit status when the tiny machine has arrived at its end.
	probeExit = 0x2a<<1 | 1
	// probeDisk is the size of the tiny machine's disk in bytes.
	probeDisk = 1 << 20
)

// probeSector is the boot sector of a machine that shows whether an
// accelerator works. Some start, run the firmware at a crawl and never get a
// kernel going; so it does what kernels do: it switches to long mode with
// paging, runs a loop of 64 million steps, and ends the machine.
//
//	     cli; xorw %ax,%ax; movw %ax,%ds; movw %ax,%es; movw %ax,%ss; movw $0x7c00,%sp
//	     movw $0x1000,%di; movw $0x1800,%cx; cld; rep stosw    # page tables: one page of 2 MiB
//	     movw $0x2003,0x1000; movw $0x3003,0x2000; movw $0x83,0x3000
//	     movl $0xa0,%eax; movl %eax,%cr4; movl $0x1000,%eax; movl %eax,%cr3
//	     movl $0xc0000080,%ecx; rdmsr; orl $0x100,%eax; wrmsr  # EFER.LME
//	     lgdtl gdtr; movl %cr0,%eax; orl $0x80000001,%eax; movl %eax,%cr0; ljmpl $8,$long
//	long: movl $0x4000000,%ecx; 1: decl %ecx; jnz 1b
//	     movw $0xf4,%dx; movb $0x2a,%al; outb %al,%dx; 2: hlt; jmp 2b
//	gdt: .quad 0, 0x00209a0000000000; gdtr: .word 15; .long gdt
const probeSector = "fa31c08ed88ec08ed0bc007cbf0010b90018fcf3abc70600100320c70600200330c7060030830066b8a00000000f22e066b8" +
	"001000000f22d866b9800000c00f32660d000100000f30660f0116887c0f20c0660d010000800f22c066ea637c00000800b9" +
	"00000004ffc975fc66baf400b02aeef4ebfd6690000000000000000000000000009a20000f00787c0000"

// verdict is what is remembered of a probe.
type verdict struct {
	QEMU        string    `json:"qemu"`
	Accelerator string    `json:"accelerator"`
	At          time.Time `json:"at"`
}

// version asks QEMU which one it is.
func (d *Driver) version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, d.cfg.QEMU, "--version").Output()
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is not installed: %w", d.cfg.QEMU, dormer.ErrUnsupported)
	}
	if err != nil {
		return "", fmt.Errorf("version of QEMU: %w", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	m := regexp.MustCompile(`version (\d+\.\d+(\.\d+)?)`).FindStringSubmatch(line)
	if m == nil {
		return "", fmt.Errorf("version of QEMU is not understood: %w", dormer.ErrUnsupported)
	}
	return m[1], nil
}

// choose returns the best accelerator that boots. The verdict is kept until
// QEMU's version changes or the file is removed.
func (d *Driver) choose(ctx context.Context) (string, accelerator, error) {
	d.probing.Lock()
	defer d.probing.Unlock()
	version, err := d.version(ctx)
	if err != nil {
		return "", accelerator{}, err
	}
	list := accelerators(runtime.GOOS)
	if d.cfg.Accelerator != "" {
		for _, a := range list {
			if a.name == d.cfg.Accelerator {
				return version, a, nil
			}
		}
		return "", accelerator{}, dormer.Invalidf("accelerator", "is not one of this system's")
	}
	if name := d.remembered(version); name != "" {
		for _, a := range list {
			if a.name == name {
				return version, a, nil
			}
		}
	}
	for _, a := range list {
		err := d.boots(ctx, a)
		if err == nil {
			d.remember(verdict{QEMU: version, Accelerator: a.name, At: d.cfg.Now().UTC()})
			return version, a, nil
		}
		if ctx.Err() != nil {
			return "", accelerator{}, fmt.Errorf("probe accelerators: %w", ctx.Err())
		}
		d.cfg.Log.Info("accelerator does not boot a machine", slog.String("accelerator", a.name), slog.Any("error", err))
	}
	return "", accelerator{}, fmt.Errorf("QEMU boots no machine here: %w", dormer.ErrUnsupported)
}

func (d *Driver) remembered(version string) string {
	if d.verdict.QEMU == version {
		return d.verdict.Accelerator
	}
	if d.cfg.ProbeFile == "" {
		return ""
	}
	b, err := os.ReadFile(d.cfg.ProbeFile)
	if err != nil {
		return ""
	}
	var v verdict
	if json.Unmarshal(b, &v) != nil || v.QEMU != version {
		return ""
	}
	d.verdict = v
	return v.Accelerator
}

// remember keeps a verdict. A file that cannot be written costs the next start
// a probe and nothing else.
func (d *Driver) remember(v verdict) {
	d.verdict = v
	if d.cfg.ProbeFile == "" {
		return
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = hypervisor.WriteFile(d.cfg.ProbeFile, append(b, '\n'))
	}
	if err != nil {
		d.cfg.Log.Warn("cannot remember which accelerator works", slog.Any("error", err))
	}
}

// boots runs the tiny machine.
func (d *Driver) boots(ctx context.Context, a accelerator) (err error) {
	var user *account.Account
	if separate() {
		// What only root may use is of no use to machines.
		probe, err := d.cfg.Accounts.Probe()
		if err != nil {
			return fmt.Errorf("probe: %w", err)
		}
		user = &probe
	}
	sector, err := hex.DecodeString(probeSector)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	disk := make([]byte, probeDisk)
	copy(disk, sector)
	disk[510], disk[511] = 0x55, 0xaa
	file, err := os.CreateTemp("", "dormer-probe-")
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = file.Write(disk)
	if err = errors.Join(err, os.Remove(file.Name())); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	within := probeTime
	if a.name == "tcg" {
		within = emulatedTime
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var said tail
	cmd := exec.CommandContext(ctx, d.cfg.QEMU, "-nodefaults", "-no-user-config", "-machine", d.cfg.MachineType, "-accel", a.option, "-cpu", a.cpu,
		"-m", "32M", "-display", "none", "-vga", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
		"-add-fd", "fd=3,set=0",
		"-blockdev", node{"driver": "raw", "node-name": "d", "file": node{"driver": "file", "filename": "/dev/fdset/0"}}.text(),
		"-device", "virtio-blk-pci,drive=d,bootindex=0")
	cmd.ExtraFiles = []*os.File{file}
	cmd.Dir = "/"
	cmd.Stderr = &said
	process, err := startChild(cmd, user)
	if err != nil {
		return fmt.Errorf("start probe: %w", err)
	}
	select {
	case <-process.done:
	case <-ctx.Done():
		process.kill()
		return fmt.Errorf("machine did not boot within %s", within)
	}
	var exit *exec.ExitError
	switch {
	case errors.As(process.err, &exit) && exit.ExitCode() == probeExit:
		return nil
	case process.err != nil:
		return fmt.Errorf("machine did not boot: %w: %s", process.err, said.last())
	default:
		return errors.New("machine ended early")
	}
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line[:min(len(line), 300)]
}

// Package qemu is the driver of hypervisor.Driver for QEMU, in the calling
// process: the machines it starts end with it. The machine process
// (internal/machine) runs one; nothing else but tests imports it.
//
// Everything between the two processes is inherited: the monitor, the guest
// port, the console and the network are socket pairs, keys come through pipes.
// Only base disks that are served by a network block device server and the
// display have names in the file system.
//
// Below root QEMU and passt run as a user that no other machine has (package
// account). They get the disks open and see one directory of the machine's.
package qemu

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/account"
	"github.com/dormer-project/dormer/internal/hypervisor/hostlink"
)

// Config is what the driver is told. Default fills in what is empty.
type Config struct {
	// QEMU, Image and Passt are the programs: names or paths.
	QEMU, Image, Passt string
	// UEFI is the file of a UEFI firmware.
	UEFI string
	// MachineType is the versioned type of machines whose Spec names none.
	MachineType string
	// Accelerator is taken without a probe; empty probes.
	Accelerator string
	// ProbeFile remembers which accelerator boots; empty remembers nothing.
	ProbeFile string
	// Accounts are the users that machines run as when the calling process is
	// root. As any other user they run as that.
	Accounts account.Range
	// Bridges are patterns of the names of the host's adapters that machines may be
	// bridged to; empty allows none.
	Bridges []string
	// HostMemory is this computer's memory in MiB; 0 looks.
	HostMemory int
	// Software is how the host introduces itself to guests.
	Software string
	Log      *slog.Logger
	Now      func() time.Time
}

// Default returns the configuration of a Debian host.
func Default() Config {
	return Config{
		QEMU: "qemu-system-x86_64", Image: "qemu-img", Passt: "passt",
		UEFI: "/usr/share/ovmf/OVMF.fd", MachineType: "pc-q35-7.2", Software: "dormer",
		Accounts: account.Range{}.Fill(),
		Log:      slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

// Driver implements hypervisor.Driver.
type Driver struct {
	cfg Config

	probing sync.Mutex // held while accelerators are probed; guards verdict
	verdict verdict

	mu       sync.Mutex // guards the field below
	machines map[string]*machine
}

var _ hypervisor.Driver = (*Driver)(nil)

// New returns a driver. Empty fields of cfg are those of Default.
func New(cfg Config) *Driver {
	def := Default()
	fill := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	fill(&cfg.QEMU, def.QEMU)
	fill(&cfg.Image, def.Image)
	fill(&cfg.Passt, def.Passt)
	fill(&cfg.UEFI, def.UEFI)
	fill(&cfg.MachineType, def.MachineType)
	fill(&cfg.Software, def.Software)
	cfg.Accounts = cfg.Accounts.Fill()
	if cfg.Log == nil {
		cfg.Log = def.Log
	}
	if cfg.Now == nil {
		cfg.Now = def.Now
	}
	return &Driver{cfg: cfg, machines: map[string]*machine{}}
}

// Probe implements hypervisor.Driver.
func (d *Driver) Probe(ctx context.Context) (hypervisor.Capabilities, error) {
	version, a, err := d.choose(ctx)
	if err != nil {
		return hypervisor.Capabilities{}, fmt.Errorf("probe hypervisor: %w", err)
	}
	caps := hypervisor.Capabilities{
		Hypervisor: "QEMU " + version, Accelerator: a.name, Accelerated: a.name != "tcg",
		MachineTypes: []string{d.cfg.MachineType}, CPU: a.cpu,
		Networks: []hypervisor.Network{hypervisor.NetworkNone}, Firmwares: []hypervisor.Firmware{hypervisor.FirmwareBIOS},
	}
	if !caps.Accelerated {
		caps.Notes = append(caps.Notes, "No hardware acceleration boots a machine here: machines are emulated and slow.")
	}
	if _, err := exec.LookPath(d.cfg.Passt); err == nil {
		caps.Networks = append(caps.Networks, hypervisor.NetworkNAT)
	} else {
		caps.Notes = append(caps.Notes, "The program passt is not installed: machines have no network.")
	}
	if caps.Bridges = d.bridgeable(); len(caps.Bridges) > 0 {
		caps.Networks = append(caps.Networks, hypervisor.NetworkBridged)
	}
	if _, err := os.Stat(d.cfg.UEFI); err == nil {
		caps.Firmwares = append(caps.Firmwares, hypervisor.FirmwareUEFI)
	} else {
		caps.Notes = append(caps.Notes, "The UEFI firmware (ovmf) is not installed: images that need it do not start.")
	}
	return caps, nil
}

// Adopt implements hypervisor.Driver. It knows the machines of this process
// only, because the others have ended with theirs.
func (d *Driver) Adopt(_ context.Context, dir string) (hypervisor.Machine, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m, ok := d.machines[dir]; ok {
		return m, nil
	}
	lock, free, err := hypervisor.LockFile(dir, hypervisor.FileLock)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("adopt machine: no directory: %w", dormer.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("adopt machine: %w", err)
	case !free:
		return nil, fmt.Errorf("adopt machine: it belongs to another process: %w", dormer.ErrUnavailable)
	}
	err = errors.Join(hypervisor.EndLeftBehind(dir), hypervisor.CleanUp(dir), lock.Close())
	return nil, errors.Join(fmt.Errorf("adopt machine: %w", dormer.ErrNotFound), err)
}

// Start implements hypervisor.Driver.
func (d *Driver) Start(ctx context.Context, spec hypervisor.Spec, secrets hypervisor.Secrets) (hypervisor.Machine, error) {
	if err := errors.Join(spec.Validate(), spec.Supported(), secrets.Validate()); err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	lock, free, err := hypervisor.LockFile(spec.Dir, hypervisor.FileLock)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("start machine: its directory: %w", dormer.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("start machine: %w", err)
	case !free:
		return nil, fmt.Errorf("start machine: it runs already: %w", dormer.ErrExists)
	}
	m, err := d.start(ctx, spec, secrets, lock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start machine: %w", err), keepSockets(spec), lock.Close())
	}
	d.machines[spec.Dir] = m
	go func() {
		<-m.done
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.machines[spec.Dir] == m {
			delete(d.machines, spec.Dir)
		}
	}()
	return m, nil
}

// start does it with the lock held, which the machine closes at its end.
func (d *Driver) start(ctx context.Context, spec hypervisor.Spec, secrets hypervisor.Secrets, lock *os.File) (*machine, error) {
	// A QEMU whose owner was killed is being killed by the kernel; its disks
	// are locked until it has gone.
	if err := hypervisor.EndLeftBehind(spec.Dir); err != nil {
		return nil, err
	}
	if err := errors.Join(keepSockets(spec), hostlink.CleanUp(spec.Dir)); err != nil {
		return nil, err
	}
	version, a, err := d.choose(ctx)
	if err != nil {
		return nil, err
	}
	fitted, missing, err := d.fit(spec)
	if err != nil {
		return nil, err
	}
	p, err := d.plan(fitted, a)
	if err != nil {
		return nil, err
	}
	p.wanted, p.missing = spec, missing
	if err := d.planBridges(&p); err != nil {
		return nil, err
	}
	layerKey, err := d.prepareDisks(ctx, &p, secrets)
	if err != nil {
		return nil, err
	}
	if separate() {
		user, err := d.cfg.Accounts.Claim(spec.Dir)
		if err != nil {
			return nil, err
		}
		p.account = &user
	}
	return d.startFrom(ctx, p, version, secrets.DiskKey, layerKey, lock)
}

// keepSockets removes leftovers but the sockets of base disks, whose server
// was started before.
func keepSockets(spec hypervisor.Spec) error {
	wanted := map[string]bool{}
	for _, b := range spec.Base {
		wanted[b.Socket] = true
		wanted[filepath.Join(spec.Dir, b.Socket)] = true // as QEMU has it
	}
	if b := spec.Boot; b != nil {
		wanted[b.Kernel.File], wanted[b.Initrd.File] = true, true
	}
	entries, err := os.ReadDir(spec.Dir)
	if err != nil {
		return fmt.Errorf("look for leftovers: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(spec.Dir, e.Name())
		if !hypervisor.Leftover(e.Name()) || wanted[path] || e.IsDir() && e.Name() != hypervisor.DirQEMU || e.Name() == hypervisor.FileOwner || e.Name() == hypervisor.FileControl {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove leftovers: %w", err)
		}
	}
	return nil
}

// plan turns a Spec into what the arguments are made of.
func (d *Driver) plan(spec hypervisor.Spec, a accelerator) (plan, error) {
	// QEMU runs in the machine's directory: a short name is no longer than a
	// socket's name may be.
	spec.Base = slices.Clone(spec.Base)
	p := plan{spec: spec, accelerator: a, machineType: spec.MachineType, uuid: machineUUID(spec.Machine), mac: machineMAC(spec.Machine)}
	if p.machineType == "" {
		p.machineType = d.cfg.MachineType
	}
	if spec.Firmware == hypervisor.FirmwareUEFI {
		if _, err := os.Stat(d.cfg.UEFI); err != nil {
			return plan{}, fmt.Errorf("the image wants UEFI firmware, which is not installed (Debian package ovmf): %w", dormer.ErrUnsupported)
		}
		p.firmware = d.cfg.UEFI
	}
	sources := spec.Base
	if b := spec.Boot; b != nil {
		sources = append(append([]hypervisor.DiskSource{}, sources...), b.Kernel)
		if b.Kernel.File == "" || b.Initrd != (hypervisor.DiskSource{}) && b.Initrd.File == "" {
			return plan{}, fmt.Errorf("boot files must be local files: %w", dormer.ErrUnsupported)
		}
		if b.Initrd.File != "" {
			sources = append(sources, b.Initrd)
		}
	}
	for _, s := range sources {
		if s.Image != nil {
			return plan{}, fmt.Errorf("disk of an image store: %w", dormer.ErrUnsupported)
		}
		if _, err := os.Stat(s.File + s.Socket); err != nil {
			return plan{}, fmt.Errorf("base disk or boot file %s: %w", filepath.Base(s.File+s.Socket), dormer.ErrNotFound)
		}
	}
	for i := range spec.Base {
		if s := &spec.Base[i]; s.Socket != "" && filepath.Dir(s.Socket) == spec.Dir {
			s.Socket = filepath.Base(s.Socket)
		}
		p.layers = append(p.layers, hypervisor.FileLayer(spec.Overlay, spec.Layer, i))
	}
	return p, nil
}

// hexKey is a key as QEMU takes it. LUKS in QEMU wants text.
func hexKey(key []byte) []byte { return []byte(hex.EncodeToString(key)) }

// machineUUID is the machine's identity as its firmware shows it.
func machineUUID(id dormer.MachineID) string {
	h := sha256.Sum256([]byte("dormer machine uuid " + id))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // version 8, of no registry
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// machineMAC is the address of the network adapter, the same at each start.
func machineMAC(id dormer.MachineID) string {
	h := sha256.Sum256([]byte("dormer machine mac " + id))
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", h[0], h[1], h[2])
}

// keyCheck is a value that only the key gives. It is kept beside the disks, so
// that a wrong key is told from a broken disk.
func keyCheck(key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("dormer disk key check"))
	return []byte(hex.EncodeToString(mac.Sum(nil)) + "\n")
}

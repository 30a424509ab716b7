package workbench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/control"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/nbd"
	"github.com/dormer-project/dormer/internal/policy"
)

const (
	// trialMemory is the memory of a machine of which nobody says anything, in MiB.
	trialMemory = 2048
	// trialLayer names the layer that is thrown away.
	trialLayer = "test"
)

// trialBase serves a disk, and notes what is read of it.
type trialBase struct {
	*imagepack.RawDisk
	recorder *nbd.Recorder
	reads    atomic.Int64 // a sign of life
}

// ReadAt counts the reads.
func (b *trialBase) ReadAt(p []byte, off int64) (int, error) {
	b.reads.Add(1)
	return b.RawDisk.ReadAt(p, off)
}

// Extents implements nbd.Source.
func (b *trialBase) Extents(off, length int64) ([]nbd.Extent, error) {
	start, end, ok, err := b.Data(off)
	switch {
	case err != nil:
		return nil, err
	case !ok || start >= off+length:
		return []nbd.Extent{{Length: length, Zero: true}}, nil
	case start > off:
		return []nbd.Extent{{Length: start - off, Zero: true}}, nil
	default:
		return []nbd.Extent{{Length: min(end-off, length)}}, nil
	}
}

// start opens the disks and starts the machine.
func (t *Trial) start(ctx context.Context) error {
	for i, disk := range t.options.Description.Disks {
		if disk.Format != "" && disk.Format != "raw" || disk.Format == "" && !strings.EqualFold(filepath.Ext(disk.Path), ".raw") {
			t.options.Listener.Note("opening " + disk.Path)
		}
		raw, err := imagepack.OpenRaw(ctx, imagepack.DiskInput{Name: disk.Name, Path: disk.Path, Format: disk.Format}, filepath.Join(t.dir, fmt.Sprintf("source-%d.raw", i)))
		if err != nil {
			return err
		}
		t.bases = append(t.bases, &trialBase{RawDisk: raw})
	}
	if err := os.MkdirAll(filepath.Dir(t.options.ProbeFile), 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	// Who tries a disk here may use this computer's adapters, as an agent's
	// configuration would have to allow.
	driver := qemu.New(qemu.Config{
		ProbeFile: t.options.ProbeFile, Bridges: []string{"*"}, Software: t.options.Software,
		Log: slog.New(slog.DiscardHandler), Now: t.options.Now,
	})
	caps, err := driver.Probe(ctx)
	if err != nil {
		return err
	}
	if !caps.Accelerated {
		t.options.Listener.Warn("Nothing here boots accelerated machines: this one is emulated and slow.")
	}
	spec, err := t.spec(caps)
	if err != nil {
		return err
	}
	if err := t.serve(&spec); err != nil {
		return err
	}
	var key [32]byte
	if _, err := io.ReadFull(t.options.Random, key[:]); err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	t.began = t.options.Now()
	if t.machine, err = driver.Start(ctx, spec, hypervisor.Secrets{DiskKey: key[:]}); err != nil {
		return err
	}
	st, err := t.machine.Status(ctx)
	if err != nil {
		return err
	}
	t.Report.ComputerName, t.Report.Display = spec.ComputerName, filepath.Join(t.dir, hypervisor.FileDisplay)
	t.Report.Memory, t.Report.Processors = spec.Memory, spec.Processors
	t.Report.Missing = st.Missing
	for _, missing := range st.Missing {
		t.options.Listener.Warn(missing)
	}
	return nil
}

// serve serves the disks on sockets in the machine's directory.
func (t *Trial) serve(spec *hypervisor.Spec) error {
	serving, stop := context.WithCancel(context.Background())
	t.stop = stop
	for i, base := range t.bases {
		base.recorder = nbd.NewRecorder(base, func(r nbd.Run) { t.note(i, r) })
		if t.options.Record == "" {
			base.recorder.Stop()
		}
		l, err := control.Listen(t.dir, hypervisor.FileBase(i))
		if err != nil {
			return err
		}
		t.serving.Go(func() {
			if err := nbd.NewServer(base.recorder, slog.New(slog.DiscardHandler)).Serve(serving, l); err != nil {
				t.options.Listener.Warn(fmt.Sprintf("disk %d is no longer served: %v", i, err))
			}
		})
		spec.Base = append(spec.Base, hypervisor.DiskSource{Socket: filepath.Join(t.dir, hypervisor.FileBase(i))})
	}
	return nil
}

// note takes a first read into the profile.
func (t *Trial) note(disk int, r nbd.Run) {
	t.recording.Lock()
	defer t.recording.Unlock()
	if len(t.reads) < imageformat.MaxStartupReads {
		t.reads = append(t.reads, imageformat.StartupRead{Disk: disk, Block: r.Block, Blocks: r.Blocks})
	}
}

// spec is the machine that the policy wants of the disks.
func (t *Trial) spec(caps hypervisor.Capabilities) (hypervisor.Spec, error) {
	id, err := dormer.NewID(t.options.Random)
	if err != nil {
		return hypervisor.Spec{}, fmt.Errorf("name machine: %w", err)
	}
	d, p, deployment := t.options.Description, t.policy, &t.policy.Deployment
	s := hypervisor.Spec{
		Machine: dormer.MachineID(id), Dir: t.dir, Name: "test", ComputerName: t.options.ComputerName,
		Firmware: hypervisor.Firmware(d.Firmware), DiskBus: d.DiskBus, TPM: d.TPM,
		Layer: trialLayer, Overlay: hypervisor.OverlayDiscard, Display: true,
		Memory: t.options.Memory, Processors: p.GuestProcessors(runtime.NumCPU()),
		Strict: p.Machine.OnMissing == policy.MissingRefuse,
	}
	if s.Memory == 0 && t.options.Document == nil {
		s.Memory = d.Memory
		if s.Memory == 0 {
			s.Memory = trialMemory
		}
	}
	if s.Memory == 0 {
		var host unix.Sysinfo_t
		if err := unix.Sysinfo(&host); err != nil {
			return s, fmt.Errorf("memory of this computer: %w", err)
		}
		s.Memory = p.GuestMemory(int(uint64(host.Totalram) * uint64(host.Unit) >> 20)) //nolint:unconvert // 32 bits wide on some systems
	}
	if d.Kernel != "" {
		s.Boot = &hypervisor.Boot{Append: d.Append}
		for _, file := range []struct {
			path string
			to   *hypervisor.DiskSource
		}{{d.Kernel, &s.Boot.Kernel}, {d.Initrd, &s.Boot.Initrd}} {
			if file.path == "" {
				continue
			}
			absolute, err := filepath.Abs(file.path)
			if err != nil {
				return s, fmt.Errorf("boot file: %w", err)
			}
			*file.to = hypervisor.DiskSource{File: absolute, Format: hypervisor.FormatRaw}
		}
	}
	if d.Data != nil {
		s.Data = &hypervisor.DataDisk{Size: int64(p.Machine.DataDisk.Size), Label: d.Data.Label, MountPoint: d.Data.MountPoint}
	}
	t.attach(&s, deployment, caps)
	return s, s.Supported()
}

// attach gives the machine what the grants allow.
func (t *Trial) attach(s *hypervisor.Spec, d *policy.EffectiveDeployment, caps hypervisor.Capabilities) {
	for _, c := range []struct {
		channel guestwire.Channel
		open    bool
	}{
		{guestwire.ChannelFiles, d.FileTransfer.HostToGuest.Allowed || d.FileTransfer.GuestToHost.Allowed},
		{guestwire.ChannelClipboard, d.Clipboard != "" && d.Clipboard != policy.DirectionNone},
		{guestwire.ChannelFolders, len(d.SharedFolders) > 0},
		{guestwire.ChannelPrint, d.Printing},
	} {
		if c.open {
			s.Channels = append(s.Channels, c.channel)
		}
	}
	switch {
	case d.Audio && d.Microphone:
		s.Sound = hypervisor.SoundDuplex
	case d.Audio:
		s.Sound = hypervisor.SoundOutput
	case d.Microphone:
		s.Sound = hypervisor.SoundInput
	}
	for _, class := range d.USB {
		s.USB = append(s.USB, hypervisor.USBClass(class))
	}
	if d.OpticalDrive {
		s.Optical = t.options.Optical
	}
	n := &t.policy.Network
	s.Network = hypervisor.Network(n.Mode)
	if s.Network != hypervisor.NetworkBridged {
		return
	}
	for _, adapter := range caps.Bridges {
		matches := func(pattern string) bool {
			ok, err := path.Match(pattern, adapter)
			return ok && err == nil
		}
		if (len(n.Adapters) == 0 || slices.ContainsFunc(n.Adapters, matches)) && len(s.Bridges) < hypervisor.MaxBridges {
			s.Bridges = append(s.Bridges, adapter)
		}
	}
}

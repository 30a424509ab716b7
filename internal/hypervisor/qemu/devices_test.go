package qemu

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// hardware starts the tiny guest's machine, changed, and returns it with the
// Spec it has. It does not wait for the guest.
func hardware(t *testing.T, cfg Config, change func(*hypervisor.Spec)) (*machine, hypervisor.Spec) {
	t.Helper()
	spec := hypervisortest.FindGuest(t, "tiny").Spec(t, hypervisortest.Dir(t))
	change(&spec)
	m, err := startHardware(t, cfg, spec)
	if err != nil {
		t.Fatalf("start: %v%s", err, hypervisortest.Logs(spec.Dir))
	}
	return m, spec
}

func startHardware(t *testing.T, cfg Config, spec hypervisor.Spec) (*machine, error) {
	t.Helper()
	cfg.Accelerator = "tcg"
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	started, err := New(cfg).Start(t.Context(), spec, hypervisortest.Secrets())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := started.Kill(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return started.(*machine), nil
}

// disc is the image of a disc with a text on it.
func disc(t *testing.T, text string) string {
	t.Helper()
	content := make([]byte, 64<<10)
	copy(content, text)
	path := filepath.Join(t.TempDir(), "disc, one.iso")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// attached is what the monitor says of a device; the zero Device when it is not there.
func attached(t *testing.T, m *machine, id string) hypervisor.Device {
	t.Helper()
	list, err := m.Devices(t.Context())
	if err != nil {
		st, _ := m.Status(t.Context())
		t.Fatalf("%v: %+v%s", err, st, hypervisortest.Logs(m.spec.Dir))
	}
	for _, d := range list {
		if d.ID == id {
			return d
		}
	}
	return hypervisor.Device{}
}

// Each device is there when the Spec grants it, and only then.
func TestDevicesFollowTheSpec(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.Monitor, "grants[].clipboard", "grants[].fileTransfer.direction", "grants[].printing",
		"grants[].opticalDrive", "grants[].usb", "grants[].audio", "grants[].microphone")
	iso := disc(t, "x")
	type row struct {
		name   string
		change func(*hypervisor.Spec)
		id     string
		want   hypervisor.Device
	}
	// Each group is one machine, since a start takes seconds.
	groups := [][]row{{
		{
			"files", func(s *hypervisor.Spec) { s.Channels = append(s.Channels, guestwire.ChannelFiles) }, "channel-files",
			hypervisor.Device{Type: "virtserialport", Detail: "org.dormer.files.0"},
		},
		{"sound", func(s *hypervisor.Spec) { s.Sound = hypervisor.SoundOutput }, "sound-codec", hypervisor.Device{Type: "hda-output", Detail: "audio"}},
		{"network", func(s *hypervisor.Spec) { s.Network = hypervisor.NetworkNAT }, "net-0", hypervisor.Device{Type: "virtio-net-pci", Detail: "net"}},
	}, {
		{
			"clipboard", func(s *hypervisor.Spec) { s.Channels = append(s.Channels, guestwire.ChannelClipboard) }, "channel-clipboard",
			hypervisor.Device{Type: "virtserialport", Detail: "org.dormer.clipboard.0"},
		},
		{"sound with microphone", func(s *hypervisor.Spec) { s.Sound = hypervisor.SoundDuplex }, "sound-codec", hypervisor.Device{Type: "hda-duplex", Detail: "audio"}},
		{"USB", func(s *hypervisor.Spec) { s.USB = []hypervisor.USBClass{hypervisor.USBPhone} }, "usb", hypervisor.Device{Type: "qemu-xhci"}},
		{
			"data disk", func(s *hypervisor.Spec) { s.Data = &hypervisor.DataDisk{Size: 1 << 20, Label: "d", MountPoint: "/d"} }, "data",
			hypervisor.Device{Type: "virtio-blk-pci", Detail: hypervisor.SerialData},
		},
	}, {
		{
			"folders", func(s *hypervisor.Spec) { s.Channels = append(s.Channels, guestwire.ChannelFolders) }, "channel-folders",
			hypervisor.Device{Type: "virtserialport", Detail: "org.dormer.folders.0"},
		},
		{
			"print", func(s *hypervisor.Spec) { s.Channels = append(s.Channels, guestwire.ChannelPrint) }, "channel-print",
			hypervisor.Device{Type: "virtserialport", Detail: "org.dormer.print.0"},
		},
		{"microphone", func(s *hypervisor.Spec) { s.Sound = hypervisor.SoundInput }, "sound-codec", hypervisor.Device{Type: "hda-micro", Detail: "audio"}},
		{"disc", func(s *hypervisor.Spec) { s.Optical = iso }, "optical", hypervisor.Device{Type: "ide-cd", Detail: iso}},
	}}
	bare, spec := hardware(t, Config{}, func(s *hypervisor.Spec) { s.Data = nil })
	if got := hypervisortest.Attached(t, bare); len(got) != 0 {
		t.Errorf("a machine that is granted nothing has %q", got)
	}
	for _, group := range groups {
		m, spec := hardware(t, Config{}, func(s *hypervisor.Spec) {
			s.Data = nil
			for _, r := range group {
				r.change(s)
			}
		})
		for _, r := range group {
			r.want.ID = r.id
			if got := attached(t, m, r.id); got != r.want {
				t.Errorf("%s: got %+v, want %+v", r.name, got, r.want)
			}
			if got := attached(t, bare, r.id); got.ID != "" {
				t.Errorf("%s without being granted: %+v", r.name, got)
			}
		}
		if got := hypervisortest.Attached(t, m); !slices.Equal(got, hypervisortest.Granted(spec)) {
			t.Errorf("%q is attached, and not %q", got, hypervisortest.Granted(spec))
		}
		if err := m.Kill(t.Context()); err != nil {
			t.Error(err)
		}
	}
	// All of it again, as far as it comes while the machine runs.
	spec.Channels = slices.Clone(guestwire.Channels)
	spec.USB = []hypervisor.USBClass{hypervisor.USBPhone}
	if parts, err := bare.Apply(t.Context(), spec); err != nil || len(parts) != 0 {
		t.Fatalf("apply: %q, %v", parts, err)
	}
	if got := hypervisortest.Attached(t, bare); !slices.Equal(got, hypervisortest.Granted(spec)) {
		t.Errorf("plugged in: %q, and not %q", got, hypervisortest.Granted(spec))
	}
}

// What the host cannot give is told in a sentence, or refused with all of it.
func TestHostThatLacksThings(t *testing.T) {
	t.Parallel()
	cfg := Config{Passt: "no-such-passt", HostMemory: 128}
	spec := hypervisortest.FindGuest(t, "tiny").Spec(t, hypervisortest.Dir(t))
	spec.Memory, spec.Network, spec.Sound, spec.Optical = 512, hypervisor.NetworkNAT, hypervisor.SoundDuplex, "/dev/no-such-drive"
	spec.Strict = true
	wants := []string{"96 MiB of memory", "passt", "microphone", "/dev/no-such-drive"}
	_, err := startHardware(t, cfg, spec)
	if !errors.Is(err, dormer.ErrUnsupported) {
		t.Fatalf("strict: %v", err)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	spec.Strict = false
	m, err := startHardware(t, cfg, spec)
	if err != nil {
		t.Fatal(err)
	}
	st, err := m.Status(t.Context())
	if err != nil || len(st.Missing) != len(wants) {
		t.Fatalf("missing: %q, %v", st.Missing, err)
	}
	for i, want := range wants {
		if !strings.Contains(st.Missing[i], want) {
			t.Errorf("%q is not about %s", st.Missing[i], want)
		}
	}
	if got := hypervisortest.Attached(t, m); slices.Contains(got, hypervisor.DeviceOptical) || slices.Contains(got, hypervisor.DeviceNetwork(0)) {
		t.Errorf("attached: %q", got)
	}
	var memory struct {
		Base int64 `json:"base-memory"`
	}
	if err := m.monitor.execute(t.Context(), "query-memory-size-summary", nil, &memory); err != nil || memory.Base != 96<<20 {
		t.Errorf("memory of %d bytes, %v", memory.Base, err)
	}
	// What cannot be given waits for no start.
	if parts, err := m.Apply(t.Context(), spec); err != nil || len(parts) != 0 {
		t.Errorf("apply of the same: %q, %v", parts, err)
	}
}

func TestOpticalMedium(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.Monitor, "grants[].opticalDrive")
	one, two := disc(t, "one"), disc(t, "two")
	m, spec := hardware(t, Config{}, func(s *hypervisor.Spec) { s.Optical = one })
	change := func(path, want string, waits ...hypervisor.Part) {
		t.Helper()
		spec.Optical = path
		parts, err := m.Apply(t.Context(), spec)
		if err != nil || !slices.Equal(parts, waits) {
			t.Fatalf("insert %q: %q waits, %v", path, parts, err)
		}
		if got := attached(t, m, hypervisor.DeviceOptical); got.Detail != want {
			t.Errorf("the drive has %q, and not %q", got.Detail, want)
		}
	}
	change(two, two)
	change("", "", hypervisor.PartOptical)
	change("", "", hypervisor.PartOptical)
	change(one, one)
	change(two, two)
	spec.Optical = filepath.Join(t.TempDir(), "none")
	if _, err := m.Apply(t.Context(), spec); err == nil {
		t.Error("a disc that is not there must be an error")
	}
	if got := attached(t, m, hypervisor.DeviceOptical); got.Detail != two {
		t.Errorf("after that the drive has %q", got.Detail)
	}
}

// The types of messages of usbredir.
const (
	redirHello        = 0
	redirConnect      = 1
	redirInterfaces   = 4
	redirEndpoints    = 5
	redirFilterReject = 22
)

// redirect is a USB device of one interface: it says hello and that it is
// connected, and returns a channel that is closed when it is rejected.
func redirect(t *testing.T, conn io.ReadWriter, class byte) <-chan struct{} {
	t.Helper()
	identity := make([]byte, 4) // of a message; it has 8 bytes once both have said hello
	send := func(kind uint32, body []byte) {
		t.Helper()
		head := binary.LittleEndian.AppendUint32(nil, kind)
		head = binary.LittleEndian.AppendUint32(head, uint32(len(body)))
		if _, err := conn.Write(slices.Concat(head, identity, body)); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() (uint32, error) {
		head := make([]byte, 8+len(identity))
		if _, err := io.ReadFull(conn, head); err != nil {
			return 0, err
		}
		_, err := io.CopyN(io.Discard, conn, int64(binary.LittleEndian.Uint32(head[4:])))
		return binary.LittleEndian.Uint32(head), err
	}
	hello := make([]byte, 64, 68)
	copy(hello, "test device")
	// It says its version, takes rejections, knows the size of packets, and has long identities and lengths.
	send(redirHello, binary.LittleEndian.AppendUint32(hello, 1<<1|1<<2|1<<4|1<<5|1<<6))
	if kind, err := receive(); err != nil || kind != redirHello {
		t.Fatalf("QEMU begins with message %d, %v", kind, err)
	}
	identity = make([]byte, 8)
	interfaces := binary.LittleEndian.AppendUint32(nil, 1)
	interfaces = append(interfaces, make([]byte, 4*32)...)
	interfaces[4+32] = class
	send(redirInterfaces, interfaces)
	endpoints := make([]byte, 3*32+2*32)
	for i := range 32 {
		endpoints[i] = 255 // none
	}
	for _, i := range []int{0, 16} { // the control endpoint, both ways
		endpoints[i] = 0
		endpoints[3*32+2*i] = 64
	}
	send(redirEndpoints, endpoints)
	connect := []byte{2, 0, 0, 0} // high speed, classes are the interfaces'
	connect = binary.LittleEndian.AppendUint16(connect, 0x1234)
	connect = binary.LittleEndian.AppendUint16(connect, 0x5678)
	connect = binary.LittleEndian.AppendUint16(connect, 0x0100)
	send(redirConnect, connect)
	rejected := make(chan struct{})
	go func() {
		for {
			switch kind, err := receive(); {
			case err != nil:
				return
			case kind == redirFilterReject:
				close(rejected)
				return
			}
		}
	}()
	return rejected
}

// accepted reports whether a slot has taken the device that is redirected to it.
func accepted(t *testing.T, m *machine, slot int, rejected <-chan struct{}) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var is bool
		path := treeNamed + "/" + hypervisor.DeviceUSBSlot(slot)
		if err := m.monitor.execute(ctx, "qom-get", map[string]any{"path": path, "property": "attached"}, &is); err != nil {
			t.Fatal(err)
		}
		if is {
			return true
		}
		select {
		case <-rejected:
			return false
		case <-ctx.Done():
			t.Fatal("the device is neither taken nor rejected")
		case <-tick.C:
		}
	}
}

// QEMU lets devices of allowed classes through and refuses the others.
func TestUSBFilter(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.Monitor, "grants[].usb")
	m, spec := hardware(t, Config{}, func(s *hypervisor.Spec) {
		s.USB = []hypervisor.USBClass{hypervisor.USBStorage, hypervisor.USBPhone}
	})
	const storage, printer, input, phone, vendor = 0x08, 0x07, 0x03, 0x02, 0xff
	check := func(class byte, allowed bool) {
		t.Helper()
		conn, err := m.Open(t.Context(), hypervisor.USBSlot(1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if d := attached(t, m, hypervisor.DeviceUSBSlot(1)); d.Type != "usb-redir" || d.Detail != usbFilter(spec.USB) {
			t.Errorf("slot: %+v", d)
		}
		if got := accepted(t, m, 1, redirect(t, conn, class)); got != allowed {
			t.Errorf("class %#02x: it is let through: %t", class, got)
		}
	}
	check(storage, true)
	check(phone, true)
	check(printer, false)
	check(input, false)
	check(vendor, false)

	conn, err := m.Open(t.Context(), hypervisor.USBSlot(0))
	if err != nil {
		t.Fatal(err)
	}
	spec.USB = []hypervisor.USBClass{hypervisor.USBPrinter, hypervisor.USBOther}
	if parts, err := m.Apply(t.Context(), spec); err != nil || len(parts) != 0 {
		t.Fatalf("apply: %q, %v", parts, err)
	}
	if d := attached(t, m, hypervisor.DeviceUSBSlot(0)); d.ID != "" {
		t.Errorf("a device stays although the classes have changed: %+v", d)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, os.ErrClosed) && !strings.Contains(err.Error(), "closed") {
		t.Errorf("end of the connection: %v", err)
	}
	check(printer, true)
	check(vendor, true)
	check(storage, false)

	spec.USB = nil
	if _, err := m.Apply(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(t.Context(), hypervisor.USBSlot(0)); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("USB that was taken away: %v", err)
	}
}

func TestUSBFilterText(t *testing.T) {
	for _, tt := range []struct {
		classes []hypervisor.USBClass
		want    string
	}{
		{nil, "0x01:-1:-1:-1:0|0x02:-1:-1:-1:0|0x0a:-1:-1:-1:0|0x03:-1:-1:-1:0|0x06:-1:-1:-1:0|0x07:-1:-1:-1:0|0x08:-1:-1:-1:0|0x0b:-1:-1:-1:0|0x0e:-1:-1:-1:0|-1:-1:-1:-1:0"},
		{[]hypervisor.USBClass{hypervisor.USBOther, hypervisor.USBPhone}, "0x01:-1:-1:-1:0|0x02:-1:-1:-1:1|0x0a:-1:-1:-1:1|0x03:-1:-1:-1:0|0x06:-1:-1:-1:0|0x07:-1:-1:-1:0|0x08:-1:-1:-1:0|0x0b:-1:-1:-1:0|0x0e:-1:-1:-1:0|-1:-1:-1:-1:1"},
	} {
		if got := usbFilter(tt.classes); got != tt.want {
			t.Errorf("%q: %s", tt.classes, got)
		}
	}
	if len(usbOrder) != len(usbCodes) || len(usbOrder)+1 != len(hypervisor.USBClasses) {
		t.Error("a class has no codes")
	}
}

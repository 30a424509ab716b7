package qemu

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/guestport"
)

func testPlan() plan {
	return plan{
		spec: hypervisor.Spec{
			Machine: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Dir: "/m", Memory: 512, Processors: 2, Layer: "v1",
			Overlay: hypervisor.OverlayKeep, Network: hypervisor.NetworkNone,
			Base: []hypervisor.DiskSource{{Socket: "base-0.nbd"}},
		},
		accelerator: accelerator{name: "tcg", option: "tcg,thread=multi", cpu: "Nehalem-v1"},
		machineType: "pc-q35-7.2", uuid: "u", mac: "52:54:00:00:00:01", layers: []string{"layer-v1-0.qcow2"},
		fds: descriptors{monitor: 3, guest: 4, console: 5, network: 6, layerKey: 7, dataKey: 8, channels: map[guestwire.Channel]int{guestwire.ChannelFolders: 9}},
	}
}

func TestArgumentsOfTheSmallestMachine(t *testing.T) {
	p := testPlan()
	p.fds.dataKey = 0
	want := []string{
		"-nodefaults", "-no-user-config", "-name", "guest=aaaaaaaaaaaaaaaaaaaaaaaaaa", "-uuid", "u",
		"-machine", "pc-q35-7.2,usb=off,vmport=off,dump-guest-core=off", "-accel", "tcg,thread=multi", "-cpu", "Nehalem-v1",
		"-m", "512M", "-smp", "2", "-rtc", "base=utc",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-action", "reboot=shutdown,panic=shutdown", "-msg", "timestamp=on", "-device", "virtio-rng-pci,id=rng",
		"-chardev", "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=control",
		"-object", "secret,id=key-layer,format=raw,file=/dev/fd/7",
		"-device", `{"addr":"0x10.0","bus":"pcie.0","chassis":1,"driver":"pcie-root-port","id":"hotplug-0","multifunction":true}`,
		"-device", `{"addr":"0x10.1","bus":"pcie.0","chassis":2,"driver":"pcie-root-port","id":"hotplug-1"}`,
		"-device", `{"addr":"0x10.2","bus":"pcie.0","chassis":3,"driver":"pcie-root-port","id":"hotplug-2"}`,
		"-device", `{"addr":"0x10.3","bus":"pcie.0","chassis":4,"driver":"pcie-root-port","id":"hotplug-3"}`,
		"-device", `{"addr":"0x10.4","bus":"pcie.0","chassis":5,"driver":"pcie-root-port","id":"hotplug-4"}`,
		"-device", `{"addr":"0x10.5","bus":"pcie.0","chassis":6,"driver":"pcie-root-port","id":"hotplug-5"}`,
		"-device", `{"addr":"0x10.6","bus":"pcie.0","chassis":7,"driver":"pcie-root-port","id":"hotplug-6"}`,
		"-device", `{"addr":"0x10.7","bus":"pcie.0","chassis":8,"driver":"pcie-root-port","id":"hotplug-7"}`,
		"-blockdev", `{"driver":"raw","file":{"driver":"nbd","read-only":true,"reconnect-delay":60,"server":{"path":"base-0.nbd","type":"unix"}},"node-name":"base0","read-only":true}`,
		"-blockdev", `{"backing":"base0","cache":{"no-flush":false},"discard":"unmap","driver":"qcow2","encrypt":{"format":"luks","key-secret":"key-layer"},"file":{"discard":"unmap","driver":"file","filename":"layer-v1-0.qcow2"},"node-name":"layer0"}`,
		"-device", "virtio-blk-pci,id=disk-0,drive=layer0,serial=dormer-system,rerror=stop,werror=stop,bootindex=0",
		"-device", "virtio-serial-pci,id=serial", "-chardev", "socket,id=guest,fd=4",
		"-device", "virtserialport,id=dormer-guest,bus=serial.0,nr=1,chardev=guest,name=org.dormer.guest.0",
		"-chardev", "socket,id=console,fd=5", "-device", "isa-serial,id=console,chardev=console",
		"-display", "none", "-vga", "none",
	}
	if diff := cmp.Diff(want, p.arguments()); diff != "" {
		t.Error(diff)
	}
}

// What the Spec grants is attached, and nothing else.
func TestArgumentsFollowTheSpec(t *testing.T) {
	tests := []struct {
		name   string
		change func(*plan)
		want   []string // parts that must appear then, and not without the change
	}{
		{"network", func(p *plan) { p.spec.Network = hypervisor.NetworkNAT }, []string{
			"stream,id=net,server=off,addr.type=fd,addr.str=6", "virtio-net-pci,id=net-0,netdev=net,romfile=,mac=52:54:00:00:00:01",
		}},
		{"display", func(p *plan) { p.spec.Display = true }, []string{"-vnc", "unix:display.sock", "VGA,id=display", "virtio-tablet-pci,id=pointer"}},
		{"data disk", func(p *plan) {
			p.spec.Data = &hypervisor.DataDisk{Size: 1 << 20, Label: "d", MountPoint: "/d"}
		}, []string{"virtio-blk-pci,id=data,drive=data,serial=dormer-data,rerror=stop,werror=stop"}},
		{"kernel", func(p *plan) {
			p.spec.Boot = &hypervisor.Boot{
				Kernel: hypervisor.DiskSource{File: "/k,x=y"}, Initrd: hypervisor.DiskSource{File: "/i"}, Append: "quiet a=b,c",
			}
		}, []string{"-kernel", "/k,x=y", "-initrd", "/i", "-append", "quiet a=b,c"}},
		{"firmware", func(p *plan) { p.firmware = "/ovmf" }, []string{"-bios", "/ovmf"}},
		{"channel", func(p *plan) { p.spec.Channels = []guestwire.Channel{guestwire.ChannelFolders} }, []string{
			"socket,id=char-folders,fd=9",
			`{"bus":"serial.0","chardev":"char-folders","driver":"virtserialport","id":"channel-folders","name":"org.dormer.folders.0","nr":4}`,
		}},
		{"sound to the display", func(p *plan) { p.spec.Sound, p.spec.Display = hypervisor.SoundOutput, true }, []string{
			"none,id=audio", `{"audiodev":"audio","bus":"sound.0","driver":"hda-output","id":"sound-codec"}`, "unix:display.sock,audiodev=audio",
		}},
		{"sound that may not be played", func(p *plan) { p.spec.Sound, p.spec.Display = hypervisor.SoundInput, true }, []string{
			`{"audiodev":"audio","bus":"sound.0","driver":"hda-micro","id":"sound-codec"}`, "unix:display.sock",
		}},
		{"USB", func(p *plan) { p.spec.USB = []hypervisor.USBClass{hypervisor.USBStorage} }, []string{
			`{"bus":"hotplug-7","driver":"qemu-xhci","id":"usb"}`,
		}},
		{"disc image", func(p *plan) { p.spec.Optical = "/discs/a, b.iso" }, []string{
			`{"driver":"raw","file":{"driver":"file","filename":"/discs/a, b.iso","read-only":true},"node-name":"medium","read-only":true}`,
			`{"bus":"ide.0","drive":"medium","driver":"ide-cd","id":"optical"}`,
		}},
		{"drive", func(p *plan) { p.spec.Optical = "/dev/sr0" }, []string{
			`{"driver":"raw","file":{"driver":"host_cdrom","filename":"/dev/sr0","read-only":true},"node-name":"medium","read-only":true}`,
		}},
		{"second disk", func(p *plan) {
			p.spec.Base = append(p.spec.Base, hypervisor.DiskSource{File: `/a "b",c`, Format: hypervisor.FormatQcow2})
			p.layers = append(p.layers, "layer-v1-1.qcow2")
		}, []string{
			`{"backing":null,"driver":"qcow2","file":{"driver":"file","filename":"/a \"b\",c","read-only":true},"node-name":"base1","read-only":true}`,
			"virtio-blk-pci,id=disk-1,drive=layer1,serial=dormer-system-1,rerror=stop,werror=stop,bootindex=1",
		}},
	}
	plain := testPlan().arguments()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := testPlan()
			tt.change(&p)
			got := p.arguments()
			for _, part := range tt.want {
				if !slices.Contains(got, part) {
					t.Errorf("%q is missing in %q", part, got)
				}
				if slices.Contains(plain, part) {
					t.Errorf("%q is there without being asked for", part)
				}
			}
		})
	}
}

func TestMayLeave(t *testing.T) {
	ip := func(source, target string) []byte {
		f := make([]byte, 14+20)
		binary.BigEndian.PutUint16(f[12:], 0x0800)
		f[14] = 0x45
		copy(f[26:], net.ParseIP(source).To4())
		copy(f[30:], net.ParseIP(target).To4())
		return f
	}
	ether := func(kind uint16) []byte {
		f := make([]byte, 60)
		binary.BigEndian.PutUint16(f[12:], kind)
		return f
	}
	allowed := map[string][]byte{
		"to the internet": ip("10.0.2.15", "198.51.100.7"), "to the gateway": ip("10.0.2.15", "10.0.2.2"),
		"DHCP": ip("0.0.0.0", "255.255.255.255"), "ARP": ether(0x0806),
	}
	refused := map[string][]byte{
		"to loopback": ip("10.0.2.15", "127.0.0.1"), "to all of loopback": ip("10.0.2.15", "127.200.3.4"),
		"to this host": ip("10.0.2.15", "0.0.0.0"), "to network 0": ip("10.0.2.15", "0.0.0.1"),
		"from loopback": ip("127.0.0.1", "198.51.100.7"), "from nowhere": ip("0.0.0.0", "198.51.100.7"),
		"to link-local": ip("10.0.2.15", "169.254.169.254"),
		"IPv6":          ether(0x86dd), "VLAN": ether(0x8100), "short": make([]byte, 13), "cut": ip("10.0.2.15", "10.0.2.2")[:30],
	}
	for name, f := range allowed {
		if !mayLeave(f) {
			t.Errorf("%s must pass", name)
		}
	}
	for name, f := range refused {
		if mayLeave(f) {
			t.Errorf("%s must not pass", name)
		}
	}
}

func FuzzMayLeave(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 34))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if mayLeave(frame) && len(frame) >= 34 && binary.BigEndian.Uint16(frame[12:]) == 0x0800 && frame[30] == 127 {
			t.Error("a packet for the loopback passes")
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte(`{"QMP":{"version":{}}}`))
	f.Add([]byte(`{"return":{},"id":7}`))
	f.Add([]byte(`{"error":{"class":"GenericError","desc":"no"},"id":1}`))
	f.Add([]byte(`{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-shutdown"}}`))
	f.Add([]byte(`{"return":null}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := decodeReply(line)
		if err != nil {
			if !errors.Is(err, dormer.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
			return
		}
		m := &machine{log: slog.New(slog.DiscardHandler)}
		if r.Event != "" && r.Event != "VSERPORT_CHANGE" {
			m.takeEvent(event{Name: r.Event, Data: r.Data})
		}
	})
}

// fakeQEMU answers the monitor protocol on one end of a pipe.
func fakeQEMU(t *testing.T, answer func(command string, id uint64, say func(string))) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	say := func(line string) { _, _ = theirs.Write([]byte(line + "\n")) } // fails when the test is over
	go func() {
		say(`{"QMP":{"version":{},"capabilities":[]}}`)
		s := bufio.NewScanner(theirs)
		for s.Scan() {
			var c struct {
				Execute string `json:"execute"`
				ID      uint64 `json:"id"`
			}
			if json.Unmarshal(s.Bytes(), &c) != nil {
				return
			}
			if c.Execute == "qmp_capabilities" {
				say(fmt.Sprintf(`{"return":{},"id":%d}`, c.ID))
				continue
			}
			answer(c.Execute, c.ID, say)
		}
	}()
	return ours
}

func TestMonitor(t *testing.T) {
	conn := fakeQEMU(t, func(command string, id uint64, say func(string)) {
		switch command {
		case "query-status":
			for i := range 3 * maxEvents {
				say(fmt.Sprintf(`{"event":"E%d","data":{}}`, i))
			}
			say(`not json`)
			say(`{"return":{},"id":999}`)
			say(fmt.Sprintf(`{"return":{"status":"running"},"id":%d}`, id))
		case "bad":
			say(fmt.Sprintf(`{"error":{"class":"GenericError","desc":"it is bad"},"id":%d}`, id))
		}
	})
	m, err := openMonitor(t.Context(), conn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Status string }
	// Nobody takes the events, and still the answer comes.
	if err := m.execute(t.Context(), "query-status", nil, &status); err != nil || status.Status != "running" {
		t.Fatalf("got %+v, %v", status, err)
	}
	if events := m.take(); len(events) != maxEvents || events[len(events)-1].Name != fmt.Sprintf("E%d", 3*maxEvents-1) {
		t.Errorf("%d events are kept", len(events))
	}
	if err := m.execute(t.Context(), "bad", nil, nil); err == nil || !strings.Contains(err.Error(), "it is bad") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.execute(ctx, "silence", nil, nil); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("without an answer: %v", err)
	}
	conn.Close()
	if err := m.execute(t.Context(), "query-status", nil, nil); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("after the end: %v", err)
	}
}

func TestConsoleIsBounded(t *testing.T) {
	dir := t.TempDir()
	c, err := openConsole(dir)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 1023) + "\n")
	c.follow(strings.NewReader(strings.Repeat(string(line), 3*maxConsole/len(line))))
	for _, name := range []string{hypervisor.FileConsole, hypervisor.FileConsoleOld} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Size() > maxConsole || st.Size() == 0 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

// The probe really boots; its verdict is remembered for this QEMU only.
func TestProbe(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		if os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("QEMU is not installed")
		}
		t.Skip("QEMU is not installed")
	}
	d := New(Config{})
	tcg := accelerators("other")[0]
	if err := d.boots(t.Context(), tcg); err != nil {
		t.Fatalf("emulation: %v", err)
	}
	if err := d.boots(t.Context(), accelerator{option: "tcg", cpu: "no-such-model"}); err == nil {
		t.Error("a machine that cannot start must not count as booted")
	}
	file := filepath.Join(t.TempDir(), "probe.json")
	d = New(Config{ProbeFile: file})
	version, err := d.version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.remember(verdict{QEMU: version, Accelerator: "tcg"})
	if got := New(Config{ProbeFile: file}).remembered(version); got != "tcg" {
		t.Errorf("remembered %q", got)
	}
	if got := New(Config{ProbeFile: file}).remembered("99.0"); got != "" {
		t.Errorf("remembered %q for another version", got)
	}
	caps, err := New(Config{ProbeFile: file}).Probe(t.Context())
	if err != nil || caps.Accelerator != "tcg" || caps.Accelerated || len(caps.Notes) == 0 {
		t.Errorf("got %+v, %v", caps, err)
	}
	if _, err := New(Config{QEMU: "no-such-qemu"}).Probe(t.Context()); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("without QEMU: %v", err)
	}
}

func TestNATNeedsPasst(t *testing.T) {
	if _, err := newNAT("no-such-passt", nil, slog.New(slog.DiscardHandler), nil); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

func TestKeyCheck(t *testing.T) {
	dir := t.TempDir()
	one, two := []byte("0123456789abcdef"), []byte("0123456789abcdeg")
	for range 2 {
		if err := checkKey(dir, one); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkKey(dir, two); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("another key: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, hypervisor.FileKeyCheck))
	if err != nil || strings.Contains(string(text), string(one)) || strings.Contains(string(text), string(hexKey(one))) {
		t.Errorf("the check holds the key (%v)", err)
	}
}

// A guest that powers off closes its port first. Only one that stays away counts
// as lost.
func TestGuestThatGoesAway(t *testing.T) {
	host, guest := net.Pipe()
	defer guest.Close()
	now := time.Unix(1_000_000, 0)
	m := &machine{
		log: slog.New(slog.DiscardHandler), now: func() time.Time { return now },
		port: guestport.New(host, "test", nil, slog.New(slog.DiscardHandler)),
	}
	defer m.port.Close()
	m.status.Guest.Up, m.status.Guest.Ready = true, true
	port := func(open bool) {
		m.takeEvent(event{Name: "VSERPORT_CHANGE", Data: fmt.Appendf(nil, `{"id":%q,"open":%t}`, guestPortID, open)})
	}
	steps := []struct {
		name      string
		do        func()
		up, ready bool
	}{
		{"its port is closed", func() { port(false) }, true, false},
		{"an answer to what was asked before is lost", func() { m.ask(t.Context(), false, nil) }, true, false},
		{"nearly too long", func() { now = now.Add(awayTime - time.Second); m.miss() }, true, false},
		{"back in time", func() { port(true); now = now.Add(time.Hour); m.miss() }, true, false},
		{"too long", func() { port(false); now = now.Add(awayTime); m.miss() }, false, false},
	}
	for _, s := range steps {
		s.do()
		if g := m.status.Guest; g.Up != s.up || g.Ready != s.ready {
			t.Errorf("%s: up %t, ready %t", s.name, g.Up, g.Ready)
		}
	}
}

func TestFirmwareThatIsMissing(t *testing.T) {
	d := New(Config{UEFI: filepath.Join(t.TempDir(), "none")})
	spec := testPlan().spec
	spec.Firmware = hypervisor.FirmwareUEFI
	if _, err := d.plan(spec, accelerator{}); !errors.Is(err, dormer.ErrUnsupported) || !strings.Contains(err.Error(), "ovmf") {
		t.Errorf("got %v", err)
	}
}

// Files that are handed over are named by their sets, others by their names.
func TestArgumentsOfOpenedFiles(t *testing.T) {
	p := testPlan()
	p.spec.Data = &hypervisor.DataDisk{Size: 1 << 20, Label: "d", MountPoint: "/d"}
	p.spec.Base = append(p.spec.Base, hypervisor.DiskSource{File: "/a", Format: hypervisor.FormatRaw})
	p.layers = append(p.layers, "layer-v1-1.qcow2")
	p.opened = []openedFile{{"layer-v1-0.qcow2", 11}, {"layer-v1-1.qcow2", 12}, {hypervisor.FileData, 13}, {"/a", 14}}
	got := strings.Join(p.arguments(), " ")
	for _, want := range []string{
		"-add-fd fd=11,set=0", "-add-fd fd=12,set=1", "-add-fd fd=13,set=2", "-add-fd fd=14,set=3",
		`"filename":"/dev/fdset/0"},"node-name":"layer0"`, `"filename":"/dev/fdset/1"},"node-name":"layer1"`,
		`"filename":"/dev/fdset/2"},"node-name":"data"`, `"filename":"/dev/fdset/3","read-only":true},"node-name":"base1"`, `"path":"base-0.nbd"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	if strings.Contains(got, "layer-v1") || strings.Contains(got, hypervisor.FileData) {
		t.Errorf("a disk is named: %s", got)
	}
}

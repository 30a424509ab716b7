package hypervisor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

func valid() hypervisor.Spec {
	return hypervisor.Spec{
		Machine: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Dir: "/var/lib/m", Memory: 512, Processors: 2,
		ComputerName: "desk-1", MachineType: "pc-q35-7.2", Firmware: hypervisor.FirmwareBIOS,
		Base:  []hypervisor.DiskSource{{File: "/i/disk.raw", Format: hypervisor.FormatRaw}},
		Layer: "0123abcd", Overlay: hypervisor.OverlayKeep, Network: hypervisor.NetworkNAT,
		Data: &hypervisor.DataDisk{Size: 1 << 30, Label: "dormer-data", MountPoint: "/home"},
		Boot: &hypervisor.Boot{Kernel: hypervisor.DiskSource{Socket: "/run/k"}, Append: "quiet"},
	}
}

func TestSpecValidate(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path   string
		change func(*hypervisor.Spec)
	}{
		{"machine", func(s *hypervisor.Spec) { s.Machine = "../x" }},
		{"dir", func(s *hypervisor.Spec) { s.Dir = "m" }},
		{"dir", func(s *hypervisor.Spec) { s.Dir = "/m/../n" }},
		{"memory", func(s *hypervisor.Spec) { s.Memory = 1 }},
		{"processors", func(s *hypervisor.Spec) { s.Processors = 0 }},
		{"computer_name", func(s *hypervisor.Spec) { s.ComputerName = "a,b" }},
		{"machine_type", func(s *hypervisor.Spec) { s.MachineType = "q35,accel=kvm" }},
		{"firmware", func(s *hypervisor.Spec) { s.Firmware = "x" }},
		{"disk_bus", func(s *hypervisor.Spec) { s.DiskBus = "floppy" }},
		{"overlay", func(s *hypervisor.Spec) { s.Overlay = "" }},
		{"network", func(s *hypervisor.Spec) { s.Network = "bridge" }},
		{"layer", func(s *hypervisor.Spec) { s.Layer = "../x" }},
		{"base", func(s *hypervisor.Spec) { s.Base = nil }},
		{"base", func(s *hypervisor.Spec) { s.Base = []hypervisor.DiskSource{{}} }},
		{"base", func(s *hypervisor.Spec) { s.Base[0].Socket = "/s" }},
		{"base.format", func(s *hypervisor.Spec) { s.Base[0].Format = "vmdk" }},
		{"base.file", func(s *hypervisor.Spec) { s.Base[0].File = "disk" }},
		{"base.image", func(s *hypervisor.Spec) {
			s.Base[0] = hypervisor.DiskSource{Image: &hypervisor.ImageDisk{Store: "rel", Image: "sha256:0"}}
		}},
		{"data.size", func(s *hypervisor.Spec) { s.Data.Size = 5000 }},
		{"data.label", func(s *hypervisor.Spec) { s.Data.Label = "a b" }},
		{"data.mount_point", func(s *hypervisor.Spec) { s.Data.MountPoint = "home" }},
		{"boot.kernel", func(s *hypervisor.Spec) { s.Boot.Kernel = hypervisor.DiskSource{} }},
		{"boot.append", func(s *hypervisor.Spec) { s.Boot.Append = "a\nb" }},
		{"channels", func(s *hypervisor.Spec) { s.Channels = []guestwire.Channel{"wormhole"} }},
		{"channels", func(s *hypervisor.Spec) {
			s.Channels = []guestwire.Channel{guestwire.ChannelFiles, guestwire.ChannelFiles}
		}},
		{"sound", func(s *hypervisor.Spec) { s.Sound = "loud" }},
		{"usb", func(s *hypervisor.Spec) { s.USB = []hypervisor.USBClass{"rocket"} }},
		{"optical", func(s *hypervisor.Spec) { s.Optical = "sr0" }},
		{"bridges", func(s *hypervisor.Spec) {
			s.Network, s.Bridges = hypervisor.NetworkBridged, []string{"../eth0"}
		}},
	}
	for _, tt := range tests {
		s := valid()
		tt.change(&s)
		err := s.Validate()
		var invalid *dormer.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Path != tt.path {
			t.Errorf("%s: got %v", tt.path, err)
		}
	}
}

func TestSpecRoundTrip(t *testing.T) {
	b, err := json.Marshal(valid())
	if err != nil {
		t.Fatal(err)
	}
	var back hypervisor.Spec
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(valid(), back); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	s := hypervisor.Secrets{DiskKey: []byte("0123456789abcdef0123456789abcdef")}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v", s, &s, s)} {
		if strings.Contains(text, "0123") || strings.Contains(text, "48 49") || strings.Contains(text, "0x30") {
			t.Errorf("the key is shown: %s", text)
		}
	}
}

func TestLeftover(t *testing.T) {
	for _, name := range []string{
		hypervisor.FileSpec, hypervisor.FileData, hypervisor.FileLog, hypervisor.FileConsole, hypervisor.FileLock, hypervisor.FileQEMULock, hypervisor.FileEnd,
		hypervisor.FileLayer(hypervisor.OverlayKeep, "v1", 0),
	} {
		if hypervisor.Leftover(name) {
			t.Errorf("%s must stay", name)
		}
	}
	for _, name := range []string{
		hypervisor.FileControl, hypervisor.FileOwner, hypervisor.FileProcess, hypervisor.FileBase(1),
		hypervisor.FileLayer(hypervisor.OverlayDiscard, "v1", 0), "data.qcow2" + hypervisor.SuffixTemporary,
	} {
		if !hypervisor.Leftover(name) {
			t.Errorf("%s must go", name)
		}
	}
}

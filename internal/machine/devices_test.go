package machine_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// look prints what a guest finds of its devices, a word each: the classes of
// what is on its PCI bus, its ports, and the kind of the drive at its first
// SATA port, as the controller says (0xeb140101 is one for discs).
const look = `
for class in /sys/bus/pci/devices/*/class; do
	case $(cat "$class") in
	0x0403*) echo sound ;;
	0x0c0330) echo usb ;;
	0x0200*) echo network ;;
	0x0300*) echo display ;;
	esac
done
cat /sys/class/virtio-ports/*/name
controller=$(sed -n '6s/ .*//p' /sys/bus/pci/devices/0000:00:1f.2/resource)
[ "$(devmem $((controller + 0x124)) 32)" = 0xEB140101 ] && echo optical
true
`

// What the Spec grants is what the guest finds, and nothing else, also when it
// changes while the guest runs.
func TestDevicesInsideGuest(t *testing.T) {
	t.Parallel()
	policymatrix.Exercised(t, policymatrix.RealGuest, "grants[].clipboard", "grants[].fileTransfer.direction", "grants[].printing",
		"grants[].opticalDrive", "grants[].usb", "grants[].audio", "spec.network.mode")
	d := driver(t)
	h := harness(t, nil)
	disc := filepath.Join(t.TempDir(), "disc.iso")
	if err := os.WriteFile(disc, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(when string, m hypervisor.Machine, want ...string) {
		t.Helper()
		result, err := m.Exec(t.Context(), guestwire.ExecRequest{Args: []string{"sh", "-c", look}, User: "root"})
		if err != nil || result.ExitCode != 0 {
			t.Fatalf("%s: look inside: %s, %v", when, result.Stderr, err)
		}
		got := strings.Fields(string(result.Stdout))
		slices.Sort(got)
		want = append(want, guestwire.PortName)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the guest finds %q, and not %q", when, got, want)
		}
	}
	port := guestwire.Channel.PortName

	spec, keys := h.Spec(t, hypervisortest.Dir(t)), secrets()
	m := h.Start(t, d, spec, keys)
	h.Ready(t, m)
	check("nothing is granted", m)
	more := spec
	more.Channels = []guestwire.Channel{guestwire.ChannelPrint, guestwire.ChannelFolders}
	more.USB = []hypervisor.USBClass{hypervisor.USBStorage}
	if parts, err := m.Apply(t.Context(), more); err != nil || len(parts) != 0 {
		t.Fatalf("apply: %q, %v", parts, err)
	}
	// A guest takes its time with what is plugged in.
	h.Output(t, m, []string{"sh", "-c", "i=0; while [ $i -lt 60 ] && ! grep -q 0x0c0330 /sys/bus/pci/devices/*/class; do i=$((i + 1)); usleep 500000; done"})
	check("more is granted", m, "usb", port(guestwire.ChannelPrint), port(guestwire.ChannelFolders))
	if parts, err := m.Apply(t.Context(), spec); err != nil || len(parts) != 0 {
		t.Fatalf("apply: %q, %v", parts, err)
	}
	check("it is taken away", m)
	if err := m.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}

	spec.Channels = slices.Clone(guestwire.Channels)
	spec.Sound, spec.Display, spec.Optical, spec.Network = hypervisor.SoundOutput, true, disc, hypervisor.NetworkNAT
	spec.USB = []hypervisor.USBClass{hypervisor.USBStorage}
	m = h.Start(t, d, spec, keys)
	h.Ready(t, m)
	all := []string{"sound", "usb", "network", "display", "optical"}
	for _, c := range guestwire.Channels {
		all = append(all, port(c))
	}
	check("all is granted", m, all...)
	h.Shutdown(t, m)
}

// A machine that was changed while it ran goes on from saved state as it was,
// and its channel too, although nobody at the host's end remembers it.
func TestChangedMachineGoesOn(t *testing.T) {
	t.Parallel()
	d := driver(t)
	h := harness(t, nil)
	spec, keys := h.Spec(t, hypervisortest.Dir(t)), secrets()
	m := h.Start(t, d, spec, keys)
	h.Ready(t, m)
	spec.Channels = []guestwire.Channel{guestwire.ChannelClipboard, guestwire.ChannelFolders}
	spec.USB = []hypervisor.USBClass{hypervisor.USBStorage}
	if parts, err := m.Apply(t.Context(), spec); err != nil || len(parts) != 0 {
		t.Fatalf("apply: %q, %v", parts, err)
	}
	if _, err := openClipboard(t, m).ask(t, http.MethodPut, "before"); err != nil {
		t.Fatal(err)
	}
	slot, err := m.Open(t.Context(), hypervisor.USBSlot(0))
	if err != nil {
		t.Fatal(err)
	}
	defer slot.Close()
	if err := m.Save(t.Context()); err != nil {
		t.Fatalf("save: %v", err)
	}
	h.Ended(t, m, hypervisor.ReasonSaved)

	spec.Resume = true
	m = h.Start(t, d, spec, keys)
	if st, err := m.Status(t.Context()); err != nil || !st.Resumed || st.Notice != "" {
		t.Fatalf("it did not go on: %+v, %v", st, err)
	}
	if got, err := openClipboard(t, m).ask(t, http.MethodGet, ""); err != nil || got != "before" {
		t.Errorf("the clipboard has %q, %v", got, err)
	}
	if got := hypervisortest.Attached(t, m); !slices.Equal(got, hypervisortest.Granted(spec)) {
		t.Errorf("%q is attached, and not %q", got, hypervisortest.Granted(spec))
	}
	h.Shutdown(t, m)
}

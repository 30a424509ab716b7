package hypervisortest

import (
	"errors"
	"slices"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Attached are the names of the devices of a machine that a policy decides
// about, sorted.
func Attached(t *testing.T, m hypervisor.Machine) []string {
	t.Helper()
	devices, err := m.Devices(t.Context())
	if err != nil {
		t.Fatalf("list devices: %v", err)
	}
	known := []string{
		hypervisor.DeviceSound, hypervisor.DeviceUSB, hypervisor.DeviceOptical, hypervisor.DeviceDisplay, hypervisor.DevicePointer,
		hypervisor.DeviceData,
	}
	for _, c := range guestwire.Channels {
		known = append(known, hypervisor.DeviceChannel(c))
	}
	for i := range hypervisor.MaxBridges {
		known = append(known, hypervisor.DeviceNetwork(i))
	}
	var names []string
	for _, d := range devices {
		if slices.Contains(known, d.ID) {
			names = append(names, d.ID)
		}
	}
	slices.Sort(names)
	return names
}

// Granted are the names of the devices that a machine must have because of
// what its Spec grants, sorted.
func Granted(s hypervisor.Spec) []string {
	var names []string
	add := func(is bool, name string) {
		if is {
			names = append(names, name)
		}
	}
	add(s.Data != nil, hypervisor.DeviceData)
	add(s.Display, hypervisor.DeviceDisplay)
	add(s.Display, hypervisor.DevicePointer)
	add(s.Sound != hypervisor.SoundNone, hypervisor.DeviceSound)
	add(len(s.USB) > 0, hypervisor.DeviceUSB)
	add(s.Optical != "", hypervisor.DeviceOptical)
	for _, c := range s.Channels {
		add(true, hypervisor.DeviceChannel(c))
	}
	add(s.Network == hypervisor.NetworkNAT, hypervisor.DeviceNetwork(0))
	slices.Sort(names)
	return names
}

// devices checks that a machine has what its Spec grants and nothing else, that
// channels come and go while it runs, and that what cannot change is named.
func (h Harness) devices(t *testing.T) {
	t.Parallel()
	d := h.Open(t)
	spec := h.Spec(t, Dir(t))
	spec.Channels = []guestwire.Channel{guestwire.ChannelFiles, guestwire.ChannelPrint}
	spec.Sound, spec.Display = hypervisor.SoundOutput, true
	spec.USB = []hypervisor.USBClass{hypervisor.USBStorage}
	m := h.Start(t, d, spec, Secrets())
	check := func(when string, want hypervisor.Spec) {
		t.Helper()
		if got := Attached(t, m); !slices.Equal(got, Granted(want)) {
			t.Errorf("%s: %q is attached, and not %q", when, got, Granted(want))
		}
	}
	apply := func(when string, s hypervisor.Spec, want ...hypervisor.Part) {
		t.Helper()
		if parts, err := m.Apply(h.context(t), s); err != nil || !slices.Equal(parts, want) {
			t.Errorf("%s: %q waits, %v; want %q", when, parts, err, want)
		}
	}
	check("at its start", spec)
	st := h.Ready(t, m)
	if st.Guest.Session == "" || len(st.Missing) != 0 {
		t.Errorf("status: %+v", st)
	}
	h.asks(t, m)

	// An application counts until it ends.
	if _, err := m.Exec(h.context(t), guestwire.ExecRequest{Args: h.Sleep, Detach: true, Application: true}); err != nil {
		t.Errorf("start an application: %v", err)
	}
	h.WaitStatus(t, m, "running an application", func(st hypervisor.Status) bool { return st.Guest.Applications == 1 })

	apply("nothing new", spec)
	check("nothing new", spec)
	other := spec
	other.Channels = []guestwire.Channel{guestwire.ChannelClipboard, guestwire.ChannelPrint}
	apply("other channels", other)
	check("other channels", other)
	if _, err := m.Open(h.context(t), guestwire.ChannelFiles); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("channel that was taken away: %v", err)
	}
	other.Memory, other.Sound, other.Layer = spec.Memory+64, hypervisor.SoundNone, "v9"
	apply("what cannot change", other, hypervisor.PartMemory, hypervisor.PartSound, hypervisor.PartDisks)
	apply("what cannot change, again", other, hypervisor.PartMemory, hypervisor.PartSound, hypervisor.PartDisks)
	apply("back", spec)
	check("back", spec)
	wrong := spec
	wrong.Memory = 0
	if _, err := m.Apply(h.context(t), wrong); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("wrong spec: %v", err)
	}
	if got := h.Output(t, m, h.Echo("still here")); got != "still here\n" {
		t.Errorf("got %q", got)
	}
	if err := m.Kill(h.context(t)); err != nil {
		t.Fatal(err)
	}
	_, devicesErr := m.Devices(h.context(t))
	_, applyErr := m.Apply(h.context(t), spec)
	_, openErr := m.Open(h.context(t), guestwire.ChannelFiles)
	askErr := m.Ask(h.context(t), guestwire.CapStatus, guestwire.MethodStatus, nil, nil)
	for what, err := range map[string]error{"devices": devicesErr, "apply": applyErr, "open": openErr, "ask": askErr} {
		if !errors.Is(err, dormer.ErrUnavailable) {
			t.Errorf("%s after the end: %v", what, err)
		}
	}
}

// asks sends requests to the guest's agent.
func (h Harness) asks(t *testing.T, m hypervisor.Machine) {
	t.Helper()
	ctx := h.context(t)
	var st guestwire.Status
	if err := m.Ask(ctx, guestwire.CapStatus, guestwire.MethodStatus, nil, &st); err != nil || st.Hostname == "" {
		t.Errorf("status of guest: %+v, %v", st, err)
	}
	if err := m.Ask(ctx, "no-such-thing", guestwire.MethodStatus, nil, nil); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("without the capability: %v", err)
	}
	if err := m.Ask(ctx, guestwire.CapFile, guestwire.MethodReadFile, guestwire.ReadFileRequest{Path: "/no/such/file"}, nil); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("file that is not there: %v", err)
	}
}

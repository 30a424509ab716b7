package agent

import (
	"errors"
	"io"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// Users redirect devices as far as the policy lets any in and there is room.
func TestUSB(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "grants[].usb")
	t.Parallel()
	d := aWorkspace(t, "", "usb: [storage]")
	for i := range hypervisor.USBSlots {
		d.host.SetChannel(hypervisor.USBSlot(i), func(_ hypervisor.Spec, conn io.ReadWriteCloser) { _, _ = io.Copy(conn, conn) })
	}
	open := func() (io.ReadWriteCloser, error) { return d.agent.OpenUSB(t.Context(), anne, "Office") }
	if _, err := open(); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("workspace that does not run: %v", err)
	}
	d.startUp()
	var all []io.ReadWriteCloser
	for range hypervisor.USBSlots {
		conn, err := open()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	buf := make([]byte, 2)
	if _, err := all[1].Write([]byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(all[1], buf); err != nil || string(buf) != "hi" {
		t.Errorf("%q came back, %v", buf, err)
	}
	if _, err := open(); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("one too many: %v", err)
	}
	if err := errors.Join(all[2].Close(), all[2].Close()); err != nil {
		t.Error(err)
	}
	again, err := open()
	if err != nil {
		t.Fatalf("after one has gone: %v", err)
	}
	for _, conn := range append(all, again) {
		_ = conn.Close() // some are closed
	}

	none := aWorkspace(t, "", "")
	none.startUp()
	if _, err := none.agent.OpenUSB(t.Context(), anne, "Office"); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("policy without USB: %v", err)
	}
}

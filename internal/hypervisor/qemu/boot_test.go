package qemu_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
)

// driver returns a driver whose probe is remembered for the whole test binary.
func driver(t *testing.T) *qemu.Driver {
	t.Helper()
	return qemu.New(qemu.Config{
		ProbeFile: filepath.Join(t.TempDir(), "probe.json"), Accelerator: "tcg",
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
}

// The whole suite runs where this driver is used: internal/machine.
func TestConformance(t *testing.T) {
	d := driver(t)
	hypervisortest.TinyHarness(t, func(*testing.T) hypervisor.Driver { return d }, false, nil).RunWithoutMachines(t)
}

package hypervisortest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/hypervisor"
)

// Guest is a test guest that testguest/build.sh has made.
type Guest struct {
	// Disk, Kernel and Initrd are paths of files.
	Disk, Kernel, Initrd string
	// Append is the kernel's command line, Memory in MiB.
	Append string
	Memory int
	// Label and MountPoint are its data convention.
	Label, MountPoint string
}

// hints is guest.json.
type hints struct {
	Disks []struct {
		Path string `json:"path"`
	} `json:"disks"`
	Kernel string `json:"kernel"`
	Initrd string `json:"initrd"`
	Append string `json:"append"`
	Memory int    `json:"memory"`
	Data   struct {
		Label      string `json:"label"`
		MountPoint string `json:"mount_point"`
	} `json:"data"`
}

// SkipUnlessBooting skips tests that boot machines, loudly, unless
// DORMER_TEST_BOOT=1, DORMER_TEST_ALL=1 or DORMER_TEST_GUEST asks for them.
func SkipUnlessBooting(t *testing.T) {
	t.Helper()
	if os.Getenv("DORMER_TEST_BOOT") != "1" && os.Getenv("DORMER_TEST_ALL") != "1" && os.Getenv("DORMER_TEST_GUEST") == "" {
		t.Skip("boots real machines: set DORMER_TEST_BOOT=1 to run it")
	}
}

// FindGuest returns a test guest: tiny, v1, v2 or desk. DORMER_TEST_GUEST names the folder
// that the build has printed; without it the build runs, which needs root, the
// network and minutes when nothing is cached.
func FindGuest(t *testing.T, version string) Guest {
	t.Helper()
	SkipUnlessBooting(t)
	folder := os.Getenv("DORMER_TEST_GUEST")
	if folder == "" {
		folder = build(t)
	}
	dir := filepath.Join(folder, version)
	text, err := os.ReadFile(filepath.Join(dir, "guest.json"))
	if err != nil {
		t.Fatalf("test guest: %v", err)
	}
	var h hints
	if err := json.Unmarshal(text, &h); err != nil || len(h.Disks) != 1 {
		t.Fatalf("hints of test guest: %v", err)
	}
	return Guest{
		Disk: filepath.Join(dir, h.Disks[0].Path), Kernel: filepath.Join(dir, h.Kernel), Initrd: filepath.Join(dir, h.Initrd),
		Append: h.Append, Memory: h.Memory, Label: h.Data.Label, MountPoint: h.Data.MountPoint,
	}
}

func build(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			t.Fatal("test guest: not within the checkout")
		}
		root = filepath.Dir(root)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "testguest", "build.sh"), filepath.Join(cache, "dormer", "testguest"))
	var progress bytes.Buffer
	cmd.Stderr = &progress
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("build test guest: %v\n%s", err, progress.Bytes())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// Spec returns a machine made of the guest in dir, with a data disk.
func (g Guest) Spec(t *testing.T, dir string) hypervisor.Spec {
	t.Helper()
	return hypervisor.Spec{
		Machine: MachineID(t), Dir: dir, Memory: g.Memory, Processors: 1,
		Base:    []hypervisor.DiskSource{{File: g.Disk, Format: hypervisor.FormatRaw}},
		Layer:   "v1",
		Overlay: hypervisor.OverlayKeep,
		Data:    &hypervisor.DataDisk{Size: 32 << 20, Label: g.Label, MountPoint: g.MountPoint},
		Network: hypervisor.NetworkNone,
		Boot: &hypervisor.Boot{
			Kernel: hypervisor.DiskSource{File: g.Kernel, Format: hypervisor.FormatRaw},
			Initrd: hypervisor.DiskSource{File: g.Initrd, Format: hypervisor.FormatRaw},
			Append: g.Append,
		},
	}
}

// TinyHarness is the suite's harness for a driver that boots the tiny guest.
// spec changes what is started; nil leaves it.
func TinyHarness(t *testing.T, open func(*testing.T) hypervisor.Driver, survives bool, change func(*hypervisor.Spec)) Harness {
	t.Helper()
	g := FindGuest(t, "tiny")
	return Harness{
		Open: open, Survives: survives,
		Spec: func(t *testing.T, dir string) hypervisor.Spec {
			spec := g.Spec(t, dir)
			if change != nil {
				change(&spec)
			}
			return spec
		},
		Echo: func(text string) []string { return []string{"echo", text} },
		Write: func(path, text string) []string {
			return []string{"sh", "-c", `printf %s "$2" >"$1" && sync`, "sh", path, text}
		},
		Read:       func(path string) []string { return []string{"cat", path} },
		Sleep:      []string{"sleep", "60"},
		SystemPath: "/base/user/note", DataPath: g.MountPoint + "/note", MemoryPath: "/tmp/note",
		Patience: 3 * time.Minute,
	}
}

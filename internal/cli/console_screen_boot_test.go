package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer/internal/consoletest/playwright"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
)

// typist makes the tiny guest one that somebody sits at: a line in colours on
// its screen, and on its serial line what is typed below it and what its pointer
// sends: a line an event, which are twelve numbers of 16 bits. Then it goes on as it is.
const typist = `#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
$b insmod /evdev.ko
(
  until $b insmod /virtio_input.ko; do $b sleep 1; done 2>/dev/null # it needs what init loads
  for event in /sys/class/input/event*; do
    case $($b cat $event/device/name) in
      *Tablet*) exec $b hexdump -v -e '"pointer" 12/2 " %u" "\n"' /dev/input/${event##*/} >/dev/ttyS0 ;;
    esac
  done
) &
exec 4<>/dev/tty1
printf '\033[2J\033[H\033[41;33m Type here \033[0m\n' >&4
while read -r line; do echo "typed $line"; done <&4 >/dev/ttyS0 &
exec /init
`

// TestScreenOfARealGuest: in a browser, the page of a run shows the guest's
// screen, and keys and the mouse reach the guest. The journey is that of
// web/tests/screen.once.ts.
func TestScreenOfARealGuest(t *testing.T) {
	t.Parallel()
	g := hypervisortest.FindGuest(t, "tiny")
	playwright.Need(t)
	address, ca, once := startServer(t)
	h := newHome(t)
	h.must(t, once+"\n"+password+"\n", "login", "--server", address, "--ca", ca, "--user", "admin")
	b := startConsole(t, h)

	playwright.Run(t, "DORMER_CONSOLE_RUN=screen", "DORMER_STAGE=",
		"DORMER_SCREEN="+strings.Join([]string{b.address, manned(t, g), filepath.Join(h.dir, "tmp")}, "\n"))
	b.close(t)
	if left, err := os.ReadDir(filepath.Join(h.dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// manned describes the tiny guest with a typist, and returns the file.
func manned(t *testing.T, g hypervisortest.Guest) string {
	t.Helper()
	// The modules are of the guest that has the same kernel and all of its modules.
	disk := hypervisortest.FindGuest(t, "v1").Disk
	const modules = "/usr/lib/modules"
	version := ""
	for line := range strings.Lines(debugfs(t, disk, "ls -p "+modules)) {
		if f := strings.Split(line, "/"); len(f) > 5 && !strings.HasPrefix(f[5], ".") {
			version = f[5]
		}
	}
	module := func(name string) string {
		return debugfs(t, disk, "cat "+path.Join(modules, version, "kernel/drivers", name))
	}
	initrd, err := os.ReadFile(g.Initrd)
	if err != nil {
		t.Fatal(err)
	}
	// What comes after it in the same file adds to it.
	initrd = append(initrd, make([]byte, -len(initrd)&3)...)
	for _, f := range []struct {
		name, content string
		mode          int
	}{
		{"typist", typist, 0o100755},
		{"evdev.ko", module("input/evdev.ko"), 0o100644},
		{"virtio_input.ko", module("virtio/virtio_input.ko"), 0o100644},
		{"TRAILER!!!", "", 0},
	} {
		initrd = append(initrd, archived(f.name, f.content, f.mode)...)
	}
	dir := t.TempDir()
	text, err := json.Marshal(map[string]any{
		"disks":  []any{map[string]any{"name": "system", "path": g.Disk, "format": "raw"}},
		"kernel": g.Kernel, "initrd": filepath.Join(dir, "initrd.img"), "append": g.Append + " rdinit=/typist", "memory": g.Memory,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"initrd.img": initrd, "tiny.json": text} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "tiny.json")
}

// debugfs looks into a file system and returns what it prints.
func debugfs(t *testing.T, disk, request string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "debugfs", "-R", request, disk)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || len(out) == 0 {
		t.Fatalf("debugfs %s: %v %s", request, err, &errs)
	}
	return string(out)
}

// archived is a file in an archive of cpio's form newc.
func archived(name, content string, mode int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	b.WriteString(name + "\x00")
	b.Write(make([]byte, -b.Len()&3))
	b.WriteString(content)
	b.Write(make([]byte, -b.Len()&3))
	return b.Bytes()
}

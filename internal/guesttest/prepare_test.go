package guesttest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor/guestport"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/imagepack"
	"github.com/dormer-project/dormer/internal/imagepack/packtest"
	"github.com/dormer-project/dormer/internal/preparation"
)

// A system becomes an image: the agent is installed over an older one, what is
// unprepared is named, prepared, found again in the disk by packing, and told
// to be used after another start.
func TestPreparing(t *testing.T) {
	t.Parallel()
	hypervisortest.SkipUnlessBooting(t)
	build := hypervisortest.FindGuest(t, "desk")
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk.raw")
	if out, err := exec.CommandContext(t.Context(), "cp", "--sparse=always", build.Disk, disk).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b := begin(t, build, disk)
	b.run(t, `echo 'make secret' >/root/.bash_history; echo x >/var/tmp/left; mkdir -p /etc/systemd/system/timers.target.wants
ln -s /lib/systemd/system/fstrim.timer /etc/systemd/system/timers.target.wants/; rm -f /etc/systemd/system/fstrim.timer`)
	b.install(t)
	var checked guestwire.CheckResult
	if err := b.port.Call(t.Context(), guestwire.CapCheck, guestwire.MethodCheck, nil, &checked); err != nil {
		t.Fatal(err)
	}
	out, status := b.agent(t, "check", "--json")
	var printed guestwire.CheckResult
	if err := json.Unmarshal([]byte(out), &printed); err != nil || status == 0 || len(printed.Findings) != len(checked.Findings) {
		t.Errorf("check --json: status %d, %v: %s", status, err, out)
	}
	bad := map[string]bool{}
	for _, f := range checked.Findings {
		if bad[f.ID] = !f.Good; !f.Good && (f.Text == "" || f.Remedy == "") {
			t.Errorf("a finding without words: %+v", f)
		}
	}
	for _, id := range []string{"machine-id", "history", "temporary-files", "services", "power-saving"} {
		if !bad[id] {
			t.Errorf("%s is taken for good: %s", id, out)
		}
	}
	for _, id := range []string{"agent", "user", "virtio", "data-disk", "domain", "sounds"} {
		if bad[id] {
			t.Errorf("%s is taken for bad: %s", id, out)
		}
	}
	if out, status := b.agent(t, "check"); status == 0 || !strings.Contains(out, "NO  machine-id") || !strings.Contains(out, "ok  agent") {
		t.Errorf("check: status %d: %s", status, out)
	}
	if out, status := b.agent(t, "prepare"); status != 0 || !strings.Contains(out, "With --yes these are set: power-saving, services") {
		t.Errorf("prepare without --yes: status %d: %s", status, out)
	}
	if out := b.run(t, "cat /root/.bash_history"); out != "make secret" {
		t.Errorf("it has done something: %s", out)
	}
	if out, status := b.agent(t, "prepare", "--yes"); status != 0 || !strings.Contains(out, "Shut the guest down now") || strings.Contains(out, "NO") {
		t.Errorf("prepare --yes: status %d: %s", status, out)
	}
	if out := b.run(t, "cat /etc/machine-id /root/.bash_history 2>/dev/null; ls -A /var/tmp; stat -c %s /var/lib/dormer-guest/preparation"); out != "4096" && !strings.HasPrefix(out, "systemd-private-") {
		t.Errorf("after preparing: %s", out)
	}
	b.end(t)
	p := packtest.Pack(t, nil, imagepack.Options{Disks: []imagepack.DiskInput{{Name: "system", Path: disk, Format: "raw"}}})
	if p.Preparation == nil || p.Preparation.State != preparation.StatePrepared || len(preparation.Warnings(p.Preparation)) != 0 || !strings.HasPrefix(p.Preparation.System, "Debian") {
		t.Fatalf("packing finds %+v", p.Preparation)
	}

	b = begin(t, build, disk)
	if id := b.run(t, "cat /etc/machine-id"); len(id) != 32 {
		t.Errorf("the next start makes no machine-id: %q", id)
	}
	b.end(t)
	// Packing takes long, and what it finds is on the disk.
	record, err := exec.CommandContext(t.Context(), "debugfs", "-R", "cat /var/lib/dormer-guest/preparation", disk).Output()
	if err != nil {
		t.Fatal(err)
	}
	used, err := preparation.Decode(record)
	if w := preparation.Warnings(&used); err != nil || used.State != preparation.StateUsed || !strings.Contains(strings.Join(w, " "), "started again") {
		t.Errorf("after another start: %v, %+v, %q", err, used, w)
	}
}

// builder is a machine whose disk is written to, as when an image is made.
type builder struct {
	port *guestport.Port
	qemu *exec.Cmd
	done chan error
	log  *bytes.Buffer
}

func begin(t *testing.T, g hypervisortest.Guest, disk string) *builder {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dormer-prepare-") //nolint:usetesting // a socket's path may have no more than 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "guest")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	b := &builder{done: make(chan error, 1), log: &bytes.Buffer{}}
	b.qemu = exec.CommandContext(t.Context(), "qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot",
		"-kernel", g.Kernel, "-initrd", g.Initrd, "-append", g.Append, "-drive", "if=none,id=disk,format=raw,file="+disk, "-device", "virtio-blk-pci,drive=disk",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=guest,path="+socket, "-device", "virtserialport,chardev=guest,name="+guestwire.PortName, "-serial", "stdio")
	b.qemu.Stdout, b.qemu.Stderr = b.log, b.log
	b.qemu.Stdin, _ = os.Open(os.DevNull)
	if err := b.qemu.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.done <- b.qemu.Wait() }()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b.port = guestport.New(conn, "test", nil, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = b.port.Close() })
	b.up(t)
	return b
}

func (b *builder) up(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.port.WaitUp(ctx); err != nil {
		t.Fatalf("guest does not answer: %v\n%s", err, b.log)
	}
}

func (b *builder) exec(t *testing.T, r guestwire.ExecRequest) guestwire.ExecResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.User = "root"
	result, err := b.port.Exec(ctx, r, nil)
	if err != nil {
		t.Fatalf("%q: %v", r.Args, err)
	}
	return result
}

func (b *builder) run(t *testing.T, script string) string {
	t.Helper()
	r := b.exec(t, guestwire.ExecRequest{Args: []string{"sh", "-c", script}})
	if r.ExitCode != 0 {
		t.Fatalf("%s: %s%s", script, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(string(r.Stdout))
}

// agent runs a command of the agent's own.
func (b *builder) agent(t *testing.T, args ...string) (string, int) {
	t.Helper()
	r := b.exec(t, guestwire.ExecRequest{Args: append([]string{"dormer-guest"}, args...)})
	return string(r.Stdout), r.ExitCode
}

// install installs the agent over itself, twice, while it runs.
func (b *builder) install(t *testing.T) {
	t.Helper()
	for range 2 {
		before := b.run(t, "install -m 755 /usr/sbin/dormer-guest /root/dormer-guest; systemctl show -p MainPID --value dormer-guest")
		b.exec(t, guestwire.ExecRequest{Args: []string{"sh", "-c", "/root/dormer-guest install >/run/installed 2>&1"}, Detach: true})
		tick := time.NewTicker(200 * time.Millisecond)
		deadline := time.After(patience / 4)
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			r, err := b.port.Exec(ctx, guestwire.ExecRequest{Args: []string{"systemctl", "show", "-p", "MainPID", "--value", "dormer-guest"}, User: "root"}, nil)
			cancel()
			if now := strings.TrimSpace(string(r.Stdout)); err == nil && now != "0" && now != before {
				break
			}
			if err != nil {
				b.port.Reset()
			}
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("the agent is not started anew: %v: %s", err, b.run(t, "cat /run/installed; systemctl status dormer-guest; systemctl list-jobs"))
			}
		}
		tick.Stop()
	}
	b.run(t, "rm /root/dormer-guest")
}

// end shuts the machine down.
func (b *builder) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.port.Call(ctx, guestwire.CapShutdown, guestwire.MethodShutdown, nil, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-b.done:
		if err != nil {
			t.Fatalf("machine: %v\n%s", err, b.log)
		}
	case <-ctx.Done():
		t.Fatalf("the guest does not power off:\n%s", b.log)
	}
}

package cli_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/cli"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/imageformat"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// trial runs image test on the tiny guest as a qcow2 file.
type trial struct {
	disk, description, document, home, work string
}

func newTrial(t *testing.T) trial {
	t.Helper()
	g := hypervisortest.FindGuest(t, "tiny")
	dir := t.TempDir()
	r := trial{
		disk: filepath.Join(dir, "tiny.qcow2"), description: filepath.Join(dir, "tiny.json"), document: filepath.Join(dir, "office.yaml"),
		home: filepath.Join(dir, "home"), work: filepath.Join(dir, "work"),
	}
	if out, err := exec.CommandContext(t.Context(), "qemu-img", "convert", "-f", "raw", "-O", "qcow2", g.Disk, r.disk).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := json.Marshal(map[string]any{
		"disks":  []any{map[string]any{"name": "system", "path": r.disk, "format": "qcow2"}},
		"kernel": g.Kernel, "initrd": g.Initrd, "append": g.Append, "memory": g.Memory,
		"data": map[string]any{"label": g.Label, "mount_point": g.MountPoint},
	})
	if err != nil {
		t.Fatal(err)
	}
	document := `apiVersion: dormer/v1
kind: Workspace
metadata: {name: Office}
spec:
  machine: {image: {source: server, name: office}, dataDisk: {size: 64MiB}}
  network: {mode: none}
  performance:
    memory: [{guest: 160MiB}]
    processors: [{guest: 2}]
grants:
- principal: {directory: local, kind: user, name: anna}
  clipboard: both
`
	for file, content := range map[string][]byte{r.description: text, r.document: []byte(document)} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{r.home, r.work} {
		if err := os.Mkdir(folder, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r trial) hash(t *testing.T) string {
	t.Helper()
	f, err := os.Open(r.disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func (r trial) run(ctx context.Context, out, errs io.Writer, args ...string) int {
	return cli.Run(ctx, append([]string{"image", "test", r.description, "--work", r.work}, args...), cli.Streams{
		In: strings.NewReader(""), Out: out, Err: errs, Now: time.Now, Rand: rand.Reader, Version: "1.2.3",
		Env: func(name string) string { return map[string]string{"HOME": r.home}[name] },
	})
}

func (r trial) nothingLeft(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(r.work); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A disk runs under a policy, is left as it was, and its start is recorded.
func TestImageTestOfARealGuest(t *testing.T) {
	t.Parallel()
	r := newTrial(t)
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.performance.memory[].guest", "spec.performance.processors[].guest", "spec.network.mode", "grants[].clipboard")
	before := r.hash(t)
	profile := filepath.Join(t.TempDir(), "office.profile")
	var out, errs bytes.Buffer
	code := r.run(t.Context(), &out, &errs, "--json", "--policy", r.document, "--record", profile, "--computer-name", "tried",
		"--exec", `hostname; ls /sys/class/net; ls /sys/class/virtio-ports/; cat /sys/class/virtio-ports/*/name; grep MemTotal /proc/meminfo; nproc; echo x >/base/user/changed; cat /base/user/changed /data/none; exit 7`)
	if code != 7 {
		t.Fatalf("exit code %d\n%s%s", code, &out, &errs)
	}
	var report struct {
		ComputerName  string `json:"computer_name"`
		Ready         bool   `json:"ready"`
		RecordedReads int    `json:"recorded_reads"`
		Exec          struct {
			ExitCode int    `json:"exit_code"`
			Stdout   string `json:"stdout"`
			Stderr   string `json:"stderr"`
		} `json:"exec"`
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	said := report.Exec.Stdout
	if !report.Ready || report.ComputerName != "tried" || report.Exec.ExitCode != 7 || !strings.HasPrefix(said, "tried\nlo\n") || !strings.Contains(said, "x\n") || !strings.Contains(report.Exec.Stderr, "/data/none") {
		t.Errorf("report: %+v", report)
	}
	if !strings.Contains(said, "clipboard") || strings.Contains(said, "files") || strings.Contains(said, "print") {
		t.Errorf("ports of the guest: %s", said)
	}
	var kib, processors int
	if i := strings.Index(said, "MemTotal:"); i < 0 {
		t.Errorf("memory of the guest: %s", said)
	} else if _, err := fmt.Sscanf(said[i:], "MemTotal: %d kB\n%d", &kib, &processors); err != nil || kib>>10 < 110 || kib>>10 > 160 || processors != 2 {
		t.Errorf("memory and processors of the guest: %d KiB, %d, %v", kib, processors, err)
	}
	b, err := os.ReadFile(profile)
	if err != nil {
		t.Fatal(err)
	}
	p, err := imageformat.DecodeStartupProfile(b)
	if err != nil || !p.Complete || len(p.Reads) == 0 || len(p.Reads) != report.RecordedReads || p.Disks[0].Name != "system" {
		t.Errorf("profile: %+v, %v", p, err)
	}
	if after := r.hash(t); after != before {
		t.Errorf("the disk has changed: %s, was %s", after, before)
	}
	r.nothingLeft(t)
}

// Ctrl-C ends the machine and leaves nothing.
func TestInterruptedImageTestOfARealGuest(t *testing.T) {
	t.Parallel()
	r := newTrial(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	read, write := io.Pipe()
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- r.run(ctx, write, &errs)
		write.Close()
	}()
	display := ""
	var said strings.Builder
	buf := make([]byte, 4096)
	for display == "" {
		n, err := read.Read(buf)
		if err != nil {
			t.Fatalf("it ended: %s%s", &said, &errs)
		}
		said.Write(buf[:n])
		if _, rest, ok := strings.Cut(said.String(), "VNC on "); ok && strings.Contains(rest, ".sock") {
			display = strings.TrimSuffix(strings.TrimSpace(rest), ".")
		}
	}
	if st, err := os.Stat(display); err != nil || st.Mode().Type() != os.ModeSocket {
		t.Errorf("screen %q: %v", display, err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, read); err != nil {
		t.Error(err)
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d: %s", code, &errs)
	}
	r.nothingLeft(t)
}

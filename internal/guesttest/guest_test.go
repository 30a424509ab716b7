package guesttest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/hypervisor/qemu"
)

// patience is how long a guest on an emulated processor may take for one thing.
const patience = 10 * time.Minute

// guest is a running desk guest.
type guest struct {
	h       harness
	m       hypervisor.Machine
	spec    hypervisor.Spec
	secrets hypervisor.Secrets
}

type harness = hypervisortest.Harness

func driver(t *testing.T) *qemu.Driver {
	t.Helper()
	return qemu.New(qemu.Config{
		ProbeFile: filepath.Join(t.TempDir(), "probe.json"), Accelerator: "tcg",
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
}

// boot starts a desk guest that keeps what it writes; change changes what is
// started.
func boot(t *testing.T, change func(*hypervisor.Spec)) guest {
	t.Helper()
	g := guest{h: harness{Patience: patience}, spec: hypervisortest.FindGuest(t, "desk").Spec(t, hypervisortest.Dir(t)), secrets: hypervisortest.Secrets()}
	g.spec.Data = nil
	change(&g.spec)
	g.m = g.h.Start(t, driver(t), g.spec, g.secrets)
	g.h.Ready(t, g.m)
	return g
}

// ask sends a request that must succeed.
func (g guest) ask(t *testing.T, need guestwire.Capability, method guestwire.Method, request, answer any) {
	t.Helper()
	if err := g.try(t, need, method, request, answer); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

func (g guest) try(t *testing.T, need guestwire.Capability, method guestwire.Method, request, answer any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return g.m.Ask(ctx, need, method, request, answer)
}

// run runs a shell's script in the guest and returns what it printed.
func (g guest) run(t *testing.T, user, script string) string {
	t.Helper()
	r := g.exec(t, guestwire.ExecRequest{Args: []string{"sh", "-c", script}, User: user})
	if r.ExitCode != 0 {
		t.Fatalf("%s: exit status %d: %s%s", script, r.ExitCode, r.Stdout, r.Stderr)
	}
	return strings.TrimSpace(string(r.Stdout))
}

func (g guest) root(t *testing.T, script string) string {
	t.Helper()
	return g.run(t, "root", script)
}

func (g guest) exec(t *testing.T, r guestwire.ExecRequest) guestwire.ExecResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := g.m.Exec(ctx, r)
	if err != nil {
		t.Fatalf("%q: %v", r.Args, err)
	}
	return result
}

func (g guest) status(t *testing.T) guestwire.Status {
	t.Helper()
	var st guestwire.Status
	g.ask(t, guestwire.CapStatus, guestwire.MethodStatus, nil, &st)
	return st
}

// await waits until a script succeeds.
func (g guest) await(t *testing.T, what, script string) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		r := g.exec(t, guestwire.ExecRequest{Args: []string{"sh", "-c", script}, User: "root"})
		if r.ExitCode == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: still not: %s%s", what, r.Stdout, r.Stderr)
		}
	}
}

// hidden looks for secrets that the guest was told: in command lines and
// environments of processes, in logs, and in files in memory.
func (g guest) hidden(t *testing.T, secrets ...string) {
	t.Helper()
	found := g.root(t, patterns(secrets...)+`
grep -lzaFsf /run/patterns /proc/[0-9]*/cmdline /proc/[0-9]*/environ
journalctl --boot --quiet --no-pager --output=cat | grep -aFf /run/patterns | sed 's/^/journal: /'
find /run /tmp /dev/shm -xdev -type f ! -path /run/patterns -exec grep -laFf /run/patterns {} + 2>/dev/null
rm /run/patterns; true`)
	if found != "" {
		t.Errorf("a secret is left in the guest: %s", found)
	}
}

// nowhere shuts the guest down and looks for secrets in all that it has ever
// written to its disk, also where nothing is any more.
func (g guest) nowhere(t *testing.T, secrets ...string) {
	t.Helper()
	const known = "what is looked for is found"
	g.root(t, "echo "+known+" >/var/known; sync; rm /var/known; sync")
	g.h.Shutdown(t, g.m)

	dir := t.TempDir()
	key, plain := filepath.Join(dir, "key"), filepath.Join(dir, "plain")
	write(t, key, hex.EncodeToString(g.secrets.DiskKey))
	layer := map[string]any{
		"driver": "qcow2", "backing": nil, "encrypt": map[string]any{"format": "luks", "key-secret": "key"},
		"file": map[string]any{"driver": "file", "filename": filepath.Join(g.spec.Dir, hypervisor.FileLayer(g.spec.Overlay, g.spec.Layer, 0))},
	}
	text, err := json.Marshal(layer)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "qemu-img", "convert", "--object", "secret,id=key,format=raw,file="+key, "-O", "raw", "json:"+string(text), plain).CombinedOutput(); err != nil {
		t.Fatalf("read the guest's disk: %v: %s", err, out)
	}
	found := search(t, plain, append(secrets, known)...)
	if !slices.Equal(found, []string{known}) {
		t.Errorf("on the disk: %q, want %q alone", found, known)
	}
}

// search returns those of the texts that are in a file.
func search(t *testing.T, path string, texts ...string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const overlap = 128 // more than the longest text has
	var found []string
	block := make([]byte, 4<<20)
	for kept := 0; ; {
		n, err := io.ReadFull(f, block[kept:])
		window := block[:kept+n]
		for _, text := range texts {
			if !slices.Contains(found, text) && bytes.Contains(window, []byte(text)) {
				found = append(found, text)
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		kept = copy(block, window[len(window)-overlap:])
	}
}

// patterns writes texts into a file of the guest's memory. They travel
// backwards, so that looking for them does not leave them.
func patterns(texts ...string) string {
	var b strings.Builder
	b.WriteString("rev >/run/patterns <<'END'\n")
	for _, text := range texts {
		r := []rune(text)
		slices.Reverse(r)
		b.WriteString(string(r) + "\n")
	}
	return b.String() + "END"
}

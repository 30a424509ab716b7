package guesttest

import (
	"context"
	"log/slog"
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
	h harness
	m hypervisor.Machine
}

type harness = hypervisortest.Harness

func driver(t *testing.T) *qemu.Driver {
	t.Helper()
	return qemu.New(qemu.Config{
		ProbeFile: filepath.Join(t.TempDir(), "probe.json"), Accelerator: "tcg",
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
}

// boot starts a desk guest; change changes what is started.
func boot(t *testing.T, dir string, secrets hypervisor.Secrets, change func(*hypervisor.Spec)) guest {
	t.Helper()
	h := harness{Patience: patience}
	spec := hypervisortest.FindGuest(t, "desk").Spec(t, dir)
	spec.Data = nil
	if change != nil {
		change(&spec)
	}
	g := guest{h: h, m: h.Start(t, driver(t), spec, secrets)}
	h.Ready(t, g.m)
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

// hidden looks for a secret that the guest was told: in command lines and
// environments of processes, in logs, and in files in memory.
func (g guest) hidden(t *testing.T, secret string) {
	t.Helper()
	found := g.root(t, patterns(secret)+`
for f in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do
  tr '\000' '\n' <$f 2>/dev/null | grep -qaFf /run/patterns && echo "$f"
done
journalctl --no-pager 2>/dev/null | grep -aFf /run/patterns | sed 's/^/journal: /'
find /run /tmp /dev/shm -xdev -type f ! -path /run/patterns -exec grep -laFf /run/patterns {} + 2>/dev/null
rm /run/patterns; true`)
	if found != "" {
		t.Errorf("a secret is left in the guest: %s", found)
	}
}

// nowhere looks for secrets on the whole disk, also where nothing is any more.
func (g guest) nowhere(t *testing.T, secrets ...string) {
	t.Helper()
	const known = "what is looked for is found"
	script := patterns(append(secrets, known)...) + `
echo what is looked for is found >/var/known; sync; rm /var/known; sync; echo 3 >/proc/sys/vm/drop_caches
tr -s '\000' '\n' </dev/vda | grep -aoFf /run/patterns | sort -u
rm /run/patterns`
	if found := g.root(t, script); found != known {
		t.Errorf("on the disk: %q, want %q alone", found, known)
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

package machine_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/account"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("DORMER_TEST_ALL") == "1" {
		t.Fatal("needs root")
	}
	t.Skip("needs root, to run machines as users of their own")
}

// ids are a process's lines of /proc/PID/status.
func ids(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		out[name] = strings.Join(strings.Fields(value), " ")
	}
	return out
}

// machineUser is the user of a machine's QEMU and passt, which must be the same
// one, and nobody else's.
func machineUser(t *testing.T, machineProcess, qemu int) uint32 {
	t.Helper()
	of := ids(t, qemu)
	text, _, _ := strings.Cut(of["Uid"], " ")
	uid, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	if uid < account.DefaultFirst || uid >= account.DefaultFirst+account.DefaultCount {
		t.Errorf("QEMU runs as user %d", uid)
	}
	all := strings.TrimSpace(strings.Repeat(text+" ", 4))
	if of["Uid"] != all || of["Gid"] != all {
		t.Errorf("users of QEMU: %s, groups: %s", of["Uid"], of["Gid"])
	}
	if st, err := os.Stat("/dev/kvm"); (err != nil || st.Mode().Perm()&0o066 == 0) && of["Groups"] != "" {
		t.Errorf("QEMU has the groups %s", of["Groups"])
	}
	if of["CapEff"] != "0000000000000000" || of["CapPrm"] != "0000000000000000" {
		t.Errorf("QEMU has the capabilities %s, %s", of["CapEff"], of["CapPrm"])
	}
	if of["Seccomp"] != "2" || of["NoNewPrivs"] != "1" {
		t.Errorf("QEMU is not confined: seccomp %s, no new privileges %s", of["Seccomp"], of["NoNewPrivs"])
	}
	for _, child := range children(t, machineProcess) {
		if got := ids(t, child.PID); got["Uid"] != all || got["Gid"] != all {
			t.Errorf("%s runs as users %s, groups %s", got["Name"], got["Uid"], got["Gid"])
		}
	}
	return uint32(uid)
}

// as runs a program as a machine's user.
func as(t *testing.T, uid uint32, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account.Account{ID: uid}.Credential()}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ownUsers looks at two machines that run: each is another user, who reaches no
// file of the other, of the agent, or of its own machine by name.
func ownUsers(t *testing.T, one, two hypervisortest.Running) {
	t.Helper()
	needRoot(t)
	for _, r := range []hypervisortest.Running{one, two} {
		// The machines' own directories are what keeps others out, not those above.
		if err := os.Chmod(filepath.Dir(filepath.Dir(r.Spec.Dir)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(filepath.Dir(one.Spec.Dir), "client.key")
	control := filepath.Join(filepath.Dir(one.Spec.Dir), "public")
	for file, mode := range map[string]fs.FileMode{key: 0o600, control: 0o644} {
		if err := os.WriteFile(file, []byte("text"), mode); err != nil {
			t.Fatal(err)
		}
	}
	var uids []uint32
	var pids [][]int // the machine process first
	for _, r := range []hypervisortest.Running{one, two} {
		st, err := r.Machine.Status(t.Context())
		if err != nil || len(st.PIDs) != 2 {
			t.Fatalf("status: %+v, %v", st, err)
		}
		pids = append(pids, st.PIDs)
		uids = append(uids, machineUser(t, st.PIDs[0], st.PIDs[1]))
	}
	if uids[0] == uids[1] {
		t.Errorf("both machines are user %d", uids[0])
	}
	for i, uid := range uids {
		// What follows means something only if that user can read at all.
		if out, err := as(t, uid, "cat", control); err != nil || out != "text" {
			t.Fatalf("user %d reads a file of everybody: %q, %v", uid, out, err)
		}
		if out, err := as(t, uid, "cat", key); err == nil {
			t.Errorf("user %d reads a key of the agent: %q", uid, out)
		}
		for j, r := range []hypervisortest.Running{one, two} {
			names := files(t, r.Spec.Dir)
			if len(names) < 8 {
				t.Fatalf("files of machine %d: %v", j, names)
			}
			for _, pid := range pids[j] {
				if i != j || pid == pids[j][0] {
					names = append(names, filepath.Join("/proc", itoa(pid), "cwd"), filepath.Join("/proc", itoa(pid), "environ"))
				}
			}
			for _, name := range names {
				if out, err := as(t, uid, "sh", "-c", `test -r "$1" || test -w "$1" || test -x "$1"`, "sh", name); err == nil {
					t.Errorf("machine %d: user %d of machine %d reaches %s %q", j, uid, i, name, out)
				}
			}
		}
	}
	// What is in QEMU's own directory is its own alone.
	for _, name := range files(t, filepath.Join(two.Spec.Dir, hypervisor.DirQEMU)) {
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if !ok || st.Mode().Perm()&0o077 != 0 || sys.Uid != uids[1] {
			t.Errorf("%s: %s of user %d", name, st.Mode(), sys.Uid)
		}
	}
	display, err := os.Lstat(filepath.Join(two.Spec.Dir, hypervisor.FileDisplay))
	if err != nil || display.Mode().Type() != fs.ModeSocket || display.Mode().Perm() != 0o600 {
		t.Errorf("display: %v, %v", display, err)
	}
}

// files are the files below a directory, and itself.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		out = append(out, path)
		return err
	})
	if err != nil {
		t.Fatal(fmt.Errorf("files of machine: %w", err))
	}
	return out
}

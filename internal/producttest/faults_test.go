package producttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/seal"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestEpochs restores an old copy of a server after a newer one took over: the
// client goes with the newer one and says so, and the old one fences itself.
func TestEpochs(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	c.mustStart(alice)
	i.shut()
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(i.Config.Data)); err != nil {
		t.Fatal(err)
	}
	state, err := store.OpenState(t.Context(), "sqlite:"+filepath.Join(i.Config.Data, "state.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(state.RaiseEpoch(t.Context(), 2), state.Close()); err != nil {
		t.Fatal(err)
	}
	i.start()
	c.mustRefresh()
	s, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil || s.Epoch != 2 {
		t.Fatalf("after the promotion: %+v, %v", s, err)
	}
	if w := c.only(alice); w.State != "running" || !w.Permitted {
		t.Errorf("a promotion stopped a machine: %+v", w)
	}
	i.shut()

	i.Config.Data, old = old, i.Config.Data
	i.start()
	if err := c.refresh(); !errors.Is(err, dormer.ErrFenced) {
		t.Errorf("poll at a server that was superseded: %v", err)
	}
	if w := c.only(alice); w.State != "running" || !w.Permitted {
		t.Errorf("a superseded server stopped a machine: %+v", w)
	}
	c.restart()
	if err := c.refresh(); !errors.Is(err, dormer.ErrFenced) {
		t.Errorf("poll at a server that was superseded, after a restart: %v", err)
	}
	i.shut()
	i.Config.Data = old
	i.start()
	c.mustRefresh()
}

// TestChangedFiles changes what lies on the client's disk.
func TestChangedFiles(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	w := c.only(alice)
	c.shut()
	i.shut()
	path := filepath.Join(c.Dir, "state", "machines", string(w.Machine), "machine.json")
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*seal.Envelope)) {
		t.Helper()
		var record map[string]json.RawMessage
		var lease seal.Envelope
		if err := errors.Join(json.Unmarshal(original, &record), json.Unmarshal(record["lease"], &lease)); err != nil {
			t.Fatal(err)
		}
		f(&lease)
		if record["lease"], err = json.Marshal(lease); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]func(*seal.Envelope){
		"a longer budget": func(e *seal.Envelope) { e.Payload = bytes.Replace(e.Payload, []byte("28800"), []byte("99999"), 1) },
		"one bit":         func(e *seal.Envelope) { e.Payload[len(e.Payload)/2] ^= 1 },
		"another key":     func(e *seal.Envelope) { e.KeyID = "0123456789abcdef" },
	} {
		change(f)
		c.start()
		if got := c.only(alice); got.Permitted {
			t.Errorf("%s: %+v", name, got)
		}
		if err := c.act(alice, agentapi.CommandStart); !errors.Is(err, dormer.ErrDenied) {
			t.Errorf("%s: start: %v", name, err)
		}
		c.shut()
	}
	// With the server back a new lease comes, and what happened is known.
	c.start()
	i.start()
	c.mustRefresh()
	c.await(alice, "ready")
	c.mustStart(alice)
	c.mustRefresh()
	if n := i.count("desk", event.LeaseRefused); n < 3 {
		t.Errorf("%d refused leases were told of", n)
	}
}

func TestFullDiskPauses(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	c.mustStart(alice)
	dir := c.Host.Running()[0].Dir
	if err := c.Host.Pause(dir, hypervisor.ReasonNoSpace); err != nil {
		t.Fatal(err)
	}
	if w := c.await(alice, "paused"); !strings.Contains(w.Detail, "no space") {
		t.Errorf("paused: %+v", w)
	}
	if err := c.Host.Pause(dir, ""); err != nil {
		t.Fatal(err)
	}
	c.await(alice, "running")
	if err := c.Host.End(dir, hypervisor.ReasonCrashed); err != nil {
		t.Fatal(err)
	}
	if w := c.await(alice, "failed"); w.Error == "" {
		t.Errorf("crashed: %+v", w)
	}
	c.mustStart(alice)
	if err := c.Host.End(dir, hypervisor.ReasonRestart); err != nil {
		t.Fatal(err)
	}
	eventually(t, "started again after the guest restarted itself", func() bool { return c.Host.Starts() == 3 })
	c.await(alice, "running")
	if err := c.Host.End(dir, hypervisor.ReasonShutdown); err != nil {
		t.Fatal(err)
	}
	c.await(alice, "ready")
	c.mustRefresh()
	c.mustRefresh()
	for _, code := range []event.Code{event.DiskFullPaused, event.DiskFullResumed, event.WorkspaceFailed} {
		if n := i.count("desk", code); n != 1 {
			t.Errorf("%d events %d", n, code)
		}
	}
}

func TestGuestThatDoesNotShutDown(t *testing.T) {
	t.Parallel()
	_, c, _ := one(t)
	c.mustStart(alice)
	c.Host.IgnoreShutdown(true)
	if err := c.act(alice, agentapi.CommandStop); err != nil {
		t.Fatal(err)
	}
	c.await(alice, "ready")
	if len(c.Host.Running()) != 0 {
		t.Error("it runs")
	}
}

func TestNothingIsReadableByOthers(t *testing.T) {
	t.Parallel()
	_, c, _ := one(t)
	c.mustStart(alice)
	err := filepath.WalkDir(filepath.Join(c.Dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		if !d.IsDir() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if bytes.Contains(b, []byte(userPassword)) {
				t.Errorf("%s holds a password", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAnotherServer puts a server with another authority in the instance's
// place.
func TestAnotherServer(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	i.shut()
	i.Config.Data = t.TempDir()
	i.start()
	if err := c.refresh(); !errors.Is(err, dormer.ErrUnavailable) || !strings.Contains(err.Error(), "authority") {
		t.Errorf("poll at another server: %v", err)
	}
	if w := c.only(alice); !w.Permitted {
		t.Errorf("another server stopped the work: %+v", w)
	}
}

func TestStateFolderIsLocked(t *testing.T) {
	t.Parallel()
	c := newComputer(t, "desk")
	_, err := c.NewAgent(c.Images)
	if !errors.Is(err, dormer.ErrExists) || !strings.Contains(err.Error(), "another agent runs here") {
		t.Errorf("a second agent in the same folder: %v", err)
	}
	c.shut()
	if err := os.WriteFile(filepath.Join(c.Dir, "state", "format"), []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.NewAgent(c.Images); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("a folder of a newer version: %v", err)
	}
}

func TestServerAwayAtFirst(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	c := newComputer(t, "desk")
	token := i.joinToken()
	i.shut()
	begin := time.Now()
	if err := c.Agent.Enrol(t.Context(), me(0), agentapi.EnrolRequest{JoinToken: token}); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("enrol without a server: %v", err)
	}
	if time.Since(begin) > 10*time.Second {
		t.Errorf("it took %s", time.Since(begin))
	}
	if _, err := c.Agent.SignIn(t.Context(), me(alice), agentapi.SignInRequest{User: "alice", Password: userPassword}); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("sign in before enrolment: %v", err)
	}
	i.start()
	c.enrol(token)
}

// TestDeletionCutShort stops the agent while an order to delete is carried out,
// and lets the server repeat the order.
func TestDeletionCutShort(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	w := c.mustStart(alice)
	s, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Admin.Order(t.Context(), s.Client, rest.NewOrder{Kind: "delete", Machine: w.Machine, Reason: "for the test"}); err != nil {
		t.Fatal(err)
	}
	_ = c.refresh() // the agent may be gone before the answer
	c.restart()
	eventually(t, "the machine is deleted and the server knows", func() bool {
		if c.refresh() != nil {
			return false
		}
		machines, err := i.Admin.Machines(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return len(machines) == 1 && machines[0].ID != w.Machine
	})
	if _, err := os.Stat(filepath.Join(c.Dir, "state", "machines", string(w.Machine))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the machine's folder: %v", err)
	}
	if n := i.count("desk", event.OrderFailed); n != 0 {
		t.Errorf("%d orders failed", n)
	}
	c.await(alice, "ready")
}

// TestSilentMachine is about a machine that runs and does not answer a new agent
// at first.
func TestSilentMachine(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	c.mustStart(alice)
	c.Silent.Store(true)
	c.restart()
	if w := c.only(alice); w.State != "ready" {
		t.Errorf("a machine that does not answer: %+v", w)
	}
	c.Silent.Store(false)
	c.await(alice, "running")
	if n := c.Host.Starts(); n != 1 {
		t.Errorf("%d starts", n)
	}

	// It does not get around the limit.
	c.Silent.Store(true)
	i.shut()
	c.restart()
	c.Pass(9 * time.Hour)
	c.Silent.Store(false)
	eventually(t, "the machine is stopped", func() bool { return len(c.Host.Running()) == 0 })
	i.start()

	// Nor are its disks deleted under it.
	c.mustRefresh()
	w := c.mustStart(alice)
	s, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil {
		t.Fatal(err)
	}
	c.Silent.Store(true)
	c.restart()
	if _, err := i.Admin.Order(t.Context(), s.Client, rest.NewOrder{Kind: "delete", Machine: w.Machine, Reason: "for the test"}); err != nil {
		t.Fatal(err)
	}
	c.mustRefresh()
	folder := filepath.Join(c.Dir, "state", "machines", string(w.Machine))
	if _, err := os.Stat(folder); err != nil || len(c.Host.Running()) != 1 {
		t.Errorf("a machine that does not answer: %v, %d run", err, len(c.Host.Running()))
	}
	c.Silent.Store(false)
	eventually(t, "the machine is deleted", func() bool {
		_, err := os.Stat(folder)
		return errors.Is(err, fs.ErrNotExist) && len(c.Host.Running()) == 0
	})
}

// TestImageThatIsNotThere starts before the image was pushed, and with one that
// nobody published.
func TestImageThatIsNotThere(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.user("alice")
	i.workspace("Office", office, grant("alice"))
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	st, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil || len(st.Workspaces) != 0 || len(st.Notes) == 0 {
		t.Errorf("without an image: %+v, %v", st, err)
	}
	i.push("office")
	eventually(t, "the lease", func() bool {
		all, err := c.Agent.Workspaces(t.Context(), me(alice))
		return c.refresh() == nil && err == nil && len(all) == 1
	})
	c.await(alice, "ready")
	c.mustStart(alice)
}

// TestImageObjectMissing takes an object of the image out of the repository.
func TestImageObjectMissing(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.push("office")
	i.user("alice")
	i.workspace("Office", office, grant("alice"))
	repository := filepath.Join(i.Config.Data, "repository")
	var pack string
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, "pack") {
			pack = path
		}
		return err
	})
	if err != nil || pack == "" {
		t.Fatalf("no pack in %s: %v", repository, err)
	}
	if err := os.Rename(pack, pack+".away"); err != nil {
		t.Fatal(err)
	}
	c := newComputer(t, "desk")
	c.enrol(i.joinToken())
	c.signIn(alice, "alice")
	if w := c.await(alice, "failed"); w.Error == "" {
		t.Errorf("without the pack: %+v", w)
	}
	for range 3 {
		c.mustRefresh() // tries again
		c.await(alice, "failed")
	}
	if err := os.Rename(pack+".away", pack); err != nil {
		t.Fatal(err)
	}
	c.mustRefresh()
	c.await(alice, "ready")
	c.mustStart(alice)
	c.mustRefresh()
	if n := i.count("desk", event.ImageFailed); n != 1 {
		t.Errorf("told %d times", n)
	}
}

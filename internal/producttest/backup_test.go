package producttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/event"
	"github.com/dormer-project/dormer/internal/server"
)

// dormerd runs a command of the server's program.
func dormerd(t *testing.T, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	c := server.Command("test", nil, &out, &errOut)
	c.SetArgs(args)
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("dormerd %v: %v\n%s", args, err, errOut.String())
	}
	return out.String()
}

// backUp makes a backup of the running server with its images.
func (i *instance) backUp(more ...string) string {
	i.t.Helper()
	dir := i.t.TempDir()
	config := filepath.Join(dir, "dormerd.toml")
	text := fmt.Sprintf("data = %q\nlisten = [%q]\npublic_urls = [%q]\n[clients]\npoll_interval = \"1s\"\n", i.Config.Data, i.Config.Listen[0], i.Config.PublicURLs[0])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
	file := filepath.Join(dir, "one.backup")
	dormerd(i.t, append([]string{"backup", "create", file, "--with-repository", "-c", config}, more...)...)
	return file
}

// TestRestoreDrill: a backup is made while clients poll and report, the server
// is lost and restored elsewhere. The same clients go on: leases are
// accepted, machines run through, images come from the restored repository,
// and of what was acknowledged before the backup nothing is missing.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	i, c, _ := one(t)
	token := i.joinToken()
	c.mustStart(alice)
	const before = 20
	for range before {
		if _, err := c.run(alice, "Hello"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "events acknowledged", func() bool { return i.count("desk", event.ApplicationRun) == before })
	machine := c.only(alice).Machine

	// They go on while the backup is made.
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- n
				return
			default:
				if _, err := c.run(alice, "Hello"); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	file := i.backUp()
	close(stop)
	during := <-stopped
	i.shut()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.Rename(i.Config.Data, old); err != nil {
		t.Fatal(err)
	}
	if err := c.refresh(); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("poll without a server: %v", err)
	}

	i.Config.Data = filepath.Join(t.TempDir(), "elsewhere")
	dormerd(t, "backup", "verify", file)
	dormerd(t, "backup", "restore", file, "--data", i.Config.Data)
	i.start()
	c.mustRefresh()
	s, err := c.Agent.Status(t.Context(), me(alice))
	if err != nil || s.Epoch < 2 {
		t.Errorf("after the restore: %+v, %v", s, err)
	}
	if w := c.only(alice); w.State != "running" || !w.Permitted || w.Machine != machine {
		t.Errorf("a restore touched a machine: %+v", w)
	}
	n := i.count("desk", event.ApplicationRun)
	if n < before || n > before+during {
		t.Errorf("%d events of %d that were acknowledged before the backup, and of %d after it", n, before, during)
	}
	t.Logf("of %d events before the backup and %d while it was made %d are there after the restore", before, during, n)
	for range 5 {
		if _, err := c.run(alice, "Hello"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "events after the restore", func() bool { return i.count("desk", event.ApplicationRun) >= n+5 })
	for _, code := range []event.Code{event.LeaseRefused, event.EpochRefused, event.AnswerRefused} {
		if n := i.count("desk", code); n != 0 {
			t.Errorf("%d events %d", n, code)
		}
	}
	restored := 0
	eventually(t, "the event of the restore", func() bool {
		restored = 0
		for _, e := range i.events() {
			if e.Code == int(event.ServerRestored) {
				restored++
			}
		}
		return restored == 1
	})

	// A client that knows nothing yet gets everything from the restored one, by
	// a token of before.
	d := newComputer(t, "desk2")
	d.enrol(token)
	d.signIn(alice, "alice")
	d.await(alice, "ready")
	d.mustStart(alice)
	// And the one of before gets what is new.
	i.push("office")
	eventually(t, "a new version is known", func() bool { return c.refresh() == nil && c.only(alice).Update == "office/2" })
	c.restart()
	c.mustRefresh()

	// The one of before comes back: nobody listens to it, and it gives way.
	i.shut()
	restoredTo := i.Config.Data
	i.Config.Data = old
	i.start()
	if err := c.refresh(); !errors.Is(err, dormer.ErrFenced) {
		t.Errorf("poll at the server of before: %v", err)
	}
	eventually(t, "the server of before knows", func() bool {
		if err := c.refresh(); err == nil {
			t.Error("a poll at the server of before was taken")
		}
		_, err := os.Stat(filepath.Join(old, "superseded-by-epoch"))
		return err == nil
	})
	i.shut()
	i.Config.Data = restoredTo
	i.start()
	c.mustRefresh()
}

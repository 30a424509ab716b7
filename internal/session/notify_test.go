package session

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer/internal/agentapi"
)

// startBus starts a real session bus and returns its address.
func startBus(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		if os.Getenv("DORMER_TEST_ALL") != "" {
			t.Fatal("dbus-daemon is missing: install the Debian package dbus-daemon")
		}
		t.Skip("SKIPPED: dbus-daemon is missing (Debian package dbus-daemon)")
	}
	c := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address=1", "--address=unix:path="+filepath.Join(t.TempDir(), "bus"))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// desktop stands in for what shows notifications.
type desktop struct{ shown []string }

func (d *desktop) Notify(app string, _ uint32, _, title, text string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	d.shown = append(d.shown, app, title, text)
	return 1, nil
}

func TestNotify(t *testing.T) {
	address := startBus(t)
	b := newBench(t, func(c *Config) {
		env := c.Env
		c.Env = func(name string) string {
			if name == "DBUS_SESSION_BUS_ADDRESS" {
				return address
			}
			return env(name)
		}
	})
	notify := func() agentapi.NotifyResult {
		t.Helper()
		r, err := agentapi.AskDesk[agentapi.NotifyResult](t.Context(), b.desk.Client(), http.MethodPost, agentapi.DeskNotify,
			agentapi.NotifyRequest{Title: "Office stops", Text: "at 10:15 <b>& now</b>"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if notify().Shown {
		t.Error("a bus without a desktop shows a message")
	}
	bus, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	d := &desktop{}
	if err := bus.Export(d, notifyPath, notifyName); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.RequestName(notifyName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	if !notify().Shown {
		t.Error("the desktop does not show the message")
	}
	// The text may have markup, so that it must not have any by accident.
	if diff := cmp.Diff([]string{"Dormer", "Office stops", "at 10:15 &lt;b&gt;&amp; now&lt;/b&gt;"}, d.shown); diff != "" {
		t.Error(diff)
	}
}

func TestNotifyWithoutBus(t *testing.T) {
	b := newBench(t, nil)
	r, err := agentapi.AskDesk[agentapi.NotifyResult](t.Context(), b.desk.Client(), http.MethodPost, agentapi.DeskNotify, agentapi.NotifyRequest{Title: "x"})
	if err != nil || r.Shown {
		t.Errorf("answer is %+v, %v", r, err)
	}
}

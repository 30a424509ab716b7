package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestCopiedClient holds that a copied identity is shown with where it was seen
// and what to do.
func TestCopiedClient(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	a := &app{Streams: Streams{Now: func() time.Time { return at.Add(time.Hour) }}}
	x := rest.Client{
		ID: "c2k7qv5xa3m4zt6hd5r2wn7bye", Managed: true, Host: wire.Host{Name: "pc-1"}, JoinToken: "t1", Enrolled: at, LastSeen: &at,
		Copied: &at, CopiedDetail: "pc-1 (192.0.2.7) and pc-2 (192.0.2.9), which started later, both poll", KeyFingerprint: "sha256:00ff",
		Runs: []rest.ClientRun{{First: at, Last: at, Host: "pc-1", Address: "192.0.2.7"}, {First: at, Last: at, Host: "pc-2", Address: "192.0.2.9"}},
	}
	shown := fmt.Sprint(a.clientRows(x, []rest.JoinToken{{ID: "t1", Name: "third floor"}}))
	for _, want := range []string{"managed", "sha256:00ff", "third floor (t1)", "on pc-1 at 192.0.2.7", "on pc-2 at 192.0.2.9", "pc-2 (192.0.2.9), which started later", "revoke it"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in %s", want, shown)
		}
	}
	x.Copied, x.Revoked, x.Runs = nil, &at, nil
	if shown := fmt.Sprint(a.clientRows(x, nil)); strings.Contains(shown, "Copied") || !strings.Contains(shown, "Revoked") || kindOfClient(x) != "revoked" {
		t.Errorf("shown is %s", shown)
	}
}

// TestClockOff holds that a clock that is off by more than two minutes is
// shown, and that others are not spoken of.
func TestClockOff(t *testing.T) {
	for ahead, want := range map[int64]string{0: "", 120: "", -120: "", 121: "2m1s ahead of the server's", -3600: "1h0m0s behind the server's"} {
		a := &app{Streams: Streams{Now: time.Now}}
		x := rest.Client{ClockAheadSeconds: &ahead}
		shown := fmt.Sprint(a.clientRows(x, nil))
		if got := clockOff(x); got != want || strings.Contains(shown, "Clock") != (want != "") || !strings.Contains(shown, want) {
			t.Errorf("%d seconds ahead: %q in %s, want %q", ahead, got, shown, want)
		}
	}
	if got := clockOff(rest.Client{}); got != "" {
		t.Errorf("a clock that is not known is %q", got)
	}
}

// TestTicketIsMine holds that root signs nobody else in by their ticket.
func TestTicketIsMine(t *testing.T) {
	mine := filepath.Join(t.TempDir(), "ccache")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	for _, test := range []struct {
		env  map[string]string
		good bool
	}{
		{nil, true},
		{map[string]string{"KRB5CCNAME": "FILE:" + mine}, true},
		{map[string]string{"KRB5CCNAME": mine}, true},
		{map[string]string{"KRB5CCNAME": "FILE:/no/such/file"}, true}, // whoever reads it says so
		{map[string]string{"KRB5CCNAME": "KEYRING:persistent:0"}, true},
		{map[string]string{"SUDO_UID": "0"}, true},
		{map[string]string{"SUDO_UID": "1000"}, !root},
		{map[string]string{"PKEXEC_UID": "1000", "KRB5CCNAME": "FILE:" + mine}, !root},
		{map[string]string{"KRB5CCNAME": "FILE:/proc/1/status"}, root}, // root's
	} {
		a := &app{Streams: Streams{Env: func(name string) string { return test.env[name] }}}
		if err := a.ticketIsMine(); (err == nil) != test.good {
			t.Errorf("%v: %v", test.env, err)
		}
	}
}

package guesttest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

// What the guest is told in secret.
const (
	firstPassword  = "correct horse ÄÖ battery 1"
	secondPassword = "another staple 2"
	secretText     = "nobody may know this 3"
	drivePassword  = "no server ever sees this 4"
)

// One guest with all channels, arranged in every way, what passes on the
// channels, and all of it looked at from inside.
func TestDesk(t *testing.T) {
	t.Parallel()
	hypervisortest.SkipUnlessBooting(t)
	g := boot(t, func(s *hypervisor.Spec) {
		s.Network, s.Channels = hypervisor.NetworkNAT, slices.Clone(guestwire.Channels)
	})
	t.Run("Files", g.files)
	t.Run("Clipboard", g.clipboard)
	t.Run("Folders", g.folders)
	t.Run("Print", g.printing)
	t.Run("TimeZone", g.timeZone)
	t.Run("Clock", g.clock)
	t.Run("DNS", g.dns)
	t.Run("Resolved", g.resolved)
	t.Run("Regional", g.regional)
	t.Run("Notify", g.notify)
	t.Run("Lock", g.lock)
	t.Run("SignOn", g.signOn)
	t.Run("SecretFile", g.secretFile)
	t.Run("Applications", g.applications)
	t.Run("Connect", g.connect)
	t.Run("AutoSignOn", g.autoSignOn)
	t.Run("DrivesWithoutServer", g.drivesWithoutServer)
	t.Run("Disk", func(t *testing.T) { g.nowhere(t, firstPassword, secondPassword, secretText, drivePassword) })
}

func (g guest) timeZone(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.machine.timeZone")
	for _, zone := range []struct{ name, offset string }{{"Asia/Tokyo", "+0900"}, {"America/Phoenix", "-0700"}, {"UTC", "+0000"}} {
		g.ask(t, guestwire.CapTimeZone, guestwire.MethodTimeZone, guestwire.TimeZoneRequest{Name: zone.name}, nil)
		if got := g.run(t, "", "date +%z; readlink /etc/localtime"); got != zone.offset+"\n../usr/share/zoneinfo/"+zone.name {
			t.Errorf("%s: %q", zone.name, got)
		}
	}
	for name, want := range map[string]error{"Europe/Atlantis": dormer.ErrNotFound, "../../../etc/passwd": dormer.ErrInvalid, "/etc/passwd": dormer.ErrInvalid, "Europe": dormer.ErrNotFound, "": dormer.ErrInvalid} {
		if err := g.try(t, guestwire.CapTimeZone, guestwire.MethodTimeZone, guestwire.TimeZoneRequest{Name: name}, nil); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", name, err, want)
		}
	}
}

func (g guest) clock(t *testing.T) {
	for _, to := range []time.Time{time.Now().AddDate(0, 0, 3), time.Now()} {
		g.ask(t, guestwire.CapClock, guestwire.MethodClock, guestwire.ClockRequest{Time: to}, nil)
		got := g.run(t, "", "date +%Y-%m-%d -u")
		if got != to.UTC().Format(time.DateOnly) && got != to.Add(time.Minute).UTC().Format(time.DateOnly) {
			t.Errorf("the guest's date is %s, want %s", got, to.UTC().Format(time.DateOnly))
		}
	}
	if err := g.try(t, guestwire.CapClock, guestwire.MethodClock, guestwire.ClockRequest{}, nil); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a clock of the year 1: %v", err)
	}
}

func (g guest) dns(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.network.dns.servers", "spec.network.suffixes.list")
	before := g.root(t, "cat /etc/resolv.conf")
	set := func(r guestwire.DNSRequest) string {
		t.Helper()
		g.ask(t, guestwire.CapDNS, guestwire.MethodDNS, r, nil)
		return g.root(t, "grep -v '^#' /etc/resolv.conf")
	}
	if got := set(guestwire.DNSRequest{Servers: []string{"192.0.2.53", "2001:db8::53"}, Suffixes: []string{"corp.example.test", "example.com"}}); got != "search corp.example.test example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53" {
		t.Errorf("servers and suffixes: %q", got)
	}
	if got := set(guestwire.DNSRequest{Suffixes: []string{"example.com"}}); got != "search example.com\nnameserver 10.0.2.3" {
		t.Errorf("suffixes alone keep the guest's own servers: %q", got)
	}
	set(guestwire.DNSRequest{})
	if got := g.root(t, "cat /etc/resolv.conf"); got != before {
		t.Errorf("without any: %q, want the image's own %q", got, before)
	}
	for _, r := range []guestwire.DNSRequest{{Servers: []string{"dns.example.com"}}, {Servers: []string{"192.0.2.1\nnameserver 192.0.2.2"}}, {Suffixes: []string{"a b"}}} {
		if err := g.try(t, guestwire.CapDNS, guestwire.MethodDNS, r, nil); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// resolved does the same where systemd-resolved has the say.
func (g guest) resolved(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.network.dns.servers", "spec.network.suffixes.list")
	own := g.root(t, "cat /etc/resolv.conf; systemctl start systemd-resolved; ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf")
	g.ask(t, guestwire.CapDNS, guestwire.MethodDNS, guestwire.DNSRequest{Servers: []string{"192.0.2.53"}, Suffixes: []string{"corp.example.test"}}, nil)
	got := g.root(t, "resolvectl dns; resolvectl domain; cat /etc/resolv.conf")
	for _, want := range []string{"Global: 192.0.2.53", "Global: corp.example.test ~.", "search corp.example.test"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	g.ask(t, guestwire.CapDNS, guestwire.MethodDNS, guestwire.DNSRequest{}, nil)
	if got := g.root(t, "resolvectl dns"); strings.Contains(got, "192.0.2.53") {
		t.Errorf("after the host has taken them back: %s", got)
	}
	g.root(t, "systemctl stop systemd-resolved; rm /etc/resolv.conf; cat >/etc/resolv.conf <<'END'\n"+own+"\nEND")
}

func (g guest) regional(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.setup.regional.formats", "spec.setup.regional.keyboard")
	g.ask(t, guestwire.CapRegional, guestwire.MethodRegional, guestwire.RegionalRequest{Locale: "de_DE.UTF-8", Layout: "de", Variant: "nodeadkeys"}, nil)
	if got := g.run(t, "", "echo $LANG; date -d 2026-03-01 +%B; ls /missing 2>&1 || true"); !strings.HasPrefix(got, "de_DE.UTF-8\nMärz\n") {
		t.Errorf("language of commands: %q", got)
	}
	if got := g.root(t, "localectl status"); !strings.Contains(got, "LANG=de_DE.UTF-8") || !strings.Contains(got, "X11 Layout: de") || !strings.Contains(got, "X11 Variant: nodeadkeys") {
		t.Errorf("systemd says %s", got)
	}
	err := g.try(t, guestwire.CapRegional, guestwire.MethodRegional, guestwire.RegionalRequest{Locale: "fr_FR.UTF-8", Layout: "fr"}, nil)
	if !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a language that is not installed: %v", err)
	}
	if got := g.root(t, "cat /etc/default/keyboard; cat /etc/locale.conf"); got != "XKBLAYOUT=fr\nLANG=de_DE.UTF-8" {
		t.Errorf("the keyboard counts all the same: %q", got)
	}
	if err := g.try(t, guestwire.CapRegional, guestwire.MethodRegional, guestwire.RegionalRequest{Locale: "x\nLD_PRELOAD=y"}, nil); !errors.Is(err, dormer.ErrInvalid) {
		t.Errorf("a language with a line break: %v", err)
	}
}

func (g guest) notify(t *testing.T) {
	g.exec(t, guestwire.ExecRequest{Args: []string{"script", "-q", "-f", "-c", "sleep 600", "/tmp/terminal"}, Detach: true})
	g.await(t, "terminal of the user", "ls -l /dev/pts | grep -q ' user '")
	g.ask(t, guestwire.CapNotify, guestwire.MethodNotify, guestwire.NotifyRequest{Title: "Update", Text: "Version 7 is \x1b[31mthere"}, nil)
	g.await(t, "message on the terminal", `grep -q 'Update: Version 7 is  \[31mthere' /tmp/terminal`)
	g.root(t, "pkill -f '[s]leep 600'; rm /tmp/terminal")
}

func (g guest) lock(t *testing.T) {
	// A session of the user's, as a sign-on at a console makes one.
	g.exec(t, guestwire.ExecRequest{Args: []string{"systemd-run", "--quiet", "--unit=seat", "--setenv=XDG_SESSION_CLASS=user", "-p", "PAMName=login", "-p", "User=user", "sleep", "600"}, User: "root"})
	g.await(t, "session of the user", "loginctl list-sessions --no-legend | grep -q user")
	g.root(t, `dbus-monitor --system "interface='org.freedesktop.login1.Session'" >/run/locks 2>&1 & echo $! >/run/monitor; while ! [ -s /run/locks ]; do busybox usleep 100000; done`)
	for range 2 {
		g.ask(t, guestwire.CapLock, guestwire.MethodLock, nil, nil)
	}
	g.await(t, "sessions are told to lock", "grep -q member=Lock /run/locks")
	if st := g.status(t); !st.Locked {
		t.Errorf("after locking: %+v", st)
	}
	g.ask(t, guestwire.CapLock, guestwire.MethodUnlock, nil, nil)
	g.await(t, "sessions are told to unlock", "grep -q member=Unlock /run/locks")
	if st := g.status(t); st.Locked || len(st.Users) != 1 || st.Users[0] != "user" {
		t.Errorf("after unlocking: %+v", st)
	}
	g.root(t, "kill $(cat /run/monitor); systemctl stop seat; rm /run/locks /run/monitor")
}

func (g guest) signOn(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.machine.signOn")
	request := guestwire.SignOnRequest{User: "Ada.Lovelace", Password: firstPassword}
	var got guestwire.SignOnResult
	for _, made := range []bool{true, false} {
		got = guestwire.SignOnResult{}
		g.ask(t, guestwire.CapSignOn, guestwire.MethodSignOn, request, &got)
		if got != (guestwire.SignOnResult{Account: "ada.lovelace", Made: made}) {
			t.Fatalf("got %+v, want made %t", got, made)
		}
	}
	if out := g.run(t, got.Account, "id -un; pwd; test -w . && echo mine"); out != "ada.lovelace\n/home/ada.lovelace\nmine" {
		t.Errorf("a command as the user: %q", out)
	}
	if st := g.status(t); st.SignedOn != got.Account {
		t.Errorf("status: %+v", st)
	}
	hash := g.root(t, "getent shadow ada.lovelace | cut -d: -f2")
	if len(hash) < 10 {
		t.Errorf("the account has no password: %q", hash)
	}
	request.Password = secondPassword
	g.ask(t, guestwire.CapSignOn, guestwire.MethodSignOn, request, &got)
	if changed := g.root(t, "getent shadow ada.lovelace | cut -d: -f2"); changed == hash {
		t.Error("another password does not reach the account")
	}
	g.hidden(t, firstPassword, secondPassword)
	if err := g.try(t, guestwire.CapSignOn, guestwire.MethodSignOn, guestwire.SignOnRequest{User: "root", Password: secondPassword}, nil); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("the administrator's account: %v", err)
	}
	for _, r := range []guestwire.SignOnRequest{{User: "-d"}, {User: "a:b"}, {User: `CORP\a`}, {User: "a", Password: "x\nroot:y"}} {
		if err := g.try(t, guestwire.CapSignOn, guestwire.MethodSignOn, r, nil); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	g.ask(t, guestwire.CapSignOn, guestwire.MethodSignOff, nil, nil)
	if st := g.status(t); st.SignedOn != "" {
		t.Errorf("after signing off: %+v", st)
	}
}

func (g guest) secretFile(t *testing.T) {
	r := g.exec(t, guestwire.ExecRequest{
		Args:       []string{"sh", "-c", `cat "$DORMER_SECRET_FILE"; stat -c ' %a %U %m' "$DORMER_SECRET_FILE"; echo "$DORMER_SECRET_FILE"`},
		SecretFile: []byte(secretText),
	})
	text, name, _ := strings.Cut(strings.TrimSpace(string(r.Stdout)), "\n")
	if text != secretText+" 400 user /run" || r.ExitCode != 0 {
		t.Fatalf("got %q, %s", r.Stdout, r.Stderr)
	}
	if out := g.root(t, "ls -A "+strings.TrimSuffix(name, "/"+name[strings.LastIndex(name, "/")+1:])); out != "" {
		t.Errorf("left behind: %s", out)
	}
	g.hidden(t, secretText)
}

func (g guest) applications(t *testing.T) {
	g.exec(t, guestwire.ExecRequest{Args: []string{"sleep", "601"}, Detach: true, Application: true})
	g.exec(t, guestwire.ExecRequest{Args: []string{"sleep", "602"}, Detach: true})
	if st := g.status(t); st.Applications != 1 {
		t.Errorf("%d applications run, want 1", st.Applications)
	}
	g.root(t, "pkill -f 'sleep 60[12]'")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for g.status(t).Applications != 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("an application that has ended is still counted")
		}
	}
}

func (g guest) connect(t *testing.T) {
	const check = "spec.setup.actions[].checkConnectivity."
	policymatrix.Exercised(t, policymatrix.RealGuest, check+"address", check+"port", check+"timeout")
	g.exec(t, guestwire.ExecRequest{Args: []string{"systemd-socket-activate", "--inetd", "--accept", "-l", "127.0.0.1:4711", "cat"}, Detach: true})
	g.ask(t, guestwire.CapConnect, guestwire.MethodConnect, guestwire.ConnectRequest{Address: "127.0.0.1", Port: 4711, Timeout: time.Minute}, nil)
	err := g.try(t, guestwire.CapConnect, guestwire.MethodConnect, guestwire.ConnectRequest{Address: "127.0.0.1", Port: 4712, Timeout: time.Second}, nil)
	if !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a port that nobody serves: %v", err)
	}
}

func (g guest) autoSignOn(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.setup.actions[].disableAutomaticSignOn")
	g.root(t, `mkdir -p /etc/systemd/system/getty@tty1.service.d /etc/lightdm
printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin user --noclear %%I $TERM\n' >/etc/systemd/system/getty@tty1.service.d/auto.conf
printf '[Seat:*]\nautologin-user=user\nuser-session=xfce\n' >/etc/lightdm/lightdm.conf`)
	for range 2 {
		g.ask(t, guestwire.CapAutoSign, guestwire.MethodNoAutoSignOn, nil, nil)
	}
	got := g.root(t, "cat /etc/systemd/system/getty@tty1.service.d/auto.conf /etc/lightdm/lightdm.conf; rm -r /etc/lightdm /etc/systemd/system/getty@tty1.service.d")
	if want := "[Service]\nExecStart=\nExecStart=-/sbin/agetty --noclear %I $TERM\n[Seat:*]\nuser-session=xfce"; got != want {
		t.Errorf("got %q", got)
	}
}

func (g guest) drivesWithoutServer(t *testing.T) {
	var got guestwire.DrivesResult
	g.ask(t, guestwire.CapDrives, guestwire.MethodDrives, guestwire.DrivesRequest{
		Drives: []guestwire.Drive{{Letter: "P", Path: `\\127.0.0.1\team`}, {Letter: "Q", Path: `\\srv\a,sec=none`}}, User: "user", Password: drivePassword,
	}, &got)
	if len(got.Drives) != 2 || got.Drives[0].Problem == "" || got.Drives[1].Problem == "" || got.Drives[0].Where != "" {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(got.Drives[0].Problem, drivePassword) {
		t.Error("the problem tells the password")
	}
	g.hidden(t, drivePassword)
}

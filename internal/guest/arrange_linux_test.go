package guest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/preparation"
)

// inRoot returns an agent whose system has these files.
func inRoot(t *testing.T, files map[string]string) *Guest {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g, err := New(Config{Root: root, Version: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *Guest) content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(g.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSetTimeZone(t *testing.T) {
	g := inRoot(t, map[string]string{
		"/etc/timezone": "UTC\n", "/usr/share/zoneinfo/Europe/Berlin": "TZif2", "/usr/share/zoneinfo/tzdata.zi": "# version",
		"/usr/share/zoneinfo/zonetab": "# no zone",
	})
	if err := os.Symlink("/etc/passwd", g.path("/usr/share/zoneinfo/Link")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.setTimeZone(t.Context(), guestwire.TimeZoneRequest{Name: "Europe/Berlin"}); err != nil {
			t.Fatal(err)
		}
	}
	if to, err := os.Readlink(g.path("/etc/localtime")); err != nil || to != "../usr/share/zoneinfo/Europe/Berlin" || g.content(t, "/etc/timezone") != "Europe/Berlin\n" {
		t.Errorf("%s, %v", to, err)
	}
	for name, want := range map[string]error{
		"Europe/Paris": dormer.ErrNotFound, "zonetab": dormer.ErrNotFound, "../../etc/timezone": dormer.ErrInvalid, "a/b/c/d": dormer.ErrInvalid, "tzdata.zi": dormer.ErrInvalid,
	} {
		if err := g.setTimeZone(t.Context(), guestwire.TimeZoneRequest{Name: name}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	if err := g.setTimeZone(t.Context(), guestwire.TimeZoneRequest{Name: "Link"}); err == nil {
		t.Error("a link out of the database is followed")
	}
	if err := inRoot(t, nil).setTimeZone(t.Context(), guestwire.TimeZoneRequest{Name: "UTC"}); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("without a database: %v", err)
	}
}

// Back to the image's own resolver, whether it was a file, a link or nothing.
func TestDNSGoesBack(t *testing.T) {
	r := guestwire.DNSRequest{Servers: []string{"192.0.2.1"}}
	file := inRoot(t, map[string]string{"/etc/resolv.conf": "options edns0\nnameserver 10.0.2.3\n"})
	link := inRoot(t, map[string]string{"/etc/passwd": ""})
	if err := os.Symlink("../run/resolvconf/resolv.conf", link.path("/etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	none := inRoot(t, map[string]string{"/etc/passwd": ""})
	for name, g := range map[string]*Guest{"file": file, "link": link, "none": none} {
		for range 2 {
			if err := g.setDNS(t.Context(), r); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if got := g.content(t, "/etc/resolv.conf"); !strings.Contains(got, "\nnameserver 192.0.2.1\n") || strings.Contains(got, "10.0.2.3") {
			t.Errorf("%s: %q", name, got)
		}
		for range 2 {
			if err := g.setDNS(t.Context(), guestwire.DNSRequest{}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if got := file.content(t, "/etc/resolv.conf"); got != "options edns0\nnameserver 10.0.2.3\n" {
		t.Errorf("file: %q", got)
	}
	if to, err := os.Readlink(link.path("/etc/resolv.conf")); err != nil || to != "../run/resolvconf/resolv.conf" {
		t.Errorf("link: %q, %v", to, err)
	}
	if _, err := os.Lstat(none.path("/etc/resolv.conf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

func TestAssigned(t *testing.T) {
	got := assigned("# mine\nXKBMODEL=pc105\nXKBLAYOUT=us\nXKBVARIANT=intl", map[string]string{"XKBLAYOUT": "de", "XKBVARIANT": ""})
	if want := "# mine\nXKBMODEL=pc105\nXKBLAYOUT=de\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestHasLocale(t *testing.T) {
	const list = "C\nC.utf8\nPOSIX\nde_DE.utf8\nca_ES.utf8@valencia\n"
	for name, want := range map[string]bool{"de_DE.UTF-8": true, "C.UTF-8": true, "fr_FR.UTF-8": false, "de_DE": false, "ca_ES.UTF-8@valencia": true} {
		if got := hasLocale(list, name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWithoutAutologin(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"getty", "ExecStart=-/sbin/agetty --autologin user --noclear %I $TERM\n", "ExecStart=-/sbin/agetty --noclear %I $TERM\n"},
		{"short", "1:2345:respawn:/sbin/agetty -a user tty1 linux", "1:2345:respawn:/sbin/agetty tty1 linux"},
		{"with an equals sign", "ExecStart=-/sbin/agetty --autologin=user tty1\n", "ExecStart=-/sbin/agetty tty1\n"},
		{"comment", "# agetty --autologin user\n", "# agetty --autologin user\n"},
	}
	for _, tt := range tests {
		got, changed := withoutAutologin(tt.text)
		if got != tt.want || changed != (tt.text != tt.want) {
			t.Errorf("%s: %q, %t", tt.name, got, changed)
		}
	}
	desktops := []struct{ name, text, want string }{
		{"gdm", "[daemon]\nAutomaticLoginEnable=true\nAutomaticLogin=user\nWaylandEnable=false\n", "[daemon]\nWaylandEnable=false\n"},
		{"gdm, off", "[daemon]\nAutomaticLoginEnable=false\n", "[daemon]\nAutomaticLoginEnable=false\n"},
		{"lightdm", "[Seat:*]\nautologin-user = user\n#autologin-user=\n", "[Seat:*]\n#autologin-user=\n"},
		{"sddm", "[Autologin]\nUser=user\nSession=plasma\n[Users]\nUser=kept\n", "[Autologin]\nSession=plasma\n[Users]\nUser=kept\n"},
	}
	for _, tt := range desktops {
		got, changed := withoutDesktopAutologin(tt.text)
		if got != tt.want || changed != (tt.text != tt.want) {
			t.Errorf("%s: %q, %t", tt.name, got, changed)
		}
	}
}

func TestParseShare(t *testing.T) {
	for path, want := range map[string]string{
		`\\srv\team`: "//srv/team", `\\srv.corp.example.test\Team Files\a b\c\`: "//srv.corp.example.test/Team Files/a b/c", `\\192.0.2.7\x$`: "//192.0.2.7/x$",
	} {
		got, err := parseShare(path)
		if err != nil || got.slashes() != want {
			t.Errorf("%s: %q, %v", path, got.slashes(), err)
		}
	}
	for _, path := range []string{
		"", `\\srv`, `\\srv\`, `//srv/team`, `\\srv\team\..\other`, `\\srv\a,sec=none`, `\\-o\x`, "\\\\srv\\a\nb", `\\srv\a\\b`, `\\s rv\a`, `\\srv@8080\a`, `\\?\C:\x`,
	} {
		if got, err := parseShare(path); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%q: %+v, %v", path, got, err)
		}
	}
}

func FuzzParseShare(f *testing.F) {
	f.Add(`\\srv\team\folder`)
	f.Fuzz(func(t *testing.T, path string) {
		s, err := parseShare(path)
		if err != nil {
			return
		}
		mount := s.slashes()
		if !strings.HasPrefix(mount, "//") || strings.ContainsAny(mount, ",\n\\") || strings.Contains(mount, "/../") || strings.HasSuffix(mount, "/..") {
			t.Errorf("%q becomes %q", path, mount)
		}
	})
}

func TestLoginName(t *testing.T) {
	for name, want := range map[string]string{
		"alice": "alice", "Ada.Lovelace": "ada.lovelace", "Bób": "b_b", "7of9": "u7of9", "O'Hara": "o_hara", strings.Repeat("x", 50): strings.Repeat("x", 32),
	} {
		if got := loginName(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A password is on no command line and in no error.
func TestToolKeepsSecrets(t *testing.T) {
	const secret = "not to be told"
	_, err := tool{args: []string{"sh", "-c", "tr '\\0' ' ' </proc/self/cmdline; env; cat; exit 3"}, stdin: []byte("user:x\n" + secret + "\n")}.run(t.Context())
	if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "(hidden)") {
		t.Errorf("got %v", err)
	}
	if _, err := (tool{args: []string{"no-such-tool-anywhere"}}).run(t.Context()); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("a tool that is missing: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (tool{args: []string{"sleep", "60"}}).run(ctx); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a tool that does not end: %v", err)
	}
}

func TestJoinArguments(t *testing.T) {
	const secret = "one-time"
	r := guestwire.JoinRequest{Domain: "CORP.example.test", Computer: "DESK-1", FQDN: "desk-1.corp.example.test", Password: secret, Servers: []string{"dc1.corp.example.test"}}
	if err := checkJoin(r); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"adcli", "join", "--domain=corp.example.test", "--domain-controller=dc1.corp.example.test", "--stdin-password", "--computer-name=DESK-1", "--verbose",
		"--host-fqdn=desk-1.corp.example.test", "--login-type=computer",
	}
	if diff := cmp.Diff(want, joinArguments(r)); diff != "" {
		t.Error(diff)
	}
	r.Password, r.User, r.UserPassword, r.OrganizationalUnit = "", "svc-join", secret, "OU=Guests,DC=corp,DC=example,DC=test"
	if err := checkJoin(r); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(joinArguments(r), " ")
	if !strings.HasSuffix(got, "--login-type=user --login-user=svc-join --domain-ou=OU=Guests,DC=corp,DC=example,DC=test") || strings.Contains(got, secret) {
		t.Errorf("got %s", got)
	}
	for name, change := range map[string]func(*guestwire.JoinRequest){
		"two ways":    func(r *guestwire.JoinRequest) { r.Password = "x" },
		"no way":      func(r *guestwire.JoinRequest) { r.User = "" },
		"option":      func(r *guestwire.JoinRequest) { r.User = "--help" },
		"domain":      func(r *guestwire.JoinRequest) { r.Domain = "corp" },
		"long name":   func(r *guestwire.JoinRequest) { r.Computer = "SIXTEEN-LETTERS-" },
		"line breaks": func(r *guestwire.JoinRequest) { r.UserPassword = "a\nb" },
	} {
		bad := r
		change(&bad)
		if err := checkJoin(bad); !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKerberosSettings(t *testing.T) {
	g := inRoot(t, map[string]string{"/etc/passwd": ""})
	for range 2 {
		if err := g.ensureKerberos("corp.example.test", nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.content(t, "/etc/krb5.conf"); !strings.Contains(got, "default_realm = CORP.EXAMPLE.TEST\n") || strings.Contains(got, "\tkdc =") {
		t.Errorf("got %s", got)
	}
	if err := g.ensureKerberos("corp.example.test", []string{"dc1.corp.example.test"}); err != nil || !strings.Contains(g.content(t, "/etc/krb5.conf"), "kdc = dc1.corp.example.test\n") {
		t.Errorf("servers: %v", err)
	}
	own := inRoot(t, map[string]string{"/etc/krb5.conf": "# mine\n"})
	if err := own.ensureKerberos("corp.example.test", nil); err != nil || own.content(t, "/etc/krb5.conf") != "# mine\n" {
		t.Errorf("an image's own settings: %v", err)
	}
}

func TestDesktopOf(t *testing.T) {
	got := desktopOf("HOME=/home/u\x00DISPLAY=:0\x00SECRET=x\x00XAUTHORITY=/run/x\x00WAYLAND_DISPLAY=\x00")
	if diff := cmp.Diff([]string{"DISPLAY=:0", "XAUTHORITY=/run/x"}, got); diff != "" {
		t.Error(diff)
	}
	if got := desktopOf("DBUS_SESSION_BUS_ADDRESS=x\x00"); got != nil {
		t.Errorf("without a display: %q", got)
	}
}

func TestConnect(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("not TCP")
	}
	g := inRoot(t, nil)
	if err := g.connect(t.Context(), guestwire.ConnectRequest{Address: "127.0.0.1", Port: addr.Port, Timeout: time.Minute}); err != nil {
		t.Error(err)
	}
	if err := g.connect(t.Context(), guestwire.ConnectRequest{Address: "127.0.0.1", Port: 1, Timeout: time.Millisecond}); !errors.Is(err, dormer.ErrUnavailable) {
		t.Errorf("a port that nobody serves: %v", err)
	}
}

// unprepared is a system that lacks everything that prepare sets.
func unprepared() map[string]string {
	return map[string]string{
		"/etc/machine-id": "0123456789abcdef0123456789abcdef\n", "/etc/systemd/system/timers.target.wants/apt-daily.timer": "[Timer]",
		"/etc/ssh/ssh_host_ed25519_key": "key", "/root/.bash_history": "ls\n", "/home/user/.cache/thumbnails/x": "x", "/tmp/left": "x",
		"/lib/modules/6.1/modules.dep": "kernel/virtio_pci.ko: \nkernel/virtio_net.ko.xz:\nkernel/virtio_console.ko:\n", "/lib/modules/6.1/modules.builtin": "kernel/virtio_blk.ko\n",
		"/lib/modules/old/empty": "",
	}
}

func bad(findings []guestwire.Finding) []string {
	var out []string
	for _, f := range unready(findings) {
		out = append(out, f.ID)
	}
	return out
}

func TestPrepare(t *testing.T) {
	g := inRoot(t, unprepared())
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := Install(g.cfg.Root, exe); err != nil {
		t.Fatal(err)
	}
	want := []string{"power-saving", "services", "identity", "history", "temporary-files", "machine-id"}
	if diff := cmp.Diff(want, bad(g.check(t.Context()))); diff != "" {
		t.Error(diff)
	}
	dry, err := g.prepare(t.Context(), false)
	if err != nil || dry.Record != "" || g.content(t, "/root/.bash_history") == "" {
		t.Errorf("without really doing it: %+v, %v", dry, err)
	}
	if diff := cmp.Diff(want, dry.Set); diff != "" {
		t.Error(diff)
	}
	for n := range uint64(2) {
		p, err := g.prepare(t.Context(), true)
		if err != nil || bad(p.Findings) != nil {
			t.Fatalf("%+v, %v", p, err)
		}
		r, err := readRecord(g.path(recordPath))
		if err != nil || r.State != preparation.StatePrepared || r.Sequence != n+1 || len(r.Findings) != len(conditions) {
			t.Errorf("record: %+v, %v", r, err)
		}
	}
	// An agent that is started anew before the shut-down is no other start.
	if err := g.markUsed(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := readRecord(g.path(recordPath))
	if err != nil || r.State != preparation.StatePrepared {
		t.Errorf("after the agent's restart: %+v, %v", r, err)
	}
	r.Boot = "another"
	if err := keepRecord(g.path(recordPath), r); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(g.path(recordPath))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := g.markUsed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	used, err := readRecord(g.path(recordPath))
	after, serr := os.Stat(g.path(recordPath))
	if err != nil || serr != nil || used.State != preparation.StateUsed || used.Sequence != r.Sequence+1 || !os.SameFile(before, after) {
		t.Errorf("after another start: %+v, %v, %v", used, err, serr)
	}
}

func TestUninstall(t *testing.T) {
	g := inRoot(t, map[string]string{"/etc/resolv.conf": "nameserver 10.0.2.3\n"})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := Install(g.cfg.Root, exe); err != nil {
		t.Fatal(err)
	}
	if err := g.setDNS(t.Context(), guestwire.DNSRequest{Servers: []string{"192.0.2.1"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Uninstall(g.cfg.Root); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{programPath, unitPath, wantsPath, filepath.Dir(recordPath)} {
		if _, err := os.Lstat(g.path(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
	if got := g.content(t, "/etc/resolv.conf"); got != "nameserver 10.0.2.3\n" {
		t.Errorf("resolv.conf: %q", got)
	}
}

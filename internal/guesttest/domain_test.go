package guesttest

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/guestwire"
	"github.com/dormer-project/dormer/internal/hypervisor"
	"github.com/dormer-project/dormer/internal/hypervisor/hypervisortest"
	"github.com/dormer-project/dormer/internal/policymatrix"
)

const (
	oneTime       = "one-time Password 5"
	alicePassword = "Alice's new words 6"
	sharePassword = "share password 7"
)

// A guest joins a domain with a one-time password, signs a user of the domain
// on, and maps a share.
func TestDomain(t *testing.T) {
	t.Parallel()
	hypervisortest.SkipUnlessBooting(t)
	address := reachable(t)
	d := testdomain.StartDomain(t, testdomain.Options{Address: address})
	share := serveShare(t, address)
	g := boot(t, func(s *hypervisor.Spec) {
		s.Network, s.ComputerName = hypervisor.NetworkNAT, "DESK-1"
	})
	g.ask(t, guestwire.CapDNS, guestwire.MethodDNS, guestwire.DNSRequest{Servers: []string{address}, Suffixes: []string{d.Name}}, nil)
	for _, port := range []int{53, 88, 389, 445} {
		g.ask(t, guestwire.CapConnect, guestwire.MethodConnect, guestwire.ConnectRequest{Address: "dc1." + d.Name, Port: port, Timeout: time.Minute}, nil)
	}
	t.Run("Join", func(t *testing.T) { g.join(t, d) })
	t.Run("SignOn", func(t *testing.T) { g.domainSignOn(t, d) })
	t.Run("Drives", func(t *testing.T) { g.drives(t, address, share) })
	t.Run("Disk", func(t *testing.T) {
		g.nowhere(t, oneTime, alicePassword, sharePassword, d.Password(t, "alice"))
	})
}

// reachable makes an address of this computer that guests reach.
func reachable(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "a domain for guests needs root")
	}
	for last := 1; last < 250; last++ {
		address := fmt.Sprintf("198.51.100.%d", last)
		if err := exec.CommandContext(t.Context(), "ip", "address", "add", address+"/32", "dev", "lo").Run(); err != nil {
			continue // another test has it
		}
		t.Cleanup(func() {
			if err := exec.Command("ip", "address", "del", address+"/32", "dev", "lo").Run(); err != nil {
				t.Errorf("remove address: %v", err)
			}
		})
		return address
	}
	t.Fatal("no address is free")
	return ""
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("DORMER_TEST_ALL") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// serveShare serves a folder as \\ADDRESS\team to the user "drive", and returns
// the folder.
func serveShare(t *testing.T, address string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "dormer-smb-") //nolint:usetesting // a socket's path may have no more than 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	folder := filepath.Join(dir, "team")
	for _, name := range []string{"private", "state", "cache", "lock", "pid", "ncalrpc", "team/plans"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	config, users := filepath.Join(dir, "smb.conf"), filepath.Join(dir, "users")
	write(t, users, "root = drive\n")
	write(t, config, strings.NewReplacer("DIR", dir, "ADDRESS", address).Replace(`[global]
	server role = standalone server
	netbios name = FILES
	interfaces = ADDRESS/32
	bind interfaces only = yes
	smb ports = 445
	disable netbios = yes
	private dir = DIR/private
	state directory = DIR/state
	cache directory = DIR/cache
	lock directory = DIR/lock
	pid directory = DIR/pid
	ncalrpc dir = DIR/ncalrpc
	log file = DIR/log
	username map = DIR/users
	load printers = no
	disable spoolss = yes
[team]
	path = DIR/team
	read only = no
`))
	write(t, filepath.Join(folder, "plans", "plan.txt"), "the plan\n")
	add := exec.CommandContext(t.Context(), "smbpasswd", "-c", config, "-s", "-a", "root")
	add.Stdin = strings.NewReader(sharePassword + "\n" + sharePassword + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("smbpasswd: %v: %s", err, out))
	}
	serve := exec.CommandContext(t.Context(), "smbd", "--foreground", "--no-process-group", "-s", config)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Wait() }) // the test's context has ended it
	return folder
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g guest) join(t *testing.T, d *testdomain.Domain) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.setup.actions[].joinDomain.domain")
	addComputer := func(name string) {
		d.LDIF(t, fmt.Sprintf("dn: CN=%[1]s,CN=Computers,%[2]s\nobjectClass: computer\nsAMAccountName: %[1]s$\nuserAccountControl: 4096\ndNSHostName: %[3]s.%[4]s\nunicodePwd:: %[5]s\n",
			name, d.BaseDN, strings.ToLower(name), d.Name, unicodePassword(oneTime)))
	}
	addComputer("DESK-1")
	request := guestwire.JoinRequest{Domain: d.Name, NetBIOSName: d.NetBIOS, Computer: "DESK-1", FQDN: "desk-1." + d.Name, Password: "not this one 8"}
	if err := g.try(t, guestwire.CapJoin, guestwire.MethodJoin, request, nil); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("a wrong password: %v", err)
	}
	request.Password = oneTime
	var got guestwire.JoinResult
	g.ask(t, guestwire.CapJoin, guestwire.MethodJoin, request, &got)
	if got != (guestwire.JoinResult{}) {
		t.Errorf("got %+v", got)
	}
	if out := g.root(t, "klist -k; adcli testjoin --domain="+d.Name); !strings.Contains(out, "DESK-1$@"+d.Realm) {
		t.Errorf("keytab: %s", out)
	}
	g.ask(t, guestwire.CapJoin, guestwire.MethodJoin, request, &got)
	if !got.Already {
		t.Errorf("repeated: %+v", got)
	}
	g.hidden(t, oneTime)
	if err := g.try(t, guestwire.CapJoin, guestwire.MethodJoin, guestwire.JoinRequest{Domain: d.Name, Computer: "DESK-1", Blob: []byte("x")}, nil); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("a blob for Windows: %v", err)
	}
}

func unicodePassword(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (g guest) domainSignOn(t *testing.T, d *testdomain.Domain) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.machine.signOn")
	request := guestwire.SignOnRequest{User: "alice", Domain: d.NetBIOS, Realm: d.Name, Password: d.Password(t, "alice")}
	signOn := func(ticket bool) {
		t.Helper()
		var got guestwire.SignOnResult
		g.ask(t, guestwire.CapSignOn, guestwire.MethodSignOn, request, &got)
		if got.Account != "alice" || got.Ticket != ticket || (got.Problem == "") != ticket {
			t.Fatalf("got %+v", got)
		}
	}
	signOn(true)
	if out := g.run(t, "alice", "klist; kvno ldap/dc1."+d.Name); !strings.Contains(out, "alice@"+d.Realm) {
		t.Errorf("tickets of the user: %s", out)
	}
	if out := g.run(t, "user", "klist 2>&1 || true"); strings.Contains(out, "alice@") {
		t.Errorf("another user has them too: %s", out)
	}
	d.Tool(t, "user", "setpassword", "alice", "--newpassword="+alicePassword)
	request.Password = "an old one 9"
	signOn(false)
	request.Password = alicePassword
	signOn(true)
	g.hidden(t, alicePassword)
}

func (g guest) drives(t *testing.T, address, folder string) {
	policymatrix.Exercised(t, policymatrix.RealGuest, "spec.applications.networkDrives[].letter", "spec.applications.networkDrives[].path", "spec.applications.networkDrives[].label")
	team := guestwire.Drive{Letter: "T", Path: `\\` + address + `\team`, Label: "Team files"}
	plans := guestwire.Drive{Letter: "P", Path: `\\` + address + `\team\plans`}
	request := guestwire.DrivesRequest{Drives: []guestwire.Drive{team, plans}, Account: "alice", User: "drive", Password: sharePassword}
	var got guestwire.DrivesResult
	for range 2 {
		g.ask(t, guestwire.CapDrives, guestwire.MethodDrives, request, &got)
		if len(got.Drives) != 2 || got.Drives[0].Problem != "" || got.Drives[1].Problem != "" {
			t.Fatalf("got %+v", got)
		}
	}
	if got.Drives[0].Where != "/media/alice/T-Team_files" || got.Drives[1].Where != "/media/alice/P" {
		t.Errorf("got %+v", got)
	}
	if out := g.run(t, "alice", "cat /media/alice/T-Team_files/plans/plan.txt /media/alice/P/plan.txt; echo mine >/media/alice/P/new.txt"); out != "the plan\nthe plan" {
		t.Errorf("read as the user: %q", out)
	}
	if b, err := os.ReadFile(filepath.Join(folder, "plans", "new.txt")); err != nil || string(b) != "mine\n" {
		t.Errorf("written as the user: %q, %v", b, err)
	}
	if out := g.run(t, "user", "ls /media/alice/P 2>&1 || true"); !strings.Contains(out, "denied") {
		t.Errorf("another user sees it: %s", out)
	}
	if out := g.root(t, "cat /proc/mounts"); strings.Contains(out, sharePassword) {
		t.Error("the mounts show the password")
	}
	request.Drives = []guestwire.Drive{plans}
	g.ask(t, guestwire.CapDrives, guestwire.MethodDrives, request, &got)
	if out := g.root(t, "grep cifs /proc/mounts | cut -d' ' -f2; ls /media/alice"); out != "/media/alice/P\nP" {
		t.Errorf("after one was taken back: %q", out)
	}
	request.Drives, request.Password = []guestwire.Drive{team}, "a wrong one 0"
	g.ask(t, guestwire.CapDrives, guestwire.MethodDrives, request, &got)
	if got.Drives[0].Problem == "" || strings.Contains(got.Drives[0].Problem, request.Password) {
		t.Errorf("a wrong password: %+v", got)
	}
	g.hidden(t, sharePassword)
	g.ask(t, guestwire.CapSignOn, guestwire.MethodSignOff, nil, nil)
	if out := g.root(t, "grep -c cifs /proc/mounts; ls /run/dormer-guest/tickets; true"); out != "0" {
		t.Errorf("after signing off: %s", out)
	}
}

package join_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/join"
	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/domainjoin"
)

const (
	instance  = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	machine   = dormer.MachineID("bbbbbbbbbbbbbbbbbbbbbbbbbb")
	another   = dormer.MachineID("cccccccccccccccccccccccccc")
	password1 = "one-time Password 1"
	password2 = "one-time Password 2"
)

// domain is a real one in which svc-dormer may prepare computers in one place,
// with the rights that docs/directories.md names and no others.
func domain(t *testing.T) (*testdomain.Domain, join.Config) {
	t.Helper()
	d := testdomain.StartDomain(t, testdomain.Options{})
	user, passwordFile := d.Service()
	authority, err := os.ReadFile(d.AuthorityFile)
	if err != nil {
		t.Fatal(err)
	}
	return d, join.Config{
		Instance: instance, OU: d.ComputersOU(t),
		Directory: ldap.Config{
			Name: "corp", Kind: ldap.ActiveDirectory, Servers: []string{d.LDAPS()}, Authority: authority, Domain: d.Name, NetBIOS: d.NetBIOS,
			BindUser: user, Password: func() (string, error) {
				b, err := os.ReadFile(passwordFile)
				return string(b), err
			},
		},
	}
}

func joiner(t *testing.T, c join.Config) *join.Joiner {
	t.Helper()
	j, err := join.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func account(d *testdomain.Domain, computer string) domainjoin.Account {
	return domainjoin.Account{Computer: computer, FQDN: strings.ToLower(computer) + "." + d.Name, Machine: machine, About: "workspace Office of alice"}
}

func never(dormer.MachineID) bool { return false }

// adcli joins as a Linux guest does, and returns the keytab.
func adcli(t *testing.T, d *testdomain.Domain, a domainjoin.Account, password string) (keytab string, err error) {
	t.Helper()
	program, err := exec.LookPath("adcli")
	if err != nil {
		if program = "/usr/sbin/adcli"; os.Getenv("DORMER_TEST_ALL") == "1" {
			t.Fatal("adcli is not installed: run scripts/setup.sh")
		}
		if _, err := os.Stat(program); err != nil {
			t.Skip("adcli is not installed: run scripts/setup.sh")
		}
	}
	keytab = filepath.Join(t.TempDir(), "krb5.keytab")
	cmd := exec.CommandContext(t.Context(), program, "join", "--login-type=computer", "--stdin-password", "--domain="+d.Name, "--domain-realm="+d.Realm,
		"--domain-controller="+d.Address, "--computer-name="+a.Computer, "--host-fqdn="+a.FQDN, "--host-keytab="+keytab, "-v")
	cmd.Env = append(os.Environ(), "KRB5_CONFIG="+d.Krb5Conf(), "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(password)
	out, err := cmd.CombinedOutput()
	t.Logf("adcli: %v\n%s", err, out)
	return keytab, err
}

// TestJoin: what the server prepares joins one computer once; it is not taken
// back then, and after a reset the old keys are of no use.
func TestJoin(t *testing.T) {
	ctx := t.Context()
	d, c := domain(t)
	j := joiner(t, c)
	a := account(d, "PC-ONE")
	p, err := j.Prepare(ctx, a, password1, false, never)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Made || p.KeyVersion < 1 || len(p.Servers) != 1 || p.Servers[0] != d.Address {
		t.Errorf("prepared: %+v", p)
	}
	keytab, err := adcli(t, d, a, password1)
	if err != nil {
		t.Fatal("the computer cannot join")
	}
	works := func() error {
		cmd := exec.CommandContext(ctx, "kinit", "-k", "-t", keytab, "PC-ONE$@"+d.Realm)
		cmd.Env = append(os.Environ(), "KRB5_CONFIG="+d.Krb5Conf(), "KRB5CCNAME=FILE:"+filepath.Join(t.TempDir(), "ccache"))
		return cmd.Run()
	}
	if err := works(); err != nil {
		t.Errorf("the computer's keys are of no use: %v", err)
	}
	if _, err := adcli(t, d, a, password1); err == nil {
		t.Error("the one-time password served twice")
	}
	if claimed, err := j.TakeBack(ctx, a, p); err != nil || !claimed {
		t.Errorf("a claimed account is taken back: %t, %v", claimed, err)
	}
	if err := works(); err != nil {
		t.Errorf("the computer's keys are of no use any more: %v", err)
	}
	again, err := j.Prepare(ctx, a, password2, false, never)
	if err != nil || again.Made || again.KeyVersion <= p.KeyVersion {
		t.Fatalf("prepared again: %+v, %v", again, err)
	}
	if works() == nil {
		t.Error("the keys of before the reset are still good")
	}
	// Nobody claims it: it is locked out, not removed.
	if claimed, err := j.TakeBack(ctx, a, again); err != nil || claimed {
		t.Errorf("taken back: %t, %v", claimed, err)
	}
	if _, err := adcli(t, d, a, password2); err == nil {
		t.Error("an account that was taken back joined")
	}
	if _, err := j.Prepare(ctx, a, password1, false, never); err != nil {
		t.Fatal(err)
	}
	if _, err := adcli(t, d, a, password1); err != nil {
		t.Error("after it was taken back the computer cannot join any more")
	}
}

// TestAccountsOfOthers: none is taken over, and what nobody claimed is removed.
func TestAccountsOfOthers(t *testing.T) {
	ctx := t.Context()
	d, c := domain(t)
	j := joiner(t, c)
	d.LDIF(t, "dn: CN=THEIRS,"+c.OU+"\nobjectClass: computer\nsAMAccountName: THEIRS$\nuserAccountControl: 4096\n")
	if _, err := j.Prepare(ctx, account(d, "THEIRS"), password1, false, func(dormer.MachineID) bool { return true }); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("a computer of others was taken over: %v", err)
	}
	a := account(d, "PC-TWO")
	first, err := j.Prepare(ctx, a, password1, false, never)
	if err != nil {
		t.Fatal(err)
	}
	b := a
	b.Machine = another
	if _, err := j.Prepare(ctx, b, password2, false, never); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("the computer of another machine was taken over: %v", err)
	}
	other := c
	other.Instance = "dddddddddddddddddddddddddd"
	if _, err := joiner(t, other).Prepare(ctx, a, password2, false, func(dormer.MachineID) bool { return true }); !errors.Is(err, dormer.ErrConflict) {
		t.Errorf("the computer of another instance was taken over: %v", err)
	}
	// The machine that had it is gone: its successor of that name takes it.
	second, err := j.Prepare(ctx, b, password2, false, func(m dormer.MachineID) bool { return m == machine })
	if err != nil || second.Made {
		t.Fatalf("the account of a machine that is gone: %+v, %v", second, err)
	}
	if claimed, err := j.TakeBack(ctx, a, first); err != nil || claimed {
		t.Errorf("what became another machine's: %t, %v", claimed, err)
	}
	e := account(d, "PC-THREE")
	third, err := j.Prepare(ctx, e, password1, false, never)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a repeat is no error
		if claimed, err := j.TakeBack(ctx, e, third); err != nil || claimed {
			t.Errorf("taken back: %t, %v", claimed, err)
		}
	}
	if _, err := adcli(t, d, e, password1); err == nil {
		t.Error("an account that was removed joined")
	}
}

// TestRights: with a place where the account may not make computers, or given
// credentials that are wrong, the answer says so.
func TestRights(t *testing.T) {
	ctx := t.Context()
	d, c := domain(t)
	j := joiner(t, c)
	a := account(d, "PC-FOUR")
	a.OU = "OU=People," + d.BaseDN
	if _, err := j.Prepare(ctx, a, password1, false, never); !errors.Is(err, dormer.ErrDenied) {
		t.Errorf("where nothing was delegated: %v", err)
	}
	a.OU = "OU=Nowhere," + d.BaseDN
	if _, err := j.Prepare(ctx, a, password1, false, never); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a place that is not there: %v", err)
	}
	a.OU, a.As = "", &domainjoin.Credentials{Account: "svc-dormer", Password: "wrong"}
	if _, err := j.Prepare(ctx, a, password1, false, never); err == nil || strings.Contains(err.Error(), "wrong password") {
		t.Errorf("wrong credentials: %v", err)
	}
	a.As.Password = d.Password(t, "svc-dormer")
	p, err := j.Prepare(ctx, a, password1, false, never)
	if err != nil {
		t.Fatalf("given credentials: %v", err)
	}
	if claimed, err := j.TakeBack(ctx, a, p); err != nil || claimed {
		t.Errorf("taken back with given credentials: %t, %v", claimed, err)
	}
}

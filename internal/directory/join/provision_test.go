package join

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/ldap"
	"github.com/dormer-project/dormer/internal/domainjoin"
)

// program writes a stand-in for net that notes how it was called.
func program(t *testing.T, script string) (path, notes string) {
	t.Helper()
	dir := t.TempDir()
	path, notes = filepath.Join(dir, "net"), filepath.Join(dir, "notes")
	text := "#!/bin/sh\nexec 3>" + notes + "\nprintf '%s\\n' \"$@\" >&3\nenv >&3\n" +
		"for a; do case $a in --authentication-file=*) stat -c 'mode %a' \"${a#*=}\" >&3; cp \"${a#*=}\" " + notes + ".file;; esac; done\n" + script
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, notes
}

func provisioner(t *testing.T, net string) *Joiner {
	t.Helper()
	j, err := New(Config{Net: net, Instance: "i", Directory: ldap.Config{
		Name: "corp", Kind: ldap.ActiveDirectory, Servers: []string{"ldaps://dc1.corp.example.test"}, Domain: "corp.example.test", NetBIOS: "CORP",
		BindUser: "svc-join@corp.example.test", Password: func() (string, error) { return "the password of the account", nil },
	}})
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

// TestProvision: the program gets its password in a file that nobody else reads
// and that is gone afterwards, and what it prints becomes what djoin reads.
func TestProvision(t *testing.T) {
	blob := base64.StdEncoding.EncodeToString([]byte("what Windows takes"))
	net, notes := program(t, "echo "+blob+"\n")
	got, err := provisioner(t, net).provision(t.Context(), domainjoin.Account{Computer: "PC-1"}, "dc1.corp.example.test")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2+2*len(blob)+2 || got[0] != 0xff || got[1] != 0xfe || got[2] != blob[0] || got[3] != 0 || got[len(got)-1] != 0 || got[len(got)-2] != 0 {
		t.Errorf("the blob is %x", got)
	}
	said, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	text := string(said)
	for _, want := range []string{"offlinejoin\nprovision\n", "domain=CORP.EXAMPLE.TEST\n", "machine_name=PC-1\n", "dcname=dc1.corp.example.test\n", "reuse\n", "printblob\n", "mode 600\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it was not called with %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "the password") {
		t.Error("the password is in an argument or a variable")
	}
	file, err := os.ReadFile(notes + ".file")
	if err != nil || !strings.Contains(string(file), "username = svc-join\npassword = the password of the account\n") {
		t.Errorf("credentials are %q, %v", file, err)
	}
	_, rest, _ := strings.Cut(text, "--authentication-file=")
	path, _, _ := strings.Cut(rest, "\n")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file with the credentials is still there: %v", err)
	}
}

func TestProvisionFails(t *testing.T) {
	for name, script := range map[string]string{
		"refused": "echo 'cannot log on with the password of the account' >&2; exit 255\n", "nothing": "exit 0\n", "no blob": "echo 'hello world'\n",
		"too much": "head -c 100000 /dev/zero | tr '\\0' A\n",
	} {
		net, _ := program(t, script)
		blob, err := provisioner(t, net).provision(t.Context(), domainjoin.Account{Computer: "PC-1"}, "dc1")
		if err == nil {
			t.Errorf("%s: the blob is %x", name, blob)
		} else if strings.Contains(err.Error(), "the password of") {
			t.Errorf("%s: the error has the password in it: %v", name, err)
		}
	}
	if err := provisioner(t, filepath.Join(t.TempDir(), "absent")).canProvision(); !errors.Is(err, dormer.ErrUnsupported) {
		t.Errorf("without the program: %v", err)
	}
}

func FuzzParseBlob(f *testing.F) {
	for _, s := range []string{"", "aGVsbG8=", "warning\naGVsbG8=\n", "\n\n", strings.Repeat("A", 70000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		blob, err := parseBlob(out)
		if err == nil && (len(blob) < 6 || len(blob) > 2*maxBlob+4) {
			t.Errorf("%d bytes of blob", len(blob))
		}
	})
}

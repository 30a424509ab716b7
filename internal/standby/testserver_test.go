package standby

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/crypto/ssh"

	"github.com/dormer-project/dormer/internal/loopback"
)

// skip ends a test that lacks something; where nothing may be skipped it fails.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("DORMER_TEST_ALL") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf("SKIPPED: "+format, args...)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := loopback.Address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// serve runs a server until the test ends and waits until it listens.
func serve(t *testing.T, address string, c *exec.Cmd) {
	t.Helper()
	var out strings.Builder
	c.Stdout, c.Stderr, c.WaitDelay = &out, &out, time.Second // children may keep them open
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", c.Path, out.String())
		}
	})
	eventually(t, c.Path+" listens", func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// startBucket runs versitygw over a folder.
func startBucket(t *testing.T) TargetConfig {
	t.Helper()
	t.Setenv("AWS_CA_BUNDLE", "") // litestream makes its own connections
	out, err := exec.Command("../../scripts/versitygw.sh").Output()
	if err != nil {
		skip(t, "versitygw is needed for buckets: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	dir, address := t.TempDir(), freeAddress(t)
	for _, d := range []string{"data", "sidecar"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(lines[len(lines)-1], "--port", address, "posix", "--sidecar", filepath.Join(dir, "sidecar"), filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=test", "ROOT_SECRET_KEY=testtesttest")
	serve(t, address, cmd)
	c := TargetConfig{URL: "s3://standby/some/prefix", Endpoint: "http://" + address, AccessKey: "test", SecretKey: "testtesttest"}
	b := &bucket{cfg: c, name: "standby"}
	client, err := b.s3(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("standby")}); err != nil {
		t.Fatal(err)
	}
	return c
}

// startSSH runs OpenSSH's server on the loopback for the user of the test.
func startSSH(t *testing.T) TargetConfig {
	t.Helper()
	const sshd, sftpServer = "/usr/sbin/sshd", "/usr/lib/openssh/sftp-server"
	for _, f := range []string{sshd, sftpServer} {
		if _, err := os.Stat(f); err != nil {
			skip(t, "openssh-server is needed for SFTP: %v", err)
		}
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil && os.Getuid() == 0 {
		t.Fatal(err)
	}
	dir, address := t.TempDir(), freeAddress(t)
	key := func(name string) string {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		block, err := ssh.MarshalPrivateKey(private, "")
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(pem.EncodeToMemory(block)))
		p, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return string(ssh.MarshalAuthorizedKey(p))
	}
	host := key("host")
	write(t, filepath.Join(dir, "authorized"), key("client"))
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "sshd_config"), fmt.Sprintf(`ListenAddress 127.0.0.1
Port %s
HostKey %s
AuthorizedKeysFile %s
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
PasswordAuthentication no
Subsystem sftp %s
`, port, filepath.Join(dir, "host"), filepath.Join(dir, "authorized"), sftpServer))
	serve(t, address, exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config")))
	name := os.Getenv("USER")
	if name == "" {
		name = "root"
	}
	return TargetConfig{
		URL: "sftp://" + name + "@" + address + filepath.Join(dir, "target"), SSHKeyFile: filepath.Join(dir, "client"), HostKey: strings.TrimSpace(host),
	}
}

package join

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/domainjoin"
)

const (
	// provisionTime bounds the making of one blob.
	provisionTime = 25 * time.Second
	// maxBlob bounds a blob, in bytes as it is printed.
	maxBlob = 64 << 10
)

// canProvision reports whether blobs for Windows can be made here.
func (j *Joiner) canProvision() error {
	if _, err := exec.LookPath(j.config.Net); err != nil {
		return fmt.Errorf("the server has no program %q, which makes what Windows joins a domain with (on Debian: samba-common-bin): %w",
			j.config.Net, dormer.ErrUnsupported)
	}
	return nil
}

// provision makes what Windows takes for an off-line join. The program gives the
// account, which is there already, a password of its own. The credentials are in
// a file that exists only while it runs.
func (j *Joiner) provision(ctx context.Context, a domainjoin.Account, server string) ([]byte, error) {
	user, password, err := j.credentials(a)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dormer-join-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make folder for credentials: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "credentials")
	text := fmt.Sprintf("username = %s\npassword = %s\ndomain = %s\n", user, password, strings.ToUpper(j.config.Directory.Domain))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write credentials: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, provisionTime)
	defer cancel()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(ctx, j.config.Net, "offlinejoin", "provision", "--authentication-file="+file,
		"domain="+strings.ToUpper(j.config.Directory.Domain), "machine_name="+a.Computer, "dcname="+server, "reuse", "printblob")
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("took longer than %s: %w", provisionTime, dormer.ErrUnavailable)
		}
		return nil, fmt.Errorf("net offlinejoin: %w: %s", err, firstLine(complaints.String()+out.String(), password))
	}
	return parseBlob(out.Bytes())
}

// credentials returns who provisions: the given ones or the service account.
func (j *Joiner) credentials(a domainjoin.Account) (user, password string, err error) {
	switch {
	case a.As != nil:
		return a.As.Account, a.As.Password, nil
	case j.config.Directory.Password == nil:
		return "", "", fmt.Errorf("what Windows joins a domain with needs the password of the account that joins; a keytab is not enough: %w", dormer.ErrUnsupported)
	}
	user, _, _ = strings.Cut(j.config.Directory.BindUser, "@")
	if strings.Contains(user, "=") {
		return "", "", fmt.Errorf("what Windows joins a domain with needs bind_user as user@domain: %w", dormer.ErrUnsupported)
	}
	password, err = j.config.Directory.Password()
	return user, password, err
}

// parseBlob reads what net prints: base64 in one line, which Windows wants as
// text in UTF-16 with a mark of the byte order.
func parseBlob(out []byte) ([]byte, error) {
	text := strings.TrimSpace(string(out))
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = strings.TrimSpace(text[i+1:])
	}
	if text == "" || len(text) > maxBlob {
		return nil, errors.New("net offlinejoin printed nothing that could be a blob")
	}
	if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		return nil, errors.New("net offlinejoin printed something else than a blob")
	}
	blob := []byte{0xff, 0xfe}
	for i := range len(text) {
		blob = append(blob, text[i], 0)
	}
	return append(blob, 0, 0), nil
}

// firstLine is what a program said, without a secret, in one line of bounded
// length.
func firstLine(text, secret string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if secret != "" {
		line = strings.ReplaceAll(line, secret, "***")
	}
	return strings.ToValidUTF8(line[:min(len(line), 300)], "?")
}

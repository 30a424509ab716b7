package guest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/guestwire"
)

const keytab = "/etc/krb5.keytab"

// join joins the guest to a domain with adcli. The password goes through a pipe.
func (g *Guest) join(ctx context.Context, r guestwire.JoinRequest) (guestwire.JoinResult, error) {
	if err := checkJoin(r); err != nil {
		return guestwire.JoinResult{}, err
	}
	if len(r.Blob) > 0 {
		return guestwire.JoinResult{}, fmt.Errorf("join %s with a blob: %w on Linux; a one-time password is needed", r.Domain, dormer.ErrUnsupported)
	}
	g.arranging.Lock()
	defer g.arranging.Unlock()
	if err := g.ensureKerberos(r.Domain, r.Servers); err != nil {
		return guestwire.JoinResult{}, fmt.Errorf("join %s: %w", r.Domain, err)
	}
	if isFile(keytab) {
		_, err := tool{args: append([]string{"adcli", "testjoin"}, joinServer(r)...)}.run(ctx)
		if err == nil {
			return guestwire.JoinResult{Already: true}, nil
		}
		if errors.Is(err, dormer.ErrUnsupported) || errors.Is(joinError(err), dormer.ErrUnavailable) {
			return guestwire.JoinResult{}, fmt.Errorf("join %s: %w", r.Domain, joinError(err))
		}
	}
	secret := r.Password
	if r.User != "" {
		secret = r.UserPassword
	}
	// adcli takes all of its input for the password.
	if _, err := (tool{args: joinArguments(r), stdin: []byte(secret)}).run(ctx); err != nil {
		return guestwire.JoinResult{}, fmt.Errorf("join %s: %w", r.Domain, joinError(err))
	}
	return guestwire.JoinResult{}, nil
}

func joinServer(r guestwire.JoinRequest) []string {
	args := []string{"--domain=" + strings.ToLower(r.Domain)}
	if len(r.Servers) > 0 {
		args = append(args, "--domain-controller="+r.Servers[0])
	}
	return args
}

func joinArguments(r guestwire.JoinRequest) []string {
	args := append([]string{"adcli", "join"}, joinServer(r)...)
	args = append(args, "--stdin-password", "--computer-name="+r.Computer, "--verbose")
	if r.FQDN != "" {
		args = append(args, "--host-fqdn="+r.FQDN)
	}
	if r.User == "" {
		return append(args, "--login-type=computer")
	}
	args = append(args, "--login-type=user", "--login-user="+r.User)
	if r.OrganizationalUnit != "" {
		args = append(args, "--domain-ou="+r.OrganizationalUnit)
	}
	return args
}

// joinError says of what kind adcli's complaint is.
func joinError(err error) error {
	text := err.Error()
	for _, k := range []struct {
		said string
		kind error
	}{
		{"Couldn't find usable domain controller", dormer.ErrUnavailable},
		{"Couldn't connect to", dormer.ErrUnavailable},
		{"Cannot contact any KDC", dormer.ErrUnavailable},
		{"No LDAP SRV records", dormer.ErrUnavailable},
		{"Couldn't discover domain", dormer.ErrUnavailable},
		{"Preauthentication failed", dormer.ErrDenied},
		{"Couldn't authenticate", dormer.ErrDenied},
		{"Insufficient permissions", dormer.ErrDenied},
	} {
		if strings.Contains(text, k.said) {
			return fmt.Errorf("%w: %w", err, k.kind)
		}
	}
	return err
}

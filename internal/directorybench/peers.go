package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// peerUsers is how many people peers are measured with, chainUsers how many
// the slowest.
const (
	peerUsers  = 100
	chainUsers = 10
)

// peers do the same jobs with tools that everybody has.
func (b *bench) peers(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "directorybench-*")
	if err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(b.password), 0o600); err != nil {
		return fmt.Errorf("write password: %w", err)
	}
	n := min(peerUsers, b.signIns)
	server, service := "ldaps://"+b.address, filepath.Join(b.domain, "passwords", "svc-dormer")
	search := func(who, passwordFile string, more ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "ldapsearch", append([]string{"-LLL", "-o", "ldif-wrap=no", "-x", "-H", server, "-D", who + "@" + dnsName, "-y", passwordFile}, more...)...)
		cmd.Env = append(os.Environ(), "LDAPTLS_CACERT="+filepath.Join(b.domain, "ca.pem"), "LDAPCONF=/dev/null")
		return cmd
	}

	// Signing in: one process binds and reads one's own groups.
	m, _, err := b.children(n, func(i int) *exec.Cmd {
		return search(userName(i), password, "-s", "base", "-b", userDN(i), "tokenGroups")
	})
	if err != nil {
		return err
	}
	b.row("ldapsearch.sign_in", float64(n)/m.took.Seconds(), "1/s")
	b.row("dormer.sign_in.ratio_to_ldapsearch", b.signInRate/(float64(n)/m.took.Seconds()), "x")
	b.row("ldapsearch.sign_in.cpu", 1000*m.cpu.Seconds()/float64(n), "ms")
	m, _, err = b.children(n, func(i int) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "kinit", userName(i))
		cmd.Env = append(os.Environ(), "KRB5_CONFIG="+filepath.Join(b.domain, "krb5.conf"), "KRB5CCNAME=FILE:"+filepath.Join(dir, "ccache"))
		cmd.Stdin = strings.NewReader(b.password + "\n")
		return cmd
	})
	if err != nil {
		return err
	}
	b.row("kinit.sign_in", float64(n)/m.took.Seconds(), "1/s")
	b.row("kinit.sign_in.cpu", 1000*m.cpu.Seconds()/float64(n), "ms")

	// Reading groups again: tokenGroups by a process for each user, and by one
	// process with the rule that follows nested groups, for all on one connection.
	m, _, err = b.children(n, func(i int) *exec.Cmd {
		return search("svc-dormer", service, "-s", "base", "-b", userDN(i), "tokenGroups")
	})
	if err != nil {
		return err
	}
	b.row("ldapsearch.token_groups.each", 1000*m.took.Seconds()/float64(n), "ms")
	list := filepath.Join(dir, "people")
	var people strings.Builder
	n = min(chainUsers, n)
	for i := range n {
		fmt.Fprintln(&people, userDN(i))
	}
	if err := os.WriteFile(list, []byte(people.String()), 0o600); err != nil {
		return fmt.Errorf("write list: %w", err)
	}
	m, out, err := b.children(1, func(int) *exec.Cmd {
		return search("svc-dormer", service, "-b", base, "-f", list, "(member:1.2.840.113556.1.4.1941:=%s)", "sAMAccountName")
	})
	if err != nil {
		return err
	}
	b.row("ldapsearch.in_chain.each", 1000*m.took.Seconds()/float64(n), "ms")
	b.row("dormer.reread.ratio_to_in_chain", fmt.Sprintf("%.4f", float64(b.rereadEach)/(float64(m.took)/float64(n))), "x")
	b.row("ldapsearch.in_chain.server_cpu_each", 1000*m.server.Seconds()/float64(n), "ms")
	b.row("ldapsearch.in_chain.groups_each", float64(strings.Count(out, "sAMAccountName: "))/float64(n), "groups")
	return nil
}

// children runs n processes one after the other and returns the output of the
// last.
func (b *bench) children(n int, command func(i int) *exec.Cmd) (measured, string, error) {
	server, err := processTime(b.server)
	if err != nil {
		return measured{}, "", err
	}
	cpu, start := usage(syscall.RUSAGE_CHILDREN), time.Now()
	var last []byte
	for i := range n {
		cmd := command(i)
		var complaints strings.Builder
		cmd.Stderr = &complaints
		if last, err = cmd.Output(); err != nil {
			return measured{}, "", fmt.Errorf("%s: %w: %s", cmd.Args[0], err, complaints.String())
		}
	}
	m := measured{took: time.Since(start), cpu: usage(syscall.RUSAGE_CHILDREN) - cpu}
	after, err := processTime(b.server)
	m.server = after - server
	return m, string(last), err
}

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The groups are a tree, as in a company: a team of 25, four teams in a
// department, five departments in a division, all divisions in one group. Beside
// it everybody is in two of ten project groups.
const (
	teamSize       = 25
	departmentSize = 4
	divisionSize   = 5
	projects       = 10
)

func userDN(i int) string        { return "CN=" + userName(i) + ",OU=People," + base }
func groupDN(name string) string { return "CN=" + name + ",OU=Groups," + base }
func encode(password string) string {
	var utf16 []byte
	for _, r := range `"` + password + `"` {
		utf16 = append(utf16, byte(r), byte(r>>8))
	}
	return base64.StdEncoding.EncodeToString(utf16)
}

// fill adds the people and their groups.
func (b *bench) fill(ctx context.Context) error {
	start := time.Now()
	var ldif strings.Builder
	members := map[string][]string{}
	var names []string // of groups, inner ones first
	add := func(group, member string) bool {
		first := members[group] == nil
		if first {
			names = append(names, group)
		}
		members[group] = append(members[group], member)
		return first
	}
	password := encode(b.password)
	for i := range b.users {
		fmt.Fprintf(&ldif, "dn: %s\nobjectClass: user\nsAMAccountName: %s\nuserPrincipalName: %s@%s\ndisplayName: Bench %d\n", userDN(i), userName(i), userName(i), dnsName, i)
		if i < b.signIns { // a password takes Samba a while
			fmt.Fprintf(&ldif, "unicodePwd:: %s\nuserAccountControl: 512\n\n", password)
		} else {
			fmt.Fprintf(&ldif, "userAccountControl: 544\n\n") // a password is not required
		}
	}
	for i := range b.users {
		add(fmt.Sprintf("bench-project-%d", i%projects), userDN(i))
		add(fmt.Sprintf("bench-project-%d", (i+1)%projects), userDN(i))
		team := fmt.Sprintf("bench-team-%d", i/teamSize)
		if !add(team, userDN(i)) {
			continue
		}
		department := fmt.Sprintf("bench-department-%d", i/teamSize/departmentSize)
		if !add(department, groupDN(team)) {
			continue
		}
		division := fmt.Sprintf("bench-division-%d", i/teamSize/departmentSize/divisionSize)
		if add(division, groupDN(department)) {
			add("bench-everybody", groupDN(division))
		}
	}
	for _, name := range names {
		fmt.Fprintf(&ldif, "dn: %s\nobjectClass: group\nsAMAccountName: %s\ngroupType: -2147483646\n\n", groupDN(name), name)
	}
	if err := b.edit(ctx, "ldbadd", ldif.String()); err != nil {
		return err
	}
	ldif.Reset()
	for _, name := range names {
		fmt.Fprintf(&ldif, "dn: %s\nchangetype: modify\nadd: member\n", groupDN(name))
		for _, m := range members[name] {
			fmt.Fprintf(&ldif, "member: %s\n", m)
		}
		ldif.WriteByte('\n')
	}
	b.row(fmt.Sprintf("samba.add_%d_users", b.users), time.Since(start).Seconds(), "s")
	start = time.Now()
	if err := b.edit(ctx, "ldbmodify", ldif.String()); err != nil {
		return err
	}
	b.row(fmt.Sprintf("samba.add_members_of_%d_users", b.users), time.Since(start).Seconds(), "s")
	return nil
}

// edit changes the domain controller's database. The programs succeed when the
// first entry did: what they complain of is an error too.
func (b *bench) edit(ctx context.Context, program, ldif string) error {
	cmd := exec.CommandContext(ctx, program, "--configfile="+filepath.Join(b.domain, "etc", "smb.conf"), "-H", filepath.Join(b.domain, "private", "sam.ldb"))
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(ldif), &complaints
	if err := cmd.Run(); err != nil || strings.Contains(complaints.String(), "ERR") {
		return fmt.Errorf("%s: %w: %s", program, err, complaints.String())
	}
	return nil
}

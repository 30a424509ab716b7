package domaintest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/directory/testdomain"
	"github.com/dormer-project/dormer/internal/server"
)

// TestDomainAway: while the domain is stopped or hangs nobody new gets in, and
// who has a lease works on; afterwards everything is as before.
func TestDomainAway(t *testing.T) {
	t.Parallel()
	corp := testdomain.StartDomain(t, testdomain.Options{})
	i := newInstance(t, func(c *server.Config) { c.Directories = []server.DirectoryConfig{directory(corp)} })
	i.workspace(dormer.KindGroup, "everyone-office")
	c := i.newComputer("desk", corp)
	c.mustSignIn(first, `corp\alice`, "alice")
	c.start(first)
	for _, outage := range []struct {
		what       string
		begin, end func()
	}{
		{"stopped", corp.Stop, func() { corp.Start(t) }},
		{"hanging", func() { corp.Pause(t) }, func() { corp.Resume(t) }},
	} {
		outage.begin()
		began := time.Now()
		err := c.signIn(second, `corp\carol`, "carol")
		if !errors.Is(err, dormer.ErrUnavailable) || strings.Contains(err.Error(), "password is wrong") {
			t.Errorf("sign-in while the domain is %s: %v", outage.what, err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("while the domain is %s a sign-in waits %s", outage.what, took)
		}
		// Longer than what was read counts.
		for until := began.Add(3 * age); time.Now().Before(until); {
			began := time.Now()
			if err := c.poll(); err != nil {
				t.Errorf("a poll while the domain is %s: %v", outage.what, err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("a poll while the domain is %s takes %s", outage.what, took)
			}
		}
		if all := c.workspaces(first); len(all) != 1 || !running(all[0]) {
			t.Errorf("while the domain is %s: %+v", outage.what, all)
		}
		outage.end()
		eventually(t, "sign-in after the domain was "+outage.what, func() bool { return c.signIn(second, `corp\carol`, "carol") == nil })
	}
}

// TestSeveralServers: the first server that is named is dead.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	corp := testdomain.StartDomain(t, testdomain.Options{})
	i := newInstance(t, func(c *server.Config) {
		c.Directories = []server.DirectoryConfig{directory(corp, "ldaps://"+corp.Address+":1", corp.LDAP())}
	})
	i.workspace(dormer.KindGroup, "everyone-office")
	c := i.newComputer("desk", corp)
	c.mustSignIn(first, `corp\alice`, "alice")
	c.await(first, "the workspace", ready)
	tests, err := i.admin.TestDirectories(t.Context())
	if err != nil || len(tests) != 1 {
		t.Fatalf("test: %+v, %v", tests, err)
	}
	dead := 0
	for _, f := range tests[0].Findings {
		if f.Problem != "" {
			dead++
			if f.Setting != "directories[0].servers[0]" {
				t.Errorf("%s: %s: %s", f.Setting, f.What, f.Problem)
			}
		}
	}
	if dead == 0 {
		t.Errorf("the dead server is not noticed: %+v", tests)
	}
}

package policy

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/dormer-project/dormer/internal/document"
)

var secretForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

func (c *checker) setup(s *Spec) {
	const at = "spec.setup"
	u := &s.Setup
	if u.ComputerName != "" {
		if err := CheckComputerName(u.ComputerName); err != nil {
			c.add(at+".computerName", "%s", err.Error())
		}
	}
	one(c, at+".mode", u.Mode)
	c.text(at+".message", u.Message)
	c.number(at+".postpone", u.Postpone, 0, 100)
	c.number(at+".retries", u.Retries, 0, 10)
	c.duration(at+".timeLimit", u.TimeLimit, minute, 2*day)
	if u.Mode == SetupSilent {
		if u.Message != "" {
			c.add(at+".message", "contradicts spec.setup.mode, which is silent: nothing is shown")
		}
		if is(u.AllowCancel) {
			c.add(at+".allowCancel", "contradicts spec.setup.mode, which is silent: there is nothing to cancel")
		}
		if u.Postpone != nil && *u.Postpone > 0 {
			c.add(at+".postpone", "contradicts spec.setup.mode, which is silent: nobody is asked")
		}
	}
	c.length(at+".actions", len(u.Actions), false)
	for i := range u.Actions {
		c.action(document.Index(at+".actions", i), s, i)
	}
}

func (c *checker) action(at string, s *Spec, i int) {
	a := &s.Setup.Actions[i]
	c.line(at+".name", a.Name, maxLine)
	one(c, at+".once", a.Once)
	set := 0
	for _, there := range []bool{
		a.RenameComputer != nil, a.Restart != nil, a.JoinDomain != nil,
		a.CheckConnectivity != nil, a.RunCommand != nil, a.DisableAutomaticSignOn != nil,
	} {
		if there {
			set++
		}
	}
	if set != 1 {
		c.add(at, "needs exactly one of renameComputer, restart, joinDomain, checkConnectivity, runCommand and disableAutomaticSignOn")
	}
	if !off(s.Machine.Revertible) && (set > 1 || set == 1 && a.RenameComputer == nil) {
		c.add(at, "contradicts spec.machine.revertible, which is true (the default): a revertible workspace may only rename the computer")
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"renameComputer", a.RenameComputer != nil},
		{"joinDomain", a.JoinDomain != nil},
		{"disableAutomaticSignOn", a.DisableAutomaticSignOn != nil},
	} {
		if f.set && a.Once == OnceWorkspace {
			c.add(at+".once", "workspace contradicts %s.%s: what that changes is in the system, which an update of the image replaces", at, f.name)
		}
	}
	if a.RenameComputer != nil && s.Setup.ComputerName == "" {
		c.add(at+".renameComputer", "needs a name: give spec.setup.computerName")
	}
	if a.JoinDomain != nil {
		c.joinDomain(at+".joinDomain", a.JoinDomain)
	}
	if a.CheckConnectivity != nil {
		c.connectivity(at+".checkConnectivity", a.CheckConnectivity, s.Network.Mode)
	}
	if a.RunCommand != nil {
		c.runCommand(at+".runCommand", a.RunCommand, s.Setup.Mode)
	}
	if s.Network.Mode == NetworkNone && a.JoinDomain != nil {
		c.add(at+".joinDomain", "contradicts spec.network.mode, which is none")
	}
}

func (c *checker) joinDomain(at string, j *JoinDomain) {
	switch {
	case is(j.UserDomain) && (j.Domain != "" || j.NetBIOSName != ""):
		c.add(at+".userDomain", "contradicts %s.domain and netbiosName: join the user's domain or a given one", at)
	case !is(j.UserDomain) && j.Domain == "":
		c.add(at+".domain", "is required, unless %s.userDomain is true", at)
	case j.Domain != "":
		c.domain(at+".domain", j.Domain)
	}
	if j.NetBIOSName != "" && (len(j.NetBIOSName) > 15 || strings.ContainsAny(j.NetBIOSName, "\\/:*?\"<>|. ") || !printableASCII(j.NetBIOSName)) {
		c.add(at+".netbiosName", "expected at most 15 letters, digits and hyphens, such as CORP")
	}
	c.line(at+".organizationalUnit", j.OrganizationalUnit, 1024)
	if j.OrganizationalUnit != "" && !distinguished.MatchString(j.OrganizationalUnit) {
		c.add(at+".organizationalUnit", "expected a distinguished name such as OU=Guests,DC=corp,DC=example,DC=test")
	}
	one(c, at+".credentials", j.Credentials)
	c.line(at+".account", j.Account, 256)
	if j.PasswordSecret != "" && !secretForm.MatchString(j.PasswordSecret) {
		c.add(at+".passwordSecret", "expected the name of a secret of the server: up to 100 letters, digits, . _ -")
	}
	if j.Credentials == JoinGiven {
		if j.Account == "" {
			c.add(at+".account", "is required: %s.credentials is given", at)
		}
		if j.PasswordSecret == "" {
			c.add(at+".passwordSecret", "is required: %s.credentials is given", at)
		}
		return
	}
	if j.Account != "" {
		c.add(at+".account", "contradicts %s.credentials: set that to given", at)
	}
	if j.PasswordSecret != "" {
		c.add(at+".passwordSecret", "contradicts %s.credentials: set that to given", at)
	}
}

var distinguished = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*=([^,\\]|\\.)+(, ?[A-Za-z][A-Za-z0-9-]*=([^,\\]|\\.)+)*$`)

func printableASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e })
}

func (c *checker) connectivity(at string, k *CheckConnectivity, mode NetworkMode) {
	if c.required(at+".address", k.Address) {
		if _, err := netip.ParseAddr(k.Address); err != nil && (len(k.Address) > 253 || !domainForm.MatchString(k.Address)) {
			c.add(at+".address", "expected a host name or an IP address, without a port")
		}
	}
	if k.Port == nil {
		c.add(at+".port", "is required")
	}
	c.number(at+".port", k.Port, 1, 65535)
	c.duration(at+".timeout", k.Timeout, minute/60, hour)
	if mode == NetworkNone {
		c.add(at, "contradicts spec.network.mode, which is none")
	}
}

func (c *checker) runCommand(at string, r *RunCommand, mode SetupMode) {
	if c.required(at+".path", r.Path) {
		c.line(at+".path", r.Path, 1024)
	}
	c.length(at+".arguments", len(r.Arguments), false)
	for i, arg := range r.Arguments {
		p := document.Index(at+".arguments", i)
		c.text(p, arg)
		if strings.Contains(arg, "{password}") {
			c.add(p, "a password never stands among arguments; use %s.password", at)
		}
	}
	one(c, at+".password", r.Password)
	c.number(at+".successStatus", r.SuccessStatus, -1<<31, 1<<32-1)
	c.text(at+".progress", r.Progress)
	c.text(at+".failure", r.Failure)
	if off(r.Wait) && r.Password != "" && r.Password != PasswordNone {
		c.add(at+".password", "contradicts %s.wait, which is false: the password would outlive the step", at)
	}
	if off(r.Wait) {
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"failOnError", is(r.FailOnError)},
			{"successStatus", r.SuccessStatus != nil},
			{"causesRestart", is(r.CausesRestart)},
			{"failure", r.Failure != ""},
		} {
			if f.set {
				c.add(at+"."+f.name, "contradicts %s.wait, which is false: nobody sees how the command ends", at)
			}
		}
	}
	if r.SuccessStatus != nil && off(r.FailOnError) {
		c.add(at+".successStatus", "contradicts %s.failOnError, which is false", at)
	}
	if is(r.AllowInteraction) && mode == SetupSilent {
		c.add(at+".allowInteraction", "contradicts spec.setup.mode, which is silent")
	}
}

// Package setup is the first-time setup of a machine: the script of a policy,
// run step by step in a guest, and taken up again where it stood after a restart
// of the guest, a failure, or the end of whoever runs it. It is a domain package:
// what a guest can do it asks an interface of its own for; the agent binds it.
//
// Its words: a Script is what a policy says, made of Steps. A Record is what is
// kept of it for one machine. A layer is what a new version of the image
// replaces: steps with once: machine belong to it, those with once: workspace to
// the machine. A boot is one start of the guest's system.
package setup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dormer-project/dormer/internal/policy"
)

// Script is the first-time setup that a policy asks for.
type Script struct {
	Mode        policy.SetupMode
	Message     string
	AllowCancel bool
	// Postpone is how often the user may put it off, Retries how often a step
	// that failed is tried again by itself.
	Postpone, Retries int
	// TimeLimit is how long it may run, not counting while it stands still.
	TimeLimit time.Duration
	Steps     []Step
	// digest changes with anything in the script.
	digest string
}

// Step is one action of a script.
type Step struct {
	// Number is its place among the policy's actions, from 0.
	Number int
	// ID says what the step does. It does not change when other steps do, nor
	// with names and messages; the same action for a second time has another.
	ID     string
	Action policy.SetupAction
}

// New makes the script of a policy.
func New(p *policy.Effective) Script {
	s := Script{
		Mode: p.Setup.Mode, Message: p.Setup.Message, AllowCancel: p.Setup.AllowCancel, Postpone: p.Setup.Postpone,
		Retries: p.Setup.Retries, TimeLimit: p.Setup.TimeLimit.Duration(),
	}
	times := map[string]int{}
	for i, a := range p.Setup.Actions {
		id := identify(a)
		times[id]++
		s.Steps = append(s.Steps, Step{Number: i, ID: fmt.Sprintf("%s-%d", id, times[id]), Action: a})
	}
	s.digest = digest(p.Setup)
	return s
}

// identify returns the identity of what an action does.
func identify(a policy.SetupAction) string {
	a.Name = ""
	if a.RunCommand != nil {
		run := *a.RunCommand
		run.Progress, run.Failure = "", ""
		a.RunCommand = &run
	}
	return digest(a)
}

// digest is a short hash of a value.
func digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("setup: a policy always marshals: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// Title is what the step is called in messages and reports.
func (s Step) Title() string {
	a := s.Action
	switch {
	case a.Name != "":
		return a.Name
	case a.RenameComputer != nil:
		return "rename the computer"
	case a.Restart != nil:
		return "restart"
	case a.JoinDomain != nil && a.JoinDomain.Domain != "":
		return "join the domain " + a.JoinDomain.Domain
	case a.JoinDomain != nil:
		return "join the user's domain"
	case a.CheckConnectivity != nil:
		return "check the connection to " + a.CheckConnectivity.Address
	case a.RunCommand != nil:
		return "run " + a.RunCommand.Path
	case a.DisableAutomaticSignOn != nil:
		return "disable automatic sign-on"
	default:
		return "step"
	}
}

// onlyOnce reports whether the step is never begun a second time.
func (s Step) onlyOnce() bool { return s.Action.RunCommand != nil && is(s.Action.RunCommand.OnlyOnce) }

// Variables are what {user}, {domain} and {computer} stand for in arguments and
// messages. A password is never among them.
type Variables struct {
	User, Domain, Computer string
}

// expand puts the values in the place of the variables. What a value contains is
// not looked at again.
func (v Variables) expand(s string) string {
	return strings.NewReplacer("{user}", v.User, "{domain}", v.Domain, "{computer}", v.Computer).Replace(s)
}

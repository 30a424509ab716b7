package agentapi

import (
	"context"
	"testing"
)

func (a *recorder) Setup(_ context.Context, p Peer, machine string) (SetupStatus, error) {
	return SetupStatus{State: "failed", Step: 2, Steps: 3, Failure: "no answer"}, a.note(p, "setup %s", machine)
}

func (a *recorder) ActSetup(_ context.Context, p Peer, machine string, c SetupCommand) (SetupStatus, error) {
	return SetupStatus{State: "waiting"}, a.note(p, "setup %s %s", c, machine)
}

func TestSetup(t *testing.T) {
	a := &recorder{}
	c := serve(t, a)
	s, err := c.Setup(t.Context(), "my office")
	if err != nil || s.State != "failed" || s.Step != 2 || s.Failure != "no answer" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := c.ActSetup(t.Context(), "my office", SetupResume); err != nil || s.State != "waiting" {
		t.Errorf("%+v, %v", s, err)
	}
	if len(a.asked) != 2 || a.asked[0] != "setup my office" || a.asked[1] != "setup resume my office" {
		t.Errorf("asked %q", a.asked)
	}
}

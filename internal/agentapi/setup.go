package agentapi

import (
	"context"
	"net/http"
	"net/url"
)

// Paths of first-time setup.
const (
	pathSetup    = "/v1/workspaces/{machine}/setup"
	pathActSetup = "/v1/workspaces/{machine}/setup/{command}"
)

// Setups shows and moves the first-time setup of the machines of peer; those of
// others are ErrNotFound.
type Setups interface {
	Setup(ctx context.Context, peer Peer, machine string) (SetupStatus, error)
	// ActSetup returns at once. ErrDenied when the policy does not allow it,
	// ErrConflict when the setup is not in a state for it.
	ActSetup(ctx context.Context, peer Peer, machine string, c SetupCommand) (SetupStatus, error)
}

// SetupCommand is what to do with a first-time setup.
type SetupCommand string

// The commands.
const (
	SetupResume   SetupCommand = "resume"
	SetupCancel   SetupCommand = "cancel"
	SetupPostpone SetupCommand = "postpone"
)

// SetupStatus is how the first-time setup of a machine goes.
type SetupStatus struct {
	// State is a setup.State; empty when the policy has no setup.
	State string `json:"state,omitempty"`
	// Step is the number of the step that is next or under way, from 1, of Steps,
	// and Title what it does; 0 when none is left.
	Step  int    `json:"step,omitempty"`
	Steps int    `json:"steps,omitempty"`
	Title string `json:"title,omitempty"`
	// Message is the policy's for the user, Failure why the step has not
	// succeeded.
	Message       string `json:"message,omitempty"`
	Failure       string `json:"failure,omitempty"`
	MayCancel     bool   `json:"may_cancel,omitempty"`
	MayPostpone   bool   `json:"may_postpone,omitempty"`
	PostponesLeft int    `json:"postpones_left,omitempty"`
}

// First-time setup.
var setupRoutes = []route{
	{http.MethodGet, pathSetup, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.Setup(r.Context(), p, r.PathValue("machine")))
	}},
	{http.MethodPost, pathActSetup, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.ActSetup(r.Context(), p, r.PathValue("machine"), SetupCommand(r.PathValue("command"))))
	}},
}

// Setup returns how the first-time setup of a machine goes.
func (c *Client) Setup(ctx context.Context, machine string) (SetupStatus, error) {
	return ask[SetupStatus](ctx, c, http.MethodGet, pathWorkspaces+"/"+url.PathEscape(machine)+"/setup", nil)
}

// ActSetup resumes, cancels or postpones it.
func (c *Client) ActSetup(ctx context.Context, machine string, command SetupCommand) (SetupStatus, error) {
	return ask[SetupStatus](ctx, c, http.MethodPost, pathWorkspaces+"/"+url.PathEscape(machine)+"/setup/"+string(command), nil)
}

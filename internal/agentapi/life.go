package agentapi

import (
	"context"
	"net/http"
	"net/url"
)

// Paths of locking and updates.
const (
	pathLock   = "/v1/workspaces/{machine}/lock"
	pathUnlock = "/v1/workspaces/{machine}/unlock"
	pathUpdate = "/v1/workspaces/{machine}/update"
)

// Life is what happens to the machines of peer between start and stop; those of
// others are ErrNotFound.
type Life interface {
	// Lock locks a machine; it is harmless to repeat.
	Lock(ctx context.Context, peer Peer, machine string) (Workspace, error)
	// Unlock returns ErrDenied for a wrong secret and while a limit keeps the
	// machine locked, *throttle.Error after too many wrong ones.
	Unlock(ctx context.Context, peer Peer, machine string, r UnlockRequest) (Workspace, error)
	// Update returns ErrConflict when there is nothing to take, ErrNotFound
	// nothing to go back to, ErrUnsupported with the reason when the version
	// cannot be taken, ErrUnavailable while it is being fetched.
	Update(ctx context.Context, peer Peer, machine string, r UpdateRequest) (Workspace, error)
}

// UnlockRequest proves that it is the user: the password of the sign-in or the
// PIN.
type UnlockRequest struct {
	Secret string `json:"secret"`
}

// UpdateRequest takes the version of the image that is offered, or goes Back to
// the one before, at the next start; Now restarts the machine for it.
type UpdateRequest struct {
	Back bool `json:"back,omitempty"`
	Now  bool `json:"now,omitempty"`
}

// Locking, updates: what happens to a machine between start and stop.
var lifeRoutes = []route{
	{http.MethodPost, pathLock, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		return answer(w)(s.agent.Lock(r.Context(), p, r.PathValue("machine")))
	}},
	{http.MethodPost, pathUnlock, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[UnlockRequest](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.Unlock(r.Context(), p, r.PathValue("machine"), q))
	}},
	{http.MethodPost, pathUpdate, func(s *server, w http.ResponseWriter, r *http.Request, p Peer) error {
		q, err := decode[UpdateRequest](w, r)
		if err != nil {
			return err
		}
		return answer(w)(s.agent.Update(r.Context(), p, r.PathValue("machine"), q))
	}},
}

// Lock locks a machine, named by its identity or its workspace's name.
func (c *Client) Lock(ctx context.Context, machine string) (Workspace, error) {
	return ask[Workspace](ctx, c, http.MethodPost, pathWorkspaces+"/"+url.PathEscape(machine)+"/lock", nil)
}

// Unlock unlocks it.
func (c *Client) Unlock(ctx context.Context, machine string, r UnlockRequest) (Workspace, error) {
	return ask[Workspace](ctx, c, http.MethodPost, pathWorkspaces+"/"+url.PathEscape(machine)+"/unlock", r)
}

// Update takes another version of its image.
func (c *Client) Update(ctx context.Context, machine string, r UpdateRequest) (Workspace, error) {
	return ask[Workspace](ctx, c, http.MethodPost, pathWorkspaces+"/"+url.PathEscape(machine)+"/update", r)
}

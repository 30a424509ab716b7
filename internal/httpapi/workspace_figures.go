package httpapi

import (
	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
	"github.com/dormer-project/dormer/internal/workspace"
)

// withFigures adds to each workspace of a list what it comes to now. One that
// cannot be read keeps none.
func (a *API) withFigures(c *call, l rest.List[rest.Workspace]) (rest.List[rest.Workspace], error) {
	machines, err := a.Machines.Machines(c.ctx())
	if err != nil {
		return l, err
	}
	type counts struct {
		machines, running int
		clients           map[dormer.ClientID]bool
	}
	of := make(map[dormer.WorkspaceID]counts)
	for _, m := range machines {
		n := of[m.Workspace]
		if n.clients == nil {
			n.clients = make(map[dormer.ClientID]bool)
		}
		n.machines++
		n.clients[m.Client] = true
		if m.State == string(workspace.Running) {
			n.running++
		}
		of[m.Workspace] = n
	}
	figures := a.Workspaces.Figures()
	for i, w := range l.Items {
		f, read := figures[w.ID]
		if !read {
			continue
		}
		n := of[w.ID]
		l.Items[i].Figures = &rest.WorkspaceFigures{
			Description: f.Description, Image: f.Image, ImageVersion: f.Number, ImageProblem: f.ImageProblem,
			Grants: f.Grants, Disabled: f.Disabled, Expired: f.Expired,
			Machines: n.machines, Running: n.running, Clients: len(n.clients),
		}
	}
	return l, nil
}

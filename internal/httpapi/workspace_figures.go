package httpapi

import "github.com/dormer-project/dormer/internal/wire/rest"

// withFigures adds to each workspace of a list what it comes to now. One that
// cannot be read keeps none.
func (a *API) withFigures(c *call, l rest.List[rest.Workspace]) (rest.List[rest.Workspace], error) {
	of, err := a.Machines.MachinesByWorkspace(c.ctx())
	if err != nil {
		return l, err
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
			Machines: n.Machines, Running: n.Running, Clients: n.Clients,
		}
	}
	return l, nil
}

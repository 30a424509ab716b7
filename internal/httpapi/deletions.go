package httpapi

import (
	"fmt"

	"github.com/dormer-project/dormer/internal/wire/rest"
)

func (a *API) listDeletions(c *call, _ rest.None) (rest.List[rest.Deletion], error) {
	all, err := a.Orders.Deletions(c.ctx())
	items := make([]rest.Deletion, len(all))
	for i, d := range all {
		items[i] = rest.Deletion{
			Machine: d.Machine, Client: d.Client, User: d.User, Workspace: d.Workspace, Revision: d.Revision, Reason: d.Reason,
			State: string(d.State), Since: d.Since, ConfirmedBy: d.ConfirmedBy,
		}
	}
	return rest.List[rest.Deletion]{Items: items}, err
}

func (a *API) confirmDeletions(c *call, in rest.ConfirmDeletions) (rest.None, error) {
	if err := a.Orders.ConfirmDeletions(c.ctx(), in.Count, c.who()); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("deletions.confirm", fmt.Sprintf("%d machines", in.Count), "")
}

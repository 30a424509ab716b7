package httpapi

import (
	"fmt"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/vault"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func (a *API) listSecrets(c *call, _ rest.None) (rest.List[rest.Secret], error) {
	all, err := a.Secrets.List(c.ctx())
	items := make([]rest.Secret, len(all))
	for i, s := range all {
		items[i] = rest.Secret(s)
	}
	return rest.List[rest.Secret]{Items: items}, err
}

// secret returns the name in the path; ErrNotFound when none is called that.
func (c *call) secret() (string, error) {
	s := c.r.PathValue("name")
	if !vault.ValidName(s) {
		return "", fmt.Errorf("that is not the name of a secret: %w", dormer.ErrNotFound)
	}
	return s, nil
}

func (a *API) setSecret(c *call, in rest.NewSecret) (rest.None, error) {
	called := c.r.PathValue("name")
	if err := a.Secrets.Set(c.ctx(), called, in.Value, c.who()); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("secret.set", "secret "+called, "")
}

// deleteSecret refuses what workspaces name: they could not be committed again,
// and machines could not join.
func (a *API) deleteSecret(c *call, _ rest.None) (rest.None, error) {
	called, err := c.secret()
	if err != nil {
		return rest.None{}, err
	}
	used, err := a.Workspaces.NameSecret(c.ctx(), called)
	if err != nil {
		return rest.None{}, err
	}
	if len(used) > 0 {
		return rest.None{}, fmt.Errorf("secret %s is named by workspace %s; change that first: %w", called, strings.Join(used, ", "), dormer.ErrConflict)
	}
	if err := a.Secrets.Delete(c.ctx(), called); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("secret.delete", "secret "+called, "")
}

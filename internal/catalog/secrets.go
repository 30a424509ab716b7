package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/vault"
)

// secretsOf returns the secrets of the server that a document names, by the path
// of the field.
func secretsOf(doc *policy.Document) map[string]string {
	names := map[string]string{}
	for i, a := range doc.Spec.Setup.Actions {
		if a.JoinDomain != nil && a.JoinDomain.PasswordSecret != "" {
			names[fmt.Sprintf("spec.setup.actions[%d].joinDomain.passwordSecret", i)] = a.JoinDomain.PasswordSecret
		}
	}
	return names
}

// checkSecrets refuses a document that names a secret which the server does not
// have. The name is not repeated: it may be the secret itself.
func (c *Catalog) checkSecrets(ctx context.Context, doc *policy.Document) error {
	named := secretsOf(doc)
	if len(named) == 0 {
		return nil
	}
	var have []vault.Secret
	if c.cfg.Secrets != nil {
		var err error
		if have, err = c.cfg.Secrets.List(ctx); err != nil {
			return err
		}
	}
	invalid := &dormer.InvalidError{}
	for path, called := range named {
		if !slices.ContainsFunc(have, func(s vault.Secret) bool { return s.Name == called }) {
			invalid.Fields = append(invalid.Fields, dormer.FieldError{Path: path, Message: "the server has no secret of that name; leave it there first: dormer secret set NAME"})
		}
	}
	if len(invalid.Fields) > 0 {
		return invalid
	}
	return nil
}

// NameSecret returns the names of the workspaces that name a secret.
func (c *Catalog) NameSecret(ctx context.Context, secret string) ([]string, error) {
	revisions, err := c.cfg.Store.Workspaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("load workspaces: %w", err)
	}
	var names []string
	for _, r := range revisions {
		doc, err := policy.DecodeStored(r.Document)
		if err != nil {
			return nil, fmt.Errorf("stored document of workspace %s: %w", r.Name, dormer.ErrCorrupt)
		}
		for _, called := range secretsOf(doc) {
			if called == secret && !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	return names, nil
}

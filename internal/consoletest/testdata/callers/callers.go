// Package callers calls methods of the API's client, and of others that are
// called alike.
package callers

import (
	"context"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Lister is what a client is handed out as.
type Lister interface {
	Images(ctx context.Context) ([]rest.Image, error)
}

// Folder is no client.
type Folder struct{}

// Groups are folders here.
func (Folder) Groups(context.Context) ([]string, error) { return nil, nil }

// Operators are somebody else's.
type Operators interface{ Operators() }

// Call calls.
func Call(ctx context.Context, c *apiclient.Client, l Lister, f Folder, o Operators) {
	_, _ = c.Secrets(ctx)
	_, _ = l.Images(ctx)
	_, _ = f.Groups(ctx)
	o.Operators()
}

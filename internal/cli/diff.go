package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/policy"
)

func newDiff(a *app) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "diff -f FILE|DIR", Short: "Show what apply would change, field by field", Args: noArgs,
		Long:    "Compares files with the server's workspaces. The exit status is 0 when nothing differs and 10 when something does.",
		Example: "  dormer diff -f workspaces/",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			files, _, err := a.match(ctx, c, path)
			if err != nil {
				return err
			}
			return a.diff(ctx, c, files)
		}),
	}
	cmd.Flags().StringVarP(&path, "file", "f", "", "a document, a folder of them, or - for standard input")
	return cmd
}

// exitDiffers is the exit status of diff when something differs.
const exitDiffers = 10

// difference is what apply would do with one file.
type difference struct {
	File    string          `json:"file"`
	Name    string          `json:"name"`
	New     bool            `json:"new,omitempty"`
	Changes []policy.Change `json:"changes,omitempty"`
}

func differences(ctx context.Context, c *apiclient.Client, files []file) ([]difference, error) {
	found := []difference{}
	for _, f := range files {
		d := difference{File: f.path, Name: f.doc.Metadata.Name, New: f.current == nil}
		if f.current != nil {
			stored, err := storedDocument(ctx, c, f.current.ID)
			if err != nil {
				return nil, err
			}
			settle(f.doc, stored)
			d.Changes = policy.Diff(stored, f.doc)
		}
		if d.New || len(d.Changes) > 0 {
			found = append(found, d)
		}
	}
	return found, nil
}

func (a *app) diff(ctx context.Context, c *apiclient.Client, files []file) error {
	found, err := differences(ctx, c, files)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return a.say(found, "Nothing differs.")
	}
	if a.json {
		err = a.printJSON(found)
	} else {
		a.printDifferences(found)
	}
	return errors.Join(err, statusError(exitDiffers))
}

func (a *app) printDifferences(found []difference) {
	for _, d := range found {
		fmt.Fprintf(a.Out, "%s (%s)\n", d.Name, d.File)
		if d.New {
			fmt.Fprintln(a.Out, "  + a new workspace")
		}
		a.printChanges(d.Changes)
	}
}

func (a *app) printChanges(changes []policy.Change) {
	value := func(v, origin string) string {
		if origin != "" {
			return printable(v) + " (" + origin + ")"
		}
		return printable(v)
	}
	for _, ch := range changes {
		switch {
		case ch.Old == "" && ch.OldOrigin == "":
			fmt.Fprintf(a.Out, "  + %s: %s\n", ch.Path, value(ch.New, ch.NewOrigin))
		case ch.New == "" && ch.NewOrigin == "":
			fmt.Fprintf(a.Out, "  - %s: %s\n", ch.Path, value(ch.Old, ch.OldOrigin))
		default:
			fmt.Fprintf(a.Out, "  ~ %s: %s -> %s\n", ch.Path, value(ch.Old, ch.OldOrigin), value(ch.New, ch.NewOrigin))
		}
	}
}

// settle gives a document what the server would fill in at commit, so that it
// does not show as a difference: its identity, and the keys of the principals
// that it knows.
func settle(d, stored *policy.Document) {
	d.Metadata.ID = stored.Metadata.ID
	for i := range d.Grants {
		p := &d.Grants[i].Principal
		if p.Key != "" {
			continue
		}
		n := slices.IndexFunc(stored.Grants, func(g policy.Grant) bool {
			q := g.Principal
			return q.Kind == p.Kind && name.Fold(q.Name) == name.Fold(p.Name) && (p.Directory == "" || p.Directory == q.Directory)
		})
		if n >= 0 {
			*p = stored.Grants[n].Principal
		}
	}
}

func storedDocument(ctx context.Context, c *apiclient.Client, id dormer.WorkspaceID) (*policy.Document, error) {
	d, err := c.Workspace(ctx, id, apiclient.JSON)
	if err != nil {
		return nil, err
	}
	return policy.DecodeStored(d.Body)
}

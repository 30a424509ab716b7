package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/name"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newWorkspaceImport(a *app) *cobra.Command {
	var path, message string
	var asNew, yes bool
	cmd := &cobra.Command{
		Use: "import -f FILE", Short: "Import a workspace, as new or in place of the one that it is about", Args: noArgs,
		Example: "  dormer workspace import -f office.yaml\n  dormer workspace import -f office.yaml --as-new",
		Long: `Imports one document. When the workspace is there already the differences are
shown and you are asked before it is replaced; --as-new makes another one, with
the first free name.`,
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			if asNew {
				return a.importAsNew(ctx, c, path, message)
			}
			files, _, err := a.match(ctx, c, path)
			if err != nil {
				return err
			}
			if len(files) != 1 {
				return usageError{errors.New("import takes one document; use 'dormer apply' for a folder")}
			}
			if files[0].current != nil {
				found, err := differences(ctx, c, files)
				if err != nil {
					return err
				}
				if len(found) == 0 {
					return a.say(applied{File: path, Result: "unchanged", Committed: rest.Committed{Workspace: *files[0].current}}, "Nothing differs.")
				}
				if !a.json {
					a.printDifferences(found)
				}
				if err := a.confirm("Revision "+fmt.Sprint(files[0].current.Revision)+" of "+files[0].current.Name, "replaced", files[0].current.Name, yes); err != nil {
					return err
				}
			}
			s, err := c.Session(ctx)
			if err != nil {
				return err
			}
			r, err := a.applyOne(ctx, c, files[0], s.Principal.Name, message)
			if err != nil || !a.json {
				return err
			}
			return a.printJSON(r)
		}),
	}
	cmd.Flags().StringVarP(&path, "file", "f", "", "the document; - for standard input")
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the history")
	cmd.Flags().BoolVar(&asNew, "as-new", false, "make another workspace even if it is there already")
	cmd.Flags().BoolVar(&yes, "yes", false, "replace without asking")
	return cmd
}

func (a *app) importAsNew(ctx context.Context, c *apiclient.Client, path, message string) error {
	files, err := a.readDocuments(path)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return usageError{errors.New("import takes one document; use 'dormer apply' for a folder")}
	}
	all, err := c.Workspaces(ctx, "")
	if err != nil {
		return err
	}
	d := files[0].doc
	d.Metadata.ID = ""
	base := d.Metadata.Name
	for n := 2; slices.ContainsFunc(all, func(w rest.Workspace) bool {
		return name.Fold(w.Name) == name.Fold(d.Metadata.Name)
	}); n++ {
		d.Metadata.Name = fmt.Sprintf("%s - %d", base, n)
	}
	r, err := c.CreateWorkspace(ctx, d.YAML(), message)
	if err != nil {
		return inFile(path, err)
	}
	return a.committed(r, "created")
}

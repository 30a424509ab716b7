package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// file is a document on disk and the workspace of the server that it is about.
type file struct {
	path string
	raw  []byte
	doc  *policy.Document
	// current is absent when there is no such workspace yet.
	current *rest.Workspace
}

func newApply(a *app) *cobra.Command {
	var path, message string
	var prune, yes bool
	cmd := &cobra.Command{
		Use: "apply -f FILE|DIR", Short: "Make the server's workspaces as the files say", Args: noArgs,
		Long: `Creates and changes workspaces so that they are as the files say. A document is
matched by metadata.id where it has one, else by name: a known id with another
name is a rename. All files are checked before anything is changed. Workspaces
without a file are left alone, unless --prune is given.`,
		Example: "  dormer apply -f office.yaml\n  dormer apply -f workspaces/ -m 'spring release'",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			files, all, err := a.match(ctx, c, path)
			if err != nil {
				return err
			}
			var gone []rest.Workspace
			if prune {
				gone = withoutFile(all, files)
				for _, w := range gone {
					if err := a.confirm("Workspace "+w.Name, w.Name, yes); err != nil {
						return err
					}
				}
			}
			for _, f := range files {
				if err := a.applyOne(ctx, c, f, message); err != nil {
					return err
				}
			}
			for _, w := range gone {
				if err := c.DeleteWorkspace(ctx, w.ID, w.ETag); err != nil {
					return fmt.Errorf("delete workspace %s: %w", w.Name, err)
				}
				if err := a.say(w, "Workspace %s deleted.", w.Name); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().StringVarP(&path, "file", "f", "", "a document, a folder of them (*.yaml, *.yml, *.json), or - for standard input")
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the history")
	cmd.Flags().BoolVar(&prune, "prune", false, "delete workspaces that no file is about")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before deleting")
	return cmd
}

func (a *app) applyOne(ctx context.Context, c *apiclient.Client, f file, message string) error {
	if f.current == nil {
		r, err := c.CreateWorkspace(ctx, f.raw, message)
		if err != nil {
			return inFile(f.path, err)
		}
		return a.committed(r, "created")
	}
	r, err := c.CommitWorkspace(ctx, f.current.ID, f.raw, f.current.ETag, message)
	if err != nil {
		return inFile(f.path, err)
	}
	if r.Revision == f.current.Revision {
		return a.say(r, "Workspace %s is as the file says: revision %d.", r.Name, r.Revision)
	}
	return a.committed(r, "changed")
}

func withoutFile(all []rest.Workspace, files []file) []rest.Workspace {
	return slices.DeleteFunc(slices.Clone(all), func(w rest.Workspace) bool {
		return slices.ContainsFunc(files, func(f file) bool { return f.current != nil && f.current.ID == w.ID })
	})
}

// match reads the documents below path and finds what they are about.
func (a *app) match(ctx context.Context, c *apiclient.Client, path string) ([]file, []rest.Workspace, error) {
	if path == "" {
		return nil, nil, usageError{errors.New("name a file or a folder with -f")}
	}
	files, err := a.readDocuments(path)
	if err != nil {
		return nil, nil, err
	}
	all, err := c.Workspaces(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	taken := map[dormer.WorkspaceID]string{}
	for i := range files {
		f := &files[i]
		id, called := f.doc.Metadata.ID, policy.FoldName(f.doc.Metadata.Name)
		n := slices.IndexFunc(all, func(w rest.Workspace) bool {
			return id != "" && w.ID == id || id == "" && policy.FoldName(w.Name) == called
		})
		switch {
		case n < 0 && id != "":
			return nil, nil, fmt.Errorf("%s: metadata.id names no workspace of this server; remove it to make a new one: %w", f.path, dormer.ErrNotFound)
		case n < 0:
			continue
		}
		w := all[n]
		if other, twice := taken[w.ID]; twice {
			return nil, nil, fmt.Errorf("%s and %s are about the same workspace, %s: %w", other, f.path, w.Name, dormer.ErrInvalid)
		}
		taken[w.ID] = f.path
		f.current = &w
	}
	return files, all, nil
}

// readDocuments reads and validates one document, or all of a folder and the
// folders in it. The errors of all files come together.
func (a *app) readDocuments(path string) ([]file, error) {
	paths := []string{path}
	if info, err := os.Stat(path); path != "-" && err == nil && info.IsDir() {
		paths = nil
		err := filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			if slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(p))) {
				paths = append(paths, p)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read folder: %w", err)
		}
		if len(paths) == 0 {
			return nil, dormer.Invalidf(path, "holds no *.yaml, *.yml or *.json file")
		}
	}
	var files []file
	var wrong []error
	for _, p := range paths {
		raw, err := a.readFile(p)
		if err != nil {
			return nil, err
		}
		d, err := policy.Decode(raw, p)
		if err == nil {
			err = policy.Validate(d)
		}
		if err != nil {
			wrong = append(wrong, inFile(p, err))
			continue
		}
		files = append(files, file{path: p, raw: raw, doc: d})
	}
	return files, errors.Join(wrong...)
}

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

func (a *app) diff(ctx context.Context, c *apiclient.Client, files []file) error {
	var found []difference
	for _, f := range files {
		d := difference{File: f.path, Name: f.doc.Metadata.Name, New: f.current == nil}
		if f.current != nil {
			stored, err := storedDocument(ctx, c, f.current.ID)
			if err != nil {
				return err
			}
			settle(f.doc, stored)
			d.Changes = policy.Diff(stored, f.doc)
		}
		if d.New || len(d.Changes) > 0 {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return a.say(found, "Nothing differs.")
	}
	if a.json {
		if err := a.printJSON(found); err != nil {
			return err
		}
		return statusError(exitDiffers)
	}
	for _, d := range found {
		fmt.Fprintf(a.Out, "%s (%s)\n", d.Name, d.File)
		if d.New {
			fmt.Fprintln(a.Out, "  + a new workspace")
		}
		a.printChanges(d.Changes)
	}
	return statusError(exitDiffers)
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
			return q.Kind == p.Kind && policy.FoldName(q.Name) == policy.FoldName(p.Name) && (p.Directory == "" || p.Directory == q.Directory)
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
				var differs statusError
				switch err := a.diff(ctx, c, files); {
				case err == nil:
					return nil
				case !errors.As(err, &differs):
					return err
				}
				if err := a.confirm("Revision "+fmt.Sprint(files[0].current.Revision)+" of "+files[0].current.Name, files[0].current.Name, yes); err != nil {
					return err
				}
			}
			return a.applyOne(ctx, c, files[0], message)
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
		return policy.FoldName(w.Name) == policy.FoldName(d.Metadata.Name)
	}); n++ {
		d.Metadata.Name = fmt.Sprintf("%s - %d", base, n)
	}
	r, err := c.CreateWorkspace(ctx, d.YAML(), message)
	if err != nil {
		return inFile(path, err)
	}
	return a.committed(r, "created")
}

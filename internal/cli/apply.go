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
	"github.com/dormer-project/dormer/internal/name"
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
without a file are left alone, unless --prune is given.

The files win: what others have committed since a file was exported is replaced,
and apply says whose revision that was. It stays in the history; 'dormer diff'
shows it before. 'dormer workspace edit' refuses instead.`,
		Example: "  dormer apply -f office.yaml\n  dormer apply -f workspaces/ -m 'spring release'",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			return a.apply(ctx, c, path, message, prune, yes)
		}),
	}
	cmd.Flags().StringVarP(&path, "file", "f", "", "a document, a folder of them (*.yaml, *.yml, *.json), or - for standard input")
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the history")
	cmd.Flags().BoolVar(&prune, "prune", false, "delete workspaces that no file is about")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before deleting")
	return cmd
}

// applied is what became of one workspace; apply prints a list of them with
// --json.
type applied struct {
	File   string `json:"file,omitempty"`
	Result string `json:"result"` // created, changed, unchanged or deleted
	rest.Committed
	// Replaces is the revision before, absent unless the result is changed.
	Replaces *replaced `json:"replaces,omitempty"`
}

type replaced struct {
	Revision dormer.Revision `json:"revision"`
	Author   string          `json:"author"`
}

func (a *app) apply(ctx context.Context, c *apiclient.Client, path, message string, prune, yes bool) error {
	files, all, err := a.match(ctx, c, path)
	if err != nil {
		return err
	}
	if err := checkAll(ctx, c, files); err != nil {
		return err
	}
	var gone []rest.Workspace
	if prune {
		gone = withoutFile(all, files)
		for _, w := range gone {
			if err := a.confirm("Workspace "+w.Name, "deleted", w.Name, yes); err != nil {
				return err
			}
		}
	}
	results, err := a.carryOut(ctx, c, files, gone, message)
	if done := len(results); err != nil && (done > 0 || passing(err)) {
		err = fmt.Errorf("%w\n%d of %d changes were made before%s", err, done, len(files)+len(gone), repeat(err))
	}
	if a.json {
		err = errors.Join(a.printJSON(results), err)
	}
	return err
}

// passing reports whether the same again may succeed later.
func passing(err error) bool {
	return errors.Is(err, dormer.ErrUnavailable) || errors.Is(err, dormer.ErrFull) || errors.Is(err, dormer.ErrConflict)
}

func repeat(err error) string {
	if !passing(err) {
		return ""
	}
	return "; repeat the command for the rest"
}

// checkAll asks the server about all files before it is changed: only it knows
// whether the users that they name are there.
func checkAll(ctx context.Context, c *apiclient.Client, files []file) error {
	var wrong []error
	for _, f := range files {
		_, err := c.ValidateWorkspace(ctx, f.raw)
		switch {
		case errors.Is(err, dormer.ErrInvalid), errors.Is(err, dormer.ErrExists):
			wrong = append(wrong, inFile(f.path, err))
		case err != nil:
			return inFile(f.path, err)
		}
	}
	return errors.Join(wrong...)
}

// carryOut commits files, then deletes what is gone, and returns what was done
// before the first error.
func (a *app) carryOut(ctx context.Context, c *apiclient.Client, files []file, gone []rest.Workspace, message string) ([]applied, error) {
	results := []applied{}
	s, err := c.Session(ctx)
	if err != nil {
		return results, err
	}
	for _, f := range files {
		r, err := a.applyOne(ctx, c, f, s.Principal.Name, message)
		if err != nil {
			return results, err
		}
		results = append(results, r)
	}
	for _, w := range gone {
		if err := c.DeleteWorkspace(ctx, w.ID, w.ETag); err != nil {
			return results, fmt.Errorf("delete workspace %s: %w", w.Name, err)
		}
		a.tell("Workspace %s deleted.", w.Name)
		results = append(results, applied{Result: "deleted", Committed: rest.Committed{Workspace: w}})
	}
	return results, nil
}

// applyOne commits one file as the operator called me.
func (a *app) applyOne(ctx context.Context, c *apiclient.Client, f file, me, message string) (applied, error) {
	var r rest.Committed
	var err error
	result := "created"
	if f.current == nil {
		r, err = c.CreateWorkspace(ctx, f.raw, message)
	} else {
		r, err = c.CommitWorkspace(ctx, f.current.ID, f.raw, f.current.ETag, message)
		result = "changed"
	}
	if err != nil {
		return applied{}, inFile(f.path, err)
	}
	a.warnings(r)
	done := applied{File: f.path, Result: result, Committed: r}
	switch {
	case f.current == nil:
		a.tell("Workspace %s created: revision %d.", r.Name, r.Revision)
	case r.Revision == f.current.Revision:
		done.Result = "unchanged"
		a.tell("Workspace %s is as the file says: revision %d.", r.Name, r.Revision)
	case f.current.Author != me:
		done.Replaces = &replaced{f.current.Revision, f.current.Author}
		a.tell("Workspace %s changed: revision %d, replaces revision %d by %s.", r.Name, r.Revision, f.current.Revision, printable(f.current.Author))
	default:
		done.Replaces = &replaced{f.current.Revision, f.current.Author}
		a.tell("Workspace %s changed: revision %d.", r.Name, r.Revision)
	}
	return done, nil
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
	names := map[string]string{}
	for i := range files {
		f := &files[i]
		id, called := f.doc.Metadata.ID, name.Fold(f.doc.Metadata.Name)
		n := slices.IndexFunc(all, func(w rest.Workspace) bool {
			return id != "" && w.ID == id || id == "" && name.Fold(w.Name) == called
		})
		switch {
		case n < 0 && id != "":
			return nil, nil, fmt.Errorf("%s: metadata.id names no workspace of this server; remove it to make a new one: %w", f.path, dormer.ErrNotFound)
		case n < 0:
			if other, twice := names[called]; twice {
				return nil, nil, fmt.Errorf("%s and %s are both about a new workspace, %s: %w", other, f.path, f.doc.Metadata.Name, dormer.ErrInvalid)
			}
			names[called] = f.path
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

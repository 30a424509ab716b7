package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

func newWorkspace(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "workspace",
		Aliases: []string{"ws"},
		Short:   "List, change, copy and compare workspaces",
	}
	return group(cmd,
		newWorkspaceList(a), newWorkspaceShow(a), newWorkspaceCreate(a), newWorkspaceEdit(a),
		newWorkspaceClone(a), newWorkspaceRename(a), newWorkspaceDelete(a),
		newWorkspaceExport(a), newWorkspaceImport(a), newWorkspaceHistory(a), newWorkspaceValidate(a), newWorkspaceNamePreview(a),
		newWorkspaceWhy(a), newWorkspacePrincipals(a),
	)
}

func newWorkspaceList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the workspaces", Args: noArgs,
		Example: "  dormer workspace list",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			all, err := c.WorkspacesWithFigures(ctx)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, w := range all {
				image, grants, machines := figuresOf(w.Figures)
				rows[i] = []string{w.Name, strconv.Itoa(int(w.Revision)), image, grants, machines, w.Author, when(w.Time), string(w.ID)}
			}
			return a.print(all, []string{"NAME", "REVISION", "IMAGE", "GRANTS", "MACHINES", "AUTHOR", "CHANGED", "ID"}, rows)
		}),
	}
}

// figuresOf says in a few words what a workspace comes to.
func figuresOf(f *rest.WorkspaceFigures) (image, grants, machines string) {
	if f == nil {
		return "cannot be read", "-", "-"
	}
	image = f.Image + " " + strconv.Itoa(f.ImageVersion)
	if f.ImageVersion == 0 {
		image = strings.TrimSpace(f.Image + " (none)")
	}
	grants = strconv.Itoa(f.Grants)
	if void := f.Disabled + f.Expired; void > 0 {
		grants += fmt.Sprintf(" (%d without effect)", void)
	}
	machines = strconv.Itoa(f.Machines)
	if f.Running > 0 {
		machines += fmt.Sprintf(" (%d running)", f.Running)
	}
	return image, grants, machines
}

func newWorkspaceShow(a *app) *cobra.Command {
	var revision int
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a workspace document", Args: exactArgs(1),
		Example: "  dormer workspace show office\n  dormer workspace show office --revision 3",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			w, err := workspaceByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			d, err := a.documentOf(ctx, c, w.ID, dormer.Revision(revision))
			if err != nil {
				return err
			}
			if err := a.write(d.Body); err != nil {
				return err
			}
			if revision == 0 {
				a.tellPrincipals(ctx, c, w.ID)
			}
			return nil
		}),
	}
	cmd.Flags().IntVar(&revision, "revision", 0, "an earlier revision (default: the current one)")
	return cmd
}

// document reads a workspace's document: YAML, or JSON where asked for.
func (a *app) document(ctx context.Context, c *apiclient.Client, name string, n dormer.Revision) (apiclient.Document, error) {
	w, err := workspaceByName(ctx, c, name)
	if err != nil {
		return apiclient.Document{}, err
	}
	return a.documentOf(ctx, c, w.ID, n)
}

func (a *app) documentOf(ctx context.Context, c *apiclient.Client, id dormer.WorkspaceID, n dormer.Revision) (apiclient.Document, error) {
	f := apiclient.YAML
	if a.json {
		f = apiclient.JSON
	}
	if n > 0 {
		return c.WorkspaceRevision(ctx, id, n, f)
	}
	return c.Workspace(ctx, id, f)
}

// write prints a document as it is, with a newline at its end.
func (a *app) write(body []byte) error {
	if !bytes.HasSuffix(body, []byte("\n")) {
		body = append(bytes.Clone(body), '\n')
	}
	_, err := a.Out.Write(body)
	return err
}

// committed tells what a change led to.
func (a *app) committed(r rest.Committed, what string) error {
	a.warnings(r)
	return a.say(r, "Workspace %s %s: revision %d.", r.Name, what, r.Revision)
}

// warnings tells what is valid in a document and perhaps not meant.
func (a *app) warnings(r rest.Committed) {
	for _, w := range r.Warnings {
		a.warn("%s: %s", r.Name, w)
	}
}

// readFile reads a document from a file, or from standard input for "-".
func (a *app) readFile(path string) ([]byte, error) { return a.readUpTo(path, policy.MaxDocument) }

// readUpTo is readFile for documents of so many bytes.
func (a *app) readUpTo(path string, most int) ([]byte, error) {
	r := a.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read document: %w", err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("read document %s: %w", path, err)
	}
	if len(b) > most {
		return nil, fmt.Errorf("document %s is over %d bytes: %w", path, most, dormer.ErrTooLarge)
	}
	return b, nil
}

func newWorkspaceCreate(a *app) *cobra.Command {
	var file, message string
	cmd := &cobra.Command{
		Use: "create -f FILE", Short: "Create a workspace from a file", Args: noArgs,
		Example: "  dormer workspace create -f office.yaml -m 'first version'",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			if file == "" {
				return usageError{errors.New("name the file with -f")}
			}
			raw, err := a.readFile(file)
			if err != nil {
				return err
			}
			r, err := c.CreateWorkspace(ctx, raw, message)
			if errors.Is(err, dormer.ErrExists) {
				return fmt.Errorf("%s: a workspace of that name %w; 'dormer apply -f' changes it", file, dormer.ErrExists)
			}
			if err != nil {
				return inFile(file, err)
			}
			return a.committed(r, "created")
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the document; - for standard input")
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the history")
	return cmd
}

func newWorkspaceClone(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "clone NAME [NEW-NAME]", Short: `Copy a workspace (by default as "NAME - 2")`,
		Example: "  dormer workspace clone Office 'Office for guests'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return exactArgs(1)(cmd, args)
		},
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			w, err := workspaceByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			r, err := c.CloneWorkspace(ctx, w.ID, strings.Join(args[1:], ""))
			if err != nil {
				return nameTaken(err)
			}
			return a.committed(r, "created")
		}),
	}
}

func newWorkspaceRename(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rename NAME NEW-NAME", Short: "Give a workspace another name", Args: exactArgs(2),
		Example: "  dormer workspace rename Office 'Main office'",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			w, err := workspaceByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			r, err := c.RenameWorkspace(ctx, w.ID, args[1], w.ETag)
			if err != nil {
				return nameTaken(err)
			}
			return a.committed(r, "renamed")
		}),
	}
}

func newWorkspaceDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a workspace; machines stop and are kept on their clients", Args: exactArgs(1),
		Example: "  dormer workspace delete Office",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			w, err := workspaceByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := a.confirm("Workspace "+w.Name, "deleted", w.Name, yes); err != nil {
				return err
			}
			if err := c.DeleteWorkspace(ctx, w.ID, w.ETag); err != nil {
				return err
			}
			return a.say(w, "Workspace %s deleted.", w.Name)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func newWorkspaceExport(a *app) *cobra.Command {
	var file string
	var force bool
	cmd := &cobra.Command{
		Use: "export NAME [-o FILE]", Short: "Write a workspace to a file", Args: exactArgs(1),
		Example: "  dormer workspace export office -o office.yaml",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			toFile := file != "" && file != "-"
			if toFile && !force {
				if err := freshFile(file); err != nil {
					return fmt.Errorf("%w; --force writes over it", err)
				}
			}
			d, err := a.document(ctx, c, args[0], 0)
			if err != nil {
				return err
			}
			if !toFile {
				return a.write(d.Body)
			}
			if err := os.WriteFile(file, d.Body, 0o644); err != nil {
				return fmt.Errorf("write %s: %w", file, err)
			}
			return a.say(struct{}{}, "Revision %d of %s written to %s.", d.Revision, args[0], file)
		}),
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "the file (default: standard output)")
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}

func newWorkspaceHistory(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "history NAME", Short: "List the revisions of a workspace, newest first", Args: exactArgs(1),
		Example: "  dormer workspace history Office",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			w, err := workspaceByName(ctx, c, args[0])
			if err != nil {
				return err
			}
			all, err := c.WorkspaceHistory(ctx, w.ID)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, r := range all {
				rows[i] = []string{strconv.Itoa(int(r.Revision)), r.Author, when(r.Time), r.Name, r.Message}
			}
			return a.print(all, []string{"REVISION", "AUTHOR", "TIME", "NAME", "MESSAGE"}, rows)
		}),
	}
}

func newWorkspaceValidate(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "validate -f FILE", Short: "Check a document without a server", Args: noArgs,
		Example: "  dormer workspace validate -f office.yaml",
		RunE: func(*cobra.Command, []string) error {
			if file == "" {
				return usageError{errors.New("name the file with -f")}
			}
			raw, err := a.readFile(file)
			if err != nil {
				return err
			}
			d, err := policy.Decode(raw, file)
			if err == nil {
				err = policy.Validate(d)
			}
			if err != nil {
				return inFile(file, err)
			}
			warnings := policy.Warnings(d)
			for _, w := range warnings {
				a.warn("%s", w)
			}
			return a.say(rest.Validated{Warnings: warnings}, "%s is valid.", file)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the document; - for standard input")
	return cmd
}

// inFile says which file the fields of an error stand in.
func inFile(file string, err error) error {
	var invalid *dormer.InvalidError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("%s: %w", file, err)
	}
	return fmt.Errorf("%s is not valid:\n%w", file, invalid)
}

// nameTaken says in other words that a name is in use.
func nameTaken(err error) error {
	if errors.Is(err, dormer.ErrExists) {
		return fmt.Errorf("a workspace of that name %w", dormer.ErrExists)
	}
	return err
}

// workspaceByName finds a workspace without regard to case.
func workspaceByName(ctx context.Context, c *apiclient.Client, called string) (rest.Workspace, error) {
	w, err := c.WorkspaceByName(ctx, called)
	if errors.Is(err, dormer.ErrNotFound) {
		return w, fmt.Errorf("workspace %q: %w; 'dormer workspace list' shows those that are there", called, dormer.ErrNotFound)
	}
	return w, err
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/policy"
)

func newDiff(a *app) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "diff -f FILE|DIR", Short: "Show what apply would change, field by field", Args: noArgs,
		Long:    "Compares files with the server's workspaces. The exit status is 0 when nothing differs and 10 when\nsomething does. A name in a grant that the server does not know is an error, as it\nwould be for apply.",
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
	var wrong []error
	for _, f := range files {
		d := difference{File: f.path, Name: f.doc.Metadata.Name, New: f.current == nil}
		var stored *policy.Document
		if f.current != nil {
			var err error
			if stored, err = storedDocument(ctx, c, f.current.ID); err != nil {
				return nil, err
			}
		}
		switch err := settle(ctx, c, f.doc, stored); {
		case errors.Is(err, dormer.ErrInvalid):
			wrong = append(wrong, inFile(f.path, err))
			continue
		case err != nil:
			return nil, inFile(f.path, err)
		}
		if stored != nil {
			d.Changes = policy.Diff(stored, f.doc)
		}
		if d.New || len(d.Changes) > 0 {
			found = append(found, d)
		}
	}
	return found, errors.Join(wrong...)
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
		case ch.Old == ch.New && ch.NewOrigin != ch.OldOrigin:
			now := "now set, was the default"
			if ch.NewOrigin != "" {
				now = "now the default, was set"
			}
			fmt.Fprintf(a.Out, "  ~ %s: %s (%s)\n", ch.Path, printable(ch.New), now)
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
// does not show as a difference: its identity, and the keys of its principals.
// The server is asked for them, since another one of the same name has another
// key. A principal of the stored document that goes by its name no more stays
// as it is there, as at commit. stored is nil for a new workspace. ErrInvalid
// names what the server would refuse.
func settle(ctx context.Context, c *apiclient.Client, d, stored *policy.Document) error {
	if stored != nil {
		d.Metadata.ID = stored.Metadata.ID
	}
	var wrong []dormer.FieldError
	for i := range d.Grants {
		p := &d.Grants[i].Principal
		path := fmt.Sprintf("grants[%d].principal", i)
		old, known := stored.Granted(*p)
		found, err := c.Resolve(ctx, p.Kind, p.DirectoryName()+`\`+p.Name)
		switch {
		case known && (isAny(err, dormer.ErrNotFound, dormer.ErrInvalid, dormer.ErrUnavailable) || err == nil && p.Key != "" && p.Key != found.Key):
			// It was there once, and is left alone, whoever goes by its name now.
			*p = old
		case errors.Is(err, dormer.ErrNotFound):
			wrong = append(wrong, dormer.FieldError{Path: path, Message: fmt.Sprintf("the server knows no %s of this name", p.Kind)})
		case err != nil:
			return fmt.Errorf("look %s up: %w", p.Name, err)
		case p.Key != "" && p.Key != found.Key:
			wrong = append(wrong, dormer.FieldError{Path: path + ".key", Message: fmt.Sprintf("is not the key of the %s of this name: name and key disagree", p.Kind)})
		default:
			if p.Key, p.Name = found.Key, found.Name; p.Directory != "" {
				p.Directory = found.Directory
			}
			if known {
				p.Directory = old.Directory // naming the default or leaving it out means the same
			}
		}
	}
	if len(wrong) > 0 {
		return &dormer.InvalidError{Fields: wrong}
	}
	return nil
}

func isAny(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

func storedDocument(ctx context.Context, c *apiclient.Client, id dormer.WorkspaceID) (*policy.Document, error) {
	d, err := c.Workspace(ctx, id, apiclient.JSON)
	if err != nil {
		return nil, err
	}
	return policy.DecodeStored(d.Body)
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
)

func newWorkspaceEdit(a *app) *cobra.Command {
	var message string
	cmd := &cobra.Command{
		Use: "edit NAME", Short: "Change a workspace in your editor", Args: exactArgs(1),
		Example: "  EDITOR=nano dormer workspace edit Office -m 'more memory'",
		Long: `Opens the document in $VISUAL or $EDITOR and commits what you saved. Where it is
not valid the errors are shown and the editor opens again. When somebody else
committed meanwhile nothing is lost: you are told who, and your text stays in
the file that is named.`,
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, args []string) error {
			return a.edit(ctx, c, args[0], message)
		}),
	}
	cmd.Flags().StringVarP(&message, "message", "m", "", "why, for the history")
	return cmd
}

func (a *app) edit(ctx context.Context, c *apiclient.Client, name, message string) error {
	w, err := workspaceByName(ctx, c, name)
	if err != nil {
		return err
	}
	d, err := c.Workspace(ctx, w.ID, apiclient.YAML)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "dormer-"+string(w.ID)+"-*.yaml") // mode 0600
	if err != nil {
		return fmt.Errorf("make a file to edit: %w", err)
	}
	_, err = f.Write(d.Body)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	last := d.Body
	for {
		if err := a.openEditor(ctx, f.Name()); err != nil {
			return err
		}
		text, err := a.readFile(f.Name())
		if err != nil {
			return err
		}
		if bytes.Equal(text, d.Body) {
			return errors.Join(os.Remove(f.Name()), a.say(w, "Nothing was changed."))
		}
		r, err := c.CommitWorkspace(ctx, w.ID, text, d.ETag, message)
		switch {
		case err == nil:
			return errors.Join(os.Remove(f.Name()), a.committed(r, "changed"))
		case errors.Is(err, dormer.ErrInvalid) && !bytes.Equal(text, last):
			last = text
			fmt.Fprintln(a.Err, inFile(f.Name(), err))
		case errors.Is(err, dormer.ErrConflict):
			return fmt.Errorf("%w; your text is in %s: 'dormer diff -f' shows how it differs now, 'dormer apply -f' commits it", err, f.Name())
		default:
			return fmt.Errorf("%w; your text is in %s", err, f.Name())
		}
	}
}

// openEditor runs the user's editor on a file. No shell: the variable's words
// are the command.
func (a *app) openEditor(ctx context.Context, path string) error {
	editor := a.Env("VISUAL")
	if editor == "" {
		editor = a.Env("EDITOR")
	}
	words := strings.Fields(editor)
	if len(words) == 0 {
		return usageError{errors.New("set VISUAL or EDITOR to your editor")}
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], path)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.In, a.Out, a.Err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("editor %s: %w; your text is in %s", words[0], err, path)
	}
	return nil
}

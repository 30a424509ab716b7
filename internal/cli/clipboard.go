package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/agentapi"
	"github.com/dormer-project/dormer/internal/guestwire"
)

// desktopTime is how long a program has to reach the desktop's clipboard.
const desktopTime = 5 * time.Second

func newClipboard(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use: "clipboard", Short: "Move the clipboard's text to a workspace or from it",
		Example: "  dormer clipboard push office\n  echo hello | dormer clipboard push office\n  dormer clipboard pull office",
	}, newClipboardPush(a), newClipboardPull(a))
}

func newClipboardPush(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "push WORKSPACE",
		Short: "Give the guest your clipboard, or what standard input says",
		Long: `Gives the guest a text, at most 1 MiB: what is read from standard input, or on a
terminal what is on the clipboard of your desktop (with wl-paste or xclip). In the
guest it is on the desktop's clipboard, and 'dormer-guest paste' prints it.`,
		Example: "  dormer clipboard push office\n  echo hello | dormer clipboard push office", Args: exactArgs(1), ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			w, err := findWorkspace(ctx, c, args[0])
			if err != nil {
				return err
			}
			var text []byte
			if _, typed := a.terminal(); typed {
				text, err = a.onDesktop(ctx, nil, []string{"wl-paste", "--no-newline", "--type", "text"}, []string{"xclip", "-selection", "clipboard", "-out"})
			} else {
				text, err = io.ReadAll(io.LimitReader(a.In, guestwire.MaxClipboard+1))
			}
			if err != nil {
				return fmt.Errorf("read the clipboard: %w", err)
			}
			if len(text) > guestwire.MaxClipboard {
				return fmt.Errorf("a text for the clipboard is longer than %d bytes: %w", guestwire.MaxClipboard, dormer.ErrTooLarge)
			}
			if err := c.SetClipboard(ctx, string(w.Machine), text); err != nil || !a.json {
				return err
			}
			return a.printJSON(movedText{len(text)})
		}),
	}
}

// movedText is what a moved text is with --json.
type movedText struct {
	Bytes int `json:"bytes"`
}

func newClipboardPull(a *app) *cobra.Command {
	var desktop bool
	cmd := &cobra.Command{
		Use:   "pull WORKSPACE",
		Short: "Print the guest's clipboard, or put it on yours",
		Long: `Prints the text that is on the clipboard of the guest's desktop, or that was put
there with 'dormer-guest copy'. With --desktop it is put on the clipboard of your
desktop instead (with wl-copy or xclip).`,
		Example: "  dormer clipboard pull office\n  dormer clipboard pull office --desktop", Args: exactArgs(1), ValidArgsFunction: a.completeWorkspaces,
		RunE: a.withAgent(func(ctx context.Context, c *agentapi.Client, args []string) error {
			w, err := findWorkspace(ctx, c, args[0])
			if err != nil {
				return err
			}
			text, err := c.Clipboard(ctx, string(w.Machine))
			switch {
			case err != nil:
				return err
			case desktop:
				_, err = a.onDesktop(ctx, text, []string{"wl-copy", "--type", "text/plain"}, []string{"xclip", "-selection", "clipboard", "-in"})
				if err != nil || !a.json {
					return err
				}
				return a.printJSON(movedText{len(text)})
			case a.json:
				return a.printJSON(struct {
					Text string `json:"text"`
				}{string(text)})
			}
			_, err = a.Out.Write(text)
			return err
		}),
	}
	cmd.Flags().BoolVar(&desktop, "desktop", false, "put it on the clipboard of your desktop instead of printing it")
	return cmd
}

// onDesktop runs the first of some programs that is there and works, with text
// as its input, and returns what it prints.
func (a *app) onDesktop(ctx context.Context, text []byte, programs ...[]string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, desktopTime)
	defer cancel()
	if a.Env("WAYLAND_DISPLAY") == "" && a.Env("DISPLAY") == "" {
		return nil, fmt.Errorf("there is no desktop here; use standard input and output: %w", dormer.ErrUnsupported)
	}
	for _, args := range programs {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		var out bytes.Buffer
		cmd.Stdin, cmd.WaitDelay = bytes.NewReader(text), time.Second
		if text == nil {
			cmd.Stdout = &out
		}
		if err := cmd.Run(); err == nil || errors.Is(err, exec.ErrWaitDelay) {
			return out.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("neither %s nor %s reaches the desktop's clipboard; install one of them, or use standard input and output: %w", programs[0][0], programs[1][0], dormer.ErrUnsupported)
}

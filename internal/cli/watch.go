package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// errWatched ends watching when enough was seen.
var errWatched = errors.New("watched enough")

func newWatch(a *app) *cobra.Command {
	var after int64
	var count int
	cmd := &cobra.Command{
		Use: "watch", Short: "Show what others change, as they do, and who looks at what in the console", Args: noArgs,
		Long: `Shows each change that somebody makes, as it happens, and which operators have
which page of the console open. Ends with Ctrl+C. When the server was away it
goes on after the last change that it showed. With --json each line is one
object, with "change" or "present".`,
		Example: "  dormer watch\n  dormer watch --after 4711 --count 1 --json",
		RunE: a.withServer(func(ctx context.Context, c *apiclient.Client, _ []string) error {
			w := watching{app: a, left: count}
			err := c.Watch(ctx, after, apiclient.Watcher{Change: w.change, Missed: w.missed, Present: w.present, Away: w.away})
			if errors.Is(err, errWatched) {
				return nil
			}
			return err
		}),
	}
	flags := cmd.Flags()
	flags.Int64Var(&after, "after", 0, "begin after the record of the audit log with this number, and not now")
	flags.IntVar(&count, "count", 0, "end after so many changes")
	return cmd
}

// watching is what is shown while somebody watches.
type watching struct {
	*app
	left  int // changes until it ends; 0: it does not
	shown []string
}

func (w *watching) change(n rest.Notice) error {
	what := n.Name
	if what == "" {
		what = n.Object
	}
	line := strings.TrimSpace(fmt.Sprintf("%s  %s  %s  %s  %s", when(n.Time), n.Who, n.Action, what, n.Detail))
	if err := w.line(line, map[string]any{"change": n}); err != nil {
		return err
	}
	if w.left--; w.left == 0 {
		return errWatched
	}
	return nil
}

func (w *watching) missed() error {
	w.note("More was changed meanwhile than the server tells: see dormer audit.")
	return nil
}

// present shows who came and who went; of programs, who has read all there is.
func (w *watching) present(list []rest.Present) error {
	if w.json {
		return w.line("", map[string]any{"present": list})
	}
	var now []string
	for _, p := range list {
		doing := "looks at"
		if p.Editing {
			doing = "edits"
		}
		now = append(now, fmt.Sprintf("%s %s %s", p.Who, doing, p.Where))
	}
	for _, text := range now {
		if !slices.Contains(w.shown, text) {
			if err := w.line(text, nil); err != nil {
				return err
			}
		}
	}
	for _, text := range w.shown {
		if !slices.Contains(now, text) {
			if err := w.line(text+" no more", nil); err != nil {
				return err
			}
		}
	}
	w.shown = now
	return nil
}

func (w *watching) away(err error) { w.note("The server is away, and is asked again: %v", err) }

// line prints a line: text for people, v for programs.
func (w *watching) line(text string, v any) error {
	if w.json {
		e := json.NewEncoder(w.Out)
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	_, err := fmt.Fprintln(w.Out, printable(text))
	return err
}

package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// print shows v as JSON where asked for, else as the table of headers and rows.
func (a *app) print(v any, headers []string, rows [][]string) error {
	if a.json {
		return a.printJSON(v)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	if len(headers) > 0 {
		fmt.Fprintln(w, strings.Join(headers, "\t"))
	}
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, c := range r {
			if cells[i] = printable(c); c == "" && len(headers) > 0 {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// say prints one line for people; with --json it prints v instead.
func (a *app) say(v any, format string, args ...any) error {
	if a.json {
		return a.printJSON(v)
	}
	_, err := fmt.Fprintf(a.Out, format+"\n", args...)
	return err
}

// tell prints one line for people, and nothing with --json.
func (a *app) tell(format string, args ...any) {
	if !a.json {
		fmt.Fprintf(a.Out, format+"\n", args...)
	}
}

// warn prints one line beside the output.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.Err, "warning: "+format+"\n", args...)
}

// note prints one line beside the output that is no warning.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.Err, format+"\n", args...)
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printable keeps names from outside from steering the terminal or breaking
// the table.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// when shows a time for people, in the zone of the computer.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// since shows how long ago something was.
func since(now time.Time, t *time.Time) string {
	if t == nil {
		return "never"
	}
	return now.Sub(*t).Round(time.Second).String() + " ago"
}

// size shows bytes in binary units.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	div, exp := int64(unit), 0
	for m := n / unit; m >= unit; m /= unit {
		div *= unit
		exp++
	}
	return fmt.Sprintf("%.1f %ciB", float64(n)/float64(div), "KMGTPE"[exp])
}

// progress shows how far a long job is. It writes to standard error, as a bar
// on a terminal and as a line every tenth elsewhere.
type progress struct {
	bar   *progressbar.ProgressBar
	out   io.Writer
	title string
	total int64
	tenth int64
}

// newProgress begins a bar over total bytes; quiet shows nothing.
func (a *app) newProgress(title string, total int64) *progress {
	p := &progress{out: a.Err, title: title, total: total}
	f, isFile := a.Err.(interface{ Fd() uintptr })
	switch {
	case a.quiet:
		p.out = io.Discard
	case isFile && term.IsTerminal(int(f.Fd())):
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(a.Err), progressbar.OptionSetDescription(title), progressbar.OptionShowBytes(true),
			progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

// set says how many bytes of how many are done.
func (p *progress) set(done, total int64) {
	p.total = total
	if p.bar != nil {
		p.bar.ChangeMax64(total)
		// A bar that cannot be drawn must not end the work it shows.
		_ = p.bar.Set64(done)
		return
	}
	if total <= 0 {
		return
	}
	if tenth := done * 10 / total; tenth > p.tenth {
		p.tenth = tenth
		fmt.Fprintf(p.out, "%s: %d %% of %s\n", p.title, tenth*10, size(total))
	}
}

// done removes the bar.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}

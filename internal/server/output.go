package server

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func sizeText(n int64) string {
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

// bar shows on a terminal how far a job is, and nothing elsewhere.
type bar struct {
	bar  *progressbar.ProgressBar
	last string // member
	sum  int64  // of members before it
	at   int64  // in it
}

func (p *program) newBar(title string) *bar {
	f, ok := p.err.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &bar{}
	}
	return &bar{bar: progressbar.NewOptions64(-1, progressbar.OptionSetWriter(p.err), progressbar.OptionSetDescription(title),
		progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())}
}

// member says how much of a member is written; how much there will be is not
// known.
func (b *bar) member(name string, written int64) {
	if name != b.last {
		b.sum, b.last = b.sum+b.at, name
	}
	if b.at = written; b.bar != nil {
		_ = b.bar.Set64(b.sum + b.at) // a bar that cannot be drawn ends nothing
	}
}

func (b *bar) set(done, size int64) {
	if b.bar == nil {
		return
	}
	b.bar.ChangeMax64(size)
	_ = b.bar.Set64(done) // as above
}

func (b *bar) done() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

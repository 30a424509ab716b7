package report

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
)

// Limits of saved reports; see docs/limits.md.
const (
	// MaxSaved is how many saved reports there may be.
	MaxSaved = 500
	// maxName is how many bytes a name has at most, maxDescription a description.
	maxName        = 128
	maxDescription = 1024
)

// Definition is a report that was given a name.
type Definition struct {
	Name        string
	Report      Kind
	Description string
	Query       Query
	ChangedBy   string
	Changed     time.Time
}

// Saved keeps definitions. Names are compared without regard to case.
type Saved interface {
	// SavedReports returns all, in the order of their names.
	SavedReports(ctx context.Context) ([]Definition, error)
	// SavedReport returns that of a name; ErrNotFound.
	SavedReport(ctx context.Context, name string) (Definition, error)
	// SaveReport stores a definition in place of that of its name; id is for one
	// that is new. ErrTooLarge when there are most of them already.
	SaveReport(ctx context.Context, id string, d Definition, most int) error
	// DeleteReport removes that of a name; ErrNotFound.
	DeleteReport(ctx context.Context, name string) error
}

// Check says whether a definition can be run: ErrInvalid names the field that
// is wrong.
func (d Definition) Check(now time.Time) error {
	switch {
	case d.Name == "" || len(d.Name) > maxName || !utf8.ValidString(d.Name) || strings.TrimSpace(d.Name) != d.Name:
		return dormer.Invalidf("name", "must be text of 1 to %d bytes without spaces around it", maxName)
	case strings.ContainsFunc(d.Name, func(r rune) bool { return !unicode.IsPrint(r) || r == '/' }):
		return dormer.Invalidf("name", "must be printable, without a slash")
	case len(d.Description) > maxDescription || !utf8.ValidString(d.Description) || strings.ContainsRune(d.Description, 0):
		return dormer.Invalidf("description", "must be text of at most %d bytes", maxDescription)
	case d.Query.After != "":
		return dormer.Invalidf("query.after", "is for one page, and cannot be saved")
	}
	_, err := d.Query.check(d.Report, now)
	return err
}

// Save checks a definition and keeps it.
func (r *Reporter) Save(ctx context.Context, id string, d Definition) error {
	d.Changed = r.c.Now().UTC().Truncate(time.Microsecond)
	if err := d.Check(d.Changed); err != nil {
		return err
	}
	if err := r.c.Saved.SaveReport(ctx, id, d, MaxSaved); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	return nil
}

// Saved is where saved reports are kept.
func (r *Reporter) Saved() Saved { return r.c.Saved }
